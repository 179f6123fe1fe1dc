package probe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/jira"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/probe"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

const config = `
connections:
  st2: {type: sandbox}
  jira: {type: jira, url: %q, user: demo@example.com, token: sandbox, settle: 10ms}
rules:
  - name: ticket
    on: {provider: st2, events: ["st2:RuleDisabled"]}
    do: {tool: jira, action: create-issue, with: {project: DEMO, type: Task, summary: 'Rule disabled'}}
`

const body = `<> a <http://open-services.net/ns/cm#ChangeRequest> ; <http://purl.org/dc/terms/title> "made by the probe %d" ;
	<https://oslcbus.github.io/ns/st2#triggerType> "core.st2.CronTimer" ; <https://oslcbus.github.io/ns/st2#actionRef> "core.noop" .`

// A fault changes what the server gets or answers. Either may be nil.
type fault struct {
	in  func(r *http.Request) // before the server sees it
	out func(r *http.Request, a *answer)
}

// An answer of the server, which a fault may change.
type answer struct {
	status int
	header http.Header
	body   string
}

// serve runs a bus with five rules, one of which led to a ticket, behind a proxy with
// the fault, and returns its address.
func serve(t *testing.T, f fault) string {
	t.Helper()
	st2, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	tickets, err := sandbox.NewJira("", "DEMO")
	if err != nil {
		t.Fatal(err)
	}
	tool, issues := httptest.NewServer(st2), httptest.NewServer(tickets)
	t.Cleanup(tool.Close)
	t.Cleanup(issues.Close)
	inner := httptest.NewUnstartedServer(nil)
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := r.Clone(r.Context())
		if f.in != nil {
			f.in(r)
		}
		a, err := ask(inner.Listener.Addr().String(), r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		if f.out != nil {
			f.out(seen, a)
		}
		a.header.Del("Content-Length")
		maps.Copy(w.Header(), a.header)
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(outer.Close)
	cfg, err := oslcbus.ParseConfig("probe.yml", fmt.Appendf(nil, config, issues.URL), oslcbus.ConfigOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Data, cfg.Listen, cfg.BaseURL = t.TempDir(), inner.Listener.Addr().String(), outer.URL
	told := make(chan string, 1000)
	engine, err := oslcbus.New(cfg, oslcbus.Options{
		Listener: inner.Listener,
		Adapters: adapters.Registry{
			"jira": jira.Build,
			"sandbox": func(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
				if err := decode(&struct{}{}); err != nil {
					return adapters.Adapter{}, err
				}
				return sandbox.Adapter(st2, tool.URL, opts)
			},
		},
		Observe: func(_ string, e *oslc.Event) {
			if e.Change == oslc.Creation {
				told <- e.Subject
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the bus ended with %v", err)
		}
	})
	wait := func(part string) {
		t.Helper()
		for {
			select {
			case subject := <-told:
				if strings.Contains(subject, part) {
					return
				}
			case <-time.After(60 * time.Second):
				t.Fatalf("waited in vain for an event about %s", part)
			}
		}
	}
	for i := range 5 {
		if _, err := st2.Create(fmt.Sprintf("rule_%c", 'a'+i), "A rule to look at"); err != nil {
			t.Fatal(err)
		}
	}
	for _, rule := range st2.Rules() {
		wait(fmt.Sprint(rule["id"])) // each is known before it changes
	}
	if err := st2.SetEnabled(fmt.Sprint(st2.Rules()[0]["id"]), false); err != nil {
		t.Fatal(err)
	}
	wait("/bus/results/")
	return outer.URL
}

// ask passes a request on to the bus.
func ask(addr string, r *http.Request) (*answer, error) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", addr, ""
	resp, err := testkit.HTTP.Transport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return &answer{resp.StatusCode, resp.Header, string(b)}, err
}

func run(t *testing.T, url string, only ...string) *probe.Report {
	t.Helper()
	r, err := probe.Run(t.Context(), probe.Config{URL: url, Write: true, Body: body, Only: only})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
