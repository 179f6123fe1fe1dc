// Package rdfxml reads and writes RDF/XML, the syntax that every OSLC client
// understands. It writes what XML-walking clients of the established tools can
// follow: typed node elements, resources declared inline where OSLC shows them
// so, property elements only, absolute IRIs only.
package rdfxml

import (
	"strconv"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/layout"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/xmltok"
)

const format = "rdfxml"

// Append appends g to dst as one document. The main resource, the first subject
// with an IRI that was added, leads. The same graph gives the same bytes.
//
// The error is a *rdf.WriteError if a predicate has no XML name (a local name
// that starts with a digit) or is reserved, or if an IRI is none; dst is then
// returned unchanged. A character that XML cannot carry becomes U+FFFD.
func Append(dst []byte, g *rdf.Graph) ([]byte, error) {
	p := layout.Of(g)
	defer p.Release()
	w := writer{p: p, b: dst, ext: p.Scratch[:0]}
	w.root()
	for pass := range 2 {
		for i := range p.Subjects {
			s := &p.Subjects[i]
			wait := p.Nested(int32(i)) || s.Inlined && i > 0
			if s.Done || s.First == s.End || pass == 0 && wait {
				continue
			}
			w.node(int32(i), 1, false)
		}
	}
	w.raw("</rdf:RDF>\n")
	p.Scratch = w.ext
	if w.err != nil {
		return dst, w.err
	}
	return w.b, nil
}

type writer struct {
	p    *layout.Plan
	b    []byte
	ext  []string       // namespaces outside the table, as ns1, ns2 and so on
	exts map[string]int // their places, once they are many
	err  error
}

func (w *writer) fail(t rdf.Term, msg string) {
	if w.err == nil {
		w.err = &rdf.WriteError{Format: format, Term: t, Msg: msg}
	}
}

func (w *writer) raw(s string) { w.b = append(w.b, s...) }

// root writes the XML declaration and the root element with every namespace
// that the document uses.
func (w *writer) root() {
	var used [64]bool
	mark := func(n *layout.Name) {
		switch {
		case inTable(n):
			used[n.NS] = true
		case w.extIndex(n) < 0:
			w.addExt(n.IRI[:n.Cut])
		}
	}
	p := w.p
	for i := range p.Arcs {
		a := &p.Arcs[i]
		n := &p.Names[a.Name]
		if n.Rank == 0 {
			if a.Class >= 0 && a.Triple.O.Kind == rdf.IRI {
				if c := &p.Names[a.Class]; usable(c) {
					mark(c)
				}
			}
			continue
		}
		switch {
		case n.Cut < 0:
			w.fail(a.Triple.P, "the predicate has no XML name")
		case n.Reserved:
			w.fail(a.Triple.P, "the predicate is a reserved name of RDF/XML")
		case !n.Clean:
			w.fail(a.Triple.P, "the predicate is not an IRI")
		default:
			mark(n)
		}
	}
	w.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rdf:RDF\n    xmlns:rdf=\"" + rdf.NS + "\"")
	for i, n := range layout.Table {
		if used[i] && n.IRI != rdf.NS {
			w.raw("\n    xmlns:")
			w.raw(n.Name)
			w.raw(`="`)
			w.raw(n.IRI)
			w.raw(`"`)
		}
	}
	for i, ns := range w.ext {
		w.raw("\n    xmlns:ns")
		w.b = strconv.AppendInt(w.b, int64(i+1), 10)
		w.raw(`="`)
		w.attr(ns)
		w.raw(`"`)
	}
	w.raw(">\n")
}

// inTable reports whether the XML name of n is in a well-known namespace.
func inTable(n *layout.Name) bool {
	return n.NS >= 0 && int(n.Cut) == len(layout.Table[n.NS].IRI)
}

// usable reports whether a class can be the name of a node element.
func usable(n *layout.Name) bool { return n.Cut > 0 && !n.Reserved && n.Clean }

// Few namespaces are found faster by looking at each than through a map.
const scanExt = 16

func (w *writer) addExt(ns string) {
	w.ext = append(w.ext, ns)
	switch {
	case w.exts != nil:
		w.exts[ns] = len(w.ext) - 1
	case len(w.ext) > scanExt:
		w.exts = make(map[string]int, 4*scanExt)
		for i, ns := range w.ext {
			w.exts[ns] = i
		}
	}
}

func (w *writer) extIndex(n *layout.Name) int {
	if w.exts != nil {
		if i, ok := w.exts[n.IRI[:n.Cut]]; ok {
			return i
		}
		return -1
	}
	for i, ns := range w.ext {
		if ns == n.IRI[:n.Cut] {
			return i
		}
	}
	return -1
}

