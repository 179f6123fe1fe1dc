package webhook_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/webhook"
	"github.com/oslcbus/oslcbus/oslc"
)

// builds is a tool that takes calls. It knows a repeat by its key.
type builds struct {
	mu   sync.Mutex
	made map[string]int
	seen []call
	// answer, when set, answers instead.
	answer func(w http.ResponseWriter, r *http.Request)
}

type call struct {
	Method, URI, Body string
	Header            http.Header
}

func (b *builds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, call{r.Method, r.RequestURI, string(body), r.Header.Clone()})
	if b.answer != nil {
		b.answer(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+secret || r.Header.Get("X-Hub-Signature-256") != "sha256="+hex.EncodeToString(mac([]byte(secret), string(body))) {
		http.Error(w, "who are you, "+r.Header.Get("Authorization"), http.StatusUnauthorized)
		return
	}
	if strings.Contains(string(body), "nowhere") {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprintf(w, `{"message": "there is no branch, %s"}`, secret)
		return
	}
	id := r.Header.Get("Idempotency-Key")
	n, again := b.made[id]
	if !again {
		n = len(b.made) + 1
		b.made[id] = n
	}
	w.Header().Set("Location", fmt.Sprintf("/runs/%d", n))
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id": "run-%d", "queue": {"position": %d}}`, n, n)
}

func newBuilds(t *testing.T) (*builds, string) {
	b := &builds{made: map[string]int{}}
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	return b, srv.URL
}

func calls(url string) webhook.CallConfig {
	return webhook.CallConfig{
		URL: url + "/api/", Token: secret, Headers: map[string]string{"X-Env": "test"}, Sign: &webhook.SignConfig{Secret: secret},
		Actions: []webhook.ActionConfig{
			{
				Name: "build", Path: "/jobs/${job}/runs?ref=${branch}&by=${request.rule}",
				Body: map[string]any{
					"branch": "${branch}", "clean": "${clean}", "depth": "${depth}", "why": "asked by ${request.id} on $${host}",
					"list": []any{"${branch}", "${none}", 1}, "fixed": true,
				},
				Headers: map[string]string{"X-Branch": "${branch}"},
				Parameters: []webhook.ParameterConfig{
					{Name: "job", Required: true},
					{Name: "branch", Required: true},
					{Name: "clean"},
					{Name: "depth"},
					{Name: "none"},
				},
				Result: webhook.ResultConfig{Key: "id", Outputs: map[string]string{"position": "queue.position", "queue": "queue"}},
			},
			{Name: "once", Method: http.MethodPut, Path: "/once", Once: true, Success: []int{204, 303}},
		},
	}
}

func executor(t testing.TB, cfg webhook.CallConfig, log *slog.Logger) *webhook.Executor {
	t.Helper()
	x, err := webhook.NewExecutor(cfg, adapters.Options{Name: "ci", BaseURL: base, Logger: log, Now: func() time.Time { return moment }})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func ask(id, action string, with map[string]any) oslc.Request {
	return oslc.Request{ID: oslc.NewID(id), URI: base + "/services/bus/requests/" + id, Tool: "ci", Rule: "a rule & more", Action: base + "/services/ci#" + action, Parameters: with}
}

func TestExecutor(t *testing.T) {
	t.Parallel()
	adaptertest.Executor(t, adaptertest.ExecutorConfig{
		Tool: func(context.Context) (adaptertest.ExecutorTool, error) {
			b, url := newBuilds(t)
			return adaptertest.ExecutorTool{
				Open: func(log *slog.Logger) (adapters.Executor, error) { return executor(t, calls(url), log), nil },
				Effects: func() int {
					b.mu.Lock()
					defer b.mu.Unlock()
					return len(b.made)
				},
			}, nil
		},
		Request:     ask("works", "build", map[string]any{"job": "hello", "branch": "main"}),
		Failing:     ask("fails", "build", map[string]any{"job": "hello", "branch": "nowhere"}),
		FailingKind: oslc.Invalid,
		Secrets:     []string{secret},
	})
}

// TestCall: what goes over the wire, and what is read of the answer.
func TestCall(t *testing.T) {
	t.Parallel()
	b, url := newBuilds(t)
	r := ask("one", "build", map[string]any{"job": "a/b c", "branch": "f&x=1", "clean": true, "depth": int64(3)})
	trace := oslc.TraceOf(r.ID)
	res, err := executor(t, calls(url), nil).Execute(oslc.WithTrace(t.Context(), trace), r)
	if err != nil {
		t.Fatal(err)
	}
	want := oslc.Result{
		Request: r.URI, Verdict: oslc.Passed, Message: "POST " + url + "/api/jobs/a%2Fb%20c/runs?ref=f%26x%3D1&by=a+rule+%26+more: 201 Created",
		Created: url + "/runs/1", Key: "run-1", Outputs: map[string]any{"position": int64(1), "queue": map[string]any{"position": 1.0}},
	}
	if d := cmp.Diff(want, res); d != "" {
		t.Errorf("the result (-want +got):\n%s", d)
	}
	got := b.seen[0]
	if got.Method != http.MethodPost || got.URI != "/api/jobs/a%2Fb%20c/runs?ref=f%26x%3D1&by=a+rule+%26+more" {
		t.Errorf("called %s %s", got.Method, got.URI)
	}
	for name, v := range map[string]string{"Idempotency-Key": r.ID, "X-Env": "test", "X-Branch": "f&x=1", "Content-Type": "application/json", "Traceparent": trace.Parent} {
		if got.Header.Get(name) != v {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), v)
		}
	}
	var body any
	if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{
		"branch": "f&x=1", "clean": true, "depth": 3.0, "why": "asked by " + r.ID + " on ${host}", "list": []any{"f&x=1", 1.0}, "fixed": true,
	}, body); d != "" {
		t.Errorf("the body (-want +got):\n%s", d)
	}
}

