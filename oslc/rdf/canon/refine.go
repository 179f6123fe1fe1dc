package canon

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A color stands for what is said about a blank node, near and far. Isomorphic
// nodes have the same colour; nodes with different colours are not isomorphic.
type color [2]uint64

// A painter computes colours with seeds of its own, so that nobody can choose
// terms that collide.
type painter struct{ seeds [2]maphash.Seed }

// maxRefinement bounds the work of one refinement, in triples looked at.
const maxRefinement = 4_000_000

func (p *painter) hash(parts ...uint64) (c color) {
	var buf [64]byte
	b := buf[:0]
	for _, v := range parts {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return color{maphash.Bytes(p.seeds[0], b), maphash.Bytes(p.seeds[1], b)}
}

func (p *painter) term(t rdf.Term) color {
	var c color
	for i, seed := range p.seeds {
		c[i] = maphash.Comparable(seed, t)
	}
	return c
}

// refine colours the blank nodes of g: it starts with all alike and tells more
// and more apart by their neighbours, until that tells no more apart.
func (p *painter) refine(g *rdf.Graph) map[string]color {
	type arc struct {
		node, other string // blank nodes; other is empty for a term
		fixed       color  // predicate, direction and term
	}
	var arcs []arc
	colors := map[string]color{}
	for _, t := range g.Triples() {
		pred := p.term(t.P)
		for dir, ends := range [2][2]rdf.Term{{t.S, t.O}, {t.O, t.S}} {
			if ends[0].Kind != rdf.Blank {
				continue
			}
			colors[ends[0].Value] = color{}
			a := arc{node: ends[0].Value}
			switch {
			case ends[0] == ends[1]:
				a.fixed = p.hash(pred[0], pred[1], 2)
			case ends[1].Kind == rdf.Blank:
				a.other, a.fixed = "_"+ends[1].Value, p.hash(pred[0], pred[1], uint64(dir))
			default:
				o := p.term(ends[1])
				a.fixed = p.hash(pred[0], pred[1], uint64(dir), o[0], o[1])
			}
			arcs = append(arcs, a)
		}
	}
	distinct := min(len(colors), 1)
	for work := 0; work < maxRefinement; work += len(arcs) + 1 {
		next := make(map[string]color, len(colors))
		for label, c := range colors {
			next[label] = p.hash(c[0], c[1], 1)
		}
		for _, a := range arcs {
			h := a.fixed
			if a.other != "" {
				o := colors[a.other[1:]]
				h = p.hash(h[0], h[1], o[0], o[1])
			}
			// Sums do not depend on the order of the triples.
			c := next[a.node]
			c[0] += h[0]
			c[1] += h[1]
			next[a.node] = c
		}
		colors = next
		seen := make(map[color]struct{}, len(colors))
		for _, c := range colors {
			seen[c] = struct{}{}
		}
		if len(seen) == len(colors) || len(seen) == distinct && work > 0 {
			break
		}
		distinct = len(seen)
	}
	return colors
}

// match compares the colours of a and b. decided is false if blank nodes look
// alike, so that colours alone cannot say which corresponds to which.
func match(a, b *rdf.Graph) (same, decided bool) {
	p := painter{[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	x, y := p.refine(a), p.refine(b)
	if len(x) != len(y) {
		return false, true
	}
	byColor := make(map[color]string, len(y))
	for label, c := range y {
		byColor[c] = label
	}
	if len(byColor) < len(y) {
		return false, false
	}
	used := make(map[color]struct{}, len(x))
	for _, c := range x {
		used[c] = struct{}{}
	}
	if len(used) < len(x) {
		return false, true // alike in one graph, told apart in the other
	}
	to := func(t rdf.Term) (rdf.Term, bool) {
		if t.Kind != rdf.Blank {
			return t, true
		}
		label, ok := byColor[x[t.Value]]
		return rdf.NewBlank(label), ok
	}
	for _, t := range a.Triples() {
		var ok, also bool
		if t.S, ok = to(t.S); ok {
			t.O, also = to(t.O)
		}
		if !ok || !also || !b.Has(t) {
			return false, true
		}
	}
	return true, true
}
