package oslcbus_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// spanned gives a rig a tracer whose spans are kept.
func (r *rig) spanned(o ...sdktrace.TracerProviderOption) *tracetest.InMemoryExporter {
	kept := tracetest.NewInMemoryExporter()
	r.spans = sdktrace.NewTracerProvider(append(o, sdktrace.WithSyncer(kept))...)
	return kept
}

// spansOf returns the spans of a trace whose names begin with prefix, oldest first.
func spansOf(kept *tracetest.InMemoryExporter, id, prefix string) []tracetest.SpanStub {
	var out []tracetest.SpanStub
	for _, s := range kept.GetSpans() {
		if s.SpanContext.TraceID().String() == id && strings.HasPrefix(s.Name, prefix) {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	return out
}

func attr(s tracetest.SpanStub, name string) string {
	for _, a := range s.Attributes {
		if a.Key == attribute.Key(name) {
			return a.Value.String()
		}
	}
	return ""
}

// TestSpans: a change of a rule of StackStorm, the rule of ours that it is for, the
// request, and each attempt are spans of one trace, each below the one before; Jira hears
// the span of the attempt that calls it. The records are what they are without spans.
func TestSpans(t *testing.T) {
	t.Parallel()
	r := newRig(t, ruleTicket)
	kept := r.spanned(sdktrace.WithIDGenerator(oslcbus.SpanIDs{}))
	var mu sync.Mutex
	var heard []oslc.Trace
	r.fault(func(w http.ResponseWriter, req *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, oslc.TraceFromHeader(req.Header))
		if len(heard) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return len(heard) == 1
	})
	r.start()
	rule, uri := r.create("r")
	r.setEnabled(rule, false)
	r.eventually("the events", func() bool { return len(r.seenOf(uri)) >= 2 })
	change := r.seenOf(uri)[1]
	id := change.Trace.ID()
	one := func(prefix string) tracetest.SpanStub {
		t.Helper()
		r.eventually("the span "+prefix, func() bool { return len(spansOf(kept, id, prefix)) >= 1 })
		all := spansOf(kept, id, prefix)
		if len(all) != 1 {
			t.Fatalf("%d spans %q, want 1", len(all), prefix)
		}
		return all[0]
	}
	execute := one("execute jira") // the last to end
	event, judged, asked := one("publish st2"), one("rule rule-disabled-ticket"), one("ask jira")
	attempts := spansOf(kept, id, "attempt jira")
	if len(attempts) != 2 {
		t.Fatalf("%d attempts, want 2", len(attempts))
	}
	if event.SpanContext.SpanID().String() != strings.Split(change.Trace.Parent, "-")[2] || event.Parent.SpanID().IsValid() {
		t.Errorf("the event is the span %v below %v, want that of %s and nothing above", event.SpanContext.SpanID(), event.Parent.SpanID(), change.Trace.Parent)
	}
	for _, c := range []struct {
		what          string
		child, parent tracetest.SpanStub
		kind          trace.SpanKind
	}{
		{"rule", judged, event, trace.SpanKindInternal},
		{"request", asked, judged, trace.SpanKindProducer},
		{"execution", execute, asked, trace.SpanKindConsumer},
		{"first attempt", attempts[0], execute, trace.SpanKindClient},
		{"second attempt", attempts[1], execute, trace.SpanKindClient},
	} {
		if c.child.Parent.SpanID() != c.parent.SpanContext.SpanID() || c.child.SpanKind != c.kind {
			t.Errorf("the span of the %s is %v below %v, want %v below %v", c.what, c.child.SpanKind, c.child.Parent.SpanID(), c.kind, c.parent.SpanContext.SpanID())
		}
	}
	for _, c := range []struct {
		s          tracetest.SpanStub
		name, want string
	}{
		{attempts[0], "oslcbus.kind", "unavailable"},
		{attempts[0], "oslcbus.attempt", "1"},
		{attempts[1], "oslcbus.kind", "ok"},
		{attempts[1], "oslcbus.attempt", "2"},
		{attempts[1], "oslcbus.connection", "jira"},
		{attempts[1], "oslcbus.action", vocab.Bus + "CreateIssue"},
		{execute, "oslcbus.attempts", "2"},
		{execute, "oslcbus.verdict", "passed"},
		{judged, "oslcbus.rule", "rule-disabled-ticket"},
		{event, "cloudevents.event_id", change.ID},
		{event, "cloudevents.event_subject", uri},
	} {
		if got := attr(c.s, c.name); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.s.Name, c.name, got, c.want)
		}
	}
	// Who has no spans has the same records: the ids in them are derived.
	step := change.Trace.Child("rule rule-disabled-ticket")
	want := []oslc.Trace{step, step.Child("execute"), step.Child("execute")}
	ofBus := func() (out []oslc.Trace) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range r.events {
			if s.provider == "bus" {
				out = append(out, s.event.Trace)
			}
		}
		return out
	}
	r.eventually("request, end and result", func() bool { return len(ofBus()) >= len(want) })
	if got := ofBus(); !slices.Equal(got, want) {
		t.Errorf("the records are at %v, want %v", got, want)
	}
	mu.Lock()
	for i, h := range heard {
		s := attempts[min(i, 1)]
		if want := "00-" + id + "-" + s.SpanContext.SpanID().String() + "-01"; h.Parent != want {
			t.Errorf("call %d of Jira came with %q, want %q", i, h.Parent, want)
		}
	}
	mu.Unlock()
	// What somebody asks for is below the HTTP request of who asked, and that below the client's.
	const parent, of = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"
	resp, body := r.askIssue("", "", "traceparent", parent)
	wantStatus(t, "asking", resp, body, http.StatusCreated, "")
	r.eventually("the spans", func() bool {
		return len(spansOf(kept, of, "execute")) >= 1 && len(spansOf(kept, of, "POST ")) >= 1
	})
	post, again := spansOf(kept, of, "POST ")[0], spansOf(kept, of, "ask jira")[0]
	if post.Parent.SpanID().String() != "b7ad6b7169203331" || again.Parent.SpanID() != post.SpanContext.SpanID() {
		t.Errorf("the HTTP request is below %v, what is asked for below %v", post.Parent.SpanID(), again.Parent.SpanID())
	}
	if attr(post, "http.route") != strings.TrimPrefix(post.Name, "POST ") || attr(post, "http.request.method") != "POST" || attr(post, "http.response.status_code") != "201" {
		t.Errorf("the span of the HTTP request is %s %v", post.Name, post.Attributes)
	}
	// Without a trace it begins one, which leads to the request that asked.
	resp, body = r.askIssue("", "")
	wantStatus(t, "asking", resp, body, http.StatusCreated, "")
	r.eventually("the request to link", func() bool {
		return slices.ContainsFunc(kept.GetSpans(), func(s tracetest.SpanStub) bool {
			return s.Name == "ask jira" && len(s.Links) == 1 && s.Links[0].SpanContext.TraceID() != s.SpanContext.TraceID() && !s.Parent.SpanID().IsValid()
		})
	})
	for _, s := range kept.GetSpans() {
		if strings.Contains(s.Name, "healthz") || strings.Contains(s.Name, "readyz") {
			t.Errorf("a probe is a span: %s", s.Name)
		}
		for _, a := range s.Attributes {
			if v := a.Value.String(); strings.Contains(v, "was disabled") || strings.Contains(v, "not-a-real-secret") || strings.Contains(v, "Look at it") {
				t.Errorf("%s tells %s", s.Name, v)
			}
		}
	}
}