// TestCall_refused: parameters do not lead elsewhere, and never reach the tool then.
func TestCall_refused(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]map[string]any{
		"up":            {"job": "..", "branch": "main"},
		"here":          {"job": ".", "branch": "main"},
		"nothing":       {"job": "", "branch": "main"},
		"missing":       {"branch": "main"},
		"two lines":     {"job": "a", "branch": "main\r\nX-Evil: 1"},
		"null":          {"job": nil, "branch": "main"},
		"a zero in one": {"job": "a", "branch": "\x00"},
	} {
		b, url := newBuilds(t)
		_, err := executor(t, calls(url), nil).Execute(t.Context(), ask(name, "build", with))
		if oslc.KindOf(err) != oslc.Invalid || err == nil || len(b.seen) > 0 {
			t.Errorf("%s: %v, and the tool was called %d times", name, err, len(b.seen))
		}
	}
}

// TestCall_answers: each answer has its kind, and no other host is called.
func TestCall_answers(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was called") }))
	t.Cleanup(other.Close)
	status := func(code int, header ...string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		want   oslc.Kind
		wait   time.Duration
		passed bool
	}{
		"400":                  {answer: status(400), want: oslc.Invalid},
		"401":                  {answer: status(401), want: oslc.Denied},
		"403":                  {answer: status(403), want: oslc.Denied},
		"404":                  {answer: status(404), want: oslc.NotFound},
		"405":                  {answer: status(405), want: oslc.Unsupported},
		"409":                  {answer: status(409), want: oslc.Conflict},
		"410":                  {answer: status(410), want: oslc.NotFound},
		"412":                  {answer: status(412), want: oslc.Conflict},
		"422":                  {answer: status(422), want: oslc.Invalid},
		"425":                  {answer: status(425), want: oslc.Unavailable},
		"429":                  {answer: status(429, "Retry-After", "7"), want: oslc.Limited, wait: 7 * time.Second},
		"500":                  {answer: status(500), want: oslc.Unavailable},
		"501":                  {answer: status(501), want: oslc.Unsupported},
		"503 with a date":      {answer: status(503, "Retry-After", moment.Add(time.Minute).Format(http.TimeFormat)), want: oslc.Unavailable, wait: time.Minute},
		"503 for years":        {answer: status(503, "Retry-After", "99999999"), want: oslc.Unavailable, wait: 24 * time.Hour},
		"elsewhere":            {answer: status(302, "Location", other.URL), want: oslc.Denied},
		"200, which is not it": {answer: status(200), want: oslc.Invalid},
		"303":                  {answer: status(303, "Location", other.URL), passed: true},
		"a line that is cut": {answer: func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		}, want: oslc.Unavailable},
	} {
		b, url := newBuilds(t)
		b.answer = c.answer
		res, err := executor(t, calls(url), nil).Execute(t.Context(), ask(name, "once", nil))
		switch {
		case c.passed && (err != nil || res.Verdict != oslc.Passed):
			t.Errorf("%s: %+v, %v", name, res, err)
		case !c.passed && (err == nil || oslc.KindOf(err) != c.want || oslc.RetryAfter(err) != c.wait):
			t.Errorf("%s: %v, kind %v, after %v", name, err, oslc.KindOf(err), oslc.RetryAfter(err))
		}
	}
}

