package rdf

import (
	"iter"
	"slices"
	"time"
)

// A Graph is a set of triples that keeps the order in which they were added.
// The zero value is an empty graph. It may be read by many goroutines once
// nobody adds to it any more.
type Graph struct {
	triples []Triple
	index   *index // built once the graph is large
}

// Below this size a scan is faster than an index, and most events stay below it.
const indexFrom = 48

// NewGraph returns a graph that holds ts.
func NewGraph(ts ...Triple) *Graph {
	g := &Graph{triples: make([]Triple, 0, max(len(ts), 16))}
	for i := range ts {
		g.add(&ts[i])
	}
	return g
}

// Len returns the number of triples.
func (g *Graph) Len() int {
	if g == nil {
		return 0
	}
	return len(g.triples)
}

// Add adds a triple with an IRI as predicate. It reports whether the triple is
// new: a graph is a set.
func (g *Graph) Add(s Term, p string, o Term) bool {
	return g.add(&Triple{s, Term{Kind: IRI, Value: p}, o})
}

// AddTriple adds t and reports whether it is new.
func (g *Graph) AddTriple(t Triple) bool { return g.add(&t) }

func (g *Graph) add(t *Triple) bool {
	if g.index == nil && len(g.triples) >= indexFrom {
		g.index = newIndex(g.triples, cap(g.triples))
	}
	if g.index != nil {
		if !g.index.add(g.triples, t) {
			return false
		}
	} else if g.has(t) {
		return false
	}
	g.triples = append(g.triples, *t)
	return true
}

// AddGraph adds every triple of other. Blank nodes keep their labels: rename
// them first where the two graphs do not share them.
func (g *Graph) AddGraph(other *Graph) {
	ts := other.Triples()
	if g.index == nil && len(g.triples)+len(ts) < 2*indexFrom && !g.sharesSubject(ts) {
		g.triples = append(g.triples, ts...)
		return
	}
	for i := range ts {
		g.add(&ts[i])
	}
}

// sharesSubject reports whether a subject of ts is one of g. Triples about one
// subject mostly follow each other.
func (g *Graph) sharesSubject(ts []Triple) bool {
	for i := range ts {
		if i > 0 && sameNode(&ts[i].S, &ts[i-1].S) {
			continue
		}
		for k := range g.triples {
			if k > 0 && sameNode(&g.triples[k].S, &g.triples[k-1].S) {
				continue
			}
			if sameNode(&g.triples[k].S, &ts[i].S) {
				return true
			}
		}
	}
	return false
}

// sameNode reports whether two subjects are one: they have no datatype and no
// language. Most often the two share the memory of their text.
func sameNode(t, u *Term) bool { return t.Kind == u.Kind && t.Value == u.Value }

// Reset empties g and keeps its memory for what is added next.
func (g *Graph) Reset() {
	clear(g.triples)
	g.triples, g.index = g.triples[:0], nil
}

// Grow makes room for n more triples.
func (g *Graph) Grow(n int) { g.triples = slices.Grow(g.triples, n) }

// Expect makes room for the rest of a document of total bytes, of which done have
// been read, at the rate at which it has filled g so far. It does nothing while
// there is room left. Readers call it before they add a triple.
func (g *Graph) Expect(done, total int) {
	if n := len(g.triples); n == cap(g.triples) && n > 0 {
		g.expect(done, total)
	}
}

// The rest of a document may be quite unlike its beginning: beyond this many
// triples room is made for no more than four times what is there.
const expectFreely = DefaultMaxTriples

func (g *Graph) expect(done, total int) {
	n := len(g.triples)
	all := 1.05 * float64(n) * float64(total) / float64(max(done, 1))
	most := max(4*n, expectFreely) - n
	more := most
	if all < float64(n+most) {
		more = max(int(all)-n, 8)
	}
	g.triples = slices.Grow(g.triples, more)
	if g.index != nil {
		g.index.reserve(cap(g.triples))
	}
}

// Has reports whether t is in the graph.
func (g *Graph) Has(t Triple) bool {
	return g != nil && g.has(&t)
}

func (g *Graph) has(t *Triple) bool {
	if g.index != nil {
		return g.index.find(g.triples, t) >= 0
	}
	for i := range g.triples {
		// The object differs most often, and mostly in its length.
		if u := &g.triples[i]; len(u.O.Value) == len(t.O.Value) && u.O == t.O && u.P == t.P && u.S == t.S {
			return true
		}
	}
	return false
}

// Triples returns the triples in order. The caller must not change them.
func (g *Graph) Triples() []Triple {
	if g == nil {
		return nil
	}
	return g.triples
}

// All yields the triples in order.
func (g *Graph) All() iter.Seq[Triple] {
	return func(yield func(Triple) bool) {
		for _, t := range g.Triples() {
			if !yield(t) {
				return
			}
		}
	}
}

