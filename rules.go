package oslcbus

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

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
		if err := e.withoutRules(ctx, stage); err != nil {
			return err
		}
		return stage.Run(ctx)
	})
}

// hasEvents reports whether there is a connection whose events rules can judge.
func (e *Engine) hasEvents() bool {
	return slices.ContainsFunc(e.connections(), func(p *provider) bool { return p.adapter.Source != nil })
}

func (e *Engine) applyRules(ctx context.Context, topic string, d bus.Delivery) ([]bus.Record, error) {
	rules := e.rules.Load() // one set judges an event, whatever is reloaded meanwhile
	if bus.IsMarker(d.Message) || rules.Len() == 0 {
		return nil, nil
	}
	ev, err := e.decode(d.Message)
	if err != nil {
		return []bus.Record{e.deadLetter(ctx, topic, d, 0, err)}, nil
	}
	ctx = oslc.WithTrace(ctx, ev.Trace)
	provider := ""
	for _, p := range e.connections() {
		if p.topic.Topic == topic {
			provider = p.name
		}
	}
	began := e.tracer.now()
	matches, looped := rules.Match(ev, provider)
	if looped {
		e.metrics.looped.Inc()
		e.logger.WarnContext(ctx, "rules do not answer: too many requests led to this event", "topic", topic, "event", ev.ID, "hops", ev.Hops)
	}
	var out []bus.Record
	for _, m := range matches {
		in := e.tracer.judged(ctx, began, m.Rule, ev, m.Err)
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
		inOrder(&rec, &r)
		out = append(out, rec)
		e.tracer.asked(in, r.Created, &r)
		e.logger.DebugContext(ctx, "rule asks", "rule", m.Rule, "event", ev.ID, "request", r.URI)
	}
	return out, nil
}

// headerTarget carries what a request is about: requests to one tool about one
// resource are carried out in order.
const headerTarget = "oslcbus_target"

// inOrder marks the record of a request. One that is about no resource waits for no
// other.
func inOrder(rec *bus.Record, r *oslc.Request) {
	if r.Target != "" {
		rec.Header.Set(headerTarget, r.Tool+" "+r.Target)
	}
}

// forAnother reports whether a record is marked as about a request to another tool.
func forAnother(d bus.Delivery, tool string) bool {
	name, _, marked := strings.Cut(d.Header.Get(headerTarget), " ")
	return marked && name != tool
}

func (e *Engine) requestEvent(r *oslc.Request, cause *oslc.Event) *oslc.Event {
	return &oslc.Event{
		ID: oslc.NewID("event", "request", r.ID), Change: oslc.Creation, Subject: r.URI,
		Listener: e.self().uri + "#rules", Time: r.Created, Hops: cause.Hops, Resource: r.Graph(), Trace: r.Trace,
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

// Rules returns how many rules are in force.
func (e *Engine) Rules() int { return e.rules.Load().Len() }

// Explain returns what each rule makes of an event, without asking for anything.
// provider is the name of the connection that the event is of; empty means that
// of the event's listener. It fails with kind Invalid when there is no such
// connection.
func (e *Engine) Explain(ev *oslc.Event, provider string) ([]automation.Explanation, error) {
	var names []string
	for _, p := range e.connections() {
		names = append(names, p.name)
		if provider == "" && strings.HasPrefix(ev.Listener+"#", p.uri+"#") {
			provider = p.name
		}
	}
	switch {
	case slices.Contains(names, provider):
	case provider != "":
		return nil, oslc.Errorf("oslcbus.explain", oslc.Invalid, "no connection is called %q; the connections are: %s", provider, strings.Join(names, ", "))
	default:
		return nil, oslc.Errorf("oslcbus.explain", oslc.Invalid,
			"which connection is the event of? Its listener is <%s>; the connections are: %s", ev.Listener, strings.Join(names, ", "))
	}
	return e.rules.Load().Explain(ev, provider), nil
}
