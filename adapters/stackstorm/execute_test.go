package stackstorm_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

func newExecutor(tb testing.TB, h http.Handler, log *slog.Logger, change func(*stackstorm.REST)) *stackstorm.Executor {
	tb.Helper()
	cfg := stackstorm.REST{APIKey: sandbox.Token}
	if change != nil {
		change(&cfg)
	}
	x, err := stackstorm.NewExecutor(toolURL+"/api", cfg, adapters.Options{
		Name: "st2", BaseURL: "https://bus.example", Logger: log, Client: &http.Client{Transport: inProcess{h}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

var asked atomic.Int64

// ask makes a request with an id of its own.
func ask(action string, params map[string]any) oslc.Request {
	id := oslc.NewID("request", fmt.Sprint(asked.Add(1)))
	return oslc.Request{
		ID: id, URI: "https://bus.example/services/bus/requests/" + id, Tool: "st2", Action: action,
		Created: time.Now(), Parameters: params,
	}
}

// TestExecutor runs the suite of executors on the stand-in.
func TestExecutor(t *testing.T) {
	run := ask(vocab.St2RunAction, map[string]any{"action": "core.local", "parameters": map[string]any{"cmd": "echo " + hidden}})
	refused := ask(vocab.St2RunAction, map[string]any{"action": "nopack.none"})
	adaptertest.Executor(t, adaptertest.ExecutorConfig{
		Request: run, Failing: refused, FailingKind: oslc.Invalid, Secrets: []string{hidden, sandbox.Token},
		Tool: func(context.Context) (adaptertest.ExecutorTool, error) {
			s, err := sandbox.NewStackStorm("")
			return adaptertest.ExecutorTool{
				Open:    func(log *slog.Logger) (adapters.Executor, error) { return newExecutor(t, s, log, nil), nil },
				Effects: s.Executions,
			}, err
		},
	})
}

// counted counts the calls that write.
type counted struct {
	http.Handler
	mu     sync.Mutex
	writes []string
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		c.mu.Lock()
		c.writes = append(c.writes, r.Method)
		c.mu.Unlock()
	}
	c.Handler.ServeHTTP(w, r)
}

// TestExecutor_rules carries out the actions on rules one after the other.
func TestExecutor_rules(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	tool := &counted{Handler: s}
	x := newExecutor(t, tool, nil, nil)
	toggling := newExecutor(t, tool, nil, func(c *stackstorm.REST) { c.EmptyUpdateToggles = true })
	made := map[string]any{
		"name": "on_hook", "pack": "demo", "trigger": "core.st2.webhook", "trigger_parameters": map[string]any{"url": "hook"},
		"action": "core.http", "action_parameters": `{"url": "http://x.example", "n": 7}`, "enabled": true,
	}
	const ref = "demo.on_hook"
	maybe := func(r oslc.Request) oslc.Request { r.MaybeDoneAt = time.Now(); return r }
	by := func(r oslc.Request, target string) oslc.Request { r.Target = target; return r }
	with := func(more map[string]any) map[string]any { more["rule"] = ref; return more }
	var uri string
	for _, tt := range []struct {
		what    string
		x       adapters.Executor
		r       oslc.Request
		writes  string // the calls that write
		message string
		kind    oslc.Kind // of the error, if one is wanted
		shows   map[string]any
	}{
		{
			what: "create", r: ask(vocab.St2CreateRuleAction, made), writes: "POST", message: "created rule demo.on_hook",
			shows: map[string]any{"enabled": true, "name": "on_hook"},
		},
		{what: "create once more", r: ask(vocab.St2CreateRuleAction, made), writes: "POST", message: "rule demo.on_hook is there"},
		{
			what: "create another one of that name", kind: oslc.Conflict, writes: "POST", message: "duplicate",
			r: ask(vocab.St2CreateRuleAction, map[string]any{"name": "on_hook", "pack": "demo", "trigger": "core.st2.webhook", "trigger_parameters": `{"url": "other"}`, "action": "core.http"}),
		},
		{what: "create without what is needed", r: ask(vocab.St2CreateRuleAction, map[string]any{"pack": "demo", "action": "core.http"}), kind: oslc.Invalid, message: "create-rule needs name, trigger"},
		{what: "create with a trigger that is not there", r: ask(vocab.St2CreateRuleAction, map[string]any{"name": "n", "trigger": "no.such", "action": "core.http"}), writes: "POST", kind: oslc.Invalid, message: "does not exist in system"},
		{what: "create with a wrong value", r: ask(vocab.St2CreateRuleAction, map[string]any{"name": "n", "trigger": "t", "action": "a", "criteria": "no JSON"}), kind: oslc.Invalid, message: "criteria"},
		{what: "disable", r: ask(vocab.St2DisableRuleAction, with(map[string]any{})), writes: "PUT", message: "disabled rule demo.on_hook", shows: map[string]any{"enabled": false}},
		{what: "disable again", r: ask(vocab.St2DisableRuleAction, with(map[string]any{})), message: "rule demo.on_hook is disabled already"},
		{what: "enable by its URI", r: by(ask(vocab.St2EnableRuleAction, nil), "uri"), writes: "PUT", message: "enabled rule demo.on_hook", shows: map[string]any{"enabled": true}},
		{what: "enable what is not there", r: ask(vocab.St2EnableRuleAction, map[string]any{"rule": "demo.none"}), kind: oslc.NotFound, message: "not found"},
		{what: "enable nothing", r: ask(vocab.St2EnableRuleAction, nil), kind: oslc.Invalid, message: "which rule?"},
		{what: "enable another tool's", r: by(ask(vocab.St2EnableRuleAction, nil), "https://jira.example/browse/X-1"), kind: oslc.Invalid, message: "no rule of this StackStorm"},
		{
			what: "update", r: ask(vocab.St2UpdateRuleAction, with(map[string]any{"description": "New", "enabled": false})), writes: "PUT",
			message: "updated rule", shows: map[string]any{"description": "New", "enabled": false, "name": "on_hook"},
		},
		{what: "update again", r: ask(vocab.St2UpdateRuleAction, with(map[string]any{"description": "New", "enabled": false})), message: "is updated already"},
		{what: "update nothing", r: ask(vocab.St2UpdateRuleAction, with(map[string]any{})), kind: oslc.Invalid, message: "needs something to change"},
		{what: "toggle", x: toggling, r: ask(vocab.St2UpdateRuleAction, with(map[string]any{})), writes: "PUT", shows: map[string]any{"enabled": true}},
		{what: "toggle what may be toggled", x: toggling, r: maybe(ask(vocab.St2UpdateRuleAction, with(map[string]any{}))), kind: oslc.Conflict, message: "may have switched"},
		{what: "delete", r: ask(vocab.St2DeleteRuleAction, with(map[string]any{})), writes: "DELETE", message: "deleted rule demo.on_hook"},
		{what: "delete again", r: ask(vocab.St2DeleteRuleAction, with(map[string]any{})), kind: oslc.NotFound, message: "not found"},
		{what: "delete what an attempt may have deleted", r: maybe(ask(vocab.St2DeleteRuleAction, with(map[string]any{}))), message: "gone"},
		{what: "run", r: ask(vocab.St2RunAction, map[string]any{"action": "core.echo", "parameters": `{"message": "hi"}`}), writes: "POST", message: "core.echo succeeded"},
		{what: "run what fails", r: ask(vocab.St2RunAction, map[string]any{"action": "core.local", "parameters": `{"cmd": "exit 3"}`}), writes: "POST", message: "core.local failed"},
		{what: "run without parameters", r: ask(vocab.St2RunAction, map[string]any{"action": "core.local"}), writes: "POST", kind: oslc.Invalid, message: "'cmd' is a required property"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			if tt.x == nil {
				tt.x = x
			}
			if tt.r.Target == "uri" {
				tt.r.Target = uri
			}
			tool.writes = nil
			res, err := tt.x.Execute(t.Context(), tt.r)
			said := res.Message
			if err != nil {
				said = err.Error()
			}
			if tt.kind != 0 && !errors.Is(err, tt.kind) || tt.kind == 0 && err != nil {
				t.Fatalf("got %v, want kind %v", err, tt.kind)
			}
			if !strings.Contains(said, tt.message) {
				t.Errorf("it says %q, want %q", said, tt.message)
			}
			if got := strings.Join(tool.writes, " "); got != tt.writes {
				t.Errorf("calls that write: %q, want %q", got, tt.writes)
			}
			if err != nil {
				return
			}
			want := oslc.Passed
			if strings.HasSuffix(tt.message, "failed") {
				want = oslc.Failed
			}
			if res.Verdict != want || res.Request != tt.r.URI {
				t.Errorf("verdict %s of %s", res.Verdict, res.Request)
			}
			if tt.what == "create" {
				uri = res.Created
			}
			if tt.shows == nil {
				return
			}
			rule := call(t, s, http.MethodGet, "/"+ref, nil)
			for name, v := range tt.shows {
				if rule[name] != v {
					t.Errorf("%s is %v, want %v", name, rule[name], v)
				}
			}
			if n := rule["action"].(map[string]any)["parameters"].(map[string]any)["n"]; n != 7.0 {
				t.Errorf("the parameter n became %v", n)
			}
		})
	}
}

// TestExecutor_errors: what StackStorm answers keeps its kind, its words, and no
// secret.
func TestExecutor_errors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		kind   oslc.Kind
	}{
		{400, oslc.Invalid},
		{401, oslc.Denied},
		{403, oslc.Denied},
		{404, oslc.NotFound},
		{409, oslc.Conflict},
		{429, oslc.Limited},
		{500, oslc.Unavailable},
		{503, oslc.Unavailable},
		{302, oslc.Denied},
	} {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(`{"faultstring": "no, said the tool to ` + sandbox.Token + `"}`))
		})
		_, err := newExecutor(t, h, nil, nil).Execute(t.Context(), ask(vocab.St2EnableRuleAction, map[string]any{"rule": "a.b"}))
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), "no, said the tool") || strings.Contains(err.Error(), sandbox.Token) {
			t.Errorf("%d: got %v, want kind %v", tt.status, err, tt.kind)
		}
	}
}

