// Package rdf is the RDF model that everything on the bus is made of: terms,
// triples and graphs as plain comparable values, and builders that let an
// adapter's mapping read like the data it makes.
//
// A Graph is a set of triples in the order in which they were added, with an index
// of its subjects once it is large. Package format reads and writes it in any
// syntax; the packages below this one are for more than that:
//
//   - rdfxml, turtle, ntriples and jsonld are the syntaxes, each with a reader, a
//     writer that gives the same bytes for the same graph, and, but for JSON-LD,
//     a way to go through documents triple by triple;
//   - jsonld/processor reads the JSON-LD that takes a whole JSON-LD 1.1 processor;
//   - canon compares and fingerprints graphs, whatever their blank nodes are called;
//   - diff says what changed, and writes and reads that as a TRS patch;
//   - shape checks resources against OSLC Resource Shapes;
//   - knakk converts to and from github.com/knakk/rdf.
//
// Readers take documents from strangers: they are bounded by Limits, start no
// goroutine, reach neither network nor file system, and say what is wrong with its
// place, as a *SyntaxError.
package rdf

import (
	"strconv"
	"time"
)

// Kind tells what a Term is.
type Kind uint8

// The kinds of terms. The zero Kind marks a Term that is not there.
const (
	IRI Kind = 1 + iota
	Blank
	Literal
)

// A Term is an IRI, a blank node or a literal. It is a plain value: two terms
// are the same RDF term exactly when they are equal with ==.
type Term struct {
	Kind Kind
	// Value is the IRI, the label of the blank node without "_:", or the
	// lexical form of the literal.
	Value string
	// Datatype is the IRI of a literal's datatype; empty means xsd:string, or
	// rdf:langString when Lang is set. xsd:string is never spelled out.
	Datatype string
	// Lang is the language tag of a literal, in the spelling it came in.
	Lang string
}

// A Triple is one statement.
type Triple struct{ S, P, O Term }

// Namespaces that the model itself needs.
const (
	NS    = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
	XSD   = "http://www.w3.org/2001/XMLSchema#"
	Type  = NS + "type"
	First = NS + "first"
	Rest  = NS + "rest"
	Nil   = NS + "nil"

	XMLLiteral = NS + "XMLLiteral"
	LangString = NS + "langString"

	XSDString   = XSD + "string"
	XSDBoolean  = XSD + "boolean"
	XSDInteger  = XSD + "integer"
	XSDDecimal  = XSD + "decimal"
	XSDDouble   = XSD + "double"
	XSDDateTime = XSD + "dateTime"
)

// NewIRI returns the term for an absolute IRI.
func NewIRI(iri string) Term { return Term{Kind: IRI, Value: iri} }

// NewBlank returns the blank node with the given label.
func NewBlank(label string) Term { return Term{Kind: Blank, Value: label} }

// String returns a plain string literal (xsd:string).
func String(s string) Term { return Term{Kind: Literal, Value: s} }

// Typed returns a literal with a datatype.
func Typed(lexical, datatype string) Term {
	if datatype == XSDString {
		datatype = ""
	}
	return Term{Kind: Literal, Value: lexical, Datatype: datatype}
}

// InLanguage returns a literal with a language tag.
func InLanguage(s, lang string) Term { return Term{Kind: Literal, Value: s, Lang: lang} }

// Bool returns an xsd:boolean.
func Bool(b bool) Term { return Typed(strconv.FormatBool(b), XSDBoolean) }

// Int returns an xsd:integer.
func Int(i int64) Term { return Typed(strconv.FormatInt(i, 10), XSDInteger) }

// TimeLayout is how every instant of ours is written: UTC with milliseconds.
// One spelling keeps "same graph, same bytes" true.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// Time returns an xsd:dateTime in UTC, cut to milliseconds.
func Time(t time.Time) Term { return Typed(FormatTime(t), XSDDateTime) }

// FormatTime returns the time in UTC as TimeLayout has it, cut to milliseconds.
func FormatTime(t time.Time) string {
	t = t.UTC()
	var room [len(TimeLayout) + 8]byte
	// Package time is made for this layout, and takes three times as long for ours.
	b := t.AppendFormat(room[:0], time.RFC3339)
	b = b[:len(b)-1]
	ms := t.Nanosecond() / int(time.Millisecond)
	return string(append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z'))
}

// IsZero reports whether t is no term at all.
func (t Term) IsZero() bool { return t.Kind == 0 }

// Bool reads an xsd:boolean; ok is false for anything else.
func (t Term) Bool() (value, ok bool) {
	if t.Kind != Literal || t.Datatype != XSDBoolean {
		return false, false
	}
	switch t.Value {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

// Int reads an integer literal of any integer datatype or none.
func (t Term) Int() (int64, bool) {
	if t.Kind != Literal {
		return 0, false
	}
	i, err := strconv.ParseInt(t.Value, 10, 64)
	return i, err == nil
}

// Time reads a dateTime literal; one without a zone counts as UTC.
func (t Term) Time() (time.Time, bool) {
	if t.Kind != Literal {
		return time.Time{}, false
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if v, err := time.Parse(layout, t.Value); err == nil {
			return v, true
		}
	}
	return time.Time{}, false
}
