package stackstorm_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestCancel stops executions at every moment of their life. What Execute returns says
// how they ended.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what, cmd string
		method    string // the call of the run before whose answer it is canceled; none: before or after the run
		after     bool   // once the run has ended
		begun     bool
		kind      oslc.Kind // of Cancel's error
		state     oslc.State
		verdict   oslc.Verdict
		runs      int // executions that StackStorm has
	}{
		{"nothing of it was ever begun", "sleep 9999", "", false, false, 0, "", "", 0},
		{"while it looks for an earlier one", "sleep 9999", "GET executions", false, true, 0, oslc.Canceled, oslc.NoVerdict, 0},
		{"while it begins", "sleep 9999", "POST executions", false, true, 0, oslc.Canceled, oslc.NoVerdict, 1},
		{"while it runs", "sleep 9999", "GET executions/", false, true, 0, oslc.Canceled, oslc.NoVerdict, 1},
		{"after it has ended", "echo", "", true, true, oslc.Conflict, oslc.Complete, oslc.Passed, 1},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			s, err := sandbox.NewStackStorm("")
			if err != nil {
				t.Fatal(err)
			}
			r := ask(vocab.St2RunAction, map[string]any{"action": "core.local", "parameters": map[string]any{"cmd": tt.cmd}})
			canceled := make(chan struct{})
			var began bool
			var refusal error
			var cancel func()
			h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				_, path, _ := strings.Cut(req.URL.Path, "/v1/")
				if strings.HasPrefix(path, "executions/") {
					path = "executions/"
				}
				s.ServeHTTP(w, req)
				if tt.method == req.Method+" "+path {
					select {
					case <-canceled:
					default:
						close(canceled)
						cancel()
					}
				}
			})
			x := newExecutor(t, h, nil, nil)
			cancel = func() { began, refusal = x.Cancel(t.Context(), r) }
			if tt.method == "" && !tt.after {
				cancel()
			} else {
				res, err := x.Execute(t.Context(), r)
				if err != nil || res.State != tt.state || res.Verdict != tt.verdict {
					t.Errorf("the run returned %+v, %v, want %s, %s", res, err, tt.state, tt.verdict)
				}
				if tt.after {
					cancel()
				}
			}
			if began != tt.begun || !errors.Is(refusal, tt.kind) && tt.kind != 0 || tt.kind == 0 && refusal != nil {
				t.Errorf("Cancel returned %t, %v, want %t, kind %v", began, refusal, tt.begun, tt.kind)
			}
			if n := s.Executions(); n != tt.runs {
				t.Errorf("StackStorm has %d executions, want %d", n, tt.runs)
			}
		})
	}
}

// TestCancel_otherActions: what is done to a rule cannot be stopped, and an execution of
// a process before is found and stopped.
func TestCancel_otherActions(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	x := newExecutor(t, s, nil, nil)
	if _, err := x.Cancel(t.Context(), ask(vocab.St2EnableRuleAction, nil)); !errors.Is(err, oslc.Unsupported) {
		t.Errorf("got %v, want kind unsupported", err)
	}
	r := ask(vocab.St2RunAction, map[string]any{"action": "core.local", "parameters": map[string]any{"cmd": "sleep 9999"}})
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/executions", strings.NewReader(
		`{"action": "core.local", "parameters": {"cmd": "sleep 9999"}, "context": {"trace_context": {"trace_tag": "`+r.ID+`"}}}`))
	req.Header.Set("St2-Api-Key", sandbox.Token)
	s.ServeHTTP(httptest.NewRecorder(), req)
	if begun, err := x.Cancel(t.Context(), r); !begun || err != nil {
		t.Fatalf("Cancel returned %t, %v", begun, err)
	}
	if res, err := x.Execute(t.Context(), r); err != nil || res.State != oslc.Canceled || s.Executions() != 1 {
		t.Errorf("the run returned %+v, %v, after %d executions", res, err, s.Executions())
	}
}
