// Package adaptertest holds the suites that every adapter passes: Source and
// Executor, and a Host to run sources on.
package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A Tool is what a source watches in a test.
type Tool struct {
	// Open returns the source as a program that starts would make it. Everything
	// that it keeps of its own is in cache, which is nil where it has to do
	// without. All sources that Open returns see the same tool.
	Open func(state adapters.State, cache adapters.Cache, log *slog.Logger) (adapters.Source, error)
	// Change makes the tool change. It is called once, when the first cursor is on
	// the log; nil means that the tool says everything by itself.
	Change func(ctx context.Context) error
}

// A SourceConfig is a source under test.
type SourceConfig struct {
	// Tool returns a new tool, always with the same content.
	Tool func(ctx context.Context) (Tool, error)
	// Events is how many different events a run from the beginning has.
	Events int
	// Secrets must not appear in events, errors or logs.
	Secrets []string
	// Within bounds how long Events may take; 0 means 30 s.
	Within time.Duration
}

// stopWithin is how long a source may take to return after its context ended.
const stopWithin = time.Second

// Source checks that a source keeps the contract of adapters.Source.
func Source(t *testing.T, cfg SourceConfig) {
	t.Helper()
	for _, c := range sourceChecks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		})
	}
}

type sourceCheck struct {
	name string
	run  func(context.Context, SourceConfig) error
}

var sourceChecks = []sourceCheck{
	{"EmitsWhatThereIs", checkEvents},
	{"ResumeAtEveryCut", checkResume},
	{"CrashAtEveryCut", checkCrashes},
	{"SameIDsInTwoRuns", checkIDs},
	{"BadCursorIsGone", checkBadCursor},
	{"AfterGoneOnlyDifferences", checkAfterGone},
	{"EmitErrorStops", checkEmitError},
	{"StopsWithContext", checkStops},
	{"TellsNoSecrets", checkSecrets},
}

func (cfg SourceConfig) within() time.Duration {
	if cfg.Within > 0 {
		return cfg.Within
	}
	return 30 * time.Second
}

// A world is a tool under test.
type world struct {
	SourceConfig
	Tool
	changed chan struct{} // closed once the tool was asked to change
}

func (cfg SourceConfig) world(ctx context.Context) (*world, error) {
	tool, err := cfg.Tool(ctx)
	return &world{SourceConfig: cfg, Tool: tool, changed: make(chan struct{})}, err
}

// start runs a new source on a host, until stop is called, which returns what Run
// returned.
func (w *world) start(ctx context.Context, h *Host, from adapters.Cursor, cache adapters.Cache, log *slog.Logger) (ended <-chan error, stop func() error, err error) {
	src, err := w.Open(h, cache, log)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	emit := func(ctx context.Context, batch ...adapters.Emission) error {
		err := h.Emit(ctx, batch...)
		if h.Cursor() == nil {
			return err
		}
		select {
		case <-w.changed:
		default:
			close(w.changed)
			if w.Change != nil {
				if err := w.Change(ctx); err != nil {
					return err
				}
			}
		}
		return err
	}
	go func() { done <- src.Run(ctx, from, emit) }()
	return done, func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(stopWithin):
			return fmt.Errorf("Run did not return within %v of its context's end", stopWithin)
		}
	}, nil
}

// until runs a source on a host until done says true.
func (w *world) until(ctx context.Context, h *Host, from adapters.Cursor, cache adapters.Cache, log *slog.Logger, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, w.within())
	defer cancel()
	ended, stop, err := w.start(ctx, h, from, cache, log)
	if err != nil {
		return err
	}
	enough := make(chan error, 1)
	go func() { enough <- h.Wait(ctx, done) }()
	select {
	case err := <-ended:
		return fmt.Errorf("Run returned early, with %d of %d events: %w", len(h.Distinct()), w.Events, err)
	case err := <-enough:
		if err != nil {
			_ = stop()
			return fmt.Errorf("%d of %d events within %v:\n%s", len(h.Distinct()), w.Events, w.within(), strings.Join(ids(h.Distinct()), "\n"))
		}
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Run returned %w, want its context's error", err)
	}
	return nil
}

// collect runs a source on a host until the host has all events.
func (w *world) collect(ctx context.Context, h *Host, from adapters.Cursor, cache adapters.Cache) error {
	return w.until(ctx, h, from, cache, nil, func() bool { return len(h.Distinct()) >= w.Events })
}

