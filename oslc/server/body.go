package server

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// MaxBody bounds a request body, in bytes.
const MaxBody = 4 << 20

// readAll reads a body of a request within MaxBody.
func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &StatusError{http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", e.Limit)}
	}
	return data, oslc.E("server.body", err, oslc.Invalid)
}

// body reads the graph that a client sends. base is what relative references are
// resolved against.
func (s *Server) body(w http.ResponseWriter, r *http.Request, base string) (*rdf.Graph, error) {
	const op = "server.body"
	kind := r.Header.Get("Content-Type")
	f, ok := format.ByMediaType(kind)
	if !ok {
		return nil, Statusf(http.StatusUnsupportedMediaType, fmt.Sprintf("a body of type %q is not read here; there are %s", kind, acceptPost))
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, Statusf(http.StatusUnsupportedMediaType, fmt.Sprintf("a body with Content-Encoding %q is not read here", enc))
	}
	data, err := readAll(w, r)
	if err != nil {
		return nil, err
	}
	g, err := s.cfg.Parser.Parse(data, f, base, rdf.Limits{MaxBytes: MaxBody})
	if err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	if g.Len() == 0 {
		return nil, oslc.Errorf(op, oslc.Invalid, "the body holds no triples")
	}
	if err := format.Servable(g); err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	for t := range g.All() {
		if strings.HasPrefix(t.O.Datatype, "java:") {
			// Jena writes so what it has no type for: the value is lost already.
			return nil, oslc.Errorf(op, oslc.Invalid, "%s has the datatype %s, which is no RDF datatype", short(t.P.Value), t.O.Datatype)
		}
	}
	return g, nil
}

// short is how messages name a term.
func short(iri string) string {
	if name, ok := rdf.Compact(iri); ok {
		return name
	}
	return "<" + iri + ">"
}

// posted finds the node that stands for the resource in a body that is to create
// one: the base itself, which relative references to "" lead to, else the one node
// of a class of the collection, else the one node that no other leads to.
func posted(g *rdf.Graph, base string, classes []string) (rdf.Term, error) {
	self := rdf.NewIRI(base)
	for range g.About(self) {
		return self, nil
	}
	var typed, roots []rdf.Term
	objects, seen := map[rdf.Term]bool{}, map[rdf.Term]bool{}
	for t := range g.All() {
		if t.O.Kind != rdf.Literal && t.O != t.S {
			objects[t.O] = true
		}
	}
	for t := range g.All() {
		if seen[t.S] {
			continue
		}
		seen[t.S] = true
		for _, c := range classes {
			if g.IsA(t.S, c) {
				typed = append(typed, t.S)
				break
			}
		}
		if !objects[t.S] {
			roots = append(roots, t.S)
		}
	}
	switch {
	case len(typed) == 1:
		return typed[0], nil
	case len(typed) == 0 && len(roots) == 1:
		return roots[0], nil
	}
	return rdf.Term{}, oslc.Errorf("server.body", oslc.Invalid,
		"the body does not tell which node is the resource to create: %d nodes are of a class of this collection; type exactly one", len(typed))
}

// plainText returns the text of an XMLLiteral, and whether markup was in it. What is
// no well-formed XML is text as it stands: Lyo's client sends that.
func plainText(lexical string) (text string, markup bool) {
	if !strings.ContainsAny(lexical, "<&") {
		return lexical, false
	}
	d := xml.NewDecoder(strings.NewReader("<x>" + lexical + "</x>"))
	var b strings.Builder
	depth := 0
	for {
		tok, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && depth == 0:
			return b.String(), markup
		case err != nil:
			return lexical, false
		}
		switch t := tok.(type) {
		case xml.StartElement:
			markup = markup || depth > 0
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			b.Write(t)
		case xml.Comment, xml.ProcInst, xml.Directive:
			markup = true
		}
	}
}
