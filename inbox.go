package oslcbus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
)

// An inbox is the adapters.Inbox of a connection: a topic of its own, which every
// replica writes under its own name, and the one that has the source reads.
type inbox struct {
	e     *Engine
	name  string // of the connection
	topic string

	mu  sync.Mutex
	pub bus.Publisher
}

// InboxTopic returns the topic for what tools send to a connection whose events are
// on topic.
func InboxTopic(topic string) string { return topic + ".inbox" }

// deliveryType is the ce_type of a delivery. Its header fields follow headerSent.
const (
	deliveryType = "io.github.oslcbus.delivery"
	headerSent   = "oslcbus_sent_"
)

const (
	// inboxWithin bounds how long the log may take: tools wait for ten seconds.
	inboxWithin = 8 * time.Second
	// inboxAgain is how long a tool is asked to wait when the log is away.
	inboxAgain = 5 * time.Second
)

// hookBody is how long a delivery may take to come in.
const hookBody = 30 * time.Second

// Put implements adapters.Inbox.
func (b *inbox) Put(ctx context.Context, batch ...adapters.Delivery) error {
	const op = "oslcbus.inbox"
	now := time.Now().UTC()
	var records []bus.Record
	for _, d := range batch {
		rec := b.record(d, now)
		size := len(rec.Value)
		for _, f := range rec.Header {
			size += len(f.Name) + len(f.Value)
		}
		if limit := b.e.eventLimit(); size > limit {
			return oslc.E(op, &http.MaxBytesError{Limit: int64(limit)}, oslc.Invalid)
		}
		records = append(records, rec)
	}
	ctx, sp := b.e.tracer.receive(ctx, b.name, len(batch))
	err := b.append(ctx, records)
	sp.end(err)
	if err != nil {
		return &oslc.Error{Op: op, Kind: oslc.Unavailable, RetryAfter: inboxAgain, Err: fmt.Errorf("the log is away, send it again: %w", err)}
	}
	return nil
}

func (b *inbox) record(d adapters.Delivery, now time.Time) bus.Record {
	id := d.ID
	if id == "" {
		id = rand.Text()
	}
	m := bus.Message{Key: b.name, Value: d.Body} // one key: one partition, so one order
	m.Header = bus.Header{
		{Name: bus.HeaderSpecVersion, Value: "1.0"},
		{Name: bus.HeaderID, Value: oslc.NewID(b.name, "delivery", id)},
		{Name: bus.HeaderSource, Value: oslc.ProviderURI(b.e.cfg.BaseURL, b.name) + "#hook"},
		{Name: bus.HeaderType, Value: deliveryType},
		{Name: bus.HeaderTime, Value: rdf.FormatTime(now)},
		{Name: bus.HeaderContentType, Value: "application/json"},
	}
	for name, value := range d.Header {
		m.Header.Set(headerSent+name, value)
	}
	return bus.Record{Topic: b.topic, Message: m, Cursor: []byte("put")}
}

func (b *inbox) append(ctx context.Context, records []bus.Record) error {
	// It goes on when the tool gives up, within bounds: what it does not hear of it
	// sends again, and that is known then.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), inboxWithin)
	defer cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error
	if b.pub == nil {
		if b.pub, err = b.e.log.Own(ctx, "inbox."+b.name+"."+b.e.asker.instance, b.topic); err != nil {
			b.pub = nil
			return err
		}
	}
	if err := b.pub.Append(ctx, records...); err != nil {
		return errors.Join(err, b.drop())
	}
	return nil
}

// drop gives the publisher up; the next delivery owns its source anew.
func (b *inbox) drop() error {
	pub := b.pub
	b.pub = nil
	return pub.Close()
}

func (b *inbox) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pub == nil {
		return nil
	}
	return b.drop()
}

// inboxPlace is the cursor of an inbox: per partition the offset to go on at, and
// the id of the record before it, by which a topic that was made anew is known.
type inboxPlace []inboxPartition

