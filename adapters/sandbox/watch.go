package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/oslc"
)

// Server returns the stand-in as the watcher of package mongodb sees a
// deployment: updates come as deltas, and there are no images.
func (s *StackStorm) Server() mongodb.Server { return st2Server{s} }

type st2Server struct{ s *StackStorm }

func (v st2Server) Identify(context.Context) (mongodb.Identity, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	return mongodb.Identity{Set: v.s.state.Set}, nil
}

// place is where an entry stands: its second, and its number as the counter.
func place(second, seq int64) mongodb.Place {
	t := mongodb.NewClusterTime(uint32(second), uint32(seq))
	return mongodb.Place{Time: t, Token: fmt.Sprintf("%016X", uint64(t))}
}

// newest is the place of the newest entry; the caller holds the lock.
func (s *StackStorm) newest() mongodb.Place { return place(s.state.Second, s.state.Next-1) }

func (v st2Server) Watch(_ context.Context, from mongodb.Position) (mongodb.Stream, error) {
	const op = "sandbox.watch"
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	next := v.s.state.Next
	switch {
	case from.ByTime:
		next = int64(uint32(from.Time))
	case from.Token != "":
		t, err := strconv.ParseUint(from.Token, 16, 64)
		if err != nil {
			return nil, oslc.Errorf(op, oslc.Gone, "%q is no token of this server", from.Token)
		}
		next = int64(uint32(t)) + 1
	}
	oldest := v.s.state.Next - int64(len(v.s.state.Journal))
	if next < oldest || next > v.s.state.Next {
		return nil, oslc.Errorf(op, oslc.Gone, "change %d is not in the history: it has %d to %d", next, oldest, v.s.state.Next-1)
	}
	return &st2Stream{s: v.s, next: next}, nil
}

type st2Stream struct {
	s     *StackStorm
	next  int64
	asked bool
}

// quiet is how long an answer waits for a change, as a server's getMore does.
const quiet = time.Second

func (st *st2Stream) Next(ctx context.Context) (mongodb.Batch, error) {
	wait := quiet
	if !st.asked { // a server's first answer comes at once, also when it is empty
		wait, st.asked = 0, true
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		st.s.mu.Lock()
		wake, end := st.s.wake, st.s.state.Next
		oldest := end - int64(len(st.s.state.Journal))
		if st.next < oldest {
			st.s.mu.Unlock()
			return mongodb.Batch{}, oslc.Errorf("sandbox.next", oslc.Gone, "change %d is not in the history any more", st.next)
		}
		entries, newest := st.s.state.Journal[st.next-oldest:], st.s.newest()
		st.s.mu.Unlock()
		if len(entries) > 0 {
			return st.batch(entries)
		}
		select {
		case <-ctx.Done():
			return mongodb.Batch{}, ctx.Err()
		case <-wake:
		case <-deadline.C:
			return mongodb.Batch{At: newest}, nil
		}
	}
}

func (st *st2Stream) batch(entries []entry) (mongodb.Batch, error) {
	var b mongodb.Batch
	for _, e := range entries {
		id, err := bson(document{"_id": e.ID})
		if err != nil {
			return b, err
		}
		c := mongodb.Change{
			Op: e.Op, At: place(e.Second, e.Seq), Wall: e.Time, Database: Database, Collection: e.Collection, ID: id.Lookup("_id"),
		}
		if e.Full != nil {
			if c.Full, err = bson(e.Full); err != nil {
				return b, err
			}
		}
		if e.Op == mongodb.OpUpdate {
			if c.Update, err = delta(e); err != nil {
				return b, err
			}
		}
		b.Changes, b.At = append(b.Changes, c), c.At
		st.next = e.Seq + 1
	}
	return b, nil
}

func delta(e entry) (d mongodb.Delta, err error) {
	if d.Set, err = bson(e.Set); err != nil {
		return d, err
	}
	unset := document{}
	for i, name := range e.Unset {
		unset[strconv.Itoa(i)] = name
	}
	// BSON has arrays as documents with the indexes as keys.
	d.Unset, err = bson(unset)
	return d, err
}

// bson encodes a document; its _id becomes an ObjectID.
func bson(d document) (mongodb.Doc, error) {
	out := maps.Clone(d)
	if out == nil {
		out = document{}
	}
	if id, ok := out["_id"].(string); ok {
		out["_id"] = map[string]any{"$oid": id}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return mongodb.DocFromJSON(b)
}

func (st *st2Stream) Close(context.Context) error { return nil }

func (v st2Server) Find(_ context.Context, q mongodb.Query) iter.Seq2[mongodb.Found, error] {
	return func(yield func(mongodb.Found, error) bool) {
		v.s.mu.Lock()
		docs, at := v.s.documents(q.Collection, q.At)
		found := make([]mongodb.Found, 0, len(docs))
		var err error
		for _, d := range docs {
			var b mongodb.Doc
			if b, err = bson(d); err != nil {
				break
			}
			if q.ID.IsZero() || q.ID.Text() == b.Lookup("_id").Text() {
				found = append(found, mongodb.Found{Doc: b, At: at})
			}
		}
		v.s.mu.Unlock()
		if err != nil {
			yield(mongodb.Found{}, err)
			return
		}
		for _, f := range found {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// documents returns a collection as it was at a moment, or as it is now where the
// journal does not reach back to it. The caller holds the lock.
func (s *StackStorm) documents(collection string, at mongodb.ClusterTime) ([]document, mongodb.ClusterTime) {
	var now []document
	switch collection {
	case "rule_d_b":
		now = s.state.Rules
	case "trigger_d_b":
		now = s.state.Triggers
	}
	newest := s.newest().Time
	if at == 0 || at >= newest || len(s.state.Journal) == 0 ||
		s.state.Journal[0].Seq > 1 && at < place(s.state.Journal[0].Second, s.state.Journal[0].Seq).Time {
		return now, newest
	}
	// Going back entry by entry; what an entry changed is then as the one before
	// it left it.
	past := map[string]document{}
	for _, d := range now {
		past[d["_id"].(string)] = d
	}
	for i := len(s.state.Journal) - 1; i >= 0 && place(s.state.Journal[i].Second, s.state.Journal[i].Seq).Time > at; i-- {
		e := s.state.Journal[i]
		if e.Collection != collection {
			continue
		}
		delete(past, e.ID)
		for j := i - 1; j >= 0; j-- {
			if b := s.state.Journal[j]; b.Collection == collection && b.ID == e.ID {
				if b.After != nil {
					past[e.ID] = b.After
				}
				break
			}
		}
	}
	return slices.Collect(maps.Values(past)), at
}
