package server

import (
	"slices"

	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// selected returns the part of g that oslc.properties asks for (OSLC Core 3.0, 7):
// the named properties of the subject, of what they lead to the nested ones, and of
// a blank node without nested ones everything.
func selected(g *rdf.Graph, subject rdf.Term, sel query.Selection) *rdf.Graph {
	out := rdf.NewGraph()
	choose(out, g, subject, sel, map[rdf.Term]bool{})
	return out
}

func choose(out, g *rdf.Graph, s rdf.Term, sel query.Selection, above map[rdf.Term]bool) {
	if above[s] {
		return
	}
	above[s] = true
	defer delete(above, s)
	for t := range g.About(s) {
		for _, one := range sel {
			if one.Property != "*" && one.Property != t.P.Value {
				continue
			}
			out.AddTriple(t)
			switch {
			case t.O.Kind == rdf.Literal:
			case one.Nested != nil:
				choose(out, g, t.O, one.Nested, above)
			case t.O.Kind == rdf.Blank:
				choose(out, g, t.O, everything, above)
			}
		}
	}
}

var everything = query.Selection{{Property: "*"}}

// properties returns the IRIs that a selection for a partial update names. ok is
// false for one that names properties of other resources, or any at all.
func properties(sel query.Selection) (names map[string]bool, ok bool) {
	names = map[string]bool{}
	for _, one := range sel {
		names[one.Property] = true
	}
	return names, !slices.ContainsFunc(sel, func(one query.Selected) bool { return one.Nested != nil || one.Property == "*" })
}
