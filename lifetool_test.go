package oslcbus

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// An outcome is what becomes of one attempt.
type outcome string

const (
	done     outcome = "done"     // the effect, and an answer
	lost     outcome = "lost"     // the effect, and no answer
	away     outcome = "away"     // nothing happened
	limited  outcome = "limited"  // nothing happened: too fast
	refused  outcome = "refused"  // nothing happened, for good
	held     outcome = "held"     // takes until somebody lets go, then nothing happened
	heldDone outcome = "heldDone" // takes until somebody lets go, then as done
)

// A modelTool is the tool that requests are for, and the source of changes. It outlives
// the replicas. Like Jira it does not know a request again by itself: an attempt looks
// for what an earlier one made only where it is told that there may be something.
type modelTool struct {
	mu       sync.Mutex
	changes  []modelChange
	more     chan struct{}     // closed and replaced when there is a change
	scripts  map[int][]outcome // by number of the request
	effects  []int             // numbers, in order
	calls    map[int]int
	gone     map[int]int // calls at the moment when somebody was told that it is canceled
	holds    map[int]chan bool
	open     bool // nothing is held any more
	stopping bool // whether the tool can be told to stop
}

type modelChange struct {
	n      int
	target string
}

func newModelTool(canCancel bool) *modelTool {
	return &modelTool{
		more: make(chan struct{}), scripts: map[int][]outcome{}, calls: map[int]int{}, gone: map[int]int{},
		holds: map[int]chan bool{}, stopping: canCancel,
	}
}

func modelTarget(i int) string {
	return oslc.ResourceURI(modelBase, "tool", "things", fmt.Sprint("t", i))
}

func modelEvent(n int) string { return oslc.NewID("model", fmt.Sprint(n)) }

// Run implements adapters.Source.
func (m *modelTool) Run(ctx context.Context, from adapters.Cursor, emit adapters.Emit) error {
	at := 0
	if from != nil {
		if err := json.Unmarshal(from, &at); err != nil {
			return oslc.E("model", err, oslc.Gone)
		}
	}
	if err := emit(ctx); err != nil {
		return err
	}
	for {
		m.mu.Lock()
		news, more := slices.Clone(m.changes[at:]), m.more
		m.mu.Unlock()
		var batch []adapters.Emission
		for _, c := range news {
			at++
			g := rdf.NewGraph()
			g.Node(c.target).A(vocab.CMChangeRequest).Int(vocab.DCTermsIdentifier, int64(c.n))
			batch = append(batch, adapters.Emission{At: fmt.Append(nil, at), Event: &oslc.Event{
				ID: modelEvent(c.n), Change: oslc.Modification, Subject: c.target, Listener: modelBase + "/services/tool#watcher",
				Time: time.Unix(int64(c.n), 0), Resource: g,
			}})
		}
		if len(batch) > 0 {
			if err := emit(ctx, batch...); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Execute implements adapters.Executor.
func (m *modelTool) Execute(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	v, _ := r.Parameters["n"].(int64)
	n := int(v)
	m.mu.Lock()
	m.calls[n]++
	if !r.MaybeDoneAt.IsZero() && slices.Contains(m.effects, n) {
		m.mu.Unlock()
		return oslc.Result{Verdict: oslc.Passed}, nil
	}
	what := done
	if s := m.scripts[n]; len(s) > 0 {
		if what = s[0]; what != refused { // a refusal stays one, also after a crash
			m.scripts[n] = s[1:]
		}
	}
	if (what == held || what == heldDone) && !m.open {
		let := make(chan bool, 1)
		m.holds[n] = let
		m.mu.Unlock()
		canceled := false
		select {
		case canceled = <-let:
		case <-ctx.Done():
		}
		m.mu.Lock()
		delete(m.holds, n)
		switch {
		case canceled:
			m.mu.Unlock()
			return oslc.Result{State: oslc.Canceled, Verdict: oslc.NoVerdict, Message: "stopped"}, nil
		case ctx.Err() != nil: // nothing happened, and nobody was answered
			m.scripts[n] = append([]outcome{what}, m.scripts[n]...)
			m.mu.Unlock()
			return oslc.Result{}, ctx.Err()
		}
	}
	defer m.mu.Unlock()
	if what == done || what == lost || what == heldDone {
		m.effects = append(m.effects, n)
	}
	switch what {
	case lost, away, held:
		return oslc.Result{}, oslc.Errorf("model", oslc.Unavailable, "%s", what)
	case limited:
		return oslc.Result{}, oslc.Errorf("model", oslc.Limited, "%s", what)
	case refused:
		return oslc.Result{}, oslc.Errorf("model", oslc.Invalid, "%s", what)
	case done, heldDone:
	}
	return oslc.Result{Verdict: oslc.Passed}, nil
}

// release lets go of what is held.
func (m *modelTool) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, let := range m.holds {
		select {
		case let <- false:
		default:
		}
	}
}

// A stoppable tool is one that requests can be stopped in while it works on them.
type stoppable struct{ *modelTool }

// Cancel implements adapters.Canceler.
func (m stoppable) Cancel(_ context.Context, r oslc.Request) (bool, error) {
	v, _ := r.Parameters["n"].(int64)
	m.mu.Lock()
	defer m.mu.Unlock()
	if let, ok := m.holds[int(v)]; ok {
		select {
		case let <- true:
		default:
		}
		return true, nil
	}
	if slices.Contains(m.effects, int(v)) {
		return true, oslc.Errorf("model", oslc.Conflict, "it is done")
	}
	return false, nil
}

// A dyingLog is the log as a replica sees it that dies: from a moment on nothing that
// it writes is kept, or is known to be kept.
type dyingLog struct {
	bus.Log
	dead    atomic.Bool
	dieing  atomic.Bool // the next append is kept, and nobody is told
	appends atomic.Int64
}

var errDead = oslc.Errorf("model", oslc.Unavailable, "the replica is dead")

func (l *dyingLog) Own(ctx context.Context, source string, topics ...string) (bus.Publisher, error) {
	if l.dead.Load() {
		return nil, errDead
	}
	p, err := l.Log.Own(ctx, source, topics...)
	if err != nil {
		return nil, err
	}
	return dyingPublisher{p, l}, nil
}

func (l *dyingLog) End(ctx context.Context, topic string) ([]int64, error) {
	return l.Log.(bus.Ender).End(ctx, topic)
}

// A sharedLog is a dyingLog that replicas share.
type sharedLog struct{ *dyingLog }

func (l sharedLog) Hold(ctx context.Context, name string, fn func(context.Context) error) error {
	return l.Log.(bus.Holder).Hold(ctx, name, fn)
}

type dyingPublisher struct {
	bus.Publisher
	l *dyingLog
}

func (p dyingPublisher) Append(ctx context.Context, batch ...bus.Record) error {
	if p.l.dead.Load() {
		return errDead
	}
	err := p.Publisher.Append(ctx, batch...)
	if slices.ContainsFunc(batch, func(r bus.Record) bool { return r.Topic != "" }) {
		p.l.appends.Add(1)
		if p.l.dieing.Load() {
			p.l.dead.Store(true)
			return errDead
		}
	}
	return err
}
