package trs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replica is the least that a client of a feed can be.
type replica struct {
	c       *trs.Client
	place   *trs.Place // nil: to be loaded
	members map[string]bool
	loads   int
	events  []string // as they were polled
}

func newReplica(t *testing.T, cfg trs.ClientConfig) *replica {
	t.Helper()
	c, err := trs.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &replica{c: c, members: map[string]bool{}}
}

// sync brings the replica up to date, once.
func (r *replica) sync(ctx context.Context) error {
	if r.place != nil {
		// A place survives being written down.
		text, err := json.Marshal(r.place)
		if err != nil {
			return err
		}
		var place trs.Place
		if err := json.Unmarshal(text, &place); err != nil {
			return err
		}
		b, err := r.c.Poll(ctx, place)
		if err == nil {
			for _, e := range b.Events {
				r.events = append(r.events, e.URI)
				if e.Kind == oslc.Deletion && !e.Late {
					delete(r.members, e.Changed)
				} else if e.Kind != oslc.Deletion || e.Late {
					r.look(ctx, e.Changed)
				}
			}
			r.place = &b.Place
			return nil
		}
		if !errors.Is(err, oslc.Gone) {
			return err
		}
	}
	s, err := r.c.Load(ctx)
	if err != nil {
		return err
	}
	r.loads++
	r.place, r.members = &s.Place, map[string]bool{}
	for _, m := range s.Members {
		r.look(ctx, m)
	}
	return nil
}

// look reads a resource: it is a member while it is there.
func (r *replica) look(ctx context.Context, uri string) {
	_, err := r.c.Resource(ctx, uri)
	if errors.Is(err, oslc.NotFound) {
		delete(r.members, uri)
	} else {
		r.members[uri] = true
	}
}

func (r *replica) list() []string {
	out := []string{}
	for m := range r.members {
		out = append(out, m)
	}
	slices.Sort(out)
	return out
}

// converge syncs until the replica has what there is, a few times at most.
func (r *replica) converge(ctx context.Context, f *trstest.Feed) error {
	var last error
	for range 6 {
		if last = r.sync(ctx); last == nil && slices.Equal(r.list(), f.Truth()) {
			return nil
		}
	}
	return fmt.Errorf("it has %v and should have %v; the last error was %w", r.list(), f.Truth(), last)
}

// edit returns a Feed.Edit for documents of a kind.
func edit(kind string, change func(g *rdf.Graph, uri string) *rdf.Graph) func(string, string, *rdf.Graph) *rdf.Graph {
	return func(k, uri string, g *rdf.Graph) *rdf.Graph {
		if k != kind && kind != "" {
			return g
		}
		return change(g, uri)
	}
}

// each rewrites every triple of a graph, and drops those without a subject.
func each(change func(t rdf.Triple) rdf.Triple) func(*rdf.Graph, string) *rdf.Graph {
	return func(g *rdf.Graph, _ string) *rdf.Graph {
		out := rdf.NewGraph()
		for t := range g.All() {
			if t = change(t); !t.S.IsZero() {
				out.AddTriple(t)
			}
		}
		return out
	}
}

func without(p string) func(*rdf.Graph, string) *rdf.Graph {
	return func(g *rdf.Graph, _ string) *rdf.Graph {
		return g.Without(func(t rdf.Triple) bool { return t.P.Value == p })
	}
}

// once answers the nth request for a path with a status, and lets the others be.
func nth(path string, n, status int, header ...string) func(w http.ResponseWriter, r *http.Request) bool {
	var mu sync.Mutex
	count := 0
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, path) {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if count++; count != n {
			return false
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		return true
	}
}

const oldTRS = "http://jazz.net/ns/trs#"

