package oslcbus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/bus"
)

// passEvery is how often a bus without rules notes that its events were judged by none.
// What came since the last time is judged by rules that are there after a crash.
const passEvery = 10 * time.Second

// firstRules tells the stage of the rules that there are some where there was none.
type firstRules struct {
	mu   sync.Mutex
	from map[string][]int64 // where the first rules begin to judge; nil where the log did not say
	wake chan struct{}      // closed and replaced when rules were read
}

func (f *firstRules) begin(from map[string][]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from = from
}

func (f *firstRules) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}

func (f *firstRules) wait() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wake == nil {
		f.wake = make(chan struct{})
	}
	return f.wake
}

func (f *firstRules) take() map[string][]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := f.from
	f.from = nil
	return from
}

// ruleInputs returns where the topics that rules judge end now, or nil where the log is
// away or not open yet.
func (e *Engine) ruleInputs(ctx context.Context) map[string][]int64 {
	select {
	case <-e.ready:
	default:
		return nil
	}
	ends, err := e.ends(ctx)
	if err != nil {
		return nil
	}
	return ends
}

func (e *Engine) ends(ctx context.Context) (map[string][]int64, error) {
	log, ok := e.log.(bus.Ender)
	if !ok {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	out := map[string][]int64{}
	for _, p := range e.connections() {
		if p.adapter.Source == nil {
			continue
		}
		end, err := log.End(ctx, p.topic.Topic)
		if err != nil {
			return nil, err
		}
		out[p.topic.Topic] = end
	}
	return out, nil
}

// withoutRules waits until there are rules, and keeps the place of their stage at the
// end of the topics meanwhile: reading every event for no rule would cost as much as
// publishing it.
func (e *Engine) withoutRules(ctx context.Context, stage *bus.Stage) error {
	if _, ok := e.log.(bus.Ender); !ok || e.rules.Load().Len() > 0 {
		return nil
	}
	skip, err := stage.Skip(ctx)
	if err != nil {
		return err
	}
	pass := func(ctx context.Context) error {
		ends, err := e.ends(ctx)
		if err != nil {
			return err
		}
		return skip.To(ctx, ends)
	}
	for {
		wake := e.first.wait()
		if e.rules.Load().Len() > 0 {
			if from := e.first.take(); from != nil {
				err = skip.To(ctx, from)
			}
			return errors.Join(err, skip.Close())
		}
		if err := pass(ctx); err != nil {
			return errors.Join(err, skip.Close())
		}
		e.status.set("rules", nil)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			// Where another replica has the stage now, it knows better.
			_ = pass(last)
			return errors.Join(ctx.Err(), skip.Close())
		case <-wake:
		case <-time.After(passEvery):
		}
	}
}
