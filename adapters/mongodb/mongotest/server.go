// Package mongotest has a MongoDB server that is a list of changes, for tests of
// what is built on the watcher.
package mongotest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/oslc"
)

// A Server is a mongodb.Server whose history is a list. Its collections at any
// time are what the history adds up to, so that what streams say and what reads
// find belongs together.
type Server struct {
	// Set is the identity.
	Set string
	// BatchSize is how many changes come at once; 0 means 100.
	BatchSize int
	// Oldest is the first place that the history still has.
	Oldest mongodb.ClusterTime
	// ReadsNow makes every Find read the present, as when a moment is too long
	// ago.
	ReadsNow bool
	// OnFind, when it is not nil, is called once, before something is read.
	OnFind func()
	// Errors are returned by the next calls of Next, one each; a nil lets one
	// pass.
	Errors []error
	// WatchErrors are returned by the next calls of Watch.
	WatchErrors []error

	mu      sync.Mutex
	seeds   []mongodb.Change
	changes []mongodb.Change
	grown   chan struct{}
	watched []mongodb.Position
	finds   int
}

// New returns a server with the given history.
func New(changes ...mongodb.Change) *Server {
	return &Server{Set: "set", changes: changes, grown: make(chan struct{})}
}

// Dial is a mongodb.Watch.Dial.
func (s *Server) Dial(context.Context) (mongodb.Server, func(), error) { return s, func() {}, nil }

// Seed adds a document that was there before the history.
func (s *Server) Seed(database, collection string, doc mongodb.Doc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds = append(s.seeds, mongodb.Change{
		Op: mongodb.OpInsert, Database: database, Collection: collection, ID: doc.Lookup("_id"), Full: doc,
	})
}

// Append adds changes to the history.
func (s *Server) Append(changes ...mongodb.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, changes...)
	close(s.grown)
	s.grown = make(chan struct{})
}

// Fail adds errors to Errors.
func (s *Server) Fail(errs ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Errors = append(s.Errors, errs...)
	close(s.grown)
	s.grown = make(chan struct{})
}

// Watched returns the positions at which streams were opened.
func (s *Server) Watched() []mongodb.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.watched)
}

// Finds returns how often something was read.
func (s *Server) Finds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finds
}

// Now returns the place of the newest change.
func (s *Server) Now() mongodb.Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Server) now() mongodb.Place {
	if len(s.changes) == 0 {
		return mongodb.Place{Time: 1, Token: "0"}
	}
	return s.changes[len(s.changes)-1].At
}

// Identify returns Set.
func (s *Server) Identify(context.Context) (mongodb.Identity, error) {
	return mongodb.Identity{Set: s.Set}, nil
}

// Watch opens a stream.
func (s *Server) Watch(_ context.Context, from mongodb.Position) (mongodb.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.WatchErrors) > 0 {
		err := s.WatchErrors[0]
		s.WatchErrors = s.WatchErrors[1:]
		if err != nil {
			return nil, err
		}
	}
	s.watched = append(s.watched, from)
	if from.Token == "" && !from.ByTime {
		return &stream{server: s, at: s.now(), fresh: true}, nil
	}
	if from.Time < s.Oldest {
		return nil, oslc.Errorf("mongotest.watch", oslc.Gone, "the history begins at %d", s.Oldest)
	}
	if from.ByTime {
		return &stream{server: s, at: mongodb.Place{Time: from.Time - 1, Token: "~"}, lean: from.Lean}, nil
	}
	return &stream{server: s, at: from.Place, lean: from.Lean, fresh: true}, nil
}

type stream struct {
	server *Server
	at     mongodb.Place
	lean   bool
	fresh  bool // the first batch is empty and says where the stream begins
	ended  bool
}

func (t *stream) Next(ctx context.Context) (mongodb.Batch, error) {
	if t.fresh {
		t.fresh = false
		return mongodb.Batch{At: t.at}, nil
	}
	if t.ended {
		return mongodb.Batch{}, io.EOF
	}
	s := t.server
	for {
		s.mu.Lock()
		if len(s.Errors) > 0 {
			err := s.Errors[0]
			s.Errors = s.Errors[1:]
			if err != nil {
				s.mu.Unlock()
				return mongodb.Batch{}, err
			}
		}
		size := s.BatchSize
		if size == 0 {
			size = 100
		}
		var b mongodb.Batch
		for _, c := range s.changes {
			if !t.at.Before(c.At) {
				continue
			}
			if t.lean && len(c.Full)+len(c.Update.Set) > 16<<20 {
				c.Full, c.Before, c.Update = nil, nil, mongodb.Delta{}
			} else if len(c.Full)+len(c.Update.Set) > 16<<20 {
				if len(b.Changes) == 0 {
					s.mu.Unlock()
					return mongodb.Batch{}, oslc.E("mongotest.next", mongodb.ErrTooLarge)
				}
				break
			}
			b.Changes = append(b.Changes, c)
			if c.Op == mongodb.OpInvalidate {
				t.ended = true
				break
			}
			if len(b.Changes) == size {
				break
			}
		}
		grown := s.grown
		s.mu.Unlock()
		if len(b.Changes) > 0 {
			b.At = b.Changes[len(b.Changes)-1].At
			t.at = b.At
			return b, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return mongodb.Batch{}, ctx.Err()
		}
	}
}

func (t *stream) Close(context.Context) error { return nil }

// Find yields what the history up to the asked time adds up to.
func (s *Server) Find(_ context.Context, q mongodb.Query) iter.Seq2[mongodb.Found, error] {
	if f := s.OnFind; f != nil {
		s.OnFind = nil
		f()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finds++
	now := s.now().Time
	at := q.At
	if at == 0 || s.ReadsNow || at > now {
		at = now
	}
	docs, err := s.fold(q, at)
	return func(yield func(mongodb.Found, error) bool) {
		if err != nil {
			yield(mongodb.Found{}, err)
			return
		}
		for _, d := range docs {
			if !yield(mongodb.Found{Doc: d, At: at}, nil) {
				return
			}
		}
	}
}

func (s *Server) fold(q mongodb.Query, at mongodb.ClusterTime) ([]mongodb.Doc, error) {
	var keys []string
	docs := map[string]mongodb.Doc{}
	for _, c := range slices.Concat(s.seeds, s.changes) {
		if c.At.Time > at {
			break
		}
		switch here := c.Database == q.Database && c.Collection == q.Collection; c.Op {
		case mongodb.OpDrop:
			if here {
				clear(docs)
			}
			continue
		case mongodb.OpDropDatabase:
			if c.Database == q.Database {
				clear(docs)
			}
			continue
		default:
			if !here {
				continue
			}
		}
		if !q.ID.IsZero() && (q.ID.Type != c.ID.Type || !bytes.Equal(q.ID.Data, c.ID.Data)) {
			continue
		}
		key := string(c.ID.Data)
		switch c.Op {
		case mongodb.OpInsert, mongodb.OpReplace:
			if docs[key] == nil {
				keys = append(keys, key)
			}
			docs[key] = c.Full
		case mongodb.OpUpdate:
			d, err := c.Update.Apply(docs[key])
			if err != nil {
				return nil, fmt.Errorf("fold %s: %w", c.At.Token, err)
			}
			docs[key] = d
		case mongodb.OpDelete:
			delete(docs, key)
		}
	}
	var out []mongodb.Doc
	for _, k := range keys {
		if d := docs[k]; d != nil {
			out = append(out, d)
			delete(docs, k)
		}
	}
	return out, nil
}
