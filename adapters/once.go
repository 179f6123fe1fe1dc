package adapters

import (
	"context"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
)

// remembered is how many outcomes a Once keeps to answer a repeat from.
const remembered = 4096

// Once lets an Executor that may be called twice for one request, also at the same
// time, work on it once. It remembers as long as the process lives; what happened
// before that an Executor finds out from its tool. The zero value is ready.
type Once struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu     sync.Mutex
	inWork map[string]*call
	done   map[string]oslc.Result
	recent []string // the requests in done, oldest first
}

// call is a request in work; a second one waits for it.
type call struct {
	done  chan struct{}
	res   oslc.Result
	err   error
	ended bool // it failed because its caller's context ended
}

// Do returns what work made of the request, now or earlier. Only success is
// remembered: a request that failed is worked on again.
func (o *Once) Do(ctx context.Context, r oslc.Request, work func(context.Context, oslc.Request) (oslc.Result, error)) (oslc.Result, error) {
	for {
		o.mu.Lock()
		if res, ok := o.done[r.ID]; ok {
			o.mu.Unlock()
			return res, nil
		}
		c := o.inWork[r.ID]
		if c == nil {
			c = &call{done: make(chan struct{})}
			if o.inWork == nil {
				o.inWork, o.done = map[string]*call{}, map[string]oslc.Result{}
			}
			o.inWork[r.ID] = c
			o.mu.Unlock()
			return o.work(ctx, r, c, work)
		}
		o.mu.Unlock()
		select {
		case <-c.done:
			if !c.ended {
				return c.res, c.err
			}
			// The other caller gave up and may have been heard all the same.
			if r.MaybeDoneAt = time.Now(); o.Now != nil {
				r.MaybeDoneAt = o.Now()
			}
		case <-ctx.Done():
			return oslc.Result{}, ctx.Err()
		}
	}
}

// work carries a request out and tells those who wait for it.
func (o *Once) work(ctx context.Context, r oslc.Request, c *call, work func(context.Context, oslc.Request) (oslc.Result, error)) (oslc.Result, error) {
	c.res, c.err = work(ctx, r)
	c.ended = c.err != nil && ctx.Err() != nil

	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.inWork, r.ID)
	if c.err == nil {
		if len(o.recent) >= remembered {
			delete(o.done, o.recent[0])
			o.recent = o.recent[1:]
		}
		o.done[r.ID] = c.res
		o.recent = append(o.recent, r.ID)
	}
	close(c.done)
	return c.res, c.err
}
