package rdf

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// An index finds triples and the triples of a subject in a slice of triples
// without holding a copy of any. The hashes are seeded, so that nobody can
// choose terms that collide.
//
// Its two tables have open addressing and a size that is a power of two. An entry
// is the upper half of a hash and, in the lower half, a place + 1; 0 is free.
type index struct {
	seed     maphash.Seed
	triples  []uint64 // places of triples
	subjects []uint64 // places in chains
	chains   []chain
	next     []int32 // next triple of the same subject, or -1
	last     int32   // chain of the triple that was added last
	lastHash uint64  // hash of its subject
}

// A chain is the first and the last triple of a subject.
type chain struct{ first, last int32 }

// newIndex returns an index of ts with room for size triples.
func newIndex(ts []Triple, size int) *index {
	size = max(size, len(ts), indexFrom)
	x := &index{
		seed:     maphash.MakeSeed(),
		triples:  make([]uint64, tableSize(size)),
		subjects: make([]uint64, tableSize(max(indexFrom, len(ts))/4)),
		next:     make([]int32, 0, size),
		last:     -1,
	}
	for i := range ts {
		x.add(ts[:i], &ts[i])
	}
	return x
}

// tableSize returns the size of a table for n entries: half of it or more stays
// free.
func tableSize(n int) int { return 1 << bits.Len(uint(2*n-1)) }

// reserve makes room for n triples.
func (x *index) reserve(n int) {
	if size := tableSize(n); size > len(x.triples) {
		x.triples = grown(x.triples, size)
	}
	x.next = slices.Grow(x.next, n-len(x.next))
}

const upper = 0xFFFFFFFF_00000000

func (x *index) hashTerm(t *Term) uint64 { return maphash.String(x.seed, t.Value) }

// hash returns the hash of t, of whose subject s is the hash.
func (x *index) hash(t *Triple, s uint64) uint64 {
	h := maphash.String(x.seed, t.O.Value)
	h = h*0x9E3779B97F4A7C15 ^ s
	h = h*0x9E3779B97F4A7C15 ^ maphash.String(x.seed, t.P.Value)
	return h ^ h>>29
}

// slot returns where the triple t, whose hash is h, is in x.triples, or where it
// would go.
func (x *index) slot(ts []Triple, t *Triple, h uint64) int {
	mask := len(x.triples) - 1
	for k := int(h>>32) & mask; ; k = (k + 1) & mask {
		e := x.triples[k]
		if e == 0 {
			return k
		}
		if e&upper == h&upper {
			if u := &ts[uint32(e)-1]; u.O == t.O && u.P == t.P && u.S == t.S {
				return k
			}
		}
	}
}

// find returns the position of t, or -1.
func (x *index) find(ts []Triple, t *Triple) int {
	return int(uint32(x.triples[x.slot(ts, t, x.hash(t, x.hashTerm(&t.S)))])) - 1
}

// add notes that t is about to follow ts; false means that it is there already.
func (x *index) add(ts []Triple, t *Triple) bool {
	if x.last < 0 || ts[x.chains[x.last].first].S != t.S {
		x.last, x.lastHash = -1, x.hashTerm(&t.S)
	}
	if 2*len(ts) >= len(x.triples) {
		x.triples = grown(x.triples, 2*len(x.triples))
	}
	h := x.hash(t, x.lastHash)
	k := x.slot(ts, t, h)
	if x.triples[k] != 0 {
		if x.last < 0 {
			x.last = x.chain(ts, &t.S, x.lastHash)
		}
		return false
	}
	at := int32(len(ts))
	x.triples[k] = h&upper | uint64(at+1)
	x.next = append(x.next, -1)
	if x.last < 0 {
		x.last = x.chain(ts, &t.S, x.lastHash)
	}
	if x.last < 0 {
		x.begin(at)
		return true
	}
	c := &x.chains[x.last]
	x.next[c.last] = at
	c.last = at
	return true
}

// begin starts a chain with the triple at the place, whose subject has lastHash.
func (x *index) begin(at int32) {
	if 2*len(x.chains) >= len(x.subjects) {
		x.subjects = grown(x.subjects, 2*len(x.subjects))
	}
	x.last = int32(len(x.chains))
	x.chains = append(x.chains, chain{at, at})
	put(x.subjects, x.lastHash&upper|uint64(x.last+1))
}

// chain returns the place of the chain of the subject s, whose hash is h, or -1.
func (x *index) chain(ts []Triple, s *Term, h uint64) int32 {
	mask := len(x.subjects) - 1
	for k := int(h>>32) & mask; ; k = (k + 1) & mask {
		e := x.subjects[k]
		if e == 0 {
			return -1
		}
		if e&upper == h&upper {
			if c := int32(uint32(e)) - 1; ts[x.chains[c].first].S == *s {
				return c
			}
		}
	}
}

// grown returns a table of the given size with the entries of the old one.
func grown(old []uint64, size int) []uint64 {
	table := make([]uint64, size)
	for _, e := range old {
		if e != 0 {
			put(table, e)
		}
	}
	return table
}

// put puts an entry into the first free place for it.
func put(table []uint64, e uint64) {
	mask := len(table) - 1
	k := int(e>>32) & mask
	for table[k] != 0 {
		k = (k + 1) & mask
	}
	table[k] = e
}

// first returns the place of the first triple of s, or -1.
func (x *index) first(ts []Triple, s *Term) int32 {
	if c := x.chain(ts, s, x.hashTerm(s)); c >= 0 {
		return x.chains[c].first
	}
	return -1
}
