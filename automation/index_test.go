package automation_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestIndex: of many rules the same ones answer an event, in the same order, as when
// each is looked at, which is what Explain does.
func TestIndex(t *testing.T) {
	t.Parallel()
	texts := []string{"red", "Red", "7", "7.0", "007", "true", "1", "2026-11-21T09:30:00Z", "", "ü", "-x", "NaN", "https://bus.example/people/ann"}
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SampledFrom(texts)
		value := rapid.Custom(func(rt *rapid.T) string {
			v := text.Draw(rt, "value")
			switch rapid.IntRange(0, 4).Draw(rt, "kind of value") {
			case 0:
				return "<https://bus.example/" + fmt.Sprint(rapid.IntRange(0, 1).Draw(rt, "link")) + ">"
			case 1:
				return fmt.Sprintf("%q@en", v)
			case 2:
				return fmt.Sprintf("%q^^<%s>", v, rapid.SampledFrom([]string{rdf.XSDString, rdf.XSDInteger, rdf.XSDDecimal, rdf.XSDBoolean}).Draw(rt, "type"))
			}
			return fmt.Sprintf("%q", v)
		})
		term := rapid.Custom(func(rt *rapid.T) string {
			p := rapid.SampledFrom([]string{"st2:tag", "st2:ruleRef", "trs:changed", "dcterms:title", "*"}).Draw(rt, "property")
			switch rapid.IntRange(0, 3).Draw(rt, "op") {
			case 0:
				return p + " in [" + value.Draw(rt, "one") + "," + value.Draw(rt, "other") + "]"
			case 1:
				return p + "!=" + value.Draw(rt, "v")
			}
			return p + "=" + value.Draw(rt, "v")
		})
		var configs []automation.RuleConfig
		for i := range rapid.IntRange(0, 12).Draw(rt, "rules") {
			configs = append(configs, rule(func(c *automation.RuleConfig) {
				c.Name = fmt.Sprint("r", i)
				c.On.Provider = rapid.SampledFrom([]string{"st2", "wiki"}).Draw(rt, "provider")
				c.On.Events = rapid.SliceOfN(rapid.SampledFrom([]string{"created", "modified", "deleted", "st2:RuleDisabled", "st2:Other"}), 0, 3).Draw(rt, "events")
				if rapid.Bool().Draw(rt, "with where") {
					c.Where = term.Draw(rt, "term")
					if rapid.Bool().Draw(rt, "with more") {
						c.Where += " and " + term.Draw(rt, "another")
					}
				}
			}))
		}
		rules, err := automation.Compile(configs, scope())
		if err != nil {
			rt.Skip(err) // a value that no query can have
		}
		e := &oslc.Event{
			ID: oslc.NewID("x"), Change: rapid.SampledFrom([]oslc.Change{oslc.Creation, oslc.Modification, oslc.Deletion}).Draw(rt, "change"),
			Subject: "https://bus.example/0", Time: time.Unix(1, 0), Listener: "https://bus.example/services/st2#watcher",
		}
		if rapid.Bool().Draw(rt, "typed") {
			e.Types = []string{st2 + "RuleDisabled"}
		}
		if rapid.Bool().Draw(rt, "with a resource") {
			e.Resource = rdf.NewGraph()
			n := e.Resource.Node(e.Subject)
			for range rapid.IntRange(0, 5).Draw(rt, "triples") {
				v := text.Draw(rt, "text")
				o := rapid.SampledFrom([]rdf.Term{
					rdf.String(v), rdf.InLanguage(v, "en"), rdf.Typed(v, rdf.XSDInteger), rdf.Typed(v, rdf.XSDDecimal), rdf.Typed(v, rdf.XSDBoolean), rdf.Typed(v, rdf.XSDDateTime),
					rdf.NewIRI("https://bus.example/1"),
				}).Draw(rt, "object")
				n.Add(rapid.SampledFrom([]string{st2 + "tag", st2 + "ruleRef", vocab.DCTermsTitle}).Draw(rt, "predicate"), o)
			}
		}
		var want, got []string
		for _, x := range rules.Explain(e, "st2") {
			if x.Reason == "" {
				want = append(want, x.Rule)
			}
		}
		matches, _ := rules.Match(e, "st2")
		for _, m := range matches {
			got = append(got, m.Rule)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("the index finds %v, want %v", got, want)
		}
	})
}
