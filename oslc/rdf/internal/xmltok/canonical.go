package xmltok

import (
	"cmp"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// Canonical appends the content of the element that Next has just opened, up to
// and with its end tag, as exclusive canonical XML with comments: the lexical
// form of an rdf:XMLLiteral. Every namespace that the content uses is declared
// in it, so it can stand alone.
func (x *Tokenizer) Canonical(b []byte) ([]byte, error) {
	return x.canonical(b, len(x.open)-1)
}

// IsCanonical reports whether s is well-formed content that stands alone, in
// canonical form: then it can be written into a document as it is and is read
// back unchanged.
func IsCanonical(s string) bool {
	if !strings.ContainsAny(s, "<>&\r") {
		return true
	}
	x := New("", s, rdf.Limits{}.WithDefaults(rdf.DefaultMaxDepthXML/2))
	defer x.Release()
	x.fragment = true
	b, err := x.canonical(make([]byte, 0, len(s)), -1)
	return err == nil && string(b) == s
}

type rendered struct {
	prefix, iri string
	depth       int
}

func (x *Tokenizer) canonical(b []byte, floor int) ([]byte, error) {
	var shown, fresh []rendered
	var names []string
	base := len(b)
	for {
		k, err := x.Next()
		if err != nil {
			return b, err
		}
		switch k {
		case EOF:
			if floor >= 0 {
				return b, x.syntax("unexpected end of document")
			}
			return b, nil
		case End:
			if len(x.open) == floor {
				return b, nil
			}
			d := len(names)
			for len(shown) > 0 && shown[len(shown)-1].depth == d {
				shown = shown[:len(shown)-1]
			}
			b = append(append(append(b, "</"...), names[d-1]...), '>')
			names = names[:d-1]
		case Text:
			b = appendText(b, x.Text)
		case Comment:
			b = append(append(append(b, "<!--"...), x.Text...), "-->"...)
		case PI:
			b = append(append(append(b, "<?"...), canonicalPI(x.Text)...), "?>"...)
		case Start:
			names = append(names, x.Name())
			b = append(append(b, '<'), x.Name()...)
			fresh = x.used(fresh[:0], shown, len(names))
			for _, n := range fresh {
				b = append(b, " xmlns"...)
				if n.prefix != "" {
					b = append(append(b, ':'), n.prefix...)
				}
				b = append(appendAttr(append(b, `="`...), n.iri), '"')
			}
			shown = append(shown, fresh...)
			attrs := x.Elem.Attrs
			slices.SortFunc(attrs, func(a, b Attr) int {
				return cmp.Or(strings.Compare(a.NS, b.NS), strings.Compare(a.Local, b.Local))
			})
			for _, a := range attrs {
				b = append(b, ' ')
				if a.Prefix != "" {
					b = append(append(b, a.Prefix...), ':')
				}
				b = append(append(b, a.Local...), `="`...)
				b = append(appendAttr(b, a.Value), '"')
			}
			b = append(b, '>')
		}
		if len(b)-base > x.lim.MaxLiteral {
			return b, x.Errorf(rdf.LimitLiteral, "literal too long")
		}
	}
}

// used adds the namespaces that the start tag visibly uses and that no open
// element of the output declares, sorted by prefix.
func (x *Tokenizer) used(fresh, shown []rendered, depth int) []rendered {
	add := func(prefix, iri string) {
		if prefix == "xml" {
			return
		}
		for i := len(shown) - 1; ; i-- {
			if i < 0 {
				if prefix == "" && iri == "" {
					return
				}
				break
			}
			if shown[i].prefix == prefix {
				if shown[i].iri == iri {
					return
				}
				break
			}
		}
		for _, n := range fresh {
			if n.prefix == prefix {
				return
			}
		}
		fresh = append(fresh, rendered{prefix, iri, depth})
	}
	add(x.Elem.Prefix, x.Elem.NS)
	for i := range x.Elem.Attrs {
		if a := &x.Elem.Attrs[i]; a.Prefix != "" {
			add(a.Prefix, a.NS)
		}
	}
	slices.SortFunc(fresh, func(a, b rendered) int { return strings.Compare(a.prefix, b.prefix) })
	return fresh
}

// canonicalPI leaves one space between the target and the data.
func canonicalPI(s string) string {
	i := strings.IndexAny(s, " \t\n\r")
	if i < 0 {
		return s
	}
	data := strings.TrimLeft(s[i:], " \t\n\r")
	if data == "" {
		return s[:i]
	}
	return s[:i] + " " + data
}

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		case '\r':
			b = append(b, "&#xD;"...)
		default:
			b = append(b, c)
		}
	}
	return b
}

func appendAttr(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '"':
			b = append(b, "&quot;"...)
		case '\t':
			b = append(b, "&#x9;"...)
		case '\n':
			b = append(b, "&#xA;"...)
		case '\r':
			b = append(b, "&#xD;"...)
		default:
			b = append(b, c)
		}
	}
	return b
}
