package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

type harness struct {
	dir  string
	db   *sqlite.DB
	next int64
}

func newHarness(tb testing.TB) trstest.Harness {
	tb.Helper()
	h := &harness{dir: tb.TempDir()}
	h.db = open(tb, h.dir)
	tb.Cleanup(func() {
		if err := h.db.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := h.db.Views().AddSet(tb.Context(), trstest.Set); err != nil {
		tb.Fatal(err)
	}
	return h
}

func (h *harness) Store() trs.Store { return h.db.Views() }

func (h *harness) Truncate(upTo int64) error {
	return h.db.Views().Truncate(context.Background(), trstest.Set, upTo)
}

func (h *harness) Reopen() error {
	if err := h.db.Close(); err != nil {
		return err
	}
	var err error
	h.db, err = sqlite.Open(context.Background(), h.db.Path())
	return err
}

var place = sqlite.Place{Topic: "tool_event", Set: trstest.Set}

func (h *harness) Apply(events ...*oslc.Event) error {
	steps := make([]sqlite.Step, len(events))
	for i, e := range events {
		steps[i] = sqlite.Step{Offset: h.next, Event: e, Damaged: e == nil}
		h.next++
	}
	if err := h.db.Views().Apply(context.Background(), place, steps); err != nil {
		return err
	}
	// A fold that is repeated after a crash changes nothing.
	return h.db.Views().Apply(context.Background(), place, steps)
}

func TestTRS(t *testing.T) {
	t.Parallel()
	trstest.Run(t, newHarness)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	t.Run("in use", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		db := open(t, dir)
		defer db.Close()
		_, err := sqlite.Open(t.Context(), db.Path())
		if !errors.Is(err, oslc.Conflict) || !strings.Contains(err.Error(), "another process") {
			t.Errorf("got %v, want kind conflict that names another process", err)
		}
	})
	t.Run("newer schema", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		db := open(t, dir)
		path := db.Path()
		if err := db.SetVersion(t.Context(), 99); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := sqlite.Open(t.Context(), path)
		if !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), "newer release (schema 99") {
			t.Errorf("got %v, want kind invalid that names the schema", err)
		}
	})
	t.Run("no database", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "oslcbus.db")
		writeFile(t, path, strings.Repeat("this is no database. ", 100))
		if _, err := sqlite.Open(t.Context(), path); !errors.Is(err, oslc.Invalid) {
			t.Errorf("got %v, want kind invalid", err)
		}
	})
}

func TestState(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	defer db.Close()
	v := db.Views()
	var steps []sqlite.Step
	for i, uri := range []string{"http://b/x/1", "http://b/y/1", "http://b/x/2", "http://b/x/3"} {
		steps = append(steps, sqlite.Step{Offset: int64(i), Event: event(i, oslc.Creation, uri)})
	}
	steps = append(steps, sqlite.Step{Offset: 4, Event: event(4, oslc.Deletion, "http://b/x/2")})
	if err := v.Apply(t.Context(), place, steps); err != nil {
		t.Fatal(err)
	}
	var got []string
	for uri, err := range v.State("http://b/x/").Resources(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, uri)
	}
	if want := []string{"http://b/x/1", "http://b/x/3"}; !slices.Equal(got, want) {
		t.Errorf("resources are %v, want %v", got, want)
	}
	if _, ok, err := v.State("http://b/x/").Resource(t.Context(), "http://b/x/2"); ok || err != nil {
		t.Errorf("a deleted resource: %t, %v", ok, err)
	}
	if r, err := v.Resource(t.Context(), "http://b/x/2"); err != nil || !r.Deleted || r.Graph.Len() == 0 {
		t.Errorf("its tombstone: %+v, %v", r, err)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cache.db")
	writeFile(t, path, strings.Repeat("damaged ", 1000))
	c, err := sqlite.OpenCache(t.Context(), path)
	if err != nil {
		t.Fatalf("a damaged cache is made anew: %v", err)
	}
	a, b := c.Of("a"), c.Of("b")
	writes := map[string][]byte{}
	for i := range 600 { // more than one chunk
		writes[string(rune('a'+i%26))+strings.Repeat("k", i)] = []byte{byte(i)}
	}
	if err := a.Put(t.Context(), writes); err != nil {
		t.Fatal(err)
	}
	if err := a.Put(t.Context(), map[string][]byte{"a": nil, "": []byte("empty key")}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range a.All(t.Context()) {
		if err != nil || e.Key == "a" {
			t.Fatal(e, err)
		}
		n++
	}
	if n != 600 {
		t.Errorf("%d entries, want 600", n)
	}
	if v, err := b.Get(t.Context(), "b"); v != nil || err != nil {
		t.Errorf("another source sees %q, %v", v, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
