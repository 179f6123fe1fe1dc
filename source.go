package oslcbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// runSource publishes what a connection's source emits.
func (e *Engine) runSource(ctx context.Context, p *provider) error {
	name := "source " + p.name
	return e.hold(ctx, name, func(ctx context.Context) error {
		ctx, end := context.WithCancelCause(ctx)
		p.interrupt.Store(&end)
		defer end(nil)
		defer p.interrupt.Store(nil)
		pub, err := e.log.Own(ctx, "source."+p.name, p.topic.Topic)
		if err != nil {
			return err
		}
		defer pub.Close()
		// The source compares with the views: they must hold what an earlier owner
		// published.
		if err := e.caughtUp(ctx, p); err != nil {
			if errors.Is(err, oslc.Gone) {
				err = errors.Join(err, compareLater(ctx, pub))
			}
			return err
		}
		from := pub.Cursor()
		if bytes.Equal(from, compareAll) {
			from = nil
		}
		lost := false // the topic, not the place in the tool's history
		emit := e.emitter(pub, p, func() { e.status.set(name, nil) })
		err = p.adapter.Source.Run(ctx, from, func(ctx context.Context, batch ...adapters.Emission) error {
			err := emit(ctx, batch...)
			lost = lost || errors.Is(err, oslc.Gone)
			return err
		})
		if lost && ctx.Err() == nil {
			// The publisher is of the topic that was: a new one can write.
			again, own := e.log.Own(ctx, "source."+p.name, p.topic.Topic)
			if own == nil {
				own = errors.Join(compareLater(ctx, again), again.Close())
			}
			return errors.Join(e.recreated(p.topic.Topic, err), own)
		}
		if errors.Is(err, oslc.Gone) && ctx.Err() == nil {
			e.logger.WarnContext(ctx, "the place in the tool's history is gone; comparing everything", "adapter", p.name, "err", err)
			e.metrics.noticed.WithLabelValues(p.name, "full_comparison").Inc()
			err = p.adapter.Source.Run(ctx, nil, emit)
		}
		if errors.Is(context.Cause(ctx), errCompareAgain) {
			return errCompareAgain
		}
		return err
	})
}

// compareAll is the cursor of a source whose topic was made anew, or that is told to look
// again: the next run that has views of the new topic compares everything. Some record may be there
// already, and has a cursor that speaks for what is gone.
var compareAll = []byte("oslcbus:compare-all")

func compareLater(ctx context.Context, pub bus.Publisher) error {
	if bytes.Equal(pub.Cursor(), compareAll) {
		return nil
	}
	return pub.Append(ctx, bus.Record{Cursor: compareAll})
}

// emitAtOnce is how many emissions are encoded before they are appended, while the
// next ones are encoded.
const emitAtOnce = 256

// An emitter is the Emit of a source.
type emitter struct {
	*Engine
	p     *provider
	pub   bus.Publisher
	works func() // called when the source shows that it follows its tool
	// The halves take turns: one is filled while the other is on its way.
	halves [2]half
	turn   int
}

type half struct {
	enc     bus.Encoder
	records []bus.Record
}

func (e *Engine) emitter(pub bus.Publisher, p *provider, works func()) adapters.Emit {
	m := &emitter{Engine: e, p: p, pub: pub, works: works}
	for i := range m.halves {
		m.halves[i].enc = bus.Encoder{Source: p.uri, Format: p.topic.format}
	}
	return m.emit
}

func (m *emitter) emit(ctx context.Context, batch ...adapters.Emission) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.works()
	if len(batch) > emitAtOnce {
		m.p.burst.Store(time.Now().UnixMilli())
	}
	var before chan error // the answer for what is on its way
	wait := func() error {
		if before == nil {
			return nil
		}
		return <-before
	}
	for part := range slices.Chunk(batch, emitAtOnce) {
		records := m.encode(ctx, part)
		if err := wait(); err != nil {
			return err
		}
		answer := make(chan error, 1)
		before = answer
		go func() { answer <- m.append(ctx, records) }()
	}
	return wait()
}

