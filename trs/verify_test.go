package trs_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

// goodFeed is a feed that keeps every rule.
func goodFeed(t *testing.T) *trstest.Feed {
	f := trstest.NewFeed(t, 10)
	f.Before = errorsInRDF
	return f
}

// errorsInRDF answers what is not there as OSLC has it.
func errorsInRDF(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "/no-such-document") {
		return false
	}
	server.WriteError(w, r, oslc.Errorf("feed", oslc.NotFound, "nothing is here"))
	return true
}

func also(first, then func(w http.ResponseWriter, r *http.Request) bool) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool { return first(w, r) || then(w, r) }
}

// drop removes the triples of a property of one subject.
func drop(kind, subject, p string) func(string, string, *rdf.Graph) *rdf.Graph {
	return edit(kind, func(g *rdf.Graph, _ string) *rdf.Graph {
		return g.Without(func(t rdf.Triple) bool { return t.S.Value == subject && t.P.Value == p })
	})
}

// add adds a triple to documents of a kind; a subject "log" is the change log.
func add(kind, subject, p string, o rdf.Term) func(string, string, *rdf.Graph) *rdf.Graph {
	return edit(kind, func(g *rdf.Graph, uri string) *rdf.Graph {
		s := rdf.NewIRI(subject)
		switch subject {
		case "":
			s = rdf.NewIRI(uri)
		case "log":
			s = g.OfType(vocab.TRSChangeLogClass)[0]
		}
		g.Add(s, p, o)
		return g
	})
}

const (
	newest = "urn:event:0:12" // the event in the inline segment
	third  = "urn:event:0:2"  // one of the oldest segment
)

// patchTo gives an event a patch with both tags, in the spelling of the examples of the
// specification.
func patchTo(text, event, after string) func(string, string, *rdf.Graph) *rdf.Graph {
	return edit("set", func(g *rdf.Graph, _ string) *rdf.Graph {
		g.Node(event).String(vocab.TRSPatchRdfPatch, text).String(vocab.TRSPatch+"beforeEtag", "before").String(vocab.TRSPatch+"afterEtag", after)
		return g
	})
}

