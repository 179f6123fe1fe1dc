package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/internal/webhook"
	"github.com/oslcbus/oslcbus/oslc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const body = `<urn:x> <urn:y> "ü" .`

func message() bus.Message {
	m := bus.Message{Key: "https://bus.example/r/1", Value: []byte(body)}
	for name, value := range map[string]string{
		bus.HeaderSpecVersion: "1.0", bus.HeaderID: "id 1", bus.HeaderSource: "https://bus.example", bus.HeaderType: "net.open-services.trs.Modification",
		bus.HeaderSubject: "https://bus.example/r/1", bus.HeaderTime: "2026-11-21T09:00:00Z", bus.HeaderContentType: "text/turtle",
		"ce_trsorder": "42",
	} {
		m.Header.Set(name, value)
	}
	return m
}

// secret is the one of the examples of Standard Webhooks.
func secret(t *testing.T) webhook.Secret {
	t.Helper()
	s, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSign holds signatures against the example of the Standard Webhooks specification.
func TestSign(t *testing.T) {
	t.Parallel()
	s := secret(t)
	at := time.Unix(1614265330, 0)
	h := http.Header{}
	webhook.Sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`), s)
	if got, want := h.Get(webhook.HeaderSignature), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
	if err := s.Verify(h, []byte(`{"test": 2432232314}`), at.Add(time.Minute), 5*time.Minute); err != nil {
		t.Error(err)
	}
	for name, wrong := range map[string]func() error{
		"another body": func() error { return s.Verify(h, []byte(`{"test": 2432232315}`), at, time.Minute) },
		"too late":     func() error { return s.Verify(h, []byte(`{"test": 2432232314}`), at.Add(time.Hour), time.Minute) },
		"too early":    func() error { return s.Verify(h, []byte(`{"test": 2432232314}`), at.Add(-time.Hour), time.Minute) },
		"another secret": func() error {
			return webhook.Derive([]byte("key"), "x").Verify(h, []byte(`{"test": 2432232314}`), at, time.Minute)
		},
		"no headers": func() error { return s.Verify(http.Header{}, []byte(body), at, time.Minute) },
		"another id": func() error {
			h := h.Clone()
			h.Set(webhook.HeaderID, "msg_other")
			return s.Verify(h, []byte(`{"test": 2432232314}`), at, time.Minute)
		},
	} {
		if err := wrong(); !errors.Is(err, oslc.Denied) {
			t.Errorf("%s: got %v, want kind denied", name, err)
		}
	}
	two, other := http.Header{}, webhook.Derive([]byte("key"), "x")
	webhook.Sign(two, "id", at, []byte(body), other, s)
	for _, known := range []webhook.Secret{s, other} {
		if err := known.Verify(two, []byte(body), at, time.Minute); err != nil {
			t.Errorf("signed with two secrets: %v", err)
		}
	}
	if text := fmt.Sprintf("%v %s %+v", s, s, struct{ S webhook.Secret }{s}); strings.Contains(text, "MfKQ") || !strings.Contains(text, "[secret]") {
		t.Errorf("it prints as %s", text)
	}
	if back, err := webhook.ParseSecret(s.Text()); err != nil || string(back) != string(s) {
		t.Errorf("told and read again it is %v, %v", back, err)
	}
	for _, text := range []string{"", "short", "whsec_***", "whsec_c2hvcnQ="} {
		if _, err := webhook.ParseSecret(text); !errors.Is(err, oslc.Invalid) || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v, want kind invalid", text, err)
		}
	}
	if string(webhook.Derive([]byte("key"), "a")) == string(webhook.Derive([]byte("key"), "b")) {
		t.Error("two subscriptions have one secret")
	}
}

type got struct {
	header http.Header
	body   string
}

// subscriber answers with what status says, and keeps what it gets.
func subscriber(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) (url string, last *got) {
	t.Helper()
	last = &got{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*last = got{r.Header, string(b)}
		answer(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, last
}

func sender(t *testing.T, cfg webhook.Config) *webhook.Sender {
	t.Helper()
	s, err := webhook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestSend_modes: in both modes the subscriber gets the event with a signature over what
// it gets.
func TestSend_modes(t *testing.T) {
	t.Parallel()
	url, last := subscriber(t, func(http.ResponseWriter, *http.Request) {})
	s := sender(t, webhook.Config{Allow: []string{"127.0.0.0/8"}, UserAgent: "oslcbus test"})
	key := secret(t)
	for _, structured := range []bool{false, true} {
		sent, err := s.Send(t.Context(), url, structured, message(), key)
		if err != nil || sent.Status != http.StatusOK {
			t.Fatal(sent, err)
		}
		h := last.header
		if err := key.Verify(h, []byte(last.body), time.Now(), time.Minute); err != nil {
			t.Error(err)
		}
		want := map[string]string{"Content-Type": "text/turtle", "Ce-Id": "id 1", "Ce-Trsorder": "42", "Ce-Specversion": "1.0", webhook.HeaderID: "id 1", "User-Agent": "oslcbus test"}
		if structured {
			want = map[string]string{"Content-Type": "application/cloudevents+json", "Ce-Id": ""}
			for _, part := range []string{`"id":"id 1"`, `"trsorder":"42"`, `"datacontenttype":"text/turtle"`} {
				if !strings.Contains(last.body, part) {
					t.Errorf("%s is not in %s", part, last.body)
				}
			}
		} else if last.body != body {
			t.Errorf("the body is %s", last.body)
		}
		for name, value := range want {
			if h.Get(name) != value {
				t.Errorf("structured %t: %s is %q, want %q", structured, name, h.Get(name), value)
			}
		}
	}
}

// TestSend_answers: what a subscriber answers decides on what comes next.
func TestSend_answers(t *testing.T) {
	t.Parallel()
	asked := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer elsewhere.Close()
	now := time.Unix(1_700_000_000, 0)
	s := sender(t, webhook.Config{Allow: []string{"127.0.0.1"}, Now: func() time.Time { return now }})
	for name, c := range map[string]struct {
		status int
		after  string
		want   oslc.Kind
		pause  time.Duration
	}{
		"taken": {200, "", 0, 0}, "taken for later": {202, "", 0, 0}, "nothing to say": {204, "", 0, 0},
		"moved": {302, "", oslc.Unavailable, 0}, "moved for good": {308, "", oslc.Unavailable, 0},
		"refused": {400, "", oslc.Unavailable, 0}, "no more": {410, "", oslc.NotFound, 0},
		"too much": {429, "7", oslc.Limited, 7 * time.Second}, "away": {503, now.Add(time.Minute).UTC().Format(http.TimeFormat), oslc.Unavailable, time.Minute},
		"away for ever": {503, "99999999999", oslc.Unavailable, time.Hour}, "away since": {503, "-5", oslc.Unavailable, 0},
	} {
		url, _ := subscriber(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.status)
		})
		sent, err := s.Send(t.Context(), url, false, message())
		if (err == nil) != (c.want == 0) || err != nil && oslc.KindOf(err) != c.want || oslc.RetryAfter(err) != c.pause || sent.Status != c.status {
			t.Errorf("%s: got %+v, %v, again after %v", name, sent, err, oslc.RetryAfter(err))
		}
	}
	if asked > 0 {
		t.Errorf("a redirect was followed %d times", asked)
	}
}

// TestSend_slow: a subscriber that says nothing is left in time.
func TestSend_slow(t *testing.T) {
	t.Parallel()
	url, _ := subscriber(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := sender(t, webhook.Config{Allow: []string{"127.0.0.1"}, Within: 50 * time.Millisecond})
	if _, err := s.Send(t.Context(), url, false, message()); !errors.Is(err, oslc.Unavailable) {
		t.Errorf("got %v, want kind unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Send(ctx, url, false, message()); err == nil {
		t.Error("an ended context sends")
	}
}

// TestSend_where: no address is called that is not public, unless it is allowed, also
// when a name leads to it.
func TestSend_where(t *testing.T) {
	t.Parallel()
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer srv.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(srv.URL, "http://"), ":")
	strict := sender(t, webhook.Config{})
	for _, url := range []string{
		srv.URL, "http://localhost:" + port, "http://[::1]:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://0.0.0.0:" + port, "http://[::]:" + port,
		"http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/", "http://169.254.169.254/latest", "http://[fe80::1]/", "http://[fd00::1]/",
		"http://100.64.0.1/", "http://224.0.0.1/", "http://255.255.255.255/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
		"ftp://example.com/", "http://user:pw@example.com/", "http:///x", "http://%zz", "file:///etc/passwd", "http://example.com/#x", "http://example.com/" + strings.Repeat("x", 2000),
	} {
		if err := strict.CheckURL(url); !errors.Is(err, oslc.Invalid) {
			t.Errorf("%s: got %v, want kind invalid", url, err)
		}
		if _, err := strict.Send(t.Context(), url, false, message()); !errors.Is(err, oslc.Denied) {
			t.Errorf("%s: got %v, want kind denied", url, err)
		}
	}
	if err := strict.CheckURL("https://hooks.example.com:8443/a?b=c"); err != nil {
		t.Error(err)
	}
	// A name is looked up when it is called; this machine's own leads to itself.
	byName := sender(t, webhook.Config{Allow: []string{"localhost"}})
	if _, err := byName.Send(t.Context(), "http://localhost:"+port, false, message()); err != nil || asked != 1 {
		t.Errorf("a name that is allowed: %v, asked %d times", err, asked)
	}
	if _, err := byName.Send(t.Context(), srv.URL, false, message()); !errors.Is(err, oslc.Denied) || asked != 1 {
		t.Errorf("the address behind it: %v, asked %d times", err, asked)
	}
	// What counts is where a name leads, not what it looks like.
	if conn, err := webhook.Dial(t.Context(), strict, "localhost:"+port); err == nil || !strings.Contains(err.Error(), "webhooks.allow") {
		t.Errorf("a name that leads to this machine: %v, %v", conn, err)
	}
	for _, allow := range []string{"", "http://x", "10.0.0.0/40", "a b", "*.example"} {
		if _, err := webhook.New(webhook.Config{Allow: []string{allow}}); !errors.Is(err, oslc.Invalid) {
			t.Errorf("%q: got %v, want kind invalid", allow, err)
		}
	}
}
