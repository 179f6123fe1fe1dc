package oslc_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/oslc"
)

const someTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestParseTrace: what W3C Trace Context has, and what it says is to be passed over.
func TestParseTrace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ parent, state, want, wantState string }{
		{someTrace, "", someTrace, ""},
		{someTrace, "rojo=00f067aa0ba902b7,congo=t61", someTrace, "rojo=00f067aa0ba902b7,congo=t61"},
		{someTrace, strings.Repeat("x", 513), someTrace, ""},
		{someTrace, "a=\x01", someTrace, ""},
		{"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-is-new", "", someTrace, ""},
		{"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what-is-new", "", "", ""},
		{"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", "", ""},
		{someTrace + "-x", "", "", ""},
		{strings.ToUpper(someTrace), "", "", ""},
		{"00-00000000000000000000000000000000-b7ad6b7169203331-01", "", "", ""},
		{"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "", "", ""},
		{"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", "", ""},
		{someTrace[:54], "", "", ""},
		{"", "a=b", "", ""},
	} {
		if got := oslc.ParseTrace(tt.parent, tt.state); got.Parent != tt.want || got.State != tt.wantState {
			t.Errorf("%q, %q: got %+v", tt.parent, tt.state, got)
		}
	}
}

// TestTraceOf: every id has a trace that can be read, always the same, and steps stay
// in it.
func TestTraceOf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.Map(rapid.String(), func(s string) string { return oslc.NewID(s) }),
			rapid.Just("00000000-0000-0000-0000-000000000000")).Draw(rt, "id")
		a := oslc.TraceOf(id)
		if a != oslc.TraceOf(id) || oslc.ParseTrace(a.Parent, "") != a {
			rt.Fatalf("%q has the trace %+v", id, a)
		}
		if len(id) == 36 && id == oslc.NewID(id) && a.ID() != strings.ReplaceAll(id, "-", "") {
			rt.Fatalf("%q has the trace %s", id, a.ID())
		}
		b := a.Child(rapid.String().Draw(rt, "step"))
		if b.ID() != a.ID() || b == a || oslc.ParseTrace(b.Parent, "") != b {
			rt.Fatalf("a step of %+v is %+v", a, b)
		}
	})
}

// TestTraceTravels: a trace goes on in calls and in what is logged.
func TestTraceTravels(t *testing.T) {
	t.Parallel()
	h := http.Header{"Traceparent": {someTrace}, "Tracestate": {"a=1", "b=2"}}
	ctx := oslc.WithTrace(t.Context(), oslc.TraceFromHeader(h))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://tool.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	oslc.SetTrace(r)
	if r.Header.Get("Traceparent") != someTrace || r.Header.Get("Tracestate") != "a=1,b=2" {
		t.Errorf("the call has %v", r.Header)
	}
	var b bytes.Buffer
	logger := slog.New(oslc.TraceHandler{Handler: slog.NewTextHandler(&b, nil)}).With("x", 1)
	logger.InfoContext(ctx, "said")
	logger.InfoContext(t.Context(), "not said")
	if n := strings.Count(b.String(), "trace_id=0af7651916cd43dd8448eb211c80319c"); n != 1 {
		t.Errorf("the log is\n%s", b.String())
	}
}
