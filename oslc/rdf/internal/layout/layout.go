// Package layout decides the order in which the writers put a graph, so that
// the same graph gives the same bytes in every syntax and every process.
//
// The main resource, the first subject with an IRI that was added, leads; other
// IRIs follow in the order of their text; blank nodes come last, ordered by what
// they say and only then by label. Within a subject rdf:type leads, the other
// predicates follow by well-known namespace and then by IRI, and objects are
// sorted.
package layout

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// MaxNesting is how deep writers nest nodes inside each other; deeper ones are
// written at the top and referred to.
const MaxNesting = 40

// Table is the well-known prefixes in their order.
var Table = rdf.Prefixes()

// A Name is what writers need to know about the IRI of a predicate, a class or
// a datatype. It does not depend on the document.
type Name struct {
	IRI string
	// NS is the place of the namespace in Table, or -1.
	NS int16
	// Rank orders predicates: rdf:type first, then by Table, then the rest.
	Rank uint8
	// Inline marks predicates whose object is written in place although it has
	// an IRI: clients of the established tools walk the XML tree.
	Inline bool
	// Reserved marks the names of RDF/XML syntax, which are no properties.
	Reserved bool
	// Clean marks IRIs that hold only characters that IRIs may hold.
	Clean bool
	// Simple marks local names that need no escape in Turtle.
	Simple bool
	// Cut is where the XML local name starts, or -1 if there is none.
	Cut int32
	// Short is the prefixed name, such as "dcterms:title", where NS is not -1.
	Short string
	// Tag is Short with ">\n" behind it where that is an XML name too, or empty.
	Tag string
	// Plain says that the IRI stands in an XML attribute as it is.
	Plain bool
	// order is Rank and then the first bytes of what is compared next: names in
	// the order of it are in order, and equal ones are not decided.
	order uint64
}

// Local returns the part after Cut.
func (n *Name) Local() string { return n.IRI[n.Cut:] }

// A Subject is one node and its arcs, Arcs[First:End] of the Plan.
type Subject struct {
	Term       rdf.Term
	First, End int32
	// Refs counts the arcs that lead to a blank node.
	Refs int32
	// Inlined is set when an Inline predicate of another subject leads here.
	Inlined bool
	// Done and Label are for the writer: already written, and the number of the
	// label it got (-1 for none).
	Done  bool
	Label int32
	hash  uint64
}

// An Arc is one triple in its place.
type Arc struct {
	Triple *rdf.Triple
	Name   int32 // in Plan.Names
	To     int32 // subject that the object is, for blank nodes and Inline; or -1
	// Class is the place in Plan.Names of the class that an rdf:type leads to, or
	// of the datatype of a literal that is no xsd:string; or -1.
	Class int32
	order uint64 // of the Name
}

// A Plan is the layout of one graph.
type Plan struct {
	Subjects []Subject
	Arcs     []Arc
	Names    []Name
	// Labels counts the labels that Label has given out.
	Labels int32
	// Scratch is room for a writer's strings, kept between documents.
	Scratch []string

	known  map[string]int32
	recent [1024]int32 // places + 1 in Names, by glance
	iris   map[string]int32
	blanks map[string]int32
	raw    []rawArc
	perm   []int32
	place  []int32
	items  []int32
}

type rawArc struct{ subj, name, to int32 }

var pool = sync.Pool{New: func() any {
	return &Plan{
		known:  make(map[string]int32, 64),
		iris:   make(map[string]int32),
		blanks: make(map[string]int32),
	}
}}

// A Plan that has grown beyond these is dropped rather than kept for reuse.
const (
	keepTriples = 4096
	keepNames   = 4096
)

// Of returns the layout of g. Give it back with Release.
func Of(g *rdf.Graph) *Plan {
	p := pool.Get().(*Plan)
	p.build(g.Triples())
	return p
}

// Release makes the Plan's memory available again; p is not to be used after.
func (p *Plan) Release() {
	if cap(p.Arcs) > keepTriples || len(p.Names) > keepNames {
		return
	}
	clear(p.Subjects)
	clear(p.Arcs)
	clear(p.Scratch)
	clear(p.iris)
	clear(p.blanks)
	p.Subjects, p.Arcs, p.Labels = p.Subjects[:0], p.Arcs[:0], 0
	pool.Put(p)
}

// Few subjects are found faster by looking at each than through a map.
const scanSubjects = 8

func (p *Plan) find(t *rdf.Term) int32 {
	if len(p.Subjects) <= scanSubjects {
		for i := range p.Subjects {
			if s := &p.Subjects[i].Term; s.Value == t.Value && s.Kind == t.Kind {
				return int32(i)
			}
		}
		return -1
	}
	m := p.iris
	if t.Kind == rdf.Blank {
		m = p.blanks
	}
	if i, ok := m[t.Value]; ok {
		return i
	}
	return -1
}

