package automation_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

var update = flag.Bool("update", false, "write the golden files")

// TestFieldErrors compares the words for every mistake with testdata/errors.golden;
// -update writes it.
func TestFieldErrors(t *testing.T) {
	t.Parallel()
	type c = *automation.RuleConfig
	with := func(v any) func(c) { return func(r c) { r.Do.With = map[string]any{"summary": v} } }
	tests := []struct {
		name, field string
		change      func(c)
	}{
		{"no name", "name", func(r c) { r.Name = "" }},
		{"no provider", "on.provider", func(r c) { r.On.Provider = "" }},
		{"provider with a slip", "on.provider", func(r c) { r.On.Provider = "wikki" }},
		{"other provider", "on.provider", func(r c) { r.On.Provider = "nothing-like-it" }},
		{"event with a slip", "on.events", func(r c) { r.On.Events = []string{"create"} }},
		{"event that is none", "on.events", func(r c) { r.On.Events = []string{"exploded"} }},
		{"class without a name", "on.events", func(r c) { r.On.Events = []string{"st2:"} }},
		{"class with an unknown prefix", "on.events", func(r c) { r.On.Events = []string{"created", "stt:RuleDisabled"} }},
		{"where with an unknown prefix", "where", func(r c) { r.Where = `stt:ruleRef="x"` }},
		{"where that breaks off", "where", func(r c) { r.Where = `st2:ruleRef=` }},
		{"where with or", "where", func(r c) { r.Where = `st2:ruleRef="x" or st2:ruleRef="y"` }},
		{"if that breaks off", "if", func(r c) { r.If = `resource.title ==` }},
		{"if with an unknown name", "if", func(r c) { r.If = `resorce.title == "x"` }},
		{"if of blanks", "if", func(r c) { r.If = "  " }},
		{"if that is a text", "if", func(r c) { r.If = `"yes"` }},
		{"if that is a number", "if", func(r c) { r.If = `1 + 1` }},
		{"if with two mistakes", "if", func(r c) { r.If = `a && b` }},
		{"no tool", "do.tool", func(r c) { r.Do.Tool = "" }},
		{"tool with a slip", "do.tool", func(r c) { r.Do.Tool = "jria" }},
		{"no action", "do.action", func(r c) { r.Do.Action = "" }},
		{"action with a slip", "do.action", func(r c) { r.Do.Action = "create-isue" }},
		{"unknown parameter", "do.with.colour", func(r c) { r.Do.With["colour"] = "red" }},
		{"parameter with a slip", "do.with.sumary", func(r c) { r.Do.With["sumary"] = "x" }},
		{"needed parameter is missing", "do.with", func(r c) { r.Do.With = nil }},
		{"parameter of an action without", "do.with.x", func(r c) { r.Do.Action, r.Do.With = "comment", map[string]any{"x": 1} }},
		{"expression does not end", "do.with.summary", with("a ${resource.title")},
		{"empty expression", "do.with.summary", with("${}")},
		{"expression with a slip", "do.with.summary", with("${evnt.id}")},
		{"expression with an unknown function", "do.with.summary", with("${shout(resource.title)}")},
		{"expression of wrong types", "do.with.summary", with(`${1 + "a"}`)},
		{"expression in a list", "do.with.summary", with([]any{"a", "${x}"})},
		{"expression in an object", "do.with.summary", with(map[string]any{"b": map[string]any{"c": "${y}"}, "a": "fine"})},
		{"first of two in an object", "do.with.summary", with(map[string]any{"b": "${b}", "a": "${a}"})},
		{"value of a strange type", "do.with.summary", with(struct{}{})},
	}
	var got strings.Builder
	for _, test := range tests {
		_, err := automation.Compile([]automation.RuleConfig{rule(func(r c) { r.Name = "first" }), rule(test.change)}, scope())
		fe, ok := errors.AsType[*automation.FieldError](err)
		if !ok {
			t.Errorf("%s: the error is %v, want one of a field", test.name, err)
			continue
		}
		if fe.Field != test.field {
			t.Errorf("%s: the field is %s, want %s", test.name, fe.Field, test.field)
		}
		if re, ok := errors.AsType[*automation.RuleError](err); !ok || re.Index != 1 {
			t.Errorf("%s: the error does not name the second rule: %v", test.name, err)
		}
		if oslc.KindOf(err) != oslc.Invalid {
			t.Errorf("%s: the kind is %s, want invalid", test.name, oslc.KindOf(err))
		}
		if strings.ContainsAny(fe.Error(), "\n\r") {
			t.Errorf("%s: the error has more than one line: %q", test.name, fe)
		}
		fmt.Fprintf(&got, "%s\n    %s\n", test.name, fe)
	}
	golden(t, "errors.golden", got.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func TestTwoOfAName(t *testing.T) {
	t.Parallel()
	_, err := automation.Compile([]automation.RuleConfig{rule(nil), rule(nil)}, scope())
	if want := `rule "ticket": automation.rule: name: there are two rules "ticket"`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	type c = *automation.RuleConfig
	for name, test := range map[string]struct {
		change func(c)
		want   bool
	}{
		"everything":               {nil, true},
		"other provider":           {func(r c) { r.On.Provider = "wiki" }, false},
		"its change":               {func(r c) { r.On.Events = []string{"modified"} }, true},
		"other changes":            {func(r c) { r.On.Events = []string{"created", "deleted"} }, false},
		"one of several":           {func(r c) { r.On.Events = []string{"created", "modified"} }, true},
		"its class":                {func(r c) { r.On.Events = []string{"st2:RuleDisabled"} }, true},
		"other class":              {func(r c) { r.On.Events = []string{"st2:RuleEnabled"} }, false},
		"other change or class":    {func(r c) { r.On.Events = []string{"created", "st2:RuleDisabled"} }, true},
		"change as a class":        {func(r c) { r.On.Events = []string{"trs:Modification"} }, true},
		"other change as a class":  {func(r c) { r.On.Events = []string{"trs:Deletion"} }, false},
		"where of the resource":    {func(r c) { r.Where = `st2:ruleRef="default.on_push"` }, true},
		"where of another one":     {func(r c) { r.Where = `st2:ruleRef="default.other"` }, false},
		"where of the event":       {func(r c) { r.Where = `dcterms:identifier="6f0c0000-0000-4000-8000-000000000000"` }, true},
		"where of both":            {func(r c) { r.Where = `st2:enabled=false and dcterms:created>"2026-01-01T00:00:00Z"^^xsd:dateTime` }, true},
		"where half of which fits": {func(r c) { r.Where = `st2:enabled=false and st2:count>7` }, false},
		"where of what is not":     {func(r c) { r.Where = `st2:nothing="x"` }, false},
		"if":                       {func(r c) { r.If = `resource["st2:count"] == 7 && event.change == "modification"` }, true},
		"if not":                   {func(r c) { r.If = `"st2:owner" in event.changed` }, false},
		"if of what changed":       {func(r c) { r.If = `"st2:ruleStatus" in event.changed` }, true},
		"if of types":              {func(r c) { r.If = `"st2:RuleDisabled" in event.types && "ex:Thing" in resource.types` }, true},
		"if of a list":             {func(r c) { r.If = `resource["st2:tag"].exists(t, t == "blue")` }, true},
		"if of the rule":           {func(r c) { r.If = `context.rule == "ticket" && context.base_url == "https://bus.example"` }, true},
		"if with has":              {func(r c) { r.If = `has(resource.nothing)` }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scope()
			s.Prefixes = func(p string) (string, bool) {
				if p == "xsd" {
					return "http://www.w3.org/2001/XMLSchema#", true
				}
				ns, ok := namespaces[p]
				return ns, ok
			}
			rules, err := automation.Compile([]automation.RuleConfig{rule(test.change)}, s)
			if err != nil {
				t.Fatal(err)
			}
			m, _ := rules.Match(event(), "st2")
			if len(m) == 1 && m[0].Err != nil {
				t.Fatal(m[0].Err)
			}
			if got := len(m) == 1; got != test.want {
				t.Errorf("it fits: %v, want %v", got, test.want)
			}
		})
	}
}

// TestFailingIf: a condition that cannot be answered for an event is a match with
// an error, not silence.
func TestFailingIf(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		`resource["st2:nothing"] == 1`: `automation.if: rule "ticket": no such key: st2:nothing`,
		`resource.title`:               `automation.if: rule "ticket": the result of if is on_push, no boolean`,
		`resource.title > 3`:           `automation.if: rule "ticket": no such overload`,
	} {
		m := match(t, rule(func(r *automation.RuleConfig) { r.If = condition }), event())
		if len(m) != 1 || m[0].Err == nil || m[0].Err.Error() != want || oslc.KindOf(m[0].Err) != oslc.Invalid {
			t.Errorf("%s gives %+v, want the error %s", condition, m, want)
		}
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	e := event()
	e.Hops = 2
	m := match(t, rule(nil), e)
	if len(m) != 1 || m[0].Err != nil {
		t.Fatalf("matches: %+v", m)
	}
	want := oslc.Request{
		// The identity is derived from the event and the rule's name. Another id for
		// the same two would ask again for all that was done.
		ID:    "03d4cff1-1dee-59d1-92cb-1ece9d21ec02",
		URI:   "https://bus.example/services/bus/requests/03d4cff1-1dee-59d1-92cb-1ece9d21ec02",
		Title: "create-issue on jira", Tool: "jira", Action: "https://bus.example/ns#CreateIssue",
		Target: e.Subject, Event: e.URI(), Rule: "ticket", Hops: 3, Via: []string{"st2"}, Created: e.Time, State: oslc.New,
		Parameters: map[string]any{"summary": "x"},
		Trace:      oslc.Trace{Parent: "00-6f0c0000000040008000000000000000-8b714ac469cebb2c-01"}, // that of the event
	}
	if d := cmp.Diff(want, m[0].Request); d != "" {
		t.Errorf("request (-want +got):\n%s", d)
	}
	other := match(t, rule(func(r *automation.RuleConfig) { r.Name = "other" }), e)
	if other[0].Request.ID == want.ID {
		t.Error("another rule makes a request of the same id")
	}
	changed := match(t, rule(func(r *automation.RuleConfig) { r.Do.With["summary"] = "y" }), e)
	if changed[0].Request.ID != want.ID {
		t.Error("the same rule with other values makes a request of another id")
	}
}

func TestHops(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		max, hops       int
		matches, looped bool
	}{
		{0, automation.DefaultMaxHops - 1, true, false},
		{0, automation.DefaultMaxHops, false, true},
		{-1, automation.DefaultMaxHops, false, true},
		{2, 1, true, false},
		{2, 2, false, true},
		{2, 9, false, true},
	} {
		s := scope()
		s.MaxHops = test.max
		rules, err := automation.Compile([]automation.RuleConfig{rule(nil)}, s)
		if err != nil {
			t.Fatal(err)
		}
		e := event()
		e.Hops = test.hops
		m, looped := rules.Match(e, "st2")
		if len(m) == 1 != test.matches || looped != test.looped {
			t.Errorf("limit %d at %d hops: %d matches, looped %v", test.max, test.hops, len(m), looped)
		}
		if _, looped := rules.Match(e, "wiki"); looped {
			t.Error("an event that no rule fits is told to loop")
		}
	}
}

