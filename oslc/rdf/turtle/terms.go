package turtle

import (
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// iri reads an IRI reference or a prefixed name.
func (d *decoder) iri() (rdf.Term, error) {
	if d.peek() == '<' {
		v, err := d.reference()
		return rdf.NewIRI(v), err
	}
	from := d.pos
	prefix, ok := d.prefixName()
	if !ok {
		return rdf.Term{}, d.fail(from, rdf.FaultSyntax, "expected a term")
	}
	ns, ok := d.prefixes[prefix]
	if !ok {
		return rdf.Term{}, d.fail(from, rdf.FaultSyntax, "prefix is not declared")
	}
	local, escaped, err := d.local()
	if err != nil {
		return rdf.Term{}, err
	}
	raw := d.src[from:d.pos]
	if t, ok := d.names[raw]; ok {
		return t, nil
	}
	if escaped {
		local = unescapeLocal(local)
	}
	t := rdf.NewIRI(ns + local)
	if err := d.check(from, t.Value); err != nil {
		return t, err
	}
	if len(d.names) < keepNames {
		if d.g == nil { // the text is a window that moves on
			raw = strings.Clone(raw)
		}
		d.names[raw] = t
	}
	return t, nil
}

func (d *decoder) check(at int, iri string) error {
	if len(iri) > d.lim.MaxIRI {
		return d.fail(at, rdf.LimitIRI, "IRI too long")
	}
	if !rdf.ValidIRI(iri) {
		return d.fail(at, rdf.FaultIRI, "not an absolute IRI")
	}
	return nil
}

// reference reads <...> and resolves it.
func (d *decoder) reference() (string, error) {
	from := d.pos + 1
	end := from
	for ; ; end++ {
		if end >= len(d.src) {
			return "", d.syntax("IRI without an end")
		}
		if c := d.src[end]; c == '>' {
			break
		} else if chars.IRIBad(c) && c != '\\' {
			return "", d.fail(end, rdf.FaultIRI, "character not allowed in an IRI")
		}
	}
	v := d.src[from:end]
	escaped := strings.IndexByte(v, '\\') >= 0
	if !escaped && len(v) <= d.lim.MaxIRI && rdf.IsAbsolute(v) {
		d.pos = end + 1
		return v, nil // its characters have been looked at
	}
	if escaped {
		var problem string
		if v, problem = chars.Unescape(v, true); problem != "" {
			return "", d.fail(from, rdf.FaultIRI, problem)
		}
	}
	v = rdf.ResolveIRI(d.base, v)
	if err := d.check(from, v); err != nil {
		return "", err
	}
	d.pos = end + 1
	return v, nil
}

// local reads PN_LOCAL, which may be empty. A full stop belongs to it only if
// more of the name follows.
func (d *decoder) local() (s string, escaped bool, err error) {
	from, end := d.pos, d.pos
	for i := from; i < len(d.src); {
		c := d.src[i]
		switch {
		case c == '.':
			if i == from {
				break
			}
			i++
			continue
		case c == ':' || c == '_' || chars.IsAlpha(c) || chars.IsDigit(c):
			i++
			end = i
			continue
		case c == '-' && i > from:
			i++
			end = i
			continue
		case c == '%':
			if i+2 >= len(d.src) || !isHex(d.src[i+1]) || !isHex(d.src[i+2]) {
				return "", false, d.fail(i, rdf.FaultSyntax, "malformed percent escape")
			}
			i += 3
			end = i
			continue
		case c == '\\':
			if i+1 >= len(d.src) || strings.IndexByte("_~.-!$&'()*+,;=/?#@%", d.src[i+1]) < 0 {
				return "", false, d.fail(i, rdf.FaultSyntax, "unknown escape in a name")
			}
			escaped = true
			i += 2
			end = i
			continue
		case c >= 0x80:
			r, w := utf8.DecodeRuneInString(d.src[i:])
			if i == from && chars.NameStart(r) || i > from && chars.NameChar(r) {
				i += w
				end = i
				continue
			}
		}
		break
	}
	d.pos = end
	return d.src[from:end], escaped, nil
}

func isHex(c byte) bool { return chars.IsDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func unescapeLocal(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// label reads a blank node label.
func (d *decoder) label() (rdf.Term, error) {
	if !d.at("_:") {
		return rdf.Term{}, d.syntax("expected a term")
	}
	from := d.pos + 2
	end := from
	for i := from; i < len(d.src); {
		r, w := utf8.DecodeRuneInString(d.src[i:])
		first := chars.NameStart(r) || r >= '0' && r <= '9'
		if i == from && !first || !chars.NameChar(r) {
			break
		}
		i += w
		if r != '.' {
			end = i
		}
	}
	if end == from {
		return rdf.Term{}, d.syntax("malformed blank node label")
	}
	d.pos = end
	if d.nodes == nil {
		return rdf.NewBlank(keptLabel(d.src[from:end])), nil
	}
	return d.nodes.Rename(d.src[from:end]), nil
}

func (d *decoder) number() (rdf.Term, error) {
	from := d.pos
	i := from
	if c := d.src[i]; c == '+' || c == '-' {
		i++
	}
	digits := func() int {
		start := i
		for i < len(d.src) && chars.IsDigit(d.src[i]) {
			i++
		}
		return i - start
	}
	whole, fraction := digits(), 0
	end, datatype := i, rdf.XSDInteger
	if i < len(d.src) && d.src[i] == '.' {
		i++
		if fraction = digits(); fraction > 0 {
			end, datatype = i, rdf.XSDDecimal
		}
	}
	if whole+fraction > 0 && i < len(d.src) && d.src[i]|0x20 == 'e' {
		i++
		if i < len(d.src) && (d.src[i] == '+' || d.src[i] == '-') {
			i++
		}
		if digits() > 0 {
			end, datatype = i, rdf.XSDDouble
		}
	}
	if whole+fraction == 0 {
		return rdf.Term{}, d.syntax("malformed number")
	}
	if end-from > d.lim.MaxLiteral {
		return rdf.Term{}, d.fail(from, rdf.LimitLiteral, "literal too long")
	}
	d.pos = end
	return rdf.Typed(d.src[from:end], datatype), nil
}

func (d *decoder) literal() (rdf.Term, error) {
	v, err := d.quoted()
	if err != nil {
		return rdf.Term{}, err
	}
	d.space()
	switch {
	case d.peek() == '@':
		end := chars.LangTag(d.src, d.pos+1)
		if end == d.pos+1 {
			return rdf.Term{}, d.syntax("malformed language tag")
		}
		t := rdf.InLanguage(v, d.src[d.pos+1:end])
		d.pos = end
		return t, nil
	case d.at("^^"):
		d.pos += 2
		d.space()
		dt, err := d.iri()
		return rdf.Typed(v, dt.Value), err
	}
	return rdf.String(v), nil
}

// quoted reads a string in one of the four kinds of quotes.
func (d *decoder) quoted() (string, error) {
	start := d.pos
	quote := d.src[start : start+1]
	long := strings.HasPrefix(d.src[start:], quote+quote+quote)
	if long {
		quote = d.src[start : start+3]
	}
	from := start + len(quote)
	escaped := false
	for i := from; i < len(d.src); i++ {
		switch c := d.src[i]; {
		case c == '\\':
			escaped = true
			i++
		case c == quote[0] && strings.HasPrefix(d.src[i:], quote):
			v := d.src[from:i]
			if len(v) > d.lim.MaxLiteral {
				return "", d.fail(start, rdf.LimitLiteral, "literal too long")
			}
			if escaped {
				var problem string
				if v, problem = chars.Unescape(v, false); problem != "" {
					return "", d.fail(start, rdf.FaultSyntax, problem)
				}
			}
			d.pos = i + len(quote)
			return v, nil
		case !long && (c == '\n' || c == '\r'):
			return "", d.fail(i, rdf.FaultSyntax, "line end in a string")
		}
	}
	return "", d.fail(start, rdf.FaultSyntax, "string without an end")
}
