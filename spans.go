package oslcbus

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// A tracer makes the spans of an engine, in the traces that the records are in. A nil one
// makes none, and costs nothing. What a span tells are names of the configuration,
// ids, addresses of resources and kinds of errors: no values of resources, no parameters,
// no texts of errors, which may hold some.
type tracer struct{ trace.Tracer }

// tracerName is the instrumentation scope of all spans.
const tracerName = "github.com/oslcbus/oslcbus"

func newTracer(p trace.TracerProvider, version string) *tracer {
	if p == nil {
		return nil
	}
	return &tracer{p.Tracer(tracerName, trace.WithInstrumentationVersion(version))}
}

// A span is what a tracer began; the zero one is of a nil tracer.
type span struct{ trace.Span }

// trace returns the place of the span, for what is called in it, and otherwise where
// there is none. The state of the trace is handed on as it came.
func (s span) trace(otherwise oslc.Trace) oslc.Trace {
	if s.Span == nil {
		return otherwise
	}
	// The no-op span of a provider that is none stands for the one before it.
	sc := s.SpanContext()
	if !sc.IsValid() || sc.IsRemote() {
		return otherwise
	}
	return oslc.Trace{Parent: "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String(), State: otherwise.State}
}

// end ends the span with the kind of what came of it, ok or that of err.
func (s span) end(err error) {
	if s.Span == nil {
		return
	}
	kind := "ok"
	if err != nil {
		kind = oslc.KindOf(err).String()
		s.SetStatus(codes.Error, kind)
	}
	s.SetAttributes(attribute.String("oslcbus.kind", kind))
	s.End()
}

// spanContext is the place that a record names.
func spanContext(t oslc.Trace) trace.SpanContext {
	parts := strings.Split(t.Parent, "-") // as W3C Trace Context has them: ParseTrace saw to that
	if len(parts) != 4 {
		return trace.SpanContext{}
	}
	var c trace.SpanContextConfig
	c.TraceID, _ = trace.TraceIDFromHex(parts[1])
	c.SpanID, _ = trace.SpanIDFromHex(parts[2])
	if strings.ContainsAny(parts[3][1:], "13579bdf") {
		c.TraceFlags = trace.FlagsSampled
	}
	c.TraceState, _ = trace.ParseTraceState(t.State)
	c.Remote = true
	return trace.NewSpanContext(c)
}

// begin begins a span in ctx. Where as is given, records name the span by it already.
func (t *tracer) begin(ctx context.Context, as oslc.Trace, name string, o ...trace.SpanStartOption) (context.Context, span) {
	in := ctx
	if !as.IsZero() {
		in = context.WithValue(ctx, spanIDKey{}, spanContext(as))
	}
	_, s := t.Start(in, name, o...)
	return trace.ContextWithSpan(ctx, s), span{s} // what is begun in it has ids of its own
}

// below returns ctx for what a place leads to.
func below(ctx context.Context, place oslc.Trace) context.Context {
	return trace.ContextWithSpanContext(ctx, spanContext(place))
}

// root returns ctx for the first span of a trace: it has the id of the trace, and nothing is above it.
func root(ctx context.Context, place oslc.Trace) context.Context {
	return trace.ContextWithSpanContext(ctx, spanContext(place).WithSpanID(trace.SpanID{}))
}

// now is when what is told later began; without a tracer nobody needs it.
func (t *tracer) now() time.Time {
	if t == nil {
		return time.Time{}
	}
	return time.Now()
}

// published tells of events that a source put on the log.
func (t *tracer) published(ctx context.Context, connection string, began time.Time, records []bus.Record) {
	if t == nil {
		return
	}
	for i := range records {
		if records[i].Topic == "" {
			continue
		}
		h := records[i].Header
		place := oslc.ParseTrace(h.Get(bus.HeaderTraceparent), h.Get(bus.HeaderTracestate))
		in, as := below(ctx, place), oslc.Trace{}
		if place == oslc.TraceOf(records[i].ID()) { // it begins the trace
			in, as = root(ctx, place), place
		}
		_, s := t.begin(in, as, "publish "+connection, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(began), trace.WithAttributes(
			attribute.String("oslcbus.connection", connection),
			attribute.String("cloudevents.event_id", records[i].ID()),
			attribute.String("cloudevents.event_type", h.Get(bus.HeaderType)),
			attribute.String("cloudevents.event_subject", h.Get(bus.HeaderSubject))))
		s.end(nil)
	}
}

// judged tells that a rule is for an event, and returns the context of what it asks for.
func (t *tracer) judged(ctx context.Context, began time.Time, rule string, ev *oslc.Event, err error) context.Context {
	if t == nil {
		return ctx
	}
	ctx, s := t.begin(below(ctx, ev.Trace), oslc.Trace{}, "rule "+rule, trace.WithTimestamp(began), trace.WithAttributes(
		attribute.String("oslcbus.rule", rule), attribute.String("cloudevents.event_id", ev.ID)))
	s.end(err)
	return ctx
}

// asked tells of a request that is to be on the log.
func (t *tracer) asked(ctx context.Context, began time.Time, r *oslc.Request) {
	if t == nil {
		return
	}
	o := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(began), ofRequest(r)}
	if by := trace.SpanContextFromContext(ctx); by.TraceID() != spanContext(r.Trace).TraceID() {
		// Who asked is in no trace, or another: the request begins its own.
		ctx = root(ctx, r.Trace)
		if by.IsValid() {
			o = append(o, trace.WithLinks(trace.Link{SpanContext: by}))
		}
	}
	_, s := t.begin(ctx, r.Trace, "ask "+r.Tool, o...)
	s.end(nil)
}