// encode returns the records of emissions; they are good until the call after the
// next one.
func (m *emitter) encode(ctx context.Context, batch []adapters.Emission) []bus.Record {
	m.turn = 1 - m.turn
	h := &m.halves[m.turn]
	h.enc.Reset()
	clear(h.records)
	h.records = h.records[:0]
	for _, em := range batch {
		r := bus.Record{Cursor: em.At}
		if em.Event != nil {
			msg, cut, err := encodeWithin(&h.enc, em.Event, m.eventLimit())
			if cut {
				m.logger.WarnContext(ctx, "event is too large; long values are cut", "adapter", m.p.name, "event", em.Event.ID, "resource", em.Event.Subject)
				m.metrics.noticed.WithLabelValues(m.p.name, "cut_event").Inc()
			}
			if err != nil {
				// A resource that the syntax cannot express would stop the source for
				// ever: it is told and passed over.
				m.logger.ErrorContext(ctx, "event cannot be written", "adapter", m.p.name, "event", em.Event.ID, "err", err)
				m.metrics.noticed.WithLabelValues(m.p.name, "unwritable_event").Inc()
			} else {
				r.Topic, r.Message = m.p.topic.Topic, msg
			}
		}
		if r.Topic != "" || r.Cursor != nil {
			h.records = append(h.records, r)
		}
	}
	return h.records
}

// append makes records durable.
func (m *emitter) append(ctx context.Context, records []bus.Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := m.status.of("views " + m.p.name); errors.Is(err, oslc.Gone) {
		return err // the topic is another one now
	}
	began := m.tracer.now()
	if err := m.pub.Append(ctx, records...); err != nil {
		return err
	}
	m.tracer.published(ctx, m.p.name, began, records)
	published := 0
	for i := range records {
		if records[i].Topic != "" {
			published++
		}
	}
	m.metrics.published.WithLabelValues(m.p.name).Add(float64(published))
	return nil
}

// eventLimit is how large the body of an event may be.
func (e *Engine) eventLimit() int {
	if n := e.cfg.Kafka.MaxMessageBytes; n > 0 {
		return n * 9 / 10 // the rest is for headers and cursor
	}
	return maxEvent
}

// caughtUp waits until the views hold what was on the log when it was called. It
// fails with kind Gone when they are of another topic of that name.
func (e *Engine) caughtUp(ctx context.Context, p *provider) error {
	log, ok := e.log.(bus.Ender)
	if !ok {
		return nil
	}
	next, last, err := e.views.Next(ctx, p.topic.Topic)
	if err != nil {
		return err
	}
	if err := e.sameTopic(ctx, p.topic.Topic, next, last); err != nil {
		return err
	}
	end, err := log.End(ctx, p.topic.Topic)
	if err != nil {
		return err
	}
	for {
		wake := e.status.folded()
		if next, _, err = e.views.Next(ctx, p.topic.Topic); err != nil {
			return err
		}
		behind := false
		for i, n := range end {
			behind = behind || n > 0 && (i >= len(next) || next[i] < n)
		}
		if !behind {
			return nil
		}
		if err := e.status.of("views " + p.name); err != nil && !errors.Is(err, errStarting) {
			return fmt.Errorf("waiting for the views: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-time.After(time.Second): // to look at the views' own state
		}
	}
}

// lazyState is the State of a source whose adapter is made before the database
// is open.
type lazyState struct {
	e      *Engine
	prefix string
}

func (s *lazyState) Resource(ctx context.Context, uri string) (*rdf.Graph, bool, error) {
	return s.e.views.State(s.prefix).Resource(ctx, uri)
}

func (s *lazyState) Resources(ctx context.Context) iter.Seq2[string, error] {
	return s.e.views.State(s.prefix).Resources(ctx)
}

// lazyCache is the Cache of such a source.
type lazyCache struct {
	e      *Engine
	source string
}

func (c *lazyCache) Get(ctx context.Context, key string) ([]byte, error) {
	return c.e.cache.Of(c.source).Get(ctx, key)
}

func (c *lazyCache) Put(ctx context.Context, writes map[string][]byte) error {
	return c.e.cache.Of(c.source).Put(ctx, writes)
}

func (c *lazyCache) All(ctx context.Context) iter.Seq2[adapters.Entry, error] {
	return c.e.cache.Of(c.source).All(ctx)
}
