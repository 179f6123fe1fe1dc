package trs_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

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
