package oslcbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/cloudevents"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
)

// decode reads an event in binary or structured mode.
func (e *Engine) decode(m bus.Message) (*oslc.Event, error) {
	m, err := cloudevents.ToBinary(m)
	if err != nil {
		return nil, err
	}
	return bus.Decode(m, e.parser)
}

const (
	foldBatch = 500                    // records folded at once: larger gains nothing
	foldIdle  = 3 * time.Millisecond   // how long a batch waits for more that is there
	foldPace  = 50 * time.Millisecond  // how long a batch begins at least after the one before
	foldQuiet = 200 * time.Millisecond // how long without a record a topic counts as quiet

	trimEvery = time.Minute // how often a quiet set is looked at for what need not be kept

	burstLasts = 500 // ms, from a source's last large batch
)

// fold keeps the views of a provider up to the log.
func (e *Engine) fold(ctx context.Context, p *provider) error {
	topic := p.topic.Topic
	next, last, err := e.views.Next(ctx, topic)
	if err != nil {
		return err
	}
	if err := e.sameTopic(ctx, topic, next, last); err != nil {
		return err
	}
	rd, err := e.log.Open(ctx, topic, bus.From{Offsets: next})
	if err != nil {
		return e.recreated(topic, err)
	}
	defer rd.Close()
	e.status.set("views "+p.name, nil)
	pending := map[int32][]sqlite.Step{}
	ends := map[int32]int64{} // of the partitions, as they were known last
	var began, trimmed time.Time
	for {
		quiet, stop := context.WithTimeout(ctx, foldQuiet)
		d, err := rd.Next(quiet)
		stop()
		if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			if err := e.passOver(ctx, p, rd, ends); err != nil {
				return err
			}
			if now := e.now(); now.Sub(trimmed) >= trimEvery {
				trimmed = now
				for _, set := range p.sets {
					if err := e.trim(ctx, set); err != nil {
						return err
					}
				}
			}
			continue
		}
		if err != nil {
			return e.recreated(topic, err)
		}
		// The first change after a while is folded at once. When many come one by one, a
		// transaction for each would cost several times what folding them costs.
		paced := began.Add(foldPace)
		wait := max(time.Until(paced), foldIdle)
		idle, cancel := context.WithTimeout(ctx, wait)
		clear(pending)
		for n := 0; ; {
			if int(d.Partition) >= len(p.sets) {
				cancel()
				return oslc.Errorf("oslcbus.fold", oslc.Invalid, "topic %s has partition %d, the configuration says %d partitions", topic, d.Partition, len(p.sets))
			}
			pending[d.Partition] = append(pending[d.Partition], e.step(ctx, topic, d))
			ends[d.Partition] = d.End
			if n++; n >= foldBatch || d.Offset+1 >= d.End && !time.Now().Before(paced) {
				break
			}
			if d, err = rd.Next(idle); err != nil {
				break
			}
		}
		cancel()
		began = time.Now()
		for partition, steps := range pending {
			place := sqlite.Place{Topic: topic, Partition: partition, Set: p.sets[partition]}
			if err := e.views.Apply(ctx, place, steps); err != nil {
				return err
			}
			e.observe(p, partition, steps, ends[partition])
			if err := e.truncate(ctx, p.sets[partition], steps); err != nil {
				return err
			}
		}
		if since := began.UnixMilli() - p.burst.Load(); since < burstLasts {
			// The log comes first: while it takes a burst, folding leaves the source
			// half of the time.
			if err := bus.Sleep(ctx, min(time.Since(began), foldQuiet)); err != nil {
				return err
			}
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return e.recreated(topic, err)
		}
	}
}

// truncate drops what a set need not keep any more. It looks when the steps have
// filled a page; a quiet set is looked at now and then.
func (e *Engine) truncate(ctx context.Context, set string, steps []sqlite.Step) error {
	size := e.cfg.TRS.PageSize
	if len(steps) == 0 || steps[0].Offset/size == (steps[len(steps)-1].Offset+1)/size {
		return nil
	}
	return e.trim(ctx, set)
}

func (e *Engine) trim(ctx context.Context, set string) error {
	cut, err := e.cfg.TRS.policy().Cut(ctx, e.views, set, e.now())
	if err != nil || cut <= 0 {
		return err
	}
	return e.views.Truncate(ctx, set, cut)
}