func (p *Plan) subject(t *rdf.Term) int32 {
	if i := p.find(t); i >= 0 {
		return i
	}
	i := int32(len(p.Subjects))
	p.Subjects = append(p.Subjects, Subject{Term: *t, Label: -1})
	switch {
	case i == scanSubjects:
		for k := range p.Subjects {
			p.remember(int32(k))
		}
	case i > scanSubjects:
		p.remember(i)
	}
	return i
}

func (p *Plan) remember(i int32) {
	if t := &p.Subjects[i].Term; t.Kind == rdf.Blank {
		p.blanks[t.Value] = i
	} else {
		p.iris[t.Value] = i
	}
}

func (p *Plan) build(ts []rdf.Triple) {
	p.raw = slices.Grow(p.raw[:0], len(ts))
	last := int32(-1)
	for i := range ts {
		t := &ts[i]
		if last < 0 || p.Subjects[last].Term.Value != t.S.Value || p.Subjects[last].Term.Kind != t.S.Kind {
			last = p.subject(&t.S)
		}
		p.Subjects[last].End++
		p.raw = append(p.raw, rawArc{last, p.Name(t.P.Value), -1})
	}
	blanks := 0
	for i := range ts {
		t, r := &ts[i], &p.raw[i]
		switch {
		case t.O.Kind == rdf.Blank:
			r.to = p.subject(&t.O)
			p.Subjects[r.to].Refs++
		case t.O.Kind == rdf.IRI && p.Names[r.name].Inline:
			if r.to = p.find(&t.O); r.to >= 0 && r.to != r.subj {
				p.Subjects[r.to].Inlined = true
			}
		}
	}
	for i := range p.Subjects {
		if p.Subjects[i].Term.Kind == rdf.Blank {
			blanks++
		}
	}
	if blanks > 1 {
		p.hash(ts)
	}
	p.sort(ts)
}

func (p *Plan) sort(ts []rdf.Triple) {
	n := len(p.Subjects)
	p.perm = slices.Grow(p.perm[:0], n)[:n]
	for i := range p.perm {
		p.perm[i] = int32(i)
	}
	// A reader may meet the blank nodes inside a resource before the resource.
	for i := range p.Subjects {
		if s := &p.Subjects[i]; s.Term.Kind == rdf.IRI && s.End > 0 {
			p.perm[0], p.perm[i] = p.perm[i], p.perm[0]
			break
		}
	}
	if n > 1 {
		slices.SortFunc(p.perm[1:], func(a, b int32) int {
			return compareSubjects(&p.Subjects[a], &p.Subjects[b])
		})
	}
	// Bring the subjects into that order, and learn where each of them went.
	p.place = slices.Grow(p.place[:0], n)[:n]
	for to, from := range p.perm {
		p.place[from] = int32(to)
	}
	for i := range p.perm {
		for j := p.place[i]; j != int32(i); j = p.place[i] {
			p.Subjects[i], p.Subjects[j] = p.Subjects[j], p.Subjects[i]
			p.place[i], p.place[j] = p.place[j], j
		}
	}
	for to, from := range p.perm {
		p.place[from] = int32(to)
	}
	at := int32(0)
	for i := range p.Subjects {
		s := &p.Subjects[i]
		s.First, at = at, at+s.End
		s.End = s.First
	}
	p.Arcs = slices.Grow(p.Arcs[:0], len(ts))[:len(ts)]
	for i := range ts {
		r := p.raw[i]
		s := &p.Subjects[p.place[r.subj]]
		a := Arc{Triple: &ts[i], Name: r.name, To: -1, Class: -1, order: p.Names[r.name].order}
		if r.to >= 0 {
			a.To = p.place[r.to]
		}
		switch o := &ts[i].O; {
		case o.Kind == rdf.IRI && p.Names[r.name].Rank == 0:
			a.Class = p.Name(o.Value)
		case o.Kind == rdf.Literal && o.Datatype != "" && o.Datatype != rdf.XSDString:
			a.Class = p.Name(o.Datatype)
		}
		p.Arcs[s.End] = a
		s.End++
	}
	for i := range p.Subjects {
		s := &p.Subjects[i]
		if s.End-s.First > 1 {
			p.sortArcs(p.Arcs[s.First:s.End])
		}
	}
}

