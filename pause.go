package oslcbus

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// A pause of a connection is a state of a resource of the bus: told on the log, shown
// by the views, and so the same for every replica and after a restart.

const connectionsKind = "connections"

func (e *Engine) connectionURI(name string) string {
	return oslc.ResourceURI(e.cfg.BaseURL, automation.BusProvider, connectionsKind, name)
}

// connectionShape describes a connection, as far as there is something to tell.
func connectionShape() *shape.Shape {
	return &shape.Shape{
		Title: "A connection to a tool", Describes: []string{vocab.BusConnectionClass},
		Properties: []shape.Property{
			textual(told("title", vocab.DCTermsTitle, shape.ExactlyOne, "")),
			told("identifier", vocab.DCTermsIdentifier, shape.ExactlyOne, rdf.XSDString),
			told("modified", vocab.DCTermsModified, shape.ZeroOrOne, rdf.XSDDateTime),
			told("type", rdf.Type, shape.ZeroOrMany, shape.Resource),
			told("serviceProvider", vocab.OSLCServiceProvider, shape.ZeroOrMany, shape.Resource),
			told("instanceShape", vocab.OSLCInstanceShape, shape.ZeroOrOne, shape.Resource),
			ranged(told("paused", vocab.BusPaused, shape.ExactlyOne, rdf.XSDBoolean), "Whether requests wait until it is resumed"),
			ranged(told("requester", vocab.BusRequester, shape.ZeroOrOne, rdf.XSDString), "Who paused or resumed it"),
		},
	}
}

// isPaused returns whether somebody paused a connection, as far as the views know, and
// the revision of that state.
func (e *Engine) isPaused(ctx context.Context, name string) (paused bool, revision string, err error) {
	uri := e.connectionURI(name)
	res, err := e.views.Resource(ctx, uri)
	if errors.Is(err, oslc.NotFound) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	paused, _ = res.Graph.Object(rdf.NewIRI(uri), vocab.BusPaused).Bool()
	return paused, res.Revision, nil
}

// takePause brings the gate of a connection to what the views say.
func (e *Engine) takePause(ctx context.Context, p *provider) error {
	paused, _, err := e.isPaused(ctx, p.name)
	if err == nil {
		e.setPause(p, paused)
	}
	return err
}

func (e *Engine) setPause(p *provider, paused bool) {
	paused = paused || p.limits.Paused
	p.gate.pause(paused)
	value := 0.0
	if paused {
		value = 1
	}
	e.metrics.paused.WithLabelValues(p.name).Set(value)
}

// noticed is called for each event of the bus's own topic once the views have it.
func (e *Engine) noticed(ev *oslc.Event) {
	e.works.noticed(ev)
	name, ours := strings.CutPrefix(ev.Subject, e.connectionURI(""))
	if !ours || ev.Resource == nil {
		return
	}
	if p := e.connection(name); p != nil {
		paused, _ := ev.Resource.Object(rdf.NewIRI(ev.Subject), vocab.BusPaused).Bool()
		e.setPause(p, paused)
	}
}

// pause puts on the log that a connection is paused or goes on, unless it is that
// already, and waits until this process knows.
func (e *Engine) pause(ctx context.Context, p *provider, paused bool, by string) error {
	const op = "oslcbus.pause"
	was, revision, err := e.isPaused(ctx, p.name)
	if err != nil || was == paused {
		return oslc.E(op, err)
	}
	uri, state, now := e.connectionURI(p.name), "resumed", time.Now()
	if paused {
		state = "paused"
	}
	g := rdf.NewGraph()
	g.Node(uri).A(vocab.BusConnectionClass).String(vocab.DCTermsIdentifier, p.name).String(vocab.DCTermsTitle, p.adapter.Provider.Title).
		Time(vocab.DCTermsModified, now).Bool(vocab.BusPaused, paused).String(vocab.BusRequester, by)
	change := oslc.Modification
	if revision == "" {
		change = oslc.Creation
	}
	rec, err := e.record(&oslc.Event{
		ID: oslc.NewID("event", state, p.name, revision), Change: change, Subject: uri,
		Listener: e.self().uri + "#asked", Time: now, Changed: []string{vocab.BusPaused}, Resource: g,
	})
	if err != nil {
		return oslc.E(op, err)
	}
	changed := func(ctx context.Context) (bool, error) {
		is, _, err := e.isPaused(ctx, p.name)
		return is == paused, err
	}
	if err := e.asker.append(ctx, rec, changed); err != nil {
		return oslc.E(op, err)
	}
	e.logger.InfoContext(ctx, "connection paused or resumed", "adapter", p.name, "state", state, "by", by)
	return oslc.E(op, e.asker.folded(ctx, changed))
}

// connectionState is a connection as operators see it.
type connectionState struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Paused says that requests wait; ByConfiguration that they do until that says
	// otherwise.
	Paused          bool `json:"paused"`
	ByConfiguration bool `json:"by_configuration,omitempty"`
	// Parallel, Rate and Burst are its limits, Rate in calls a second, 0 without one.
	Parallel int     `json:"parallel"`
	Rate     float64 `json:"rate"`
	Burst    int     `json:"burst,omitempty"`
}

func (e *Engine) connectionState(p *provider) connectionState {
	return connectionState{
		Name: p.name, Type: p.limits.Type, Paused: p.gate.isPaused(), ByConfiguration: p.limits.Paused,
		Parallel: p.limits.Parallel, Rate: p.limits.Rate, Burst: p.limits.Burst,
	}
}

// listConnections answers with the connections that take requests.
func (e *Engine) listConnections(w http.ResponseWriter, _ *http.Request) error {
	all := []connectionState{}
	for _, p := range e.connections() {
		if p.adapter.Executor != nil {
			all = append(all, e.connectionState(p))
		}
	}
	return writeJSON(w, map[string]any{"connections": all})
}

// pauseConnection answers to a POST that pauses or resumes a connection.
func (e *Engine) pauseConnection(paused bool) server.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if answered, err := server.Allow(w, r, http.MethodPost); answered || err != nil {
			return err
		}
		p := e.connection(param(r, "name"))
		if p == nil || p.adapter.Executor == nil {
			return oslc.Errorf("oslcbus.pause", oslc.NotFound, "no connection that takes requests is called %q", param(r, "name"))
		}
		if !paused && p.limits.Paused {
			return oslc.Errorf("oslcbus.pause", oslc.Conflict, "%s is paused by the configuration: take paused out of it", p.name)
		}
		if err := e.pause(r.Context(), p, paused, UserOf(r.Context())); err != nil {
			return err
		}
		return writeJSON(w, e.connectionState(p))
	}
}
