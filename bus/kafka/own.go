package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

const opOwn = "kafka.own"

// ownTries is how often Own starts over when another owner of the same source came
// in between. More means that two programs fight without end.
const ownTries = 20

// Own implements bus.Log. The source's name, after the prefix, becomes a
// transactional id. An earlier owner is shut out of the topics that are named here;
// one that was also given others can still write to those.
func (l *Log) Own(ctx context.Context, source string, topics ...string) (bus.Publisher, error) {
	ctx, leave, err := l.enter(ctx, opOwn, false)
	if err != nil {
		return nil, err
	}
	defer leave()
	if source == "" || len(source) > 1000 {
		return nil, oslc.Errorf(opOwn, oslc.Invalid, "the name of the source has %d bytes, want 1 to 1000", len(source))
	}
	if len(topics) == 0 {
		return nil, oslc.Errorf(opOwn, oslc.Invalid, "source %s is owned without a topic: its cursor has no place", source)
	}
	p := &publisher{log: l, source: source, name: []byte(source), topics: map[string]*ownedTopic{}, seed: maphash.MakeSeed()}
	for _, name := range topics {
		n, err := l.topic(ctx, opOwn, name, l.eventTopic())
		if err != nil {
			return nil, err
		}
		t := &ownedTopic{limit: l.batchLimit(ctx, name)}
		for id := range n {
			t.parts = append(t.parts, &partition{topic: name, id: id, limit: t.limit, enc: encoder{codec: l.codec}})
		}
		p.topics[name] = t
	}
	for range ownTries {
		if err = p.fence(ctx); !errors.Is(err, oslc.Conflict) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if err := p.resume(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// batchLimit is how large a record batch the topic takes.
func (l *Log) batchLimit(ctx context.Context, topic string) int {
	ctx, cancel := context.WithTimeout(ctx, l.attempt)
	defer cancel()
	limit := l.cfg.MaxMessageBytes
	res, err := l.client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{maxMessageBytes},
		}},
	})
	if err != nil {
		return limit // not everybody may ask
	}
	for _, r := range res.Resources {
		for _, c := range r.ConfigEntries {
			if n, err := strconv.Atoi(c.ConfigValue); err == nil && c.ConfigName == maxMessageBytes {
				limit = min(limit, n)
			}
		}
	}
	return limit
}

// initProducer asks the coordinator for the source's producer id with the next
// epoch. With now, the owner asks about itself: it fails with kind Conflict when
// it is no longer the newest.
func (l *Log) initProducer(ctx context.Context, op, source string, now producer) (producer, error) {
	var who producer
	err := l.retry(ctx, op, func(ctx context.Context) error {
		res, err := l.client.InitProducerID(ctx, &kafka.InitProducerIDRequest{
			TransactionalID:      l.cfg.Prefix + "." + source,
			TransactionTimeoutMs: 60_000, // must be given; no transaction is opened
			ProducerID:           int(now.id),
			ProducerEpoch:        int(now.epoch),
		})
		if err == nil {
			err = res.Error
		}
		if err != nil {
			return err
		}
		who = producer{id: int64(res.Producer.ProducerID), epoch: int16(res.Producer.ProducerEpoch)}
		return nil
	})
	return who, err
}

// fence takes the source's producer id over and appends a marker to every
// partition. From then on the broker refuses what earlier owners send.
func (p *publisher) fence(ctx context.Context) error {
	// No id and no epoch, which is what the zero values are not.
	who, err := p.log.initProducer(ctx, opOwn, p.source, producer{id: -1, epoch: -1})
	if err != nil {
		return err
	}
	p.who, p.renewed = who, p.log.opts.Now()
	m := p.marker(startedType, fmt.Sprintf("%d/%d", who.id, who.epoch))
	own := []field{{sourceHeader, p.name}}
	b := &pendingBatch{}
	for _, t := range p.topics {
		for _, part := range t.parts {
			part.sequence, part.end = 0, 0
			part.enc.reset()
			part.chunks = append([]chunk(nil), chunk{})
			part.add(&m, own, p)
			part.seal(p)
			b.parts = append(b.parts, part)
		}
	}
	return p.send(ctx, b)
}