// old writes a document in the dialect before TRS 2.0.
func old(kind string, g *rdf.Graph) *rdf.Graph {
	rename := func(s string) string {
		if name, ok := strings.CutPrefix(s, vocab.TRS); ok {
			return oldTRS + name
		}
		return s
	}
	out, lists := rdf.NewGraph(), map[rdf.Term][]rdf.Term{}
	for t := range g.All() {
		switch t.P.Value {
		case vocab.TRSChange:
			lists[t.S] = append(lists[t.S], t.O)
			continue
		case vocab.LDPMember, vocab.LDPHasMemberRelation, vocab.LDPMembershipResource:
			continue
		}
		t.P.Value = rename(t.P.Value)
		if t.P.Value == rdf.Type {
			t.O.Value = rename(t.O.Value)
		}
		out.AddTriple(t)
	}
	for log, events := range lists {
		at, p := log, oldTRS+"changes"
		for i, e := range events {
			next := rdf.NewBlank(fmt.Sprintf("%s%d", kind, i))
			out.Add(at, p, next)
			out.Add(next, rdf.First, e)
			at, p = next, rdf.Rest
		}
		out.Add(at, p, rdf.NewIRI(rdf.Nil))
	}
	return out
}

// TestHostileServers: whatever a server does to the rules, the client ends with the
// set that there is.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n    int // resources, 10 when 0
		make func(t *testing.T, f *trstest.Feed)
		cfg  func(cfg *trs.ClientConfig, f *trstest.Feed)
		then func(f *trstest.Feed) // what happens after the first load
		// loads is how often the base is read at most; 0 means once.
		loads int
	}{
		"a good one":              {},
		"one resource, no cutoff": {n: 1},
		"RDF/XML":                 {make: func(_ *testing.T, f *trstest.Feed) { f.Syntax = format.RDFXML }},
		"JSON-LD":                 {make: func(_ *testing.T, f *trstest.Feed) { f.Syntax = format.JSONLD }},
		"RDF/XML by another name": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Syntax = format.RDFXML
			f.Header = func(_ string, h http.Header) { h.Set("Content-Type", "text/xml; charset=utf-8") }
		}},
		"the dialect before TRS 2.0": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = func(kind, _ string, g *rdf.Graph) *rdf.Graph { return old(kind, g) }
		}},
		"pages in Link headers alone": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = edit("base", func(g *rdf.Graph, _ string) *rdf.Graph {
				return g.Without(func(t rdf.Triple) bool { return t.O.Value == vocab.LDPPage || t.P.Value == vocab.LDPNextPage })
			})
		}},
		"pages in the body alone": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Header = func(kind string, h http.Header) {
				if kind == "base" {
					h.Del("Link")
				}
			}
		}},
		"several links in one field, next to rdf:nil": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Header = func(kind string, h http.Header) {
				if kind != "base" {
					return
				}
				links := h.Values("Link")
				if len(links) == 1 {
					links = append(links, "<"+rdf.Nil+`>; rel="next"`)
				}
				h.Set("Link", strings.Join(append([]string{`</base>; title="a, <b>"; rel=first`}, links...), ", "))
			}
		}},
		"no cutoff although there are changes": {make: func(_ *testing.T, f *trstest.Feed) { f.Edit = edit("base", without(vocab.TRSCutoffEvent)) }},
		"a cutoff that is in no log": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = edit("base", each(func(t rdf.Triple) rdf.Triple {
				if t.P.Value == vocab.TRSCutoffEvent {
					t.O = rdf.NewIRI("urn:event:none")
				}
				return t
			}))
		}},
		"members by rdfs:member alone": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = edit("base", func(g *rdf.Graph, _ string) *rdf.Graph {
				return g.Without(func(t rdf.Triple) bool {
					return t.P.Value == vocab.LDPMember || t.P.Value == vocab.LDPHasMemberRelation
				})
			})
		}},
		"members by a predicate of its own": {make: func(_ *testing.T, f *trstest.Feed) {
			const own = "http://tool.example/ns#has"
			f.Edit = edit("base", each(func(t rdf.Triple) rdf.Triple {
				switch t.P.Value {
				case vocab.RDFSMember:
					return rdf.Triple{}
				case vocab.LDPMember:
					t.P.Value = own
				case vocab.LDPHasMemberRelation:
					t.O.Value = own
				}
				return t
			}))
		}},
		"a base that calls itself by its page": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = edit("base", func(g *rdf.Graph, uri string) *rdf.Graph {
				return each(func(t rdf.Triple) rdf.Triple {
					if strings.HasSuffix(t.S.Value, "/base") {
						t.S.Value = uri
					}
					return t
				})(g, uri)
			})
		}},
		"orders as xsd:int, as text, and large": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = edit("", each(func(t rdf.Triple) rdf.Triple {
				if n, ok := t.O.Int(); ok && t.P.Value == vocab.TRSOrder {
					kind := []string{"http://www.w3.org/2001/XMLSchema#int", rdf.XSDString, "http://www.w3.org/2001/XMLSchema#long"}[n%3]
					t.O = rdf.Typed(fmt.Sprint(n+3_000_000_000), kind)
				}
				return t
			}))
		}},
		"the log is a document of its own": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = func(kind, _ string, g *rdf.Graph) *rdf.Graph {
				if kind != "set" {
					return g
				}
				return each(func(t rdf.Triple) rdf.Triple {
					if t.P.Value == vocab.TRSChangeLog {
						t.O = rdf.NewIRI(f.URL + "/newest")
						return t
					}
					if t.P.Value == vocab.TRSBase || t.O.Value == vocab.TRSTrackedResourceSetClass {
						return t
					}
					return rdf.Triple{}
				})(g, "")
			}
			f.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/newest" {
					return false
				}
				edit := f.Edit
				f.Edit = nil
				defer func() { f.Edit = edit }()
				r.URL.Path = "/trs"
				f.Before, r.Header = nil, http.Header{}
				defer func() { f.Before = nil }()
				f.ServeHTTP(w, r)
				return true
			}
			f.Size = 100
		}, cfg: nil, then: func(f *trstest.Feed) { f.Edit, f.Before = nil, nil }},
		"segments that lead back to themselves": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = edit("segment", func(g *rdf.Graph, uri string) *rdf.Graph {
				g.Add(rdf.NewIRI(uri), vocab.TRSPrevious, rdf.NewIRI(uri))
				return g
			})
		}, cfg: nil, loads: 1},
		"pages that lead back to the first": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Header = func(kind string, h http.Header) {
				if links := h.Values("Link"); kind == "base" && len(links) == 1 {
					h.Add("Link", "<"+f.URL+`/base>; rel="next"`)
				}
			}
		}},
		"a chain whose end is missing": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = edit("segment", func(g *rdf.Graph, uri string) *rdf.Graph {
				if strings.HasSuffix(uri, "/log/3") {
					g.Add(rdf.NewIRI(uri), vocab.TRSPrevious, rdf.NewIRI(f.URL+"/log/0"))
				}
				return g
			})
		}},
		"a page that fails once": {make: func(_ *testing.T, f *trstest.Feed) { f.Before = nth("/base/0.11/3", 1, 502) }},
		"a base that is replaced while it is read": {make: func(_ *testing.T, f *trstest.Feed) {
			done := false
			f.Before = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/base/0.11/1" && !done {
					done = true
					f.Happen(oslc.Deletion, "/r/5")
					f.Rebase()
				}
				return false
			}
		}},
		"a limit on requests": {make: func(_ *testing.T, f *trstest.Feed) { f.Before = nth("/trs", 2, 429, "Retry-After", "7") }},
		"an error page with status 200": {make: func(_ *testing.T, f *trstest.Feed) {
			count := 0
			f.Before = func(w http.ResponseWriter, _ *http.Request) bool {
				if count++; count != 2 {
					return false
				}
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, "<html>log in</html>")
				return true
			}
		}},
		"half a document": {make: func(_ *testing.T, f *trstest.Feed) {
			count := 0
			f.Before = func(w http.ResponseWriter, _ *http.Request) bool {
				if count++; count != 3 {
					return false
				}
				w.Header().Set("Content-Type", "text/turtle")
				w.Header().Set("Content-Length", "100000")
				_, _ = io.WriteString(w, "<http://a> <http://b> ")
				return true
			}
		}},
		"members that are gone and never told": {make: func(_ *testing.T, f *trstest.Feed) { f.Vanish("/r/3") }},
		"events without a type, or of two": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = edit("", each(func(t rdf.Triple) rdf.Triple {
				if t.P.Value == rdf.Type && t.O.Value == vocab.TRSModification {
					return rdf.Triple{}
				}
				return t
			}))
		}},
		"events of nothing, and blank ones": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = func(kind, _ string, g *rdf.Graph) *rdf.Graph {
				if kind == "set" {
					log := g.OfType(vocab.TRSChangeLogClass)[0]
					g.Add(log, vocab.TRSChange, rdf.NewIRI("urn:event:nothing"))
					g.Add(log, vocab.TRSChange, rdf.NewBlank("b"))
				}
				return g
			}
		}},
		"resources of other hosts": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Edit = func(kind, _ string, g *rdf.Graph) *rdf.Graph {
				if kind == "base" {
					g.Add(rdf.NewIRI(f.URL+"/base"), vocab.LDPMember, rdf.NewIRI("http://169.254.169.254/latest"))
				}
				if kind == "set" {
					e := rdf.NewIRI("urn:event:elsewhere")
					g.Add(g.OfType(vocab.TRSChangeLogClass)[0], vocab.TRSChange, e)
					g.Add(e, vocab.TRSChanged, rdf.NewIRI("http://127.0.0.1:1/x"))
					g.Add(e, vocab.TRSOrder, rdf.Int(100))
				}
				return g
			}
		}},
		"a redirect to another host": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Before = nth("/trs", 2, http.StatusFound, "Location", "http://127.0.0.1:1/trs")
		}},
		"truncated behind the client": {then: func(f *trstest.Feed) {
			for i := range 20 {
				f.Happen(oslc.Modification, fmt.Sprint("/r/", 2+i%8))
			}
			f.Happen(oslc.Deletion, "/r/4")
			f.Truncate(4)
		}, loads: 2},
		"restored from a copy": {then: func(f *trstest.Feed) {
			f.RollBack(4)
			f.Happen(oslc.Creation, "/r/new")
		}, loads: 2},
		"restored, and as far as before": {then: func(f *trstest.Feed) {
			f.RollBack(2)
			for i := range 5 {
				f.Happen(oslc.Creation, fmt.Sprint("/r/new", i))
			}
		}, loads: 2},
		"made anew with fewer changes": {then: func(f *trstest.Feed) { f.Reset() }, loads: 2},
		"told out of order": {then: func(f *trstest.Feed) {
			f.Happen(oslc.Creation, "/r/a")
			f.Happen(oslc.Creation, "/r/b")
			f.Late(oslc.Creation, "/r/late", 12)
		}},
		"two events with one order": {then: func(f *trstest.Feed) {
			f.Late(oslc.Creation, "/r/twin", 13)
		}},
		"deleted and made again within one poll": {then: func(f *trstest.Feed) {
			f.Happen(oslc.Deletion, "/r/2")
			f.Happen(oslc.Creation, "/r/2")
			f.Happen(oslc.Deletion, "/r/3")
			f.Happen(oslc.Creation, "/r/3")
			f.Happen(oslc.Deletion, "/r/3")
		}},
		"an event that moved to an older segment": {then: func(f *trstest.Feed) {
			f.Edit = edit("segment", func(g *rdf.Graph, uri string) *rdf.Graph {
				g.Add(rdf.NewIRI(uri), vocab.TRSChange, rdf.NewIRI("urn:event:0:12"))
				e := rdf.NewIRI("urn:event:0:12")
				g.Add(e, vocab.TRSChanged, rdf.NewIRI(f.URL+"/r/0"))
				g.Add(e, vocab.TRSOrder, rdf.Int(13))
				return g
			})
			f.Happen(oslc.Creation, "/r/x")
		}},
		"deletions of what never was":        {then: func(f *trstest.Feed) { f.Happen(oslc.Deletion, "/r/never") }},
		"modifications of what is not known": {then: func(f *trstest.Feed) { f.Happen(oslc.Modification, "/r/unknown") }},
		"a tag that never changes": {make: func(_ *testing.T, f *trstest.Feed) {
			f.Header = func(_ string, h http.Header) { h.Del("ETag") }
		}, then: func(f *trstest.Feed) { f.Happen(oslc.Creation, "/r/x") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := c.n
			if n == 0 {
				n = 10
			}
			f := trstest.NewFeed(t, n)
			if c.make != nil {
				c.make(t, f)
			}
			cfg := trs.ClientConfig{URI: f.URI(), HTTP: f.Client()}
			if c.cfg != nil {
				c.cfg(&cfg, f)
			}
			r := newReplica(t, cfg)
			if err := r.converge(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			if c.then != nil {
				c.then(f)
				if err := r.converge(t.Context(), f); err != nil {
					t.Fatal("afterwards: ", err)
				}
			}
			if r.loads > max(1, c.loads) {
				t.Errorf("the base was read %d times, want %d at most", r.loads, max(1, c.loads))
			}
			distinct := slices.Compact(slices.Sorted(slices.Values(r.events)))
			if r.loads == 1 && len(distinct) != len(r.events) {
				t.Errorf("events came twice: %v", r.events)
			}
		})
	}
}

