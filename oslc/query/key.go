package query

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

const (
	// MaxLink is how long in bytes an IRI may be for a scope to follow it to another
	// resource.
	MaxLink = 512
	// MaxOrdered is how long in bytes a string may be that others are compared with
	// by order. Longer ones are sorted by so many bytes, too.
	MaxOrdered = 96
)

// A key is the class of a term and then what is compared within the class. The
// classes are in the order in which values of different kinds are sorted.
const (
	classNumber = 1 + iota
	classDateTime
	classDate
	classBool
	classString
	classLang
	classOther // literals that have no order, their datatype last
	classIRI
	classBlank
)

// How a text ends in a key. A byte 0 within it is followed by 0xFF, so that a text
// sorts before those that it begins.
const (
	escaped   = 0xFF
	textEnds  = 1
	textIsCut = 2
)

// Key appends the key of an object to b. Two terms that no condition can tell apart
// have the same key, all others have different ones; within a class keys compare as
// bytes as the values do.
func Key(b []byte, t rdf.Term) []byte {
	switch t.Kind {
	case rdf.IRI:
		return appendIRI(append(b, classIRI), t.Value)
	case rdf.Blank:
		return appendIRI(append(b, classBlank), t.Value)
	case rdf.Literal:
	}
	switch {
	case t.Datatype == "" && t.Lang == "":
		return appendText(append(b, classString), t.Value)
	case t.Datatype == "":
		return append(appendText(append(b, classLang), t.Value), t.Lang...)
	case numeric(t.Datatype):
		// Two numbers that differ in spelling or type are equal.
		if key, ok := appendNumber(append(b, classNumber), t.Value); ok {
			return key
		}
	case t.Datatype == rdf.XSDDateTime || t.Datatype == xsdDate:
		if v, ok := instant(t); ok {
			class := byte(classDateTime)
			if t.Datatype == xsdDate {
				class = classDate
			}
			return appendInstant(append(b, class), v)
		}
	case t.Datatype == rdf.XSDBoolean:
		if v, ok := t.Bool(); ok {
			return append(b, classBool, byte(boolOrder(v)), t.Value[0])
		}
	}
	return append(append(appendText(append(b, classOther), t.Value), t.Lang+" "...), t.Datatype...)
}

// Link returns the IRI that a key is of, if it can be told from it.
func Link(key []byte) (iri string, ok bool) {
	if len(key) < 2 || key[0] != classIRI || len(key) > 1+MaxLink {
		return "", false
	}
	return string(key[1:]), true
}

// LinkClass is the first byte of the keys of IRIs; the IRI follows when it is not
// longer than MaxLink.
const LinkClass = classIRI

// Exact reports whether only one term has the key, and not several spellings of one
// number or instant.
func Exact(key []byte) bool { return key[0] > classDate }

// appendIRI appends an IRI as it is; no IRI holds the byte that marks a cut one.
func appendIRI(b []byte, iri string) []byte {
	if len(iri) <= MaxLink {
		return append(b, iri...)
	}
	sum := sha256.Sum256([]byte(iri))
	return append(append(append(b, iri[:MaxLink]...), 0), sum[:16]...)
}

func appendText(b []byte, s string) []byte {
	text, cut := s, len(s) > MaxOrdered
	if cut {
		text = s[:MaxOrdered]
	}
	if strings.IndexByte(text, 0) < 0 {
		b = append(b, text...)
	} else {
		for i := range len(text) {
			b = append(b, text[i])
			if text[i] == 0 {
				b = append(b, escaped)
			}
		}
	}
	if !cut {
		return append(b, 0, textEnds)
	}
	sum := sha256.Sum256([]byte(s))
	return append(append(b, 0, textIsCut), sum[:16]...)
}

// appendInstant appends seconds since the year -290 or so and nanoseconds.
func appendInstant(b []byte, v time.Time) []byte {
	const bias = 1 << 39 // some 17,000 years
	seconds := uint64(v.Unix() + bias)
	b = append(b, byte(seconds>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(seconds))
	if ns := v.Nanosecond(); ns != 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(ns))
	}
	return b
}

// appendNumber appends a sign, the number of digits before the point, and the
// digits, all of them complemented for a negative number.
func appendNumber(b []byte, s string) (_ []byte, ok bool) {
	negative, digits, exponent, ok := decimalDigits(s)
	if !ok {
		return b, false
	}
	if digits == "" {
		return append(b, '1'), true // zero, between '0' and '2'
	}
	at := len(b) + 1
	b = append(b, '2')
	b = binary.BigEndian.AppendUint16(b, uint16(exponent+1<<15))
	b = append(b, digits...)
	if negative {
		b[at-1] = '0'
		for i := at; i < len(b); i++ {
			b[i] = ^b[i]
		}
		b = append(b, 0xFF) // longer is less
	}
	return b, true
}

