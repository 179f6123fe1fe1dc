package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/adapters/webhook"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	base   = "https://bus.example"
	secret = "not-a-real-secret"
	key    = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" // of Standard Webhooks
)

var moment = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

func ticket() webhook.ResourceConfig {
	return webhook.ResourceConfig{
		Resource: mapping.Resource{
			Kind: "tickets", Types: []string{"oslc_cm:ChangeRequest"}, Title: "title", Description: "text",
			Properties: []mapping.Property{
				{Path: "state", Predicate: "oslc_cm:status"},
				{Path: "labels", Predicate: "dcterms:subject"},
				{Path: "@type", Predicate: "dcterms:type"},
			},
		},
		Key: "id", Modified: "at",
		Change: webhook.ChangeConfig{Path: "event", Created: []string{"new"}, Modified: []string{"change"}, Deleted: []string{"gone"}},
	}
}

// build makes the adapter with an inbox.
func build(t testing.TB, cfg webhook.ReceiveConfig, opts adapters.Options) adapters.Adapter {
	t.Helper()
	if len(cfg.Resources) == 0 {
		cfg.Resources = []webhook.ResourceConfig{ticket()}
	}
	opts.Name, opts.BaseURL = "tool", base
	a, err := webhook.Build(func(v any) error { v.(*webhook.AdapterConfig).Receive = &cfg; return nil }, opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func says(event, id, title string, at int) []byte {
	return fmt.Appendf(nil, `{"event": %q, "id": %s, "title": %q, "state": "open", "labels": ["a", "b"], "at": "2026-11-21T09:%02d:00Z"}`, event, id, title, at)
}

// send hands a request to a hook as the server does.
func send(a adapters.Adapter, body []byte, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/hooks/tool", bytes.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	server.Handler(nil, server.HandlerFunc(a.Hook)).ServeHTTP(w, req)
	return w
}

func TestSource(t *testing.T) {
	t.Parallel()
	adaptertest.Source(t, adaptertest.SourceConfig{
		Tool: func(context.Context) (adaptertest.Tool, error) {
			inbox := &adaptertest.Inbox{Now: func() time.Time { return moment }}
			a := build(t, webhook.ReceiveConfig{Config: webhook.Config{SignatureConfig: webhook.SignatureConfig{Style: "token", Secret: secret}}}, adapters.Options{Inbox: inbox})
			n := 0
			put := func(bodies ...[]byte) error {
				for _, b := range bodies {
					n++
					if w := send(a, b, "Content-Type", "application/json", "X-Webhook-Token", secret, "Idempotency-Key", fmt.Sprint(n)); w.Code != http.StatusAccepted {
						return fmt.Errorf("%d: %s", w.Code, w.Body)
					}
				}
				return nil
			}
			return adaptertest.Tool{
				Open: func(state adapters.State, cache adapters.Cache, log *slog.Logger) (adapters.Source, error) {
					return build(t, webhook.ReceiveConfig{Config: webhook.Config{SignatureConfig: webhook.SignatureConfig{Style: "token", Secret: secret}}},
						adapters.Options{Inbox: inbox, State: state, Cache: cache, Logger: log}).Source, nil
				},
				Change: func(context.Context) error {
					return put(says("change", "1", "One again", 10), says("new", "3", "Three", 11), says("gone", "2", "Two", 12))
				},
			}, put(says("new", "1", "One", 1), says("new", "2", "Two", 2), says("change", "2", "Two again", 3))
		},
		Events:  6,
		Secrets: []string{secret},
	})
}

// TestSource_tells: what a row of deliveries becomes.
func TestSource_tells(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bodies [][]byte
		want   string
	}{
		"a change of what was not seen":   {[][]byte{says("change", "1", "A", 1)}, "creation A"},
		"nothing different":               {[][]byte{says("new", "1", "A", 1), says("change", "1", "A", 2)}, "creation A"},
		"two creations":                   {[][]byte{says("new", "1", "A", 1), says("new", "1", "B", 2)}, "creation A, modification B"},
		"what comes late":                 {[][]byte{says("new", "1", "B", 2), says("change", "1", "A", 1)}, "creation B"},
		"two at one time":                 {[][]byte{says("new", "1", "A", 1), says("change", "1", "B", 1)}, "creation A, modification B"},
		"late after the end":              {[][]byte{says("new", "1", "A", 1), says("gone", "1", "A", 2), says("change", "1", "B", 2)}, "creation A, deletion A"},
		"there again":                     {[][]byte{says("new", "1", "A", 1), says("gone", "1", "A", 2), says("new", "1", "B", 3)}, "creation A, deletion A, creation B"},
		"the end of what was not seen":    {[][]byte{says("gone", "1", "A", 1), says("new", "2", "B", 1)}, "creation B"},
		"a late end":                      {[][]byte{says("new", "1", "B", 2), says("gone", "1", "A", 1)}, "creation B"},
		"the same with no name, changing": {[][]byte{says("new", "1", "A", 1), says("change", "1", "B", 2), says("change", "1", "A", 3)}, "creation A, modification B, modification A"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inbox, h := &adaptertest.Inbox{}, &adaptertest.Host{}
			a := build(t, webhook.ReceiveConfig{}, adapters.Options{Inbox: inbox, State: h, Cache: &adaptertest.Cache{}})
			for _, b := range append(c.bodies, says("new", "99", "end", 59)) {
				if w := send(a, b, "Content-Type", "application/json"); w.Code != http.StatusAccepted {
					t.Fatalf("%d: %s", w.Code, w.Body)
				}
			}
			var got []string
			for _, e := range run(t, a, h, "end") {
				title := e.Resource.Value(rdf.NewIRI(e.Subject), vocab.DCTermsTitle)
				if title != "end" {
					got = append(got, e.Change.String()+" "+title)
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
		})
	}
}

// run runs a source until a resource with the title is there, and returns the events.
func run(t *testing.T, a adapters.Adapter, h *adaptertest.Host, title string) []*oslc.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Source.Run(ctx, h.Cursor(), h.Emit) }()
	err := h.Wait(ctx, func() bool {
		for _, e := range h.Events() {
			if e.Resource.Value(rdf.NewIRI(e.Subject), vocab.DCTermsTitle) == title {
				return true
			}
		}
		return false
	})
	cancel()
	if ran := <-ended; err != nil {
		t.Fatalf("%v; Run returned %v", err, ran)
	}
	return h.Events()
}

