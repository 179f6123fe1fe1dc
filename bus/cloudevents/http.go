package cloudevents

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// Request returns the event of m as a POST to url, after the CloudEvents HTTP Protocol
// Binding 1.0.2: in binary mode, or as one JSON document when structured is set. body is
// what is sent, for who signs it.
func Request(ctx context.Context, m bus.Message, url string, structured bool) (r *http.Request, body []byte, err error) {
	const op = "cloudevents.request"
	r, err = http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return nil, nil, oslc.E(op, err, oslc.Invalid)
	}
	mode := binding.WithForceBinary
	if structured {
		mode = binding.WithForceStructured
	}
	if err := cehttp.WriteRequest(mode(ctx), Message(m), r); err != nil {
		return nil, nil, oslc.E(op, err, oslc.Invalid)
	}
	if r.Body != nil {
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, nil, oslc.E(op, err, oslc.Invalid)
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return r, body, nil
}
