package server

import (
	"mime"
	"net/http"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// maxPage is how many members or providers a page has at most.
const maxPage = 1000

// acceptPost lists the syntaxes that bodies are read in.
const acceptPost = "text/turtle, application/ld+json, application/rdf+xml, application/n-triples"

// IsQuery reports whether a request for a collection only reads: a query may come
// as a form (QUERY-6), and everything else that is posted creates.
func IsQuery(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	case http.MethodPost:
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		return err == nil && kind == "application/x-www-form-urlencoded"
	}
	return false
}

// Collection answers for a provider's resources of one kind: as a query capability,
// as a creation factory where clients may create, and to OPTIONS and HEAD with what
// it can (OSLC Core 3.0 Discovery, dynamic).
func (s *Server) Collection(w http.ResponseWriter, r *http.Request, name, kind string) error {
	c, err := s.collection(name, kind)
	if err != nil {
		return err
	}
	c.announce(w.Header())
	// POST is always there: a query may come as a form.
	if answered, err := Allow(w, r, http.MethodGet, http.MethodPost); answered || err != nil {
		return err
	}
	if !IsQuery(r) {
		if c.asks {
			return s.Ask(w, r)
		}
		if c.writer == nil {
			w.Header().Set("Allow", "GET, HEAD, POST, OPTIONS")
			return Statusf(http.StatusMethodNotAllowed, c.Title+" can only be read; POST takes a query as application/x-www-form-urlencoded")
		}
		return s.create(w, r, c)
	}
	s.settle(r.Context(), c)
	return s.list(w, r, c)
}

// announce says in headers what can be done with the collection (DIS-9 to 14, DD-1).
func (c *collection) announce(h http.Header) {
	h.Add("Link", link(vocab.LDPBasicContainer, "type"))
	h.Add("Link", link(vocab.LDP+"Resource", "type"))
	for _, class := range c.ResourceTypes {
		h.Add("Link", link(class, vocab.OSLCResourceType))
	}
	c.constrained(h)
	h.Add("Link", link(c.dialogURI(selection), vocab.OSLCSelectionDialog))
	if c.writer == nil && !c.asks {
		return
	}
	h.Set("Accept-Post", acceptPost)
	if c.Shape != nil {
		h.Add("Link", link(c.dialogURI(creation), vocab.OSLCCreationDialog))
	}
}

// constrained names the shape that bodies must fit.
func (c *collection) constrained(h http.Header) {
	if c.Shape != nil {
		h.Add("Link", link(c.shapeURI(), vocab.LDP+"constrainedBy"))
	}
}

func link(target, rel string) string { return "<" + target + `>; rel="` + rel + `"` }

// prefers reports whether the client wants a kind of description inline (RP-12,
// DD-4). Prefer may come several times, and name several kinds at once.
func prefers(r *http.Request, kind string) bool {
	for _, v := range r.Header.Values("Prefer") {
		if strings.Contains(v, "return=representation") && strings.Contains(v, kind) {
			return true
		}
	}
	return false
}

const (
	preferCompact = vocab.OSLC + "PreferCompact"
	preferDialog  = vocab.OSLC + "PreferDialog"
)

// inlineDialogs adds the descriptors of the dialogs to the graph of a collection if
// the client prefers that.
func (c *collection) inlineDialogs(w http.ResponseWriter, r *http.Request, g *rdf.Graph) {
	vary(w.Header(), "Prefer")
	if !prefers(r, preferDialog) {
		return
	}
	w.Header().Set("Preference-Applied", "return=representation")
	n := g.Node(c.uri)
	for _, kind := range c.dialogs() {
		n.Link(kind.property, c.dialogURI(kind))
		c.dialog(g.Node(c.dialogURI(kind)), kind, nil)
	}
}

// Shape answers with the shape of a collection's resources or, as query, with that
// of the container that queries answer with (QUERY-13, 14).
func (s *Server) Shape(w http.ResponseWriter, r *http.Request, name, kind string, query bool) error {
	c, err := s.collection(name, kind)
	if err != nil {
		return err
	}
	if c.Shape == nil {
		return oslc.Errorf("server.shape", oslc.NotFound, "%s has no shape of %s", name, kind)
	}
	sh := *c.Shape
	if query {
		sh = shape.Shape{
			Term: rdf.NewIRI(c.queryShapeURI()), Title: "Members of " + c.Title, Describes: []string{vocab.LDPBasicContainer},
			Properties: []shape.Property{{
				Name: "member", Definition: vocab.RDFSMember, Occurs: shape.ZeroOrMany, ValueTypes: []string{shape.Resource},
				Representation: shape.Either, Range: c.ResourceTypes, ValueShape: rdf.NewIRI(c.shapeURI()), Member: true, ReadOnly: true, Queryable: true,
				Description: "A resource that the query has found",
			}},
		}
	}
	g := rdf.NewGraph()
	sh.AddTo(g, "p")
	if query {
		c.supported(g)
	} else {
		s.future(g, c)
	}
	return Reply{Graph: Graph(g), CacheControl: "max-age=300"}.Write(w, r)
}
