package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
)

// A Stage turns records into records, once: it is a source whose cursor is the
// offsets it has worked off, kept on the log with what it wrote. A crash at any
// point repeats the handling of what was not written yet, and writes nothing
// twice.
type Stage struct {
	Log  Log
	Name string // the source it owns
	// Inputs are the topics it reads, Outputs those it may write.
	Inputs, Outputs []string
	// Parallel is how many deliveries are handled at once; those with one key are
	// handled one after the other, in order. 0 means 1.
	Parallel int
	// Key says which deliveries are handled in order; nil means those with one
	// Message.Key.
	Key func(Delivery) string
	// Handle turns a delivery of a topic into the records to write. An error ends
	// the stage, which then begins again at the same delivery: trying again, or
	// setting it aside, is Handle's decision.
	Handle func(ctx context.Context, topic string, d Delivery) ([]Record, error)
	// Drain is how long what is being handled may go on after ctx ended; 0 means
	// DefaultDrain.
	Drain time.Duration
	// Started, when set, is called once the stage owns its source.
	Started func()
	// Lost, when set, is asked when an input no longer has the place where the
	// stage stands, or has another record there: the topic was cut off or made
	// anew. Where it returns nil the stage begins at the oldest record of that
	// topic. Its error ends the stage, as err does without it.
	Lost func(ctx context.Context, topic string, err error) error
}

// progress is a stage's cursor: per topic and partition the offset before which
// all is done, the id of the record there, by which a topic that was made anew is
// known, and the offsets after it that are done as well.
type progress map[string][]partitionProgress

type partitionProgress struct {
	Next int64   `json:"next"`
	Last string  `json:"last,omitempty"`
	Done []int64 `json:"done,omitempty"`
}

// Run works until ctx ends or something fails that does not pass by itself; it
// returns kind Conflict when another replica took over.
func (s *Stage) Run(ctx context.Context) error {
	const op = "bus.stage"
	p, err := s.Log.Own(ctx, s.Name, s.Outputs...)
	if err != nil {
		return oslc.E(op, err)
	}
	var from progress
	if c := p.Cursor(); c != nil {
		if err := json.Unmarshal(c, &from); err != nil {
			return oslc.E(op, fmt.Errorf("the cursor of %q is damaged: %w", s.Name, err), oslc.Internal)
		}
	}
	if s.Started != nil {
		s.Started()
	}
	r := &stageRun{Stage: s, publisher: p, trackers: map[string][]*tracker{}, done: from}
	r.flow = flow{drain: s.Drain, handle: r.work, finish: r.append, tick: r.flush}
	readers := make([]func(context.Context) error, len(s.Inputs))
	for i, topic := range s.Inputs {
		readers[i] = func(ctx context.Context) error { return r.read(ctx, topic) }
	}
	err = r.run(ctx, s.Parallel, readers...)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(err, r.flush(last), p.Close())
}

type stageRun struct {
	*Stage
	flow
	publisher Publisher

	mu       sync.Mutex
	done     progress // as it was at the start
	trackers map[string][]*tracker
	dirty    bool // the cursor moved and is not written
	broken   bool // an append failed: the cursor would speak for what is not there
}

func (r *stageRun) work(ctx context.Context, it *item) error {
	var err error
	it.out, err = r.Handle(ctx, it.topic, it.d)
	return err
}

func (r *stageRun) read(ctx context.Context, topic string) error {
	err := r.follow(ctx, topic)
	if r.Lost == nil || ctx.Err() != nil || !errors.Is(err, errPlace) {
		return err
	}
	if err := r.Lost(ctx, topic, err); err != nil {
		return err
	}
	r.mu.Lock()
	delete(r.done, topic)
	delete(r.trackers, topic)
	r.mu.Unlock()
	return r.follow(ctx, topic)
}

// errPlace marks that an input does not have the place where the stage stands.
var errPlace = errors.New("the place of the stage is gone")

