package rdf

import "hash/maphash"

// An index finds triples and the triples of a subject in a slice of triples
// without holding a copy of any. The hashes are seeded, so that nobody can
// choose terms that collide.
type index struct {
	seed    maphash.Seed
	triples []int32 // open addressing: position + 1, or 0
	heads   map[Term]chain
	next    []int32 // next triple of the same subject, or -1
}

// A chain is the first and the last triple of a subject.
type chain struct{ first, last int32 }

func newIndex(ts []Triple) *index {
	x := &index{
		seed:    maphash.MakeSeed(),
		triples: make([]int32, 4*max(indexFrom, len(ts))),
		heads:   make(map[Term]chain, len(ts)/4),
	}
	for i := range ts {
		x.insert(ts, &ts[i], int32(i))
	}
	return x
}

func (x *index) hash(t *Triple) uint64 {
	h := maphash.String(x.seed, t.O.Value)
	h = h*0x9E3779B97F4A7C15 ^ maphash.String(x.seed, t.S.Value)
	return h*0x9E3779B97F4A7C15 ^ maphash.String(x.seed, t.P.Value)
}

// slot returns where t is in x.triples, or where it would go.
func (x *index) slot(ts []Triple, t *Triple) int {
	n := uint64(len(x.triples))
	for k := x.hash(t) % n; ; k = (k + 1) % n {
		i := x.triples[k]
		if i == 0 {
			return int(k)
		}
		if u := &ts[i-1]; u.O == t.O && u.P == t.P && u.S == t.S {
			return int(k)
		}
	}
}

// find returns the position of t, or -1.
func (x *index) find(ts []Triple, t *Triple) int {
	return int(x.triples[x.slot(ts, t)]) - 1
}

// add notes that t is about to follow ts; false means that it is there already.
func (x *index) add(ts []Triple, t *Triple) bool {
	if 2*len(ts) >= len(x.triples) {
		x.triples = make([]int32, 2*len(x.triples))
		for i := range ts {
			x.triples[x.slot(ts, &ts[i])] = int32(i) + 1
		}
	}
	k := x.slot(ts, t)
	if x.triples[k] != 0 {
		return false
	}
	x.triples[k] = int32(len(ts)) + 1
	x.link(t, int32(len(ts)))
	return true
}

func (x *index) insert(ts []Triple, t *Triple, at int32) {
	x.triples[x.slot(ts, t)] = at + 1
	x.link(t, at)
}

func (x *index) link(t *Triple, at int32) {
	x.next = append(x.next, -1)
	c, ok := x.heads[t.S]
	if ok {
		x.next[c.last] = at
		c.last = at
	} else {
		c = chain{at, at}
	}
	x.heads[t.S] = c
}

func (x *index) first(s *Term) int32 {
	if c, ok := x.heads[*s]; ok {
		return c.first
	}
	return -1
}
