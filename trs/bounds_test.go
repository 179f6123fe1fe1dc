package trs_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

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
