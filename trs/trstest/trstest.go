// Package trstest is the conformance suite for a trs.Store and for what a
// trs.Server makes of it. The numbers S01 and so on are those of the checks that
// docs/trs.md lists, each with its clause of TRS 3.0.
package trstest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
)

// A Harness is a store under test, with a way to make things happen in it.
type Harness interface {
	// Store returns the store. It holds the set Set.
	Store() trs.Store
	// Apply makes events happen, in order; a nil one is a record that is no event
	// and takes an order without a change.
	Apply(events ...*oslc.Event) error
	// Reopen closes the store and opens it again.
	Reopen() error
}

// Set is the name of the set in the suite.
const Set = "tool"

// Run runs the suite. open returns a new, empty store; it is closed by tb's
// cleanup.
func Run(t *testing.T, open func(tb testing.TB) Harness) {
	t.Run("Empty", func(t *testing.T) { t.Parallel(); testEmpty(t, open(t)) })
	t.Run("NotFound", func(t *testing.T) { t.Parallel(); testNotFound(t, open(t)) })
	t.Run("Conditional", func(t *testing.T) { t.Parallel(); testConditional(t, open(t)) })
	t.Run("HistoryIsTheSet", func(t *testing.T) { t.Parallel(); testHistory(t, open) })
}

// site serves the set of a harness.
type site struct {
	*httptest.Server
	t   testing.TB
	mux atomic.Pointer[http.ServeMux]
}

func serve(t testing.TB, h Harness, size int64) *site {
	s := &site{t: t}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.mux.Load().ServeHTTP(w, r) }))
	s.swap(h, size)
	return s
}

// swap serves a store, also a reopened one, under the site's address.
func (s *site) swap(h Harness, size int64) {
	ts := trs.NewServer(trs.Config{BaseURL: s.URL, Store: h.Store(), PageSize: size})
	mux := http.NewServeMux()
	handle := func(pattern string, fn func(w http.ResponseWriter, r *http.Request) error) {
		mux.Handle("GET "+pattern, server.Handler(nil, fn))
	}
	handle("/trs/{set}", func(w http.ResponseWriter, r *http.Request) error { return ts.Set(w, r, r.PathValue("set")) })
	handle("/trs/{set}/log/before/{n}", func(w http.ResponseWriter, r *http.Request) error {
		return ts.Segment(w, r, r.PathValue("set"), r.PathValue("n"))
	})
	handle("/trs/{set}/base", func(w http.ResponseWriter, r *http.Request) error { return ts.Base(w, r, r.PathValue("set")) })
	handle("/trs/{set}/base/{at}/{after}", func(w http.ResponseWriter, r *http.Request) error {
		return ts.BasePage(w, r, r.PathValue("set"), r.PathValue("at"), r.PathValue("after"))
	})
	s.mux.Store(mux)
}

func (s *site) setURI() string { return trs.SetURI(s.URL, Set) }

// answer is what matters of an http.Response.
type answer struct {
	Status     string
	StatusCode int
	Header     http.Header
}

func (s *site) get(uri string, header ...string) (answer, []byte) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, uri, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.Status, resp.StatusCode, resp.Header}, body
}

func testEmpty(t *testing.T, h Harness) {
	s := serve(t, h, 3)
	defer s.Close()
	got := NewWalker(s.Client(), s.setURI()).check(t)
	if len(got.Members) != 0 || len(got.Changes) != 0 {
		t.Errorf("an empty set has members %v and changes %v", got.Members, got.Changes)
	}
	if got.Cutoff != rdf.Nil {
		t.Errorf("cutoff of an empty set is %q, want rdf:nil", got.Cutoff)
	}
}

func testNotFound(t *testing.T, h Harness) {
	if err := h.Apply(event(1, oslc.Creation, "http://tool.example/a")); err != nil {
		t.Fatal(err)
	}
	s := serve(t, h, 3)
	defer s.Close()
	for path, want := range map[string]int{
		"/trs/nope":                            404,
		"/trs/tool/log/before/0":               404,
		"/trs/tool/log/before/-3":              404,
		"/trs/tool/log/before/4":               404, // not there yet
		"/trs/tool/log/before/5":               404, // no cut
		"/trs/tool/log/before/x":               404,
		"/trs/tool/log/before/004":             404,
		"/trs/tool/base/1/0":                   200,
		"/trs/tool/base/0/0":                   200, // the base before anything happened
		"/trs/tool/base/2/0":                   404,
		"/trs/tool/base/1/1":                   404,
		"/trs/tool/base/-1/0":                  404,
		"/trs/tool/base/1/x":                   404,
		"/trs/tool/base/9999999999999999999/0": 404,
	} {
		resp, body := s.get(s.URL+path, "Accept", "text/turtle")
		if resp.StatusCode != want {
			t.Errorf("%s: got %s, want %d: %s", path, resp.Status, want, body)
		}
		if want == 404 {
			if g := parse(t, resp.Header, body); len(g.OfType(vocab.OSLCErrorClass)) != 1 {
				t.Errorf("%s: the error is no oslc:Error: %s", path, body)
			}
		}
	}
	if resp, _ := s.get(s.setURI(), "Accept", "image/png"); resp.StatusCode != http.StatusNotAcceptable {
		t.Errorf("Accept image/png: got %s, want 406", resp.Status)
	}
}

