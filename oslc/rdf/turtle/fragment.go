package turtle

import (
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// Terms reads the terms of Turtle one by one from a text that is no document,
// such as a TRS patch: absolute IRIs in angle brackets and literals of every
// kind. Prefixed names and blank nodes are errors.
type Terms struct{ d decoder }

// NewTerms returns a reader at the start of src, which is UTF-8. what stands as
// the format in its errors.
func NewTerms(what, src string, lim rdf.Limits) *Terms {
	return &Terms{decoder{
		what: what, src: src, lim: lim.WithDefaults(rdf.DefaultMaxDepth), names: map[string]rdf.Term{},
	}}
}

// Peek skips white space and returns the next byte without taking it; 0 at the
// end.
func (t *Terms) Peek() byte {
	for !t.d.done() && chars.IsSpace(t.d.src[t.d.pos]) {
		t.d.pos++
	}
	return t.d.peek()
}

// Take moves past the byte that Peek has returned.
func (t *Terms) Take() { t.d.pos = min(t.d.pos+1, len(t.d.src)) }

// Next skips white space and reads a term.
func (t *Terms) Next() (rdf.Term, error) {
	switch c := t.Peek(); c {
	case '[', '(', '_':
		return rdf.Term{}, t.Error("blank nodes are not allowed here")
	}
	return t.d.object()
}

// Error returns a syntax error at the present place.
func (t *Terms) Error(msg string) error { return t.d.syntax(msg) }