// TestSpans_deliveries: what a tool sends and what a subscriber is sent are spans; the
// subscriber hears its own.
func TestSpans_deliveries(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	h.answer(http.StatusServiceUnavailable)
	r := newRig(t, loopback)
	kept := r.spanned(sdktrace.WithIDGenerator(oslcbus.SpanIDs{}))
	r.start()
	r.subscribe(h, map[string]any{})
	_, uri := r.create("r")
	r.eventually("the event", func() bool { return len(r.seenOf(uri)) >= 1 })
	change := r.seenOf(uri)[0]
	id := change.Trace.ID()
	r.eventually("two attempts", func() bool { return len(spansOf(kept, id, "deliver")) >= 2 })
	h.answer(0)
	r.eventually("a delivery", func() bool { return len(h.all()) >= 1 })
	got := h.all()[0]
	r.eventually("its span", func() bool {
		all := spansOf(kept, id, "deliver")
		return attr(all[len(all)-1], "oslcbus.kind") == "ok"
	})
	all := spansOf(kept, id, "deliver")
	first, last := all[0], all[len(all)-1]
	if attr(first, "oslcbus.kind") != "unavailable" || attr(first, "http.response.status_code") != "503" || attr(first, "oslcbus.attempt") != "1" ||
		attr(last, "cloudevents.event_id") != got.id {
		t.Errorf("the spans of the deliveries are %v and %v", first.Attributes, last.Attributes)
	}
	if want := "00-" + id + "-" + last.SpanContext.SpanID().String() + "-01"; got.header.Get("Traceparent") != want || got.header.Get("Ce-Traceparent") != change.Trace.Parent {
		t.Errorf("the subscriber heard %q and %q, want %q and %q", got.header.Get("Traceparent"), got.header.Get("Ce-Traceparent"), want, change.Trace.Parent)
	}
	if last.Parent.SpanID().String() != strings.Split(change.Trace.Parent, "-")[2] {
		t.Errorf("the delivery is below %v, want the event's %s", last.Parent.SpanID(), change.Trace.Parent)
	}
}

