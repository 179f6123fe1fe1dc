package trs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/oslcbus/oslcbus/oslc"
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
