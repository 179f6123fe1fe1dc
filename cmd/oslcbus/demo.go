package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// demoConfig is the configuration of the demo; only the kind of the StackStorm
// connection and the address of Jira are not what a real one would have.
const demoConfig = `
title: oslcbus demo
connections:
  st2:
    type: sandbox-stackstorm
  jira:
    type: jira
    url: ${JIRA_URL}
    user: ` + sandbox.User + `
    token: ` + sandbox.Token + `
    settle: 10ms
rules:
  - name: rule-disabled-ticket
    on: {provider: st2, events: ["st2:RuleDisabled"]}
    do:
      tool: jira
      action: create-issue
      with:
        project: DEMO
        type: Task
        summary: Rule ${resource["st2:ruleRef"]} was disabled
        description: |
          Somebody disabled the rule ${resource.title}.

          Is that meant to be so? If not, enable it again.
`

// demoAddresses are kept with the data: URIs must stay what they were.
type demoAddresses struct {
	Bus        string `json:"bus"`
	StackStorm string `json:"stackstorm"`
	Jira       string `json:"jira"`
}

func demo(ctx context.Context, p *program, args []string) error {
	f := flags(p, "demo")
	listen := f.String("listen", "127.0.0.1:8080", "`address` of the bus; port 0 takes a free one. With -data the first run decides")
	data := f.String("data", "", "`folder` to keep everything in; without one nothing is kept")
	script := f.Bool("script", false, "create, disable and delete a rule, check what came of it, and end")
	level := f.String("log", "error", "least `level` that is logged: debug, info, warn or error")
	o := outputFlag(f)
	if err := parse(f, args); err != nil {
		return err
	}
	var lv slog.Level
	if err := lv.UnmarshalText([]byte(*level)); err != nil {
		return oslc.E("demo", fmt.Errorf("-log: %w", err), oslc.Invalid)
	}
	dir := *data
	if dir == "" {
		tmp, err := os.MkdirTemp("", "oslcbus-demo-")
		if err != nil {
			return oslc.E("demo", err, oslc.Unavailable)
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	log := logger(p.err, lv)
	tracing, done, err := spans(ctx, log)
	if err != nil {
		return err
	}
	defer done()
	d, err := newDemo(ctx, dir, *listen, &printer{w: p.out, json: *o == "json"}, log, tracing)
	if err != nil {
		return err
	}
	return d.run(ctx, *script)
}

type demoRun struct {
	engine  *oslcbus.Engine
	st2     *sandbox.StackStorm
	jira    *sandbox.Jira
	servers []*http.Server
	serving sync.WaitGroup
	urls    demoAddresses
	print   *printer
}

func newDemo(ctx context.Context, dir, listen string, out *printer, log *slog.Logger, tracing trace.TracerProvider) (*demoRun, error) {
	const op = "demo"
	d := &demoRun{print: out}
	var at demoAddresses
	keep := filepath.Join(dir, "demo.json")
	switch b, err := os.ReadFile(keep); {
	case err == nil:
		if err := json.Unmarshal(b, &at); err != nil {
			return nil, oslc.E(op, fmt.Errorf("%s: %w", keep, err), oslc.Invalid)
		}
	case errors.Is(err, fs.ErrNotExist):
		at = demoAddresses{Bus: listen, StackStorm: "127.0.0.1:0", Jira: "127.0.0.1:0"}
	default:
		return nil, oslc.E(op, err, oslc.Unavailable)
	}
	var err error
	if d.st2, err = sandbox.NewStackStorm(dir); err != nil {
		return nil, err
	}
	if d.jira, err = sandbox.NewJira(dir, "DEMO"); err != nil {
		return nil, err
	}
	if len(d.st2.Rules()) == 0 {
		if _, err := d.st2.Create("deploy_on_push", "Deploys what was pushed to main"); err != nil {
			return nil, err
		}
	}
	if d.urls.StackStorm, at.StackStorm, err = d.serve(ctx, at.StackStorm, d.st2); err != nil {
		return nil, err
	}
	if d.urls.Jira, at.Jira, err = d.serve(ctx, at.Jira, d.jira); err != nil {
		return nil, err
	}
	ln, err := bind(ctx, at.Bus)
	if err != nil {
		return nil, err
	}
	at.Bus = ln.Addr().String()
	d.urls.Bus = "http://" + at.Bus
	b, err := json.Marshal(at)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(keep, b, 0o600)
	}
	if err != nil {
		return nil, oslc.E(op, err, oslc.Unavailable)
	}
	cfg, err := oslcbus.ParseConfig("demo", []byte(demoConfig), oslcbus.ConfigOptions{Getenv: func(name string) (string, bool) {
		return d.urls.Jira, name == "JIRA_URL"
	}})
	if err != nil {
		return nil, err
	}
	cfg.Listen, cfg.BaseURL, cfg.Data = at.Bus, d.urls.Bus, dir
	registry := all.Adapters()
	registry["sandbox-stackstorm"] = d.connect
	d.engine, err = oslcbus.New(cfg, oslcbus.Options{
		Adapters: registry, Logger: log, Listener: ln, Observe: d.observe, Version: buildVersion(),
		TracerProvider: tracing,
	})
	return d, err
}

// bind listens on an address; one that is in use is told in words.
func bind(ctx context.Context, addr string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return nil, oslc.Errorf("demo", oslc.Invalid, "-listen: %q is no address such as 127.0.0.1:8080", addr)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, oslc.E("demo", fmt.Errorf("%w (-listen 127.0.0.1:0 takes a free port; with -data the ports of the first run are needed again)", err), oslc.Unavailable)
	}
	return ln, nil
}

