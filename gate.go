package oslcbus

import (
	"context"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/bus"
)

// A gate lets calls of one tool through: so many at once, and none while the tool is
// away.
type gate struct {
	slots chan struct{}

	mu    sync.Mutex
	until time.Time // nothing is called before
}

func newGate(parallel int) *gate { return &gate{slots: make(chan struct{}, parallel)} }

// enter waits until a call may be made; leave is to be called after it. It fails with
// the cause of ctx's end.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	leave = func() { <-g.slots }
	for {
		g.mu.Lock()
		wait := time.Until(g.until)
		g.mu.Unlock()
		if wait <= 0 {
			break
		}
		if bus.Sleep(ctx, wait) != nil {
			break
		}
	}
	if ctx.Err() != nil {
		leave()
		return nil, context.Cause(ctx)
	}
	return leave, nil
}

// close keeps calls away for a while.
func (g *gate) close(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(d); until.After(g.until) {
		g.until = until
	}
}
