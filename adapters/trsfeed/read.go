package trsfeed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// state is a resource as the server tells it now. A nil graph means that it could
// not be read.
type state struct {
	graph   *rdf.Graph
	tag     string // its entity tag, or empty
	missing bool
}

// tries is how often a resource is asked for before it is left for the next poll.
const tries = 3

// Between two tries lies a pause, unless the server names one.
const (
	pause    = 100 * time.Millisecond
	maxPause = 30 * time.Second
)

// read reads resources, several at a time. What fails is put on the list of those
// to be tried again; when that is too long, the server is away.
func (r *run) read(ctx context.Context, uris []string) (map[string]state, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	out := make(map[string]state, len(uris))
	failed := map[string]error{}
	work := make(chan string)
	var workers sync.WaitGroup
	for range min(r.cfg.Read, len(uris)) {
		workers.Go(func() {
			for uri := range work {
				st, err := r.one(ctx, uri)
				mu.Lock()
				out[uri] = st
				if err != nil {
					failed[uri] = err
				}
				if len(failed) > maxSkipped {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for _, uri := range uris {
		select {
		case work <- uri:
		case <-ctx.Done():
		}
	}
	close(work)
	workers.Wait()
	return out, r.skip(ctx, uris, failed)
}

func (r *run) skip(ctx context.Context, uris []string, failed map[string]error) error {
	next := slices.DeleteFunc(slices.Clone(r.cursor.Skipped), func(s string) bool {
		return slices.Contains(uris, s) && failed[s] == nil
	})
	var last error
	for uri, err := range failed {
		last = err
		if !slices.Contains(next, uri) {
			next = append(next, uri)
		}
	}
	slices.Sort(next)
	if last != nil {
		r.count("unread_resource", len(failed))
	}
	if len(next) > maxSkipped || len(failed) == len(uris) && len(uris) > 1 {
		return oslc.E("trsfeed.read", fmt.Errorf("%d %w: %w", len(next), errAway, last), oslc.Unavailable)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for uri, err := range failed {
		r.log.WarnContext(ctx, "resource cannot be read and will be tried again", "resource", uri, "err", err)
	}
	r.cursor.Skipped = next
	return nil
}

// one reads a resource. An error means that it is worth another try later.
func (r *run) one(ctx context.Context, uri string) (state, error) {
	for try := 1; ; try++ {
		st, err := r.feed.Resource(ctx, uri)
		switch {
		case err == nil:
			r.list.read(uri)
			return state{graph: st.Graph, tag: st.Tag}, nil
		case errors.Is(err, oslc.NotFound):
			r.count("missing_resource", 1)
			r.list.skip(uri, err, r.now())
			return state{missing: true}, nil
		case errors.Is(err, oslc.Denied):
			r.count("denied_resource", 1)
			r.list.skip(uri, err, r.now())
			r.log.WarnContext(ctx, "resource must not be read", "resource", uri, "err", err)
			return state{}, nil
		case ctx.Err() != nil:
			return state{}, err
		case try == tries:
			r.list.skip(uri, err, r.now())
			return state{}, err
		}
		wait := max(pause<<(try-1), min(oslc.RetryAfter(err), maxPause))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return state{}, err
		}
	}
}
