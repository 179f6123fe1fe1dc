package oslcserver

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// runs are the requests in work, by id.
type runs struct {
	mu  sync.Mutex
	all map[string]*work
}

// work is how far one got.
type work struct {
	pattern  pattern // of the call that was made, "" before
	request  string  // the AutomationRequest that it made, once that is known
	unwanted bool
}

func (r *runs) begin(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]*work{}
	}
	r.all[id] = &work{}
}

func (r *runs) end(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, id)
}

// calls notes that the call is made now. It reports false when nobody wants it any more.
func (r *runs) calls(id string, p pattern) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.all[id]
	if w.unwanted {
		return false
	}
	w.pattern = p
	return true
}

// made notes what the call has made. It reports whether that is to be stopped.
func (r *runs) made(id, request string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.all[id]
	first := w.request == ""
	w.request = request
	return first && w.unwanted
}

// Cancel implements adapters.Canceler, for AutomationRequests: the server is told that
// another state is desired. What an earlier process has asked for is not known.
func (x *Executor) Cancel(ctx context.Context, r oslc.Request) (begun bool, err error) {
	x.runs.mu.Lock()
	w := x.runs.all[r.ID]
	if w == nil {
		x.runs.mu.Unlock()
		return false, nil
	}
	w.unwanted = true
	made, followed := w.request, w.pattern
	x.runs.mu.Unlock()
	switch {
	case made != "":
		return true, (&call{Executor: x, r: &r}).stop(ctx, made)
	case followed != "" && followed != automation:
		return true, oslc.Errorf("oslcserver.cancel", oslc.Unsupported, "an action of the pattern %s cannot be stopped", followed)
	}
	return true, nil // it is not called, or stopped as soon as it is known what was made
}

// stop tells the server that a request is to be canceled (OSLC Automation 2.1,
// oslc_auto:desiredState).
func (c *call) stop(ctx context.Context, request string) error {
	const op = "oslcserver.cancel"
	d, err := c.get(ctx, request)
	if err != nil {
		return oslc.E(op, err)
	}
	node := rdf.NewIRI(request)
	if oslc.State(d.graph.Value(node, vocab.AutoState)).Final() {
		return oslc.Errorf(op, oslc.Conflict, "<%s> has ended", request)
	}
	g := d.graph.Without(func(t rdf.Triple) bool { return t.S == node && t.P.Value == vocab.AutoDesiredState })
	g.Node(request).Link(vocab.AutoDesiredState, vocab.AutoCanceled)
	body, err := format.Append(nil, g, d.format)
	if err != nil {
		return oslc.E(op, err, oslc.Invalid)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, request, bytes.NewReader(body))
	if err != nil {
		return oslc.E(op, err, oslc.Invalid)
	}
	req.Header.Set("Content-Type", d.format.MediaType())
	req.Header.Set("Accept", accept)
	req.Header.Set("OSLC-Core-Version", "3.0")
	req.Header.Set("User-Agent", "oslcbus")
	if d.tag != "" {
		req.Header.Set("If-Match", d.tag)
	}
	oslc.SetTrace(req)
	resp, err := c.client.Do(req)
	if err != nil {
		return c.away(ctx, op, err)
	}
	defer resp.Body.Close()
	answer, _ := readAll(resp.Body) // for the words alone
	if resp.StatusCode/100 == 2 {
		return nil
	}
	err = c.refused(resp, answer)
	switch resp.StatusCode {
	case http.StatusPreconditionFailed: // it got on meanwhile: look again
		return oslc.E(op, err, oslc.Unavailable)
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		return oslc.E(op, fmt.Errorf("it cannot be stopped: %w", err), oslc.Unsupported)
	}
	return oslc.E(op, err)
}