// TestCall_once: what must not be repeated is not, when it may have been heard.
func TestCall_once(t *testing.T) {
	t.Parallel()
	b, url := newBuilds(t)
	r := ask("maybe", "once", nil)
	r.MaybeDoneAt = moment
	if _, err := executor(t, calls(url), nil).Execute(t.Context(), r); oslc.KindOf(err) != oslc.Conflict || len(b.seen) != 0 {
		t.Errorf("%v, called %d times", err, len(b.seen))
	}
}

// TestCall_noJSON: a call that was done is done, also where the answer does not say what.
func TestCall_noJSON(t *testing.T) {
	t.Parallel()
	b, url := newBuilds(t)
	b.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }
	res, err := executor(t, calls(url), nil).Execute(t.Context(), ask("x", "build", map[string]any{"job": "a", "branch": "b"}))
	if err != nil || res.Verdict != oslc.Warning || res.Key != "" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestCallConfig(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*webhook.CallConfig){
		"url: it must be":             func(c *webhook.CallConfig) { c.URL = "https://u:p@ci.example" },
		"user and password, or token": func(c *webhook.CallConfig) { c.User = "u" },
		"belong together":             func(c *webhook.CallConfig) { c.Token, c.User = "", "u" },
		"actions is empty":            func(c *webhook.CallConfig) { c.Actions = nil },
		"sign: secret":                func(c *webhook.CallConfig) { c.Sign.Secret = "" },
		"a name is a small letter":    func(c *webhook.CallConfig) { c.Actions[0].Name = "Build it" },
		"another one of this name":    func(c *webhook.CallConfig) { c.Actions[1].Name = "build" },
		`method: "FETCH" is none`:     func(c *webhook.CallConfig) { c.Actions[0].Method = "FETCH" },
		"GET has none":                func(c *webhook.CallConfig) { c.Actions[0].Method = http.MethodGet },
		"does not begin with a slash": func(c *webhook.CallConfig) { c.Actions[0].Path = "@evil.example/" },
		"is no parameter that is":     func(c *webhook.CallConfig) { c.Actions[0].Path = "/${clean}" },
		`there is no parameter "x"`:   func(c *webhook.CallConfig) { c.Actions[0].Body = map[string]any{"a": "${x}"} },
		"without a name":              func(c *webhook.CallConfig) { c.Actions[0].Body = "${" },
		"cannot be set":               func(c *webhook.CallConfig) { c.Actions[0].Headers = map[string]string{"idempotency-key": "x"} },
		"class is missing":            func(c *webhook.CallConfig) { c.Actions[0].Where = "oslc_cm:closed=false" },
		"where: ": func(c *webhook.CallConfig) {
			c.Actions[0].Class, c.Actions[0].Where = "oslc_cm:ChangeRequest", "nothing"
		},
		"no status of success": func(c *webhook.CallConfig) { c.Actions[1].Success = []int{404} },
		"is no name, or there twice": func(c *webhook.CallConfig) {
			c.Actions[0].Parameters = append(c.Actions[0].Parameters, webhook.ParameterConfig{Name: "job"})
		},
	} {
		cfg := calls("https://ci.example")
		change(&cfg)
		if _, err := webhook.NewExecutor(cfg, adapters.Options{Name: "ci", BaseURL: base}); err == nil || !strings.Contains(err.Error(), want) || oslc.KindOf(err) != oslc.Invalid {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
