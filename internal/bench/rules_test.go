package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// manyRules is how many rules an installation has that has very many.
const manyRules = 1000

// ruleEvent is a change of one of many rules, with a resource of 12 properties.
func ruleEvent(i int) *oslc.Event {
	e := &oslc.Event{
		ID: oslc.NewID("bench", fmt.Sprint(i)), Change: oslc.Modification, Types: []string{vocab.St2RuleDisabled},
		Subject: fmt.Sprintf("http://bus.example/services/st2/changeRequests/%d", i), Listener: "http://bus.example/services/st2#watcher",
		Time: time.Unix(int64(i), 0), Changed: []string{vocab.St2RuleStatus}, Resource: rdf.NewGraph(),
	}
	n := e.Resource.Node(e.Subject).A(vocab.CMChangeRequest, vocab.AutoAutomationPlan, vocab.St2Rule).
		String(vocab.DCTermsTitle, fmt.Sprint("rule_", i)).String(vocab.DCTermsDescription, "A rule").
		String(vocab.St2RulePack, fmt.Sprint("pack", i%manyRules)).String(vocab.St2RuleRef, fmt.Sprintf("pack%d.rule_%d", i%manyRules, i)).
		Bool(vocab.St2RuleStatus, false).Int(vocab.BusSequence, int64(i))
	for k := range 4 {
		n.String(vocab.DCTermsSubject, fmt.Sprint("tag:", k))
	}
	return e
}

// BenchmarkRules measures what 1,000 rules make of an event that one of them answers, on
// one processor: the request with its values, not its record. "by value" are rules that
// each ask for another value of a property, "by kind" such that each are for another
// connection, class or change, "by expression" such that all have to be evaluated.
func BenchmarkRules(b *testing.B) {
	var providers []string
	for i := range 250 {
		providers = append(providers, fmt.Sprint("tool", i))
	}
	scope := automation.Scope{
		BaseURL: "http://bus.example", Providers: append(providers, "st2"),
		Tools: map[string][]automation.Action{"jira": {{Name: "note", IRI: "http://bus.example/ns#Note", Parameters: map[string]bool{"text": true}}}},
		Prefixes: func(prefix string) (string, bool) {
			return rdf.Expand(prefix + ":")
		},
		Prefixed: func(iri string) string {
			if name, ok := rdf.Compact(iri); ok {
				return name
			}
			return iri
		},
	}
	kinds := []string{"created", "deleted", "st2:RuleEnabled", "modified"}
	for name, change := range map[string]func(i int, c *automation.RuleConfig){
		"by value": func(i int, c *automation.RuleConfig) { c.Where = fmt.Sprintf("st2:rulePack=%q", fmt.Sprint("pack", i)) },
		"by kind": func(i int, c *automation.RuleConfig) {
			if i > 0 {
				c.On.Provider, c.On.Events = providers[i/4], kinds[i%4:i%4+1]
			}
		},
		"by expression": func(i int, c *automation.RuleConfig) { c.If = fmt.Sprintf(`resource["st2:rulePack"] == "pack%d"`, i) },
	} {
		b.Run(name, func(b *testing.B) {
			var configs []automation.RuleConfig
			for i := range manyRules {
				c := automation.RuleConfig{
					Name: fmt.Sprint("rule", i), On: automation.OnConfig{Provider: "st2", Events: []string{"st2:RuleDisabled"}},
					Do: automation.DoConfig{Tool: "jira", Action: "note", With: map[string]any{"text": "Rule ${resource.title} was disabled"}},
				}
				change(i, &c)
				configs = append(configs, c)
			}
			rules, err := automation.Compile(configs, scope)
			if err != nil {
				b.Fatal(err)
			}
			events := make([]*oslc.Event, manyRules)
			for i := range events {
				events[i] = ruleEvent(i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if m, _ := rules.Match(events[i%len(events)], "st2"); len(m) != 1 || m[0].Err != nil {
					b.Fatalf("%d rules answer", len(m))
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
