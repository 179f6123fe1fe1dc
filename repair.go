package oslcbus

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/server"
)

// A divergence is a resource whose events do not lead to what the tool has.
type divergence struct {
	Resource string `json:"resource"`
	// Change is the event that was missed.
	Change  string   `json:"change"`
	Changed []string `json:"changed,omitempty"`

	event *oslc.Event
}

// repairReport is what a repair found and did.
type repairReport struct {
	Set      string `json:"set"`
	Provider string `json:"provider"`
	// Divergences are what the tool has otherwise, as far as they are listed, of Total.
	Divergences []divergence `json:"divergences"`
	Total       int          `json:"total"`
	// Applied says that the source was told to emit them, Remaining how many it has not.
	Applied   bool `json:"applied"`
	Remaining int  `json:"remaining"`
	// Views are resources of which the views contradict themselves: no event mends that,
	// but views that are made anew.
	Views []string `json:"views"`
}

const (
	listedDivergences = 1000
	mostDivergences   = 100_000
	// settleRepair is how long a change that has happened may take to be folded.
	settleRepair = time.Second
)

// repair answers for a tracked resource set: it compares what the tool has with what its
// events have led to. With apply the source compares everything and emits what was
// missed, as it does when its place in the tool's history is gone: history stays as it
// is, and clients of the set learn of the rest.
func (e *Engine) repair(w http.ResponseWriter, r *http.Request, set string) error {
	const op = "oslcbus.repair"
	if answered, err := server.Allow(w, r, http.MethodPost); answered || err != nil {
		return err
	}
	var in struct {
		Apply bool `json:"apply"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	i := slices.IndexFunc(e.providers, func(p *provider) bool { return slices.Contains(p.sets, set) })
	if i < 0 {
		return oslc.Errorf(op, oslc.NotFound, "no tracked resource set %q", set)
	}
	p := e.providers[i]
	report := repairReport{Set: set, Provider: p.name, Divergences: []divergence{}, Views: []string{}}
	found, err := e.divergences(r.Context(), p)
	if err != nil {
		return oslc.E(op, err)
	}
	views, err := e.views.Contradictions(r.Context(), set, listedDivergences)
	if err != nil {
		return oslc.E(op, err)
	}
	report.Views = append(report.Views, views...)
	report.Total = len(found)
	report.Divergences = append(report.Divergences, found[:min(len(found), listedDivergences)]...)
	report.Remaining = len(found)
	if in.Apply && len(found) > 0 {
		if err := e.compareAgain(r.Context(), p); err != nil {
			return oslc.E(op, err)
		}
		report.Applied = true
		left, err := e.settled(r.Context(), found, time.Time{})
		if err != nil {
			return oslc.E(op, err)
		}
		report.Remaining = len(left)
	}
	return writeJSON(w, report)
}

// divergences compares a tool with the views, by a source of its own that publishes
// nothing.
func (e *Engine) divergences(ctx context.Context, p *provider) ([]divergence, error) {
	if p.adapter.Source == nil {
		return nil, nil // what is on the log is all that there is
	}
	if err := e.caughtUp(ctx, p); err != nil {
		return nil, err
	}
	other, err := e.cfg.build(p.name, e.opts.Adapters, adapters.Options{
		Name: p.name, BaseURL: e.cfg.BaseURL, State: &lazyState{e: e, prefix: p.uri + "/"}, Logger: e.logger.With("adapter", p.name, "run", "repair"),
	})
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	byResource := map[string]divergence{}
	done := false
	err = other.Source.Run(run, nil, func(ctx context.Context, batch ...adapters.Emission) error {
		if len(batch) == 0 { // it follows: everything is compared
			done = true
			cancel()
			return ctx.Err()
		}
		for _, em := range batch {
			if em.Event == nil {
				continue
			}
			if len(byResource) >= mostDivergences {
				return oslc.Errorf("oslcbus.compare", oslc.Unavailable, "more than %d resources differ", mostDivergences)
			}
			ev := em.Event
			byResource[ev.Subject] = divergence{ev.Subject, ev.Change.String(), ev.Changed, ev}
		}
		return nil
	})
	if !done {
		if err == nil {
			err = errors.New("the comparison ended before it was done")
		}
		return nil, oslc.E("oslcbus.compare", err, oslc.KindOf(err))
	}
	out := make([]divergence, 0, len(byResource))
	for _, d := range byResource {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b divergence) int { return compareText(a.Resource, b.Resource) })
	// What has happened a moment ago is on its way.
	return e.settled(ctx, out, time.Now().Add(settleRepair))
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// settled waits until the views have what events tell, and returns those that they have
// not when the time is up; without one, when ctx ends.
func (e *Engine) settled(ctx context.Context, list []divergence, until time.Time) ([]divergence, error) {
	for {
		wake := e.status.folded()
		left := list[:0:0]
		for _, d := range list {
			has, err := e.has(ctx, d.event)
			if err != nil {
				return nil, err
			}
			if !has {
				left = append(left, d)
			}
		}
		if list = left; len(list) == 0 {
			return list, nil
		}
		var timeout <-chan time.Time
		if !until.IsZero() {
			if time.Now().After(until) {
				return list, nil
			}
			timeout = time.After(time.Until(until))
		}
		select {
		case <-wake:
		case <-timeout:
		case <-ctx.Done():
			return list, ctx.Err()
		}
	}
}

// has reports whether the views have the state that an event leaves.
func (e *Engine) has(ctx context.Context, ev *oslc.Event) (bool, error) {
	res, err := e.views.Resource(ctx, ev.Subject)
	if errors.Is(err, oslc.NotFound) {
		return ev.Change == oslc.Deletion, nil
	}
	if err != nil || res.Deleted || ev.Change == oslc.Deletion {
		return err == nil && res.Deleted == (ev.Change == oslc.Deletion), err
	}
	if ev.Resource == nil {
		return true, nil
	}
	same, err := canon.Isomorphic(res.Graph, ev.Resource)
	return same && err == nil, nil
}

var errCompareAgain = errors.New("it was told to compare everything")

// compareAgain has the source of a provider compare everything. The record that says so
// shuts the run in progress out, so that nothing it emits comes after.
func (e *Engine) compareAgain(ctx context.Context, p *provider) error {
	end := p.interrupt.Load()
	if end == nil {
		return oslc.Errorf("oslcbus.repair", oslc.Conflict, "the source of %s runs on another replica, or not at all for the moment: ask there", p.name)
	}
	pub, err := e.log.Own(ctx, "source."+p.name, p.topic.Topic)
	if err != nil {
		return err
	}
	if err := errors.Join(compareLater(ctx, pub), pub.Close()); err != nil {
		return err
	}
	(*end)(errCompareAgain)
	return nil
}
