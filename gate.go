package oslcbus

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/oslcbus/oslcbus/bus"
)

// A gate lets calls of one tool through: so many at once and so many a second, none
// while the tool is away, and none while it is paused.
type gate struct {
	slots     chan struct{}
	limiter   *rate.Limiter
	throttled prometheus.Counter // calls that waited for the rate

	mu     sync.Mutex
	until  time.Time     // nothing is called before
	paused chan struct{} // closed when the pause ends; nil without one
}

func newGate(c Connection, throttled prometheus.Counter) *gate {
	g := &gate{slots: make(chan struct{}, max(1, c.Parallel)), limiter: rate.NewLimiter(rate.Inf, 0), throttled: throttled}
	if c.Rate > 0 {
		g.limiter = rate.NewLimiter(rate.Limit(c.Rate), c.Burst)
	}
	return g
}

// enter waits until a call may be made; leave is to be called after it. held is how
// long a pause alone kept it. It fails with the cause of ctx's end.
func (g *gate) enter(ctx context.Context) (leave func(), held time.Duration, err error) {
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	}
	held, err = g.open(ctx)
	if err == nil {
		if turn := g.limiter.Reserve(); turn.Delay() > 0 {
			g.throttled.Inc()
			if err = bus.Sleep(ctx, turn.Delay()); err != nil {
				turn.Cancel()
			}
			if err == nil { // it may have been paused meanwhile
				var more time.Duration
				more, err = g.open(ctx)
				held += more
			}
		}
	}
	leave = func() { <-g.slots }
	if err != nil {
		leave()
		return nil, held, context.Cause(ctx)
	}
	return leave, held, nil
}

// open waits until the tool is neither paused nor away.
func (g *gate) open(ctx context.Context) (held time.Duration, err error) {
	for {
		g.mu.Lock()
		paused, wait := g.paused, time.Until(g.until)
		g.mu.Unlock()
		switch {
		case paused != nil:
			began := time.Now()
			select {
			case <-paused:
			case <-ctx.Done():
			}
			held += time.Since(began)
		case wait > 0:
			if err := bus.Sleep(ctx, wait); err != nil {
				return held, err
			}
		}
		if err := ctx.Err(); err != nil || paused == nil && wait <= 0 {
			return held, err
		}
	}
}

// close keeps calls away for a while.
func (g *gate) close(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(d); until.After(g.until) {
		g.until = until
	}
}

// pause begins or ends a pause. Calls that are being made go on.
func (g *gate) pause(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case on && g.paused == nil:
		g.paused = make(chan struct{})
	case !on && g.paused != nil:
		close(g.paused)
		g.paused = nil
	}
}

func (g *gate) isPaused() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.paused != nil
}
