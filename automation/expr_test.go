package automation_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/oslc"
)

func summaryRule(v any) automation.RuleConfig {
	return rule(func(r *automation.RuleConfig) { r.Do.With = map[string]any{"summary": v} })
}

func TestValues(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	type l = []any
	for name, c := range map[string]struct{ in, want any }{
		"plain":                    {"just text", "just text"},
		"empty":                    {"", ""},
		"dollar":                   {"5 $ and $x {y}", "5 $ and $x {y}"},
		"text alone":               {"${resource.title}", "on_push"},
		"int alone":                {`${resource["st2:count"]}`, int64(7)},
		"bool alone":               {`${resource["st2:enabled"]}`, false},
		"float alone":              {`${resource["st2:ratio"]}`, 0.5},
		"list alone":               {`${resource["st2:tag"]}`, l{"red", "blue"}},
		"link":                     {`${resource["st2:owner"]}`, "https://bus.example/people/ann"},
		"null":                     {"${null}", nil},
		"time":                     {"${event.time}", "2026-11-21T09:30:00.125Z"},
		"duration":                 {`${duration("90s")}`, "1m30s"},
		"unsigned":                 {"${7u}", int64(7)},
		"bytes":                    {`${b"abc"}`, "abc"},
		"made list":                {`${[1, "a", true, [2.5]]}`, l{int64(1), "a", true, l{2.5}}},
		"made map":                 {`${{"a": 1, "b": {"c": [null]}}}`, m{"a": int64(1), "b": m{"c": l{nil}}}},
		"blanks inside":            {"${  resource.title  }", "on_push"},
		"blank beside":             {" ${resource.title}", " on_push"},
		"in text":                  {"Rule ${resource.title} changed", "Rule on_push changed"},
		"two in text":              {"${resource.title}/${event.provider}", "on_push/st2"},
		"int in text":              {`n=${resource["st2:count"]}`, "n=7"},
		"bool in text":             {`e=${resource["st2:enabled"]}`, "e=false"},
		"float in text":            {`r=${resource["st2:ratio"]}`, "r=0.5"},
		"list in text":             {`t=${resource["st2:tag"]}`, `t=["red","blue"]`},
		"map in text":              {`t=${{"b": 1, "a": 2}}`, `t={"a":2,"b":1}`},
		"null in text":             {"n=${null}", "n="},
		"brace in a string":        {`${"}" + resource.title}`, "}on_push"},
		"quote in a string":        {`${"\"}" + '\'}'}`, `"}'}`},
		"nested braces":            {`${{"a": {"b": "}"}}.a.b}`, "}"},
		"escape":                   {"$${resource.title}", "${resource.title}"},
		"escape in text":           {"a $${b} ${resource.title}", "a ${b} on_push"},
		"escape after":             {"${resource.title}$${x}", "on_push${x}"},
		"three dollars":            {"$$${x}", "$${x}"},
		"result is not read again": {`${"$" + "{event.id}"}`, "${event.id}"},
		"event":                    {"${event.id} ${event.change} ${event.uri}", "6f0c0000-0000-4000-8000-000000000000 modification urn:uuid:6f0c0000-0000-4000-8000-000000000000"},
		"what is not there":        {"[${resource.description}${resource.identifier}${event.caused_by}]", "[]"},
		"strings":                  {`${resource.title.upperAscii().replace("_", " ")}`, "ON PUSH"},
		"choice":                   {`${has(resource.missing) ? resource.missing : "none"}`, "none"},
		"int":                      {3, int64(3)},
		"constants":                {l{true, nil, 1.5, "a"}, l{true, nil, 1.5, "a"}},
		"nested":                   {m{"a": l{"${resource.title}", m{"b": `${resource["st2:count"]}`}}}, m{"a": l{"on_push", m{"b": int64(7)}}}},
		"other scripts":            {"規則 ${resource.title} 🚀", "規則 on_push 🚀"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := match(t, summaryRule(c.in), event())
			if len(got) != 1 || got[0].Err != nil {
				t.Fatalf("matches: %+v", got)
			}
			if d := cmp.Diff(c.want, got[0].Request.Parameters["summary"]); d != "" {
				t.Errorf("value (-want +got):\n%s", d)
			}
		})
	}
}

func TestFailingValues(t *testing.T) {
	t.Parallel()
	// Work that grows with each loop: a thousand million steps in all.
	loops := `${[0,1,2,3,4,5,6,7,8,9]` + strings.Repeat(`.map(x, [0,1,2,3,4,5,6,7,8,9]`, 8) + strings.Repeat(")", 8) + `.size()}`
	for name, c := range map[string]struct{ in, want any }{
		"no such key": {`${resource["st2:nothing"]}`, `automation.request: rule "ticket": summary: automation.eval: ${resource["st2:nothing"]}: no such key: st2:nothing`},
		"in an object": {
			map[string]any{"z": "${resource.z}", "a": []any{"${resource.a}"}},
			`automation.request: rule "ticket": summary: a: automation.eval: ${resource.a}: no such key: a`,
		},
		"too large":        {"${18446744073709551615u}", `automation.request: rule "ticket": summary: automation.eval: ${18446744073709551615u}: 18446744073709551615 is too large for a whole number`},
		"keys of a number": {"${{1: 2}}", `automation.request: rule "ticket": summary: automation.eval: ${{1: 2}}: a map with keys of type int64`},
		"too much work":    {loops, `automation.request: rule "ticket": summary: automation.eval: ` + loops + ": operation cancelled: actual cost limit exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := match(t, summaryRule(c.in), event())
			if len(m) != 1 || m[0].Err == nil {
				t.Fatalf("matches: %+v", m)
			}
			if got := m[0].Err.Error(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if oslc.KindOf(m[0].Err) != oslc.Invalid {
				t.Errorf("the kind is %s, want invalid", oslc.KindOf(m[0].Err))
			}
		})
	}
}

// FuzzText: any text compiles or is refused with the field that holds it, and what
// compiles gives a value or an error, in bounded time. Text without ${ stays what it
// is.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"", "$", "${", "${}", "$${", "$$${a}", "${resource.title}", `${"}"}`, `${'\'}'}`, "${{1:2}}", "a${b", "}{", "${\"", "${'\\", "${resource[\"st2:tag\"][0]} x $${y}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rules, err := automation.Compile([]automation.RuleConfig{summaryRule(s)}, scope())
		if err != nil {
			if fe, ok := errors.AsType[*automation.FieldError](err); !ok || fe.Field != "do.with.summary" || strings.Contains(err.Error(), "\n") && !strings.Contains(s, "\n") {
				t.Errorf("%q: %v", s, err)
			}
			if !strings.Contains(s, "${") {
				t.Errorf("%q is refused: %v", s, err)
			}
			return
		}
		m, _ := rules.Match(event(), "st2")
		if len(m) != 1 {
			t.Fatalf("%q: %d matches", s, len(m))
		}
		if !strings.Contains(s, "${") && m[0].Request.Parameters["summary"] != s {
			t.Errorf("%q becomes %q", s, m[0].Request.Parameters["summary"])
		}
	})
}
