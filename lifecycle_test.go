package oslcbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// What follows is a model of the life of requests. A tool's changes and people ask for
// requests; the tool answers each attempt as a script says; replicas are stopped, or die
// with what they have not put on the log yet; people cancel. However these come together:
//
//   - every request that was asked for ends, once, and stays as it ended;
//   - it has its effect once, where it passed, and at most once else;
//   - what its script and the wishes say is how it ended;
//   - effects on one target come in the order of the requests on the log;
//   - once the answer was that it is canceled, the tool is not called for it any more;
//     neither is it by a bus that is started when the wish is on the log.

const modelBase = "http://bus.test"

// A replica is a running bus.
type replica struct {
	dir    string
	url    string
	engine *Engine
	log    *dyingLog
	stop   context.CancelFunc
	ended  chan error
}

// A life is one run of the model.
type life struct {
	*rapid.T
	tb       testing.TB
	tool     *modelTool
	brokers  []string
	replicas []*replica
	n        int            // numbers given so far
	uris     map[int]string // of the requests that must end
	targets  map[int]string
	wished   map[int]bool
	told     map[int]bool // canceled, as somebody was told
	logged   map[int]bool // to be canceled, as the log says
	wanted   map[int]oslc.Verdict
	crashes  int
}

func (l *life) config(dir string) Config {
	cfg := Config{
		Listen: "127.0.0.1:0", BaseURL: modelBase, Data: dir,
		Connections: map[string]Connection{"tool": NewConnection("model", func(any) error { return nil })},
	}
	conn := cfg.Connections["tool"]
	conn.Parallel = 3
	conn.Retry = RetryConfig{Attempts: 1000, Min: time.Millisecond, Max: 2 * time.Millisecond}
	cfg.Connections["tool"] = conn
	if l.brokers != nil {
		cfg.Kafka.Brokers, cfg.Kafka.SessionTimeout = l.brokers, 6*time.Second
	}
	rules, err := ParseConfig("rules.yml", []byte(`rules: [{name: r, on: {provider: tool}, do: {tool: tool, action: act, with: {n: '${resource["dcterms:identifier"]}'}}}]`), ConfigOptions{})
	if err != nil {
		l.tb.Fatal(err)
	}
	// The rule answers changes of the tool it is for: that the request is back where it
	// began is no loop here.
	cfg.Rules = rules.Rules
	return cfg
}

func (l *life) start(r *replica) {
	ln, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(l.tb.Context()), "tcp", "127.0.0.1:0")
	if err != nil {
		l.tb.Fatal(err)
	}
	var x adapters.Executor = l.tool
	if l.tool.stopping {
		x = stoppable{l.tool}
	}
	e, err := New(l.config(r.dir), Options{Listener: ln, Adapters: adapters.Registry{
		"model": func(_ func(any) error, opts adapters.Options) (adapters.Adapter, error) {
			return adapters.Adapter{
				Provider: oslc.ServiceProvider{Name: opts.Name, Services: []oslc.Service{{Domain: vocab.CM, Collections: []oslc.Collection{{Kind: "things"}}}}},
				Source:   l.tool, Executor: x,
				Actions: []oslc.Action{{Name: "act", IRI: "urn:act", Title: "Act", Parameters: []oslc.Parameter{{Name: "n", Required: true}}}},
			}, nil
		},
	}})
	if err != nil {
		l.tb.Fatal(err)
	}
	r.log = &dyingLog{}
	e.spoil = func(log bus.Log) bus.Log {
		r.log.Log = log
		if _, shared := log.(bus.Holder); shared {
			return sharedLog{r.log}
		}
		return r.log
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(l.tb.Context()))
	r.engine, r.stop, r.ended = e, stop, make(chan error, 1)
	go func() { r.ended <- e.Run(ctx) }()
	select {
	case <-e.Ready():
	case err := <-r.ended:
		l.tb.Fatal(err)
	}
	r.url = "http://" + e.Addr()
}

