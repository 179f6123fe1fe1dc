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
	"github.com/segmentio/kafka-go/protocol"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

const (
	opAppend = "kafka.append"

	// maxSilence is how long an owner trusts the broker to know it. Brokers forget
	// a producer after a day without a batch (producer.id.expiration.ms), and its
	// epoch with it, so an owner that was silent for longer asks before it writes.
	maxSilence = 12 * time.Hour
)

// A publisher is one owner of a source.
type publisher struct {
	log    *Log
	source string
	name   []byte // the source, as it goes into headers
	topics map[string]*ownedTopic

	who     producer
	renewed time.Time // when the coordinator last confirmed who

	number  int64     // the newest batch of the source on the log
	cursor  []byte    // where to resume; ahead of the log while kept is set
	kept    bool      // the cursor has moved and is not on the log
	written time.Time // when a cursor was last written
	skip    *skipSet
	pending *pendingBatch
	unsent  *pendingBatch // a cursor record that must arrive before the next batch
	seed    maphash.Seed

	mu     sync.Mutex // guards closed, which Close of the log's user may race with
	closed bool
	broken error // set once nothing more can be appended
}

// An ownedTopic is a topic that a publisher writes.
type ownedTopic struct {
	parts []*partition
	limit int // of a record batch, in bytes
}

// A partition is one that a publisher writes.
type partition struct {
	topic    string
	id       int
	limit    int
	sequence int32
	end      int64 // the offset after the newest record that is known there
	enc      encoder
	chunks   []chunk
}

// A chunk is one record batch of Kafka on its way.
type chunk struct {
	raw     []byte
	records int32
	ids     []string
	tried   bool // an attempt was given up: something may still read raw
	unknown bool // it may be on the log
}

// A pendingBatch is a batch that is not known to be on the log as a whole.
type pendingBatch struct {
	mark   uint64
	number int64
	cursor []byte // after the batch
	parts  []*partition
	skip   *skipSet // after the batch
	wrote  []string // ids that are on the log
}

// A skipSet holds ids that are on the log behind a gap: the source will emit them
// again, and they must not be written again.
type skipSet struct {
	ids   map[string]bool
	floor int64 // the oldest batch that has one of them
	// patience is how many records may still be written before ids that did not
	// come are given up.
	patience int
}

// Cursor implements bus.Publisher.
func (p *publisher) Cursor() []byte { return p.cursor }

// Append implements bus.Publisher.
func (p *publisher) Append(ctx context.Context, batch ...bus.Record) error {
	ctx, leave, err := p.log.enter(ctx, opAppend, false)
	if err != nil {
		return err
	}
	defer leave()
	if err := p.usable(); err != nil {
		return err
	}
	if len(batch) == 0 {
		return nil
	}
	if err := p.sendCursor(ctx); err != nil {
		return err
	}
	mark := p.fingerprint(batch)
	switch {
	case p.pending != nil && p.pending.mark != mark:
		return oslc.Errorf(opAppend, oslc.Invalid,
			"an append before this one ended with an error: repeat its batch, or own the source anew")
	case ctx.Err() != nil:
		return p.log.giveUp(ctx, opAppend, context.Cause(ctx))
	case p.pending == nil:
		if err := p.renew(ctx); err != nil {
			return err
		}
		if err := p.check(batch); err != nil {
			return err
		}
		p.begin(batch, mark)
	}
	if err := p.flush(ctx); err != nil {
		return err
	}
	if p.cursor != nil && p.log.opts.Now().Sub(p.written) >= p.log.cfg.CursorEvery {
		p.beginCursor(p.anyPartition())
		// The batch is on the log. That its cursor is not is no reason to have it
		// repeated; the next call sends it first.
		if err := p.sendCursor(ctx); err != nil && p.broken != nil {
			return err
		}
	}
	return nil
}

// Close implements bus.Publisher. It writes a cursor that moved alone.
func (p *publisher) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if closed || p.broken != nil || p.pending != nil || !p.kept && p.unsent == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	ctx, leave, err := p.log.enter(ctx, "kafka.close", false)
	if err != nil {
		return err
	}
	defer leave()
	if p.unsent == nil {
		p.beginCursor(p.anyPartition())
	}
	return p.sendCursor(ctx)
}

func (p *publisher) usable() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return oslc.Errorf(opAppend, oslc.Unavailable, "publisher of %s is closed", p.source)
	}
	return p.broken
}

func (p *publisher) anyPartition() *partition {
	var first *partition
	for name, t := range p.topics {
		if first == nil || name < first.topic {
			first = t.parts[0]
		}
	}
	return first
}