// open starts at the records before the places where the stage stands, so that
// they can be compared, or, with compare false, right at the places where
// retention took one of those away.
func (r *stageRun) open(ctx context.Context, topic string, from []partitionProgress) (rd Reader, compare bool, err error) {
	var before, at From
	for _, p := range from {
		at.Offsets = append(at.Offsets, p.Next)
		if p.Last != "" {
			p.Next--
		}
		before.Offsets = append(before.Offsets, p.Next)
	}
	if rd, err = r.Log.Open(ctx, topic, before); !errors.Is(err, oslc.Gone) {
		return rd, true, err
	}
	if rd, err = r.Log.Open(ctx, topic, at); errors.Is(err, oslc.Gone) {
		err = errors.Join(errPlace, err)
	}
	return rd, false, err
}

func (r *stageRun) follow(ctx context.Context, topic string) error {
	r.mu.Lock()
	from := slices.Clone(r.done[topic])
	r.mu.Unlock()
	rd, compare, err := r.open(ctx, topic, from)
	if err != nil {
		return err
	}
	defer rd.Close()
	met := make([]bool, len(from)) // partitions whose record was compared
	for {
		d, err := rd.Next(ctx)
		if err != nil {
			return err
		}
		if n := int(d.Partition); n < len(from) {
			p := from[n]
			if compare && !met[n] && p.Last != "" {
				met[n] = true
				if d.Offset == p.Next-1 && d.ID() == p.Last {
					continue
				}
				return errors.Join(errPlace, oslc.Errorf("bus.stage", oslc.Gone,
					"topic %s, partition %d: the record at offset %d is %q, the stage has done %q at offset %d: the topic was made anew",
					topic, n, d.Offset, d.ID(), p.Last, p.Next-1))
			}
			if slices.Contains(p.Done, d.Offset) {
				continue // done before the crash, although one before it was not
			}
		}
		r.mu.Lock()
		t := r.tracker(topic, d.Partition)
		r.mu.Unlock()
		it := &item{key: d.Key, topic: topic, d: d, tracker: t, handle: t.add(d)}
		if r.Key != nil {
			it.key = r.Key(d)
		}
		if err := r.submit(ctx, it); err != nil {
			return err
		}
	}
}

func (r *stageRun) tracker(topic string, partition int32) *tracker {
	for p := len(r.trackers[topic]); p <= int(partition); p++ {
		t := &tracker{}
		if done := r.done[topic]; p < len(done) {
			t.next, t.last = done[p].Next, done[p].Last
		}
		r.trackers[topic] = append(r.trackers[topic], t)
	}
	return r.trackers[topic][partition]
}

// append writes what a batch made, with the cursor that goes with it.
func (r *stageRun) append(ctx context.Context, batch []*item) error {
	var out []Record
	for _, it := range batch {
		it.tracker.finish(it.handle)
		out = append(out, it.out...)
	}
	r.dirty = true
	if len(out) == 0 {
		return nil
	}
	// The cursor speaks for the whole batch: no record before the last may have it.
	out[len(out)-1].Cursor = r.cursor()
	if err := r.publisher.Append(ctx, out...); err != nil {
		r.broken = true
		return err
	}
	r.dirty = false
	return nil
}

// flush writes the cursor alone, if it moved.
func (r *stageRun) flush(ctx context.Context) error {
	if !r.dirty || r.broken {
		return nil
	}
	if err := r.publisher.Append(ctx, Record{Cursor: r.cursor()}); err != nil {
		r.broken = true
		return err
	}
	r.dirty = false
	return nil
}

func (r *stageRun) cursor() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := progress{}
	for topic, ps := range r.done {
		now[topic] = slices.Clone(ps)
	}
	for topic, ts := range r.trackers {
		for p, t := range ts {
			for len(now[topic]) <= p {
				now[topic] = append(now[topic], partitionProgress{})
			}
			before := now[topic][p]
			at := t.state()
			for _, o := range before.Done {
				if o >= at.Next && !slices.Contains(at.Done, o) {
					at.Done = append(at.Done, o)
				}
			}
			slices.Sort(at.Done)
			now[topic][p] = at
		}
	}
	b, err := json.Marshal(now)
	if err != nil {
		panic(err) // numbers and strings only
	}
	return b
}
