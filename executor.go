package oslcbus

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// runExecutor carries out the requests to one tool.
func (e *Engine) runExecutor(ctx context.Context, p *provider) error {
	name := "executor " + p.name
	return e.hold(ctx, name, func(ctx context.Context) error {
		// What was told before this process took over counts: an end, or a wish to cancel.
		if err := e.caughtUp(ctx, e.self()); err != nil {
			return err
		}
		topic := e.self().topic.Topic
		if err := e.takePause(ctx, p); err != nil {
			return err
		}
		x := &executor{Engine: e, p: p, ending: ctx}
		stage := &bus.Stage{
			Log: e.log, Name: "executor." + p.name,
			Inputs:  []string{topic},
			Outputs: []string{topic, bus.DeadLetterTopic(topic)},
			// How many calls there are at once is the gate's to say. Here a request waits
			// without a place, and hears when it is canceled.
			Parallel: bus.Window,
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
	p      *provider
	ending context.Context // ends when the stage is to stop; what is being called may go on

	mu    sync.Mutex
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
	// What is for another tool need not be read to be passed over; the first executor
	// reads it, to see whether it is damaged.
	if bus.IsMarker(d.Message) || forAnother(d, x.p.name) && !x.first() {
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
	if ev.Resource == nil || !ev.Resource.IsA(rdf.NewIRI(ev.Subject), vocab.AutoAutomationRequest) {
		return nil, nil
	}
	if isCancel(ev) {
		return x.late(ctx, d, ev)
	}
	if ev.Change != oslc.Creation {
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
	if r.Trace.IsZero() {
		r.Trace = ev.Trace
	}
	ctx, sp := x.tracer.execute(ctx, &r)
	ctx = oslc.WithTrace(ctx, sp.trace(r.Trace.Child(stepExecute)))
	res, err := x.perform(ctx, &r)
	if errors.Is(err, bus.ErrLeft) || errors.Is(err, errEnded) || ctx.Err() != nil {
		if errors.Is(err, errEnded) {
			err = nil
		}
		return nil, err
	}
	res.Request, res.Finished = r.URI, time.Now()
	var out []bus.Record
	if err != nil {
		res.Verdict, res.Message = oslc.Failed, oslc.Message(err)
		res.Outputs = map[string]any{oslc.OutputError: oslc.KindOf(err).String()}
		if oslc.KindOf(err).Retryable() {
			res.Verdict = oslc.Errored
		}
		out = append(out, x.deadLetter(ctx, topic, d, res.Attempts, err))
	} else if res.Verdict == "" {
		res.Verdict = oslc.Passed
	}
	verdict := strings.TrimPrefix(string(res.Verdict), vocab.Auto)
	if res.State == oslc.Canceled {
		verdict = "canceled"
	}
	x.metrics.requests.WithLabelValues(x.p.name, verdict).Inc()
	sp.verdict(verdict, res.Attempts, err)
	for _, ev := range x.outcome(&r, &res, ev) {
		rec, err := x.record(ev)
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

// errEnded says of a request that its end is on the log already.
var errEnded = errors.New("the request has ended")

// perform carries a request out, unless it has ended or was canceled before. An error
// is the last one of the attempts; bus.ErrLeft says that the stage ends first.
func (x *executor) perform(ctx context.Context, r *oslc.Request) (oslc.Result, error) {
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(x.ending, func() { stop(bus.ErrLeft) })()
	w := x.works.begin(r.URI, func() { stop(errCanceled) })
	defer x.works.end(r.URI, w)
	ended, cancel, err := x.wanted(ctx, r)
	switch {
	case err != nil:
		return oslc.Result{}, err
	case ended:
		return oslc.Result{}, errEnded
	case cancel:
		return x.dropped(ctx, w, r, 0)
	}
	waits := x.metrics.waiting.WithLabelValues(x.p.name)
	waits.Inc()
	defer waits.Dec()
	b := budget{limits: &x.p.limits, retry: x.p.retry}
	for {
		leave, held, err := x.p.gate.enter(waiting)
		b.pause(held)
		var res oslc.Result
		if err == nil {
			waits.Dec()
			within := b.attempt()
			res, err = x.call(ctx, waiting, w, *r, b.attempts, within)
			waits.Inc()
			leave()
			if err == nil || ctx.Err() != nil {
				res.Attempts = b.attempts
				return res, err
			}
			pause, more := b.next(err)
			if more == nil && !errors.Is(err, oslc.Limited) {
				r.MaybeDoneAt = time.Now() // a refusal for the rate alone did nothing
			}
			if more != nil {
				return oslc.Result{Attempts: b.attempts}, more
			}
			if bus.Sleep(waiting, pause) == nil {
				continue
			}
			err = context.Cause(waiting)
		}
		if !errors.Is(err, errCanceled) {
			return oslc.Result{}, err
		}
		if _, _, err := x.wanted(ctx, r); err != nil { // who wants it
			return oslc.Result{}, err
		}
		return x.dropped(ctx, w, r, b.attempts)
	}
}

// dropped ends a request that is not to be carried out, or not again. What an attempt
// before may have begun is stopped, where the tool can, also during a pause.
func (x *executor) dropped(ctx context.Context, w *work, r *oslc.Request, attempts int) (oslc.Result, error) {
	end := canceled(r, attempts)
	end.Attempts = attempts
	c, can := x.p.adapter.Executor.(adapters.Canceler)
	if !can || r.MaybeDoneAt.IsZero() {
		return end, nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(x.ending, func() { stop(bus.ErrLeft) })()
	retry := x.p.retry
	retry.Attempts = min(retry.Attempts, stopAttempts)
	res := end
	_, err := retry.Do(ctx, func(ctx context.Context) error {
		begun, err := c.Cancel(ctx, *r)
		switch {
		case errors.Is(err, oslc.Unsupported):
			return nil
		case err == nil && !begun: // the tool knows of nothing
			unheard := *r
			unheard.MaybeDoneAt = time.Time{}
			res = canceled(&unheard, 0)
			res.Attempts = attempts
			return nil
		case err != nil && !errors.Is(err, oslc.Conflict):
			return err
		}
		// It follows what was begun to its end.
		if res, err = x.call(ctx, ctx, w, *r, attempts+1, x.p.limits.Retry.Timeout); err == nil {
			res.Attempts = attempts + 1
		}
		return err
	})
	switch {
	case ctx.Err() != nil:
		return res, context.Cause(ctx)
	case err != nil && oslc.KindOf(err).Retryable():
		return end, nil // nobody can say, which is what it says
	}
	return res, err
}

// stopAttempts is how often a tool that is away is asked whether it has begun what is to
// be stopped.
const stopAttempts = 5

// first reports whether this executor is the first one by name.
func (x *executor) first() bool {
	for _, p := range x.connections() {
		if p.adapter.Executor != nil {
			return p == x.p
		}
	}
	return false
}

// call calls the executor once, for the n-th time. Where the request is canceled meanwhile, which
// waiting tells, the tool is told to stop. What takes longer than within is given up.
func (x *executor) call(ctx, waiting context.Context, w *work, r oslc.Request, n int, within time.Duration) (oslc.Result, error) {
	c, can := x.p.adapter.Executor.(adapters.Canceler)
	if !can {
		x.works.fix(w, true)
		defer x.works.fix(w, false)
		return x.try(ctx, r, n, within)
	}
	stopping, done := context.WithCancel(ctx)
	var telling sync.WaitGroup
	telling.Go(func() {
		select {
		case <-waiting.Done():
		case <-stopping.Done():
			return
		}
		if !errors.Is(context.Cause(waiting), errCanceled) {
			return
		}
		_, err := x.p.retry.Do(stopping, func(ctx context.Context) error {
			_, err := c.Cancel(ctx, r)
			return err
		})
		if err != nil && stopping.Err() == nil {
			x.logger.WarnContext(ctx, "request cannot be stopped", "adapter", x.p.name, "action", r.Action, "request", r.URI, "err", err)
		}
	})
	res, err := x.try(ctx, r, n, within)
	done()
	telling.Wait()
	return res, err
}

// try calls the executor once and counts what comes of it.
func (x *executor) try(ctx context.Context, r oslc.Request, n int, within time.Duration) (oslc.Result, error) {
	started := time.Now()
	ctx, sp := x.tracer.attempt(ctx, &r, n)
	attempt, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	running := x.metrics.running.WithLabelValues(x.p.name)
	running.Inc()
	res, err := x.p.adapter.Executor.Execute(attempt, r)
	running.Dec()
	if err != nil && attempt.Err() != nil && ctx.Err() == nil {
		err = oslc.Errorf("oslcbus.execute", oslc.Unavailable, "given up after %v: %v", within.Round(time.Millisecond), err)
	}
	sp.end(err)
	x.metrics.seconds.WithLabelValues(x.p.name).Observe(time.Since(started).Seconds())
	kind := "ok"
	if err != nil {
		kind = oslc.KindOf(err).String()
	}
	x.logger.DebugContext(ctx, "attempt ended", "adapter", x.p.name, "action", r.Action, "request", r.URI, "kind", kind, "err", err)
	x.metrics.attempts.WithLabelValues(x.p.name, kind).Inc()
	if k := oslc.KindOf(err); err != nil && (k == oslc.Limited || k == oslc.Unavailable) {
		x.p.gate.close(x.p.retry.Pause(1, err))
	}
	return res, err
}

// outcome are the events of a request that ended: it is complete, and there is a
// result.
func (x *executor) outcome(r *oslc.Request, res *oslc.Result, cause *oslc.Event) []*oslc.Event {
	step := r.Trace.Child(stepExecute)
	if r.State = res.State; r.State == "" {
		r.State = oslc.Complete
	}
	if r.State != oslc.Canceled {
		r.Desired, r.CanceledBy = "", ""
	}
	uri := x.resultURI(r.ID)
	listener := x.self().uri + "#" + x.p.name
	return []*oslc.Event{
		{
			ID: oslc.NewID("event", "complete", r.ID), Change: oslc.Modification, Subject: r.URI,
			Listener: listener, Time: res.Finished, Hops: cause.Hops,
			Changed: []string{vocab.AutoState}, Resource: r.Graph(), Trace: step,
		},
		{
			ID: oslc.NewID("event", "result", r.ID), Change: oslc.Creation, Subject: uri,
			Listener: listener, Time: res.Finished, Hops: cause.Hops,
			Resource: res.Graph(uri, r.ID, r.Title, r.Action), Trace: step,
		},
	}
}