// decimalDigits takes a number apart: 0.digits times ten to the exponent, without
// zeros at either end.
func decimalDigits(s string) (negative bool, digits string, exponent int, ok bool) {
	if _, ok = number(s); !ok {
		return false, "", 0, false
	}
	mantissa := s
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil {
			return false, "", 0, false
		}
		mantissa, exponent = s[:i], e
	}
	switch mantissa[0] {
	case '-':
		negative, mantissa = true, mantissa[1:]
	case '+':
		mantissa = mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent += len(whole)
	digits = whole + fraction
	trimmed := strings.TrimLeft(digits, "0")
	exponent -= len(digits) - len(trimmed)
	return negative, strings.TrimRight(trimmed, "0"), exponent, true
}

// A Range is the keys from From up to and without To.
type Range struct{ From, To []byte }

func (r Range) has(key []byte) bool {
	return bytes.Compare(key, r.From) >= 0 && bytes.Compare(key, r.To) < 0
}

// Ranges returns the keys of the objects of which t's comparison holds; none is
// possible. Not says that it holds of all others instead. It is not for scopes. ok is
// false for a comparison by order with a string that is longer than MaxOrdered.
func (t *Term) Ranges() (in []Range, not, ok bool) {
	for _, v := range t.Values {
		switch t.Op {
		case Equal, In:
			in = append(in, v.equal()...)
		case NotEqual:
			in, not = v.equal(), true
		case Less, LessOrEqual, Greater, GreaterOrEqual:
			if v.Term.Kind == rdf.Literal && v.Term.Datatype == "" && len(v.Term.Value) > MaxOrdered {
				return nil, false, false
			}
			in = append(in, v.ordered(t.Op)...)
		case Scoped:
		}
	}
	return in, not, true
}

// only is the range of a single key.
func only(key []byte) Range { return Range{key, append(bytes.Clone(key), 0)} }

// prefixed is the range of the keys that begin with p. Its last byte is not 0xFF.
func prefixed(p []byte) Range {
	to := bytes.Clone(p)
	to[len(to)-1]++
	return Range{p, to}
}

// equal returns the keys of what v equals; see Value.equals.
func (v Value) equal() []Range {
	t := v.Term
	if t.Kind != rdf.Literal {
		return []Range{only(Key(nil, t))}
	}
	out := v.same()
	if !v.Bare {
		if len(out) == 0 {
			out = append(out, only(Key(nil, t)))
		}
		return out
	}
	// Any literal of this text: where a class has its own idea of what is equal,
	// the text is part of that.
	out = append(out,
		only(appendText([]byte{classString}, t.Value)),
		beginning(appendText([]byte{classLang}, t.Value)),
		beginning(appendText([]byte{classOther}, t.Value)))
	for _, datatype := range []string{rdf.XSDInteger, rdf.XSDDateTime, xsdDate, rdf.XSDBoolean} {
		if k := Key(nil, rdf.Typed(t.Value, datatype)); k[0] < classString {
			out = append(out, only(k))
		}
	}
	return out
}

// beginning is prefixed for a text with its end, and what may follow that.
func beginning(p []byte) Range { return Range{p, append(bytes.Clone(p), 0xFF)} }

// same returns the keys that compare as neither before nor after v.
func (v Value) same() []Range {
	var out []Range
	v.eachOrder(func(_ byte, key []byte) {
		if key[0] == classBool {
			out = append(out, prefixed(key[:2]))
			return
		}
		if key[0] == classLang {
			out = append(out, beginning(key))
			return
		}
		out = append(out, only(key))
	})
	return out
}

// ordered returns the keys on one side of v, in each class that v has an order with;
// see Value.order.
func (v Value) ordered(op Op) []Range {
	var out []Range
	v.eachOrder(func(class byte, key []byte) {
		before, after := key, only(key).To
		switch class {
		case classBool:
			before, after = key[:2], prefixed(key[:2]).To
		case classLang:
			after = beginning(key).To
		}
		switch op {
		case Less:
			out = append(out, Range{[]byte{class}, before})
		case LessOrEqual:
			out = append(out, Range{[]byte{class}, after})
		case Greater:
			out = append(out, Range{after, []byte{class + 1}})
		case GreaterOrEqual:
			out = append(out, Range{before, []byte{class + 1}})
		case Scoped, Equal, NotEqual, In:
		}
	})
	return out
}

// eachOrder calls f with v's key in each class of which values have an order with
// v; in classLang the key lacks the language.
func (v Value) eachOrder(f func(class byte, key []byte)) {
	t := v.Term
	if t.Kind != rdf.Literal {
		return
	}
	if numeric(t.Datatype) || v.Bare {
		if key, ok := appendNumber([]byte{classNumber}, t.Value); ok {
			f(classNumber, key)
		}
	}
	if at, ok := instant(t); ok {
		if t.Datatype == rdf.XSDDateTime || v.Bare {
			f(classDateTime, appendInstant([]byte{classDateTime}, at))
		}
		if t.Datatype == xsdDate || v.Bare {
			f(classDate, appendInstant([]byte{classDate}, at))
		}
	}
	if b, ok := t.Bool(); ok {
		f(classBool, []byte{classBool, byte(boolOrder(b)), t.Value[0]})
	}
	if t.Datatype == "" && (t.Lang == "" || v.Bare) {
		f(classString, appendText([]byte{classString}, t.Value))
	}
	if t.Datatype == "" && v.Bare {
		f(classLang, appendText([]byte{classLang}, t.Value))
	}
}
