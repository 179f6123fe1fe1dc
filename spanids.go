package oslcbus

import (
	"context"
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// spanIDKey is where a context has the place by which records name the span that begins in it.
type spanIDKey struct{}

// SpanIDs is the generator of ids that a TracerProvider is to have, for the SDK's option
// WithIDGenerator: it gives events, requests and their execution the ids by which
// records name them, and all else random ones. With another generator the spans are in the
// same traces, but those of one trace do not hang together: what a record names as the
// parent is none of them.
type SpanIDs struct{}

// NewIDs returns the ids of the first span of a trace that no record is in.
func (SpanIDs) NewIDs(context.Context) (id trace.TraceID, s trace.SpanID) {
	random(id[:8])
	random(id[8:])
	random(s[:])
	return id, s
}

// NewSpanID returns the id of a span in a trace.
func (SpanIDs) NewSpanID(ctx context.Context, id trace.TraceID) (s trace.SpanID) {
	if as, ok := ctx.Value(spanIDKey{}).(trace.SpanContext); ok && as.TraceID() == id {
		return as.SpanID()
	}
	random(s[:])
	return s
}

// random fills eight bytes, never all with 0.
func random(b []byte) {
	n := rand.Uint64()
	for n == 0 {
		n = rand.Uint64()
	}
	binary.BigEndian.PutUint64(b, n)
}