// TestSource_anotherMapping: everything in the inbox is compared when the mapping has
// changed, and the bus learns what is different.
func TestSource_anotherMapping(t *testing.T) {
	t.Parallel()
	inbox, h := &adaptertest.Inbox{}, &adaptertest.Host{}
	old := build(t, webhook.ReceiveConfig{}, adapters.Options{Inbox: inbox, State: h})
	for _, b := range [][]byte{says("new", "1", "One", 1), says("new", "2", "Two", 1), says("gone", "2", "Two", 2), says("change", "1", "One more", 3)} {
		send(old, b, "Content-Type", "application/json")
	}
	run(t, old, h, "One more")
	before := len(h.Events())
	k := ticket()
	k.Properties = append(k.Properties, mapping.Property{Path: "state", Predicate: "oslc_cm:priority"})
	changed := build(t, webhook.ReceiveConfig{Resources: []webhook.ResourceConfig{k}}, adapters.Options{Inbox: inbox, State: h})
	if err := changed.Source.Run(t.Context(), h.Cursor(), h.Emit); oslc.KindOf(err) != oslc.Gone {
		t.Fatalf("Run returned %v, want kind gone", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- changed.Source.Run(ctx, nil, h.Emit) }()
	if err := h.Wait(ctx, func() bool { return len(h.Events()) > before }); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; oslc.KindOf(err) != oslc.Internal {
		t.Errorf("Run returned %v, want the end of its context", err)
	}
	if more := h.Events()[before:]; len(more) != 1 || more[0].Change != oslc.Modification || len(more[0].Changed) != 1 || more[0].Changed[0] != vocab.CMPriority {
		t.Errorf("there are %d more events: %+v", len(more), more)
	}
}

func mac(k []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, k)
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// TestSignatures: each style takes what its tool sends, and nothing near it.
func TestSignatures(t *testing.T) {
	t.Parallel()
	body := string(says("new", "1", "One", 1))
	sum := hex.EncodeToString(mac([]byte(secret), body))
	raw, _ := base64.StdEncoding.DecodeString(key)
	stamp := func(at time.Time) string { return fmt.Sprint(at.Unix()) }
	std := func(id string, at time.Time) string {
		return "v1," + base64.StdEncoding.EncodeToString(mac(raw, id, ".", stamp(at), ".", body))
	}
	bearer, none := "Bearer ", ""
	for _, c := range []struct {
		cfg  webhook.SignatureConfig
		good []string
		bad  [][]string
	}{
		{
			webhook.SignatureConfig{Secret: secret},
			[]string{"X-Hub-Signature-256", "sha256=" + sum},
			[][]string{{}, {"X-Hub-Signature-256", sum}, {"X-Hub-Signature-256", "sha256=" + sum[:62]}, {"X-Hub-Signature-256", ""}, {"X-Hub-Signature", "sha256=" + sum}},
		},
		{
			webhook.SignatureConfig{Style: "hmac", Header: "X-Sum", Prefix: &none, Encoding: "base64", Secret: secret},
			[]string{"X-Sum", base64.StdEncoding.EncodeToString(mac([]byte(secret), body))},
			[][]string{{"X-Sum", sum}, {"X-Sum", ""}},
		},
		{webhook.SignatureConfig{Style: "github", Secret: secret}, []string{"X-Hub-Signature-256", "sha256=" + sum}, [][]string{{"X-Hub-Signature", "sha256=" + sum}, {"X-Hub-Signature-256", "sha1=" + sum}}},
		{webhook.SignatureConfig{Style: "jira", Secret: secret}, []string{"X-Hub-Signature", "sha256=" + sum}, [][]string{{"X-Hub-Signature-256", "sha256=" + sum}, {"X-Hub-Signature", "md5=" + sum}}},
		{webhook.SignatureConfig{Secret: "the one to come", Former: secret}, []string{"X-Hub-Signature-256", "sha256=" + sum}, [][]string{{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac([]byte("another"), body))}, {}}},
		{webhook.SignatureConfig{Secret: secret, Former: "the one that was"}, []string{"X-Hub-Signature-256", "sha256=" + sum}, [][]string{{}}},
		{webhook.SignatureConfig{Style: "gitlab", Secret: adapters.Secret("whsec_" + key), Former: secret}, []string{"X-Gitlab-Token", secret}, [][]string{{"X-Gitlab-Token", "x"}, {}}},
		{webhook.SignatureConfig{Style: "token", Secret: secret}, []string{"X-Webhook-Token", secret}, [][]string{{"X-Webhook-Token", secret + "x"}, {"X-Webhook-Token", ""}, {}}},
		{webhook.SignatureConfig{Style: "token", Header: "Authorization", Prefix: &bearer, Secret: secret}, []string{"Authorization", "Bearer " + secret}, [][]string{{"Authorization", secret}, {"Authorization", "Bearer"}}},
		{webhook.SignatureConfig{Style: "gitlab", Secret: secret}, []string{"X-Gitlab-Token", secret}, [][]string{{"X-Gitlab-Token", sum}, {}}},
		{
			webhook.SignatureConfig{Style: "gitlab", Secret: adapters.Secret("whsec_" + key)},
			[]string{"Webhook-Id", "m1", "Webhook-Timestamp", stamp(moment), "Webhook-Signature", "v1,AAAA v2,x " + std("m1", moment)},
			[][]string{
				{"X-Gitlab-Token", "whsec_" + key},
				{"Webhook-Id", "m2", "Webhook-Timestamp", stamp(moment), "Webhook-Signature", std("m1", moment)},
				{"Webhook-Id", "m1", "Webhook-Timestamp", stamp(moment.Add(time.Second)), "Webhook-Signature", std("m1", moment)},
				{"Webhook-Id", "m1", "Webhook-Timestamp", stamp(moment.Add(-6 * time.Minute)), "Webhook-Signature", std("m1", moment.Add(-6*time.Minute))},
				{"Webhook-Id", "m1", "Webhook-Timestamp", "now", "Webhook-Signature", std("m1", moment)},
				{"Webhook-Timestamp", stamp(moment), "Webhook-Signature", std("", moment)},
				{"Webhook-Id", "m1", "Webhook-Timestamp", stamp(moment), "Webhook-Signature", strings.TrimPrefix(std("m1", moment), "v1,")},
			},
		},
		{webhook.SignatureConfig{Style: "standard", Secret: key}, []string{"Webhook-Id", "m1", "Webhook-Timestamp", stamp(moment), "Webhook-Signature", std("m1", moment)}, [][]string{{}}},
	} {
		inbox, counts := &adaptertest.Inbox{}, &adaptertest.Counts{}
		a := build(t, webhook.ReceiveConfig{Config: webhook.Config{SignatureConfig: c.cfg}}, adapters.Options{Inbox: inbox, Public: true, Metrics: counts, Now: func() time.Time { return moment }})
		for _, bad := range c.bad {
			if w := send(a, []byte(body), append([]string{"Content-Type", "application/json"}, bad...)...); w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s %q: %d %s", c.cfg.Style, bad, w.Code, w.Body)
			}
		}
		if n := counts.Of("refused_delivery"); n != len(c.bad) || len(inbox.Deliveries()) != 0 {
			t.Errorf("%s: %d were refused, %d are in the inbox", c.cfg.Style, n, len(inbox.Deliveries()))
		}
		if w := send(a, []byte(body), append([]string{"Content-Type", "application/json"}, c.good...)...); w.Code != http.StatusAccepted || len(inbox.Deliveries()) != 1 {
			t.Errorf("%s: %d %s", c.cfg.Style, w.Code, w.Body)
		}
		for _, d := range inbox.Deliveries() {
			for name, v := range d.Header {
				if strings.Contains(v, secret) || strings.Contains(v, sum) {
					t.Errorf("%s: the inbox has the header field %s", c.cfg.Style, name)
				}
			}
		}
	}
}