type inboxPartition struct {
	Next int64  `json:"next"`
	Last string `json:"last,omitempty"`
}

func (p inboxPlace) at(partition int32) inboxPartition {
	if int(partition) < len(p) {
		return p[partition]
	}
	return inboxPartition{}
}

const (
	// inboxRemembers is how many deliveries are known when they come again.
	inboxRemembers = 10_000
	// inboxBatch and inboxIdle bound what is delivered at once.
	inboxBatch = 64
	inboxIdle  = 3 * time.Millisecond
	// inboxQuiet is after how long without a record it is looked whether the end is
	// reached: the last records may be of the kind that a driver keeps to itself.
	// After so many times the topic counts as read, whatever it said it has.
	inboxQuiet  = 200 * time.Millisecond
	inboxQuiets = 10
)

// Read implements adapters.Inbox.
func (b *inbox) Read(ctx context.Context, after adapters.Cursor, deliver func([]adapters.Delivery) error) error {
	const op = "oslcbus.inbox"
	r := &inboxRun{inbox: b, deliver: deliver, seen: map[string]bool{}}
	if after != nil {
		if err := json.Unmarshal(after, &r.from); err != nil || len(r.from) == 0 {
			return oslc.Errorf(op, oslc.Gone, "the cursor is of no inbox")
		}
	}
	err := r.run(ctx)
	if r.failed != nil {
		return r.failed // as it came
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return oslc.E(op, err)
}

type inboxRun struct {
	*inbox
	deliver func([]adapters.Delivery) error
	failed  error
	from    inboxPlace
	now     inboxPlace
	first   bool // the oldest record is where reading began
	met     map[int32]bool
	seen    map[string]bool
	recent  []string // the ids in seen, oldest first
}

func (r *inboxRun) open(ctx context.Context) (bus.Reader, error) {
	offsets := make([]int64, len(r.from))
	for i, p := range r.from {
		offsets[i] = max(0, p.Next-inboxRemembers)
	}
	rd, err := r.e.log.Open(ctx, r.topic, bus.From{Offsets: offsets})
	if errors.Is(err, oslc.Gone) {
		r.first = true
		rd, err = r.e.log.Open(ctx, r.topic, bus.From{})
	}
	return rd, err
}

func (r *inboxRun) run(ctx context.Context) error {
	// A topic that nobody has written to is made, so that it can be read.
	if err := r.own(ctx); err != nil {
		return err
	}
	rd, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer rd.Close()
	r.met = map[int32]bool{}
	r.now = append(inboxPlace(nil), r.from...)
	var end []int64
	if ender, ok := r.e.log.(bus.Ender); ok {
		if end, err = ender.End(ctx, r.topic); err != nil {
			return err
		}
	}
	for i, p := range r.from {
		if i < len(end) && end[i] < p.Next {
			return oslc.Errorf("oslcbus.inbox", oslc.Gone, "topic %s ends at offset %d, the source has read up to %d: the topic was made anew", r.topic, end[i], p.Next)
		}
	}
	reached := make([]int64, len(end))
	caught, quiets := false, 0
	for {
		if passer, ok := rd.(bus.Passer); ok && !caught {
			for i, n := range passer.Passed() {
				if i < len(reached) {
					reached[i] = max(reached[i], n)
				}
			}
		}
		if !caught && !behind(reached, end) {
			caught = true
			if r.failed = r.deliver(nil); r.failed != nil {
				return r.failed
			}
		}
		next, stop := ctx, context.CancelFunc(func() {})
		if !caught {
			next, stop = context.WithTimeout(ctx, inboxQuiet)
		}
		d, err := rd.Next(next)
		stop()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			if quiets++; quiets >= inboxQuiets {
				copy(reached, end)
			}
			continue
		}
		if err != nil {
			return err
		}
		var batch []adapters.Delivery
		idle, stop := context.WithTimeout(ctx, inboxIdle)
		for n := 0; err == nil; {
			if int(d.Partition) < len(reached) {
				reached[d.Partition] = d.Offset + 1
			}
			if batch, err = r.take(batch, d); err != nil {
				stop()
				return err
			}
			if n++; n >= inboxBatch || d.Offset+1 >= d.End {
				break
			}
			d, err = rd.Next(idle)
		}
		stop()
		if len(batch) > 0 {
			if r.failed = r.deliver(batch); r.failed != nil {
				return r.failed
			}
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

func behind(reached, end []int64) bool {
	for i := range end {
		if reached[i] < end[i] {
			return true
		}
	}
	return false
}

// own makes the topic.
func (r *inboxRun) own(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pub != nil {
		return nil
	}
	pub, err := r.e.log.Own(ctx, "inbox."+r.name+"."+r.e.asker.instance, r.topic)
	if err == nil {
		r.pub = pub
	}
	return err
}

// take adds a record to a batch, unless it came before the place or was there
// already.
func (r *inboxRun) take(batch []adapters.Delivery, d bus.Delivery) ([]adapters.Delivery, error) {
	at := r.from.at(d.Partition)
	first := !r.met[d.Partition]
	r.met[d.Partition] = true
	switch {
	case d.Offset == at.Next-1 && d.ID() != at.Last:
		return nil, oslc.Errorf("oslcbus.inbox", oslc.Gone, "topic %s has %q at offset %d, the source has read %q there: the topic was made anew", r.topic, d.ID(), d.Offset, at.Last)
	case first && r.first && at.Next > 0 && d.Offset > at.Next:
		return nil, oslc.Errorf("oslcbus.inbox", oslc.Gone, "topic %s begins at offset %d, the source has read up to %d", r.topic, d.Offset, at.Next)
	case bus.IsMarker(d.Message):
		return batch, nil
	}
	again := r.seen[d.ID()]
	if !again {
		if len(r.recent) >= inboxRemembers {
			delete(r.seen, r.recent[0])
			r.recent = r.recent[1:]
		}
		r.seen[d.ID()] = true
		r.recent = append(r.recent, d.ID())
	}
	if d.Offset < at.Next {
		return batch, nil
	}
	for len(r.now) <= int(d.Partition) {
		r.now = append(r.now, inboxPartition{})
	}
	r.now[d.Partition] = inboxPartition{d.Offset + 1, d.ID()}
	if again {
		r.e.metrics.noticed.WithLabelValues(r.name, "repeated_delivery").Inc()
		return batch, nil
	}
	out := adapters.Delivery{ID: d.ID(), Header: map[string]string{}, Body: d.Value}
	out.Time, _ = rdf.Typed(d.Header.Get(bus.HeaderTime), rdf.XSDDateTime).Time()
	for _, f := range d.Header {
		if name, ok := strings.CutPrefix(f.Name, headerSent); ok {
			out.Header[name] = f.Value
		}
	}
	cursor, err := json.Marshal(r.now)
	if err != nil {
		return nil, err
	}
	out.At = cursor
	return append(batch, out), nil
}

// hook hands a delivery to the connection that it is for.
func (e *Engine) hook(w http.ResponseWriter, r *http.Request) error {
	name := param(r, "connection")
	for _, p := range e.connections() {
		if p.name == name && p.adapter.Hook != nil {
			if r.Header.Get("Content-Encoding") != "" && r.Header.Get("Content-Encoding") != "identity" {
				return server.Statusf(http.StatusUnsupportedMediaType, "a body with a Content-Encoding is not read here")
			}
			// Nobody has shown yet who he is: a body that comes drop by drop is not waited for.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(hookBody)) // where it cannot be, there is no line
			return p.adapter.Hook(w, r)
		}
	}
	return oslc.Errorf("http", oslc.NotFound, "no connection %q takes deliveries", name)
}
