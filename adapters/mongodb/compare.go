package mongodb

import (
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// difference returns the predicates whose values differ between two states of a
// resource, in the order of after and then of before. dcterms:modified does not
// count: it is what a difference leads to.
func difference(before, after *rdf.Graph) []string {
	a, b := before.Triples(), after.Triples()
	// The same mapping writes in the same order, so most of two states is equal
	// from the start. Only what follows needs a search.
	i, j := 0, 0
	for {
		for i < len(a) && a[i].P.Value == vocab.DCTermsModified {
			i++
		}
		for j < len(b) && b[j].P.Value == vocab.DCTermsModified {
			j++
		}
		if i == len(a) || j == len(b) || !sameTriple(&a[i], &b[j]) {
			break
		}
		i, j = i+1, j+1
	}
	var out []string
	add := func(t rdf.Triple) {
		if t.P.Value != vocab.DCTermsModified && !slices.Contains(out, t.P.Value) {
			out = append(out, t.P.Value)
		}
	}
	// What is in one state only is not among what is equal: a graph is a set.
	a, b = a[i:], b[j:]
	for i := range b {
		if !hasTriple(a, before, &b[i]) {
			add(b[i])
		}
	}
	for i := range a {
		if !hasTriple(b, after, &a[i]) {
			add(a[i])
		}
	}
	return out
}

// hasTriple reports whether t is among rest, the end of g, where it is if it is in g.
func hasTriple(rest []rdf.Triple, g *rdf.Graph, t *rdf.Triple) bool {
	const few = 32 // are looked through faster than an index
	if len(rest) > few {
		return g.Has(*t)
	}
	for i := range rest {
		if sameTriple(&rest[i], t) {
			return true
		}
	}
	return false
}

// sameTriple says what == says, in half the time for what two states share: a text that
// is the same memory is compared at once, and the value of the object, where triples
// differ, comes first.
func sameTriple(t, u *rdf.Triple) bool {
	return t.O.Value == u.O.Value && t.P.Value == u.P.Value && t.S.Value == u.S.Value &&
		t.O.Kind == u.O.Kind && t.S.Kind == u.S.Kind && t.O.Datatype == u.O.Datatype && t.O.Lang == u.O.Lang
}

// hiddenDifference returns the predicates whose hidden sums differ. known is false
// when there is nothing to compare with.
func hiddenDifference(before, after []Hidden, known bool) []string {
	if !known || slices.Equal(before, after) {
		return nil
	}
	var out []string
	for _, pair := range [][2][]Hidden{{after, before}, {before, after}} {
		for _, h := range pair[0] {
			if !slices.Contains(pair[1], h) && !slices.Contains(out, h.Predicate) {
				out = append(out, h.Predicate)
			}
		}
	}
	return out
}

// content returns text that is equal for equal graphs without blank nodes.
func content(g *rdf.Graph, withModified bool) string {
	lines := make([]string, 0, g.Len())
	for t := range g.All() {
		if !withModified && t.P.Value == vocab.DCTermsModified {
			continue
		}
		lines = append(lines, strings.Join([]string{
			t.S.Value, t.P.Value, string('0' + rune(t.O.Kind)), t.O.Value, t.O.Datatype, t.O.Lang,
		}, "\x00"))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\x01")
}
