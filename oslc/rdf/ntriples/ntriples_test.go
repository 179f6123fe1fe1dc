package ntriples_test

import (
	"errors"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/ntriples"
)

func TestAppendTerm(t *testing.T) {
	t.Parallel()
	for want, term := range map[string]rdf.Term{
		`<http://ex.org/é>`:   rdf.NewIRI("http://ex.org/é"),
		`_:x1.y`:              rdf.NewBlank("x1.y"),
		`"a\"\\\n\r\u0001	é"`: rdf.String("a\"\\\n\r\x01\té"),
		`"x"@en-GB`:           rdf.InLanguage("x", "en-GB"),
		`"5"^^<http://www.w3.org/2001/XMLSchema#integer>`: rdf.Int(5),
	} {
		if got, err := ntriples.AppendTerm(nil, term); err != nil || string(got) != want {
			t.Errorf("got %s (%v), want %s", got, err, want)
		}
	}
	for _, term := range []rdf.Term{
		{},
		rdf.NewIRI("a b"), rdf.NewBlank("a b"), rdf.NewBlank(""), rdf.NewBlank("-a"), rdf.NewBlank("a."),
		rdf.InLanguage("x", "-"), rdf.Typed("x", "<"),
	} {
		got, err := ntriples.AppendTerm([]byte("x"), term)
		if !errors.As(err, new(*rdf.WriteError)) || string(got) != "x" {
			t.Errorf("%v gives %q (%v)", term, got, err)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const doc = "# c\r\n<http://a><http://b>_:x.#d\n\n_:x <http://b> \"\\u00e9\\t\"@de . \n_:y <http://b> _:x .\r\n"
	g, err := ntriples.Parse([]byte(doc), rdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []rdf.Triple{
		{S: rdf.NewIRI("http://a"), P: rdf.NewIRI("http://b"), O: rdf.NewBlank("b0")},
		{S: rdf.NewBlank("b0"), P: rdf.NewIRI("http://b"), O: rdf.InLanguage("é\t", "de")},
		{S: rdf.NewBlank("b1"), P: rdf.NewIRI("http://b"), O: rdf.NewBlank("b0")},
	}
	for i, tr := range g.Triples() {
		if i >= len(want) || tr != want[i] {
			t.Errorf("triple %d is %v", i, tr)
		}
	}
	if g.Len() != len(want) {
		t.Errorf("%d triples", g.Len())
	}
}
