// Package processor reads any JSON-LD 1.1 document, with the JSON-LD processor
// of github.com/piprate/json-gold kept on a short lead: it reaches neither the
// network nor the file system, its panics become errors, and what it is given is
// bounded in size and depth.
//
// It is some twenty times slower than the reader in package jsonld. Hand Parse to
// format.Parser, which turns to it only for the documents that need it:
//
//	p := format.Parser{JSONLD: processor.Parse}
package processor

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/jsontree"
	"github.com/piprate/json-gold/ld"
)

const format = "jsonld"

// DefaultMaxBytes is the size of a document where Limits set none. It is less
// than for the other readers because this one takes about 80 us per triple.
const DefaultMaxBytes = 1 << 20

// A Processor reads JSON-LD. The zero value knows one remote context, ContextIRI.
type Processor struct {
	// Contexts are documents that stand for the IRIs of more remote contexts. Any
	// other remote context is refused with rdf.FaultUnsupported.
	Contexts map[string][]byte
}

// ContextIRI names the context that declares the well-known prefixes, those of
// rdf.Prefixes. It is held here and never fetched.
const ContextIRI = "https://oslcbus.github.io/ns/context.jsonld"

// Context returns the document that ContextIRI names.
func Context() []byte {
	b := []byte(`{"@context":{`)
	for i, p := range rdf.Prefixes() {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "\n  %q: %q", p.Name, p.IRI)
	}
	return append(b, "\n}}\n"...)
}

// Parse reads a document with the zero Processor.
func Parse(data []byte, base string, lim rdf.Limits) (*rdf.Graph, error) {
	return Processor{}.Parse(data, base, lim)
}

// Parse reads a document. base is the IRI that relative references are resolved
// against. Named graphs are refused. Errors are *rdf.SyntaxError. As the JSON-LD
// API says (section 8.1.2), statements with a malformed IRI are passed over.
//
// Language tags come out in lower case, as JSON-LD allows. An integer beyond 2^53
// keeps all its digits and is an xsd:integer, also where the context asks for
// another type.
func (p Processor) Parse(data []byte, base string, lim rdf.Limits) (*rdf.Graph, error) {
	if lim.MaxBytes <= 0 {
		lim.MaxBytes = DefaultMaxBytes
	}
	lim = lim.WithDefaults(rdf.DefaultMaxDepth)
	if len(data) > lim.MaxBytes {
		return nil, rdf.TooLarge(format, data, lim.MaxBytes)
	}
	tree, err := jsontree.Decode(format, data, lim)
	if err != nil {
		return nil, err
	}
	g, err := p.read(tree, nil, base, lim)
	if err != nil {
		return nil, p.locate(data, tree, base, lim, err)
	}
	return g, nil
}

// A refusal is an error of the processor, which does not say where.
type refusal struct {
	*rdf.SyntaxError

	code ld.ErrorCode
}

// read hands the tree to the processor, without the parts that are left out.
func (p Processor) read(tree jsontree.Value, left leftOut, base string, lim rdf.Limits) (g *rdf.Graph, err error) {
	defer func() {
		if r := recover(); r != nil {
			g, err = nil, fault(rdf.FaultUnsupported, fmt.Sprintf("the processor gave up: %v", r))
		}
	}()
	loader := &loader{contexts: p.Contexts, lim: lim}
	opts := ld.NewJsonLdOptions(base)
	opts.DocumentLoader = loader
	out, err := ld.NewJsonLdProcessor().ToRDF(left.plain(tree), opts)
	if err != nil {
		if loader.refused != "" {
			return nil, fault(rdf.FaultUnsupported, "remote context "+loader.refused)
		}
		var e *ld.JsonLdError
		if !errors.As(err, &e) {
			return nil, fault(rdf.FaultSyntax, err.Error())
		}
		return nil, refusal{&rdf.SyntaxError{Format: format, Kind: rdf.FaultSyntax, Msg: err.Error()}, e.Code}
	}
	dataset, ok := out.(*ld.RDFDataset)
	if !ok {
		return nil, fault(rdf.FaultUnsupported, fmt.Sprintf("the processor gave a %T", out))
	}
	return graph(dataset, lim)
}

func fault(kind rdf.Fault, msg string) error {
	return refusal{SyntaxError: &rdf.SyntaxError{Format: format, Kind: kind, Msg: msg}}
}

// A loader serves the contexts it holds and nothing else.
type loader struct {
	contexts map[string][]byte
	lim      rdf.Limits
	refused  string
}

var errRefused = errors.New("remote contexts are refused")

