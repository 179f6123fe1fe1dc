package oslcbus

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// A request is canceled by a record: a modification of the request that wants the
// state canceled. Only who carries the request out says how it ended, so there is one
// end, whenever that record comes:
//
//   - before the tool is called: it never is, and the request is canceled;
//   - during the call: the tool is told to stop, if it can; what Execute returns counts;
//   - after the end: the request is put back into the state that it ended in.

// works are the requests that the executors of this process have taken up.
type works struct {
	mu sync.Mutex
	of map[string]*work // by URI
}

// work is a request that is waiting for its turn, being carried out, or waiting to
// be tried again.
type work struct {
	cancel func() // called once the views have the wish to cancel it
	fixed  bool   // it is being carried out by a tool that cannot stop
}

var errCanceled = errors.New("canceled")

// begin notes that a request is taken up. Whoever looks into the views after that
// misses no wish to cancel it.
func (ws *works) begin(uri string, cancel func()) *work {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.of == nil {
		ws.of = map[string]*work{}
	}
	w := &work{cancel: cancel}
	ws.of[uri] = w
	return w
}

// end forgets w.
func (ws *works) end(uri string, w *work) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.of[uri] == w {
		delete(ws.of, uri)
	}
}

// fix notes whether a tool that cannot stop is carrying the request out.
func (ws *works) fix(w *work, fixed bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.fixed = fixed
}

func (ws *works) isFixed(uri string) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.of[uri]
	return w != nil && w.fixed
}

// noticed is called for each event of the bus's own topic once the views have it.
func (ws *works) noticed(e *oslc.Event) {
	if e.Change != oslc.Modification || !slices.Contains(e.Changed, vocab.AutoDesiredState) {
		return
	}
	ws.mu.Lock()
	w := ws.of[e.Subject]
	ws.mu.Unlock()
	if w != nil {
		w.cancel()
	}
}

// isCancel reports whether an event says that somebody wants a request canceled.
func isCancel(e *oslc.Event) bool {
	return e.Change == oslc.Modification && slices.Contains(e.Changed, vocab.AutoDesiredState) && e.Resource != nil &&
		e.Resource.Value(rdf.NewIRI(e.Subject), vocab.AutoState) == string(oslc.Canceling)
}

// Cancel implements server.Asker.
func (a *asker) Cancel(ctx context.Context, uri, by string, wait time.Duration) (oslc.Request, bool, error) {
	const op = "oslcbus.cancel"
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	told := false
	for {
		wake := a.e.status.folded()
		res, err := a.e.views.Resource(ctx, uri)
		if err != nil {
			return oslc.Request{}, false, oslc.E(op, err)
		}
		r, err := oslc.ParseRequest(res.Graph, uri)
		if err != nil {
			return oslc.Request{}, false, oslc.E(op, err)
		}
		ended := r.State.Final()
		if ended { // its result comes right after it
			if ended, err = a.known(ctx, a.e.resultURI(r.ID)); err != nil {
				return r, false, oslc.E(op, err)
			}
		}
		switch {
		case ended && r.State == oslc.Canceled:
			return r, true, nil
		case ended && told:
			return r, true, oslc.Errorf(op, oslc.Conflict, "it had begun and could not be stopped: the request has ended")
		case ended:
			return r, true, oslc.Errorf(op, oslc.Conflict, "the request has ended already")
		}
		if !told && r.State != oslc.Canceling && !r.State.Final() {
			if r, err = a.wish(ctx, r, by, res.Revision); err != nil {
				return r, false, oslc.E(op, err)
			}
		}
		told = told || !r.State.Final()
		select {
		case <-wake:
		case <-timeout.C:
			return r, false, nil
		case <-a.stopping:
			return r, false, nil
		case <-ctx.Done():
			return r, false, ctx.Err()
		}
	}
}

// wish puts on the log that somebody wants a request canceled.
func (a *asker) wish(ctx context.Context, r oslc.Request, by, revision string) (oslc.Request, error) {
	if p := a.e.connection(r.Tool); p == nil || p.adapter.Executor == nil {
		return r, oslc.Errorf("oslcbus.cancel", oslc.Conflict, "no connection %q carries out requests any more", r.Tool)
	}
	if a.e.works.isFixed(r.URI) {
		return r, oslc.Errorf("oslcbus.cancel", oslc.Conflict, "%s is at work on it and cannot be stopped", r.Tool)
	}
	r.State, r.Desired, r.CanceledBy = oslc.Canceling, oslc.Canceled, by
	self := a.e.self()
	rec, err := a.e.record(&oslc.Event{
		// Two who want it of one state want it once.
		ID: oslc.NewID("event", "cancel", r.ID, revision), Change: oslc.Modification, Subject: r.URI,
		Listener: self.uri + "#asked", Time: time.Now(), Changed: []string{vocab.AutoDesiredState, vocab.AutoState}, Resource: r.Graph(), Trace: r.Trace,
	})
	if err != nil {
		return r, err
	}
	inOrder(&rec, &r)
	return r, a.append(ctx, rec, func(ctx context.Context) (bool, error) {
		res, err := a.e.views.Resource(ctx, r.URI)
		return err == nil && res.Revision != revision, err
	})
}

