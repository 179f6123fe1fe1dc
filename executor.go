package oslcbus

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

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
	since := x.since()
	skew := clockSkew
	if _, shared := x.log.(bus.Holder); !shared {
		skew = 0 // there is this process and its clock
	}
	if r.Created.Before(since.Add(skew)) {
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
		res.Outputs = map[string]any{oslc.OutputError: oslc.KindOf(err).String()}
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