// end stops a replica. One that dies leaves nothing more on the log.
func (l *life) end(r *replica, dies bool) {
	if dies {
		l.crashes++
		r.log.dead.Store(true)
	}
	r.stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		l.tool.release() // or it would wait for what is held
		select {
		case err := <-r.ended:
			if !errors.Is(err, context.Canceled) && !dies {
				l.tb.Errorf("the bus ended with %v", err)
			}
			return
		case <-tick.C:
		}
	}
}

func (l *life) eventually(what string, ok func() bool) {
	deadline, tick := time.After(60*time.Second), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			l.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// send makes a call, and returns status 0 where there is no answer.
func (l *life) send(r *replica, method, path, body string, header ...string) (int, http.Header, string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.tb.Context()), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, strings.NewReader(body))
	if err != nil {
		l.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/turtle")
	req.Header.Set("Accept", "application/n-triples")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := testkit.HTTP.Do(req)
	if err != nil {
		return 0, nil, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, ""
	}
	return resp.StatusCode, resp.Header, string(b)
}

// number draws the script of a request and what is to become of it.
func (l *life) number(target string) int {
	l.n++
	script := rapid.SliceOfN(rapid.SampledFrom([]outcome{done, lost, away, limited, refused, held, held, heldDone}), 0, 4).Draw(l.T, "script")
	want := oslc.Passed
	for _, o := range script {
		if o == done || o == lost || o == heldDone { // after lost it is found
			break
		}
		if o == refused {
			want = oslc.Failed
			break
		}
	}
	l.tool.mu.Lock()
	l.tool.scripts[l.n] = script
	l.tool.mu.Unlock()
	l.targets[l.n], l.wanted[l.n] = target, want
	return l.n
}

func (l *life) some() *replica { return rapid.SampledFrom(l.replicas).Draw(l.T, "replica") }

// change has something happen in the tool, which a rule answers.
func (l *life) change() {
	target := modelTarget(rapid.IntRange(0, 1).Draw(l.T, "target"))
	n := l.number(target)
	l.uris[n] = oslc.ResourceURI(modelBase, "bus", "requests", oslc.NewID("request", modelEvent(n), "r"))
	l.tool.mu.Lock()
	defer l.tool.mu.Unlock()
	l.tool.changes = append(l.tool.changes, modelChange{n, target})
	close(l.tool.more)
	l.tool.more = make(chan struct{})
}

// ask asks for something over HTTP. Only where the answer says so must it be done.
func (l *life) ask() {
	target := ""
	if rapid.Bool().Draw(l.T, "about something") {
		target = modelTarget(rapid.IntRange(0, 1).Draw(l.T, "target"))
	}
	n := l.number(target)
	about := ""
	if target != "" {
		about = "<https://oslcbus.github.io/ns#target> <" + target + "> ; "
	}
	status, header, body := l.send(l.some(), http.MethodPost, "/actions", `<> a <`+vocab.AutoAutomationRequest+`> ; <`+vocab.AutoExecutesAutomationPlan+`> <urn:act> ; `+about+
		`<`+vocab.AutoInputParameter+`> [ <`+vocab.OSLCName+`> "n" ; <`+rdf.NS+`value> `+fmt.Sprint(n)+` ] .`, "Prefer", "respond-async")
	// The tool may have refused it already, or somebody may have canceled it.
	if at := header.Get("Location"); at != "" {
		l.uris[n] = at
	} else if status != 0 && status < 500 {
		l.Fatalf("asking: %d: %s", status, body)
	}
}

// cancel wants a request canceled, which may be anywhere in its life.
func (l *life) cancel() {
	if len(l.uris) == 0 {
		return
	}
	all := make([]int, 0, len(l.uris))
	for n := range l.uris {
		all = append(all, n)
	}
	slices.Sort(all)
	n := rapid.SampledFrom(all).Draw(l.T, "canceled")
	wait := rapid.SampledFrom([]string{"wait=0", "wait=1"}).Draw(l.T, "wait")
	status, _, body := l.send(l.some(), http.MethodPut, strings.TrimPrefix(l.uris[n], modelBase),
		`<> <`+vocab.AutoDesiredState+`> <`+vocab.AutoCanceled+`> .`, "Prefer", wait)
	l.wished[n] = true
	switch {
	case status == http.StatusOK:
		l.told[n] = true
		l.settled(n)
	case status == http.StatusAccepted:
		l.logged[n] = true
	case status == 0 || status == http.StatusNotFound || status == http.StatusConflict || status >= 500:
	default:
		l.Fatalf("canceling: %d: %s", status, body)
	}
}

