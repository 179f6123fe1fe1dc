package oslcbus_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// rig is a whole bus in this process, with sandbox tools behind real HTTP. It can
// be stopped and started again on the same data.
type rig struct {
	t    testing.TB
	dir  string
	yaml string
	url  string

	st2     *sandbox.StackStorm
	st2URL  string
	jira    *sandbox.Jira
	jiraURL string
	// jiraFault, when set, answers instead of Jira while it returns true.
	jiraFault func(w http.ResponseWriter, r *http.Request) bool

	registry adapters.Registry // beside the adapters that there are
	spans    trace.TracerProvider
	now      func() time.Time
	prepare  func(*oslcbus.Engine)           // before it runs
	listener func(net.Listener) net.Listener // what it listens with
	base     string                          // the public address, when it is another one than url

	engine *oslcbus.Engine
	addr   string
	stop   context.CancelFunc
	done   chan error
	log    *lockedBuffer

	mu     sync.Mutex
	events []seen
	gate   sync.RWMutex // held while the events of st2 are
}

// st2Delay keeps what changes in StackStorm from being told until release is called.
func (r *rig) st2Delay() (release func()) {
	r.gate.Lock()
	release = sync.OnceFunc(r.gate.Unlock)
	r.t.Cleanup(release) // before the bus is stopped, which waits for its sources
	return release
}

// gated tells events while nobody holds the gate.
type gated struct {
	adapters.Source
	gate *sync.RWMutex
}

func (g gated) Run(ctx context.Context, from adapters.Cursor, emit adapters.Emit) error {
	return g.Source.Run(ctx, from, func(ctx context.Context, batch ...adapters.Emission) error {
		g.gate.RLock()
		defer g.gate.RUnlock()
		return emit(ctx, batch...)
	})
}

type seen struct {
	provider string
	event    *oslc.Event
}

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

// ruleTicket is the rule of most tests.
const ruleTicket = `
rules:
  - name: rule-disabled-ticket
    on: {provider: st2, events: ["st2:RuleDisabled"]}
    do:
      tool: jira
      action: create-issue
      with: {project: DEMO, type: Task, summary: 'Rule ${resource["st2:ruleRef"]} was disabled', description: "Look at it."}
`

// newRig makes a rig; yaml is its configuration without the connections st2 and
// jira, which it gets unless yaml has connections.
func newRig(t testing.TB, yaml string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), yaml: yaml, log: &lockedBuffer{}}
	var err error
	if r.st2, err = sandbox.NewStackStorm(""); err != nil {
		t.Fatal(err)
	}
	if r.jira, err = sandbox.NewJira("", "DEMO"); err != nil {
		t.Fatal(err)
	}
	st2 := httptest.NewServer(r.st2)
	t.Cleanup(st2.Close)
	jira := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		fault := r.jiraFault
		r.mu.Unlock()
		if fault == nil || !fault(w, req) {
			r.jira.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(jira.Close)
	r.st2URL, r.jiraURL = st2.URL, jira.URL
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the bus:\n%s", r.log)
		}
		if r.stop != nil {
			r.stop()
			if err := <-r.done; oslc.KindOf(err) != oslc.Internal {
				t.Errorf("the bus ended with %v", err)
			}
		}
	})
	return r
}

