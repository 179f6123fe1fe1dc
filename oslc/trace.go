package oslc

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
)

// A Trace is the place of something in a chain of causes, as W3C Trace Context has it:
// one id from a change to every effect of it. Where nothing gives one it is derived from
// the id of the event or request, so that what is told twice is in the same trace.
type Trace struct {
	// Parent is the value of the header traceparent, or empty.
	Parent string
	// State is the value of tracestate, or empty; it is handed on as it came.
	State string
}

// Names of the header fields (W3C Trace Context, 3.2.1 and 3.3.1).
const (
	headerTraceparent = "traceparent"
	headerTracestate  = "tracestate"
)

// Where the parts of version 00 of traceparent are: 00-<trace-id>-<parent-id>-<flags>.
const (
	traceAt, spanAt, flagsAt, parentLen = 3, 36, 53, 55
	sampled                             = "01"
	maxTracestate                       = 512 // what everybody must be able to hand on (3.3.1.5)
)

// IsZero reports whether there is no trace.
func (t Trace) IsZero() bool { return t.Parent == "" }

// ID returns the trace-id: 32 hexadecimal digits, or nothing.
func (t Trace) ID() string {
	if t.IsZero() {
		return ""
	}
	return t.Parent[traceAt : spanAt-1]
}

// ParseTrace reads the values of traceparent and tracestate; the result is zero where
// the first is not as W3C Trace Context says.
func ParseTrace(parent, state string) Trace {
	if len(parent) < parentLen || len(parent) > parentLen && (parent[parentLen] != '-' || strings.HasPrefix(parent, "00")) ||
		strings.HasPrefix(parent, "ff") {
		return Trace{}
	}
	for i := range parentLen {
		c := parent[i]
		dash := i == traceAt-1 || i == spanAt-1 || i == flagsAt-1
		if dash != (c == '-') || !dash && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Trace{}
		}
	}
	if strings.Trim(parent[traceAt:spanAt-1], "0") == "" || strings.Trim(parent[spanAt:flagsAt-1], "0") == "" {
		return Trace{}
	}
	if len(state) > maxTracestate || strings.ContainsFunc(state, func(r rune) bool { return r < ' ' || r > '~' }) {
		state = ""
	}
	// What a later version has more is not ours to hand on (3.2.2.4).
	return Trace{"00" + parent[traceAt-1:parentLen], state}
}

// TraceOf returns the trace that begins with the event or request of an id. The
// digits of a UUID are its id.
func TraceOf(id string) Trace {
	var b [parentLen]byte
	out := append(b[:0], "00-"...)
	for i := 0; i < len(id) && len(out) < spanAt-1; i++ {
		if c := id[i]; c >= '0' && c <= '9' || c >= 'a' && c <= 'f' {
			out = append(out, c)
		}
	}
	// The last digits of a UUID are never all 0: they begin with its variant.
	if len(id) != 36 || len(out) != spanAt-1 || out[traceAt+16] == '0' {
		return TraceOf(NewID("trace", id))
	}
	out = append(out, '-')
	out = append(out, out[traceAt+16:traceAt+32]...)
	out = append(out, '-')
	return Trace{Parent: string(append(out, sampled...))}
}

// Child returns the place of a step that t leads to. The same step of the same place
// is always the same.
func (t Trace) Child(step string) Trace {
	if t.IsZero() {
		return t
	}
	span := strings.ReplaceAll(NewID("span", t.Parent, step), "-", "")[16:]
	return Trace{t.Parent[:spanAt] + span + t.Parent[flagsAt-1:], t.State}
}

type traceKey struct{}

// WithTrace returns a context in which the calls of tools, and what is logged, belong
// to t.
func WithTrace(ctx context.Context, t Trace) context.Context {
	if t.IsZero() {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceFrom returns the trace of a context, zero for none.
func TraceFrom(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

// TraceFromHeader reads the trace that an HTTP request came with.
func TraceFromHeader(h http.Header) Trace {
	return ParseTrace(h.Get(headerTraceparent), strings.Join(h.Values(headerTracestate), ","))
}

// SetTrace hands the trace of an HTTP request's context on to who receives it.
func SetTrace(r *http.Request) {
	t := TraceFrom(r.Context())
	if t.IsZero() {
		return
	}
	r.Header.Set(headerTraceparent, t.Parent)
	if t.State != "" {
		r.Header.Set(headerTracestate, t.State)
	}
}

// TraceHandler adds trace_id to what is logged in a context that has a trace.
type TraceHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h TraceHandler) Handle(ctx context.Context, r slog.Record) error {
	if t := TraceFrom(ctx); !t.IsZero() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", t.ID()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h TraceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return TraceHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h TraceHandler) WithGroup(name string) slog.Handler {
	return TraceHandler{h.Handler.WithGroup(name)}
}
