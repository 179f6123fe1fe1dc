package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const noteBase = "http://bus.example/services/pad/notes"

// pad is a tool with a store that is behind it until told: what is written comes back
// when fold is called.
type pad struct {
	mu     sync.Mutex
	n      int
	tool   map[string]*rdf.Graph // what the tool has; nil is deleted
	store  map[string]server.Resource
	behind []string
	wake   chan struct{}
	live   bool // nothing is behind
	hours  int  // on the server's clock, which goes an hour at each look: nobody waits
}

func (p *pad) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hours++
	return time.Unix(0, 0).Add(time.Duration(p.hours) * time.Hour)
}

func newPad(live bool) *pad {
	return &pad{tool: map[string]*rdf.Graph{}, store: map[string]server.Resource{}, wake: make(chan struct{}), live: live}
}

func (p *pad) change(uri string, g *rdf.Graph) {
	p.n++
	p.tool[uri] = g
	p.behind = append(p.behind, uri)
	if p.live {
		p.foldLocked()
	}
}

func (p *pad) fold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.foldLocked()
}

func (p *pad) foldLocked() {
	for _, uri := range p.behind {
		p.n++
		r := server.Resource{URI: uri, Graph: p.tool[uri], Revision: fmt.Sprintf("rev-%d", p.n), Modified: time.Unix(int64(p.n), 0)}
		if r.Graph == nil {
			r.Deleted, r.Graph = true, p.store[uri].Graph
		}
		if r.Graph == nil {
			r.Graph = rdf.NewGraph()
		}
		p.store[uri] = r
	}
	p.behind = nil
	close(p.wake)
	p.wake = make(chan struct{})
}

func (p *pad) folded() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wake
}

func (p *pad) Resource(_ context.Context, uri string) (server.Resource, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.store[uri]; ok {
		return r, nil
	}
	return server.Resource{}, oslc.Errorf("pad", oslc.NotFound, "no <%s>", uri)
}

func (p *pad) Resources(context.Context, string, string, int64, int) ([]server.Resource, int64, error) {
	return nil, 0, nil
}

func (p *pad) Count(context.Context, string, string) (int64, error) { return 0, nil }

func (p *pad) Query(_ context.Context, _, _ string, q *query.Query) (query.Page, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	page := query.Page{Size: 100}
	var uris []string
	for uri, r := range p.store {
		if !r.Deleted && q.Where.Match(r.Graph, rdf.NewIRI(uri)) {
			uris = append(uris, uri)
		}
	}
	slices.Sort(uris)
	for _, uri := range uris {
		page.Members = append(page.Members, query.Member{URI: uri, Graph: p.store[uri].Graph, Revision: p.store[uri].Revision})
	}
	page.Total = int64(len(uris))
	return page, nil
}

func (p *pad) Create(_ context.Context, w oslc.Write) (oslc.Written, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	uri := fmt.Sprintf("%s/%d", noteBase, p.n)
	return p.keep(uri, w), nil
}

func (p *pad) keep(uri string, w oslc.Write) oslc.Written {
	g := rdf.NewGraph()
	for t := range w.After.About(w.Subject) {
		g.Add(rdf.NewIRI(uri), t.P.Value, t.O)
	}
	if g.Object(rdf.NewIRI(uri), vocab.DCTermsIdentifier).IsZero() {
		g.Add(rdf.NewIRI(uri), vocab.DCTermsIdentifier, rdf.String(uri))
	}
	p.change(uri, g)
	return oslc.Written{URI: uri, Graph: g}
}

func (p *pad) Update(_ context.Context, w oslc.Write) (oslc.Written, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keep(w.URI, w), nil
}

func (p *pad) Delete(_ context.Context, w oslc.Write) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change(w.URI, nil)
	return nil
}

