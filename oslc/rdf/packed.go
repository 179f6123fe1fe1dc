package rdf

import (
	"encoding/binary"
	"slices"
	"strings"
)

// A Packed is a graph as one value without pointers inside: it takes about a
// third of the memory, and the garbage collector has nothing to look through. It
// is for graphs that are kept in number and seldom looked at. The zero value is
// the empty graph.
type Packed string

// What the first byte of a packed triple says beside the kinds of subject (the
// lowest two bits) and object (the next two). The predicate is an IRI.
const (
	packedSame     = 1 << (4 + iota) // the subject is that of the triple before
	packedDatatype                   // the object has one
	packedLang
)

// Pack returns g packed.
func Pack(g *Graph) Packed {
	ts := g.Triples()
	if len(ts) == 0 {
		return ""
	}
	size := binary.MaxVarintLen32
	for i := range ts {
		t := &ts[i]
		size += len(t.P.Value) + len(t.O.Value) + 8
		if i == 0 || !sameNode(&t.S, &ts[i-1].S) {
			size += len(t.S.Value) + 4
		}
		if n := len(t.O.Datatype) + len(t.O.Lang); n > 0 {
			size += n + 4
		}
	}
	var b strings.Builder // what it holds becomes a string without a copy
	b.Grow(size)
	number := func(n int) {
		for ; n >= 0x80; n >>= 7 {
			b.WriteByte(byte(n) | 0x80)
		}
		b.WriteByte(byte(n))
	}
	text := func(s string) {
		number(len(s))
		b.WriteString(s)
	}
	number(len(ts))
	for i := range ts {
		t := &ts[i]
		flags := byte(t.S.Kind) | byte(t.O.Kind)<<2
		same := i > 0 && sameNode(&t.S, &ts[i-1].S)
		if same {
			flags |= packedSame
		}
		if t.O.Datatype != "" {
			flags |= packedDatatype
		}
		if t.O.Lang != "" {
			flags |= packedLang
		}
		b.WriteByte(flags)
		if !same {
			text(t.S.Value)
		}
		text(t.P.Value)
		text(t.O.Value)
		if t.O.Datatype != "" {
			text(t.O.Datatype)
		}
		if t.O.Lang != "" {
			text(t.O.Lang)
		}
	}
	return Packed(b.String())
}

// Graph returns the graph that was packed, in the same order. Its terms share the
// memory of p.
func (p Packed) Graph() *Graph {
	g := &Graph{}
	if p == "" {
		return g
	}
	rest := string(p)
	number := func() int {
		// Of a string, which encoding/binary does not read; it is from Pack.
		var n, shift uint
		for i := 0; ; i++ {
			c := rest[i]
			n |= uint(c&0x7f) << shift
			if c < 0x80 {
				rest = rest[i+1:]
				return int(n)
			}
			shift += 7
		}
	}
	text := func() string {
		n := number()
		s := rest[:n]
		rest = rest[n:]
		return s
	}
	n := number()
	g.triples = slices.Grow(g.triples, n+1) // one more is often added
	var t Triple
	t.P.Kind = IRI
	for range n {
		flags := rest[0]
		rest = rest[1:]
		if flags&packedSame == 0 {
			t.S = Term{Kind: Kind(flags & 3), Value: text()}
		}
		t.P.Value = text()
		t.O = Term{Kind: Kind(flags >> 2 & 3), Value: text()}
		if flags&packedDatatype != 0 {
			t.O.Datatype = text()
		}
		if flags&packedLang != 0 {
			t.O.Lang = text()
		}
		g.triples = append(g.triples, t)
	}
	return g
}
