package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

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
