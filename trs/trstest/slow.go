package trstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
)

// A slowWalker is a client that reads one document when it is told to, and keeps its
// members as a replica does.
type slowWalker struct {
	client  *trs.Client
	next    http.RoundTripper
	at      chan struct{} // it is about to read
	pass    chan struct{} // it may
	read    chan struct{} // it has
	done    chan error
	running bool

	place   *trs.Place
	members map[string]bool
}

func newSlowWalker(t testing.TB, s *site) *slowWalker {
	w := &slowWalker{
		next: s.Client().Transport, at: make(chan struct{}), pass: make(chan struct{}), read: make(chan struct{}),
		done: make(chan error), members: map[string]bool{},
	}
	var err error
	// It waits as long as it has to.
	if w.client, err = trs.NewClient(trs.ClientConfig{URI: s.setURI(), HTTP: &http.Client{Transport: w}, Within: time.Hour}); err != nil {
		t.Fatal(err)
	}
	return w
}

// RoundTrip waits for its turn.
func (w *slowWalker) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	for _, c := range []struct {
		to, from chan struct{}
	}{{w.at, nil}, {nil, w.pass}} {
		select {
		case c.to <- struct{}{}:
		case <-c.from:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	resp, err := w.next.RoundTrip(r)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	select {
	case w.read <- struct{}{}:
	case <-ctx.Done():
	}
	return resp, err
}

// sync brings the members up to date.
func (w *slowWalker) sync(ctx context.Context) error {
	if w.place != nil {
		b, err := w.client.Poll(ctx, *w.place)
		if err == nil {
			for _, e := range b.Events {
				if e.Kind == oslc.Deletion {
					delete(w.members, e.Changed)
				} else {
					w.members[e.Changed] = true
				}
			}
			w.place = &b.Place
			return nil
		}
		if !errors.Is(err, oslc.Gone) {
			return err
		}
	}
	s, err := w.client.Load(ctx)
	if err != nil {
		return err
	}
	clear(w.members)
	for _, m := range s.Members {
		w.members[m] = true
	}
	w.place = &s.Place
	return nil
}

// step lets the walker read one document. It returns true when it has come to an
// end with it, in step or with an error.
func (w *slowWalker) step(ctx context.Context) (ended bool, err error) {
	if !w.running {
		w.running = true
		go func() {
			err := w.sync(ctx)
			select {
			case w.done <- err:
			case <-ctx.Done():
			}
		}()
	}
	select {
	case <-w.at:
		w.pass <- struct{}{}
		<-w.read
		return false, nil
	case err := <-w.done:
		w.running = false
		return true, err
	}
}

// settle lets the walker finish what it is at, and then come up to date.
func (w *slowWalker) settle(ctx context.Context) error {
	var last error
	for range 3 {
		for {
			ended, err := w.step(ctx)
			if last = err; ended {
				break
			}
		}
	}
	return last
}

// testSlowWalkers has several clients read the set document by document, while
// things happen, the log is truncated and the store is opened again. Whenever
// nothing happens for a while each of them has what there is.
func testSlowWalkers(t *testing.T, open func(testing.TB) Harness) {
	rapid.Check(t, func(rt *rapid.T) {
		h := open(t)
		cfg := trs.Config{
			Policy:  trs.Policy{PageSize: rapid.Int64Range(1, 4).Draw(rt, "page size")},
			BaseAge: time.Duration(rapid.IntRange(0, 1).Draw(rt, "bases age")) * time.Hour,
		}
		s := serveConfig(t, h, cfg)
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		walkers := make([]*slowWalker, 3)
		for i := range walkers {
			walkers[i] = newSlowWalker(t, s)
		}
		truth, n := map[string]bool{}, 0
		rt.Repeat(map[string]func(*rapid.T){
			"happen": func(rt *rapid.T) {
				var batch []*oslc.Event
				for range rapid.IntRange(1, 6).Draw(rt, "batch") {
					uri := fmt.Sprintf("%s/r/%d", s.URL, rapid.IntRange(1, 8).Draw(rt, "resource"))
					n++
					kind := rapid.SampledFrom([]oslc.Change{0, oslc.Creation, oslc.Modification, oslc.Deletion}).Draw(rt, "what")
					switch kind {
					case 0:
						batch = append(batch, nil)
						continue
					case oslc.Deletion:
						delete(truth, uri)
					case oslc.Creation, oslc.Modification:
						truth[uri] = true
					}
					batch = append(batch, event(n, kind, uri))
				}
				if err := h.Apply(batch...); err != nil {
					rt.Fatal(err)
				}
			},
			"read": func(rt *rapid.T) {
				w := walkers[rapid.IntRange(0, len(walkers)-1).Draw(rt, "walker")]
				for range rapid.IntRange(1, 5).Draw(rt, "documents") {
					if _, err := w.step(ctx); err != nil && !errors.Is(err, oslc.Unavailable) {
						rt.Fatal(err)
					}
				}
			},
			"truncate": func(rt *rapid.T) {
				policy := trs.Policy{PageSize: cfg.PageSize, KeepChanges: rapid.Int64Range(1, 10).Draw(rt, "keep")}
				cut, err := policy.Cut(ctx, h.Store(), Set, time.Time{})
				if err != nil {
					rt.Fatal(err)
				}
				if cut > 0 {
					if err := h.Truncate(cut); err != nil {
						rt.Fatal(err)
					}
				}
			},
			"reopen": func(rt *rapid.T) {
				if err := h.Reopen(); err != nil {
					rt.Fatal(err)
				}
				s.swap(h, cfg)
			},
			"settle": func(rt *rapid.T) {
				for i, w := range walkers {
					if err := w.settle(ctx); err != nil {
						rt.Fatalf("walker %d: %v", i, err)
					}
					if got, want := keys(w.members), keys(truth); !slices.Equal(got, want) {
						rt.Fatalf("walker %d has %v, want %v", i, got, want)
					}
				}
			},
		})
	})
}
