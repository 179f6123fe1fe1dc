package mongodb_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/oslcbus/oslcbus/adapters/adaptertest"
)

// A failingCache stores nothing any more once it fails.
type failingCache struct {
	*adaptertest.Cache
	broken atomic.Bool
}

var errDisk = errors.New("disk full")

func (c *failingCache) fail() { c.broken.Store(true) }

func (c *failingCache) Put(ctx context.Context, writes map[string][]byte) error {
	if c.broken.Load() {
		return errDisk
	}
	return c.Cache.Put(ctx, writes)
}