// TestPoll_nothingNew: a poll of a set where nothing happened is one request, and no
// document.
func TestPoll_nothingNew(t *testing.T) {
	t.Parallel()
	f := trstest.NewFeed(t, 10)
	r := newReplica(t, trs.ClientConfig{URI: f.URI(), HTTP: f.Client()})
	if err := r.converge(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	before := len(f.Requests())
	b, err := r.c.Poll(t.Context(), *r.place)
	if err != nil || len(b.Events) > 0 || b.Place.Event != r.place.Event {
		t.Errorf("%d events and the place %v, %v", len(b.Events), b.Place, err)
	}
	if asked := f.Requests()[before:]; !slices.Equal(asked, []string{"/trs"}) {
		t.Errorf("asked for %v", asked)
	}
	// A place in the middle of a batch has no tag: the rest of the batch is still to
	// come.
	f.Happen(oslc.Creation, "/r/x")
	f.Happen(oslc.Creation, "/r/y")
	if b, err = r.c.Poll(t.Context(), b.Place); err != nil || len(b.Events) != 2 {
		t.Fatalf("%d events, %v; want 2", len(b.Events), err)
	}
	half, err := r.c.Poll(t.Context(), r.place.After(b.Events[0]))
	if err != nil || len(half.Events) != 1 || half.Events[0].URI != b.Events[1].URI {
		t.Errorf("after the first of two events come %v, %v", half.Events, err)
	}
}

// TestPoll_lost tells why a place is lost.
func TestPoll_lost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happen     func(f *trstest.Feed)
		rolledBack bool
	}{
		"truncated": {func(f *trstest.Feed) {
			for i := range 9 {
				f.Happen(oslc.Modification, fmt.Sprint("/r/", 2+i%8))
			}
			f.Truncate(3)
		}, false},
		"restored": {func(f *trstest.Feed) { f.RollBack(3) }, true},
		"restored and gone on": {func(f *trstest.Feed) {
			f.RollBack(1)
			for range 5 {
				f.Happen(oslc.Modification, "/r/2")
			}
		}, true},
		"made anew": {func(f *trstest.Feed) { f.Reset() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := trstest.NewFeed(t, 10)
			r := newReplica(t, trs.ClientConfig{URI: f.URI(), HTTP: f.Client()})
			if err := r.converge(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			c.happen(f)
			_, err := r.c.Poll(t.Context(), *r.place)
			lost, ok := errors.AsType[*trs.LostError](err)
			if !errors.Is(err, oslc.Gone) || !ok || lost.RolledBack != c.rolledBack {
				t.Errorf("got %v (%+v), want kind gone, rolled back %t", err, lost, c.rolledBack)
			}
		})
	}
}

