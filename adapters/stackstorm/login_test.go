package stackstorm_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// byLogin replaces the key by a user and a password.
func byLogin(c *stackstorm.REST) {
	c.APIKey, c.User, c.Password = "", sandbox.Login, sandbox.Token
}

// noop is a request that changes nothing.
func noop() oslc.Request {
	return ask(vocab.St2RunAction, map[string]any{"action": "core.noop"})
}

// counter counts the answers by status.
type counter struct {
	http.Handler
	mu    sync.Mutex
	codes map[int]int
}

type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) { w.code = code; w.ResponseWriter.WriteHeader(code) }

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := &statusWriter{w, http.StatusOK}
	c.Handler.ServeHTTP(s, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.codes[s.code]++
}

// TestExecutor_login runs the suite with a user and a password.
func TestExecutor_login(t *testing.T) {
	t.Parallel()
	adaptertest.Executor(t, adaptertest.ExecutorConfig{
		Request: noop(), Failing: ask(vocab.St2RunAction, map[string]any{"action": "nopack.none"}), FailingKind: oslc.Invalid, Secrets: []string{sandbox.Token},
		Tool: func(context.Context) (adaptertest.ExecutorTool, error) {
			s, err := sandbox.NewStackStorm("")
			return adaptertest.ExecutorTool{
				Open:    func(log *slog.Logger) (adapters.Executor, error) { return newExecutor(t, s, log, byLogin), nil },
				Effects: s.Executions,
			}, err
		},
	})
}

// TestA7_tokenExpired: a token that StackStorm does not take any more is replaced by one
// log-in, and the call made again: nobody else notices.
func TestA7_tokenExpired(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{Handler: s, codes: map[int]int{}}
	x := newExecutor(t, c, nil, byLogin)
	for i := range 3 {
		if res, err := x.Execute(t.Context(), noop()); err != nil || res.Verdict != oslc.Passed {
			t.Fatalf("%d: %+v, %v", i, res, err)
		}
		if s.Tokens() != i+1 || c.codes[http.StatusUnauthorized] != i {
			t.Errorf("%d: %d tokens, %d refusals", i, s.Tokens(), c.codes[http.StatusUnauthorized])
		}
		s.ExpireTokens()
	}
	if s.Executions() != 3 {
		t.Errorf("%d executions, want 3", s.Executions())
	}
	// A token that was given stays what it is.
	fixed := newExecutor(t, s, nil, func(c *stackstorm.REST) { c.APIKey, c.Token = "", "expired" })
	if _, err := fixed.Execute(t.Context(), noop()); !errors.Is(err, oslc.Denied) {
		t.Errorf("a given token: %v, want kind denied", err)
	}
}

// TestLogin_renewed: a token is replaced before it expires, so that no call meets one
// that has.
func TestLogin_renewed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	s.Now = clock
	c := &counter{Handler: s, codes: map[int]int{}}
	x, err := stackstorm.NewExecutor(toolURL+"/api", stackstorm.REST{User: sandbox.Login, Password: sandbox.Token}, adapters.Options{
		Name: "st2", BaseURL: "https://bus.example", Now: clock, Client: &http.Client{Transport: inProcess{c}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for hours, want := range []int{0: 1, 6: 1, 12: 1, 18: 1, 20: 2, 26: 2, 39: 2, 40: 3, 60: 4} {
		if want == 0 {
			mu.Lock()
			now = now.Add(time.Hour)
			mu.Unlock()
			continue
		}
		if _, err := x.Execute(t.Context(), noop()); err != nil {
			t.Fatal(err)
		}
		if s.Tokens() != want {
			t.Errorf("after %d hours there were %d tokens, want %d", hours, s.Tokens(), want)
		}
		mu.Lock()
		now = now.Add(time.Hour)
		mu.Unlock()
	}
	if c.codes[http.StatusUnauthorized] != 0 {
		t.Errorf("%d calls met a token that had expired", c.codes[http.StatusUnauthorized])
	}
}

// TestLogin_once: calls at the same time share one token.
func TestLogin_once(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	x := newExecutor(t, s, nil, byLogin)
	for range 2 {
		var work sync.WaitGroup
		for range 16 {
			work.Go(func() {
				if _, err := x.Execute(t.Context(), noop()); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
	}
	if s.Tokens() != 1 {
		t.Errorf("%d tokens for 32 calls", s.Tokens())
	}
}

// TestLogin_refused: what the auth service says keeps its kind, its words, and no secret;
// a token that is refused at once is no reason for a third call.
func TestLogin_refused(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	for name, c := range map[string]struct {
		auth http.Handler
		want oslc.Kind
	}{
		"wrong password":    {answer(401, `{"faultstring": "Invalid or missing credentials `+sandbox.Token+`"}`), oslc.Denied},
		"away":              {answer(503, ``), oslc.Unavailable},
		"no JSON":           {answer(201, `<html>`), oslc.Unavailable},
		"no token":          {answer(201, `{}`), oslc.Unavailable},
		"an expired one":    {answer(201, `{"token": "t", "expiry": "2001-01-01T00:00:00Z"}`), oslc.Unavailable},
		"a login page":      {answer(302, ``), oslc.Denied},
		"no such service":   {answer(404, ``), oslc.NotFound},
		"refused each time": {answer(201, `{"token": "t", "expiry": "2999-01-01T00:00:00Z"}`), oslc.Denied},
	} {
		apiCalls := 0
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/auth/") {
				c.auth.ServeHTTP(w, r)
				return
			}
			apiCalls++
			w.WriteHeader(http.StatusUnauthorized)
		})
		_, err := newExecutor(t, h, nil, byLogin).Execute(t.Context(), noop())
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), sandbox.Token) || apiCalls > 2 {
			t.Errorf("%s: %v after %d calls, want kind %v", name, err, apiCalls, c.want)
		}
	}
}

func TestLogin_config(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		url string
		cfg stackstorm.REST
	}{
		"belong together":     {toolURL + "/api", stackstorm.REST{User: "u"}},
		"not more of them":    {toolURL + "/api", stackstorm.REST{User: "u", Password: "p", APIKey: "k"}},
		"auth_url is needed":  {toolURL + ":9101", stackstorm.REST{User: "u", Password: "p"}},
		"auth_url must be":    {toolURL + "/api", stackstorm.REST{User: "u", Password: "p", AuthURL: "st2.example"}},
		"auth_url is for":     {toolURL + "/api", stackstorm.REST{APIKey: "k", AuthURL: "https://st2.example/auth"}},
		"password_file: open": {toolURL + "/api", stackstorm.REST{User: "u", PasswordFile: "/nonexistent"}},
	} {
		_, err := stackstorm.NewExecutor(c.url, c.cfg, adapters.Options{Name: "st2", BaseURL: "https://bus.example"})
		if err == nil || !strings.Contains(err.Error(), want) || oslc.KindOf(err) != oslc.Invalid {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
