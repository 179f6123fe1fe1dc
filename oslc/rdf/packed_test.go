package rdf_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

func TestPacked(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.StringN(100, 300, -1))
	subject := rapid.Custom(func(t *rapid.T) rdf.Term {
		return rapid.SampledFrom([]rdf.Term{rdf.NewIRI("http://a.example/x"), rdf.NewIRI("http://a.example/y"), rdf.NewBlank("x")}).Draw(t, "subject")
	})
	object := rapid.Custom(func(t *rapid.T) rdf.Term {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return rdf.NewIRI(text.Draw(t, "iri"))
		case 1:
			return rdf.NewBlank(text.Draw(t, "label"))
		case 2:
			return rdf.Typed(text.Draw(t, "lexical"), text.Draw(t, "datatype"))
		case 3:
			return rdf.Term{Kind: rdf.Literal, Value: text.Draw(t, "text"), Lang: text.Draw(t, "lang")}
		}
		return rdf.String(text.Draw(t, "text"))
	})
	rapid.Check(t, func(t *rapid.T) {
		g := rdf.NewGraph()
		for range rapid.IntRange(0, 60).Draw(t, "triples") {
			g.Add(subject.Draw(t, "s"), text.Draw(t, "p"), object.Draw(t, "o"))
		}
		got := rdf.Pack(g).Graph()
		if !slices.Equal(got.Triples(), g.Triples()) {
			t.Fatalf("got %v, want %v", got.Triples(), g.Triples())
		}
		// What comes back is a set, as what went in.
		if ts := g.Triples(); len(ts) > 0 && got.AddTriple(ts[0]) {
			t.Fatal("a triple is in the graph twice")
		}
	})
}
