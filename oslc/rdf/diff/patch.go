package diff

import (
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/ntriples"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
)

const format = "trspatch"

// A Change adds or deletes one triple.
type Change struct {
	Delete bool
	Triple rdf.Triple
}

// String returns the change as one directive of a TRS patch.
func (c Change) String() string {
	b, err := c.append(nil)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (c Change) append(b []byte) ([]byte, error) {
	if err := patchable(c.Triple); err != nil {
		return b, err
	}
	b = append(b, 'A')
	if c.Delete {
		b[len(b)-1] = 'D'
	}
	for _, t := range [3]rdf.Term{c.Triple.S, c.Triple.P, c.Triple.O} {
		var err error
		if b, err = ntriples.AppendTerm(append(b, ' '), t); err != nil {
			return b, err
		}
	}
	return append(b, " ."...), nil
}

func patchable(t rdf.Triple) error {
	for _, term := range [3]rdf.Term{t.S, t.P, t.O} {
		if term.Kind == rdf.Blank {
			return &rdf.WriteError{Format: format, Term: term, Msg: "a patch cannot name a blank node"}
		}
	}
	return nil
}

// A Patch is a list of changes, the value of trspatch:rdfPatch. Order matters.
type Patch []Change

// Append appends the text of the patch to dst: one directive per line in the
// terms of N-Triples, single spaces between them. dst is returned unchanged with
// a *rdf.WriteError if a term cannot be written.
func (p Patch) Append(dst []byte) ([]byte, error) {
	out := dst
	for i, c := range p {
		if i > 0 {
			out = append(out, '\n')
		}
		var err error
		if out, err = c.append(out); err != nil {
			return dst, err
		}
	}
	return out, nil
}

// Parse reads the text of a patch. As the prose of the specification has it,
// white space is optional and literals may have any form of Turtle; prefixed
// names, relative IRIs and blank nodes are errors. Errors are *rdf.SyntaxError.
func Parse(text string, lim rdf.Limits) (Patch, error) {
	lim = lim.WithDefaults(rdf.DefaultMaxDepth)
	if len(text) > lim.MaxBytes {
		return nil, rdf.TooLarge(format, []byte(text), lim.MaxBytes)
	}
	if at := chars.IllFormed(text); at >= 0 {
		return nil, rdf.ErrorAt(format, text, at, rdf.FaultEncoding, "not UTF-8")
	}
	r := turtle.NewTerms(format, text, lim)
	var p Patch
	for {
		var c Change
		switch r.Peek() {
		case 0:
			return p, nil
		case 'A':
		case 'D':
			c.Delete = true
		default:
			return nil, r.Error("expected A or D")
		}
		r.Take()
		if len(p) >= lim.MaxTriples {
			return nil, r.Error("too many changes")
		}
		for _, to := range [3]*rdf.Term{&c.Triple.S, &c.Triple.P, &c.Triple.O} {
			var err error
			if *to, err = r.Next(); err != nil {
				return nil, err
			}
		}
		if c.Triple.S.Kind != rdf.IRI || c.Triple.P.Kind != rdf.IRI {
			return nil, r.Error("a literal as subject or predicate")
		}
		if r.Peek() != '.' {
			return nil, r.Error("expected a full stop")
		}
		r.Take()
		p = append(p, c)
	}
}
