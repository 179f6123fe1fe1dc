package trs_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

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
