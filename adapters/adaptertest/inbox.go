package adaptertest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// An Inbox is an adapters.Inbox in memory.
type Inbox struct {
	// Fail, when it is not nil, is what Put returns, with nothing made durable.
	Fail error
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu       sync.Mutex
	all      []adapters.Delivery
	watchers []chan struct{}
}

// Put implements adapters.Inbox.
func (b *Inbox) Put(ctx context.Context, batch ...adapters.Delivery) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Fail != nil {
		return b.Fail
	}
	for _, d := range batch {
		if d.ID == "" {
			d.ID = fmt.Sprint("unnamed ", len(b.all))
		}
		d.Time = time.Now().UTC()
		if b.Now != nil {
			d.Time = b.Now()
		}
		d.Header, d.Body = maps.Clone(d.Header), bytes.Clone(d.Body)
		d.At = adapters.Cursor(strconv.Itoa(len(b.all)+1) + " " + d.ID)
		b.all = append(b.all, d)
	}
	for _, w := range b.watchers {
		close(w)
	}
	b.watchers = nil
	return nil
}

// Read implements adapters.Inbox.
func (b *Inbox) Read(ctx context.Context, after adapters.Cursor, deliver func([]adapters.Delivery) error) error {
	next := 0
	if after != nil {
		number, id, _ := strings.Cut(string(after), " ")
		n, err := strconv.Atoi(number)
		if all := b.Deliveries(); err != nil || n < 1 || n > len(all) || all[n-1].ID != id {
			return oslc.Errorf("adaptertest.inbox", oslc.Gone, "there is no place %q", after)
		}
		next = n
	}
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.mu.Lock()
		var batch []adapters.Delivery
		for ; next < len(b.all); next++ {
			if !again(b.all[:next], b.all[next].ID) {
				batch = append(batch, b.all[next])
			}
		}
		more := make(chan struct{})
		b.watchers = append(b.watchers, more)
		b.mu.Unlock()
		if len(batch) > 0 {
			if err := deliver(batch); err != nil {
				return err
			}
		}
		if first {
			if err := deliver(nil); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func again(before []adapters.Delivery, id string) bool {
	for i := range before {
		if before[i].ID == id {
			return true
		}
	}
	return false
}

// Deliveries returns what was put, also what was put again.
func (b *Inbox) Deliveries() []adapters.Delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clip(b.all)
}
