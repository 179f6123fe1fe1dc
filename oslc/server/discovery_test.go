package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

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
