package query

import "github.com/oslcbus/oslcbus/oslc/rdf"

// Apply adds to the graph to what s selects of the subject in g: everything when s
// is nil. Of a blank node that a property leads to, all is added; what a nested
// selection asks of another resource is taken from g, and from the graph that lookup
// has of it. Blank nodes keep their labels.
func (s Selection) Apply(to, g *rdf.Graph, subject rdf.Term, lookup Lookup) {
	if s == nil {
		to.AddGraph(g)
		return
	}
	a := applying{to: to, lookup: lookup, done: map[applied]bool{}}
	a.apply(s, g, subject)
}

// applying is one Apply. What was selected once of a node is not looked at again:
// links that form circles could be followed without end.
type applying struct {
	to     *rdf.Graph
	lookup Lookup
	done   map[applied]bool
}

type applied struct {
	of   *Selected
	in   *rdf.Graph
	node rdf.Term
}

func (a *applying) apply(s Selection, g *rdf.Graph, subject rdf.Term) {
	for i := range s {
		one := &s[i]
		key := applied{one, g, subject}
		if a.done[key] {
			continue
		}
		a.done[key] = true
		for t := range g.About(subject) {
			if one.Property != "*" && one.Property != t.P.Value {
				continue
			}
			a.to.AddTriple(t)
			switch {
			case t.O.Kind == rdf.Blank && one.Nested == nil:
				whole(a.to, g, t.O)
			case t.O.Kind != rdf.Literal && one.Nested != nil:
				a.apply(one.Nested, g, t.O)
				if a.lookup == nil || t.O.Kind != rdf.IRI {
					continue
				}
				if other := a.lookup(t.O.Value); other != nil && other != g {
					a.apply(one.Nested, other, t.O)
				}
			}
		}
	}
}

// whole adds what is said of a blank node, and of those that it leads to.
func whole(to, g *rdf.Graph, node rdf.Term) {
	for t := range g.About(node) {
		if to.AddTriple(t) && t.O.Kind == rdf.Blank {
			whole(to, g, t.O)
		}
	}
}

// Follows reports whether s asks for properties of other resources.
func (s Selection) Follows() bool {
	for i := range s {
		if s[i].Nested != nil {
			return true
		}
	}
	return false
}