// testConditional checks S25: a hit of If-None-Match is a 304 without a body, and
// the tag changes with the syntax and with the state.
func testConditional(t *testing.T, h Harness) {
	apply := func(n int) {
		if err := h.Apply(event(n, oslc.Creation, fmt.Sprint("http://tool.example/", n))); err != nil {
			t.Fatal(err)
		}
	}
	apply(1)
	s := serve(t, h, 1)
	defer s.Close()
	apply(2)
	apply(3)
	for _, uri := range []string{s.setURI(), s.setURI() + "/log/before/2", s.setURI() + "/base/3/0"} {
		tags := map[string]bool{}
		for _, accept := range []string{"text/turtle", "application/rdf+xml", "application/ld+json"} {
			resp, _ := s.get(uri, "Accept", accept)
			tag := resp.Header.Get("ETag")
			if resp.StatusCode != http.StatusOK || tag == "" || tags[tag] {
				t.Errorf("%s as %s: %s with ETag %q, which must be there and new", uri, accept, resp.Status, tag)
			}
			tags[tag] = true
			resp, body := s.get(uri, "Accept", accept, "If-None-Match", tag)
			if resp.StatusCode != http.StatusNotModified || len(body) != 0 || resp.Header.Get("ETag") != tag {
				t.Errorf("%s as %s with its own tag: %s, %d bytes, ETag %q", uri, accept, resp.Status, len(body), resp.Header.Get("ETag"))
			}
		}
	}
	before, _ := s.get(s.setURI(), "Accept", "text/turtle")
	apply(4)
	after, _ := s.get(s.setURI(), "Accept", "text/turtle", "If-None-Match", before.Header.Get("ETag"))
	if after.StatusCode != http.StatusOK {
		t.Errorf("after a change the old tag gives %s", after.Status)
	}
}

// testHistory makes random things happen and, at random moments, walks the set:
// base and change log must tell the truth of that moment, and what was immutable
// must not have changed.
func testHistory(t *testing.T, open func(testing.TB) Harness) {
	rapid.Check(t, func(rt *rapid.T) {
		h := open(t)
		truth, n := map[string]bool{}, 0
		size := rapid.Int64Range(1, 5).Draw(rt, "page size")
		s := serve(t, h, size)
		defer func() { s.Close() }()
		kept := map[string]string{} // URIs that must never change, with their bodies
		var seen []string           // event URIs, newest first
		rt.Repeat(map[string]func(*rapid.T){
			"happen": func(rt *rapid.T) {
				var batch []*oslc.Event
				for range rapid.IntRange(1, 6).Draw(rt, "batch") {
					uri := fmt.Sprintf("http://tool.example/r/%d", rapid.IntRange(1, 6).Draw(rt, "resource"))
					n++
					switch rapid.IntRange(0, 3).Draw(rt, "what") {
					case 0:
						batch = append(batch, nil)
					case 1:
						batch = append(batch, event(n, oslc.Deletion, uri))
						delete(truth, uri)
					case 2:
						batch = append(batch, event(n, oslc.Modification, uri))
						truth[uri] = true
					case 3:
						batch = append(batch, event(n, oslc.Creation, uri))
						truth[uri] = true
					}
				}
				if err := h.Apply(batch...); err != nil {
					rt.Fatal(err)
				}
			},
			"walk": func(rt *rapid.T) {
				got := NewWalker(s.Client(), s.setURI()).check(t)
				want := keys(truth)
				if !slices.Equal(got.Members, want) {
					rt.Fatalf("members are %v, want %v", got.Members, want)
				}
				if replay := got.replay(); !slices.Equal(replay, want) {
					rt.Fatalf("the change log alone gives %v, want %v", replay, want)
				}
				if len(seen) > len(got.Changes) || !slices.Equal(seen, got.Changes[len(got.Changes)-len(seen):]) {
					rt.Fatalf("changes seen before, %v, are not the older part of %v", seen, got.Changes)
				}
				seen = got.Changes
				for uri, body := range got.Immutable {
					if old, ok := kept[uri]; ok && old != body {
						rt.Fatalf("%s changed from\n%s\nto\n%s", uri, old, body)
					}
					kept[uri] = body
				}
			},
			"look again": func(rt *rapid.T) {
				for uri, want := range kept {
					if resp, body := s.get(uri, "Accept", walkerAccept); string(body) != want {
						rt.Fatalf("%s is now %s\n%s\nand was\n%s", uri, resp.Status, body, want)
					}
				}
			},
			"reopen": func(rt *rapid.T) {
				if err := h.Reopen(); err != nil {
					rt.Fatal(err)
				}
				// The URIs stay, so the server has to come back under its address.
				s.swap(h, size)
			},
		})
	})
}

func keys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func event(n int, c oslc.Change, uri string) *oslc.Event {
	g := rdf.NewGraph()
	g.Node(uri).A(vocab.CMChangeRequest).Int("http://tool.example/ns#n", int64(n))
	return &oslc.Event{
		ID: oslc.NewID("trstest", fmt.Sprint(n)), Change: c, Subject: uri,
		Time: time.Date(2026, 11, 21, 9, 0, n, 0, time.UTC), Resource: g,
	}
}