// whole runs a new tool's source from the beginning to the end.
func (cfg SourceConfig) whole(ctx context.Context) (*world, *Host, *Cache, error) {
	w, err := cfg.world(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	h, c := &Host{}, &Cache{}
	return w, h, c, w.collect(ctx, h, nil, c)
}

func ids(events []*oslc.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.Change.String() + " " + e.Subject + " " + e.ID
	}
	return out
}

func checkEvents(ctx context.Context, cfg SourceConfig) error {
	_, h, _, err := cfg.whole(ctx)
	if err != nil {
		return err
	}
	if h.Cursor() == nil {
		return errors.New("no cursor came with the events")
	}
	for _, e := range h.Events() {
		back, err := oslc.ParseEvent(e.Graph())
		if err != nil {
			return fmt.Errorf("an event does not parse: %w", err)
		}
		if back.ID != e.ID || back.Subject != e.Subject || back.Change != e.Change {
			return fmt.Errorf("event %s says something else when it is parsed", e.ID)
		}
		if e.Listener == "" {
			return fmt.Errorf("event %s does not say what noticed it", e.ID)
		}
		if e.Change != oslc.Deletion && e.Resource.Len() == 0 {
			return fmt.Errorf("event %s has no resource", e.ID)
		}
	}
	return nil
}

// upTo returns a host whose log ends after n emissions of another's.
func (h *Host) upTo(n int) *Host {
	out := &Host{}
	for _, e := range h.all[:n] {
		out.take(e)
	}
	return out
}

// checkResume goes on from every cursor of a run, with the cache of its end, which
// is ahead of the log then, and without any.
func checkResume(ctx context.Context, cfg SourceConfig) error {
	w, whole, cache, err := cfg.whole(ctx)
	if err != nil {
		return err
	}
	for cut := 1; cut <= len(whole.all); cut++ {
		for name, c := range map[string]adapters.Cache{"a cache": cache.clone(), "an empty cache": &Cache{}, "no cache": nil} {
			h := whole.upTo(cut)
			if len(h.Distinct()) < cfg.Events {
				if err := w.collect(ctx, h, h.Cursor(), c); err != nil {
					return fmt.Errorf("after %d, with %s: %w", cut, name, err)
				}
			}
			if diff := cmp.Diff(ids(whole.Distinct()), ids(h.Distinct())); diff != "" {
				return fmt.Errorf("after %d, with %s: the events differ from a run without a cut (-want +got):\n%s", cut, name, diff)
			}
			if err := sameState(whole, h); err != nil {
				return fmt.Errorf("after %d, with %s: %w", cut, name, err)
			}
		}
	}
	return nil
}

// checkCrashes makes the log fail after each emission, of a new tool each time, and
// goes on with the cache that the broken run left.
func checkCrashes(ctx context.Context, cfg SourceConfig) error {
	_, whole, _, err := cfg.whole(ctx)
	if err != nil {
		return err
	}
	for cut := 1; cut < len(whole.all); cut++ {
		w, err := cfg.world(ctx)
		if err != nil {
			return err
		}
		h, cache := &Host{Limit: cut}, &Cache{}
		ended, stop, err := w.start(ctx, h, nil, cache, nil)
		if err != nil {
			return err
		}
		select {
		case err = <-ended:
		case <-time.After(w.within()):
			_ = stop()
			return fmt.Errorf("crash after %d: Run goes on", cut)
		}
		if err != ErrFull { //nolint:errorlint // the contract is the very error
			return fmt.Errorf("crash after %d: Run returned %w, want emit's error as it came", cut, err)
		}
		h.Lift()
		if len(h.Distinct()) < cfg.Events {
			if err := w.collect(ctx, h, h.Cursor(), cache); err != nil {
				return fmt.Errorf("crash after %d: %w", cut, err)
			}
		}
		// Another tool has other identifiers; what happened to which resource is
		// the same.
		if diff := cmp.Diff(what(whole.Distinct()), what(h.Distinct())); diff != "" {
			return fmt.Errorf("crash after %d: the events differ from a run without one (-want +got):\n%s", cut, diff)
		}
	}
	return nil
}

func what(events []*oslc.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.Change.String() + " " + e.Subject
	}
	return out
}

func sameState(want, got *Host) error {
	for uri, g := range want.state {
		if diff := cmp.Diff(triples(g), triples(got.state[uri])); diff != "" {
			return fmt.Errorf("<%s> ends differently (-want +got):\n%s", uri, diff)
		}
	}
	for uri := range got.state {
		if want.state[uri] == nil {
			return fmt.Errorf("<%s> should be deleted", uri)
		}
	}
	return nil
}