// About yields the triples with subject s, in order.
func (g *Graph) About(s Term) iter.Seq[Triple] {
	return func(yield func(Triple) bool) {
		if g == nil {
			return
		}
		if g.index != nil {
			for i := g.index.first(g.triples, &s); i >= 0; i = g.index.next[i] {
				if !yield(g.triples[i]) {
					return
				}
			}
			return
		}
		for i := range g.triples {
			if g.triples[i].S == s && !yield(g.triples[i]) {
				return
			}
		}
	}
}

// Objects returns the objects of s and p, in order.
func (g *Graph) Objects(s Term, p string) []Term {
	var out []Term
	for t := range g.About(s) {
		if t.P.Value == p {
			out = append(out, t.O)
		}
	}
	return out
}

// Object returns the first object of s and p, or the zero Term.
func (g *Graph) Object(s Term, p string) Term {
	for t := range g.About(s) {
		if t.P.Value == p {
			return t.O
		}
	}
	return Term{}
}

// Value returns the value of the first object of s and p, or "".
func (g *Graph) Value(s Term, p string) string { return g.Object(s, p).Value }

// Subjects returns the distinct subjects that have p with object o, in order.
func (g *Graph) Subjects(p string, o Term) []Term {
	var out []Term
	for _, t := range g.Triples() {
		if t.O == o && t.P.Value == p {
			out = append(out, t.S)
		}
	}
	return out
}

// OfType returns the subjects with the given rdf:type.
func (g *Graph) OfType(class string) []Term { return g.Subjects(Type, NewIRI(class)) }

// IsA reports whether s has the given rdf:type.
func (g *Graph) IsA(s Term, class string) bool { return g.Has(Triple{s, NewIRI(Type), NewIRI(class)}) }

// Without returns a copy of g that lacks the triples of which drop says true.
func (g *Graph) Without(drop func(Triple) bool) *Graph {
	return g.without(func(t *Triple) bool { return drop(*t) })
}

// WithoutPredicates returns a copy of g that lacks the triples with one of the
// predicates.
func (g *Graph) WithoutPredicates(iris ...string) *Graph {
	return g.without(func(t *Triple) bool { return slices.Contains(iris, t.P.Value) })
}

func (g *Graph) without(drop func(*Triple) bool) *Graph {
	ts := g.Triples()
	kept := make([]Triple, 0, len(ts)) // a part of a set is a set
	from := 0
	for i := range ts {
		if drop(&ts[i]) {
			kept = append(kept, ts[from:i]...)
			from = i + 1
		}
	}
	out := &Graph{triples: append(kept, ts[from:]...)}
	if len(out.triples) >= indexFrom {
		out.index = newIndex(out.triples, 0)
	}
	return out
}

// Relabel returns a copy of g in which every blank node label starts with
// prefix, so that graphs from different documents can be put together.
func (g *Graph) Relabel(prefix string) *Graph {
	out := NewGraph()
	rename := func(t Term) Term {
		if t.Kind == Blank {
			t.Value = prefix + t.Value
		}
		return t
	}
	for _, t := range g.Triples() {
		out.AddTriple(Triple{rename(t.S), t.P, rename(t.O)})
	}
	return out
}

// A Node adds triples about one subject. Its methods return the Node, so a
// mapping reads like the data; values that are not there (an empty string, the
// zero time) add nothing.
type Node struct {
	g *Graph
	s Term
}

// Node returns a builder for triples about the IRI.
func (g *Graph) Node(iri string) Node { return Node{g, NewIRI(iri)} }

// NodeOf returns a builder for triples about s.
func (g *Graph) NodeOf(s Term) Node { return Node{g, s} }

// Term returns the subject.
func (n Node) Term() Term { return n.s }

// A gives the node types.
func (n Node) A(classes ...string) Node {
	for _, c := range classes {
		n.g.Add(n.s, Type, NewIRI(c))
	}
	return n
}

// Add adds objects; those without a kind are left out.
func (n Node) Add(p string, objects ...Term) Node {
	for _, o := range objects {
		if !o.IsZero() {
			n.g.Add(n.s, p, o)
		}
	}
	return n
}

// Link adds IRIs as objects.
func (n Node) Link(p string, iris ...string) Node {
	for _, i := range iris {
		if i != "" {
			n.g.Add(n.s, p, NewIRI(i))
		}
	}
	return n
}

// String adds plain strings.
func (n Node) String(p string, values ...string) Node {
	for _, v := range values {
		if v != "" {
			n.g.Add(n.s, p, String(v))
		}
	}
	return n
}

// Bool adds a boolean.
func (n Node) Bool(p string, v bool) Node { return n.Add(p, Bool(v)) }

// Int adds an integer.
func (n Node) Int(p string, v int64) Node { return n.Add(p, Int(v)) }

// Time adds an instant.
func (n Node) Time(p string, v time.Time) Node {
	if v.IsZero() {
		return n
	}
	return n.Add(p, Time(v))
}
