package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

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

// TestWrites_readBack: whatever order writes and folds come in, a reader never sees a
// state from before a write that was answered, and the tag of any answer names the
// state for as long as it is the current one.
func TestWrites_readBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := newPad(false)
		h := padServer(p)
		var path, tag, title string
		deleted := false
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{"put", "fold", "get", "old", "delete", "query"}), 1, 12).Draw(rt, "steps")
		path, tag = postNote(t, h, `<> a oslc_cm:ChangeRequest ; dcterms:title "0" .`)
		title = "0"
		old := `"another-turtle"`
		for i, step := range steps {
			switch step {
			case "put", "old":
				match := tag
				if step == "old" {
					match = old
				}
				w := call(h, http.MethodPut, path, notePrefs+fmt.Sprintf(`<> dcterms:title "%d" .`, i+1), "Content-Type", "text/turtle", "Accept", "text/turtle", "If-Match", match)
				want := http.StatusOK
				switch {
				case deleted:
					want = http.StatusGone
				case step == "old":
					want = http.StatusPreconditionFailed
				}
				if w.Code != want {
					rt.Fatalf("step %d %s: %d, want %d: %s", i, step, w.Code, want, w.Body)
				}
				if w.Code == http.StatusOK {
					old, tag, title = tag, w.Header().Get("ETag"), fmt.Sprint(i+1)
				}
			case "fold":
				p.fold()
			case "get", "query":
				w := call(h, http.MethodGet, path, "", "Accept", "text/turtle")
				if deleted {
					if w.Code != http.StatusGone {
						rt.Fatalf("step %d: a deleted note: %d", i, w.Code)
					}
					continue
				}
				if got := graphOf(t, w).Value(rdf.NewIRI("http://bus.example"+path), vocab.DCTermsTitle); got != title {
					rt.Fatalf("step %d: the title is %q, want %q", i, got, title)
				}
			case "delete":
				if w := call(h, http.MethodDelete, path, "", "If-Match", tag); !deleted && w.Code != http.StatusNoContent || deleted && w.Code != http.StatusGone {
					rt.Fatalf("step %d: DELETE: %d %s", i, w.Code, w.Body)
				}
				deleted = true
			}
		}
	})
}

// TestWrites_storeIsBehind: until the store has the write, the tool's answer is read.
func TestWrites_storeIsBehind(t *testing.T) {
	t.Parallel()
	p := newPad(false)
	h := padServer(p)
	path, tag := postNote(t, h, `<> a oslc_cm:ChangeRequest ; dcterms:title "one" .`)
	uri := rdf.NewIRI("http://bus.example" + path)
	read := func(want string) string {
		t.Helper()
		w := call(h, http.MethodGet, path, "", "Accept", "text/turtle")
		g := graphOf(t, w)
		if got := g.Value(uri, vocab.DCTermsTitle); w.Code != http.StatusOK || got != want {
			t.Errorf("GET: %d, title %q, want %q", w.Code, got, want)
		}
		if g.Value(uri, vocab.OSLCServiceProvider) != "http://bus.example/services/pad" || g.Value(uri, vocab.OSLCInstanceShape) != "http://bus.example/services/pad/shapes/notes" {
			t.Errorf("GET says nothing of provider or shape: %v", g.Triples())
		}
		return w.Header().Get("ETag")
	}
	if got := read("one"); got != tag {
		t.Errorf("the tag is %s, the one of the answer to POST %s", got, tag)
	}
	w := call(h, http.MethodPut, path, notePrefs+`<> dcterms:title "two" .`, "Content-Type", "text/turtle", "Accept", "text/turtle", "If-Match", tag)
	if w.Code != http.StatusOK {
		t.Fatalf("PUT: %d %s", w.Code, w.Body)
	}
	tag = w.Header().Get("ETag")
	read("two")
	p.fold()
	folded := read("two")
	if folded == tag {
		t.Error("the state of the store has the tag that this process made up")
	}
	for _, match := range []string{tag, folded} { // both name it
		if w := call(h, http.MethodPut, path, notePrefs+`<> dcterms:title "two" .`, "Content-Type", "text/turtle", "If-Match", match); w.Code != http.StatusOK {
			t.Errorf("PUT with %s: %d %s", match, w.Code, w.Body)
		}
	}
	if w := call(h, http.MethodDelete, path, ""); w.Code != http.StatusNoContent {
		t.Fatalf("DELETE: %d", w.Code)
	}
	if w := call(h, http.MethodGet, path, ""); w.Code != http.StatusGone {
		t.Errorf("right after it was deleted: %d", w.Code)
	}
}