func (w *writer) name(n *layout.Name) {
	if n.Tag != "" {
		w.raw(n.Short)
		return
	}
	w.b = strconv.AppendInt(append(w.b, "ns"...), int64(w.extIndex(n)+1), 10)
	w.b = append(w.b, ':')
	w.raw(n.Local())
}

const spaces = "                                                                                <"

func (w *writer) indent(d int) { w.raw(spaces[:min(4*d, len(spaces)-1)]) }

// open starts a tag at depth d, end writes a whole end tag without indentation.
func (w *writer) open(d int) { w.raw(spaces[max(0, len(spaces)-1-4*d):]) }

func (w *writer) end(n *layout.Name) {
	w.raw("</")
	if n.Tag != "" {
		w.raw(n.Tag)
		return
	}
	w.name(n)
	w.raw(">\n")
}

// class returns the arc whose class names the node element, or -1: the first
// one in the order of well-known namespaces that can be an XML name.
func (w *writer) class(s *layout.Subject) int32 {
	best, rank := int32(-1), 256
	for k := s.First; k < s.End; k++ {
		a := &w.p.Arcs[k]
		if w.p.Names[a.Name].Rank != 0 {
			break
		}
		if a.Class < 0 || a.Triple.O.Kind != rdf.IRI {
			continue
		}
		if n := &w.p.Names[a.Class]; usable(n) && int(n.Rank) < rank {
			best, rank = k, int(n.Rank)
		}
	}
	return best
}

// node writes subject i as a node element; nested says that it stands in the
// place of the only reference to it and so needs no label.
func (w *writer) node(i int32, d int, nested bool) {
	s := &w.p.Subjects[i]
	s.Done = true
	class := w.class(s)
	w.open(d)
	w.element(class)
	switch {
	case s.Term.Kind == rdf.IRI:
		w.raw(` rdf:about="`)
		w.iri(&s.Term, s.Term.Value)
		w.raw(`"`)
	case s.Refs > 0 && !nested:
		w.label(i)
	}
	w.raw(">\n")
	for k := s.First; k < s.End; k++ {
		if k != class {
			w.property(&w.p.Arcs[k], d+1)
		}
	}
	w.indent(d)
	w.raw("</")
	w.element(class)
	w.raw(">\n")
}

func (w *writer) element(class int32) {
	if class < 0 {
		w.raw("rdf:Description")
		return
	}
	w.name(&w.p.Names[w.p.Arcs[class].Class])
}

func (w *writer) label(i int32) {
	w.b = strconv.AppendInt(append(w.b, ` rdf:nodeID="b`...), int64(w.p.Label(i)), 10)
	w.b = append(w.b, '"')
}

func (w *writer) property(a *layout.Arc, d int) {
	n := &w.p.Names[a.Name]
	if n.Cut < 0 {
		return // reported by root
	}
	w.open(d)
	w.name(n)
	o := &a.Triple.O
	switch o.Kind {
	case rdf.IRI:
		if !w.inlined(a, d) {
			w.raw(` rdf:resource="`)
			w.iri(o, o.Value)
			w.raw("\"/>\n")
			return
		}
		w.raw(">\n")
		w.node(a.To, d+1, true)
		w.indent(d)
	case rdf.Blank:
		if !w.blank(a, d) {
			w.label(a.To)
			w.raw("/>\n")
			return
		}
		w.indent(d)
	case rdf.Literal:
		w.literal(a)
	default:
		w.fail(*o, "not a term")
	}
	w.end(n)
}

// inlined reports whether the object of a is to be written here and now.
func (w *writer) inlined(a *layout.Arc, d int) bool {
	if a.To < 0 {
		return false
	}
	s := &w.p.Subjects[a.To]
	return s.Inlined && a.To > 0 && !s.Done && s.First < s.End && d < 2*layout.MaxNesting
}

// blank writes the blank node that a leads to inside the property element whose
// start tag is open, or reports false if it takes a reference.
func (w *writer) blank(a *layout.Arc, d int) bool {
	i := a.To
	s := &w.p.Subjects[i]
	if s.Done || !w.p.Nested(i) || s.First == s.End || d >= 2*layout.MaxNesting {
		return false
	}
	if items, ok := w.p.List(a); ok && w.nodes(items) {
		// Nested lists use the same scratch: take a copy before going deeper.
		items = append([]int32(nil), items...)
		w.p.MarkList(i)
		w.raw(" rdf:parseType=\"Collection\">\n")
		for _, k := range items {
			w.item(&w.p.Arcs[k], d+1)
		}
		return true
	}
	w.raw(">\n")
	w.node(i, d+1, true)
	return true
}

