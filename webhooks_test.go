package oslcbus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/internal/webhook"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// hook is a subscriber.
type hook struct {
	*httptest.Server
	t  testing.TB
	mu sync.Mutex
	// status answers instead of 200 where it is not 0.
	status int
	secret string // when known, every signature is checked
	took   []delivered
	tried  int
}

type delivered struct {
	id, kind, subject, set, order string
	header                        http.Header
	body                          string
}

func newHook(t testing.TB) *hook {
	h := &hook{t: t}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the bus was stopped
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried++
	if h.secret != "" {
		s, err := webhook.ParseSecret(h.secret)
		if err == nil {
			err = s.Verify(r.Header, body, time.Now(), 5*time.Minute)
		}
		if err != nil {
			h.t.Errorf("a delivery: %v", err)
		}
	}
	if h.status != 0 {
		w.WriteHeader(h.status)
		return
	}
	h.took = append(h.took, delivered{
		r.Header.Get("Ce-Id"), r.Header.Get("Ce-Type"), r.Header.Get("Ce-Subject"), r.Header.Get("Ce-Trsset"), r.Header.Get("Ce-Trsorder"), r.Header, string(body),
	})
}

func (h *hook) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (h *hook) all() []delivered {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.took)
}

func (h *hook) attempts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tried
}

// call asks the bus for something in JSON.
func (r *rig) call(method, path string, in any, want int) map[string]any {
	r.t.Helper()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			r.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, &body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := testkit.HTTP.Transport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		r.t.Fatalf("%s %s: %s, want %d: %s %v", method, path, resp.Status, want, b, err)
	}
	out := map[string]any{}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			r.t.Fatalf("%v in %s", err, b)
		}
	}
	return out
}

const (
	subscriptions = "/events/subscriptions"
	loopback      = "webhooks: {allow: [127.0.0.0/8], retry: {min: 2ms, max: 10ms}, disable_after: 1h}\n"
)

// subscribe makes a subscription for h, which then checks signatures.
func (r *rig) subscribe(h *hook, more map[string]any) (path string) {
	r.t.Helper()
	in := map[string]any{"url": h.URL + "/x?y=z"}
	maps.Copy(in, more)
	out := r.call(http.MethodPost, subscriptions, in, http.StatusCreated)
	h.mu.Lock()
	h.secret, _ = out["secret"].(string)
	h.mu.Unlock()
	if h.secret == "" {
		r.t.Fatalf("no secret is told: %v", out)
	}
	return subscriptions + "/" + out["id"].(string)
}

