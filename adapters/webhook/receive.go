package webhook

import (
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
)

// A Mapper says what deliveries tell. It is pure: the same message gives the same
// changes.
type Mapper interface {
	// Services describe the resources.
	Services() []oslc.Service
	// Headers are the header fields that it looks at.
	Headers() []string
	// Version changes whenever the mapping does: everything that is still in the inbox
	// is compared then.
	Version() string
	// Map returns the changes that a message tells. Where there are none, ignored says
	// why. It fails for a message that should tell some and lacks what that takes.
	Map(m Message) (changes []Change, ignored string, err error)
}

// A Message is what a tool sent.
type Message struct {
	header map[string]string
	// Data is the JSON of it, or the data of a CloudEvent.
	Data mapping.JSON
}

// Header returns a header field, "" for one that is not there.
func (m Message) Header(name string) string { return m.header[strings.ToLower(name)] }

// At returns a value: of the data by its path, of the envelope by a name such as
// @header.x-github-event or, for an attribute of a CloudEvent, @type.
func (m Message) At(path string) mapping.JSON {
	name, envelope := strings.CutPrefix(path, "@")
	if !envelope {
		return m.Data.At(path)
	}
	field, isHeader := strings.CutPrefix(name, "header.")
	if !isHeader {
		field = attributePrefix + name
	}
	if v := m.Header(field); v != "" {
		return mapping.JSONOf(v)
	}
	return mapping.JSON{}
}

// A Change is what became of one resource.
type Change struct {
	Kind oslc.Change
	// Collection and Key make up the resource's URI; the key is the tool's own and
	// stays.
	Collection, Key string
	// Modified is when the tool says that it was so, zero for a tool that does not.
	// What is older than the state that the bus has came too late.
	Modified time.Time
	// Describe adds what the resource is, without dcterms:modified. It reports false
	// when a value did not fit and was left out. A deletion may do without.
	Describe func(n rdf.Node) bool
}

// A Config is how deliveries of a tool come in.
type Config struct {
	SignatureConfig `yaml:",inline"`
	// IDHeader names the header field with the tool's name for a delivery, which is the
	// same when it is sent again. By default it is the first that there is of those that
	// tools use: X-GitHub-Delivery, Webhook-Id, Idempotency-Key,
	// X-Atlassian-Webhook-Identifier.
	IDHeader string `yaml:"id_header"`
}

var idHeaders = []string{"X-GitHub-Delivery", "Webhook-Id", "Idempotency-Key", "X-Atlassian-Webhook-Identifier"}

// New returns the two halves of taking in deliveries: the hook puts them into the
// inbox, the source makes events of them. It does no I/O but reading the file of the
// secret.
func New(cfg Config, m Mapper, opts adapters.Options) (adapters.Hook, *Source, error) {
	const op = "webhook.new"
	if opts.Inbox == nil {
		return nil, nil, oslc.Errorf(op, oslc.Invalid, "there is no inbox to put deliveries in")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	v, err := cfg.verifier(opts.Public, opts.Now)
	if err != nil {
		return nil, nil, oslc.E(op, err)
	}
	r := &receiver{verifier: v, mapper: m, opts: opts, ids: idHeaders}
	if cfg.IDHeader != "" {
		r.ids = []string{cfg.IDHeader}
	}
	return r.hook, newSource(m, opts), nil
}

// A receiver is the hook of a connection.
type receiver struct {
	verifier *verifier
	mapper   Mapper
	opts     adapters.Options
	ids      []string
}

func (r *receiver) count(what string) {
	if r.opts.Metrics != nil {
		r.opts.Metrics.Count(what, 1)
	}
}

// hook is an adapters.Hook.
func (r *receiver) hook(w http.ResponseWriter, req *http.Request) error {
	const op = "webhook.receive"
	if answered, err := server.Allow(w, req, http.MethodPost); answered || err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, server.MaxBody))
	if err != nil {
		return oslc.E(op, err, oslc.Invalid)
	}
	if !r.verifier.ok(req.Header, body) {
		r.count("refused_delivery")
		w.Header().Set("WWW-Authenticate", `Signature realm="oslcbus"`)
		return server.Statusf(http.StatusUnauthorized, "the signature of the delivery is missing or wrong")
	}
	deliveries, err := r.read(req, body)
	if err != nil {
		return err
	}
	ignored := ""
	keep := deliveries[:0]
	for _, d := range deliveries {
		reason, err := r.ignored(req, d)
		if err != nil {
			return err
		}
		if ignored = cmp.Or(reason, ignored); reason == "" {
			keep = append(keep, d)
		}
	}
	if len(keep) == 0 {
		return answer(w, map[string]any{"accepted": 0, "ignored": ignored})
	}
	if err := r.opts.Inbox.Put(req.Context(), keep...); err != nil {
		return err
	}
	return answer(w, map[string]any{"accepted": len(keep)})
}