func compareSubjects(a, b *Subject) int {
	if a.Term.Kind != b.Term.Kind {
		return cmp.Compare(a.Term.Kind, b.Term.Kind)
	}
	if a.Term.Kind == rdf.Blank {
		if a.hash != b.hash {
			return cmp.Compare(a.hash, b.hash)
		}
		if len(a.Term.Value) != len(b.Term.Value) {
			return cmp.Compare(len(a.Term.Value), len(b.Term.Value))
		}
	}
	return strings.Compare(a.Term.Value, b.Term.Value)
}

// Few arcs are sorted faster by insertion, and most subjects have few.
const insertArcs = 32

func (p *Plan) sortArcs(arcs []Arc) {
	if len(arcs) > insertArcs {
		slices.SortFunc(arcs, func(a, b Arc) int { return p.compareArcs(&a, &b) })
		return
	}
	for i := 1; i < len(arcs); i++ {
		if !p.before(&arcs[i], &arcs[i-1]) {
			continue
		}
		a, k := arcs[i], i
		for ; k > 0 && p.before(&a, &arcs[k-1]); k-- {
			arcs[k] = arcs[k-1]
		}
		arcs[k] = a
	}
}

func (p *Plan) before(a, b *Arc) bool {
	if a.order != b.order {
		return a.order < b.order
	}
	return p.compareArcs(a, b) < 0
}

func (p *Plan) compareArcs(a, b *Arc) int {
	if a.Name != b.Name {
		if a.order != b.order {
			return cmp.Compare(a.order, b.order)
		}
		return strings.Compare(p.Names[a.Name].IRI, p.Names[b.Name].IRI)
	}
	x, y := &a.Triple.O, &b.Triple.O
	if x.Kind != y.Kind {
		return cmp.Compare(x.Kind, y.Kind)
	}
	if x.Kind == rdf.Blank {
		return cmp.Compare(a.To, b.To)
	}
	if c := strings.Compare(x.Value, y.Value); c != 0 {
		return c
	}
	if c := strings.Compare(x.Datatype, y.Datatype); c != 0 {
		return c
	}
	return strings.Compare(x.Lang, y.Lang)
}

// rounds of hash: nodes that differ only further away than this are told apart
// by their labels.
const rounds = 4

// hash gives blank nodes a number that depends on what is said about them and
// not on their labels. The sums do not depend on the order of the triples.
func (p *Plan) hash(ts []rdf.Triple) {
	for range rounds {
		p.perm = slices.Grow(p.perm[:0], 2*len(p.Subjects))[:2*len(p.Subjects)]
		sums := p.perm
		clear(sums)
		for i := range ts {
			r := &p.raw[i]
			s := &p.Subjects[r.subj]
			if s.Term.Kind != rdf.Blank {
				continue
			}
			h := mix(fnv(p.Names[r.name].IRI), termHash(&ts[i].O))
			if ts[i].O.Kind == rdf.Blank {
				h = mix(h, p.Subjects[r.to].hash)
			}
			sum := uint64(uint32(sums[2*r.subj]))<<32 | uint64(uint32(sums[2*r.subj+1]))
			sum += h
			sums[2*r.subj], sums[2*r.subj+1] = int32(sum>>32), int32(sum)
		}
		for i := range p.Subjects {
			p.Subjects[i].hash = uint64(uint32(sums[2*i]))<<32 | uint64(uint32(sums[2*i+1]))
		}
	}
}

func termHash(t *rdf.Term) uint64 {
	if t.Kind == rdf.Blank {
		return 3
	}
	h := mix(uint64(t.Kind), fnv(t.Value))
	if t.Kind == rdf.Literal {
		h = mix(mix(h, fnv(t.Datatype)), fnv(t.Lang))
	}
	return h
}

func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func mix(a, b uint64) uint64 {
	h := (a ^ b>>29) * 0x9E3779B97F4A7C15
	return (h ^ h>>32) + b*0xBF58476D1CE4E5B9
}

// glance is a hash of a few bytes at the end of an IRI, where IRIs differ.
func glance(s string) uint16 {
	n := len(s)
	if n < 8 {
		return uint16(n)
	}
	t := s[n-8:]
	h := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
	return uint16((h + uint64(n)) * 0x9E3779B97F4A7C15 >> 54)
}

// Name returns the place in Names of what is known about the IRI.
func (p *Plan) Name(iri string) int32 {
	at := &p.recent[glance(iri)]
	if i := *at; i > 0 && p.Names[i-1].IRI == iri {
		return i - 1
	}
	i := p.name(iri)
	*at = i + 1
	return i
}

func (p *Plan) name(iri string) int32 {
	if i, ok := p.known[iri]; ok {
		return i
	}
	iri = strings.Clone(iri) // kept between documents; iri may be a piece of a large one
	i := int32(len(p.Names))
	p.Names = append(p.Names, describe(iri))
	p.known[iri] = i
	return i
}