// TestBack: a chain is not led back to a tool that it came through.
func TestBack(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		hops    int
		via     []string
		matches bool
	}{
		{0, nil, true},
		{1, []string{"wiki"}, true},
		{1, []string{"jira"}, false},
		{2, []string{"wiki", "jira"}, false},
		{0, []string{"jira"}, true}, // a person's change is a beginning
	} {
		e := event()
		e.Hops, e.Via = test.hops, test.via
		rules, err := automation.Compile([]automation.RuleConfig{rule(nil)}, scope())
		if err != nil {
			t.Fatal(err)
		}
		m, looped := rules.Match(e, "st2")
		if len(m) == 1 != test.matches || looped == test.matches {
			t.Errorf("%d hops via %v: %d matches, looped %v", test.hops, test.via, len(m), looped)
		}
		if x := rules.Explain(e, "st2")[0]; (x.Reason == "") != test.matches {
			t.Errorf("%d hops via %v: the reason is %q", test.hops, test.via, x.Reason)
		}
	}
}

// TestNoResource: of a deletion often nothing is known but its subject.
func TestNoResource(t *testing.T) {
	t.Parallel()
	e := event()
	e.Change, e.Resource = oslc.Deletion, nil
	m := match(t, rule(func(r *automation.RuleConfig) {
		r.Where = `dcterms:identifier="` + e.ID + `"`
		r.Do.With["summary"] = "gone: ${resource.uri}${resource.title}"
	}), e)
	if len(m) != 1 || m[0].Err != nil || m[0].Request.Parameters["summary"] != "gone: "+e.Subject {
		t.Errorf("matches: %+v", m)
	}
}

// TestManyRules: matches come in the order of the rules, each with its own context.
func TestManyRules(t *testing.T) {
	t.Parallel()
	var configs []automation.RuleConfig
	for _, name := range []string{"c", "a", "b"} {
		configs = append(configs, rule(func(r *automation.RuleConfig) { r.Name, r.Do.With = name, map[string]any{"summary": "${context.rule}"} }))
	}
	rules, err := automation.Compile(configs, scope())
	if err != nil {
		t.Fatal(err)
	}
	m, _ := rules.Match(event(), "st2")
	var got []string
	for _, x := range m {
		got = append(got, x.Rule+"="+x.Request.Parameters["summary"].(string))
	}
	if d := cmp.Diff([]string{"c=c", "a=a", "b=b"}, got); d != "" {
		t.Errorf("matches (-want +got):\n%s", d)
	}
	if e := event(); e.Change.IRI() != vocab.TRS+"Modification" {
		t.Errorf("the change is %s", e.Change.IRI())
	}
}
