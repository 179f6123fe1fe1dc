// Package jsonld writes JSON-LD 1.1 and reads the part of it that needs no
// context processing: documents without a context, or whose contexts hold
// nothing but prefixes and simple names. Package processor, below it, reads the rest.
package jsonld

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/layout"
)

const format = "jsonld"

// Append appends g to dst as one JSON object: an inline context with the
// prefixes it uses, and the one resource or an @graph of several. Keys are
// sorted, every typed value is a string with its datatype, so that no number
// loses a digit, and blank nodes that are used once are nested. The same graph
// gives the same bytes. The error is a *rdf.WriteError if a term cannot be
// written; dst is then returned unchanged.
func Append(dst []byte, g *rdf.Graph) ([]byte, error) {
	p := layout.Of(g)
	defer p.Release()
	var groups [64]group
	w := writer{p: p, b: dst, groups: groups[:0]}
	w.context()
	top := 0
	for i := range p.Subjects {
		if s := &p.Subjects[i]; s.First < s.End && !p.Nested(int32(i)) {
			top++
		}
	}
	// A document in which blank nodes only lead to each other has no top: they
	// all come in the second pass.
	single := top == 1 && w.reachable()
	d := 1
	if !single {
		w.key("@graph", 1)
		w.b = append(w.b, '[')
		d = 2
	}
	first := true
	for pass := range 2 {
		for i := range p.Subjects {
			s := &p.Subjects[i]
			if s.Done || s.First == s.End || pass == 0 && p.Nested(int32(i)) {
				continue
			}
			if !single {
				if !first {
					w.b = append(w.b, ',')
				}
				w.line(d)
				w.b = append(w.b, '{')
			}
			w.node(int32(i), d, single, false)
			if !single {
				w.line(d)
				w.b = append(w.b, '}')
			}
			first = false
		}
	}
	if !single {
		if !first {
			w.line(1)
		}
		w.b = append(w.b, ']')
	}
	w.b = append(w.b, "\n}\n"...)
	if w.err != nil {
		return dst, w.err
	}
	return w.b, nil
}

type writer struct {
	p      *layout.Plan
	b      []byte
	banned [64]bool // prefixes that an IRI's scheme would be mistaken for
	groups []group  // of the nodes being written, the innermost last
	err    error
}

func (w *writer) fail(t rdf.Term, msg string) {
	if w.err == nil {
		w.err = &rdf.WriteError{Format: format, Term: t, Msg: msg}
	}
}

// reachable reports whether every described subject hangs below the main one
// within the depth that is nested, so that one object can hold the document.
func (w *writer) reachable() bool {
	p := w.p
	depth := make([]int, len(p.Subjects))
	queue := []int32{0}
	depth[0] = 1
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		if depth[i] > layout.MaxNesting {
			return false
		}
		for _, a := range p.Arcs[p.Subjects[i].First:p.Subjects[i].End] {
			if a.To >= 0 && a.Triple.O.Kind == rdf.Blank && p.Nested(a.To) && depth[a.To] == 0 {
				depth[a.To] = depth[i] + 1
				queue = append(queue, a.To)
			}
		}
	}
	for i := range p.Subjects {
		if p.Subjects[i].First < p.Subjects[i].End && depth[i] == 0 {
			return false
		}
	}
	return true
}

func (w *writer) context() {
	p := w.p
	var used [64]bool
	ban := func(iri string) {
		k := strings.IndexByte(iri, ':')
		if k <= 0 || strings.HasPrefix(iri[k+1:], "//") {
			return
		}
		for i := range layout.Table {
			if iri[:k] == layout.Table[i].Name {
				w.banned[i] = true
			}
		}
	}
	use := func(n *layout.Name) {
		ban(n.IRI)
		if n.NS >= 0 {
			used[n.NS] = true
		}
	}
	for i := range p.Subjects {
		if s := &p.Subjects[i]; s.Term.Kind == rdf.IRI {
			ban(s.Term.Value)
		}
	}
	for i := range p.Arcs {
		a := &p.Arcs[i]
		o := &a.Triple.O
		if a.Class >= 0 {
			use(&p.Names[a.Class])
		}
		if p.Names[a.Name].Rank == 0 && o.Kind == rdf.IRI {
			continue
		}
		use(&p.Names[a.Name])
		if o.Kind == rdf.IRI {
			ban(o.Value)
		}
	}
	w.b = append(w.b, "{\n  \"@context\": {"...)
	first := true
	for _, i := range contextOrder {
		if !used[i] || w.banned[i] {
			continue
		}
		if !first {
			w.b = append(w.b, ',')
		}
		first = false
		w.line(2)
		w.text(layout.Table[i].Name)
		w.b = append(w.b, ": "...)
		w.text(layout.Table[i].IRI)
	}
	if !first {
		w.line(1)
	}
	w.b = append(w.b, '}')
}