func (l *loader) LoadDocument(iri string) (*ld.RemoteDocument, error) {
	data, ok := l.contexts[iri]
	if !ok && iri == ContextIRI {
		data, ok = Context(), true
	}
	if !ok {
		l.refused = fmt.Sprintf("%.200q", iri)
		return nil, errRefused
	}
	tree, err := jsontree.Decode(format, data, l.lim)
	if err != nil {
		return nil, err
	}
	return &ld.RemoteDocument{DocumentURL: iri, Document: leftOut(nil).context(tree)}, nil
}

// exact is the range in which every integer is a float64 too.
const exact = 1 << 53

// plain makes the maps and slices that the processor takes, with an object in
// the place of each integer that its numbers cannot hold.
func (l leftOut) plain(v jsontree.Value) any {
	switch v := v.(type) {
	case []jsontree.Value:
		return l.list(v, l.plain)
	case *jsontree.Object:
		out := make(map[string]any, len(v.Members))
		_, typed := v.Get("@type")
		for i := range v.Members {
			m := &v.Members[i]
			n, isNumber := m.Value.(json.Number)
			switch {
			case l[m]:
			case m.Key == "@context":
				out[m.Key] = l.context(m.Value)
			case m.Key == "@value" && isNumber && large(n):
				out[m.Key] = n.String()
				if !typed {
					out["@type"] = rdf.XSDInteger
				}
			default:
				out[m.Key] = l.plain(m.Value)
			}
		}
		return out
	case json.Number:
		if large(v) {
			return map[string]any{"@value": v.String(), "@type": rdf.XSDInteger}
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

func (l leftOut) list(v []jsontree.Value, plain func(jsontree.Value) any) []any {
	out := make([]any, 0, len(v))
	for i := range v {
		if !l[&v[i]] {
			out = append(out, plain(v[i]))
		}
	}
	return out
}

// context is plain for contexts, in which numbers are never data.
func (l leftOut) context(v jsontree.Value) any {
	switch v := v.(type) {
	case []jsontree.Value:
		return l.list(v, l.context)
	case *jsontree.Object:
		out := make(map[string]any, len(v.Members))
		for i := range v.Members {
			if m := &v.Members[i]; !l[m] {
				out[m.Key] = l.context(m.Value)
			}
		}
		return out
	case json.Number:
		f, _ := v.Float64()
		return f
	}
	return v
}

func large(n json.Number) bool {
	if strings.ContainsAny(n.String(), ".eE") {
		return false
	}
	i, ok := new(big.Int).SetString(n.String(), 10)
	return ok && i.CmpAbs(big.NewInt(exact)) > 0
}

func graph(d *ld.RDFDataset, lim rdf.Limits) (*rdf.Graph, error) {
	for _, name := range slices.Sorted(maps.Keys(d.Graphs)) {
		if name != "@default" && len(d.Graphs[name]) > 0 {
			return nil, fault(rdf.FaultUnsupported, fmt.Sprintf("named graph %.200q", name))
		}
	}
	quads := d.Graphs["@default"]
	if len(quads) > lim.MaxTriples {
		return nil, fault(rdf.LimitTriples, "too many triples")
	}
	g := rdf.NewGraph()
	nodes := rdf.NewRenamer()
	for _, q := range quads {
		var t rdf.Triple
		for _, c := range [3]struct {
			to   *rdf.Term
			from ld.Node
		}{{&t.S, q.Subject}, {&t.P, q.Predicate}, {&t.O, q.Object}} {
			var err error
			if *c.to, err = term(c.from, nodes, lim); err != nil {
				return nil, err
			}
		}
		if t.P.Kind == rdf.IRI && t.S.Kind != rdf.Literal {
			g.AddTriple(t)
		}
	}
	return g, nil
}

func term(n ld.Node, nodes *rdf.Renamer, lim rdf.Limits) (rdf.Term, error) {
	v := n.GetValue()
	switch {
	case ld.IsBlankNode(n):
		return nodes.Rename(v), nil
	case ld.IsIRI(n):
		return rdf.NewIRI(v), check(v, lim)
	}
	l, ok := n.(*ld.Literal)
	if !ok {
		value, ok := n.(ld.Literal)
		if !ok {
			return rdf.Term{}, fault(rdf.FaultUnsupported, fmt.Sprintf("a term of type %T", n))
		}
		l = &value
	}
	if l.Language != "" {
		if !chars.IsLangTag(l.Language) {
			return rdf.Term{}, fault(rdf.FaultSyntax, "not a language tag")
		}
		return rdf.InLanguage(v, l.Language), nil
	}
	return rdf.Typed(v, l.Datatype), check(l.Datatype, lim)
}

func check(iri string, lim rdf.Limits) error {
	if len(iri) > lim.MaxIRI {
		return fault(rdf.LimitIRI, "IRI too long")
	}
	if !rdf.ValidIRI(iri) {
		return fault(rdf.FaultIRI, fmt.Sprintf("not an absolute IRI: %.200q", iri))
	}
	return nil
}
