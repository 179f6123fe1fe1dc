package automation_test

import (
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const st2 = "https://bus.example/ns/st2#"

var namespaces = map[string]string{
	"dcterms": "http://purl.org/dc/terms/", "st2": st2, "trs": vocab.TRS, "ex": "http://example.com/ns#",
}

func prefixed(iri string) string {
	for p, ns := range namespaces {
		if len(iri) > len(ns) && iri[:len(ns)] == ns {
			return p + ":" + iri[len(ns):]
		}
	}
	return iri
}

func scope() automation.Scope {
	return automation.Scope{
		BaseURL: "https://bus.example", Providers: []string{"st2", "wiki"},
		Tools: map[string][]automation.Action{"jira": {
			{Name: "create-issue", IRI: "https://bus.example/ns#CreateIssue", Parameters: map[string]bool{"summary": true, "with": false, "labels": false}},
			{Name: "comment", IRI: "https://bus.example/ns#Comment", Parameters: map[string]bool{}},
		}},
		Prefixes: func(p string) (string, bool) { ns, ok := namespaces[p]; return ns, ok },
		Prefixed: prefixed,
	}
}

// rule is one that compiles; change makes another one of it.
func rule(change func(*automation.RuleConfig)) automation.RuleConfig {
	c := automation.RuleConfig{
		Name: "ticket", On: automation.OnConfig{Provider: "st2"},
		Do: automation.DoConfig{Tool: "jira", Action: "create-issue", With: map[string]any{"summary": "x"}},
	}
	if change != nil {
		change(&c)
	}
	return c
}

func event() *oslc.Event {
	e := &oslc.Event{
		ID: "6f0c0000-0000-4000-8000-000000000000", Change: oslc.Modification, Types: []string{st2 + "RuleDisabled"},
		Subject: "https://bus.example/services/st2/changeRequests/1", Listener: "https://bus.example/services/st2#watcher",
		Time: time.Date(2026, 11, 21, 9, 30, 0, 125e6, time.UTC), Changed: []string{st2 + "ruleStatus"},
	}
	e.Resource = rdf.NewGraph()
	e.Resource.Node(e.Subject).A("http://example.com/ns#Thing").
		String(vocab.DCTermsTitle, "on_push").
		String(st2+"ruleRef", "default.on_push").
		Bool(st2+"enabled", false).
		Int(st2+"count", 7).
		String(st2+"tag", "red", "blue").
		Add(st2+"ratio", rdf.Typed("0.5", rdf.XSDDecimal)).
		Link(st2+"owner", "https://bus.example/people/ann")
	return e
}

// match runs one rule on one event.
func match(t testing.TB, c automation.RuleConfig, e *oslc.Event) []automation.Match {
	t.Helper()
	rules, err := automation.Compile([]automation.RuleConfig{c}, scope())
	if err != nil {
		t.Fatal(err)
	}
	m, _ := rules.Match(e, "st2")
	return m
}
