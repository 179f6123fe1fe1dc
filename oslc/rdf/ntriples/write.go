// Package ntriples reads and writes N-Triples (RDF 1.1): whole documents with Parse
// and Append, and documents of any length triple by triple with a Decoder and an
// Encoder. Its terms are also those of a TRS patch.
package ntriples

import (
	"strconv"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/layout"
)

const format = "ntriples"

// Append appends g to dst. The same graph gives the same bytes. The error is a
// *rdf.WriteError if a term cannot be written; dst is then returned unchanged.
func Append(dst []byte, g *rdf.Graph) ([]byte, error) {
	p := layout.Of(g)
	defer p.Release()
	out := dst
	var err error
	for i := range p.Subjects {
		s := &p.Subjects[i]
		subject, length := 0, 0 // where it was written first
		for k := s.First; k < s.End; k++ {
			a := &p.Arcs[k]
			switch {
			case s.Term.Kind == rdf.Blank:
				out = appendLabel(out, p.Label(int32(i)))
			case k > s.First:
				out = append(out, out[subject:subject+length]...)
			default:
				subject = len(out)
				if out, err = AppendTerm(out, s.Term); err != nil {
					return dst, err
				}
				length = len(out) - subject
			}
			out = append(out, ' ')
			if p.Names[a.Name].Clean && a.Triple.P.Kind == rdf.IRI {
				out = append(append(append(out, '<'), a.Triple.P.Value...), "> "...)
			} else if out, err = AppendTerm(out, a.Triple.P); err != nil {
				return dst, err
			} else {
				out = append(out, ' ')
			}
			if a.Triple.O.Kind == rdf.Blank {
				out = appendLabel(out, p.Label(a.To))
			} else if out, err = AppendTerm(out, a.Triple.O); err != nil {
				return dst, err
			}
			out = append(out, " .\n"...)
		}
	}
	return out, nil
}

// AppendTriple appends one line. Blank nodes keep their labels. dst is returned
// unchanged with a *rdf.WriteError if a term cannot be written.
func AppendTriple(dst []byte, t rdf.Triple) ([]byte, error) {
	out := dst
	for _, term := range [3]*rdf.Term{&t.S, &t.P, &t.O} {
		var err error
		if out, err = AppendTerm(out, *term); err != nil {
			return dst, err
		}
		out = append(out, ' ')
	}
	return append(out, ".\n"...), nil
}

func appendLabel(b []byte, n int32) []byte {
	return strconv.AppendInt(append(b, "_:b"...), int64(n), 10)
}

// AppendTerm appends one term in the syntax of N-Triples. A blank node keeps
// its label.
func AppendTerm(dst []byte, t rdf.Term) ([]byte, error) {
	fail := func(msg string) ([]byte, error) {
		return dst, &rdf.WriteError{Format: format, Term: t, Msg: msg}
	}
	switch t.Kind {
	case rdf.IRI:
		out, ok := chars.AppendIRI(dst, t.Value)
		if !ok {
			return fail("not an IRI")
		}
		return out, nil
	case rdf.Blank:
		if blankEnd("_:"+t.Value, 0) != len(t.Value)+2 {
			return fail("not a blank node label")
		}
		return append(append(dst, "_:"...), t.Value...), nil
	case rdf.Literal:
		out := chars.AppendQuoted(dst, t.Value)
		switch {
		case t.Lang != "":
			if !chars.IsLangTag(t.Lang) {
				return fail("not a language tag")
			}
			return append(append(out, '@'), t.Lang...), nil
		case t.Datatype != "" && t.Datatype != rdf.XSDString:
			var ok bool
			if out, ok = chars.AppendIRI(append(out, "^^"...), t.Datatype); !ok {
				return fail("the datatype is not an IRI")
			}
		}
		return out, nil
	}
	return fail("not a term")
}
