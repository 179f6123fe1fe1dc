package bus

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// A Subscription delivers the events of a topic to a handler, each at least once
// and, for one resource, in order. What the handler refuses goes to the topic's
// dead letters; the committed offset never passes an event that is not done.
type Subscription struct {
	Log   Log
	Topic string
	// Group names the subscriber: its members share the partitions, and each
	// group gets every event.
	Group string
	// Handle gets an event. It may see the same one again after a crash and
	// recognises it by its ID.
	Handle func(ctx context.Context, e *oslc.Event) error
	// Parallel is how many events, each of another resource, are handled at once.
	// 0 means 1.
	Parallel int
	// Drain is how long what is being handled may go on after ctx ended; 0 means
	// DefaultDrain.
	Drain time.Duration
	Retry Retry
	// Parser reads the events; the zero value reads what the bus writes.
	Parser format.Parser
	// Logger tells of dead letters and retries; nil discards.
	Logger *slog.Logger
}

// Retry says how often, and how soon, something that failed is tried again.
type Retry struct {
	// Attempts is how often it is tried altogether; 0 means 10.
	Attempts int
	// Min is the pause after the first failure, which doubles up to Max. They
	// mean 500 ms and 1 min when 0. The other side's Retry-After is kept to.
	Min, Max time.Duration
}

// WithDefaults returns r with every unset field filled in.
func (r Retry) WithDefaults() Retry {
	if r.Attempts <= 0 {
		r.Attempts = 10
	}
	if r.Min <= 0 {
		r.Min = 500 * time.Millisecond
	}
	if r.Max < r.Min {
		r.Max = max(time.Minute, r.Min)
	}
	return r
}

// Pause returns how long to wait after so many failed attempts, the last with
// err. A fifth of it is random, so that many do not come back at once.
func (r Retry) Pause(attempts int, err error) time.Duration {
	d := r.Min << min(attempts-1, 30)
	if d <= 0 || d > r.Max {
		d = r.Max
	}
	d = d*4/5 + rand.N(d/5+1)
	return max(d, oslc.RetryAfter(err))
}

// Do calls fn until it succeeds, fails for good, has failed r.Attempts times, or
// ctx ends. It returns the number of attempts and the last error.
func (r Retry) Do(ctx context.Context, fn func(context.Context) error) (attempts int, err error) {
	for {
		attempts++
		err = fn(ctx)
		if err == nil || ctx.Err() != nil || !oslc.KindOf(err).Retryable() || attempts >= r.Attempts {
			return attempts, err
		}
		if Sleep(ctx, r.Pause(attempts, err)) != nil {
			return attempts, ctx.Err()
		}
	}
}

// Sleep waits for d, or for the end of ctx, whose error it returns.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Run delivers until ctx ends. It returns ctx.Err() then, and earlier only when
// the log fails for good.
func (s *Subscription) Run(ctx context.Context) error {
	const op = "bus.subscription"
	logger := s.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	retry := s.Retry.WithDefaults()
	rd, err := s.Log.Open(ctx, s.Topic, From{Group: s.Group})
	if err != nil {
		return oslc.E(op, err)
	}
	defer rd.Close()
	dead, err := s.Log.Own(ctx, "dlq."+s.Topic+"."+s.Group, DeadLetterTopic(s.Topic))
	if err != nil {
		return oslc.E(op, err)
	}
	defer dead.Close()
	f := &flow{
		drain:  s.Drain,
		handle: func(ctx context.Context, it *item) error { return s.handle(ctx, it, retry, logger) },
		finish: func(ctx context.Context, batch []*item) error { return s.finish(ctx, rd, dead, batch) },
	}
	err = f.run(ctx, s.Parallel, func(ctx context.Context) error { return s.read(ctx, rd, f) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return oslc.E(op, err)
}

func (s *Subscription) handle(ctx context.Context, it *item, retry Retry, logger *slog.Logger) error {
	if IsMarker(it.d.Message) {
		return nil
	}
	e, err := Decode(it.d.Message, s.Parser)
	attempts := 0
	if err == nil {
		attempts, err = retry.Do(ctx, func(ctx context.Context) error { return s.Handle(ctx, e) })
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	logger.WarnContext(ctx, "event set aside", "topic", s.Topic, "offset", it.d.Offset, "event", it.d.ID(),
		"attempts", attempts, "kind", oslc.KindOf(err), "err", err)
	it.out = []Record{DeadLetter(s.Topic, it.d, attempts, err, time.Now())}
	return nil
}

func (s *Subscription) read(ctx context.Context, rd Reader, f *flow) error {
	trackers := map[int32]*tracker{}
	for {
		d, err := rd.Next(ctx)
		if err != nil {
			return err
		}
		t := trackers[d.Partition]
		if t == nil || d.Offset < t.seen {
			// The partition came back from another member: what was in work belongs
			// to a tracker that commits nothing any more.
			t = &tracker{}
			trackers[d.Partition] = t
		}
		it := &item{key: d.Key, topic: s.Topic, d: d, tracker: t, handle: t.add(d)}
		if err := f.submit(ctx, it); err != nil {
			return err
		}
	}
}

func (s *Subscription) finish(ctx context.Context, rd Reader, dead Publisher, batch []*item) error {
	var out []Record
	for _, it := range batch {
		out = append(out, it.out...)
	}
	if len(out) > 0 {
		if err := dead.Append(ctx, out...); err != nil {
			return err
		}
	}
	commit := map[int32]Delivery{}
	for _, it := range batch {
		if moved := it.tracker.finish(it.handle); moved != nil {
			commit[it.d.Partition] = *moved
		}
	}
	for _, d := range commit {
		// Conflict: another member has the partition, and will see the events again.
		if err := rd.Commit(ctx, d); err != nil && !errors.Is(err, oslc.Conflict) {
			return err
		}
	}
	return nil
}
