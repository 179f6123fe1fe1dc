package jira_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/oslc"
)

// answer is what a server says instead of Jira.
type answer struct {
	status int
	header map[string]string
	body   string
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestRefusals(t *testing.T) {
	t.Parallel()
	const jsonError = `{"errorMessages":["%s"],"errors":{}}`
	type refusal struct {
		answer
		kind  oslc.Kind
		after time.Duration
		text  string // after the operation
	}
	tests := map[string]refusal{
		"400 with fields": {
			answer{400, nil, `{"errorMessages":[],"errors":{"summary":"too long","issuetype":"Specify a valid issue type"}}`},
			oslc.Invalid, 0,
			"jira.400: issuetype: Specify a valid issue type; summary: too long",
		},
		"400 with both": {
			answer{400, nil, `{"errorMessages":["Field error."],"errors":{"priority":"Priority name 'X' is not valid"}}`},
			oslc.Invalid, 0,
			"jira.400: Field error.; priority: Priority name 'X' is not valid",
		},
		"400 with other values": {
			answer{400, nil, `{"errors":{"customfield_1":{"messages":["no"]}}}`},
			oslc.Invalid, 0,
			"jira.400: customfield_1: map[messages:[no]]",
		},
		"401":              {answer{401, nil, fmt.Sprintf(jsonError, "Client must be authenticated to access this resource.")}, oslc.Denied, 0, "jira.401: Client must be authenticated to access this resource."},
		"401 of a gateway": {answer{401, nil, `{"code":401,"message":"Unauthorized; scope does not match"}`}, oslc.Denied, 0, "jira.401: Unauthorized; scope does not match"},
		"401 with captcha": {
			answer{401, map[string]string{"X-Seraph-LoginReason": "AUTHENTICATION_DENIED"}, ""},
			oslc.Denied, 0,
			"jira.401: the account is locked until somebody logs in by hand (CAPTCHA)",
		},
		"403":           {answer{403, nil, fmt.Sprintf(jsonError, "You do not have permission.")}, oslc.Denied, 0, "jira.403: You do not have permission."},
		"302 to log-in": {answer{302, map[string]string{"Location": "/login.jsp"}, "<html>log in</html>"}, oslc.Denied, 0, "jira.302: 302 Found"},
		"404":           {answer{404, nil, fmt.Sprintf(jsonError, "No project could be found.")}, oslc.NotFound, 0, "jira.404: No project could be found."},
		"410":           {answer{410, nil, fmt.Sprintf(jsonError, "The requested API has been removed.")}, oslc.NotFound, 0, "jira.410: The requested API has been removed."},
		"408":           {answer{408, nil, ""}, oslc.Unavailable, 0, "jira.408: 408 Request Timeout"},
		"409":           {answer{409, nil, fmt.Sprintf(jsonError, "The issue is being changed.")}, oslc.Unavailable, 0, "jira.409: The issue is being changed."},
		"413":           {answer{413, nil, fmt.Sprintf(jsonError, "The field value exceeds the size limit.")}, oslc.Invalid, 0, "jira.413: The field value exceeds the size limit."},
		"422":           {answer{422, nil, fmt.Sprintf(jsonError, "The configuration of the screen is broken.")}, oslc.Invalid, 0, "jira.422: The configuration of the screen is broken."},
		"429 in seconds": {
			answer{429, map[string]string{"Retry-After": "17"}, fmt.Sprintf(jsonError, "Rate limit exceeded")},
			oslc.Limited, 17 * time.Second,
			"jira.429: Rate limit exceeded",
		},
		"429 with a date":             {answer{429, map[string]string{"Retry-After": noon.Add(time.Minute).Format(http.TimeFormat)}, ""}, oslc.Limited, time.Minute, "jira.429: 429 Too Many Requests"},
		"429 with a date gone by":     {answer{429, map[string]string{"Retry-After": noon.Add(-time.Minute).Format(http.TimeFormat)}, ""}, oslc.Limited, 0, "jira.429: 429 Too Many Requests"},
		"429 with a reset":            {answer{429, map[string]string{"X-RateLimit-Reset": "2026-11-21T12:00:09Z"}, ""}, oslc.Limited, 9 * time.Second, "jira.429: 429 Too Many Requests"},
		"429 with a reset in minutes": {answer{429, map[string]string{"X-RateLimit-Reset": "2026-11-21T12:04Z"}, ""}, oslc.Limited, 4 * time.Minute, "jira.429: 429 Too Many Requests"},
		"429 with both": {
			answer{429, map[string]string{"Retry-After": "3", "X-RateLimit-Reset": "2026-11-21T12:00:09Z"}, ""},
			oslc.Limited, 3 * time.Second,
			"jira.429: 429 Too Many Requests",
		},
		"429 with neither":         {answer{429, nil, ""}, oslc.Limited, 0, "jira.429: 429 Too Many Requests"},
		"429 with nonsense":        {answer{429, map[string]string{"Retry-After": "soon", "X-RateLimit-Reset": "1700000000"}, ""}, oslc.Limited, 0, "jira.429: 429 Too Many Requests"},
		"429 for ever":             {answer{429, map[string]string{"Retry-After": "4000000000"}, ""}, oslc.Limited, 24 * time.Hour, "jira.429: 429 Too Many Requests"},
		"429 with a negative wait": {answer{429, map[string]string{"Retry-After": "-5"}, ""}, oslc.Limited, 0, "jira.429: 429 Too Many Requests"},
		"500":                      {answer{500, nil, fmt.Sprintf(jsonError, "Internal server error")}, oslc.Unavailable, 0, "jira.500: Internal server error"},
		"503 with a wait":          {answer{503, map[string]string{"Retry-After": "120"}, ""}, oslc.Unavailable, 2 * time.Minute, "jira.503: 503 Service Unavailable"},
		"502 in HTML":              {answer{502, nil, "<html><body>Bad gateway</body></html>"}, oslc.Unavailable, 0, "jira.502: 502 Bad Gateway"},
		"200 in HTML":              {answer{200, nil, "<html>log in</html>"}, oslc.Unavailable, 0, "jira.post: the answer is no JSON: invalid character '<' looking for beginning of value"},
		"200 and empty":            {answer{200, nil, ""}, oslc.Unavailable, 0, "jira.post: the answer is no JSON: unexpected end of JSON input"},
	}
	for name, c := range tests {
		for _, at := range []string{"search", "issue"} {
			t.Run(name+" at "+at, func(t *testing.T) {
				t.Parallel()
				s := newSandbox(t)
				calls := 0
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !strings.Contains(r.URL.Path, "/api/3/"+at) {
						s.ServeHTTP(w, r)
						return
					}
					calls++
					for k, v := range c.header {
						w.Header().Set(k, v)
					}
					w.WriteHeader(c.status)
					_, _ = w.Write([]byte(c.body))
				})
				x := build(t, account("cloud", "http://jira.example"), adapters.Options{
					Name: "jira", Now: func() time.Time { return noon },
					Client: &http.Client{Transport: inProcess{h}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
				})
				_, err := x.Execute(t.Context(), ask("refused", nil))
				want := "jira.create: " + map[string]string{"search": "search: "}[at] + c.text
				if err == nil || err.Error() != want {
					t.Errorf("got  %v\nwant %s", err, want)
				}
				if k := oslc.KindOf(err); k != c.kind {
					t.Errorf("the kind is %s, want %s", k, c.kind)
				}
				if d := oslc.RetryAfter(err); d != c.after {
					t.Errorf("it says to wait %v, want %v", d, c.after)
				}
				if calls != 1 {
					t.Errorf("it was tried %d times, want once", calls)
				}
				if n := len(s.Issues()); n != 0 {
					t.Errorf("%d issues were made", n)
				}
			})
		}
	}
}

