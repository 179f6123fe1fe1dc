package sandbox_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters/sandbox"
)

// TestReplayTokens logs in as a real StackStorm was asked to, and compares the answers.
func TestReplayTokens(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, x := range exchanges(t) {
		if x.Service != "auth" {
			continue
		}
		n++
		r := httptest.NewRequestWithContext(t.Context(), x.Method, "/auth/v1"+x.Path, strings.NewReader(x.body()))
		r.SetBasicAuth(sandbox.Login, map[bool]string{true: sandbox.Token, false: "wrong"}[x.Status == 201])
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var got, want map[string]any
		if json.Unmarshal(w.Body.Bytes(), &got) != nil || json.Unmarshal(x.ResponseBody, &want) != nil || w.Code != x.Status {
			t.Fatalf("step %d: %d %s", x.Step, w.Code, w.Body)
		}
		for _, m := range []map[string]any{got, want} {
			for _, name := range []string{"token", "id", "expiry", "user"} { // they differ by nature
				if v, ok := m[name].(string); ok && v != "" {
					m[name] = "some"
				}
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("step %d (-want +got):\n%s", x.Step, d)
		}
		for _, name := range []string{"Content-Type", "X-Api-Url"} {
			if has := w.Header().Get(name) != ""; has != (x.ResponseHeaders[name] != "") {
				t.Errorf("step %d: %s is %q, want %q", x.Step, name, w.Header().Get(name), x.ResponseHeaders[name])
			}
		}
	}
	if n < 3 {
		t.Errorf("there are %d exchanges, want those of the three log-ins", n)
	}
	if s.Tokens() != 2 {
		t.Errorf("%d tokens were given out", s.Tokens())
	}
	var tokens []string
	for range 2 {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/auth/v1/tokens", strings.NewReader("{}"))
		r.SetBasicAuth(sandbox.Login, sandbox.Token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var out struct{ Token string }
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || len(out.Token) != 32 || slices.Contains(tokens, out.Token) {
			t.Errorf("the token is %q, %v", out.Token, err)
		}
		tokens = append(tokens, out.Token)
	}
	rules := func() int {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/rules", nil)
		r.Header.Set("X-Auth-Token", tokens[0])
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	if code := rules(); code != 200 {
		t.Errorf("a token is answered with %d", code)
	}
	s.ExpireTokens()
	if code := rules(); code != 401 {
		t.Errorf("one that has expired is answered with %d", code)
	}
}