// TestVerify_seededFaults: the verifier names every fault of a server, by the number
// of the check, and finds nothing else that must not be.
func TestVerify_seededFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		want string // checks, in order
		make func(f *trstest.Feed)
	}{
		"none":                       {"", func(*trstest.Feed) {}},
		"no version":                 {"S01", func(f *trstest.Feed) { f.Header = func(_ string, h http.Header) { h.Del("OSLC-Core-Version") } }},
		"neither RDF/XML nor Turtle": {"S01", func(f *trstest.Feed) { f.Syntax = format.JSONLD }},
		"text that calls itself RDF": {"S01", func(f *trstest.Feed) { f.Before = also(errorsInRDF, asRDFXML("this is none")) }},
		"two sets": {"S02", func(f *trstest.Feed) {
			f.Edit = add("set", "urn:other", rdf.Type, rdf.NewIRI(vocab.TRSTrackedResourceSetClass))
		}},
		"two bases":                  {"S02", func(f *trstest.Feed) { f.Edit = add("set", f.URI(), vocab.TRSBase, rdf.NewIRI("urn:z")) }},
		"no change log":              {"S02 S11", func(f *trstest.Feed) { f.Edit = drop("set", f.URI(), vocab.TRSChangeLog) }},
		"members in the set":         {"S03", func(f *trstest.Feed) { f.Edit = add("set", f.URL+"/base", vocab.LDPMember, rdf.NewIRI(f.URL+"/r/0")) }},
		"an event that is elsewhere": {"S04", func(f *trstest.Feed) { f.Edit = add("set", "log", vocab.TRSChange, rdf.NewIRI("urn:event:elsewhere")) }},
		"an older one elsewhere":     {"S05", func(f *trstest.Feed) { f.Edit = add("segment", "", vocab.TRSChange, rdf.NewIRI("urn:event:elsewhere")) }},
		"an event without a type":    {"S06", func(f *trstest.Feed) { f.Edit = drop("set", newest, rdf.Type) }},
		"two resources in one event": {"S06", func(f *trstest.Feed) { f.Edit = add("set", newest, vocab.TRSChanged, rdf.NewIRI(f.URL+"/r/zz")) }},
		"no order":                   {"S06", func(f *trstest.Feed) { f.Edit = drop("set", newest, vocab.TRSOrder) }},
		"an order that is a string": {"S06", func(f *trstest.Feed) {
			f.Edit = edit("set", each(func(t rdf.Triple) rdf.Triple { return orderAs(t, rdf.XSDString) }))
		}},
		"blank events":                {"S06", func(f *trstest.Feed) { f.Edit = add("set", "log", vocab.TRSChange, rdf.NewBlank("b")) }},
		"two events of one order":     {"S07", func(f *trstest.Feed) { f.Late(oslc.Modification, "/r/2", 13) }},
		"an order out of its segment": {"S08", func(f *trstest.Feed) { f.Edit = reorder(third, 3, 100) }},
		"a chain that is a ring":      {"S08", func(f *trstest.Feed) { f.Edit = edit("segment", ring(f)) }},
		"an event that moves to the newest segment": {"S09", func(f *trstest.Feed) {
			f.Edit = func(kind, _ string, g *rdf.Graph) *rdf.Graph {
				if kind == "set" && slices.Contains(f.Seen(), "/log/3") {
					g.Add(g.OfType(vocab.TRSChangeLogClass)[0], vocab.TRSChange, rdf.NewIRI(third))
					n := g.Node(third).A(vocab.TRSCreation).Int(vocab.TRSOrder, 3)
					n.Link(vocab.TRSChanged, f.URL+"/r/2")
				}
				return g
			}
		}},
		"an order that comes late": {"S07", func(f *trstest.Feed) {
			f.Edit = func(kind, _ string, g *rdf.Graph) *rdf.Graph {
				if kind == "set" && slices.Contains(f.Seen(), "/log/3") {
					g.Add(g.OfType(vocab.TRSChangeLogClass)[0], vocab.TRSChange, rdf.NewIRI("urn:event:late"))
					g.Node("urn:event:late").A(vocab.TRSCreation).Int(vocab.TRSOrder, 5).Link(vocab.TRSChanged, f.URL+"/r/0")
				}
				return g
			}
		}},
		"a cutoff that is in no log": {"S11", func(f *trstest.Feed) {
			f.Edit = edit("base", each(func(t rdf.Triple) rdf.Triple {
				if t.P.Value == vocab.TRSCutoffEvent {
					t.O = rdf.NewIRI("urn:event:none")
				}
				return t
			}))
		}},
		"a log that was cut off after the cutoff": {"S11 S12 S20", func(f *trstest.Feed) {
			for i := range 9 {
				f.Happen(oslc.Modification, fmt.Sprint("/r/", 2+i%8))
			}
			f.Before = also(errorsInRDF, func(w http.ResponseWriter, r *http.Request) bool {
				cut := strings.HasPrefix(r.URL.Path, "/log/")
				if cut {
					w.WriteHeader(http.StatusGone)
				}
				return cut
			})
		}},
		"no cutoff, and the log is cut off": {"S13", func(f *trstest.Feed) {
			f.Edit = edit("base", each(func(t rdf.Triple) rdf.Triple {
				if t.P.Value == vocab.TRSCutoffEvent {
					t.O = rdf.NewIRI(rdf.Nil)
				}
				return t
			}))
			f.Before = also(errorsInRDF, func(w http.ResponseWriter, r *http.Request) bool {
				cut := r.URL.Path == "/log/3"
				if cut {
					w.WriteHeader(http.StatusNotFound)
				}
				return cut
			})
		}},
		"a base without a cutoff": {"S14", func(f *trstest.Feed) { f.Edit = drop("base", f.URL+"/base", vocab.TRSCutoffEvent) }},
		"pages that are a ring":   {"S15", func(f *trstest.Feed) { f.Header = links(`<` + f.URL + `/base/0.11/0>; rel="next"`) }},
		"a page that is missing": {"S15 S20", func(f *trstest.Feed) {
			f.Header = links(`<` + f.URL + `/base/0.11/99>; rel="next"`)
			f.Edit = without2(vocab.LDPNextPage)
			f.Vanish("/r/2")
		}},
		"pages in the body alone":     {"S15", func(f *trstest.Feed) { f.Header = links("") }},
		"no type of page":             {"S16", func(f *trstest.Feed) { f.Header = noType }},
		"pages that are used again":   {"S17", moving},
		"another spelling":            {"S19 S20", func(f *trstest.Feed) { f.Edit = respell(f) }},
		"a deletion that is not told": {"S20", func(f *trstest.Feed) { f.Vanish("/r/4") }},
		"a resource that is broken":   {"S24", func(f *trstest.Feed) { f.Before = also(errorsInRDF, nth("/r/5", 1, 500)) }},
		"no entity tags":              {"S25", func(f *trstest.Feed) { f.Header = func(_ string, h http.Header) { h.Del("ETag") } }},
		"tags that are not known again": {"S25", func(f *trstest.Feed) {
			f.Before = also(errorsInRDF, func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("If-None-Match"); return false })
		}},
		"no member relation":  {"S26", func(f *trstest.Feed) { f.Edit = drop("base", f.URL+"/base", vocab.LDPHasMemberRelation) }},
		"another relation":    {"S26", func(f *trstest.Feed) { f.Edit = edit("base", each(relation)) }},
		"a URI of two events": {"S27", func(f *trstest.Feed) { f.Name = twice; f.Happen(oslc.Modification, "/r/2") }},
		"a patch of a deletion": {"S28", func(f *trstest.Feed) {
			f.Happen(oslc.Deletion, "/r/2")
			f.Edit = patch(`A <urn:a> <urn:b> "c" .`, "urn:event:0:13")
		}},
		"a patch of nonsense": {"S28", func(f *trstest.Feed) { f.Edit = patch("X <urn:a> .", newest) }},
		"a patch without a tag": {"S28", func(f *trstest.Feed) {
			f.Edit = add("set", newest, vocab.TRSPatchRdfPatch, rdf.String("A <urn:a> <urn:b> <urn:c> ."))
		}},
		"a patch to a tag that no GET answers with": {"S28", func(f *trstest.Feed) {
			f.Edit = patchTo("A <urn:a> <urn:b> <urn:c> .", newest, "another")
		}},
		"a patch to what no GET answers": {"S28", func(f *trstest.Feed) {
			f.Edit = patchTo("A <"+f.URL+"/r/0> <urn:b> <urn:c> .", newest, "resource-0-13-0")
		}},
		"a patch that fits": {"", func(f *trstest.Feed) {
			f.Edit = patchTo(`A <`+f.URL+`/r/0> <`+vocab.DCTermsTitle+`> "/r/0 version 3" . D <`+f.URL+`/r/0> <`+vocab.DCTermsTitle+`> "/r/0 version 2" .`, newest, "W/\"resource-0-13-0\"")
		}},
		"an origin without a patch": {"S28", func(f *trstest.Feed) {
			f.Edit = add("set", newest, vocab.TRSPatchCreatedFrom, rdf.NewIRI("urn:a"))
		}},
		"a set that is none":      {"S31", func(f *trstest.Feed) { f.Edit = add("set", "urn:a", vocab.TRSTrackedResourceSet, rdf.NewIRI("urn:b")) }},
		"errors that are no RDF":  {"S32", func(f *trstest.Feed) { f.Before = nil }},
		"the terms of an old TRS": {"S02", func(f *trstest.Feed) { f.Edit = func(kind, _ string, g *rdf.Graph) *rdf.Graph { return old(kind, g) } }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := goodFeed(t)
			c.make(f)
			report, err := trs.Verify(t.Context(), trs.VerifyConfig{ClientConfig: trs.ClientConfig{URI: f.URI(), HTTP: f.Client()}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range report.Findings {
				if !slices.Contains(got, x.Check) {
					got = append(got, x.Check)
				}
				if x.Level == "" || x.Text == "" {
					t.Errorf("a finding says too little: %+v", x)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("found %v, want %s:", got, c.want)
				for _, x := range report.Findings {
					t.Logf("%+v", x)
				}
			}
		})
	}
}