func noteShape() *shape.Shape {
	return &shape.Shape{
		Title: "A note", Describes: []string{vocab.CMChangeRequest},
		Properties: []shape.Property{
			{Name: "title", Definition: vocab.DCTermsTitle, Occurs: shape.ExactlyOne, ValueTypes: []string{rdf.XMLLiteral}, Queryable: true},
			{Name: "description", Definition: vocab.DCTermsDescription, Occurs: shape.ZeroOrOne, ValueTypes: []string{rdf.XMLLiteral}, Queryable: true},
			{Name: "subject", Definition: vocab.DCTermsSubject, Occurs: shape.ZeroOrMany, ValueTypes: []string{rdf.XSDString}, Queryable: true},
			{Name: "done", Definition: toolNS + "done", Occurs: shape.ZeroOrOne, ValueTypes: []string{rdf.XSDBoolean}, Queryable: true},
			{Name: "due", Definition: toolNS + "due", Occurs: shape.ZeroOrOne, ValueTypes: []string{rdf.XSDDateTime}, Queryable: true},
			{Name: "near", Definition: toolNS + "near", Occurs: shape.ZeroOrMany, ValueTypes: []string{shape.Resource}, Queryable: true},
			{Name: "level", Definition: toolNS + "level", Occurs: shape.ZeroOrOne, Allowed: []rdf.Term{rdf.String("low"), rdf.String("high")}, Default: rdf.String("low"), Queryable: true},
			{Name: "identifier", Definition: vocab.DCTermsIdentifier, Occurs: shape.ExactlyOne, ValueTypes: []string{rdf.XSDString}, ReadOnly: true, Queryable: true},
		},
	}
}

// padServer routes to a server of notes.
func padServer(p *pad, origins ...string) http.Handler {
	cfg := server.Config{
		BaseURL: "http://bus.example", Title: "Bus", Store: p, Writers: map[string]server.Writer{"pad": p}, Folded: p.folded,
		Parser: format.Parser{JSONLD: processor.Parse}, Origins: origins, Now: p.now,
		Providers: []oslc.ServiceProvider{{Name: "pad", Title: "Pad", Services: []oslc.Service{{
			Domain: vocab.CM, Collections: []oslc.Collection{{
				Kind: "notes", Title: "Notes", ResourceTypes: []string{vocab.CMChangeRequest}, Shape: noteShape(), Writable: true,
			}},
		}}}},
	}
	s := newServer(cfg)
	return server.Handler(nil, func(w http.ResponseWriter, r *http.Request) error {
		part := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/services/pad/"), "/")
		switch {
		case part[0] == "dialogs" && len(part) == 3:
			return s.Dialog(w, r, "pad", "notes", part[2])
		case part[0] == "dialogs" && len(part) == 4:
			return s.DialogPage(w, r, "pad", "notes", part[2])
		case len(part) == 1:
			return s.Collection(w, r, "pad", part[0])
		case len(part) == 2:
			return s.Resource(w, r, "pad", part[0], part[1])
		case len(part) == 3:
			return s.Compact(w, r, "pad", part[0], part[1])
		}
		return s.Preview(w, r, "pad", part[0], part[1], part[3])
	})
}

func call(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	notes     = "/services/pad/notes"
	notePrefs = "@prefix dcterms: <http://purl.org/dc/terms/> . @prefix oslc_cm: <http://open-services.net/ns/cm#> . @prefix t: <" + toolNS + "> .\n" +
		"@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
)

func postNote(t testing.TB, h http.Handler, turtle string) (path, tag string) {
	t.Helper()
	w := call(h, http.MethodPost, notes, notePrefs+turtle, "Content-Type", "text/turtle", "Accept", "text/turtle")
	if w.Code != http.StatusCreated {
		t.Fatalf("POST: %d %s", w.Code, w.Body)
	}
	return strings.TrimPrefix(w.Header().Get("Location"), "http://bus.example"), w.Header().Get("ETag")
}

func graphOf(t testing.TB, w *httptest.ResponseRecorder) *rdf.Graph {
	t.Helper()
	f, _ := format.ByMediaType(w.Header().Get("Content-Type"))
	g, err := format.Parse(w.Body.Bytes(), f, "http://bus.example/", rdf.Limits{})
	if err != nil {
		t.Fatalf("%v in %d %s", err, w.Code, w.Body)
	}
	return g
}