// nodes reports whether every item can be a node element.
func (w *writer) nodes(items []int32) bool {
	for _, k := range items {
		if w.p.Arcs[k].Triple.O.Kind == rdf.Literal {
			return false
		}
	}
	return true
}

func (w *writer) item(a *layout.Arc, d int) {
	o := &a.Triple.O
	if o.Kind == rdf.Blank {
		if s := &w.p.Subjects[a.To]; !s.Done && w.p.Nested(a.To) && d < 2*layout.MaxNesting {
			w.node(a.To, d, true)
			return
		}
	}
	w.indent(d)
	w.raw("<rdf:Description")
	if o.Kind == rdf.Blank {
		w.label(a.To)
	} else {
		w.raw(` rdf:about="`)
		w.iri(o, o.Value)
		w.raw(`"`)
	}
	w.raw("/>\n")
}

func (w *writer) literal(a *layout.Arc) {
	o := &a.Triple.O
	switch {
	case o.Lang != "":
		if !chars.IsLangTag(o.Lang) {
			w.fail(*o, "not a language tag")
		}
		w.raw(` xml:lang="`)
		w.raw(o.Lang)
		w.raw(`">`)
	case a.Class < 0:
		w.raw(">")
	case o.Datatype == rdf.XMLLiteral && xmltok.IsCanonical(o.Value) && chars.XMLText(o.Value) < 0:
		w.raw(` rdf:parseType="Literal">`)
		w.raw(o.Value)
		return
	default:
		w.raw(` rdf:datatype="`)
		if n := &w.p.Names[a.Class]; n.Plain {
			w.raw(n.IRI)
		} else {
			w.iri(o, o.Datatype)
		}
		w.raw(`">`)
	}
	w.b = escape(w.b, o.Value, chars.PlainText(o.Value), &textClass)
}

// iri writes an IRI in an attribute.
func (w *writer) iri(t *rdf.Term, iri string) {
	i := chars.PlainIRI(iri)
	for i < len(iri) && !iriClass[iri[i]] {
		i++
	}
	last := 0
	for i < len(iri) {
		switch c := iri[i]; {
		case c == '&':
			w.b = append(append(w.b, iri[last:i]...), "&amp;"...)
			i++
			last = i
		case c >= utf8.RuneSelf:
			r, width := utf8.DecodeRuneInString(iri[i:])
			if r == utf8.RuneError && width == 1 || !chars.XMLChar(r) {
				w.fail(*t, "not an IRI that XML can carry")
			}
			i += width
		case chars.IRIBad(c):
			w.fail(*t, "not an IRI")
			i++
		default:
			i++
		}
	}
	w.b = append(w.b, iri[last:]...)
}

func (w *writer) attr(s string) { w.b = escape(w.b, s, 0, &attrClass) }

// iriClass says which bytes of an IRI have to be looked at.
var iriClass = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c >= 0x80 || c == '&' || chars.IRIBad(byte(c))
	}
	return t
}()

// The classes say which bytes may not be copied as they are.
var textClass, attrClass = func() (text, attr [256]bool) {
	for c := range 256 {
		text[c] = c < 0x20 && c != '\n' && c != '\t' || c >= 0x80
	}
	for _, c := range "&<>" {
		text[c] = true
	}
	attr = text
	attr['"'], attr['\n'], attr['\t'] = true, true, true
	return text, attr
}()

// escape appends s, of which the first i bytes are known to need nothing.
func escape(b []byte, s string, i int, special *[256]bool) []byte {
	last := 0
	for i < len(s) && !special[s[i]] {
		i++
	}
	for i < len(s) {
		c := s[i]
		if !special[c] {
			i++
			continue
		}
		width, r := 1, "\uFFFD"
		switch c {
		case '&':
			r = "&amp;"
		case '<':
			r = "&lt;"
		case '>':
			r = "&gt;"
		case '"':
			r = "&quot;"
		case '\t':
			r = "&#9;"
		case '\n':
			r = "&#10;"
		case '\r':
			r = "&#13;"
		default:
			if c >= 0x80 {
				var u rune
				u, width = utf8.DecodeRuneInString(s[i:])
				if (u != utf8.RuneError || width > 1) && chars.XMLChar(u) {
					i += width
					continue
				}
			}
		}
		b = append(append(b, s[last:i]...), r...)
		i += width
		last = i
	}
	return append(b, s[last:]...)
}