// contextOrder lists layout.Table by prefix, since keys are sorted.
var contextOrder = func() []int {
	order := make([]int, len(layout.Table))
	for i := range order {
		at := i
		for at > 0 && layout.Table[order[at-1]].Name > layout.Table[i].Name {
			order[at] = order[at-1]
			at--
		}
		order[at] = i
	}
	return order
}()

const spaces = "                                "

func (w *writer) line(d int) {
	w.b = append(append(w.b, '\n'), spaces[:min(2*d, len(spaces))]...)
}

// key starts a member of an object that already has one.
func (w *writer) key(name string, d int) {
	w.b = append(w.b, ',')
	w.line(d)
	w.text(name)
	w.b = append(w.b, ": "...)
}

// node writes the members of subject i at depth d. inContext is set where
// members precede it in the same object, nested where the object stands in the
// place of the only reference to it and so needs no label.
func (w *writer) node(i int32, d int, inContext, nested bool) {
	p := w.p
	s := &p.Subjects[i]
	s.Done = true
	started := inContext
	member := func(name string) {
		if started {
			w.b = append(w.b, ',')
		}
		started = true
		w.line(d + 1 - btoi(inContext))
		w.text(name)
		w.b = append(w.b, ": "...)
	}
	deep := d + 1 - btoi(inContext)
	switch {
	case s.Term.Kind == rdf.IRI:
		member("@id")
		w.iri(s.Term)
	case s.Refs > 0 && !nested:
		member("@id")
		w.label(i)
	}
	// Types that are IRIs go under @type; rdf:type keeps any others.
	typesEnd := s.First
	for typesEnd < s.End && p.Names[p.Arcs[typesEnd].Name].Rank == 0 && p.Arcs[typesEnd].Triple.O.Kind == rdf.IRI {
		typesEnd++
	}
	if typesEnd > s.First {
		member("@type")
		w.list(s.First, typesEnd, deep, func(a *layout.Arc, _ int) {
			w.name(a.Triple.O, &p.Names[a.Class])
		})
	}
	from := len(w.groups)
	for k := typesEnd; k < s.End; {
		end := k + 1
		for end < s.End && p.Arcs[end].Name == p.Arcs[k].Name {
			end++
		}
		w.groups = append(w.groups, group{w.short(&p.Names[p.Arcs[k].Name]), k, end})
		k = end
	}
	to := len(w.groups)
	slices.SortFunc(w.groups[from:to], func(a, b group) int { return strings.Compare(a.key, b.key) })
	for i := from; i < to; i++ {
		m := w.groups[i] // values append to groups
		if !chars.CleanIRI(m.key) {
			w.fail(p.Arcs[m.from].Triple.P, "not an IRI")
		}
		member(m.key)
		w.list(m.from, m.to, deep, w.value)
	}
	w.groups = w.groups[:from]
}

