// Package query reads the OSLC Query 3.0 syntax and matches its conditions
// against graphs. Rules use it to say which events they want, in the same words in
// which clients ask for resources.
//
// A store that answers a Query from an index of its own gives the answer that
// Where.MatchIn gives: Key and Value.Ranges say how its terms are compared as
// bytes.
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

// Lookup returns what is known of another resource, or nil.
type Lookup func(iri string) *rdf.Graph

// Match reports whether the subject fulfils w in g. A property with several
// values fulfils a term when one of them does.
func (w Where) Match(g *rdf.Graph, subject rdf.Term) bool {
	return w.MatchIn(g, subject, nil)
}

// MatchIn is Match where a scope also holds when the resource that the property
// leads to fulfils it in the graph that lookup has of it. A link whose IRI is
// longer than MaxLink is not followed.
func (w Where) MatchIn(g *rdf.Graph, subject rdf.Term, lookup Lookup) bool {
	for i := range w {
		if !w[i].match(g, subject, lookup) {
			return false
		}
	}
	return true
}

// Match reports whether the subject fulfils t in g.
func (t *Term) Match(g *rdf.Graph, subject rdf.Term) bool { return t.match(g, subject, nil) }

func (t *Term) match(g *rdf.Graph, subject rdf.Term, lookup Lookup) bool {
	for triple := range g.About(subject) {
		if t.Property != "*" && triple.P.Value != t.Property {
			continue
		}
		if t.Op == Scoped {
			if triple.O.Kind != rdf.Literal && t.Scope.MatchIn(g, triple.O, lookup) {
				return true
			}
			if triple.O.Kind == rdf.IRI && lookup != nil && len(triple.O.Value) <= MaxLink {
				if other := lookup(triple.O.Value); other != nil && t.Scope.MatchIn(other, triple.O, lookup) {
					return true
				}
			}
			continue
		}
		if t.holds(triple.O) {
			return true
		}
	}
	return false
}

// holds reports whether "have op values" holds.
func (t *Term) holds(have rdf.Term) bool {
	for _, v := range t.Values {
		if v.compare(t.Op, have) {
			return true
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
	if v.Bare {
		return want.Value == have.Value
	}
	return want == have
}