// passOver moves the views past records that the driver keeps to itself, so that
// they are known to be at the end of a topic.
func (e *Engine) passOver(ctx context.Context, p *provider, rd bus.Reader, ends map[int32]int64) error {
	r, ok := rd.(bus.Passer)
	if !ok {
		return nil
	}
	next, _, err := e.views.Next(ctx, p.topic.Topic)
	if err != nil {
		return err
	}
	for partition, passed := range r.Passed() {
		if partition >= len(p.sets) || partition < len(next) && next[partition] >= passed || passed == 0 {
			continue
		}
		place := sqlite.Place{Topic: p.topic.Topic, Partition: int32(partition), Set: p.sets[partition]}
		if err := e.views.Apply(ctx, place, []sqlite.Step{{Offset: passed - 1}}); err != nil {
			return err
		}
		e.behind(p, int32(partition), max(0, ends[int32(partition)]-passed))
		e.status.fold()
	}
	return nil
}

// behind tells how many records of a partition are not in the views.
func (e *Engine) behind(p *provider, partition int32, records int64) {
	e.metrics.lag.WithLabelValues(p.topic.Topic, strconv.Itoa(int(partition))).Set(float64(records))
}

func (e *Engine) step(ctx context.Context, topic string, d bus.Delivery) sqlite.Step {
	s := sqlite.Step{Offset: d.Offset}
	if bus.IsMarker(d.Message) {
		return s
	}
	var err error
	if s.Event, err = e.decode(d.Message); err != nil {
		s.Damaged = true
		e.metrics.damaged.WithLabelValues(topic).Inc()
		e.logger.WarnContext(ctx, "record is no event", "topic", topic, "offset", d.Offset, "err", err)
	}
	return s
}

func (e *Engine) observe(p *provider, partition int32, steps []sqlite.Step, end int64) {
	for _, s := range steps {
		if s.Event == nil {
			continue
		}
		e.metrics.events.WithLabelValues(p.name, s.Event.Change.String()).Inc()
		if p == e.self() {
			e.noticed(s.Event)
		}
		if e.opts.Observe != nil {
			e.opts.Observe(p.name, s.Event)
		}
	}
	e.behind(p, partition, end-steps[len(steps)-1].Offset-1)
	e.status.fold()
}

// sameTopic checks that the record before the place where folding goes on is the
// one that was folded last: a topic of the same name that was made anew is
// another log, whose orders would say something else.
func (e *Engine) sameTopic(ctx context.Context, topic string, next []int64, last []string) error {
	for i, n := range next {
		if n == 0 || last[i] == "" {
			continue
		}
		at := append([]int64(nil), next...)
		at[i]--
		rd, err := e.log.Open(ctx, topic, bus.From{Offsets: at})
		if errors.Is(err, oslc.Gone) {
			// Retention may have taken that record away, and left the place after it.
			if rd, err = e.log.Open(ctx, topic, bus.From{Offsets: next}); err == nil {
				err = rd.Close()
				rd = nil
			}
		}
		if err != nil {
			return e.recreated(topic, err)
		}
		if rd == nil {
			continue
		}
		look, cancel := context.WithTimeout(ctx, 10*time.Second)
		var d bus.Delivery
		for {
			if d, err = rd.Next(look); err != nil || int(d.Partition) == i {
				break
			}
		}
		cancel()
		if err := errors.Join(err, rd.Close()); err != nil {
			return e.recreated(topic, err)
		}
		if d.Offset != n-1 || d.ID() != last[i] {
			return e.recreated(topic, oslc.Errorf("oslcbus.fold", oslc.Gone, "the record at offset %d is event %q, not %q", n-1, d.ID(), last[i]))
		}
	}
	return nil
}

// recreated explains kind Gone: the views are of a log that is not there any
// more.
func (e *Engine) recreated(topic string, err error) error {
	if !errors.Is(err, oslc.Gone) {
		return err
	}
	return oslc.E("oslcbus.fold", fmt.Errorf("topic %s was deleted, made anew or cut off behind the views in %s: "+
		"stop every replica, move that file away, and start again; the sources then compare everything: %w", topic, e.db.Path(), err), oslc.Gone)
}
