package trs_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

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
