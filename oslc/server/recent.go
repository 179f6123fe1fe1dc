package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// The answer to a write waits for the tool and not for the store, which learns of
// the change only when the source tells it. Until then what the tool answered is
// what later requests see: a client that reads after it wrote never sees an older
// state. This is kept per process; another replica may still be behind.
const (
	// settleWithin is how long a reader waits for the store after a write. It is
	// much longer than a change takes to come back.
	settleWithin = 2 * time.Second
	// recentKept is how many writes are remembered.
	recentKept = 4096
)

// written is a write that a tool has carried out.
type written struct {
	collection *collection
	uri        string
	graph      *rdf.Graph // the state that it left; of a deletion, the last one
	deleted    bool
	tag        string    // the revision that was told to the client
	at         time.Time // when the tool was asked
	modified   time.Time
	before     string   // the store's revision at that moment; empty for none
	changed    []string // the predicates that differ since

	// revision is the store's for the same state, once it has it.
	revision string
}

// shows reports whether a store that says this has the write.
func (w *written) shows(res Resource, err error) bool {
	switch {
	case err != nil:
		return false
	case w.deleted || res.Deleted:
		return res.Deleted
	case res.Revision == w.before:
		return false
	}
	s := rdf.NewIRI(w.uri)
	for _, p := range w.changed {
		want, have := w.graph.Objects(s, p), res.Graph.Objects(s, p)
		if len(want) != len(have) {
			return false
		}
		for _, o := range want {
			// What is hidden is hidden in one way there and in another here.
			if o.Datatype != jsonType && !res.Graph.Has(rdf.Triple{S: s, P: rdf.NewIRI(p), O: o}) {
				return false
			}
		}
	}
	return true
}

func (w *written) resource() Resource {
	return Resource{URI: w.uri, Graph: w.graph, Revision: w.tag, Modified: w.modified, Deleted: w.deleted}
}

const jsonType = rdf.NS + "JSON"

// recent are the latest writes.
type recent struct {
	mu      sync.Mutex
	pending map[string]*written // by URI: the store does not show them yet
	known   map[string]*written // by URI: the store shows them, under its own revision
	order   []*written
}

func newRecent() *recent {
	return &recent{pending: map[string]*written{}, known: map[string]*written{}}
}

func (r *recent) add(w *written) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if was := r.pending[w.uri]; was != nil {
		// The store has not shown that one: it still stands before both.
		w.before = was.before
		w.changed = append(w.changed, was.changed...)
	}
	delete(r.known, w.uri)
	r.pending[w.uri] = w
	r.order = append(r.order, w)
	if len(r.order) <= recentKept {
		return
	}
	old := r.order[0]
	r.order = r.order[1:]
	if r.pending[old.uri] == old {
		delete(r.pending, old.uri)
	}
	if r.known[old.uri] == old {
		delete(r.known, old.uri)
	}
}

func (r *recent) get(uri string) *written {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending[uri]
}

// of returns the writes to a collection that the store does not show yet.
func (r *recent) of(c *collection) []*written {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*written
	for _, w := range r.pending {
		if w.collection == c {
			out = append(out, w)
		}
	}
	return out
}

// shown notes that the store has the write, as revision.
func (r *recent) shown(w *written, revision string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending[w.uri] == w {
		delete(r.pending, w.uri)
		w.revision = revision
		r.known[w.uri] = w
	}
}

// names reports whether tag is another name of the revision: the one that the
// client was told when it wrote.
func (r *recent) names(uri, tag, revision string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.known[uri]
	return w != nil && w.tag == tag && w.revision == revision
}

// current returns the state of a resource, never one from before a write that was
// answered here.
func (s *Server) current(ctx context.Context, uri string) (Resource, error) {
	for {
		moved := s.folded()
		res, err := s.cfg.Store.Resource(ctx, uri)
		w := s.recent.get(uri)
		switch {
		case w == nil || err != nil && !errors.Is(err, oslc.NotFound):
			return res, err
		case w.shows(res, err):
			s.recent.shown(w, res.Revision)
			return res, err
		}
		if s.await(ctx, moved, w.at.Add(settleWithin)) {
			continue
		}
		if ctx.Err() != nil {
			return Resource{}, ctx.Err()
		}
		if err == nil && res.Revision != w.before {
			// Something later than the write.
			s.recent.shown(w, "")
			return res, nil
		}
		return w.resource(), nil
	}
}

// settle waits until the store shows what was written to a collection here.
func (s *Server) settle(ctx context.Context, c *collection) {
	for _, w := range s.recent.of(c) {
		_, _ = s.current(ctx, w.uri) // its errors are those of what is read next
	}
}

func (s *Server) folded() <-chan struct{} {
	if s.cfg.Folded == nil {
		return nil
	}
	return s.cfg.Folded()
}

// await waits until moved is closed; false means that the time was up before.
func (s *Server) await(ctx context.Context, moved <-chan struct{}, until time.Time) bool {
	left := until.Sub(s.cfg.Now())
	if moved == nil || left <= 0 {
		return false
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-moved:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// decorate adds what the server knows of a resource and its tool does not.
func (c *collection) decorate(g *rdf.Graph, uri string) *rdf.Graph {
	s := rdf.NewIRI(uri)
	out := rdf.NewGraph()
	out.AddGraph(g)
	if out.Object(s, vocab.OSLCServiceProvider).IsZero() {
		out.Add(s, vocab.OSLCServiceProvider, rdf.NewIRI(c.provider.uri))
	}
	if c.Shape != nil && out.Object(s, vocab.OSLCInstanceShape).IsZero() {
		out.Add(s, vocab.OSLCInstanceShape, rdf.NewIRI(c.shapeURI()))
	}
	return out
}