// TestClient_bounds: a server that goes on for ever, slowly or in many documents,
// ends with an error that says which bound was met.
func TestClient_bounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(f *trstest.Feed, cfg *trs.ClientConfig)
		want string
	}{
		"a chain without end": {func(f *trstest.Feed, cfg *trs.ClientConfig) {
			cfg.MaxSegments = 50
			n := 0
			f.Edit = edit("base", without(vocab.TRSCutoffEvent))
			f.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/log/") {
					return false
				}
				n++
				w.Header().Set("Content-Type", "text/turtle")
				fmt.Fprintf(w, "<%s> <%s> <%s/log/x%d> .", f.URL+r.URL.Path, vocab.TRSPrevious, f.URL, n)
				return true
			}
		}, "more than 50 segments"},
		"pages without end": {func(f *trstest.Feed, cfg *trs.ClientConfig) {
			cfg.MaxPages = 50
			n := 0
			f.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/base") {
					return false
				}
				n++
				w.Header().Set("Content-Type", "text/turtle")
				w.Header().Set("Link", fmt.Sprintf(`<%s/base/%d>; rel="next"`, f.URL, n))
				return true
			}
		}, "more than 50 pages"},
		"too many members": {func(_ *trstest.Feed, cfg *trs.ClientConfig) { cfg.MaxMembers = 4 }, "more than 4 members"},
		"too many events": {func(f *trstest.Feed, cfg *trs.ClientConfig) {
			cfg.MaxEvents = 4
			f.Edit = edit("base", without(vocab.TRSCutoffEvent))
		}, "more than 4 events"},
		"a large document": {func(_ *trstest.Feed, cfg *trs.ClientConfig) { cfg.MaxBytes = 100 }, "more than 100 bytes"},
		"a byte now and then": {func(f *trstest.Feed, cfg *trs.ClientConfig) {
			cfg.Within = 100 * time.Millisecond
			f.Before = func(w http.ResponseWriter, r *http.Request) bool {
				for {
					select {
					case <-r.Context().Done():
						return true
					case <-time.After(time.Millisecond):
						_, _ = io.WriteString(w, " ")
						_ = http.NewResponseController(w).Flush()
					}
				}
			}
		}, "deadline"},
		"another host": {func(f *trstest.Feed, _ *trs.ClientConfig) {
			f.Edit = edit("set", each(func(t rdf.Triple) rdf.Triple {
				if t.P.Value == vocab.TRSBase {
					t.O = rdf.NewIRI("http://169.254.169.254/base")
				}
				return t
			}))
		}, "not allowed"},
		"no set": {func(f *trstest.Feed, _ *trs.ClientConfig) {
			f.Edit = edit("set", func(*rdf.Graph, string) *rdf.Graph { return rdf.NewGraph() })
		}, "no document of a tracked resource set"},
		"a cutoff that moves all the time": {func(f *trstest.Feed, _ *trs.ClientConfig) {
			n := 0
			f.Edit = edit("base", each(func(t rdf.Triple) rdf.Triple {
				if t.P.Value == vocab.TRSCutoffEvent {
					n++
					t.O = rdf.NewIRI(fmt.Sprint("urn:event:", n))
				}
				return t
			}))
		}, "replaced while it was read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := trstest.NewFeed(t, 10)
			cfg := trs.ClientConfig{URI: f.URI(), HTTP: f.Client()}
			c.make(f, &cfg)
			client, err := trs.NewClient(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Load(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, oslc.Gone) && c.want != "replaced while it was read" {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestClient_otherHosts: whatever a server names or redirects to, no host is asked
// that is not allowed.
func TestClient_otherHosts(t *testing.T) {
	t.Parallel()
	elsewhere := trstest.NewFeed(t, 3)
	move := func(p string) func(f *trstest.Feed) {
		return func(f *trstest.Feed) {
			f.Edit = edit("", each(func(t rdf.Triple) rdf.Triple {
				if t.P.Value == p {
					t.O.Value = strings.Replace(t.O.Value, f.URL, elsewhere.URL, 1)
				}
				return t
			}))
		}
	}
	redirect := func(path string) func(f *trstest.Feed) {
		return func(f *trstest.Feed) {
			f.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != path {
					return false
				}
				http.Redirect(w, r, elsewhere.URL+"/trs", http.StatusFound)
				return true
			}
		}
	}
	for name, make := range map[string]func(f *trstest.Feed){
		"the set redirected": redirect("/trs"), "the base redirected": redirect("/base"),
		"a segment redirected": func(f *trstest.Feed) {
			f.Edit = edit("base", without(vocab.TRSCutoffEvent))
			redirect("/log/9")(f)
		},
		"a resource redirected": redirect("/r/3"),
		"the base":              move(vocab.TRSBase), "members": move(vocab.LDPMember),
		"changed": move(vocab.TRSChanged), "a next page": func(f *trstest.Feed) {
			f.Header = func(kind string, h http.Header) {
				if kind == "base" {
					h.Set("Link", "<"+elsewhere.URL+`/base>; rel="next"`)
				}
			}
		},
		"previous": func(f *trstest.Feed) {
			move(vocab.TRSPrevious)(f)
			moved := f.Edit
			f.Edit = func(kind, uri string, g *rdf.Graph) *rdf.Graph {
				if kind == "base" {
					return without(vocab.TRSCutoffEvent)(g, uri)
				}
				return moved(kind, uri, g)
			}
		},
	} {
		f := trstest.NewFeed(t, 10)
		make(f)
		r := newReplica(t, trs.ClientConfig{URI: f.URI(), HTTP: f.Client()})
		_ = r.sync(t.Context())
		if asked := elsewhere.Requests(); len(asked) > 0 {
			t.Fatalf("%s: another host was asked for %v", name, asked)
		}
		r = newReplica(t, trs.ClientConfig{URI: f.URI(), HTTP: f.Client(), Hosts: []string{strings.TrimPrefix(elsewhere.URL, "http://")}})
		_ = r.sync(t.Context())
		if asked := elsewhere.Requests(); len(asked) == 0 {
			t.Fatalf("%s: with the host allowed it was not asked", name)
		}
		elsewhere.Forget()
	}
}

// TestLoad_replaced: a base that is replaced once while it is read costs no more
// than to begin again.
func TestLoad_replaced(t *testing.T) {
	t.Parallel()
	f := trstest.NewFeed(t, 10)
	done := false
	f.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/base/0.11/1" && !done {
			done = true
			f.Happen(oslc.Deletion, "/r/5")
			f.Rebase()
		}
		return false
	}
	c, err := trs.NewClient(trs.ClientConfig{URI: f.URI(), HTTP: f.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Load(t.Context()); err != nil || !slices.Equal(s.Members, f.Truth()) {
		t.Errorf("loaded %v, %v; want %v", s.Members, err, f.Truth())
	}
}

func TestNewClient_refuses(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"", "/trs", "ftp://h/trs", "http://", "http://user:pw@h/trs", "http://%zz"} {
		if _, err := trs.NewClient(trs.ClientConfig{URI: uri}); !errors.Is(err, oslc.Invalid) {
			t.Errorf("%q: got %v, want kind invalid", uri, err)
		}
	}
}

// TestResource tells apart why a resource cannot be read.
func TestResource(t *testing.T) {
	t.Parallel()
	f := trstest.NewFeed(t, 1)
	status := map[string]int{"/r/401": 401, "/r/403": 403, "/r/410": 410, "/r/404": 404, "/r/429": 429, "/r/503": 503, "/r/500": 500}
	f.Before = func(w http.ResponseWriter, r *http.Request) bool {
		code, ok := status[r.URL.Path]
		if ok {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(code)
		}
		return ok
	}
	c, err := trs.NewClient(trs.ClientConfig{URI: f.URI(), HTTP: f.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Resource(t.Context(), f.URL+"/r/0#it"); err != nil || s.Graph.Len() != 2 || s.Tag == "" {
		t.Errorf("a resource: %+v, %v", s, err)
	}
	for path, want := range map[string]oslc.Kind{
		"/r/401": oslc.Denied, "/r/403": oslc.Denied, "/r/404": oslc.NotFound, "/r/410": oslc.NotFound,
		"/r/429": oslc.Limited, "/r/503": oslc.Unavailable, "/r/500": oslc.Unavailable,
	} {
		if _, err := c.Resource(t.Context(), f.URL+path); oslc.KindOf(err) != want || oslc.RetryAfter(err) != 3*time.Second {
			t.Errorf("%s: got %v (%v, again after %v), want %v", path, err, oslc.KindOf(err), oslc.RetryAfter(err), want)
		}
	}
}