// answer tells the tool, whose people may look at it, what became of a delivery.
func answer(w http.ResponseWriter, v map[string]any) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(v) // the tool is gone when this fails
	return nil
}

// ignored says why a delivery need not be kept: it tells no change. One that cannot be
// mapped is not the tool's fault: were it refused, some tools would stop sending.
func (r *receiver) ignored(req *http.Request, d adapters.Delivery) (string, error) {
	m, err := NewMessage(d)
	if err != nil {
		return "", err
	}
	changes, reason, err := r.mapper.Map(m)
	switch {
	case err != nil:
		r.count("unmapped_delivery")
		r.opts.Logger.WarnContext(req.Context(), "delivery cannot be mapped", "err", err)
		return err.Error(), nil
	case len(changes) == 0:
		r.count("ignored_delivery")
		return cmp.Or(reason, "it tells no change"), nil
	}
	return "", nil
}

// NewMessage reads a delivery as it is in the inbox. It fails with kind Invalid for one
// that is no JSON.
func NewMessage(d adapters.Delivery) (Message, error) {
	data, err := mapping.ParseJSON(d.Body)
	return Message{d.Header, data}, err
}

// read returns the deliveries in a request: one, or those of a batch.
func (r *receiver) read(req *http.Request, body []byte) ([]adapters.Delivery, error) {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	isJSON := err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
	switch {
	case err == nil && kind == structuredType:
		return r.structured(req, body)
	case err == nil && kind == batchType:
		return r.batch(req, body)
	case !isJSON:
		return nil, server.Statusf(http.StatusUnsupportedMediaType, "a delivery is application/json or a CloudEvent, not "+cmp.Or(kind, "of no type"))
	case req.Header.Get(attributePrefix+"specversion") != "":
		return r.binary(req, body)
	}
	if _, err := mapping.ParseJSON(body); err != nil {
		return nil, err
	}
	d := adapters.Delivery{Header: r.kept(req), Body: body}
	for _, name := range r.ids {
		if d.ID = req.Header.Get(name); d.ID != "" {
			break
		}
	}
	return []adapters.Delivery{d}, nil
}

// kept are the header fields that the mapping looks at, and no other: the rest may
// hold the secret.
func (r *receiver) kept(req *http.Request) map[string]string {
	out := map[string]string{}
	for _, name := range slices.Concat(traceHeaders, r.mapper.Headers()) {
		if v := req.Header.Get(name); v != "" && !slices.Contains(secretHeaders, strings.ToLower(name)) {
			out[strings.ToLower(name)] = v
		}
	}
	return out
}

// traceHeaders say which trace a delivery belongs to (W3C Trace Context).
var traceHeaders = []string{"traceparent", "tracestate"}

// traceOf returns the trace that a delivery belongs to, that of a CloudEvent where it is
// one (the extension for distributed tracing). It is zero where there is none.
func traceOf(d adapters.Delivery) oslc.Trace {
	for _, prefix := range []string{attributePrefix, ""} {
		if t := oslc.ParseTrace(d.Header[prefix+traceHeaders[0]], d.Header[prefix+traceHeaders[1]]); !t.IsZero() {
			return t
		}
	}
	return oslc.Trace{}
}

// secretHeaders are never kept.
var secretHeaders = []string{
	"authorization", "proxy-authorization", "cookie", "x-gitlab-token", "x-hub-signature", "x-hub-signature-256", "webhook-signature",
}
