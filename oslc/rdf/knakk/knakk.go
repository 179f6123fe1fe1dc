// Package knakk converts graphs to and from the triples of
// github.com/knakk/rdf, for programs that use that library. Only its types are
// used here: its readers can end the process on a malformed document, so read
// documents with package format and convert what comes out.
package knakk

import (
	"errors"
	"fmt"

	theirs "github.com/knakk/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// Triples returns the triples of g, in order. A term that the library has no
// way to hold is an error, such as a language tag of three parts.
func Triples(g *rdf.Graph) ([]theirs.Triple, error) {
	out := make([]theirs.Triple, 0, g.Len())
	for _, t := range g.Triples() {
		subj, err := to(t.S)
		if err != nil {
			return nil, err
		}
		pred, err := to(t.P)
		if err != nil {
			return nil, err
		}
		obj, err := to(t.O)
		if err != nil {
			return nil, err
		}
		s, ok := subj.(theirs.Subject)
		if !ok {
			return nil, wrong("subject", t.S)
		}
		p, ok := pred.(theirs.Predicate)
		if !ok {
			return nil, wrong("predicate", t.P)
		}
		o, ok := obj.(theirs.Object)
		if !ok {
			return nil, wrong("object", t.O)
		}
		out = append(out, theirs.Triple{Subj: s, Pred: p, Obj: o})
	}
	return out, nil
}

func wrong(role string, t rdf.Term) error {
	return fmt.Errorf("knakk: %.200q cannot be a %s", t.Value, role)
}

func to(t rdf.Term) (theirs.Term, error) {
	switch t.Kind {
	case rdf.IRI:
		return theirs.NewIRI(t.Value)
	case rdf.Blank:
		return theirs.NewBlank(t.Value)
	case rdf.Literal:
		if t.Lang != "" {
			return theirs.NewLangLiteral(t.Value, t.Lang)
		}
		datatype := t.Datatype
		if datatype == "" {
			datatype = rdf.XSDString
		}
		iri, err := theirs.NewIRI(datatype)
		if err != nil {
			return nil, err
		}
		return theirs.NewTypedLiteral(t.Value, iri), nil
	}
	return nil, wrong("term", t)
}

// Graph returns a graph of the triples, in order. Blank nodes keep their labels.
func Graph(ts []theirs.Triple) (*rdf.Graph, error) {
	g := rdf.NewGraph()
	for _, t := range ts {
		var out rdf.Triple
		for _, c := range [3]struct {
			to   *rdf.Term
			from theirs.Term
		}{{&out.S, t.Subj}, {&out.P, t.Pred}, {&out.O, t.Obj}} {
			var err error
			if *c.to, err = from(c.from); err != nil {
				return nil, err
			}
		}
		g.AddTriple(out)
	}
	return g, nil
}

func from(t theirs.Term) (rdf.Term, error) {
	switch t := t.(type) {
	case theirs.IRI:
		return rdf.NewIRI(t.String()), nil
	case theirs.Blank:
		if t == (theirs.Blank{}) { // String of it panics
			return rdf.Term{}, errors.New("knakk: a blank node without a label")
		}
		return rdf.NewBlank(t.String()), nil
	case theirs.Literal:
		if lang := t.Lang(); lang != "" {
			return rdf.InLanguage(t.String(), lang), nil
		}
		return rdf.Typed(t.String(), t.DataType.String()), nil
	case nil:
		return rdf.Term{}, errors.New("knakk: a triple lacks a term")
	}
	return rdf.Term{}, fmt.Errorf("knakk: a term of type %T", t)
}