// canceled is how a request ends that somebody wanted canceled.
func canceled(r *oslc.Request, attempts int) oslc.Result {
	by, when := "", "before it was begun"
	if r.CanceledBy != "" {
		by = " by " + r.CanceledBy
	}
	switch {
	case attempts > 0:
		when = "before it was tried again; an earlier attempt may have been heard"
	case !r.MaybeDoneAt.IsZero():
		when = "before it was begun since the bus was started; an earlier attempt may have been heard"
	}
	return oslc.Result{State: oslc.Canceled, Verdict: oslc.NoVerdict, Message: "canceled" + by + " " + when}
}

// wanted reports whether the request has ended already, and whether somebody wants it
// canceled, as far as the views know.
func (x *executor) wanted(ctx context.Context, r *oslc.Request) (ended, cancel bool, err error) {
	res, err := x.views.Resource(ctx, r.URI)
	if errors.Is(err, oslc.NotFound) {
		return false, r.Desired == oslc.Canceled, nil
	}
	if err != nil {
		return false, false, err
	}
	now, err := oslc.ParseRequest(res.Graph, r.URI)
	if err != nil { // a stranger wrote on the topic: the request counts
		return false, r.Desired == oslc.Canceled, nil //nolint:nilerr // see above
	}
	if now.State.Final() {
		// Both records of the end count: they may lie in two partitions.
		if ended, err = x.asker.known(ctx, x.resultURI(r.ID)); ended || err != nil {
			return ended, false, err
		}
	}
	if now.Desired == oslc.Canceled {
		r.Desired, r.CanceledBy = now.Desired, now.CanceledBy
	}
	return false, r.Desired == oslc.Canceled, nil
}

func (e *Engine) resultURI(id string) string {
	return oslc.ResourceURI(e.cfg.BaseURL, automation.BusProvider, "results", id)
}

// late answers a wish to cancel whose request is done with: deliveries about one
// target are handled in order. Where the wish came after the end, the views show a
// request that is to be canceled for ever, unless its end is told once more.
func (x *executor) late(ctx context.Context, d bus.Delivery, ev *oslc.Event) ([]bus.Record, error) {
	r, err := oslc.ParseRequest(ev.Resource, ev.Subject)
	if err != nil || r.Tool != x.p.name {
		return nil, nil // not ours
	}
	for {
		wake := x.status.folded()
		next, _, err := x.views.Next(ctx, x.self().topic.Topic)
		if err != nil {
			return nil, err
		}
		res, err := x.views.Resource(ctx, x.resultURI(r.ID))
		if err != nil && !errors.Is(err, oslc.NotFound) {
			return nil, err
		}
		if err == nil && int(d.Partition) < len(next) && next[d.Partition] > d.Offset {
			return x.putBack(ctx, r, res.Graph, d)
		}
		select {
		case <-wake:
		case <-x.ending.Done():
			return nil, bus.ErrLeft
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// putBack tells the end of a request once more where the views show another state.
func (x *executor) putBack(ctx context.Context, r oslc.Request, result *rdf.Graph, d bus.Delivery) ([]bus.Record, error) {
	res, err := x.views.Resource(ctx, r.URI)
	if err != nil {
		return nil, err
	}
	now, err := oslc.ParseRequest(res.Graph, r.URI)
	if err != nil || now.State != oslc.Canceling {
		return nil, err
	}
	end, err := oslc.ParseResult(result, x.resultURI(r.ID))
	if err != nil {
		return nil, err
	}
	now.State = end.State
	if end.State != oslc.Canceled {
		now.Desired, now.CanceledBy = "", ""
	}
	rec, err := x.record(&oslc.Event{
		ID: oslc.NewID("event", "canceled too late", d.ID()), Change: oslc.Modification, Subject: now.URI,
		Listener: x.self().uri + "#" + x.p.name, Time: time.Now(), Hops: now.Hops,
		Changed: []string{vocab.AutoState}, Resource: now.Graph(), Trace: now.Trace,
	})
	return []bus.Record{rec}, err
}
