package rdf

import (
	"bytes"
	"fmt"
	"strings"
)

// Fault classes what is wrong with a document. The set is closed.
type Fault uint8

const (
	// FaultSyntax means that the text breaks the grammar of its format.
	FaultSyntax Fault = iota
	// FaultUnsupported means legal, but not read here, such as an external entity.
	FaultUnsupported
	// FaultEncoding means that the bytes are not text in an encoding that is read here.
	FaultEncoding
	// FaultIRI means an IRI that is relative after all, or that holds characters
	// no IRI may hold.
	FaultIRI
)

// The faults that mean that a document is larger, deeper or richer than the field of
// Limits that is called Max instead of Limit allows.
const (
	LimitBytes Fault = FaultIRI + 1 + iota
	LimitTriples
	LimitDepth
	LimitAttributes
	LimitNamespaces
	LimitIRI
	LimitLiteral
	// LimitEntities is what the entities of an XML document expand to, and how many
	// it declares.
	LimitEntities
)

// IsLimit reports whether f says that a document goes beyond Limits, rather than
// that it is wrong: with other Limits it may be read.
func (f Fault) IsLimit() bool { return f >= LimitBytes }

var faults = [...]string{
	FaultSyntax: "syntax", FaultUnsupported: "unsupported", FaultEncoding: "encoding", FaultIRI: "iri",
	LimitBytes: "bytes", LimitTriples: "triples", LimitDepth: "depth", LimitAttributes: "attributes",
	LimitNamespaces: "namespaces", LimitIRI: "iri_length", LimitLiteral: "literal_length", LimitEntities: "entities",
}

// String returns the fault in lower case, for labels and logs.
func (f Fault) String() string {
	if int(f) < len(faults) {
		return faults[f]
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

// TooLarge returns the SyntaxError for a document of which no more than most bytes
// may be read; the place is that of the first byte beyond.
func TooLarge(format string, data []byte, most int) *SyntaxError {
	before := data[:min(most, len(data))]
	return &SyntaxError{
		Format: format,
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: len(before) - bytes.LastIndexByte(before, '\n'),
		Kind:   LimitBytes,
		Msg:    fmt.Sprintf("document larger than %d bytes", most),
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
