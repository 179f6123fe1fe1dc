package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

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
