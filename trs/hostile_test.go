package trs_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

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
