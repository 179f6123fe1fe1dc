package query_test

import (
	"testing"

	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

func TestSelection_Apply(t *testing.T) {
	t.Parallel()
	read := func(text string) *rdf.Graph {
		g, err := format.Parser{}.Parse([]byte("@prefix e: <http://e/> . "+text), format.Turtle, "", rdf.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := read(`e:1 e:title "one" ; e:tag "a", "b" ; e:by [ e:name "Ann" ; e:knows [ e:name "Bob" ] ] ; e:next e:2 . e:2 e:note "seen from one" .`)
	other := read(`e:2 e:title "two" ; e:next e:1 ; e:tag "c" .`)
	lookup := func(iri string) *rdf.Graph { return map[string]*rdf.Graph{"http://e/1": g, "http://e/2": other}[iri] }
	for text, want := range map[string]string{
		`rdf:nil`:               ``,
		`e:title`:               `e:1 e:title "one" .`,
		`e:tag,e:missing`:       `e:1 e:tag "a", "b" .`,
		`e:by`:                  `e:1 e:by [ e:name "Ann" ; e:knows [ e:name "Bob" ] ] .`,
		`e:by{e:name}`:          `e:1 e:by [ e:name "Ann" ] .`,
		`e:by{e:knows{e:name}}`: `e:1 e:by [ e:knows [ e:name "Bob" ] ] .`,
		`e:next`:                `e:1 e:next e:2 .`,
		`e:next{e:title}`:       `e:1 e:next e:2 . e:2 e:title "two" .`,
		`e:next{*}`:             `e:1 e:next e:2 . e:2 e:note "seen from one" ; e:title "two" ; e:next e:1 ; e:tag "c" .`,
		`e:next{e:next{e:tag}}`: `e:1 e:next e:2 . e:2 e:next e:1 . e:1 e:tag "a", "b" .`,
		`*{e:name},e:title`:     `e:1 e:title "one" ; e:tag "a", "b" ; e:by [ e:name "Ann" ] ; e:next e:2 .`,
	} {
		s, err := query.ParseSelect(text, func(p string) (string, bool) {
			return map[string]string{"e": "http://e/", "rdf": rdf.NS}[p], true
		})
		if err != nil {
			t.Fatal(err)
		}
		got := rdf.NewGraph()
		s.Apply(got, g, rdf.NewIRI("http://e/1"), lookup)
		same, err := canon.Isomorphic(got, read(want))
		if err != nil || !same {
			t.Errorf("%s (%v) gives\n%s", text, err, turtle(t, got))
		}
	}
}

func turtle(t *testing.T, g *rdf.Graph) []byte {
	t.Helper()
	b, err := format.Append(nil, g, format.Turtle)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
