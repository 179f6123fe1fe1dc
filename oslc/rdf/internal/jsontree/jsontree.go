// Package jsontree reads JSON as a tree that keeps the order of members and the
// digits of numbers, within limits.
package jsontree

import (
	"encoding/json"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// A Value is a JSON value: nil, bool, json.Number, string, []Value or *Object.
type Value any

// An Object keeps the order of its members.
type Object struct {
	At      int64 // offset in the document, for errors
	Members []Member
}

// A Member is a key and its value.
type Member struct {
	Key   string
	Value Value
	At    int64 // offset of the key in the document, for errors
}

// Get returns the value of a key.
func (o *Object) Get(key string) (Value, bool) {
	for i := range o.Members {
		if o.Members[i].Key == key {
			return o.Members[i].Value, true
		}
	}
	return nil, false
}

// Decode reads a document as a tree whose depth and size are within lim, every
// field of which is set. Errors are *rdf.SyntaxError with the given format. It takes
// what encoding/json takes, and reads strings as that does: half a surrogate pair
// becomes U+FFFD.
func Decode(format string, data []byte, lim rdf.Limits) (Value, error) {
	r := reader{format: format, src: strings.TrimPrefix(string(data), "\ufeff"), lim: lim}
	if at := chars.IllFormed(r.src); at >= 0 {
		return nil, r.fail(at, rdf.FaultEncoding, "not UTF-8")
	}
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if r.space(); r.pos < len(r.src) {
		return nil, r.syntax("text after the document")
	}
	return v, nil
}

type reader struct {
	format, src string
	pos         int
	lim         rdf.Limits
}

func (r *reader) fail(at int, kind rdf.Fault, msg string) error {
	return rdf.ErrorAt(r.format, r.src, at, kind, msg)
}

func (r *reader) syntax(msg string) error {
	if r.pos >= len(r.src) {
		msg = "unexpected end of document"
	}
	return r.fail(r.pos, rdf.FaultSyntax, msg)
}

func (r *reader) space() {
	for r.pos < len(r.src) && chars.IsSpace(r.src[r.pos]) {
		r.pos++
	}
}

// peek skips white space and returns the next byte, or 0 at the end.
func (r *reader) peek() byte {
	r.space()
	if r.pos < len(r.src) {
		return r.src[r.pos]
	}
	return 0
}

func (r *reader) value(depth int) (Value, error) {
	switch c := r.peek(); {
	case c == '"':
		return r.text()
	case c == '{', c == '[':
		if depth >= r.lim.MaxDepth {
			return nil, r.fail(r.pos, rdf.LimitDepth, "objects nest too deep")
		}
		if c == '{' {
			return r.object(depth + 1)
		}
		return r.list(depth + 1)
	case c == '-' || chars.IsDigit(c):
		return r.number()
	}
	for _, word := range [3]struct {
		text  string
		value Value
	}{{"true", true}, {"false", false}, {"null", nil}} {
		if strings.HasPrefix(r.src[r.pos:], word.text) {
			r.pos += len(word.text)
			return word.value, nil
		}
	}
	return nil, r.syntax("expected a value")
}

func (r *reader) list(depth int) (Value, error) {
	list := []Value{}
	r.pos++
	if r.peek() == ']' {
		r.pos++
		return list, nil
	}
	for {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		switch r.peek() {
		case ',':
			r.pos++
		case ']':
			r.pos++
			return list, nil
		default:
			return nil, r.syntax("expected ',' or ']'")
		}
	}
}

// Few keys are compared with each other faster than looked up.
const compareKeys = 16

func (r *reader) object(depth int) (Value, error) {
	o := &Object{At: int64(r.pos)}
	r.pos++
	if r.peek() == '}' {
		r.pos++
		return o, nil
	}
	var seen map[string]struct{}
	for {
		if r.peek() != '"' {
			return nil, r.syntax("expected a key")
		}
		at := r.pos
		key, err := r.text()
		if err != nil {
			return nil, err
		}
		twice := false
		if len(o.Members) < compareKeys {
			_, twice = o.Get(key)
		} else {
			if seen == nil {
				seen = make(map[string]struct{}, 4*compareKeys)
				for i := range o.Members {
					seen[o.Members[i].Key] = struct{}{}
				}
			}
			_, twice = seen[key]
			seen[key] = struct{}{}
		}
		if twice {
			return nil, r.fail(at, rdf.FaultSyntax, "a key stands twice in an object")
		}
		if r.peek() != ':' {
			return nil, r.syntax("expected ':'")
		}
		r.pos++
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		o.Members = append(o.Members, Member{key, v, int64(at)})
		switch r.peek() {
		case ',':
			r.pos++
		case '}':
			r.pos++
			return o, nil
		default:
			return nil, r.syntax("expected ',' or '}'")
		}
	}
}

func (r *reader) number() (Value, error) {
	from := r.pos
	digits := func() bool {
		start := r.pos
		for r.pos < len(r.src) && chars.IsDigit(r.src[r.pos]) {
			r.pos++
		}
		return r.pos > start
	}
	at := func(set string) bool {
		if r.pos < len(r.src) && strings.IndexByte(set, r.src[r.pos]) >= 0 {
			r.pos++
			return true
		}
		return false
	}
	at("-")
	if !at("0") && !digits() {
		return nil, r.syntax("malformed number")
	}
	if at(".") && !digits() {
		return nil, r.syntax("malformed number")
	}
	if at("eE") {
		at("+-")
		if !digits() {
			return nil, r.syntax("malformed number")
		}
	}
	if r.pos-from > r.lim.MaxLiteral {
		return nil, r.fail(from, rdf.LimitLiteral, "number too long")
	}
	return json.Number(r.src[from:r.pos]), nil
}

// text reads a string.
func (r *reader) text() (string, error) {
	from := r.pos + 1
	for i := from; i < len(r.src); i++ {
		switch c := r.src[i]; {
		case c == '"':
			r.pos = i + 1
			return r.bounded(from, r.src[from:i])
		case c == '\\':
			return r.escaped(from, i)
		case c < 0x20:
			return "", r.fail(i, rdf.FaultSyntax, "control character in a string")
		}
	}
	return "", r.fail(r.pos, rdf.FaultSyntax, "string without an end")
}

func (r *reader) bounded(from int, s string) (string, error) {
	if len(s) > r.lim.MaxLiteral {
		return "", r.fail(from, rdf.LimitLiteral, "string too long")
	}
	return s, nil
}

// escaped reads the rest of the string that starts at from and whose first escape
// is at i.
func (r *reader) escaped(from, i int) (string, error) {
	b := append(make([]byte, 0, i-from+32), r.src[from:i]...)
	for i < len(r.src) {
		c := r.src[i]
		switch {
		case c == '"':
			r.pos = i + 1
			return r.bounded(from, string(b))
		case c < 0x20:
			return "", r.fail(i, rdf.FaultSyntax, "control character in a string")
		case c != '\\':
			b = append(b, c)
			i++
			continue
		}
		if i+1 >= len(r.src) {
			break
		}
		if k := strings.IndexByte(`"\/bfnrt`, r.src[i+1]); k >= 0 {
			b = append(b, "\"\\/\b\f\n\r\t"[k])
			i += 2
			continue
		}
		u, ok := r.unit(i)
		if !ok {
			return "", r.fail(i, rdf.FaultSyntax, "malformed escape")
		}
		i += 6
		if utf16.IsSurrogate(u) {
			low, _ := r.unit(i)
			if u = utf16.DecodeRune(u, low); u != utf8.RuneError {
				i += 6
			}
		}
		b = utf8.AppendRune(b, u)
	}
	return "", r.fail(from-1, rdf.FaultSyntax, "string without an end")
}

// unit reads the escape \uXXXX at i.
func (r *reader) unit(i int) (rune, bool) {
	if i+6 > len(r.src) || r.src[i] != '\\' || r.src[i+1] != 'u' {
		return 0, false
	}
	var u rune
	for _, c := range []byte(r.src[i+2 : i+6]) {
		switch {
		case chars.IsDigit(c):
			u = u<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			u = u<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return u, true
}
