// Package format chooses among the RDF syntaxes by media type: it reads a body
// by its Content-Type, writes a graph in a Format, and negotiates the Format of
// an answer from an Accept header.
//
//	g, err := format.Parse(body, format.Turtle, base, rdf.Limits{})
//	b, err := format.Append(nil, g, format.RDFXML)
//
// The zero Limits are safe for bodies from strangers.
package format

import (
	"fmt"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld"
	"github.com/oslcbus/oslcbus/oslc/rdf/ntriples"
	"github.com/oslcbus/oslcbus/oslc/rdf/rdfxml"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
)

// A Format is a syntax for RDF graphs. The zero Format is RDF/XML, which every
// OSLC client reads.
type Format uint8

// The formats.
const (
	RDFXML Format = iota
	Turtle
	NTriples
	JSONLD
)

var all = [...]Format{RDFXML, Turtle, NTriples, JSONLD}

// All returns every Format.
func All() []Format { return append([]Format(nil), all[:]...) }

// String returns the short name: rdfxml, turtle, ntriples or jsonld.
func (f Format) String() string {
	switch f {
	case RDFXML:
		return "rdfxml"
	case Turtle:
		return "turtle"
	case NTriples:
		return "ntriples"
	case JSONLD:
		return "jsonld"
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// MediaType returns the registered media type, without parameters: all four
// formats are written in UTF-8.
func (f Format) MediaType() string {
	switch f {
	case RDFXML:
		return "application/rdf+xml"
	case Turtle:
		return "text/turtle"
	case NTriples:
		return "application/n-triples"
	case JSONLD:
		return "application/ld+json"
	}
	return "application/octet-stream"
}

// ByName returns the format with the given short name or one of its usual
// names or file extensions, such as "ttl", "xml" or ".rdf".
func ByName(name string) (Format, bool) {
	switch strings.ToLower(strings.TrimPrefix(name, ".")) {
	case "rdfxml", "rdf", "xml", "rdf+xml", "rdf/xml", "owl":
		return RDFXML, true
	case "turtle", "ttl":
		return Turtle, true
	case "ntriples", "nt", "n-triples":
		return NTriples, true
	case "jsonld", "json", "json-ld", "ld+json":
		return JSONLD, true
	}
	return 0, false
}

// ByMediaType returns the format of a Content-Type. Parameters such as charset
// and profile are ignored, and so is case. Besides the registered types it
// knows those that OSLC clients send for the same thing.
func ByMediaType(contentType string) (Format, bool) {
	t, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(t)) {
	case "application/rdf+xml", "application/xml", "text/xml":
		return RDFXML, true
	case "text/turtle", "application/x-turtle", "application/turtle":
		return Turtle, true
	case "application/n-triples":
		return NTriples, true
	case "application/ld+json", "application/json":
		return JSONLD, true
	}
	return 0, false
}

// Append appends g in format f to dst. The same graph gives the same bytes in
// every process. A term that f cannot carry is a *rdf.WriteError.
func Append(dst []byte, g *rdf.Graph, f Format) ([]byte, error) {
	switch f {
	case RDFXML:
		return rdfxml.Append(dst, g)
	case Turtle:
		return turtle.Append(dst, g)
	case NTriples:
		return ntriples.Append(dst, g)
	case JSONLD:
		return jsonld.Append(dst, g)
	}
	return dst, fmt.Errorf("rdf: no such format: %v", f)
}

// Parse reads data with the zero Parser: JSON-LD is read as far as it needs no
// context processing.
func Parse(data []byte, f Format, base string, lim rdf.Limits) (*rdf.Graph, error) {
	return Parser{}.Parse(data, f, base, lim)
}

// A Parser reads every Format. The zero value is ready for use.
type Parser struct {
	// JSONLD reads the JSON-LD documents that need context processing, such as
	// those of other systems with typed terms; processor.Parse does. Nil refuses
	// them with rdf.FaultUnsupported.
	JSONLD func(data []byte, base string, lim rdf.Limits) (*rdf.Graph, error)
}

// Parse reads data as format f. base is the IRI that relative references are
// resolved against. Errors in the document are *rdf.SyntaxError.
func (p Parser) Parse(data []byte, f Format, base string, lim rdf.Limits) (g *rdf.Graph, err error) {
	// A document from a stranger must not end the process, whatever it finds.
	defer func() {
		if r := recover(); r != nil {
			g, err = nil, &rdf.SyntaxError{
				Format: f.String(), Kind: rdf.FaultUnsupported, Msg: fmt.Sprintf("the reader gave up: %v", r),
			}
		}
	}()
	switch f {
	case RDFXML:
		return rdfxml.Parse(data, base, lim)
	case Turtle:
		return turtle.Parse(data, base, lim)
	case NTriples:
		return ntriples.Parse(data, lim)
	case JSONLD:
		g, err := jsonld.Parse(data, base, lim)
		if p.JSONLD != nil && jsonld.NeedsProcessor(err) {
			return p.JSONLD(data, base, lim)
		}
		return g, err
	}
	return nil, fmt.Errorf("rdf: no such format: %v", f)
}