func (d *demoRun) serve(ctx context.Context, addr string, h http.Handler) (url, bound string, err error) {
	ln, err := bind(ctx, addr)
	if err != nil {
		return "", "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	d.servers = append(d.servers, srv)
	d.serving.Go(func() { _ = srv.Serve(ln) }) // ends with Close
	bound = ln.Addr().String()
	return "http://" + bound, bound, nil
}

// connect is the adapter of the sandbox StackStorm: the real one's mapping, on the
// stand-in's own journal instead of MongoDB.
func (d *demoRun) connect(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
	if err := decode(&struct{}{}); err != nil {
		return adapters.Adapter{}, err
	}
	return sandbox.Adapter(d.st2, d.urls.StackStorm, opts)
}

// provider is the name of the StackStorm connection.
const demoProvider = "st2"

func (d *demoRun) run(ctx context.Context, script bool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- d.engine.Run(ctx) }()
	select {
	case <-d.engine.Ready():
		d.print.addresses(d.urls)
	case err := <-done:
		d.close()
		return err
	}
	var failed error
	if script {
		failed = d.script(ctx)
		stop()
	}
	err := <-done
	d.close()
	if script {
		return failed
	}
	return stopped(ctx, err)
}

func (d *demoRun) close() {
	for _, s := range d.servers {
		_ = s.Close()
	}
	d.serving.Wait()
}

// observe prints what happens.
func (d *demoRun) observe(provider string, e *oslc.Event) {
	d.print.event(provider, e)
}

// printer writes lines for people or objects for programs.
type printer struct {
	mu   sync.Mutex
	w    io.Writer
	json bool
	seen map[string]int  // events by resource, for the script
	told map[string]bool // keys of the issues whose result was printed
}

func (p *printer) addresses(u demoAddresses) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		_ = writeJSON(p.w, u)
		return
	}
	fmt.Fprintf(p.w, "bus: %s\nstackstorm: %s\njira: %s\n", u.Bus, u.StackStorm, u.Jira)
}

func (p *printer) event(provider string, e *oslc.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[string]int{}
	}
	p.seen[e.Subject]++
	kinds := []string{e.Change.String()}
	for _, t := range e.Types {
		if name, ok := rdf.Compact(t); ok {
			kinds = append(kinds, name)
		}
	}
	var res *oslc.Result
	if e.Resource != nil && e.Resource.IsA(rdf.NewIRI(e.Subject), vocab.AutoAutomationResult) {
		if r, err := oslc.ParseResult(e.Resource, e.Subject); err == nil {
			res = &r
			if p.told == nil {
				p.told = map[string]bool{}
			}
			p.told[r.Key] = true
		}
	}
	if p.json {
		out := map[string]any{"provider": provider, "event": e.URI(), "change": e.Change.String(), "types": e.Types, "resource": e.Subject, "time": e.Time}
		if res != nil {
			out["verdict"], out["key"], out["created"], out["message"] = strings.TrimPrefix(string(res.Verdict), vocab.Auto), res.Key, res.Created, res.Message
		}
		_ = writeJSON(p.w, out)
		return
	}
	now := time.Now().Format("15:04:05.000")
	switch {
	case res != nil && res.Created != "":
		fmt.Fprintf(p.w, "%s  effect  %s %s\n", now, res.Message, res.Created)
	case res != nil:
		fmt.Fprintf(p.w, "%s  effect  %s: %s\n", now, strings.TrimPrefix(string(res.Verdict), vocab.Auto), res.Message)
	case provider == demoProvider:
		fmt.Fprintf(p.w, "%s  event   %s %s %s\n", now, strings.Join(kinds, " "), e.Resource.Value(rdf.NewIRI(e.Subject), vocab.DCTermsTitle), e.Subject)
	}
}

func (p *printer) count(subject string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[subject]
}

// effects counts the issues among keys whose result was printed.
func (p *printer) effects(keys []string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, k := range keys {
		if p.told[k] {
			n++
		}
	}
	return n
}

func (p *printer) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		_ = writeJSON(p.w, map[string]string{"script": fmt.Sprintf(format, args...)})
		return
	}
	fmt.Fprintf(p.w, "script: "+format+"\n", args...)
}