// execute begins to carry a request out. A span that is not ended is not told: another
// replica goes on with the request then, under the same id.
func (t *tracer) execute(ctx context.Context, r *oslc.Request) (context.Context, span) {
	if t == nil {
		return ctx, span{}
	}
	return t.begin(below(ctx, r.Trace), r.Trace.Child(stepExecute), "execute "+r.Tool, trace.WithSpanKind(trace.SpanKindConsumer), ofRequest(r))
}

// stepExecute is the step of a request's trace in which it is carried out.
const stepExecute = "execute"

// attempt begins the n-th call of a tool for a request.
func (t *tracer) attempt(ctx context.Context, r *oslc.Request, n int) (context.Context, span) {
	if t == nil {
		return ctx, span{}
	}
	ctx, s := t.begin(ctx, oslc.Trace{}, "attempt "+r.Tool, trace.WithSpanKind(trace.SpanKindClient), ofRequest(r))
	s.SetAttributes(attribute.Int("oslcbus.attempt", n))
	return oslc.WithTrace(ctx, s.trace(oslc.TraceFrom(ctx))), s
}

// ofRequest are the attributes of all that is done for a request.
func ofRequest(r *oslc.Request) trace.SpanStartEventOption {
	return trace.WithAttributes(attribute.String("oslcbus.connection", r.Tool), attribute.String("oslcbus.action", r.Action),
		attribute.String("oslcbus.request", r.URI))
}

// verdict ends the span of a request that has ended.
func (s span) verdict(verdict string, attempts int, err error) {
	if s.Span == nil {
		return
	}
	s.SetAttributes(attribute.String("oslcbus.verdict", verdict), attribute.Int("oslcbus.attempts", attempts))
	s.end(err)
}

// receive begins to keep what a tool sent.
func (t *tracer) receive(ctx context.Context, connection string, n int) (context.Context, span) {
	if t == nil {
		return ctx, span{}
	}
	return t.begin(ctx, oslc.Trace{}, "receive "+connection, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("oslcbus.connection", connection), attribute.Int("messaging.batch.message_count", n)))
}

// deliver begins the n-th try to send a subscriber a message; the address of the
// subscriber is not told, because some have a secret in it.
func (t *tracer) deliver(ctx context.Context, subscription string, m bus.Message, n int) (context.Context, span) {
	if t == nil {
		return ctx, span{}
	}
	place := oslc.ParseTrace(m.Header.Get(bus.HeaderTraceparent), m.Header.Get(bus.HeaderTracestate))
	if !place.IsZero() {
		ctx = below(ctx, place)
	}
	ctx, s := t.begin(ctx, oslc.Trace{}, "deliver", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("oslcbus.subscription", subscription), attribute.Int("oslcbus.attempt", n),
		attribute.String("cloudevents.event_id", m.ID()), attribute.String("cloudevents.event_type", m.Header.Get(bus.HeaderType))))
	return oslc.WithTrace(ctx, s.trace(place)), s
}

// serve begins the answer to an HTTP request, but to those of probes and scrapers, which
// come every few seconds.
func (t *tracer) serve(r *http.Request) (*http.Request, span) {
	if t == nil || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || r.URL.Path == "/metrics" {
		return r, span{}
	}
	method := knownMethod(r.Method)
	ctx, place := r.Context(), oslc.TraceFrom(r.Context())
	if !place.IsZero() {
		ctx = below(ctx, place)
	}
	ctx, s := t.begin(ctx, oslc.Trace{}, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", method)))
	return r.WithContext(oslc.WithTrace(ctx, s.trace(place))), s
}

// knownMethod keeps the names of spans few: a client can send any word.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER"
}

// answered ends the span of an HTTP request; route is the path with names for what
// varies.
func (s span) answered(method, route string, code int) {
	if s.Span == nil {
		return
	}
	if route != noRoute {
		s.SetName(knownMethod(method) + " " + route)
		s.SetAttributes(attribute.String("http.route", route))
	}
	s.status(code)
	if code >= http.StatusInternalServerError {
		s.SetStatus(codes.Error, http.StatusText(code))
	}
	s.End()
}

// status notes the status of an HTTP answer, if there is one.
func (s span) status(code int) {
	if s.Span != nil && code > 0 {
		s.SetAttributes(attribute.Int("http.response.status_code", code))
	}
}