// TestWebhooks: a subscriber gets each event that it asked for, in order, as it is on
// the log and signed, also those that happened while the bus was away.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	r := newRig(t, loopback).start()
	early, earlyURI := r.create("early")
	r.eventually("the first event", func() bool { return len(r.seenOf(earlyURI)) == 1 })
	all, some, before := newHook(t), newHook(t), newHook(t)
	path := r.subscribe(all, nil)
	r.subscribe(some, map[string]any{"provider": "st2", "where": "rdf:type=st2:RuleDisabled and st2:rulePack=\"demo\"", "mode": "structured", "name": "some"})
	r.subscribe(before, map[string]any{"from": "beginning"})
	rule, uri := r.create("r")
	r.setEnabled(rule, false)
	r.eventually("three deliveries", func() bool {
		return len(all.all()) >= 2 && len(some.all()) >= 1 && len(before.all()) >= 3 && len(r.seenOf(uri)) >= 2
	})
	for i, want := range []string{"Creation", "Modification"} {
		d := all.all()[i]
		e := r.seenOf(uri)[i]
		if d.id != e.ID || d.kind != "net.open-services.trs."+want || d.subject != uri || d.set != r.url+"/trs/st2" || d.order != fmt.Sprint(i+2) {
			t.Errorf("delivery %d is %+v, want event %s", i, d, e.ID)
		}
		f, _ := format.ByMediaType(d.header.Get("Content-Type"))
		g, err := format.Parse([]byte(d.body), f, "", rdf.Limits{})
		if err != nil || g.Value(rdf.NewIRI("urn:uuid:"+e.ID), vocab.TRSChanged) != uri {
			t.Errorf("the body is no event of %s: %v", uri, err)
		}
	}
	if d := before.all()[0]; d.subject != earlyURI {
		t.Errorf("from the beginning the first event is about %s, want %s", d.subject, earlyURI)
	}
	if d := some.all()[0]; d.header.Get("Content-Type") != "application/cloudevents+json" || !strings.Contains(d.body, `"id":"`+r.seenOf(uri)[1].ID+`"`) {
		t.Errorf("structured it is %s", d.body)
	}
	r.eventually("it to be up to date", func() bool {
		s := r.call(http.MethodGet, path, nil, http.StatusOK)
		return s["state"] == "active" && s["lag"] == 0.0 && s["delivered"] == 2.0
	})
	if s := fmt.Sprint(r.call(http.MethodGet, path, nil, 200), r.call(http.MethodGet, subscriptions, nil, 200)); strings.Contains(s, "secret") || strings.Contains(s, all.secret) {
		t.Errorf("the secret is told again: %s", s)
	}
	// Another secret is told once; for a while the former one is good too.
	former := all.secret
	other, _ := r.call(http.MethodPost, path+"/rotate", nil, http.StatusOK)["secret"].(string)
	if other == "" || other == former {
		t.Errorf("the secret was %q and is %q", former, other)
	}
	if s := r.call(http.MethodPost, path+"/test", nil, http.StatusOK); s["delivered"] != true { // the subscriber checks by the former one
		t.Errorf("the test says %v", s)
	}
	all.mu.Lock()
	all.secret, all.took = other, all.took[:2]
	all.mu.Unlock()
	// While the bus is away the subscriber misses nothing, and gets nothing twice.
	r.halt()
	r.setEnabled(rule, true)
	r.start()
	r.setEnabled(early, false)
	r.eventually("what was missed", func() bool { return len(all.all()) >= 4 && len(some.all()) >= 2 })
	ids := []string{}
	for _, d := range all.all() {
		ids = append(ids, d.id)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 4 || len(all.all()) != 4 {
		t.Errorf("after a restart the deliveries are %v", ids)
	}
	// A test says how it went.
	if s := r.call(http.MethodPost, path+"/test", nil, http.StatusOK); s["delivered"] != true || s["status"] != 200.0 {
		t.Errorf("the test says %v", s)
	}
	if d := all.all()[4]; d.kind != "io.github.oslcbus.webhook.test" {
		t.Errorf("the test delivered %+v", d)
	}
	all.answer(http.StatusTeapot)
	if s := r.call(http.MethodPost, path+"/test", nil, http.StatusOK); s["delivered"] != false || s["status"] != 418.0 || s["error"] == "" {
		t.Errorf("the test says %v", s)
	}
	all.answer(0)
	// What is deleted gets nothing.
	r.call(http.MethodDelete, path, nil, http.StatusNoContent)
	r.call(http.MethodGet, path, nil, http.StatusNotFound)
	was := len(all.all())
	r.setEnabled(rule, false)
	r.eventually("the others to get it", func() bool { return len(some.all()) >= 3 && len(before.all()) >= 6 })
	if len(all.all()) != was {
		t.Errorf("a deleted subscription got %d more", len(all.all())-was)
	}
	_, metrics := r.get("/metrics")
	for _, want := range []string{`oslcbus_webhook_deliveries_total{outcome="delivered"}`, `oslcbus_webhook_subscriptions{state="active"} 2`, "oslcbus_webhook_lag_records "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%s is not among\n%s", want, lines(metrics, "oslcbus_webhook"))
		}
	}
}

