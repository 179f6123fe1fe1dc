package oslcbus

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/trace/noop"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// TestSpans_off: without a provider nothing is allocated for spans, and without spans that
// count the place in the trace is the one that records name.
func TestSpans_off(t *testing.T) { // not parallel: it counts allocations
	ctx := t.Context()
	r := &oslc.Request{ID: "6f0c0000-0000-4000-8000-000000000000", Tool: "jira", Trace: oslc.TraceOf("6f0c0000-0000-4000-8000-000000000000")}
	ev := &oslc.Event{ID: r.ID, Trace: r.Trace}
	records := []bus.Record{{Topic: "st2_event"}}
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/trs/st2", http.NoBody)
	failed := errors.New("failed")
	n := newTracer(nil, "")
	if allocs := testing.AllocsPerRun(100, func() {
		n.published(ctx, "st2", n.now(), records)
		in := n.judged(ctx, n.now(), "a", ev, failed)
		n.asked(in, n.now(), r)
		x, s := n.execute(ctx, r)
		_, a := n.attempt(x, r, 1)
		a.end(failed)
		s.verdict("passed", 1, nil)
		_, d := n.deliver(ctx, "s", records[0].Message, 1)
		d.status(503)
		d.end(failed)
		_, i := n.receive(ctx, "tracker", 1)
		i.end(nil)
		_, h := n.serve(req)
		h.answered(http.MethodGet, "/trs/{set}", 200)
		if s.trace(r.Trace) != r.Trace {
			t.Error("there is a span")
		}
	}); allocs != 0 {
		t.Errorf("no spans allocate %v times", allocs)
	}

	off := newTracer(noop.NewTracerProvider(), "")
	_, s := off.execute(ctx, r)
	if got := s.trace(r.Trace.Child(stepExecute)); got != r.Trace.Child(stepExecute) {
		t.Errorf("a span that is none is at %+v", got)
	}
}

// TestSpanContext: the place that a record names is that of its span, as W3C Trace Context writes it.
func TestSpanContext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parent, state        string
		trace, span, listing string
		sampled              bool
	}{
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1,b=2", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "a=1,b=2", true},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "", false},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", "no list", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "", true},
		{"", "", "00000000000000000000000000000000", "0000000000000000", "", false},
	} {
		sc := spanContext(oslc.ParseTrace(c.parent, c.state))
		if sc.TraceID().String() != c.trace || sc.SpanID().String() != c.span || sc.IsSampled() != c.sampled || sc.TraceState().String() != c.listing {
			t.Errorf("%q, %q is %v", c.parent, c.state, sc)
		}
	}
}

// TestSpanIDs: ids are those that records name, only in their own trace, and otherwise
// valid and new.
func TestSpanIDs(t *testing.T) {
	t.Parallel()
	var ids SpanIDs
	a, s := ids.NewIDs(t.Context())
	b, other := ids.NewIDs(t.Context())
	if !a.IsValid() || !s.IsValid() || a == b || s == other {
		t.Errorf("the ids are %v %v and %v %v", a, s, b, other)
	}
	named := spanContext(oslc.TraceOf("6f0c0000-0000-4000-8000-000000000000"))
	ctx := context.WithValue(t.Context(), spanIDKey{}, named)
	if got := ids.NewSpanID(ctx, named.TraceID()); got != named.SpanID() {
		t.Errorf("the id is %v, records name %v", got, named.SpanID())
	}
	for range 3 {
		if got := ids.NewSpanID(ctx, a); got == named.SpanID() || !got.IsValid() {
			t.Errorf("the id in another trace is %v", got)
		}
	}
}
