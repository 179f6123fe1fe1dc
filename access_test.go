package oslcbus_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus"
)

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// TestX1_Access: with users and tokens nothing but what clients need to find their
// way is open, and each role may do what it may.
func TestX1_Access(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hash, err := oslcbus.HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	token, tokenHash := oslcbus.NewToken()
	r := newRig(t, fmt.Sprintf(`
access:
  users:
    - {name: ann, role: reader, password_hash: %q}
    - {name: bob, role: admin, password_file: %q}
  tokens:
    - {name: ci, role: reader, hash: %q}
    - {name: ops, role: admin, file: %q}
`, hash, write("bob", "battery staple\n"), tokenHash, write("ops", "ops-token\n"))).start()

	const reads, admins = "/services/catalog", "/debug/pprof/cmdline"
	for name, c := range map[string]struct {
		header string
		read   int
		admin  int
	}{
		"nobody":                     {"", 401, 401},
		"password by hash":           {basic("ann", "correct horse"), 200, 403},
		"password by file":           {basic("bob", "battery staple"), 200, 200},
		"wrong password by hash":     {basic("ann", "correct horsf"), 401, 401},
		"wrong password by file":     {basic("bob", "battery stapl"), 401, 401},
		"password of another":        {basic("ann", "battery staple"), 401, 401},
		"empty password":             {basic("bob", ""), 401, 401},
		"the hash as the password":   {basic("ann", hash), 401, 401},
		"unknown user":               {basic("eve", "correct horse"), 401, 401},
		"no user":                    {basic("", "correct horse"), 401, 401},
		"name in another case":       {basic("Ann", "correct horse"), 401, 401},
		"token by hash":              {"Bearer " + token, 200, 403},
		"token by file":              {"Bearer ops-token", 200, 200},
		"scheme in small letters":    {"bearer " + token, 200, 403},
		"wrong token":                {"Bearer " + token + "x", 401, 401},
		"beginning of a token":       {"Bearer " + token[:20], 401, 401},
		"the hash as the token":      {"Bearer " + tokenHash, 401, 401},
		"password as a token":        {"Bearer correct horse", 401, 401},
		"token as a password":        {basic("ci", token), 401, 401},
		"no token":                   {"Bearer ", 401, 401},
		"other scheme":               {"Digest " + token, 401, 401},
		"no scheme":                  {token, 401, 401},
		"basic that is not base64":   {"Basic %%%", 401, 401},
		"basic without a colon":      {"Basic " + base64.StdEncoding.EncodeToString([]byte("ann")), 401, 401},
		"password with a NUL and so": {basic("ann\x00correct", "horse"), 401, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var header []string
			if c.header != "" {
				header = []string{"Authorization", c.header}
			}
			for range 2 { // a right password is remembered, a wrong one is not
				for path, want := range map[string]int{reads: c.read, admins: c.admin} {
					resp, body := r.get(path, header...)
					if resp.StatusCode != want {
						t.Errorf("GET %s: %s, want %d: %s", path, resp.Status, want, body)
					}
					schemes := resp.Header.Values("WWW-Authenticate")
					wantSchemes := []string{`Basic realm="oslcbus", charset="UTF-8"`, `Bearer realm="oslcbus"`}
					if want != 401 {
						wantSchemes = nil
					}
					if !slices.Equal(schemes, wantSchemes) {
						t.Errorf("GET %s: WWW-Authenticate is %q, want %q", path, schemes, wantSchemes)
					}
					for _, secret := range []string{"correct horse", "battery staple", token, "ops-token", hash} {
						if strings.Contains(body, secret) {
							t.Errorf("GET %s tells a secret: %s", path, body)
						}
					}
				}
			}
		})
	}
	t.Run("open", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/healthz", "/readyz", "/rootservices", "/.well-known/oslc/rootservices.xml"} {
			if resp, body := r.get(path); resp.StatusCode != http.StatusOK {
				t.Errorf("GET %s: %s: %s", path, resp.Status, body)
			}
		}
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/", "/metrics", "/services/catalog", "/services/st2", "/services/st2/changeRequests", "/services/st2/changeRequests/1", "/trs/st2", "/trs/st2/base", "/trs/nothing", "/skipped", "/events/subscriptions", "/debug/pprof/"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if resp, _ := r.do(method, path); resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s %s: %s, want 401", method, path, resp.Status)
				}
			}
			if resp, body := r.get(path, "Authorization", "Bearer ops-token"); resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
				t.Errorf("GET %s as an administrator: %s: %s", path, resp.Status, body)
			}
		}
	})
	t.Run("for administrators", func(t *testing.T) {
		t.Parallel()
		for path, method := range map[string]string{
			subscriptions: http.MethodGet, subscriptions + "/x": http.MethodDelete, subscriptions + "/x/test": http.MethodPost, "/trs/st2/repair": http.MethodPost,
		} {
			for header, want := range map[string]int{"": http.StatusUnauthorized, "Bearer " + token: http.StatusForbidden} {
				if resp, _ := r.do(method, path, "Authorization", header, "Content-Type", "application/json"); resp.StatusCode != want {
					t.Errorf("%s %s with %q: %s, want %d", method, path, header, resp.Status, want)
				}
			}
		}
	})
	t.Run("log", func(t *testing.T) {
		t.Parallel()
		for _, secret := range []string{"correct horse", "battery staple", token, "ops-token"} {
			if strings.Contains(r.log.String(), secret) {
				t.Errorf("a secret of %d characters is in the log", len(secret))
			}
		}
	})
}

// TestX1_OpenOnLoopback: without users and tokens everything can be read.
func TestX1_OpenOnLoopback(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	for _, path := range []string{"/services/catalog", "/metrics", "/trs/st2"} {
		if resp, body := r.get(path); resp.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s: %s", path, resp.Status, body)
		}
	}
}

// TestX1_SecretFiles: a secret that cannot be read keeps the bus from starting.
func TestX1_SecretFiles(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"/nonexistent/secret": "no such file", empty: "is empty"} {
		for _, text := range []string{
			"access: {users: [{name: ann, role: reader, password_file: %q}]}",
			"access: {tokens: [{name: ci, role: reader, file: %q}]}",
		} {
			cfg, err := oslcbus.ParseConfig("x.yml", fmt.Appendf(nil, text, file), oslcbus.ConfigOptions{})
			if err != nil {
				t.Fatal(err)
			}
			cfg.Data = t.TempDir()
			e, err := oslcbus.New(cfg, oslcbus.Options{})
			if err == nil {
				cfg.Listen = "127.0.0.1:0"
				err = e.Run(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s with %s: %v, want an error that says %q", text, file, err, want)
			}
		}
	}
}
