package oslcbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/cloudevents"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// decode reads an event in binary or structured mode.
func (e *Engine) decode(m bus.Message) (*oslc.Event, error) {
	m, err := cloudevents.ToBinary(m)
	if err != nil {
		return nil, err
	}
	return bus.Decode(m, e.parser)
}

// runSource publishes what a connection's source emits.
func (e *Engine) runSource(ctx context.Context, p *provider) error {
	name := "source " + p.name
	return e.hold(ctx, name, func(ctx context.Context) error {
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
		return err
	})
}

// compareAll is the cursor of a source whose topic was made anew: the next run
// that has views of the new topic compares everything. Some record may be there
// already, and has a cursor that speaks for what is gone.
var compareAll = []byte("oslcbus:compare-all")

func compareLater(ctx context.Context, pub bus.Publisher) error {
	if bytes.Equal(pub.Cursor(), compareAll) {
		return nil
	}
	return pub.Append(ctx, bus.Record{Cursor: compareAll})
}

// emitter returns the Emit of a source.
func (e *Engine) emitter(pub bus.Publisher, p *provider, works func()) adapters.Emit {
	var records []bus.Record
	return func(ctx context.Context, batch ...adapters.Emission) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		works()
		records = records[:0]
		published := 0
		for _, em := range batch {
			r := bus.Record{Cursor: em.At}
			if em.Event != nil {
				m, cut, err := p.encode(em.Event, e.eventLimit())
				if cut {
					e.logger.WarnContext(ctx, "event is too large; long values are cut", "adapter", p.name, "event", em.Event.ID, "resource", em.Event.Subject)
					e.metrics.noticed.WithLabelValues(p.name, "cut_event").Inc()
				}
				if err != nil {
					// A resource that the syntax cannot express would stop the source for
					// ever: it is told and passed over.
					e.logger.ErrorContext(ctx, "event cannot be written", "adapter", p.name, "event", em.Event.ID, "err", err)
					e.metrics.noticed.WithLabelValues(p.name, "unwritable_event").Inc()
				} else {
					r.Topic, r.Message = p.topic.Topic, m
					published++
				}
			}
			if r.Topic != "" || r.Cursor != nil {
				records = append(records, r)
			}
		}
		if len(records) == 0 {
			return nil
		}
		if err := e.status.of("views " + p.name); errors.Is(err, oslc.Gone) {
			return err // the topic is another one now
		}
		if err := pub.Append(ctx, records...); err != nil {
			return err
		}
		e.metrics.published.WithLabelValues(p.name).Add(float64(published))
		return nil
	}
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

const (
	foldBatch = 500                    // records folded at once: larger gains nothing
	foldIdle  = 3 * time.Millisecond   // how long a batch waits for more
	foldQuiet = 200 * time.Millisecond // how long without a record a topic counts as quiet
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
	for {
		quiet, stop := context.WithTimeout(ctx, foldQuiet)
		d, err := rd.Next(quiet)
		stop()
		if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			if err := e.passOver(ctx, p, rd); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return e.recreated(topic, err)
		}
		idle, cancel := context.WithTimeout(ctx, foldIdle)
		clear(pending)
		for n := 0; ; {
			if int(d.Partition) >= len(p.sets) {
				cancel()
				return oslc.Errorf("oslcbus.fold", oslc.Invalid, "topic %s has partition %d, the configuration says %d partitions", topic, d.Partition, len(p.sets))
			}
			pending[d.Partition] = append(pending[d.Partition], e.step(ctx, topic, d))
			if n++; n >= foldBatch || d.Offset+1 >= d.End {
				break
			}
			if d, err = rd.Next(idle); err != nil {
				break
			}
		}
		cancel()
		for partition, steps := range pending {
			place := sqlite.Place{Topic: topic, Partition: partition, Set: p.sets[partition]}
			if err := e.views.Apply(ctx, place, steps); err != nil {
				return err
			}
			e.observe(p, partition, steps, d)
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return e.recreated(topic, err)
		}
	}
}

// passOver moves the views past records that the driver keeps to itself, so that
// they are known to be at the end of a topic.
func (e *Engine) passOver(ctx context.Context, p *provider, rd bus.Reader) error {
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
		e.status.fold()
	}
	return nil
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

