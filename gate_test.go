package oslcbus

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/oslcbus/oslcbus/oslc"
)

func testGate(c Connection) *gate {
	return newGate(c, prometheus.NewCounter(prometheus.CounterOpts{Name: "throttled"}))
}

// entered lets n calls through a gate, each of which takes a second, and returns when
// each began.
func entered(t *testing.T, g *gate, n int) []time.Duration {
	t.Helper()
	start := time.Now()
	var mu sync.Mutex
	var out []time.Duration
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			leave, _, err := g.enter(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer leave()
			mu.Lock()
			out = append(out, time.Since(start))
			mu.Unlock()
			time.Sleep(time.Second)
		})
	}
	wg.Wait()
	return out
}

// TestGate: so many calls at once, so many a second, none while the tool is away, and
// none while it is paused.
func TestGate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limits Connection
		before func(*gate)
		want   []time.Duration // when calls begin, in seconds
	}{
		"as many at once": {Connection{Parallel: 2}, nil, []time.Duration{0, 0, 1, 1, 2}},
		"a rate":          {Connection{Parallel: 9, Rate: 0.5, Burst: 1}, nil, []time.Duration{0, 2, 4, 6, 8}},
		"a burst":         {Connection{Parallel: 9, Rate: 1, Burst: 3}, nil, []time.Duration{0, 0, 0, 1, 2}},
		"away":            {Connection{Parallel: 9}, func(g *gate) { g.close(5 * time.Second); g.close(time.Second) }, []time.Duration{5, 5, 5, 5, 5}},
		"paused": {Connection{Parallel: 9, Rate: 1, Burst: 4}, func(g *gate) {
			g.pause(true)
			time.AfterFunc(7*time.Second, func() { g.pause(false) })
		}, []time.Duration{7, 7, 7, 7, 8}},
		"paused while it waits for the rate": {Connection{Parallel: 9, Rate: 1, Burst: 4}, func(g *gate) {
			time.AfterFunc(500*time.Millisecond, func() { g.pause(true) })
			time.AfterFunc(3*time.Second, func() { g.pause(false) })
		}, []time.Duration{0, 0, 0, 0, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := testGate(tt.limits)
				if tt.before != nil {
					tt.before(g)
				}
				got := entered(t, g, len(tt.want))
				for i, at := range got {
					if at.Round(time.Millisecond) != tt.want[i]*time.Second {
						t.Fatalf("calls began at %v, want %v (s)", got, tt.want)
					}
				}
			})
		})
	}
}

// TestGate_givenUp: who does not want to wait any more leaves the place to others.
func TestGate_givenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := testGate(Connection{Parallel: 1, Rate: 1, Burst: 1})
		leave, _, err := g.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errCanceled) })
		if _, _, err := g.enter(ctx); !errors.Is(err, errCanceled) {
			t.Errorf("while the place is taken: got %v", err)
		}
		leave()
		ctx, cancel = context.WithCancelCause(t.Context())
		g.pause(true)
		time.AfterFunc(time.Second, func() { cancel(errCanceled) })
		_, held, err := g.enter(ctx)
		if !errors.Is(err, errCanceled) || held != time.Second {
			t.Errorf("during a pause: held for %v, got %v", held, err)
		}
		g.pause(false)
		if _, _, err := g.enter(t.Context()); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

// TestBudget: attempts and time are both bounded, and a pause costs nothing.
func TestBudget(t *testing.T) {
	t.Parallel()
	away, no := oslc.Errorf("tool", oslc.Unavailable, "away"), oslc.Errorf("tool", oslc.Invalid, "no")
	slow := &oslc.Error{Op: "tool", Kind: oslc.Limited, RetryAfter: time.Hour, Err: errors.New("slow down")}
	for name, tt := range map[string]struct {
		retry    RetryConfig
		err      error
		paused   time.Duration // before each attempt but the first
		attempts int
		last     time.Duration // how long the last attempt may take
	}{
		"attempts":          {RetryConfig{Attempts: 3}, away, 0, 3, time.Hour},
		"a refusal":         {RetryConfig{Attempts: 3}, no, 0, 1, time.Hour},
		"time":              {RetryConfig{Attempts: 99, Min: time.Second, Max: time.Second, Within: 20 * time.Second}, away, 0, 2, 9 * time.Second},
		"a pause":           {RetryConfig{Attempts: 99, Min: time.Second, Max: time.Second, Within: 20 * time.Second}, away, time.Hour, 2, 9 * time.Second},
		"too long a wait":   {RetryConfig{Within: 30 * time.Minute}, slow, 0, 1, 30 * time.Minute},
		"a wait that is ok": {RetryConfig{Attempts: 2}, slow, 0, 2, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := Connection{Retry: tt.retry}
				if err := c.limits("x", func(key, text string, args ...any) error { return oslc.Errorf(key, oslc.Invalid, text, args...) }); err != nil {
					t.Fatal(err)
				}
				b := budget{limits: &c, retry: c.Retry.policy().WithDefaults()}
				var last time.Duration
				for {
					last = b.attempt()
					time.Sleep(10 * time.Second) // or what is left
					pause, err := b.next(tt.err)
					if err != nil {
						if !errors.Is(err, tt.err) {
							t.Errorf("it ends with %v", err)
						}
						break
					}
					time.Sleep(pause + tt.paused)
					b.pause(tt.paused)
				}
				// A fifth of a pause is random.
				if b.attempts != tt.attempts || last > tt.last+time.Second || last < tt.last-time.Second {
					t.Errorf("%d attempts, the last could take %v, want %d, %v", b.attempts, last, tt.attempts, tt.last)
				}
			})
		})
	}
}