// settled notes that the tool must not be called for a request any more.
func (l *life) settled(n int) {
	l.tool.mu.Lock()
	defer l.tool.mu.Unlock()
	if _, before := l.tool.gone[n]; !before && !slices.Contains(l.tool.effects, n) {
		l.tool.gone[n] = l.tool.calls[n]
	}
}

// restart stops a replica and starts it again, in order or not.
func (l *life) restart() {
	r := l.some()
	how := rapid.SampledFrom([]string{"stop", "die", "die in an append", "die with the views"}).Draw(l.T, "how")
	if how == "die in an append" {
		// The next append is kept, but who made it never hears so.
		r.log.dieing.Store(true)
	}
	l.end(r, how != "stop")
	if how == "die with the views" {
		for _, pattern := range []string{"oslcbus.db*", "cache.db*"} {
			files, _ := filepath.Glob(filepath.Join(r.dir, pattern))
			for _, f := range files {
				if err := os.Remove(f); err != nil {
					l.tb.Fatal(err)
				}
			}
		}
	}
	if len(l.replicas) == 1 {
		for n := range l.logged {
			l.settled(n)
		}
	}
	l.start(r)
}

// progress lets something more come on the log, if it comes soon.
func (l *life) progress() {
	r := l.some()
	before := r.log.appends.Load()
	soon, tick := time.After(20*time.Millisecond), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for r.log.appends.Load() == before {
		select {
		case <-tick.C:
		case <-soon:
			return
		}
	}
}

// lifeTime is how long each variant looks for a life that goes wrong, unless the
// environment names another.
const lifeTime = 5 * time.Second

func testLives(t *testing.T, replicas int, brokers func(testing.TB) []string) {
	budget := lifeTime
	if v := os.Getenv("OSLCBUS_LIVES"); v != "" {
		var err error
		if budget, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	deadline, lives := time.Now().Add(budget), 0
	live := func(rt *rapid.T) {
		if lives > 0 && time.Now().After(deadline) && !t.Failed() {
			return
		}
		lives++
		l := &life{
			T: rt, tb: t, tool: newModelTool(rapid.Bool().Draw(rt, "can be stopped")), uris: map[int]string{}, targets: map[int]string{},
			wished: map[int]bool{}, told: map[int]bool{}, logged: map[int]bool{}, wanted: map[int]oslc.Verdict{},
		}
		if brokers != nil {
			l.brokers = brokers(t)
		}
		for range replicas {
			r := &replica{dir: t.TempDir()}
			l.start(r)
			l.replicas = append(l.replicas, r)
		}
		defer func() {
			for _, r := range l.replicas {
				l.end(r, false)
			}
		}()
		ops := map[string]func(){
			"change": l.change, "ask": l.ask, "cancel": l.cancel, "restart": l.restart, "release": l.tool.release, "progress": l.progress,
		}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			ops[rapid.SampledFrom([]string{"change", "change", "ask", "ask", "cancel", "cancel", "restart", "release", "progress", "progress"}).Draw(rt, "op")]()
		}
		l.check()
	}
	for lives == 0 || time.Now().Before(deadline) && !t.Failed() {
		rapid.Check(t, live)
	}
	t.Logf("%d lives", lives)
}

// TestLives holds the engine against the model on the embedded log.
func TestLives(t *testing.T) {
	t.Parallel()
	testLives(t, 1, nil)
}

// TestLives_replicas does so with two replicas on Kafka.
func TestLives_replicas(t *testing.T) {
	t.Parallel()
	testLives(t, 2, func(tb testing.TB) []string {
		c, err := kfake.NewCluster(kfake.Ports(0), kfake.NumBrokers(1))
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(c.Close)
		return c.ListenAddrs()
	})
}