func (e *Engine) observe(p *provider, partition int32, steps []sqlite.Step, newest bus.Delivery) {
	for _, s := range steps {
		if s.Event == nil {
			continue
		}
		e.metrics.events.WithLabelValues(p.name, s.Event.Change.String()).Inc()
		if e.opts.Observe != nil {
			e.opts.Observe(p.name, s.Event)
		}
	}
	if newest.Partition == partition {
		e.metrics.lag.WithLabelValues(p.topic.Topic, strconv.Itoa(int(partition))).Set(float64(newest.End - steps[len(steps)-1].Offset - 1))
	}
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

// runRules makes requests of events.
func (e *Engine) runRules(ctx context.Context) error {
	return e.hold(ctx, "rules", func(ctx context.Context) error {
		stage := &bus.Stage{
			Log: e.log, Name: "rules",
			Outputs: []string{e.self().topic.Topic},
			Handle:  e.applyRules,
			Started: func() { e.status.set("rules", nil) },
			Lost:    e.beginAnew("rules"),
		}
		for _, p := range e.connections() {
			if p.adapter.Source != nil {
				stage.Inputs = append(stage.Inputs, p.topic.Topic)
				stage.Outputs = append(stage.Outputs, bus.DeadLetterTopic(p.topic.Topic))
			}
		}
		return stage.Run(ctx)
	})
}

func (e *Engine) applyRules(ctx context.Context, topic string, d bus.Delivery) ([]bus.Record, error) {
	if bus.IsMarker(d.Message) {
		return nil, nil
	}
	ev, err := e.decode(d.Message)
	if err != nil {
		return []bus.Record{e.deadLetter(ctx, topic, d, 0, err)}, nil
	}
	provider := ""
	for _, p := range e.connections() {
		if p.topic.Topic == topic {
			provider = p.name
		}
	}
	matches, looped := e.rules.Match(ev, provider)
	if looped {
		e.metrics.looped.Inc()
		e.logger.WarnContext(ctx, "rules do not answer: too many requests led to this event", "topic", topic, "event", ev.ID, "hops", ev.Hops)
	}
	var out []bus.Record
	for _, m := range matches {
		if m.Err != nil {
			out = append(out, e.deadLetter(ctx, topic, d, 1, m.Err))
			continue
		}
		r := m.Request
		r.Created = time.Now()
		rec, err := e.record(e.requestEvent(&r, ev))
		if err != nil {
			out = append(out, e.deadLetter(ctx, topic, d, 1, err))
			continue
		}
		rec.Header.Set(headerTarget, r.Tool+" "+r.Target)
		out = append(out, rec)
	}
	return out, nil
}

// headerTarget carries what a request is about: requests to one tool about one
// resource are carried out in order.
const headerTarget = "oslcbus_target"

func (e *Engine) requestEvent(r *oslc.Request, cause *oslc.Event) *oslc.Event {
	return &oslc.Event{
		ID: oslc.NewID("event", "request", r.ID), Change: oslc.Creation, Subject: r.URI,
		Listener: e.self().uri + "#rules", Time: r.Created, Hops: cause.Hops, Resource: r.Graph(),
	}
}

func (e *Engine) record(ev *oslc.Event) (bus.Record, error) {
	self := e.self()
	m, err := bus.Encode(ev, self.uri, self.topic.format)
	return bus.Record{Topic: self.topic.Topic, Message: m}, err
}

func (e *Engine) deadLetter(ctx context.Context, topic string, d bus.Delivery, attempts int, err error) bus.Record {
	e.metrics.deadLetters.WithLabelValues(topic).Inc()
	e.logger.WarnContext(ctx, "message set aside", "topic", topic, "offset", d.Offset, "event", d.ID(),
		"attempts", attempts, "kind", oslc.KindOf(err), "err", err)
	return bus.DeadLetter(topic, d, attempts, err, time.Now())
}

// runExecutor carries out the requests to one tool.
func (e *Engine) runExecutor(ctx context.Context, p *provider) error {
	name := "executor " + p.name
	return e.hold(ctx, name, func(ctx context.Context) error {
		topic := e.self().topic.Topic
		x := &executor{Engine: e, p: p}
		stage := &bus.Stage{
			Log: e.log, Name: "executor." + p.name,
			Inputs:   []string{topic},
			Outputs:  []string{topic, bus.DeadLetterTopic(topic)},
			Parallel: p.parallel,
			Key: func(d bus.Delivery) string {
				if t := d.Header.Get(headerTarget); t != "" {
					return t
				}
				return d.Key
			},
			Handle:  x.handle,
			Started: func() { x.started(); e.status.set(name, nil) },
			Lost:    e.beginAnew(name),
		}
		return stage.Run(ctx)
	})
}

// beginAnew lets a stage whose place in a topic is gone begin at the oldest record
// there is, once the views are of that topic: until then the operator has not
// said that the new topic counts.
func (e *Engine) beginAnew(stage string) func(context.Context, string, error) error {
	return func(ctx context.Context, topic string, err error) error {
		for _, p := range e.providers {
			if p.topic.Topic != topic {
				continue
			}
			if views := e.caughtUp(ctx, p); views != nil {
				return views
			}
			e.logger.WarnContext(ctx, "the place in the topic is gone; beginning at its oldest record",
				"component", stage, "topic", topic, "err", err)
			e.metrics.noticed.WithLabelValues(p.name, "begun_anew").Inc()
		}
		return nil
	}
}

// executor performs requests of one tool, one after the other or several at
// once, and stops calling while the tool is away.
type executor struct {
	*Engine
	p *provider

	mu    sync.Mutex
	pause time.Time // nothing is called before
	owner time.Time // since when this process carries out the requests
}

// clockSkew is how far the clocks of two replicas may be apart.
const clockSkew = 10 * time.Second

func (x *executor) started() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.owner = time.Now()
}

