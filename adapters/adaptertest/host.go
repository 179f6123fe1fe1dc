package adaptertest

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A Host is what a source runs on in tests: a log in memory that keeps each event
// with its cursor, and the state that the log adds up to. A Host goes on where an
// earlier run stopped, as the bus does.
type Host struct {
	// Limit, when it is not 0, makes emit fail after that many emissions in all,
	// with ErrFull, also in the middle of a batch: those before are durable.
	Limit int
	// Fail, when it is not nil, is what emit returns, with nothing made durable.
	Fail error

	mu       sync.Mutex
	taken    int
	all      []adapters.Emission // with those that only move the cursor
	cursor   adapters.Cursor
	state    map[string]*rdf.Graph
	watchers []chan struct{}
}

// ErrFull is what emit returns once a Host has reached its limit.
var ErrFull = errors.New("the log is full")

// Emit is an adapters.Emit.
func (h *Host) Emit(ctx context.Context, batch ...adapters.Emission) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Fail != nil {
		return h.Fail
	}
	for _, e := range batch {
		if h.Limit > 0 && h.taken >= h.Limit {
			return ErrFull
		}
		h.take(e)
	}
	for _, w := range h.watchers {
		close(w)
	}
	h.watchers = nil
	return nil
}

// take adds an emission to the log.
func (h *Host) take(e adapters.Emission) {
	h.taken++
	h.cursor = e.At
	h.all = append(h.all, e)
	if e.Event == nil {
		return
	}
	if h.state == nil {
		h.state = map[string]*rdf.Graph{}
	}
	if e.Event.Change == oslc.Deletion {
		delete(h.state, e.Event.Subject)
	} else {
		h.state[e.Event.Subject] = e.Event.Resource
	}
}

// Lift removes the limit.
func (h *Host) Lift() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Limit = 0
}

// Cursor returns the newest cursor on the log, or nil.
func (h *Host) Cursor() adapters.Cursor {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cursor
}

// Events returns the events on the log, in order.
func (h *Host) Events() []*oslc.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*oslc.Event
	for _, e := range h.all {
		if e.Event != nil {
			out = append(out, e.Event)
		}
	}
	return out
}

// Distinct returns the events on the log without repeats, in the order in which
// they came first.
func (h *Host) Distinct() []*oslc.Event {
	seen := map[string]bool{}
	return slices.DeleteFunc(h.Events(), func(e *oslc.Event) bool {
		again := seen[e.ID]
		seen[e.ID] = true
		return again
	})
}

// Wait returns nil once done says true, which it asks whenever the log grew, or
// ctx's error.
func (h *Host) Wait(ctx context.Context, done func() bool) error {
	for {
		h.mu.Lock()
		grown := make(chan struct{})
		h.watchers = append(h.watchers, grown)
		h.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Resource returns a resource as the newest event left it: a Host is an
// adapters.State.
func (h *Host) Resource(_ context.Context, uri string) (*rdf.Graph, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g, ok := h.state[uri]
	return g, ok, nil
}

// Resources yields every resource that is there.
func (h *Host) Resources(context.Context) iter.Seq2[string, error] {
	h.mu.Lock()
	all := slices.Collect(maps.Keys(h.state))
	h.mu.Unlock()
	return func(yield func(string, error) bool) {
		for _, uri := range all {
			if !yield(uri, nil) {
				return
			}
		}
	}
}

// A Cache is an adapters.Cache in memory.
type Cache struct {
	mu      sync.Mutex
	entries map[string][]byte
}

// Get returns the value of key, or nil.
func (c *Cache) Get(_ context.Context, key string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.entries[key]), nil
}

// Put stores all writes.
func (c *Cache) Put(ctx context.Context, writes map[string][]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = map[string][]byte{}
	}
	for k, v := range writes {
		if v == nil {
			delete(c.entries, k)
		} else {
			c.entries[k] = slices.Clone(v)
		}
	}
	return nil
}

// All yields every key with its value.
func (c *Cache) All(context.Context) iter.Seq2[adapters.Entry, error] {
	c.mu.Lock()
	var all []adapters.Entry
	for k, v := range c.entries {
		all = append(all, adapters.Entry{Key: k, Value: v})
	}
	c.mu.Unlock()
	return func(yield func(adapters.Entry, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (c *Cache) clone() *Cache {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Cache{entries: maps.Clone(c.entries)}
}

// Counts is an adapters.Metrics that remembers.
type Counts struct {
	mu     sync.Mutex
	counts map[string]int
}

// Count adds n to the counter of what.
func (c *Counts) Count(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[what] += n
}

// Of returns the counter of what.
func (c *Counts) Of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}
