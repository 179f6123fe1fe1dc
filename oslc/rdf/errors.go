package rdf

import (
	"fmt"
	"strings"
)

// Fault classes what is wrong with a document. The set is closed.
type Fault uint8

const (
	// FaultSyntax means that the text breaks the grammar of its format.
	FaultSyntax Fault = iota
	// FaultLimit means that the document is larger, deeper or richer than Limits allow.
	FaultLimit
	// FaultUnsupported means legal, but not read here, such as an external entity.
	FaultUnsupported
	// FaultEncoding means that the bytes are not text in an encoding that is read here.
	FaultEncoding
	// FaultIRI means an IRI that is relative after all, or that holds characters
	// no IRI may hold.
	FaultIRI
)

// String returns the fault in lower case, for labels and logs.
func (f Fault) String() string {
	switch f {
	case FaultSyntax:
		return "syntax"
	case FaultLimit:
		return "limit"
	case FaultUnsupported:
		return "unsupported"
	case FaultEncoding:
		return "encoding"
	case FaultIRI:
		return "iri"
	}
	return "unknown"
}

// A SyntaxError says why a document could not be read.
type SyntaxError struct {
	// Format is the short name of the syntax, such as "turtle".
	Format string
	// Line and Column count from 1, the column in bytes. Both are 0 where no
	// single place is at fault.
	Line, Column int
	Kind         Fault
	Msg          string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Format + ": " + e.Msg
	}
	return fmt.Sprintf("%s: line %d, column %d: %s", e.Format, e.Line, e.Column, e.Msg)
}

// ErrorAt returns a SyntaxError for the byte offset in doc.
func ErrorAt(format, doc string, offset int, kind Fault, msg string) *SyntaxError {
	before := doc[:min(max(offset, 0), len(doc))]
	return &SyntaxError{
		Format: format,
		Line:   1 + strings.Count(before, "\n"),
		Column: len(before) - strings.LastIndexByte(before, '\n'),
		Kind:   kind,
		Msg:    msg,
	}
}

// A WriteError names a term that a format has no way to write, such as a
// predicate without an XML name in RDF/XML. Refuse such a resource when it
// comes in, and no later GET can fail; package format has Servable for that.
type WriteError struct {
	Format string
	Term   Term
	Msg    string
}

func (e *WriteError) Error() string {
	return fmt.Sprintf("%s: %s: %.200q", e.Format, e.Msg, e.Term.Value)
}