// TestCreatedWithoutKey: a 201 that names no issue is no success.
func TestCreatedWithoutKey(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"issues":[]}`))
	})
	x := build(t, account("cloud", "http://jira.example"), adapters.Options{Name: "jira", Client: &http.Client{Transport: inProcess{h}}})
	if _, err := x.Execute(t.Context(), ask("keyless", nil)); oslc.KindOf(err) != oslc.Unavailable || err.Error() != "jira.create: the answer names no issue" {
		t.Errorf("the error is %v", err)
	}
}

// TestBrokenConnections are faults below HTTP, on the client that the adapter makes
// itself.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	// A server notices that its client left only once it has read the body.
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for name, h := range map[string]http.HandlerFunc{
		"no answer": hang,
		"reset": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"issues":[`))
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login.jsp", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := account("cloud", serve(t, h))
			cfg.Timeout = 150 * time.Millisecond
			_, err := build(t, cfg, adapters.Options{Name: "jira"}).Execute(t.Context(), ask("broken", nil))
			want := oslc.Unavailable
			if name == "redirect" { // followed, it would turn a POST into a GET of a page
				want = oslc.Denied
			}
			if err == nil || oslc.KindOf(err) != want {
				t.Errorf("the error is %v of kind %s, want %s", err, oslc.KindOf(err), want)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = build(t, account("cloud", "http://"+ln.Addr().String()), adapters.Options{Name: "jira"}).Execute(t.Context(), ask("nobody", nil))
		if oslc.KindOf(err) != oslc.Unavailable {
			t.Errorf("the error is %v of kind %s, want unavailable", err, oslc.KindOf(err))
		}
	})
	t.Run("ended context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel()
			hang(w, r)
		})
		_, err := build(t, account("cloud", serve(t, h)), adapters.Options{Name: "jira"}).Execute(ctx, ask("ended", nil))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want that of the context", err)
		}
	})
}

// TestTellsNoSecrets: a server that echoes the credentials, plain or as the header
// had them, does not bring them into errors or the log.
func TestTellsNoSecrets(t *testing.T) {
	t.Parallel()
	const secret = "not-a-real-secret-jira"
	basic := base64.StdEncoding.EncodeToString([]byte(sandbox.User + ":" + secret))
	for _, deployment := range deployments {
		for name, body := range map[string]string{
			"message": `{"errorMessages":["bad token ` + secret + `","header %s"]}`,
			"field":   `{"errors":{"summary":"` + secret + ` and %s"}}`,
			"gateway": `{"message":"%s: ` + secret + `"}`,
			"html":    "<html>%s " + secret + "</html>",
		} {
			for _, status := range []int{200, 400, 401, 500} {
				t.Run(fmt.Sprintf("%s %s %d", deployment, name, status), func(t *testing.T) {
					t.Parallel()
					h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.WriteHeader(status)
						fmt.Fprintf(w, body, r.Header.Get("Authorization"))
					})
					cfg := account(deployment, "http://jira.example")
					cfg.Token = secret
					var log bytes.Buffer
					x := build(t, cfg, adapters.Options{
						Name: "jira", Client: &http.Client{Transport: inProcess{h}}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
					})
					res, err := x.Execute(t.Context(), ask("secret", nil))
					if err == nil {
						t.Fatal("no error")
					}
					said := fmt.Sprintf("%v %+v %+v %#v %s", err, err, res, cfg, log.String())
					for _, s := range []string{secret, basic} {
						if strings.Contains(said, s) {
							t.Errorf("the credentials are in: %s", said)
						}
					}
				})
			}
		}
	}
}