// TestSpans_received: what a tool sends is below its HTTP request, and that and the event
// are below what the tool says that it is in.
func TestSpans_received(t *testing.T) {
	t.Parallel()
	const parent, id, sender = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	r := newRig(t, githubYAML)
	kept := r.spanned(sdktrace.WithIDGenerator(oslcbus.SpanIDs{}))
	r.start()
	if resp, body := r.github("opened", "0", "traceparent", parent); resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	r.eventually("the spans", func() bool {
		return len(spansOf(kept, id, "POST ")) >= 1 && len(spansOf(kept, id, "receive github")) >= 1 && len(spansOf(kept, id, "publish github")) >= 1
	})
	post, receive, publish := spansOf(kept, id, "POST ")[0], spansOf(kept, id, "receive github")[0], spansOf(kept, id, "publish github")[0]
	if post.Parent.SpanID().String() != sender || receive.Parent.SpanID() != post.SpanContext.SpanID() || publish.Parent.SpanID().String() != sender {
		t.Errorf("above them are %v, %v and %v", post.Parent.SpanID(), receive.Parent.SpanID(), publish.Parent.SpanID())
	}
	if post.Name != "POST /hooks/{connection}" || attr(post, "http.response.status_code") != "202" || attr(receive, "messaging.batch.message_count") != "1" {
		t.Errorf("the spans are %s %v and %v", post.Name, post.Attributes, receive.Attributes)
	}
}

// TestSpans_otherIDs: with ids that the SDK makes up, and with spans that nobody samples, the
// traces are the same, and what is called hears the span's own id.
func TestSpans_otherIDs(t *testing.T) {
	t.Parallel()
	for name, sampler := range map[string]sdktrace.Sampler{"sampled": sdktrace.AlwaysSample(), "not sampled": sdktrace.NeverSample()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ruleTicket)
			kept := r.spanned(sdktrace.WithSampler(sampler))
			var mu sync.Mutex
			var heard []string
			r.fault(func(_ http.ResponseWriter, req *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				heard = append(heard, req.Header.Get("Traceparent"))
				return false
			})
			r.start()
			rule, uri := r.create("r")
			r.setEnabled(rule, false)
			r.eventually("the issue", func() bool { return len(r.jira.Issues()) >= 1 })
			r.eventually("the events", func() bool { return len(r.seenOf(uri)) >= 2 })
			id, flags := r.seenOf(uri)[1].Trace.ID(), "-00"
			if name == "sampled" {
				flags = "-01"
				r.eventually("the spans", func() bool {
					return len(spansOf(kept, id, "publish")) == 1 && len(spansOf(kept, id, "attempt")) == 1
				})
			}
			mu.Lock()
			defer mu.Unlock()
			for _, h := range heard {
				if !strings.HasPrefix(h, "00-"+id+"-") || !strings.HasSuffix(h, flags) {
					t.Errorf("Jira was called with %q, want the trace %s with the flags %s", h, id, flags)
				}
			}
			if name != "sampled" && len(kept.GetSpans()) > 0 {
				t.Errorf("%d spans of what is not sampled", len(kept.GetSpans()))
			}
		})
	}
}