// TestWebhooks_failing: a subscriber that fails is tried again and misses nothing; one
// that fails for long, or wants no more, is left alone until it is resumed; one that is
// paused gets nothing meanwhile.
func TestWebhooks_failing(t *testing.T) {
	t.Parallel()
	r := newRig(t, loopback).start()
	h := newHook(t)
	path := r.subscribe(h, map[string]any{"provider": "st2"})
	state := func(want string) func() bool {
		return func() bool { return r.call(http.MethodGet, path, nil, http.StatusOK)["state"] == want }
	}
	h.answer(http.StatusInternalServerError)
	rule, uri := r.create("r")
	r.eventually("some attempts", func() bool { return h.attempts() >= 4 && state("failing")() })
	s := r.call(http.MethodGet, path, nil, http.StatusOK)
	if !strings.Contains(fmt.Sprint(s["lastError"]), "500") || s["attempts"] == nil || s["lag"] == 0.0 {
		t.Errorf("while it fails it says %v", s)
	}
	// It goes on failing over a restart.
	r.halt()
	r.start()
	tried := h.attempts()
	r.eventually("more attempts", func() bool { return h.attempts() > tried })
	h.answer(0)
	r.eventually("the delivery", func() bool { return len(h.all()) >= 1 && state("active")() })

	r.call(http.MethodPost, path+"/pause", nil, http.StatusOK)
	r.setEnabled(rule, false)
	r.eventually("the event", func() bool { return len(r.seenOf(uri)) >= 1 })
	r.call(http.MethodPost, path+"/test", nil, http.StatusOK) // which is no matter of being paused
	if n := len(h.all()); n != 2 || !state("paused")() {
		t.Errorf("paused it has %d deliveries", n)
	}
	h.answer(http.StatusGone)
	r.call(http.MethodPost, path+"/resume", nil, http.StatusOK)
	r.eventually("it to be left alone", state("disabled"))
	tried = h.attempts()
	r.setEnabled(rule, true)
	r.halt()
	r.start()
	r.eventually("it still to be left alone", state("disabled"))
	if h.attempts() != tried {
		t.Errorf("left alone it was called %d times", h.attempts()-tried)
	}
	h.answer(0)
	r.call(http.MethodPost, path+"/resume", nil, http.StatusOK)
	r.eventually("what it missed", func() bool { return len(h.all()) >= 4 && state("active")() })
	// Resumed from now it gets what happens from then on.
	r.call(http.MethodPost, path+"/pause", nil, http.StatusOK)
	r.eventually("the views to have what was delivered", func() bool {
		all, e := h.all(), r.seenOf(uri)
		return len(e) > 0 && e[len(e)-1].ID == all[len(all)-1].id
	})
	seen := len(r.seenOf(uri))
	r.setEnabled(rule, false)
	r.eventually("the event", func() bool { return len(r.seenOf(uri)) > seen })
	r.call(http.MethodPost, path+"/resume", map[string]string{"from": "now"}, http.StatusOK)
	r.setEnabled(rule, true)
	events := func() []string {
		var out []string
		for _, d := range h.all() {
			out = append(out, d.id)
		}
		return out
	}
	last := func() string { e := r.seenOf(uri); return e[len(e)-1].ID }
	r.eventually("the newest event", func() bool { return len(r.seenOf(uri)) > seen+1 && slices.Contains(events(), last()) })
	if skipped := r.seenOf(uri)[seen].ID; slices.Contains(events(), skipped) {
		t.Errorf("event %s was to be left out", skipped)
	}
}

// TestWebhooks_configured: subscriptions of the configuration work as others do, and
// can be paused and resumed, but not deleted.
func TestWebhooks_configured(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	h.secret = "a secret of thirty-two characters"
	r := newRig(t, "").start()
	_, early := r.create("early")
	r.eventually("what is not asked for", func() bool { return len(r.seenOf(early)) == 1 })
	r.halt()
	r.yaml = fmt.Sprintf("webhooks: {allow: [127.0.0.1], disable_after: 1s, retry: {min: 1ms, max: 2ms}, subscriptions: [{name: mine, url: %q, secret: %q, provider: st2}]}\n", h.URL, h.secret)
	r.start()
	path := subscriptions + "/mine"
	state := func(want string) func() bool {
		return func() bool { return r.call(http.MethodGet, path, nil, http.StatusOK)["state"] == want }
	}
	r.eventually("it to begin", func() bool { return r.call(http.MethodGet, path, nil, http.StatusOK)["place"] != nil })
	rule, uri := r.create("r")
	r.eventually("the delivery", func() bool { return len(h.all()) >= 1 })
	if d := h.all()[0]; d.subject != uri {
		t.Errorf("the first delivery is about %s, which happened before it was subscribed to", d.subject)
	}
	r.call(http.MethodDelete, path, nil, http.StatusConflict)
	r.call(http.MethodPost, path+"/rotate", nil, http.StatusConflict)
	h.answer(http.StatusForbidden)
	r.setEnabled(rule, false)
	r.eventually("it to be left alone", state("disabled")) // after failing for a second
	h.answer(0)
	r.call(http.MethodPost, path+"/resume", nil, http.StatusOK)
	r.eventually("the next delivery", func() bool { return len(h.all()) >= 2 && state("active")() })
	r.halt()
	r.setEnabled(rule, true)
	r.start()
	r.eventually("what was missed", func() bool { return len(h.all()) >= 3 })
	if s := r.call(http.MethodGet, path, nil, http.StatusOK); s["configured"] != true {
		t.Errorf("it is %v", s)
	}
}

