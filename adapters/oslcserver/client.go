package oslcserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	// maxAnswer bounds what is read of an answer, maxWords what is kept of a server's
	// words, in bytes.
	maxAnswer = 2 << 20
	maxWords  = 2000
	// maxRedirects bounds how often a reading call is sent on.
	maxRedirects = 5
	// maxReads bounds how many documents one action may take beside polling.
	maxReads = 30
)

// accept prefers what every OSLC server has.
const accept = "application/rdf+xml, text/turtle;q=0.9, application/ld+json;q=0.5"

// errNotAllowed marks an address of a server that may not be called.
var errNotAllowed = errors.New("is on no server that the configuration names")

// A gate lets calls through to the servers of the configuration, each with its own
// credentials. Whatever made the call, a redirect too, it is the last to look.
type gate struct {
	x    *Executor
	next http.RoundTripper
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	auth, ok := g.x.servers[origin(r.URL)]
	if !ok || r.URL.User != nil {
		return nil, fmt.Errorf("<%s> %w", r.URL.Redacted(), errNotAllowed)
	}
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	r.Header.Del("Cookie")
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	return g.next.RoundTrip(r)
}

// redirect lets reading calls go on, within the servers of the configuration. What
// changes something is never sent on: the binding named its address.
func (x *Executor) redirect(r *http.Request, via []*http.Request) error {
	if via[0].Method != http.MethodGet {
		return http.ErrUseLastResponse
	}
	if _, ok := x.servers[origin(r.URL)]; !ok {
		return fmt.Errorf("<%s> %w", r.URL.Redacted(), errNotAllowed)
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// allowed reports whether a URI may be called.
func (x *Executor) allowed(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.User != nil {
		return false
	}
	_, ok := x.servers[origin(u)]
	return ok
}

// A document is a graph as a server gave it.
type document struct {
	uri    string // without fragment, after redirects
	graph  *rdf.Graph
	format format.Format
	tag    string        // its ETag
	wait   time.Duration // what the server asks to wait before the next look
}

// get reads a document.
func (c *call) get(ctx context.Context, uri string) (*document, error) {
	const op = "oslcserver.get"
	if c.reads++; c.reads > maxReads && !c.polling {
		return nil, oslc.Errorf(op, oslc.Invalid, "the action takes more than %d documents", maxReads)
	}
	uri, _, _ = strings.Cut(uri, "#")
	if !c.allowed(uri) {
		return nil, oslc.E(op, fmt.Errorf("<%s> %w", uri, errNotAllowed), oslc.Denied)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("OSLC-Core-Version", "3.0")
	req.Header.Set("User-Agent", "oslcbus")
	oslc.SetTrace(req)
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, c.away(ctx, op, err)
	}
	defer resp.Body.Close()
	body, err := readAll(resp.Body)
	switch {
	case resp.StatusCode/100 != 2:
		return nil, c.refused(resp, body)
	case err != nil:
		return nil, c.away(ctx, op, fmt.Errorf("<%s>: %w", uri, err))
	}
	d, err := c.parse(resp, body)
	return d, oslc.E(op, err, oslc.Invalid)
}

// errTooLarge says that an answer is beyond maxAnswer.
var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(b) > maxAnswer {
		return nil, errTooLarge
	}
	return b, err
}

// parse reads the graph in an answer.
func (x *Executor) parse(resp *http.Response, body []byte) (*document, error) {
	u := *resp.Request.URL
	u.Fragment, u.RawFragment = "", ""
	f, ok := format.ByMediaType(resp.Header.Get("Content-Type"))
	if !ok {
		return nil, fmt.Errorf("<%s> is of type %q, which is no RDF", u.Redacted(), resp.Header.Get("Content-Type"))
	}
	g, err := x.parser.Parse(body, f, u.String(), rdf.Limits{MaxBytes: maxAnswer})
	if err != nil {
		return nil, fmt.Errorf("<%s>: %w", u.Redacted(), err)
	}
	return &document{uri: u.String(), graph: g, format: f, tag: resp.Header.Get("ETag"), wait: adapters.RetryAfter(resp.Header, x.now())}, nil
}

// away classifies a call without an answer.
func (x *Executor) away(ctx context.Context, op string, err error) error {
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err()
	case errors.Is(err, errNotAllowed):
		return oslc.E(op, errors.New(x.words(err.Error())), oslc.Denied)
	case errors.Is(err, errTooLarge):
		return oslc.E(op, err, oslc.Invalid)
	}
	return oslc.E(op, errors.New(x.words(err.Error())), oslc.Unavailable)
}

// refused classifies an answer that is no success, with the words of its oslc:Error.
func (x *Executor) refused(resp *http.Response, body []byte) error {
	words := resp.Request.Method + " <" + resp.Request.URL.Redacted() + ">: " + resp.Status
	if d, err := x.parse(resp, body); err == nil {
		if all := d.graph.OfType(vocab.OSLCErrorClass); len(all) > 0 {
			words += ": " + d.graph.Value(all[0], vocab.OSLCMessage)
		}
	}
	return &oslc.Error{
		Op: "oslcserver." + strconv.Itoa(resp.StatusCode), Kind: adapters.KindOfStatus(resp.StatusCode),
		RetryAfter: adapters.RetryAfter(resp.Header, x.now()), Err: errors.New(x.words(words)),
	}
}

// words are what may be shown of a server's text.
func (x *Executor) words(text string) string {
	for _, secret := range x.secrets {
		text = strings.ReplaceAll(text, secret, "<secret>") // it may echo what was sent
	}
	if len(text) > maxWords {
		text = text[:maxWords] + "…"
	}
	return strings.ToValidUTF8(text, "\ufffd")
}
