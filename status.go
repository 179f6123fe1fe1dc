package oslcbus

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
)

// status knows which components work.
type status struct {
	mu    sync.Mutex
	state map[string]error // nil: works
	notes map[string]string
	wake  chan struct{} // closed and replaced when views moved
}

func newStatus() *status {
	return &status{state: map[string]error{}, notes: map[string]string{}, wake: make(chan struct{})}
}

// fold tells that views moved; folded returns what is closed then.
func (s *status) fold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *status) folded() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wake
}

func (s *status) of(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state[name]
}

func (s *status) set(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state[name] = err
}

func (s *status) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.state, name)
}

// note has something said of a component that works; empty takes it back.
func (s *status) note(name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[name] = text
}

// check is one line of the answer of /readyz.
type check struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

func (s *status) checks() []check {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]check, 0, len(s.state))
	for name, err := range s.state {
		c := check{Name: name, Ready: err == nil, Reason: s.notes[name]}
		if err != nil {
			c.Reason = oslc.Message(err)
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b check) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return out
}

// pinger is a log that can tell whether it is reachable.
type pinger interface {
	Ping(ctx context.Context) error
}

// pingWithin bounds the look at the log: an orchestrator asks every few seconds.
const pingWithin = 2 * time.Second

// healthz answers 200 while the process is alive.
func (e *Engine) healthz(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err := w.Write([]byte("ok\n"))
	return err
}

// readyz answers 200 when every component works, else 503 with the reason of
// each that does not.
func (e *Engine) readyz(w http.ResponseWriter, r *http.Request) error {
	checks := e.status.checks()
	if p, ok := e.log.(pinger); ok {
		ctx, cancel := context.WithTimeout(r.Context(), pingWithin)
		err := p.Ping(ctx)
		cancel()
		c := check{Name: "log", Ready: err == nil}
		if err != nil {
			c.Reason = oslc.Message(err)
		}
		checks = append([]check{c}, checks...)
	}
	code := http.StatusOK
	if slices.ContainsFunc(checks, func(c check) bool { return !c.Ready }) {
		code = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(map[string]any{"ready": code == http.StatusOK, "checks": checks}); err != nil {
		return errors.Unwrap(err) // the client went away
	}
	return nil
}
