package server_test

import (
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestTracked: a patch of a state becomes one of what is answered, with the actions that
// come and go, or none where that is not known.
func TestTracked(t *testing.T) {
	t.Parallel()
	const base, uri = "https://bus.example", "https://bus.example/services/st2/changeRequests/1"
	s := newServer(server.Config{
		BaseURL:   base,
		Providers: []oslc.ServiceProvider{{Name: "st2", Services: []oslc.Service{{Domain: vocab.CM, Collections: []oslc.Collection{{Kind: "changeRequests"}}}}}},
		Actions: map[string][]oslc.Action{"st2": {
			{Name: "on", IRI: "urn:on", Class: vocab.St2Rule, Where: "st2:ruleStatus=false"},
			{Name: "both", IRI: "urn:both", Class: vocab.CMChangeRequest, Where: `oslc_cm:status="a" and dcterms:title="b"`},
			{Name: "always", IRI: "urn:always", Class: vocab.St2Rule},
		}},
	}).Tracked()
	short := strings.NewReplacer("$", "<"+uri+">", "st2:", "<"+vocab.St2, "dcterms:", "<"+vocab.DCTerms, "cm:", "<"+vocab.CM, "core:", "<"+vocab.OSLC, "rdf:type", "<"+rdf.Type+">")
	patch := func(text string) diff.Patch {
		p, err := diff.Parse(short.Replace(text), rdf.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const rule = "A $ rdf:type st2:Rule> ."
	for name, c := range map[string]struct{ kept, in, want string }{
		"nothing else": {rule, `A $ dcterms:description> "x" .`, `A $ dcterms:description> "x" .`},
		"an action goes": {
			rule, `D $ st2:ruleStatus> false . A $ st2:ruleStatus> true .`,
			`D $ st2:ruleStatus> false . D $ core:action> <` + uri + `/actions/on> . A $ st2:ruleStatus> true .`,
		},
		"an action comes":                {rule, `A $ st2:ruleStatus> false .`, `A $ st2:ruleStatus> false . A $ core:action> <` + uri + `/actions/on> .`},
		"a value stays":                  {rule + ` A $ st2:ruleStatus> false .`, `A $ st2:ruleStatus> true .`, `A $ st2:ruleStatus> true .`},
		"another class":                  {`A $ rdf:type cm:Defect> .`, `D $ st2:ruleStatus> false .`, `D $ st2:ruleStatus> false .`},
		"half of a condition is touched": {`A $ rdf:type cm:ChangeRequest> .`, `A $ cm:status> "a" .`, "none"},
		"all of it is": {
			`A $ rdf:type cm:ChangeRequest> .`, `A $ cm:status> "a" . A $ dcterms:title> "b" .`,
			`A $ cm:status> "a" . A $ dcterms:title> "b" . A $ core:action> <` + uri + `/actions/both> .`,
		},
		"it is a rule now":      {`A $ rdf:type cm:Defect> .`, rule, "none"}, // whether it is switched off is not known
		"what each answer adds": {rule, `A $ core:serviceProvider> <urn:x> .`, "none"},
		"another datatype":      {rule, `A $ dcterms:description> "{}"^^<` + rdf.NS + `JSON> .`, `A $ dcterms:description> "{}" .`},
		"two that are one":      {rule + ` A $ dcterms:description> "{}" .`, `A $ dcterms:description> "{}"^^<` + rdf.NS + `JSON> .`, "none"},
		"one for the other":     {rule, `D $ dcterms:description> "{}" . A $ dcterms:description> "{}"^^<` + rdf.NS + `JSON> .`, "none"},
	} {
		kept := rdf.NewGraph()
		for _, ch := range patch(c.kept) {
			kept.AddTriple(ch.Triple)
		}
		got, ok := s.Patch(uri, kept, patch(c.in))
		if !ok {
			if c.want != "none" {
				t.Errorf("%s: there is no patch, want %s", name, c.want)
			}
			continue
		}
		text, err := got.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := patch(c.want).Append(nil)
		if err != nil || string(text) != string(want) {
			t.Errorf("%s: the patch is\n%s\nwant\n%s", name, text, want)
		}
	}
	for _, other := range []string{"https://other.example/services/st2/changeRequests/1", base + "/services/st2/other/1", base + "/services/st2", "urn:x"} {
		if _, ok := s.Patch(other, rdf.NewGraph(), patch(`A $ dcterms:description> "x" .`)); ok {
			t.Errorf("<%s> has a patch", other)
		}
	}
	if tag := s.Tag(uri, "r", format.Turtle); !strings.HasPrefix(tag, "r+") || !strings.HasSuffix(tag, "-turtle") {
		t.Errorf("the tag is %q", tag)
	}
}