// TestWebhooks_refused: what cannot be subscribed to says why.
func TestWebhooks_refused(t *testing.T) {
	t.Parallel()
	r := newRig(t, "webhooks: {limit: 1}\n").start()
	for name, c := range map[string]struct {
		in     any
		status int
		want   string
	}{
		"no url":                {map[string]string{}, 400, "url"},
		"this machine":          {map[string]string{"url": "http://127.0.0.1:1/"}, 400, "not public"},
		"an unknown key":        {map[string]string{"url": "https://a.example/", "uri": "x"}, 400, "uri"},
		"a key of another type": {map[string]any{"url": 5}, 400, "url"},
		"a mode":                {map[string]string{"url": "https://a.example/", "mode": "batch"}, 400, "batch"},
		"a place":               {map[string]string{"url": "https://a.example/", "from": "yesterday"}, 400, "yesterday"},
		"no such provider":      {map[string]string{"url": "https://a.example/", "provider": "none"}, 400, "none"},
		"no condition":          {map[string]string{"url": "https://a.example/", "where": "a b"}, 400, "oslc.where"},
		"a long name":           {map[string]string{"url": "https://a.example/", "name": strings.Repeat("x", 201)}, 400, "200"},
		"a list":                {[]string{"url"}, 400, "array"},
	} {
		if out := r.call(http.MethodPost, subscriptions, c.in, c.status); !strings.Contains(fmt.Sprint(out["message"]), c.want) {
			t.Errorf("%s: %v, want %q", name, out, c.want)
		}
	}
	made := r.call(http.MethodPost, subscriptions, map[string]string{"url": "https://a.example/"}, http.StatusCreated)
	r.call(http.MethodPost, subscriptions, map[string]string{"url": "https://a.example/"}, http.StatusConflict)
	path := subscriptions + "/" + made["id"].(string)
	r.call(http.MethodPost, path+"/explode", nil, http.StatusNotFound)
	r.call(http.MethodPost, path+"/pause", map[string]string{"from": "now"}, http.StatusBadRequest)
	r.call(http.MethodPost, path+"/resume", map[string]string{"from": "beginning"}, http.StatusBadRequest)
	r.call(http.MethodPut, path, nil, http.StatusMethodNotAllowed)
	r.call(http.MethodGet, path+"/test", nil, http.StatusMethodNotAllowed)
	r.call(http.MethodPost, subscriptions+"/none/test", nil, http.StatusNotFound)
	r.call(http.MethodDelete, subscriptions+"/none", nil, http.StatusNotFound)
	// A form of another site's page is no JSON.
	resp, _ := r.do(http.MethodPost, subscriptions, "Content-Type", "application/x-www-form-urlencoded")
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form is answered %s", resp.Status)
	}
}

// TestWebhooks_replicas: of two replicas on Kafka one sends; when it ends, the other one
// goes on where it was. What one is told the other one knows.
func TestWebhooks_replicas(t *testing.T) {
	t.Parallel()
	one := newRealRig(t, testkit.Kafka(t), "")
	key := t.TempDir() + "/key"
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	one.yaml += strings.Replace(loopback, "{", fmt.Sprintf("{key_file: %q, ", key), 1)
	one.start()
	two := &realRig{rig: newRig(t, ""), broker: one.broker, topic: one.topic, db: one.db}
	two.yaml, two.base = one.yaml, one.url
	two.launch() // it stands by, which takes a while to be ready
	h := newHook(t)
	path := one.subscribe(h, map[string]any{"provider": "st2"})
	two.eventually("the other replica to know", func() bool {
		resp, _ := two.get(path)
		return resp.StatusCode == http.StatusOK
	})
	id, uri := one.insert("r")
	one.eventually("the delivery", func() bool { return len(h.all()) >= 1 })
	if s := two.call(http.MethodPost, path+"/test", nil, http.StatusOK); s["delivered"] != true {
		t.Errorf("the other replica's test says %v", s)
	}
	one.halt()
	for i := range 3 {
		one.set(id, fmt.Sprintf(`{"description": "version %d"}`, i))
	}
	ids := func() []string {
		var out []string
		for _, d := range h.all() {
			if d.subject == uri {
				out = append(out, d.id)
			}
		}
		slices.Sort(out)
		return out
	}
	two.eventually("what happened since", func() bool { return len(slices.Compact(ids())) >= 4 })
	if all := ids(); len(all) != 4 {
		t.Errorf("events came twice although the replica ended in order: %v", all)
	}
	two.call(http.MethodPost, path+"/pause", nil, http.StatusOK)
	one.launch()
	one.eventually("it to be paused here too", func() bool {
		resp, body := one.get(path)
		return resp.StatusCode == http.StatusOK && strings.Contains(body, `"state": "paused"`)
	})
}
