// Package query reads the OSLC Query 3.0 syntax and matches its conditions
// against graphs. Rules use it to say which events they want, in the same words in
// which clients ask for resources.
package query

import (
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A Where is a parsed oslc.where: all of its terms must hold.
type Where []Term

// A Term is one condition on a property of a resource. Exactly one of Values and
// Scope is used.
type Term struct {
	// Property is an IRI, or "*" for any property.
	Property string
	// Op compares; it is In when Values are alternatives.
	Op     Op
	Values []Value
	// Scope holds the conditions on the resource that the property leads to.
	Scope Where
}

// Op is a comparison.
type Op uint8

// The comparisons of OSLC Query 3.0.
const (
	Scoped Op = iota
	Equal
	NotEqual
	Less
	LessOrEqual
	Greater
	GreaterOrEqual
	In
)

// A Value is what a condition compares with.
type Value struct {
	Term rdf.Term
	// Bare marks a literal without datatype or language: it equals any literal of
	// that text whatever its type (QUERY-21 asks for a type only where several are
	// in use).
	Bare bool
}

// Match reports whether the subject fulfils w in g. A property with several
// values fulfils a term when one of them does.
func (w Where) Match(g *rdf.Graph, subject rdf.Term) bool {
	for i := range w {
		if !w[i].Match(g, subject) {
			return false
		}
	}
	return true
}

// Match reports whether the subject fulfils t in g.
func (t *Term) Match(g *rdf.Graph, subject rdf.Term) bool {
	for triple := range g.About(subject) {
		if t.Property != "*" && triple.P.Value != t.Property {
			continue
		}
		if t.Op == Scoped {
			if triple.O.Kind != rdf.Literal && t.Scope.Match(g, triple.O) {
				return true
			}
			continue
		}
		for _, v := range t.Values {
			if v.compare(t.Op, triple.O) {
				return true
			}
		}
	}
	return false
}

// compare reports whether "have op v" holds.
func (v Value) compare(op Op, have rdf.Term) bool {
	c, ordered := v.order(have)
	switch op {
	case Equal, In:
		return v.equals(have)
	case NotEqual:
		return !v.equals(have)
	case Less:
		return ordered && c < 0
	case LessOrEqual:
		return ordered && c <= 0
	case Greater:
		return ordered && c > 0
	case GreaterOrEqual:
		return ordered && c >= 0
	case Scoped:
	}
	return false
}

func (v Value) equals(have rdf.Term) bool {
	want := v.Term
	if want.Kind != rdf.Literal || have.Kind != rdf.Literal {
		return want == have
	}
	if c, ok := v.order(have); ok && c == 0 {
		return true
	}
	if v.Bare || want.Lang == "" && want.Datatype == rdf.XMLLiteral {
		return want.Value == have.Value
	}
	return want == have
}