// A trace is what a partition has of the source's newest batches.
type trace struct {
	part    *partition
	fetcher fetcher
	log     bounds
	low     int64 // what was read reaches down to here
	windows int

	records []traceRecord // ascending; none older than the newest one's floor
	below   bool          // there is an older one
}

// A traceRecord is one record of a batch of the source.
type traceRecord struct {
	number, floor int64
	index, size   int
	id            string
	cursor, after []byte
	first         bool // of its batch in its partition
	time          time.Time
}

// The first window that is read back holds a normal last batch. Later ones grow,
// so that a source that wrote long ago is found in few steps.
const (
	firstWindow = 1000
	lastWindow  = 256_000
)

// resume reads the partitions back from the markers and finds where the source
// stands.
func (p *publisher) resume(ctx context.Context) error {
	var traces []*trace
	for name, t := range p.topics {
		have, err := p.log.bounds(ctx, opOwn, name, len(t.parts))
		if err != nil {
			return err
		}
		for i, part := range t.parts {
			low := part.end - 1 // the marker
			traces = append(traces, &trace{
				part:    part,
				fetcher: fetcher{log: p.log, topic: name, partition: part.id},
				log:     bounds{first: have[i].first, end: low},
				low:     low,
			})
		}
	}
	// First the newest record in each partition, then what belongs to the newest
	// batch of all and to those from its floor on.
	if err := each(traces, func(t *trace) error {
		for len(t.records) == 0 && t.low > t.log.first {
			if err := t.back(ctx, p.source); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	var newest traceRecord
	for _, t := range traces {
		if n := len(t.records); n > 0 && t.records[n-1].number > newest.number {
			newest = t.records[n-1]
		}
	}
	whole := func() bool {
		n := 0
		for _, t := range traces {
			for i := range t.records {
				if t.records[i].number == newest.number {
					n++
				}
			}
		}
		return n == newest.size && newest.floor == newest.number
	}
	if newest.number > 0 && !whole() {
		if err := each(traces, func(t *trace) error {
			for !t.below && t.low > t.log.first {
				if n := len(t.records); n > 0 && t.records[n-1].number < newest.floor {
					break
				}
				if err := t.back(ctx, p.source); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	p.settle(traces, newest)
	return p.shorten(ctx, traces, newest)
}

// each calls fn for every trace, a few at a time.
func each(traces []*trace, fn func(*trace) error) error {
	errs := make([]error, len(traces))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i, t := range traces {
		wg.Go(func() {
			slots <- struct{}{}
			errs[i] = fn(t)
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// back reads the window below what was read.
func (t *trace) back(ctx context.Context, source string) error {
	size := int64(firstWindow)
	for range t.windows {
		size = min(4*size, lastWindow)
	}
	t.windows++
	high := t.low
	t.low = max(t.log.first, high-size)
	t.fetcher.next = t.low
	var found []traceRecord
	for t.fetcher.next < high {
		var records []record
		err := t.fetcher.log.retry(ctx, opOwn, func(ctx context.Context) (err error) {
			records, _, err = t.fetcher.fetch(ctx)
			if errors.Is(err, kafka.OffsetOutOfRange) {
				// Retention took the beginning away meanwhile.
				var have []bounds
				if have, err = t.fetcher.log.bounds(ctx, opOwn, t.part.topic, t.part.id+1); err == nil {
					t.log.first = have[t.part.id].first
					t.fetcher.next = max(t.fetcher.next, t.log.first)
					t.low = max(t.low, min(t.log.first, high))
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		for i := range records {
			r := &records[i]
			if r.offset >= high || r.own.source != source || r.own.batch == "" {
				continue
			}
			tr, err := r.trace()
			if err != nil {
				return oslc.E(opOwn, fmt.Errorf("offset %d of %s/%d: %w", r.offset, t.part.topic, t.part.id, err))
			}
			found = append(found, tr)
		}
	}
	t.records = append(found, t.records...)
	if n := len(t.records); n > 0 {
		floor := t.records[n-1].floor
		for i := n - 1; i >= 0; i-- {
			if t.records[i].number < floor {
				t.below = true
				t.records = t.records[i+1:]
				break
			}
		}
	}
	return nil
}

// trace reads our headers.
func (r *record) trace() (traceRecord, error) {
	out := traceRecord{cursor: r.own.cursor, after: r.own.after, first: r.own.first, id: r.ID(), time: r.time}
	if _, err := fmt.Sscanf(r.own.batch, "%d.%d/%d", &out.number, &out.index, &out.size); err != nil {
		return out, fmt.Errorf("header %s %q: %w", batchHeaderN, r.own.batch, err)
	}
	out.floor = out.number
	if r.own.floor != "" {
		floor, err := strconv.ParseInt(r.own.floor, 10, 64)
		if err != nil {
			return out, fmt.Errorf("header %s: %w", floorHeader, err)
		}
		out.floor = floor
	}
	if r.own.marker {
		out.id = ""
	}
	return out, nil
}

// settle finds the cursor: that of the last record before the first gap of the
// newest batch, or the one before the batch. Ids that lie behind the gap are
// remembered, and those of older batches that the newest one still had to.
func (p *publisher) settle(traces []*trace, newest traceRecord) {
	p.number = newest.number
	p.written = newest.time
	if newest.number == 0 {
		return
	}
	byIndex := map[int]*traceRecord{}
	ids := map[string]bool{}
	written, cut := 0, 0
	for _, t := range traces {
		met := false
		for i := range t.records {
			r := &t.records[i]
			if r.number < newest.floor {
				continue
			}
			written++
			if r.number == newest.number {
				byIndex[r.index] = r
				if r.first && len(r.after) > 0 {
					p.cursor = bytes.Clone(r.after)
				}
				if !met && !r.first && r.size > 1 {
					// The beginning of the batch in this partition was there and has been
					// cut off by retention.
					cut = max(cut, r.index)
				}
				met = true
			} else if r.id != "" {
				ids[r.id] = true
			}
		}
	}
	gap, at := 0, -1
	for ; gap < cut || byIndex[gap] != nil; gap++ {
		if r := byIndex[gap]; r == nil {
			continue
		} else if c := r.cursor; c != nil {
			p.cursor, at = bytes.Clone(c), gap
		}
	}
	if gap < newest.size {
		p.log.logger.Info("resuming inside a batch that an earlier owner did not finish",
			"source", p.source, "batch", newest.number, "records", len(byIndex), "of", newest.size)
		for i, r := range byIndex {
			if i > at && r.id != "" {
				ids[r.id] = true
			}
		}
	}
	if len(ids) > 0 {
		p.skip = &skipSet{ids: ids, floor: newest.floor, patience: 4*written + 4*newest.size + 1000}
	}
}

// shorten writes the cursor once more where the next owner would have to look for
// it long, or where retention is about to take it away.
func (p *publisher) shorten(ctx context.Context, traces []*trace, newest traceRecord) error {
	if p.skip != nil {
		return nil // the records of the batch that has the gap must stay the newest
	}
	old := newest.number > 0 && p.log.opts.Now().Sub(newest.time) >= p.log.cfg.CursorEvery
	for _, t := range traces {
		if t.windows < 2 && !old {
			continue
		}
		old = false
		p.beginCursor(t.part)
		if err := p.sendCursor(ctx); err != nil {
			return err
		}
	}
	return nil
}

// partitionOf places a key as the Java client does, so that other programs that
// write keys agree with us.
func partitionOf(key string, partitions int) int {
	if partitions == 1 {
		return 0
	}
	return int(murmur2(key)&0x7fffffff) % partitions
}

// murmur2 is org.apache.kafka.common.utils.Utils.murmur2.
func murmur2(s string) uint32 {
	const (
		seed = uint32(0x9747b28c)
		m    = uint32(0x5bd1e995)
		r    = 24
	)
	h := seed ^ uint32(len(s))
	for ; len(s) >= 4; s = s[4:] {
		k := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	switch len(s) {
	case 3:
		h ^= uint32(s[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(s[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(s[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
