// Package trstest is the conformance suite for a trs.Store and for what a
// trs.Server makes of it. The numbers S01 and so on are those of the checks that
// docs/trs.md lists, each with its clause of TRS 3.0.
package trstest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
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
	// Truncate drops the changes up to an order.
	Truncate(upTo int64) error
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
	t.Run("Truncated", func(t *testing.T) { t.Parallel(); testTruncated(t, open(t)) })
	t.Run("Marks", func(t *testing.T) { t.Parallel(); testMarks(t, open(t), open(t)) })
	t.Run("Compressed", func(t *testing.T) { t.Parallel(); testCompressed(t, open(t)) })
	t.Run("Figures", func(t *testing.T) { t.Parallel(); testFigures(t, open(t)) })
	t.Run("SlowWalkers", func(t *testing.T) { t.Parallel(); testSlowWalkers(t, open) })
	t.Run("HistoryIsTheSet", func(t *testing.T) { t.Parallel(); testHistory(t, open) })
}

// site serves the set of a harness.
type site struct {
	*httptest.Server
	t   testing.TB
	mux atomic.Pointer[http.ServeMux]
}

func serve(t testing.TB, h Harness, size int64) *site {
	return serveConfig(t, h, trs.Config{Policy: trs.Policy{PageSize: size}})
}

func serveConfig(t testing.TB, h Harness, cfg trs.Config) *site {
	s := &site{t: t}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.mux.Load().ServeHTTP(w, r) }))
	s.swap(h, cfg)
	return s
}

// plain is a Representation that answers with the states as they are.
type plain struct{}

func (plain) Version() uint64 { return 1 }

func (plain) Tag(_, event string, f format.Format) string { return event + "-" + f.String() }

func (plain) Patch(_ string, _ *rdf.Graph, p diff.Patch) (diff.Patch, bool) { return p, true }