// TestMerge: what a body means for each kind of property.
func TestMerge(t *testing.T) {
	t.Parallel()
	p := newPad(true)
	h := padServer(p)
	const before = `<> a oslc_cm:ChangeRequest ; dcterms:title "one" ; dcterms:subject "a", "b" ; t:done true ; t:due "2026-01-01T00:00:00.5Z"^^xsd:dateTime .`
	for name, c := range map[string]struct {
		body    string
		status  int
		want    string // of the resource afterwards, in Turtle
		warning string
	}{
		"the same":            {`<> a oslc_cm:ChangeRequest ; dcterms:title "one" ; dcterms:subject "b", "a" ; t:done "1"^^xsd:boolean ; t:due "2026-01-01T01:00:00.500+01:00"^^xsd:dateTime ; t:level "low" .`, 200, `dcterms:title "one" ; dcterms:subject "a", "b" ; t:done true ; t:due "2026-01-01T00:00:00.5Z"^^xsd:dateTime ; t:level "low"`, ""},
		"as XML":              {`<> dcterms:title "R&amp;D &lt;x&gt;"^^rdf:XMLLiteral .`, 200, `dcterms:title "R&D <x>"`, ""},
		"as broken XML":       {`<> dcterms:title "R&D <x>"^^rdf:XMLLiteral .`, 200, `dcterms:title "R&D <x>"`, ""},
		"with markup":         {`<> dcterms:title "<b>bold</b> text"^^rdf:XMLLiteral .`, 200, `dcterms:title "bold text"`, "markup"},
		"server-managed":      {`<> dcterms:title "x" ; dcterms:identifier "mine" ; dcterms:creator [ a <http://xmlns.com/foaf/0.1/Person> ; t:name "Ann" ] .`, 200, `dcterms:title "x"`, "dcterms:creator"},
		"no values":           {`<> dcterms:title "x" .`, 200, `dcterms:title "x"`, ""},
		"links":               {`<> dcterms:title "x" ; t:near <http://x.example/1>, <http://x.example/2> .`, 200, `dcterms:title "x" ; t:near <http://x.example/1>, <http://x.example/2>`, ""},
		"a link by name":      {`<> dcterms:title "x" ; t:near [ t:a 1 ] .`, 400, "", ""},
		"a value too many":    {`<> dcterms:title "x", "y" .`, 400, "", ""},
		"a value unlike":      {`<> dcterms:title "x" ; t:level "medium" .`, 400, "", ""},
		"no title":            {`<> t:done true .`, 400, "", ""},
		"language":            {`<> dcterms:title "x"@en .`, 400, "", ""},
		"known in a language": {`<> dcterms:title "one"@en .`, 200, `dcterms:title "one"`, ""},
		"unknown":             {`<> dcterms:title "x" ; t:unknown 1 .`, 400, "", ""},
		"another class":       {`<> a t:Note ; dcterms:title "x" .`, 400, "", ""},
		"about another":       {`<> dcterms:title "x" . <http://x.example/> t:a 1 .`, 400, "", ""},
		"about nothing here":  {`<http://x.example/> dcterms:title "x" .`, 400, "", ""},
	} {
		path, tag := postNote(t, h, before)
		w := call(h, http.MethodPut, path, notePrefs+c.body, "Content-Type", "text/turtle", "Accept", "text/turtle", "If-Match", tag)
		if w.Code != c.status || !strings.Contains(w.Header().Get("Warning"), c.warning) || c.warning == "" && w.Header().Get("Warning") != "" && w.Code == 200 && !strings.Contains(w.Header().Get("Warning"), "level") {
			t.Errorf("%s: %d, Warning %q, want %d and %q: %s", name, w.Code, w.Header().Get("Warning"), c.status, c.warning, w.Body)
			continue
		}
		uri := "http://bus.example" + path
		if c.status != 200 {
			if got := graphOf(t, call(h, http.MethodGet, path, "")).Value(rdf.NewIRI(uri), vocab.DCTermsTitle); got != "one" {
				t.Errorf("%s: a refused PUT changed the title to %q", name, got)
			}
			continue
		}
		want, err := format.Parse([]byte(notePrefs+"<"+uri+"> "+c.want+" ."), format.Turtle, uri, rdf.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got := graphOf(t, w)
		mine := []string{vocab.DCTermsTitle, vocab.DCTermsSubject, vocab.DCTermsDescription, toolNS + "done", toolNS + "due", toolNS + "near", toolNS + "level"}
		for tr := range got.All() {
			if slices.Contains(mine, tr.P.Value) && !want.Has(tr) {
				t.Errorf("%s: there is %v", name, tr)
			}
		}
		for tr := range want.All() {
			if !got.Has(tr) {
				t.Errorf("%s: there is no %v in %s", name, tr, w.Body)
			}
		}
	}
}

// TestDialog_form: a form from another site is refused, and a page may be framed only
// by whom it may.
func TestDialog_form(t *testing.T) {
	t.Parallel()
	p := newPad(true)
	h := padServer(p, "https://elm.example")
	const page = "/services/pad/dialogs/notes/creation/page"
	form := url.Values{"title": {"by form"}, "subject": {"a\r\nb\r\n"}, "done": {"true"}, "level": {"high"}}.Encode()
	for site, want := range map[string]int{"same-origin": 201, "none": 201, "": 201, "cross-site": 403, "same-site": 403} {
		w := call(h, http.MethodPost, page, form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", site)
		if w.Code != want {
			t.Errorf("a form from %q: %d, want %d: %.200s", site, w.Code, want, w.Body)
		}
	}
	var made *rdf.Graph
	for uri, g := range p.tool {
		made = g
		n := rdf.NewIRI(uri)
		if g.Value(n, vocab.DCTermsTitle) != "by form" || len(g.Objects(n, vocab.DCTermsSubject)) != 2 || g.Value(n, toolNS+"level") != "high" || g.Object(n, toolNS+"done") != rdf.Bool(true) {
			t.Errorf("the form made %v", g.Triples())
		}
	}
	if made == nil || len(p.tool) != 3 {
		t.Errorf("the forms made %d notes, want 3", len(p.tool))
	}
	for _, path := range []string{page, "/services/pad/dialogs/notes/selection/page", notes + "/0/preview/small"} {
		w := call(h, http.MethodGet, path, "", "Accept", "text/html")
		csp := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'self' https://elm.example", "base-uri 'none'", "form-action 'self'"} {
			if w.Code != http.StatusOK || !strings.Contains(csp, want) {
				t.Errorf("%s: %d, policy %q without %s", path, w.Code, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(w.Body.String(), "<script>") || strings.Contains(w.Body.String(), " on") && strings.Contains(w.Body.String(), "onclick") {
			t.Errorf("%s has a script of its own", path)
		}
		if w.Body.Len() > 8<<10 {
			t.Errorf("%s has %d bytes", path, w.Body.Len())
		}
	}
	for _, c := range []struct {
		method, path, mediaType string
		want                    int
	}{
		{http.MethodPost, page, "text/turtle", 415},
		{http.MethodDelete, page, "", 405},
		{http.MethodGet, page + "?prefill=gone", "", 410},
		{http.MethodGet, "/services/pad/dialogs/notes/other", "", 404},
		{http.MethodPost, "/services/pad/dialogs/notes/selection", "text/turtle", 405},
	} {
		if w := call(h, c.method, c.path, "x", "Content-Type", c.mediaType); w.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
}

// TestCatalog_pages: a large catalog is read in pages after a redirect (CORE-40), or
// at once by who asks for no pages.
func TestCatalog_pages(t *testing.T) {
	t.Parallel()
	cfg := server.Config{BaseURL: "http://bus.example", Title: "Bus", Store: newPad(true)}
	for i := range 450 {
		cfg.Providers = append(cfg.Providers, oslc.ServiceProvider{Name: fmt.Sprintf("p%03d", i), Title: "P", Services: []oslc.Service{{Domain: vocab.CM}}})
	}
	s := newServer(cfg)
	h := server.Handler(nil, s.Catalog)
	catalog := rdf.NewIRI("http://bus.example/services/catalog")
	w := call(h, http.MethodGet, "/services/catalog", "")
	to := w.Header().Get("Location")
	if w.Code != http.StatusFound || !strings.Contains(to, "oslc.paging=true") {
		t.Fatalf("450 providers: %d to %q", w.Code, to)
	}
	seen := map[string]bool{}
	pages := 0
	for to != "" && pages < 10 {
		pages++
		w := call(h, http.MethodGet, to, "")
		g := graphOf(t, w)
		for _, o := range g.Objects(catalog, vocab.OSLCServiceProvider) {
			if seen[o.Value] {
				t.Errorf("%s is on two pages", o.Value)
			}
			seen[o.Value] = true
		}
		info := g.OfType(vocab.OSLCResponseInfo)
		if len(info) != 1 || info[0].Value != to || g.Value(info[0], vocab.OSLCTotalCount) != "450" {
			t.Fatalf("page %d says %v of itself, want <%s>", pages, info, to)
		}
		to = g.Value(info[0], vocab.OSLCNextPage)
	}
	if pages != 3 || len(seen) != 450 {
		t.Errorf("%d pages with %d providers, want 3 and 450", pages, len(seen))
	}
	if g := graphOf(t, call(h, http.MethodGet, "/services/catalog?oslc.paging=false", "")); len(g.Objects(catalog, vocab.OSLCServiceProvider)) != 450 {
		t.Error("without pages it is not whole")
	}
	for _, bad := range []string{"?oslc.paging=true&page=9", "?oslc.paging=true&page=-1", "?oslc.pageSize=0", "?oslc.paging=perhaps"} {
		if w := call(h, http.MethodGet, "/services/catalog"+bad, ""); w.Code != 400 && w.Code != 404 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	a, b := call(h, http.MethodGet, "/services/catalog?oslc.paging=false", ""), call(h, http.MethodGet, "/services/catalog?oslc.paging=false", "")
	if !bytes.Equal(a.Body.Bytes(), b.Body.Bytes()) || a.Header().Get("ETag") == "" || a.Header().Get("ETag") != b.Header().Get("ETag") {
		t.Error("the same catalog is not the same bytes")
	}
}

// TestRootServices: what Jazz applications and Lyo look for, without a wish of theirs
// as RDF/XML.
func TestRootServices(t *testing.T) {
	t.Parallel()
	s := newServer(server.Config{BaseURL: "http://bus.example", Title: "Bus", Store: newPad(true), Providers: []oslc.ServiceProvider{{
		Name: "pad", Title: "Pad", Sets: []string{"http://bus.example/trs/pad"}, Services: []oslc.Service{{Domain: vocab.CM}},
	}}})
	w := call(server.Handler(nil, s.RootServices), http.MethodGet, "/rootservices", "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/rdf+xml" {
		t.Fatalf("%d, %s", w.Code, w.Header().Get("Content-Type"))
	}
	g := graphOf(t, w)
	root := rdf.NewIRI("http://bus.example/rootservices")
	const jfs = "http://jazz.net/xmlns/prod/jazz/jfs/1.0/"
	for _, p := range []string{"http://open-services.net/xmlns/cm/1.0/cmServiceProviders", vocab.CM + "cmServiceProviders", vocab.Auto + "autoServiceProviders"} {
		if g.Value(root, p) != "http://bus.example/services/catalog" {
			t.Errorf("<%s> is %q", p, g.Value(root, p))
		}
	}
	for _, p := range []string{"oauthRequestTokenUrl", "oauthUserAuthorizationUrl", "oauthAccessTokenUrl"} {
		if o := g.Object(root, jfs+p); o.Kind != rdf.IRI || !strings.HasPrefix(o.Value, "http://bus.example/oauth/") {
			t.Errorf("%s is %v", p, o)
		}
	}
	sets := g.Objects(root, vocab.Bus+"trackedResourceSetProvider")
	if len(sets) != 1 || g.Value(sets[0], vocab.TRSTrackedResourceSet) != "http://bus.example/trs/pad" || g.Value(sets[0], vocab.DCTermsType) != vocab.CM ||
		g.Value(sets[0], vocab.DCTermsTitle) == "" || g.Value(sets[0], vocab.DCTermsDescription) == "" {
		t.Errorf("the tracked resource set is %v", g.Triples())
	}
}

// TestStatic: scripts and styles have the types that browsers take them for.
func TestStatic(t *testing.T) {
	t.Parallel()
	s := newServer(server.Config{BaseURL: "http://bus.example", Store: newPad(true)})
	for name, kind := range map[string]string{
		"dialog.js": "text/javascript", "resize.js": "text/javascript", "oslc.css": "text/css", "icon.svg": "image/svg+xml",
		"preview.html": "", "none.js": "", "..%2fstatic.go": "", "": "",
	} {
		w := call(server.Handler(nil, func(w http.ResponseWriter, r *http.Request) error { return s.Static(w, r, name) }), http.MethodGet, "/web/x", "")
		if kind == "" && w.Code != http.StatusNotFound || kind != "" && (w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Body.Len() > 4<<10) {
			t.Errorf("%s: %d, %s, %d bytes", name, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
		}
	}
}

// FuzzBodies: no body makes a handler fail, whatever it calls itself; what is refused
// is told as an oslc:Error, and what is taken can be read again.
func FuzzBodies(f *testing.F) {
	types := []string{"text/turtle", "application/rdf+xml", "application/ld+json", "application/n-triples", "application/x-www-form-urlencoded", "application/json", "text/plain", ""}
	for i, body := range []string{
		notePrefs + `<> a oslc_cm:ChangeRequest ; dcterms:title "x" .`,
		`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:d="http://purl.org/dc/terms/"><rdf:Description rdf:about=""><d:title rdf:parseType="Literal">a<b/></d:title></rdf:Description></rdf:RDF>`,
		`{"@context": {"title": "http://purl.org/dc/terms/title"}, "@id": "", "title": "x"}`,
		`_:a <http://purl.org/dc/terms/title> "x" .`,
		"title=x&subject=a%0Ab&near=not%20an%20iri&done=maybe",
		`{"@id": "", "http://purl.org/dc/terms/title": [{"@value": "x", "@type": "java:x"}]}`, "plain", "",
		notePrefs + `[] dcterms:title "]]>&<x>"^^rdf:XMLLiteral ; t:near <http://x.example/[1]> .`,
	} {
		f.Add(uint8(i), uint8(i), "", []byte(body))
		f.Add(uint8(i), uint8(i), "oslc.properties=dcterms:title", []byte(body))
	}
	f.Fuzz(func(t *testing.T, target, kind uint8, rawQuery string, body []byte) {
		p := newPad(true)
		h := padServer(p)
		path, _ := postNote(t, h, `<> a oslc_cm:ChangeRequest ; dcterms:title "one" .`)
		targets := []struct{ method, path string }{
			{http.MethodPost, notes},
			{http.MethodPut, path},
			{http.MethodPost, "/services/pad/dialogs/notes/creation"},
			{http.MethodPost, "/services/pad/dialogs/notes/creation/page"},
		}
		to := targets[int(target)%len(targets)]
		r := httptest.NewRequestWithContext(context.Background(), to.method, "http://bus.example"+to.path, bytes.NewReader(body))
		r.URL.RawQuery = rawQuery
		r.Header.Set("Content-Type", types[int(kind)%len(types)])
		r.Header.Set("Accept", "application/rdf+xml")
		r.Header.Set("If-Match", "*")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		page := strings.HasPrefix(w.Header().Get("Content-Type"), "text/html")
		switch {
		case w.Code >= 500 && w.Code != http.StatusNotImplemented:
			t.Fatalf("%s %s: %d %s", to.method, to.path, w.Code, w.Body)
		case page:
		case w.Code >= 400:
			if g := graphOf(t, w); len(g.OfType(vocab.OSLCErrorClass)) != 1 {
				t.Fatalf("%s %s: %d without an oslc:Error: %s", to.method, to.path, w.Code, w.Body)
			}
		default:
			graphOf(t, w)
		}
		for uri := range p.tool {
			at := strings.TrimPrefix(uri, "http://bus.example")
			for _, accept := range []string{"application/rdf+xml", "text/turtle", "application/ld+json", "application/n-triples"} {
				if w := call(h, http.MethodGet, at, "", "Accept", accept); w.Code != http.StatusOK {
					t.Fatalf("what was taken cannot be read as %s: %d %s", accept, w.Code, w.Body)
				}
			}
			if w := call(h, http.MethodGet, at+"/preview/large", ""); w.Code != http.StatusOK {
				t.Fatalf("what was taken has no preview: %d %s", w.Code, w.Body)
			}
		}
	})
}