// fingerprint tells a repeated batch from another one.
func (p *publisher) fingerprint(batch []bus.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	for i := range batch {
		r := &batch[i]
		for _, s := range []string{r.Topic, r.Key, r.ID()} {
			_, _ = h.WriteString(s)
			_ = h.WriteByte(0)
		}
		_, _ = h.Write(r.Cursor)
		_, _ = h.WriteString(strconv.Itoa(len(r.Value)))
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// check refuses a batch before any of it is written.
func (p *publisher) check(batch []bus.Record) error {
	for i := range batch {
		r := &batch[i]
		if r.Topic == "" {
			continue
		}
		t := p.topics[r.Topic]
		if t == nil {
			return oslc.Errorf(opAppend, oslc.Invalid, "topic %s was not named when %s was owned", r.Topic, p.source)
		}
		// Our own headers are bounded by what they hold.
		size := batchHeader + 400 + len(p.source) + len(r.Cursor) + len(p.cursor) + recordSize(0, &r.Message, nil)
		if size > t.limit {
			return oslc.Errorf(opAppend, oslc.Invalid, "message %s of %d bytes is larger than the %d that topic %s takes",
				r.ID(), size, t.limit, r.Topic)
		}
	}
	return nil
}

// A placed record is one of a batch that has to be written.
type placed struct {
	record *bus.Record
	part   *partition
	cursor []byte
}

// begin encodes the batch for every partition.
func (p *publisher) begin(batch []bus.Record, mark uint64) {
	b := &pendingBatch{mark: mark, number: p.number + 1, cursor: p.cursor, skip: p.skip.clone()}
	p.pending = b
	after := p.cursor
	var out []placed
	for i := range batch {
		r := &batch[i]
		if r.Topic != "" && !b.skip.drop(r.ID()) {
			parts := p.topics[r.Topic].parts
			out = append(out, placed{record: r, part: parts[partitionOf(r.Key, len(parts))]})
		}
		if r.Cursor == nil {
			continue
		}
		b.cursor = r.Cursor
		// A source may give two records of one change the same cursor. Resuming
		// after the first of them would lose the second.
		if !cursorComesAgain(batch[i+1:], r.Cursor) {
			if len(out) > 0 {
				out[len(out)-1].cursor = r.Cursor
			} else {
				after = r.Cursor
			}
		}
	}
	b.cursor = bytes.Clone(b.cursor) // the caller's memory is the caller's again
	b.skip = b.skip.wrote(len(out))
	if len(out) == 0 {
		return
	}
	// Also the batch that uses the last of the ids up needs the floor: it may end up
	// on the log in parts, and its ids be emitted once more.
	floor := p.skip.floorHeader()
	head := strconv.FormatInt(b.number, 10) + "."
	size := "/" + strconv.Itoa(len(out))
	own := make([]field, 0, 5)
	name := make([]byte, 0, 40)
	for i := range out {
		o := &out[i]
		part := o.part
		first := len(part.chunks) == 0 && part.enc.records == 0
		if first {
			b.parts = append(b.parts, part)
			part.enc.reset()
			part.chunks = append(part.chunks, chunk{})
		}
		name = append(strconv.AppendInt(append(name[:0], head...), int64(i), 10), size...)
		own = append(own[:0], field{sourceHeader, p.name}, field{batchHeaderN, name})
		if o.cursor != nil {
			own = append(own, field{cursorHeader, o.cursor})
		}
		if first {
			own = append(own, field{afterHeader, after})
		}
		if floor != nil {
			own = append(own, field{floorHeader, floor})
		}
		part.add(&o.record.Message, own, p)
	}
	for _, part := range b.parts {
		part.seal(p)
	}
}

func cursorComesAgain(rest []bus.Record, cursor []byte) bool {
	for i := range rest {
		if rest[i].Cursor != nil {
			return bytes.Equal(rest[i].Cursor, cursor)
		}
	}
	return false
}

// add puts a record into the last chunk, or into a new one when that is full.
func (part *partition) add(m *bus.Message, own []field, p *publisher) {
	n := recordSize(part.enc.records, m, own)
	if part.enc.records > 0 && part.enc.size()+n+5 > part.limit {
		part.seal(p)
		part.enc.reset()
		part.chunks = append(part.chunks, chunk{})
		n = recordSize(0, m, own)
	}
	part.enc.add(m, own, n)
	last := &part.chunks[len(part.chunks)-1]
	last.records = part.enc.records
	if id := m.ID(); id != "" {
		last.ids = append(last.ids, id)
	}
}

// seal gives the last chunk its place in the sequence.
func (part *partition) seal(p *publisher) {
	sequence := part.sequence
	for i := range part.chunks[:len(part.chunks)-1] {
		sequence = nextSequence(sequence, part.chunks[i].records)
	}
	part.chunks[len(part.chunks)-1].raw = part.enc.finish(p.who, sequence, time.Now().UnixMilli())
}

// flush sends what is pending and, once all of it is on the log, moves on.
func (p *publisher) flush(ctx context.Context) error {
	b := p.pending
	if err := p.send(ctx, b); err != nil {
		switch kind := oslc.KindOf(err); {
		case kind == oslc.Invalid && b.unknown():
			// Another part may be on the log or not. Its place in the sequence can't be
			// given to other records: the broker would take them for a repetition.
			p.broken = oslc.E(opAppend, fmt.Errorf("own %s anew, a part of the batch may have arrived: %w", p.source, err), oslc.Conflict)
			return p.broken
		case kind == oslc.Invalid:
			p.abandon(b)
		case !kind.Retryable():
			p.broken = err
		}
		return err
	}
	if len(b.parts) > 0 {
		p.number = b.number
		p.written = p.log.opts.Now()
		p.kept = false
	} else if b.cursor != nil && !bytes.Equal(b.cursor, p.cursor) {
		p.kept = true
	}
	p.cursor, p.skip, p.pending = b.cursor, b.skip, nil
	return nil
}

// unknown reports whether there is a chunk that may or may not be on the log.
func (b *pendingBatch) unknown() bool {
	for _, part := range b.parts {
		for i := range part.chunks {
			if part.chunks[i].unknown {
				return true
			}
		}
	}
	return false
}

// abandon gives a batch up that the cluster refused. What is on the log of it has
// a gap behind it, as after a take-over.
func (p *publisher) abandon(b *pendingBatch) {
	for _, part := range b.parts {
		part.chunks = nil
		part.enc.records = 0
	}
	p.pending = nil
	if len(b.wrote) == 0 {
		return
	}
	p.number = b.number
	skip := p.skip.clone()
	if skip == nil {
		skip = &skipSet{ids: map[string]bool{}, floor: b.number}
	}
	for _, id := range b.wrote {
		skip.ids[id] = true
	}
	skip.patience = max(skip.patience, 4*len(b.wrote)+1000)
	p.skip = skip
}

// send sends the chunks of every partition, the partitions side by side.
func (p *publisher) send(ctx context.Context, b *pendingBatch) error {
	var mu sync.Mutex
	one := func(part *partition) error {
		for len(part.chunks) > 0 {
			c := &part.chunks[0]
			if err := p.produce(ctx, part, c); err != nil {
				return err
			}
			mu.Lock()
			b.wrote = append(b.wrote, c.ids...)
			mu.Unlock()
			if !c.tried {
				part.enc.recycle(c.raw)
			}
			part.chunks = part.chunks[1:]
		}
		part.chunks = part.chunks[:0]
		part.enc.records = 0
		return nil
	}
	if len(b.parts) == 1 {
		return one(b.parts[0])
	}
	errs := make([]error, len(b.parts))
	var wg sync.WaitGroup
	for i, part := range b.parts {
		wg.Go(func() { errs[i] = one(part) })
	}
	wg.Wait()
	// An error for good says more than one that time may heal.
	var first error
	for _, err := range errs {
		if err != nil && (first == nil || oslc.KindOf(first).Retryable()) {
			first = err
		}
	}
	return first
}

// produce sends one chunk, the same bytes until the broker has acknowledged them.
func (p *publisher) produce(ctx context.Context, part *partition, c *chunk) error {
	missing := absence{limit: p.log.missing}
	return p.log.retry(ctx, opAppend, func(ctx context.Context) error {
		if p.log.opts.Now().Sub(p.renewed) > 2*maxSilence {
			return oslc.Errorf(opAppend, oslc.Conflict,
				"a batch of %s was under way for more than %v: own the source anew to see whether it arrived", p.source, maxSilence)
		}
		res, err := p.log.client.RawProduce(ctx, &kafka.RawProduceRequest{
			Topic:        part.topic,
			Partition:    part.id,
			RequiredAcks: kafka.RequireAll,
			RawRecords:   protocol.RawRecordSet{Reader: bytes.NewReader(c.raw)},
		})
		if err == nil {
			err = res.Error
		} else {
			c.tried = true
		}
		if kind, _ := permanent(err); err != nil && kind != oslc.Invalid {
			c.unknown = true
		}
		switch {
		case err == nil:
			if res.BaseOffset >= 0 && res.BaseOffset < part.end {
				return oslc.Errorf(opAppend, oslc.Gone,
					"topic %s was deleted and made anew: partition %d took a record at offset %d after %d",
					part.topic, part.id, res.BaseOffset, part.end-1)
			}
			part.end = max(part.end, res.BaseOffset+int64(c.records))
		case errors.Is(err, kafka.DuplicateSequenceNumber):
			// It is there; the broker remembers it as older than its last five.
		case errors.Is(err, kafka.OutOfOrderSequenceNumber), errors.Is(err, kafka.UnknownProducerId):
			if gone := p.madeAnew(ctx, part); gone != nil {
				return gone
			}
			return err
		default:
			return missing.check(opAppend, part.topic, err)
		}
		part.sequence = nextSequence(part.sequence, c.records)
		return nil
	})
}

// madeAnew returns an error when the partition ends before what was written to it.
func (p *publisher) madeAnew(ctx context.Context, part *partition) error {
	have, err := p.log.bounds(ctx, opAppend, part.topic, part.id+1)
	if err != nil || have[part.id].end >= part.end {
		return nil
	}
	return oslc.Errorf(opAppend, oslc.Gone, "topic %s was deleted and made anew: partition %d ends at offset %d and had %d",
		part.topic, part.id, have[part.id].end, part.end-1)
}

// renew asks the coordinator to confirm the ownership when it is old, and gets a
// new epoch by it (KIP-360). Two things expire in the broker: the transactional
// id, seven days after it was last asked for (transactional.id.expiration.ms), and
// what a partition knows of a producer. An owner that was frozen for so long must
// not write without asking.
func (p *publisher) renew(ctx context.Context) error {
	now := p.log.opts.Now()
	if now.Sub(p.renewed) < maxSilence {
		return nil
	}
	who, err := p.log.initProducer(ctx, opAppend, p.source, p.who)
	if err != nil {
		if !oslc.KindOf(err).Retryable() {
			p.broken = err
		}
		return err
	}
	p.who, p.renewed = who, now
	for _, t := range p.topics {
		for _, part := range t.parts {
			part.sequence = 0
		}
	}
	return nil
}

// beginCursor makes a record that has nothing but the cursor. It counts as a batch
// of one.
func (p *publisher) beginCursor(part *partition) {
	number := p.number + 1
	own := []field{
		{sourceHeader, p.name},
		{batchHeaderN, []byte(strconv.FormatInt(number, 10) + ".0/1")},
	}
	if p.cursor != nil {
		own = append(own, field{cursorHeader, p.cursor})
	}
	if floor := p.skip.floorHeader(); floor != nil {
		own = append(own, field{floorHeader, floor})
	}
	m := p.marker(cursorType, fmt.Sprintf("%d/%d/%d", p.who.id, p.who.epoch, number))
	part.enc.reset()
	part.chunks = append(part.chunks[:0], chunk{})
	part.add(&m, own, p)
	part.seal(p)
	p.unsent = &pendingBatch{number: number, parts: []*partition{part}}
}

// sendCursor sends what beginCursor made, if it is not on the log yet.
func (p *publisher) sendCursor(ctx context.Context) error {
	if p.unsent == nil {
		return nil
	}
	if err := p.send(ctx, p.unsent); err != nil {
		if !oslc.KindOf(err).Retryable() {
			p.broken = err
		}
		return err
	}
	p.number, p.written = p.unsent.number, p.log.opts.Now()
	p.kept, p.unsent = false, nil
	return nil
}

// marker is a CloudEvent about the source itself.
func (p *publisher) marker(eventType, id string) bus.Message {
	return bus.Message{
		Key:   "oslcbus:source:" + p.source,
		Value: []byte(`{"source":` + strconv.Quote(p.source) + `}`),
		Header: bus.Header{
			{Name: "ce_specversion", Value: "1.0"},
			{Name: "ce_id", Value: id},
			{Name: "ce_source", Value: "urn:oslcbus:source:" + p.source},
			{Name: "ce_type", Value: eventType},
			{Name: "ce_time", Value: p.log.opts.Now().UTC().Format(time.RFC3339Nano)},
			{Name: "content-type", Value: "application/json"},
		},
	}
}

func (s *skipSet) clone() *skipSet {
	if s == nil {
		return nil
	}
	c := &skipSet{ids: make(map[string]bool, len(s.ids)), floor: s.floor, patience: s.patience}
	for id := range s.ids {
		c.ids[id] = true
	}
	return c
}

func (s *skipSet) floorHeader() []byte {
	if s == nil {
		return nil
	}
	return strconv.AppendInt(nil, s.floor, 10)
}

// drop reports whether the message with the id is on the log.
func (s *skipSet) drop(id string) bool {
	if s == nil || id == "" || !s.ids[id] {
		return false
	}
	delete(s.ids, id)
	return true
}

// wrote returns what is left of s after n records that were not in it.
func (s *skipSet) wrote(n int) *skipSet {
	if s == nil {
		return nil
	}
	if s.patience -= n; len(s.ids) == 0 || s.patience <= 0 {
		return nil
	}
	return s
}