// TestCloudEvents: the three modes say the same.
func TestCloudEvents(t *testing.T) {
	t.Parallel()
	const data = `{"event": "new", "id": 7, "title": "Näme"}`
	event := func(id string) string {
		return `{"specversion": "1.0", "id": "` + id + `", "source": "/tool", "type": "example.ticket", "subject": "Näme", "time": "2026-11-21T09:30:00Z", "level": 3, "data": ` + data + `}`
	}
	for name, c := range map[string]struct {
		body   string
		header []string
	}{
		"binary":     {data, []string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/tool", "Ce-Type", "example.ticket", "Ce-Subject", "N%C3%A4me", "Ce-Time", "2026-11-21T09:30:00Z", "Ce-Level", "3"}},
		"structured": {event("1"), []string{"Content-Type", "application/cloudevents+json; charset=utf-8"}},
		"batch":      {"[" + event("1") + "]", []string{"Content-Type", "application/cloudevents-batch+json"}},
	} {
		inbox, h := &adaptertest.Inbox{}, &adaptertest.Host{}
		k := ticket()
		k.When = map[string][]string{"@type": {"example.ticket"}}
		k.Properties = append(k.Properties, mapping.Property{Path: "@subject", Predicate: "dcterms:relation"}, mapping.Property{Path: "@level", Predicate: "dcterms:references"})
		a := build(t, webhook.ReceiveConfig{Resources: []webhook.ResourceConfig{k}}, adapters.Options{Inbox: inbox, State: h})
		for range 2 { // the second is a repeat: ce-source and ce-id are its name
			if w := send(a, []byte(c.body), c.header...); w.Code != http.StatusAccepted {
				t.Fatalf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if d := inbox.Deliveries(); len(d) != 2 || d[0].ID != "/tool 1" || d[1].ID != d[0].ID {
			t.Errorf("%s: the inbox has %+v", name, d)
		}
		events := run(t, a, h, "Näme")
		g, s := events[0].Resource, rdf.NewIRI(base+"/services/tool/tickets/7")
		if g.Value(s, vocab.DCTermsType) != "example.ticket" || g.Value(s, vocab.DCTermsRelation) != "Näme" || g.Value(s, vocab.DCTermsReferences) != "3" || len(events) != 1 {
			t.Errorf("%s: %d events, the first\n%v", name, len(events), g.Triples())
		}
	}
	for name, c := range map[string]struct {
		body string
		want int
		kind string
	}{
		"no id":             {`{"specversion": "1.0", "source": "/tool", "type": "t"}`, 400, "application/cloudevents+json"},
		"an old version":    {`{"specversion": "0.1", "id": "1", "source": "/tool", "type": "t"}`, 400, "application/cloudevents+json"},
		"no JSON":           {`{`, 400, "application/cloudevents+json"},
		"no list":           {`{}`, 400, "application/cloudevents-batch+json"},
		"one is none":       {`[` + event("1") + `, {}]`, 400, "application/cloudevents-batch+json"},
		"data is something": {`{"specversion": "1.0", "id": "1", "source": "/tool", "type": "t", "datacontenttype": "text/xml", "data": "<a/>"}`, 415, "application/cloudevents+json"},
		"another format":    {`x`, 415, "application/cloudevents+protobuf"},
		"no type":           {`{}`, 415, ""},
	} {
		inbox := &adaptertest.Inbox{}
		if w := send(build(t, webhook.ReceiveConfig{}, adapters.Options{Inbox: inbox}), []byte(c.body), "Content-Type", c.kind); w.Code != c.want || len(inbox.Deliveries()) > 0 {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, c.want, w.Body)
		}
	}
	w := send(build(t, webhook.ReceiveConfig{}, adapters.Options{Inbox: &adaptertest.Inbox{}}), []byte(data), "Content-Type", "application/json", "Ce-Specversion", "9.9", "Ce-Id", "1")
	if w.Code != http.StatusBadRequest {
		t.Errorf("an unknown version is %d", w.Code)
	}
}

// TestTrace: an event belongs to the trace that its delivery came with.
func TestTrace(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, header := range map[string][]string{
		"a header field": {"Content-Type", "application/json", "Traceparent", parent, "Tracestate", "a=b"},
		"an extension": {
			"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/tool", "Ce-Type", "t",
			"Ce-Traceparent", parent, "Ce-Tracestate", "a=b", "Traceparent", "00-00000000000000000000000000000001-0000000000000001-00",
		},
	} {
		inbox, h := &adaptertest.Inbox{}, &adaptertest.Host{}
		a := build(t, webhook.ReceiveConfig{}, adapters.Options{Inbox: inbox, State: h})
		if w := send(a, says("new", "1", "One", 1), header...); w.Code != http.StatusAccepted {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		if e := run(t, a, h, "One")[0]; e.Trace.Parent != parent || e.Trace.State != "a=b" {
			t.Errorf("%s: the trace is %+v", name, e.Trace)
		}
	}
}

// TestLogAway: a tool that could not be heard is told to come again.
func TestLogAway(t *testing.T) {
	t.Parallel()
	inbox := &adaptertest.Inbox{Fail: &oslc.Error{Op: "x", Kind: oslc.Unavailable, RetryAfter: 5 * time.Second, Err: fmt.Errorf("the log is away")}}
	a := build(t, webhook.ReceiveConfig{}, adapters.Options{Inbox: inbox})
	if w := send(a, says("new", "1", "One", 1), "Content-Type", "application/json"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	inbox.Fail = nil
	if w := send(a, says("new", "1", "One", 1), "Content-Type", "application/json"); w.Code != http.StatusAccepted {
		t.Errorf("%d", w.Code)
	}
}

// TestIgnored: what tells nothing is taken and not kept.
func TestIgnored(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"event": "sung", "id": 1, "title": "x"}`: "ignored_delivery",
		`{"event": "new", "title": "x"}`:           "unmapped_delivery",
		`{"event": "new", "id": 1}`:                "unmapped_delivery",
		`[]`:                                       "ignored_delivery",
		`null`:                                     "ignored_delivery",
	} {
		inbox, counts := &adaptertest.Inbox{}, &adaptertest.Counts{}
		w := send(build(t, webhook.ReceiveConfig{}, adapters.Options{Inbox: inbox, Metrics: counts}), []byte(body), "Content-Type", "application/json")
		if w.Code != http.StatusAccepted || counts.Of(want) != 1 || len(inbox.Deliveries()) > 0 || !strings.Contains(w.Body.String(), "ignored") {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

func TestBuild_refuses(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*webhook.AdapterConfig, *adapters.Options){
		"receive or call is needed":   func(c *webhook.AdapterConfig, _ *adapters.Options) { c.Receive = nil },
		"secret or secret_file is":    func(_ *webhook.AdapterConfig, o *adapters.Options) { o.Public = true },
		"resources is empty":          func(c *webhook.AdapterConfig, _ *adapters.Options) { c.Receive.Resources = nil },
		`signature: "x" is none of`:   func(c *webhook.AdapterConfig, _ *adapters.Options) { c.Receive.Style = "x" },
		`encoding: "x" is none of`:    func(c *webhook.AdapterConfig, _ *adapters.Options) { c.Receive.Encoding = "x" },
		"header, prefix and encoding": func(c *webhook.AdapterConfig, _ *adapters.Options) { c.Receive.Style, c.Receive.Header = "github", "X" },
		"a signing token is whsec_": func(c *webhook.AdapterConfig, _ *adapters.Options) {
			c.Receive.Style, c.Receive.Secret = "standard", "?"
		},
		"both set":                        func(c *webhook.AdapterConfig, _ *adapters.Options) { c.Receive.Secret, c.Receive.SecretFile = "a", "b" },
		"there is no secret that follows": func(c *webhook.AdapterConfig, _ *adapters.Options) { c.Receive.Former = "x" },
		"resources[0]: key is":            func(c *webhook.AdapterConfig, _ *adapters.Options) { c.Receive.Resources[0].Key = "" },
		"change: path is missing":         func(c *webhook.AdapterConfig, _ *adapters.Options) { c.Receive.Resources[0].Change.Path = "" },
		"say which values of event": func(c *webhook.AdapterConfig, _ *adapters.Options) {
			c.Receive.Resources[0].Change = webhook.ChangeConfig{Path: "event"}
		},
		"holds what must not be shown": func(c *webhook.AdapterConfig, _ *adapters.Options) {
			c.Receive.Resources[0].Title = "@header.X-Gitlab-Token"
		},
		`"nowhere" is neither`: func(c *webhook.AdapterConfig, _ *adapters.Options) {
			c.Receive.Resources[0].Types = []string{"nowhere"}
		},
		"there is no inbox": func(_ *webhook.AdapterConfig, o *adapters.Options) { o.Inbox = nil },
	} {
		cfg := webhook.AdapterConfig{Receive: &webhook.ReceiveConfig{Resources: []webhook.ResourceConfig{ticket()}}}
		opts := adapters.Options{Name: "tool", BaseURL: base, Inbox: &adaptertest.Inbox{}}
		change(&cfg, &opts)
		_, err := webhook.Build(func(v any) error { *v.(*webhook.AdapterConfig) = cfg; return nil }, opts)
		if err == nil || !strings.Contains(err.Error(), want) || oslc.KindOf(err) != oslc.Invalid {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
