package trs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// ClientConfig says whom a Client follows and how much it takes.
type ClientConfig struct {
	// URI is the address of the tracked resource set.
	URI string
	// HTTP does the requests, with whatever credentials they need; nil means a client
	// of its own. Redirects are followed to Hosts alone.
	HTTP *http.Client
	// Hosts are those that documents, resources and redirects may be of, as in
	// "tool.example" or "tool.example:8443"; that of URI is always among them. A
	// server can name any address: what is not listed is left alone.
	Hosts []string
	// Within bounds one request from its beginning to its last byte; 0 means 30 s. A
	// server that sends a byte now and then does not keep a client for longer.
	Within time.Duration
	// MaxBytes bounds one document; 0 means rdf.DefaultMaxBytes.
	MaxBytes int64
	// MaxSegments and MaxPages bound a change log and a base; 0 means 100,000.
	MaxSegments, MaxPages int
	// MaxEvents and MaxMembers bound what one poll and one load take; 0 means
	// 1,000,000 and 10,000,000.
	MaxEvents, MaxMembers int
	// Parser reads documents.
	Parser format.Parser
}

func (cfg ClientConfig) withDefaults() ClientConfig {
	orElse(&cfg.Within, 30*time.Second)
	orElse(&cfg.MaxBytes, rdf.DefaultMaxBytes)
	orElse(&cfg.MaxSegments, 100_000)
	orElse(&cfg.MaxPages, 100_000)
	orElse(&cfg.MaxEvents, 1_000_000)
	orElse(&cfg.MaxMembers, 10_000_000)
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	return cfg
}

func orElse[T ~int | ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// accept prefers what every server of tracked resource sets has.
const accept = "application/rdf+xml, text/turtle;q=0.9, application/ld+json;q=0.7, application/n-triples;q=0.6"

type acceptKey struct{}

// accepting returns the media types to ask for.
func accepting(ctx context.Context) string {
	if s, ok := ctx.Value(acceptKey{}).(string); ok {
		return s
	}
	return accept
}

// A document is what was answered to a GET.
type document struct {
	uri    string // after redirects
	status int
	header http.Header
	graph  *rdf.Graph
	body   []byte
	format format.Format
}

// A fetchError is an answer that is no document. It has a kind, which is never Gone:
// that a document is missing means different things in different places.
type fetchError struct {
	uri    string
	status int
	text   string
}

func (e *fetchError) Error() string {
	if e.text != "" {
		return fmt.Sprintf("%s: %d %s: %s", e.uri, e.status, http.StatusText(e.status), e.text)
	}
	return fmt.Sprintf("%s: %d %s", e.uri, e.status, http.StatusText(e.status))
}

func (e *fetchError) kind() oslc.Kind {
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return oslc.Denied
	case http.StatusTooManyRequests:
		return oslc.Limited
	case http.StatusNotFound, http.StatusGone:
		return oslc.NotFound
	}
	return oslc.Unavailable
}

// missing reports whether a document is not there, or not any more.
func missing(err error) bool {
	e, ok := errors.AsType[*fetchError](err)
	return ok && (e.status == http.StatusNotFound || e.status == http.StatusGone)
}

var errNotAllowed = errors.New("is at a host that is not allowed")

// allowed reports whether the client may ask for uri.
func (c *Client) allowed(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && slices.Contains(c.hosts, strings.ToLower(u.Host))
}

// fetch gets a document. tag, when it is not empty, makes an answer 304 possible,
// which has no graph.
func (c *Client) fetch(ctx context.Context, uri, tag string) (*document, error) {
	const op = "trs.fetch"
	if !c.allowed(uri) {
		return nil, oslc.E(op, fmt.Errorf("<%s> %w", uri, errNotAllowed), oslc.Denied)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	req.Header.Set("Accept", accepting(ctx))
	req.Header.Set("OSLC-Core-Version", "2.0")
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, errNotAllowed) {
			return nil, oslc.E(op, err, oslc.Denied)
		}
		return nil, oslc.E(op, err, oslc.Unavailable)
	}
	defer resp.Body.Close()
	d := &document{uri: resp.Request.URL.String(), status: resp.StatusCode, header: resp.Header}
	if tag != "" && resp.StatusCode == http.StatusNotModified {
		return d, nil
	}
	d.body, err = io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxBytes+1))
	if resp.StatusCode != http.StatusOK {
		return d, c.refused(uri, resp, d.body)
	}
	if err != nil {
		return nil, oslc.E(op, fmt.Errorf("%s: %w", uri, err), oslc.Unavailable)
	}
	if int64(len(d.body)) > c.cfg.MaxBytes {
		return nil, oslc.Errorf(op, oslc.Unavailable, "%s: the document has more than %d bytes", uri, c.cfg.MaxBytes)
	}
	if d.format, err = syntax(resp.Header.Get("Content-Type")); err == nil {
		d.graph, err = c.cfg.Parser.Parse(d.body, d.format, d.uri, rdf.Limits{MaxBytes: int(c.cfg.MaxBytes), MaxTriples: int(c.cfg.MaxBytes / 10)})
	}
	if err != nil {
		// Half a document and an error page with status 200 are gone another time.
		return d, oslc.E(op, fmt.Errorf("%s: %w", uri, err), oslc.Unavailable)
	}
	if !c.strict {
		modernise(d.graph)
	}
	return d, nil
}

func (c *Client) refused(uri string, resp *http.Response, body []byte) error {
	e := &fetchError{uri: uri, status: resp.StatusCode}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		e.text = strings.TrimSpace(string(body[:min(len(body), 200)]))
	}
	after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	if t, err := http.ParseTime(resp.Header.Get("Retry-After")); err == nil {
		after = int(time.Until(t).Seconds())
	}
	return &oslc.Error{Op: "trs.fetch", Kind: e.kind(), RetryAfter: max(0, time.Duration(after)*time.Second), Err: e}
}

// syntax returns the format of a content type. RDF/XML goes by many names.
func syntax(contentType string) (format.Format, error) {
	if f, ok := format.ByMediaType(contentType); ok {
		return f, nil
	}
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case "application/xml", "text/xml", "application/rdf", "":
		return format.RDFXML, nil
	}
	return 0, fmt.Errorf("%q is no RDF", contentType)
}

// links returns the targets of the Link header fields of a relation, as absolute
// addresses (RFC 8288, section 3).
func (d *document) links(rel string) []string {
	var out []string
	for _, field := range d.header.Values("Link") {
		for field != "" {
			_, rest, ok := strings.Cut(field, "<")
			if !ok {
				break
			}
			target, rest, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			params := rest
			if i := strings.Index(rest, ",<"); i >= 0 {
				params, rest = rest[:i], rest[i:]
			} else if i := strings.Index(rest, ", <"); i >= 0 {
				params, rest = rest[:i], rest[i:]
			} else {
				rest = ""
			}
			field = rest
			if hasRel(params, rel) {
				out = append(out, rdf.ResolveIRI(d.uri, strings.TrimSpace(target)))
			}
		}
	}
	return out
}

func hasRel(params, rel string) bool {
	for p := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		if ok && strings.EqualFold(strings.TrimSpace(name), "rel") &&
			slices.ContainsFunc(strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)), func(s string) bool { return strings.EqualFold(s, rel) }) {
			return true
		}
	}
	return false
}