func triples(g *rdf.Graph) map[rdf.Triple]bool {
	out := map[rdf.Triple]bool{}
	for t := range g.All() {
		out[t] = true
	}
	return out
}

// checkIDs runs twice from the beginning.
func checkIDs(ctx context.Context, cfg SourceConfig) error {
	w, err := cfg.world(ctx)
	if err != nil {
		return err
	}
	w.Change = nil
	var runs [2]Host
	for i := range runs {
		h := &runs[i]
		if err := w.until(ctx, h, nil, &Cache{}, nil, func() bool { return h.Cursor() != nil }); err != nil {
			return err
		}
	}
	n := min(len(runs[0].Events()), len(runs[1].Events()))
	if diff := cmp.Diff(ids(runs[0].Events()[:n]), ids(runs[1].Events()[:n])); diff != "" {
		return fmt.Errorf("two runs name their events differently:\n%s", diff)
	}
	return nil
}

func checkBadCursor(ctx context.Context, cfg SourceConfig) error {
	w, err := cfg.world(ctx)
	if err != nil {
		return err
	}
	for _, bad := range []string{"no such place", "", "\x00\xff"} {
		ended, stop, err := w.start(ctx, &Host{}, adapters.Cursor(bad), &Cache{}, nil)
		if err != nil {
			return err
		}
		select {
		case err = <-ended:
		case <-time.After(w.within()):
			err = stop()
		}
		if !errors.Is(err, oslc.Gone) {
			return fmt.Errorf("cursor %q: Run returned %w, want kind gone", bad, err)
		}
	}
	return nil
}

// checkAfterGone runs from the beginning on a log that has everything already.
func checkAfterGone(ctx context.Context, cfg SourceConfig) error {
	w, h, _, err := cfg.whole(ctx)
	if err != nil {
		return err
	}
	before := len(h.Events())
	h.cursor = nil
	if err := w.until(ctx, h, nil, &Cache{}, nil, func() bool { return h.Cursor() != nil }); err != nil {
		return err
	}
	if extra := h.Events()[before:]; len(extra) > 0 {
		return fmt.Errorf("a log that has everything got %d more events, first %v", len(extra), ids(extra[:1]))
	}
	return nil
}

func checkEmitError(ctx context.Context, cfg SourceConfig) error {
	w, err := cfg.world(ctx)
	if err != nil {
		return err
	}
	boom := errors.New("boom")
	ended, stop, err := w.start(ctx, &Host{Fail: boom}, nil, &Cache{}, nil)
	if err != nil {
		return err
	}
	select {
	case err = <-ended:
	case <-time.After(w.within()):
		_ = stop()
		return errors.New("Run goes on after emit failed")
	}
	if err != boom { //nolint:errorlint // the contract is the very error
		return fmt.Errorf("Run returned %w, want emit's error as it came", err)
	}
	return nil
}

func checkStops(ctx context.Context, cfg SourceConfig) error {
	w, err := cfg.world(ctx)
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	src, err := w.Open(&Host{}, &Cache{}, nil)
	if err != nil {
		return err
	}
	if err := src.Run(ended, nil, (&Host{}).Emit); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("a context that ended before: Run returned %w", err)
	}
	// collect stops a source that waits for changes and looks at the time.
	return w.collect(ctx, &Host{}, nil, &Cache{})
}

func checkSecrets(ctx context.Context, cfg SourceConfig) error {
	w, err := cfg.world(ctx)
	if err != nil {
		return err
	}
	var log lockedBuffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := &Host{}
	if err := w.until(ctx, h, nil, &Cache{}, logger, func() bool { return len(h.Distinct()) >= w.Events }); err != nil {
		return err
	}
	var said strings.Builder
	said.WriteString(log.String())
	for _, e := range h.all {
		said.Write(e.At)
		if e.Event == nil {
			continue
		}
		for t := range e.Event.Graph().All() {
			fmt.Fprintln(&said, t.S.Value, t.P.Value, t.O.Value)
		}
	}
	for _, secret := range cfg.Secrets {
		if strings.Contains(said.String(), secret) {
			// The text around it is not shown: it would be a leak of its own.
			return fmt.Errorf("a secret of %d characters appears in what the source says", len(secret))
		}
	}
	return nil
}

// A lockedBuffer is a bytes.Buffer that goroutines may share.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
