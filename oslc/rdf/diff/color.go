package diff

import (
	"strconv"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// rounds bounds how far away from a blank node something may be and still tell
// it from others.
const rounds = 8

// A coloring gives each blank node a number that depends on what is said about
// it and about its neighbours, whatever their labels.
type coloring map[string]uint64

func colors(g *rdf.Graph) coloring {
	c := coloring{}
	for range rounds {
		next := make(coloring, len(c))
		for _, t := range g.Triples() {
			// Sums do not depend on the order of the triples.
			if t.S.Kind == rdf.Blank {
				next[t.S.Value] += mix(1, hash(t.P.Value), c.of(t.O))
			}
			if t.O.Kind == rdf.Blank {
				next[t.O.Value] += mix(2, hash(t.P.Value), c.of(t.S))
			}
		}
		c = next
	}
	return c
}

func (c coloring) of(t rdf.Term) uint64 {
	if t.Kind == rdf.Blank {
		return mix(3, c[t.Value], 0)
	}
	return mix(uint64(t.Kind)+4, hash(t.Value), mix(hash(t.Datatype), hash(t.Lang), 0))
}

// paint puts the colour of a blank node in the place of its label.
func (c coloring) paint(t rdf.Triple) rdf.Triple {
	if t.S.Kind == rdf.Blank {
		t.S.Value = strconv.FormatUint(c[t.S.Value], 16)
	}
	if t.O.Kind == rdf.Blank {
		t.O.Value = strconv.FormatUint(c[t.O.Value], 16)
	}
	return t
}

func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func mix(a, b, c uint64) uint64 {
	h := (a*0x9E3779B97F4A7C15 ^ b) * 0xBF58476D1CE4E5B9
	h = (h ^ h>>31 ^ c) * 0x94D049BB133111EB
	return h ^ h>>29
}