// TestExecutor_followsAnEarlierExecution: an execution that an attempt has begun, the
// answer of which was lost, is not begun again.
func TestExecutor_followsAnEarlierExecution(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	lost := true
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lost && r.Method == http.MethodPost {
			lost = false
			s.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		s.ServeHTTP(w, r)
	})
	r := ask(vocab.St2RunAction, map[string]any{"action": "core.noop"})
	if _, err := newExecutor(t, h, nil, nil).Execute(t.Context(), r); !errors.Is(err, oslc.Unavailable) {
		t.Fatalf("got %v, want unavailable", err)
	}
	res, err := newExecutor(t, h, nil, nil).Execute(t.Context(), r)
	if err != nil || res.Verdict != oslc.Passed || s.Executions() != 1 {
		t.Errorf("%+v, %v, after %d executions; want one that passed", res, err, s.Executions())
	}
}

// TestActions: what is offered can be asked for, and nothing else is.
func TestActions(t *testing.T) {
	t.Parallel()
	var names []string
	for _, a := range stackstorm.Actions() {
		names = append(names, a.Name)
		if a.IRI == "" || a.Title == "" {
			t.Errorf("%s lacks IRI or title", a.Name)
		}
		for _, p := range a.Parameters {
			if p.Help == "" {
				t.Errorf("%s: %s has no help", a.Name, p.Name)
			}
		}
	}
	if want := []string{"create-rule", "update-rule", "enable-rule", "disable-rule", "delete-rule", "run-action"}; !slices.Equal(names, want) {
		t.Errorf("actions %v, want %v", names, want)
	}
}