func asRDFXML(text string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Accept") != format.JSONLD.MediaType() {
			return false
		}
		w.Header().Set("Content-Type", format.JSONLD.MediaType())
		w.Header().Set("OSLC-Core-Version", "2.0")
		_, _ = io.WriteString(w, text)
		return true
	}
}

func orderAs(t rdf.Triple, datatype string) rdf.Triple {
	if t.P.Value == vocab.TRSOrder {
		t.O = rdf.Typed(t.O.Value, datatype)
	}
	return t
}

func reorder(event string, from, to int64) func(string, string, *rdf.Graph) *rdf.Graph {
	return edit("segment", each(func(t rdf.Triple) rdf.Triple {
		if n, ok := t.O.Int(); ok && t.S.Value == event && n == from {
			t.O = rdf.Int(to)
		}
		return t
	}))
}

func ring(f *trstest.Feed) func(*rdf.Graph, string) *rdf.Graph {
	return func(g *rdf.Graph, uri string) *rdf.Graph {
		if strings.HasSuffix(uri, "/log/3") {
			g.Add(rdf.NewIRI(uri), vocab.TRSPrevious, rdf.NewIRI(f.URL+"/log/9"))
		}
		return g
	}
}

// links puts a link in the place of the next one, on the pages of a base.
func links(next string) func(string, http.Header) {
	return func(kind string, h http.Header) {
		if kind != "base" {
			return
		}
		h.Set("Link", "<"+vocab.LDPPage+`>; rel="type"`)
		if next != "" {
			h.Add("Link", next)
		}
	}
}

