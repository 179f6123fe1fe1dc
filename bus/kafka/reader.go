package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

const (
	opOpen   = "kafka.open"
	opNext   = "kafka.next"
	opCommit = "kafka.commit"

	// watchPartitions is how often a reader looks for partitions that were added.
	watchPartitions = 30 * time.Second
)

// Open implements bus.Log.
func (l *Log) Open(ctx context.Context, topic string, from bus.From) (bus.Reader, error) {
	ctx, leave, err := l.enter(ctx, opOpen, true)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := context.Cause(ctx); err != nil {
		return nil, l.giveUp(ctx, opOpen, err)
	}
	if from.Group != "" && len(from.Offsets) > 0 {
		return nil, oslc.Errorf(opOpen, oslc.Invalid, "a group and offsets are both given")
	}
	n, err := l.topic(ctx, opOpen, topic, l.eventTopic())
	if err != nil {
		return nil, err
	}
	r := &reader{log: l, topic: topic, out: make(chan fetched)}
	r.ctx, r.cancel = context.WithCancelCause(l.reading)
	start := func() error { return r.startAll(ctx, n, from.Offsets) }
	if from.Group != "" {
		start = func() error { return r.join(from.Group) }
	}
	if err := start(); err != nil {
		r.cancel(err)
		r.wg.Wait()
		return nil, err
	}
	if !l.onClose(r, func() { _ = r.Close() }) {
		_ = r.Close()
		return nil, oslc.E(opOpen, errClosed, oslc.Unavailable)
	}
	return r, nil
}

// fetched is what one fetch brought, on its way to Next.
type fetched struct {
	partition int32
	records   []record
	end       int64
	gen       *generation // nil without a group
	err       error
	final     bool // err ends the reader, whatever became of gen
}

// A reader follows the partitions of a topic, each by a goroutine that reads one
// fetch ahead.
type reader struct {
	log    *Log
	topic  string
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	once   sync.Once

	out     chan fetched
	current fetched // what Next takes from; only Next uses it
	passed  []int64 // per partition, the offset after what Next went by
	failed  error

	group *membership // nil without a group
}

var errReaderClosed = errors.New("reader is closed")

// startAll starts to follow every partition at its place.
func (r *reader) startAll(ctx context.Context, n int, offsets []int64) error {
	have, err := r.log.bounds(ctx, opOpen, r.topic, n)
	if err != nil {
		return err
	}
	for p, offset := range offsets {
		var b bounds // a partition that is not there ends at 0
		if p < n {
			b = have[p]
		}
		if offset < b.first || offset > b.end {
			return oslc.Errorf(opOpen, oslc.Gone, "topic %s, partition %d: offset %d is not there, want %d to %d",
				r.topic, p, offset, b.first, b.end)
		}
	}
	for p := range n {
		f := fetcher{log: r.log, topic: r.topic, partition: p, next: have[p].first}
		if p < len(offsets) {
			f.next = offsets[p]
		}
		r.wg.Go(func() { r.follow(r.ctx, f, nil, p >= len(offsets)) })
	}
	r.wg.Go(func() { r.watch(n) })
	return nil
}

// watch follows partitions that are added later, from their beginning.
func (r *reader) watch(n int) {
	ticker := time.NewTicker(watchPartitions)
	defer ticker.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-ticker.C:
		}
		found, err := r.log.client.Metadata(r.ctx, &kafka.MetadataRequest{Topics: []string{r.topic}})
		if err != nil || len(found.Topics) != 1 || found.Topics[0].Error != nil {
			continue
		}
		for ; n < len(found.Topics[0].Partitions); n++ {
			f := fetcher{log: r.log, topic: r.topic, partition: n}
			r.wg.Go(func() { r.follow(r.ctx, f, nil, true) })
		}
	}
}

// follow fetches until ctx ends and hands everything to Next. fromStart says that
// the reader wants the oldest record there is: until one was read, it does not
// matter that retention took the place away.
func (r *reader) follow(ctx context.Context, f fetcher, gen *generation, fromStart bool) {
	for {
		var records []record
		var end int64
		missing := absence{limit: r.log.missing}
		err := r.log.retry(ctx, opNext, func(ctx context.Context) (err error) {
			records, end, err = f.fetch(ctx)
			if fromStart && errors.Is(err, kafka.OffsetOutOfRange) {
				var have []bounds
				if have, err = r.log.bounds(ctx, opNext, r.topic, f.partition+1); err == nil {
					f.next = have[f.partition].first
				}
			}
			return missing.check(opNext, r.topic, err)
		})
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, kafka.OffsetOutOfRange) {
			err = oslc.Errorf(opNext, oslc.Gone,
				"topic %s, partition %d: offset %d is not there any more: the topic was cut off or made anew", r.topic, f.partition, f.next)
		}
		if err == nil && len(records) == 0 {
			continue
		}
		fromStart = fromStart && len(records) == 0
		select {
		case <-ctx.Done():
			return
		case r.out <- fetched{partition: int32(f.partition), records: records, end: end, gen: gen, err: err}:
		}
		if err != nil {
			return
		}
	}
}

// Next implements bus.Reader.
func (r *reader) Next(ctx context.Context) (bus.Delivery, error) {
	for {
		if err := r.ended(ctx); err != nil {
			return bus.Delivery{}, err
		}
		if d, ok := r.take(); ok {
			return d, nil
		}
		select {
		case <-ctx.Done():
		case <-r.ctx.Done():
		case r.current = <-r.out:
			if c := &r.current; c.err != nil && (c.final || r.group.current(c.gen)) {
				r.failed = c.err
			}
		}
	}
}

// ended returns why Next must not go on.
func (r *reader) ended(ctx context.Context) error {
	switch {
	case r.ctx.Err() != nil:
		return r.gone(opNext)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return r.failed
}

// gone says why the reader ended: it was closed, or its log was.
func (r *reader) gone(op string) error {
	return oslc.E(op, context.Cause(r.ctx), oslc.Unavailable)
}

// take returns the next message of what was fetched.
func (r *reader) take() (bus.Delivery, bool) {
	c := &r.current
	for len(c.records) > 0 {
		rec := &c.records[0]
		c.records = c.records[1:]
		r.pass(c.partition, rec.offset+1)
		if rec.own.marker {
			continue
		}
		d := bus.Delivery{Message: rec.Message, Partition: c.partition, Offset: rec.offset, End: max(c.end, rec.offset+1)}
		if !r.group.deliver(c.gen, d) {
			c.records = nil // of a generation that has ended: it comes again
			break
		}
		return d, true
	}
	return bus.Delivery{}, false
}

func (r *reader) pass(partition int32, next int64) {
	for len(r.passed) <= int(partition) {
		r.passed = append(r.passed, 0)
	}
	r.passed[partition] = next
}

// Passed implements bus.Passer.
func (r *reader) Passed() []int64 { return slices.Clone(r.passed) }

// Commit implements bus.Reader.
func (r *reader) Commit(ctx context.Context, d bus.Delivery) error {
	if r.ctx.Err() != nil {
		return r.gone(opCommit)
	}
	if r.group == nil {
		return nil
	}
	ctx, leave, err := r.log.enter(ctx, opCommit, false)
	if err != nil {
		return err
	}
	defer leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.group.commit(d)
}

// Close ends the reader, and its membership in a group.
func (r *reader) Close() error {
	r.once.Do(func() {
		r.log.forget(r)
		r.cancel(errReaderClosed)
		if r.group != nil {
			r.group.leave()
		}
		r.wg.Wait()
	})
	return nil
}