// A group is the arcs with one predicate.
type group struct {
	key      string
	from, to int32
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// list writes one value plainly and several as an array.
func (w *writer) list(from, to int32, d int, one func(*layout.Arc, int)) {
	if to-from == 1 {
		one(&w.p.Arcs[from], d)
		return
	}
	w.b = append(w.b, '[')
	for k := from; k < to; k++ {
		if k > from {
			w.b = append(w.b, ',')
		}
		w.line(d + 1)
		one(&w.p.Arcs[k], d+1)
	}
	w.line(d)
	w.b = append(w.b, ']')
}

func (w *writer) value(a *layout.Arc, d int) {
	o := &a.Triple.O
	switch o.Kind {
	case rdf.IRI:
		w.b = append(w.b, `{"@id": `...)
		w.iri(*o)
		w.b = append(w.b, '}')
	case rdf.Blank:
		w.blank(a, d)
	case rdf.Literal:
		w.literal(a)
	default:
		w.fail(*o, "not a term")
	}
}

func (w *writer) blank(a *layout.Arc, d int) {
	i := a.To
	s := &w.p.Subjects[i]
	if s.Done || !w.p.Nested(i) || d > 2*layout.MaxNesting+2 {
		w.b = append(w.b, `{"@id": `...)
		w.label(i)
		w.b = append(w.b, '}')
		return
	}
	if items, ok := w.p.List(a); ok {
		// Nested lists use the same scratch: take a copy before going deeper.
		items = slices.Clone(items)
		w.p.MarkList(i)
		w.b = append(w.b, `{"@list": [`...)
		for n, k := range items {
			if n > 0 {
				w.b = append(w.b, ',')
			}
			w.line(d + 1)
			w.value(&w.p.Arcs[k], d+2) // an object and an array deeper
		}
		w.line(d)
		w.b = append(w.b, "]}"...)
		return
	}
	if s.First == s.End {
		s.Done = true
		w.b = append(w.b, `{"@id": `...)
		w.label(i)
		w.b = append(w.b, '}')
		return
	}
	w.b = append(w.b, '{')
	w.node(i, d, false, true)
	w.line(d)
	w.b = append(w.b, '}')
}

func (w *writer) literal(a *layout.Arc) {
	o := &a.Triple.O
	switch {
	case o.Lang != "":
		if !chars.IsLangTag(o.Lang) {
			w.fail(*o, "not a language tag")
		}
		w.b = append(w.b, `{"@language": `...)
		w.text(o.Lang)
		w.b = append(w.b, `, "@value": `...)
		w.text(o.Value)
		w.b = append(w.b, '}')
	case a.Class >= 0:
		w.b = append(w.b, `{"@type": `...)
		w.name(rdf.NewIRI(o.Datatype), &w.p.Names[a.Class])
		w.b = append(w.b, `, "@value": `...)
		w.text(o.Value)
		w.b = append(w.b, '}')
	default:
		w.text(o.Value)
	}
}

func (w *writer) name(t rdf.Term, n *layout.Name) {
	if !chars.CleanIRI(n.IRI) {
		w.fail(t, "not an IRI")
	}
	w.text(w.short(n))
}

// short returns the compact form of an IRI where a prefix of the context fits.
func (w *writer) short(n *layout.Name) string {
	if n.NS < 0 || w.banned[n.NS] {
		return n.IRI
	}
	return n.Short
}

func (w *writer) iri(t rdf.Term) {
	if !chars.CleanIRI(t.Value) {
		w.fail(t, "not an IRI")
	}
	w.text(t.Value)
}

func (w *writer) label(i int32) {
	w.b = strconv.AppendInt(append(w.b, `"_:b`...), int64(w.p.Label(i)), 10)
	w.b = append(w.b, '"')
}

const hex = "0123456789abcdef"

func (w *writer) text(s string) { w.b = appendString(w.b, s) }

// special says which bytes are not copied as they are.
var special = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c < 0x20 || c >= 0x80 || c == '"' || c == '\\'
	}
	return t
}()

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		if !special[c] {
			i++
			continue
		}
		if c >= 0x80 {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[last:i]...), "\uFFFD"...)
				last = i + 1
			}
			i += n
			continue
		}
		b = append(append(b, s[last:i]...), '\\')
		switch c {
		case '"', '\\':
			b = append(b, c)
		case '\n':
			b = append(b, 'n')
		case '\r':
			b = append(b, 'r')
		case '\t':
			b = append(b, 't')
		default:
			b = append(b, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		last = i
	}
	b = append(b, s[last:]...)
	return append(b, '"')
}