func without2(p string) func(string, string, *rdf.Graph) *rdf.Graph { return edit("base", without(p)) }

func noType(kind string, h http.Header) {
	all := h.Values("Link")
	h.Del("Link")
	for _, l := range all {
		if kind == "base" && strings.Contains(l, "next") {
			h.Add("Link", l)
		}
	}
}

func moving(f *trstest.Feed) {
	var reads atomic.Int32
	f.Edit = edit("base", func(g *rdf.Graph, uri string) *rdf.Graph {
		if strings.HasSuffix(uri, "/0") && reads.Add(1) > 2 { // the second is for its tag
			return each(func(t rdf.Triple) rdf.Triple {
				if t.P.Value == vocab.TRSCutoffEvent {
					t.O = rdf.NewIRI(newest)
				}
				return t
			})(g, uri)
		}
		return g
	})
}

func respell(f *trstest.Feed) func(string, string, *rdf.Graph) *rdf.Graph {
	return edit("base", each(func(t rdf.Triple) rdf.Triple {
		if t.O.Value == f.URL+"/r/3" {
			t.O.Value += "/"
		}
		return t
	}))
}

func relation(t rdf.Triple) rdf.Triple {
	if t.P.Value == vocab.LDPHasMemberRelation {
		t.O.Value = "urn:has"
	}
	return t
}

func twice(generation, n int) string {
	if n == 13 {
		n = 4
	}
	return fmt.Sprintf("urn:event:%d:%d", generation, n)
}

func patch(text, event string) func(string, string, *rdf.Graph) *rdf.Graph {
	return edit("set", func(g *rdf.Graph, _ string) *rdf.Graph {
		g.Node(event).String(vocab.TRSPatchRdfPatch, text).String(vocab.TRSPatchBeforeETag, "1")
		return g
	})
}