func describe(iri string) Name {
	n := Name{IRI: iri, NS: -1, Rank: 255, Cut: -1, Clean: chars.CleanIRI(iri)}
	cut := 1 + strings.LastIndexAny(iri, "#/")
	local := iri[cut:]
	n.Simple = simpleLocal(local)
	if chars.IsNCName(local) || n.Simple {
		for i := range Table {
			if iri[:cut] == Table[i].IRI {
				n.NS, n.Rank = int16(i), uint8(1+i)
				break
			}
		}
	}
	switch {
	case chars.IsNCName(local):
		n.Cut = int32(cut)
	default:
		if k := chars.SplitName(iri); k > 0 {
			n.Cut = int32(k)
		}
	}
	if iri[:cut] == rdf.NS {
		switch local {
		case "type":
			n.Rank = 0
		case "RDF", "ID", "about", "bagID", "parseType", "resource", "nodeID", "datatype",
			"li", "Description", "aboutEach", "aboutEachPrefix":
			n.Reserved = true
		}
	}
	n.Inline = inline(iri)
	n.Plain = n.Clean && !strings.Contains(iri, "&") && chars.XMLText(iri) < 0
	n.order = uint64(n.Rank) << 56
	next := iri // with the same Rank below 255 the namespaces are the same
	if n.NS >= 0 {
		next = local
		tag := Table[n.NS].Name + ":" + local + ">\n"
		n.Short = tag[:len(tag)-2]
		if int(n.Cut) == cut {
			n.Tag = tag
		}
	}
	for i := range min(7, len(next)) {
		n.order |= uint64(next[i]) << (48 - 8*i)
	}
	return n
}

func simpleLocal(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !chars.IsAlpha(c) && !chars.IsDigit(c) && c != '_' && (c != '-' || i == 0) {
			return false
		}
	}
	return s != ""
}

func inline(iri string) bool {
	const (
		oslc = "http://open-services.net/ns/core#"
		trs  = "http://open-services.net/ns/core/trs#"
	)
	switch iri {
	case oslc + "serviceProvider", oslc + "service", oslc + "creationFactory",
		oslc + "queryCapability", oslc + "selectionDialog", oslc + "creationDialog",
		oslc + "property", trs + "changeLog", trs + "change",
		"http://www.w3.org/2000/01/rdf-schema#member":
		return true
	}
	return false
}

// Label returns the number of the label of subject i, giving it one if it has
// none. Numbers follow the order in which they are asked for.
func (p *Plan) Label(i int32) int32 {
	s := &p.Subjects[i]
	if s.Label < 0 {
		s.Label = p.Labels
		p.Labels++
	}
	return s.Label
}

// List returns the arcs of the items if arc a leads to a list that can be
// written as a collection: each cell an unshared blank node with just rdf:first
// and rdf:rest, not written yet. The result is good until the next call.
//
// A list is looked at from its head only: looking again from each of its cells
// would take time quadratic in its length.
func (p *Plan) List(a *Arc) (items []int32, ok bool) {
	if a.To < 0 || a.Triple.P.Value == rdf.Rest {
		return nil, false
	}
	i := a.To
	p.items = p.items[:0]
	for {
		s := &p.Subjects[i]
		if s.Done || s.Refs != 1 || s.Term.Kind != rdf.Blank || s.End-s.First != 2 {
			return nil, false
		}
		// rdf:first sorts before rdf:rest.
		first, rest := &p.Arcs[s.First], &p.Arcs[s.First+1]
		if first.Triple.P.Value != rdf.First || rest.Triple.P.Value != rdf.Rest {
			return nil, false
		}
		if len(p.items) > len(p.Arcs) {
			return nil, false
		}
		p.items = append(p.items, s.First)
		if o := &rest.Triple.O; o.Kind == rdf.IRI && o.Value == rdf.Nil {
			return p.items, true
		}
		if rest.To < 0 {
			return nil, false
		}
		i = rest.To
	}
}

// MarkList marks the cells of the list headed by i as written.
func (p *Plan) MarkList(i int32) {
	for i >= 0 && !p.Subjects[i].Done {
		p.Subjects[i].Done = true
		i = p.Arcs[p.Subjects[i].First+1].To
	}
}

// Nested reports whether subject i waits to be written inside another one: it
// is an unshared blank node. The main resource never waits.
func (p *Plan) Nested(i int32) bool {
	s := &p.Subjects[i]
	return i > 0 && s.Term.Kind == rdf.Blank && s.Refs == 1
}
