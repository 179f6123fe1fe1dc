// Package turtle reads and writes Turtle (RDF 1.1): whole documents with Parse and
// Append, and documents of any length triple by triple with a Decoder and an Encoder.
package turtle

import (
	"strconv"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/layout"
)

const format = "turtle"

// Append appends g to dst: prefixes first, then the main resource (the first
// subject with an IRI that was added), then the others by IRI. Blank nodes that
// are used once stand in brackets, clean lists in parentheses. The same graph
// gives the same bytes. The error is a *rdf.WriteError if a term cannot be
// written; dst is then returned unchanged.
func Append(dst []byte, g *rdf.Graph) ([]byte, error) {
	p := layout.Of(g)
	defer p.Release()
	w := writer{p: p, b: dst}
	w.prefixes()
	for pass := range 2 {
		for i := range p.Subjects {
			s := &p.Subjects[i]
			if s.Done || s.First == s.End || pass == 0 && p.Nested(int32(i)) {
				continue
			}
			w.subject(int32(i))
		}
	}
	if w.err != nil {
		return dst, w.err
	}
	return w.b, nil
}

type writer struct {
	p   *layout.Plan
	b   []byte
	err error
}

func (w *writer) fail(t rdf.Term, msg string) {
	if w.err == nil {
		w.err = &rdf.WriteError{Format: format, Term: t, Msg: msg}
	}
}

// prefixes writes a line for each well-known prefix that the document uses.
func (w *writer) prefixes() {
	var used [64]bool
	p := w.p
	for i := range p.Arcs {
		a := &p.Arcs[i]
		if n := &p.Names[a.Name]; shortens(n) && n.Rank != 0 {
			used[n.NS] = true
		}
		if o := &a.Triple.O; a.Class >= 0 && (o.Kind == rdf.IRI || !bare(o)) {
			if n := &p.Names[a.Class]; shortens(n) {
				used[n.NS] = true
			}
		}
	}
	for i, n := range layout.Table {
		if used[i] {
			w.b = append(w.b, "@prefix "...)
			w.b = append(w.b, n.Name...)
			w.b = append(w.b, ": <"...)
			w.b = append(w.b, n.IRI...)
			w.b = append(w.b, "> .\n"...)
		}
	}
	if len(w.b) > 0 && len(p.Arcs) > 0 {
		w.b = append(w.b, '\n')
	}
}

func shortens(n *layout.Name) bool { return n.NS >= 0 && n.Simple }

func (w *writer) subject(i int32) {
	s := &w.p.Subjects[i]
	s.Done = true
	switch {
	case s.Term.Kind == rdf.IRI:
		w.iri(s.Term, s.Term.Value)
	case s.Refs == 0 && s.Label < 0:
		w.b = append(w.b, "[]"...)
	default:
		w.label(i)
	}
	w.arcs(i, 1)
	w.b = append(w.b, " .\n"...)
}

// arcs writes the predicates and objects of subject i; d is the indentation.
func (w *writer) arcs(i int32, d int) {
	s := &w.p.Subjects[i]
	for k := s.First; k < s.End; k++ {
		a := &w.p.Arcs[k]
		switch {
		case k > s.First && w.p.Arcs[k-1].Name == a.Name:
			w.b = append(w.b, " ,"...)
			w.indent(d + 1)
		default:
			if k > s.First {
				w.b = append(w.b, " ;"...)
				w.indent(d)
			} else {
				w.b = append(w.b, ' ')
			}
			if n := &w.p.Names[a.Name]; n.Rank == 0 {
				w.b = append(w.b, 'a')
			} else {
				w.name(a.Triple.P, n)
			}
			w.b = append(w.b, ' ')
		}
		w.object(a, d)
	}
}

func (w *writer) object(a *layout.Arc, d int) {
	o := &a.Triple.O
	switch o.Kind {
	case rdf.IRI:
		if w.p.Names[a.Name].Rank == 0 {
			w.name(*o, &w.p.Names[a.Class])
			return
		}
		w.iri(*o, o.Value)
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
	if s.Done || !w.p.Nested(i) || d > layout.MaxNesting {
		w.label(i)
		return
	}
	if items, ok := w.p.List(a); ok {
		// Nested lists use the same scratch: take a copy before going deeper.
		items = append([]int32(nil), items...)
		w.p.MarkList(i)
		w.b = append(w.b, '(')
		for _, k := range items {
			w.b = append(w.b, ' ')
			w.object(&w.p.Arcs[k], d+1)
		}
		w.b = append(w.b, " )"...)
		return
	}
	s.Done = true
	if s.First == s.End {
		w.b = append(w.b, "[]"...)
		return
	}
	w.b = append(w.b, '[')
	w.arcs(i, d+1)
	w.b = append(w.b, " ]"...)
}

func (w *writer) literal(a *layout.Arc) {
	o := &a.Triple.O
	if bare(o) {
		w.b = append(w.b, o.Value...)
		return
	}
	w.b = chars.AppendQuoted(w.b, o.Value)
	switch {
	case o.Lang != "":
		if !chars.IsLangTag(o.Lang) {
			w.fail(*o, "not a language tag")
		}
		w.b = append(append(w.b, '@'), o.Lang...)
	case a.Class >= 0:
		w.b = append(w.b, "^^"...)
		w.name(rdf.NewIRI(o.Datatype), &w.p.Names[a.Class])
	}
}

func (w *writer) name(t rdf.Term, n *layout.Name) {
	if !shortens(n) {
		w.iri(t, n.IRI)
		return
	}
	w.b = append(w.b, n.Short...)
}

func (w *writer) iri(t rdf.Term, iri string) {
	var ok bool
	if w.b, ok = chars.AppendIRI(w.b, iri); !ok {
		w.fail(t, "not an IRI")
	}
}

func (w *writer) label(i int32) {
	w.b = strconv.AppendInt(append(w.b, "_:b"...), int64(w.p.Label(i)), 10)
}

const spaces = "                                "

func (w *writer) indent(d int) {
	w.b = append(append(w.b, '\n'), spaces[:min(4*d, len(spaces))]...)
}

// bare reports whether a literal may stand without quotes: only when its text
// is what the grammar reads as that very datatype.
func bare(t *rdf.Term) bool {
	s := t.Value
	switch t.Datatype {
	case rdf.XSDBoolean:
		return s == "true" || s == "false"
	case rdf.XSDInteger, rdf.XSDDecimal, rdf.XSDDouble:
	default:
		return false
	}
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	digits := func() int {
		n := 0
		for n < len(s) && chars.IsDigit(s[n]) {
			n++
		}
		s = s[n:]
		return n
	}
	whole := digits()
	if t.Datatype == rdf.XSDInteger {
		return whole > 0 && s == ""
	}
	fraction := 0
	if s != "" && s[0] == '.' {
		s = s[1:]
		fraction = digits()
	}
	if t.Datatype == rdf.XSDDecimal {
		return fraction > 0 && s == ""
	}
	if whole+fraction == 0 {
		return false
	}
	if s == "" || s[0]|0x20 != 'e' {
		return false
	}
	if s = s[1:]; s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return digits() > 0 && s == ""
}