func (r *rig) config() oslcbus.Config {
	r.t.Helper()
	text := r.yaml
	if !strings.Contains(text, "connections:") {
		text += fmt.Sprintf(`
connections:
  st2: {type: sandbox}
  jira: {type: jira, url: %q, user: %q, token: %q, settle: 50ms, retry: {attempts: 4, min: 5ms, max: 50ms}}
`, r.jiraURL, sandbox.User, sandbox.Token)
	}
	cfg, err := oslcbus.ParseConfig("rig.yml", []byte(text), oslcbus.ConfigOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	cfg.Data = r.dir
	return cfg
}

// start runs the bus and waits until it is ready.
func (r *rig) start() *rig {
	r.t.Helper()
	r.launch()
	r.eventually("the bus to be ready", func() bool {
		resp, _ := r.get("/readyz")
		return resp.StatusCode == http.StatusOK
	})
	return r
}

// launch runs the bus and waits only until it listens.
func (r *rig) launch() {
	r.t.Helper()
	if r.addr == "" {
		r.addr = "127.0.0.1:0"
	}
	ln, err := (&net.ListenConfig{}).Listen(r.t.Context(), "tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	r.url = "http://" + r.addr
	if r.listener != nil {
		ln = r.listener(ln)
	}
	cfg := r.config()
	cfg.Listen, cfg.BaseURL = r.addr, cmp.Or(r.base, r.url)
	registry := all.Adapters()
	registry["sandbox"] = func(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
		if err := decode(&struct{}{}); err != nil {
			return adapters.Adapter{}, err
		}
		a, err := sandbox.Adapter(r.st2, r.st2URL, opts)
		a.Source = gated{a.Source, &r.gate}
		return a, err
	}
	maps.Copy(registry, r.registry)
	reg := prometheus.NewRegistry()
	r.engine, err = oslcbus.New(cfg, oslcbus.Options{
		Now: r.now, Adapters: registry, Listener: ln, Registerer: reg, Gatherer: reg, TracerProvider: r.spans,
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(provider string, e *oslc.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, seen{provider, e})
		},
	})
	if err != nil {
		ln.Close()
		r.t.Fatal(err)
	}
	if r.prepare != nil {
		r.prepare(r.engine)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	r.stop, r.done = stop, make(chan error, 1)
	go func() { r.done <- r.engine.Run(ctx) }()
	select {
	case <-r.engine.Ready():
	case err := <-r.done:
		r.stop = nil
		r.t.Fatal(err)
	}
}

// halt stops the bus as SIGTERM does.
func (r *rig) halt() {
	r.t.Helper()
	r.stop()
	started := time.Now()
	if err := <-r.done; err == nil || oslc.KindOf(err) != oslc.Internal {
		r.t.Errorf("Run returned %v, want the end of its context", err)
	}
	if d := time.Since(started); d > 10*time.Second {
		r.t.Errorf("stopping took %v", d)
	}
	r.stop = nil
}

// eventually waits for something that takes milliseconds, with patience for a
// loaded machine.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(3*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			r.t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// seenOf returns the events about a resource, oldest first; "" means of the
// provider st2.
func (r *rig) seenOf(uri string) []*oslc.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*oslc.Event
	for _, s := range r.events {
		if s.event.Subject == uri || uri == "" && s.provider == "st2" {
			out = append(out, s.event)
		}
	}
	return out
}

func (r *rig) get(path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.do(http.MethodGet, path, header...)
}

func (r *rig) do(method, path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.send(method, path, "", header...)
}

// graph reads an RDF answer.
func (r *rig) graph(path string) *rdf.Graph {
	r.t.Helper()
	resp, body := r.get(path, "Accept", "text/turtle")
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s: %s: %s", path, resp.Status, body)
	}
	g, err := format.Parse([]byte(body), format.Turtle, r.url+path, rdf.Limits{})
	if err != nil {
		r.t.Fatalf("GET %s: %v in\n%s", path, err, body)
	}
	return g
}

// rest calls the sandbox StackStorm.
func (r *rig) rest(method, path string, in any) map[string]any {
	r.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			r.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.st2URL+"/api/v1/rules"+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("St2-Api-Key", sandbox.Token)
	resp, err := testkit.HTTP.Transport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		r.t.Fatalf("%s %s: %s: %s %v", method, path, resp.Status, b, err)
	}
	var out map[string]any
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			r.t.Fatal(err)
		}
	}
	return out
}

// create makes a rule and returns it with the URI of its resource.
func (r *rig) create(name string) (rule map[string]any, uri string) {
	r.t.Helper()
	rule = r.rest(http.MethodPost, "", map[string]any{
		"name": name, "pack": "demo", "enabled": true, "description": "A rule",
		"trigger": map[string]any{"type": "core.st2.webhook", "parameters": map[string]any{"url": "hook"}},
		"action":  map[string]any{"ref": "core.local", "parameters": map[string]any{"cmd": "echo", "password": "not-a-real-secret"}},
	})
	return rule, oslc.ResourceURI(r.url, "st2", "changeRequests", fmt.Sprint(rule["id"]))
}

func (r *rig) setEnabled(rule map[string]any, enabled bool) {
	r.t.Helper()
	rule["enabled"] = enabled
	r.rest(http.MethodPut, "/"+fmt.Sprint(rule["id"]), rule)
}

func (r *rig) delete(rule map[string]any) {
	r.t.Helper()
	r.rest(http.MethodDelete, "/"+fmt.Sprint(rule["id"]), nil)
}

func changes(events []*oslc.Event) string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.Change.String()
		for _, t := range e.Types {
			if name, ok := rdf.Compact(t); ok {
				out[i] += "+" + name
			}
		}
	}
	return strings.Join(out, " ")
}

func (r *rig) fault(fn func(w http.ResponseWriter, req *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jiraFault = fn
}