// swap serves a store, also a reopened one, under the site's address.
func (s *site) swap(h Harness, cfg trs.Config) {
	cfg.BaseURL, cfg.Store = s.URL, h.Store()
	cfg.Patches = plain{}
	ts := trs.NewServer(cfg)
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
	first := s.page(t) // /trs/tool/base/1.<mark>/0
	mark := first[strings.LastIndex(first, "/base/1.")+len("/base/1."):]
	mark = strings.TrimSuffix(mark, "/0")
	zero := strings.Repeat("0", 16)
	for path, want := range map[string]int{
		"/trs/nope":                              404,
		"/trs/tool/log/before/0":                 404,
		"/trs/tool/log/before/-3." + mark:        404,
		"/trs/tool/log/before/4." + mark:         404, // not there yet
		"/trs/tool/log/before/5." + mark:         404, // no cut
		"/trs/tool/log/before/x." + mark:         404,
		"/trs/tool/log/before/004." + mark:       404,
		"/trs/tool/log/before/4." + zero:         404,
		"/trs/tool/base/1." + mark + "/0":        200,
		"/trs/tool/base/01." + mark + "/0":       404,
		"/trs/tool/base/1." + mark + "/00":       404,
		"/trs/tool/base/1/0":                     404, // no mark
		"/trs/tool/base/1." + zero + "/0":        404, // the mark of another history
		"/trs/tool/base/0." + mark + "/0":        404,
		"/trs/tool/base/2." + mark + "/0":        404,
		"/trs/tool/base/1." + mark + "/1":        404,
		"/trs/tool/base/-1." + mark + "/0":       404,
		"/trs/tool/base/1." + mark + "/x":        404,
		"/trs/tool/base/9999999999999999999.x/0": 404,
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
	for _, uri := range []string{s.setURI(), s.previous(t, s.setURI()), s.page(t)} {
		tags := map[string]bool{}
		for _, accept := range []string{"text/turtle", "application/rdf+xml", "application/ld+json"} {
			resp, _ := s.get(uri, "Accept", accept)
			tag := resp.Header.Get("ETag")
			if resp.StatusCode != http.StatusOK || !strings.HasPrefix(tag, `"`) || tags[tag] {
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

// previous returns the segment before the one in a document.
func (s *site) previous(t testing.TB, uri string) string {
	t.Helper()
	resp, body := s.get(uri, "Accept", "text/turtle")
	g := parse(t, resp.Header, body)
	for tr := range g.All() {
		if tr.P.Value == vocab.TRSPrevious {
			return tr.O.Value
		}
	}
	return ""
}

// page returns the first page of the base that is offered now.
func (s *site) page(t testing.TB) string {
	t.Helper()
	c := *s.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.setURI()+"/base", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("the base answers %s, %v; want 303", resp.Status, err)
	}
	return resp.Header.Get("Location")
}

// testTruncated drops the older part of a log: what is left tells the truth, what
// needs more than that is gone.
func testTruncated(t *testing.T, h Harness) {
	for n := 1; n <= 20; n++ {
		c := oslc.Creation
		if n%4 == 0 {
			c = oslc.Deletion
		}
		if err := h.Apply(event(n, c, fmt.Sprint("http://tool.example/", (n-1)/4*4+1+n%2))); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, h, 3)
	defer s.Close()
	whole := NewWalker(s.Client(), s.setURI()).check(t)
	second := s.previous(t, s.setURI())
	oldest := s.previous(t, second)
	for next := s.previous(t, oldest); next != ""; next = s.previous(t, oldest) {
		second, oldest = oldest, next
	}
	policy := trs.Policy{PageSize: 3, KeepChanges: 10}
	cut, err := policy.Cut(t.Context(), h.Store(), Set, time.Time{})
	if err != nil || cut != 9 {
		t.Fatalf("of 20 changes 10 are to be kept: cut %d, %v; want 9", cut, err)
	}
	if err := h.Truncate(cut); err != nil {
		t.Fatal(err)
	}
	b, err := h.Store().Bounds(t.Context(), Set, trs.Newest)
	if err != nil || b.Cut != 9 || b.Oldest != 10 || b.Newest != 20 {
		t.Fatalf("bounds are %+v, %v", b, err)
	}
	left := NewWalker(s.Client(), s.setURI()).check(t)
	if !slices.Equal(left.Members, whole.Members) {
		t.Errorf("members are %v, and were %v", left.Members, whole.Members)
	}
	if !slices.Equal(left.Changes, whole.Changes[:11]) {
		t.Errorf("changes are %v, want the newest 11 of %v", left.Changes, whole.Changes)
	}
	for _, gone := range []string{oldest, second} {
		if resp, body := s.get(gone, "Accept", "text/turtle"); resp.StatusCode != http.StatusGone || !strings.Contains(string(body), "the oldest is 10") {
			t.Errorf("%s: %s %s; want 410 that names the oldest order", gone, resp.Status, body)
		}
	}
	for uri := range whole.Immutable {
		if resp, body := s.get(uri, "Accept", walkerAccept); strings.Contains(uri, "/base/20.") && resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", uri, resp.Status, body)
		}
	}
	// All of it but the newest change.
	if err := h.Truncate(1000); err != nil {
		t.Fatal(err)
	}
	if left := NewWalker(s.Client(), s.setURI()).check(t); len(left.Changes) != 1 || !slices.Equal(left.Members, whole.Members) {
		t.Errorf("%d changes and members %v", len(left.Changes), left.Members)
	}
}

// testMarks compares two logs that part at some place: up to there their pages have
// the same addresses and bytes, after it no address of one is one of the other
// (S17, S27).
func testMarks(t *testing.T, a, b Harness) {
	for n := 1; n <= 30; n++ {
		uri := fmt.Sprint("http://tool.example/", n)
		other := uri
		if n == 15 {
			other += "x"
		}
		if err := errors.Join(a.Apply(event(n, oslc.Creation, uri)), b.Apply(event(n, oslc.Creation, other))); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, a, 4)
	defer s.Close()
	one := NewWalker(s.Client(), s.setURI()).check(t)
	s.swap(b, trs.Config{Policy: trs.Policy{PageSize: 4}})
	two := NewWalker(s.Client(), s.setURI()).check(t)
	same := 0
	for uri, body := range one.Immutable {
		other, ok := two.Immutable[uri]
		if !ok {
			if resp, body := s.get(uri, "Accept", walkerAccept); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s is of a history that is gone: %s %s", uri, resp.Status, body)
			}
			continue
		}
		same++
		if other != body {
			t.Errorf("%s stands for two pages:\n%s\n%s", uri, body, other)
		}
	}
	if same != 3 { // of orders 1-4, 5-8 and 9-12
		t.Errorf("the logs have %d pages in common, want 3", same)
	}
}

// testCompressed checks that a page is the same with gzip and without, under tags
// of their own.
func testCompressed(t *testing.T, h Harness) {
	for n := 1; n <= 9; n++ {
		if err := h.Apply(event(n, oslc.Creation, fmt.Sprint("http://tool.example/", n))); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, h, 3)
	defer s.Close()
	for _, uri := range []string{s.setURI(), s.previous(t, s.setURI()), s.page(t)} {
		plain, want := s.get(uri, "Accept", "text/turtle", "Accept-Encoding", "identity")
		zipped, body := s.get(uri, "Accept", "text/turtle", "Accept-Encoding", "br, gzip;q=0.5")
		if zipped.Header.Get("Content-Encoding") != "gzip" || plain.Header.Get("Content-Encoding") != "" {
			t.Fatalf("%s: encodings are %q and %q", uri, zipped.Header.Get("Content-Encoding"), plain.Header.Get("Content-Encoding"))
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, and with gzip it says\n%s\nwithout\n%s", uri, err, got, want)
		}
		if plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
			t.Errorf("%s: one tag for two representations", uri)
		}
		if !strings.Contains(zipped.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: Vary is %q", uri, zipped.Header.Get("Vary"))
		}
		if again, body := s.get(uri, "Accept", "text/turtle", "Accept-Encoding", "gzip", "If-None-Match", zipped.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || len(body) > 0 {
			t.Errorf("%s: %s and %d bytes for its own tag", uri, again.Status, len(body))
		}
		if refused, _ := s.get(uri, "Accept", "text/turtle", "Accept-Encoding", "gzip;q=0, *;q=0"); refused.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: gzip for a client that refuses it", uri)
		}
	}
}

// testFigures checks that a set tells its quality of service (S29, row T6), and
// that bases keep to it.
func testFigures(t *testing.T, h Harness) {
	apply := func(n int, c oslc.Change) {
		if err := h.Apply(event(n, c, "http://tool.example/a")); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	s := serveConfig(t, h, trs.Config{
		Policy:  trs.Policy{PageSize: 7, Keep: 21 * 24 * time.Hour, KeepChanges: 1000},
		BaseAge: 1500 * time.Millisecond, Latency: time.Second,
		Now: func() time.Time { return now },
	})
	defer s.Close()
	empty := s.page(t)
	apply(1, oslc.Creation)
	first := s.page(t)
	if first == empty {
		t.Error("the empty base is offered although something happened: it has no cutoff")
	}
	apply(2, oslc.Deletion)
	now = now.Add(time.Second)
	if s.page(t) != first {
		t.Error("another base within BaseAge")
	}
	now = now.Add(time.Second)
	if s.page(t) == first {
		t.Error("the same base after BaseAge, although something happened")
	}
	resp, body := s.get(s.setURI(), "Accept", "text/turtle")
	g := parse(t, resp.Header, body)
	for p, want := range map[string]string{
		vocab.BusPageSize: "7", vocab.BusBaseAge: "PT1.5S", vocab.BusKeepsFor: "P21D", vocab.BusKeepsChanges: "1000",
		vocab.BusLatency: "PT1S", vocab.BusEpoch: event(1, oslc.Creation, "http://tool.example/a").URI(),
	} {
		if got := g.Value(rdf.NewIRI(s.setURI()), p); got != want {
			t.Errorf("<%s> is %q, want %q", p, got, want)
		}
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
				s.swap(h, trs.Config{Policy: trs.Policy{PageSize: size}})
			},
		})
	})
}

// keys returns the keys in order.
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