func (x *executor) since() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.owner
}

func (x *executor) handle(ctx context.Context, topic string, d bus.Delivery) ([]bus.Record, error) {
	if bus.IsMarker(d.Message) {
		return nil, nil
	}
	ev, err := x.decode(d.Message)
	if err != nil {
		// The views tell of it, and the rules' own topics have their own letters:
		// one executor only sets it aside, the first by name.
		if x.first() {
			return []bus.Record{x.deadLetter(ctx, topic, d, 0, err)}, nil
		}
		return nil, nil
	}
	if ev.Change != oslc.Creation || ev.Resource == nil ||
		!ev.Resource.IsA(rdf.NewIRI(ev.Subject), vocab.AutoAutomationRequest) {
		return nil, nil
	}
	r, err := oslc.ParseRequest(ev.Resource, ev.Subject)
	if err != nil {
		if x.first() {
			return []bus.Record{x.deadLetter(ctx, topic, d, 0, err)}, nil
		}
		return nil, nil
	}
	if r.Tool != x.p.name {
		return nil, nil
	}
	if since := x.since(); r.Created.Before(since.Add(clockSkew)) {
		r.MaybeDoneAt = since
	}
	var res oslc.Result
	attempts, err := x.p.retry.Do(ctx, func(ctx context.Context) error {
		var err error
		res, err = x.try(ctx, r)
		if err != nil && !errors.Is(err, oslc.Limited) {
			r.MaybeDoneAt = time.Now() // a refusal for the rate alone did nothing
		}
		return err
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	res.Request, res.Attempts, res.Finished = r.URI, attempts, time.Now()
	var out []bus.Record
	if err != nil {
		res.Verdict, res.Message = oslc.Failed, err.Error()
		if oslc.KindOf(err).Retryable() {
			res.Verdict = oslc.Errored
		}
		out = append(out, x.deadLetter(ctx, topic, d, attempts, err))
	} else if res.Verdict == "" {
		res.Verdict = oslc.Passed
	}
	x.metrics.requests.WithLabelValues(x.p.name, strings.TrimPrefix(string(res.Verdict), vocab.Auto)).Inc()
	for _, ev := range x.outcome(&r, &res, ev) {
		rec, err := x.record(ev)
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

func (x *executor) first() bool {
	for _, p := range x.connections() {
		if p.adapter.Executor != nil {
			return p == x.p
		}
	}
	return false
}

// try calls the executor once, not before a pause that another call found has
// passed.
func (x *executor) try(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	x.mu.Lock()
	wait := time.Until(x.pause)
	x.mu.Unlock()
	if wait > 0 && bus.Sleep(ctx, wait) != nil {
		return oslc.Result{}, ctx.Err()
	}
	started := time.Now()
	res, err := x.p.adapter.Executor.Execute(ctx, r)
	x.metrics.seconds.WithLabelValues(x.p.name).Observe(time.Since(started).Seconds())
	kind := "ok"
	if err != nil {
		kind = oslc.KindOf(err).String()
		x.logger.DebugContext(ctx, "attempt ended", "adapter", x.p.name, "action", r.Action, "kind", kind, "err", err)
	}
	x.metrics.attempts.WithLabelValues(x.p.name, kind).Inc()
	if k := oslc.KindOf(err); err != nil && (k == oslc.Limited || k == oslc.Unavailable) {
		x.mu.Lock()
		if until := time.Now().Add(x.p.retry.Pause(1, err)); until.After(x.pause) {
			x.pause = until
		}
		x.mu.Unlock()
	}
	return res, err
}

// outcome are the events of a request that ended: it is complete, and there is a
// result.
func (x *executor) outcome(r *oslc.Request, res *oslc.Result, cause *oslc.Event) []*oslc.Event {
	r.State = oslc.Complete
	uri := oslc.ResourceURI(x.cfg.BaseURL, automation.BusProvider, "results", r.ID)
	listener := x.self().uri + "#" + x.p.name
	return []*oslc.Event{
		{
			ID: oslc.NewID("event", "complete", r.ID), Change: oslc.Modification, Subject: r.URI,
			Listener: listener, Time: res.Finished, Hops: cause.Hops,
			Changed: []string{vocab.AutoState}, Resource: r.Graph(),
		},
		{
			ID: oslc.NewID("event", "result", r.ID), Change: oslc.Creation, Subject: uri,
			Listener: listener, Time: res.Finished, Hops: cause.Hops,
			Resource: res.Graph(uri, r.ID, r.Title, r.Action),
		},
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
