package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// The versions of OSLC Core that are answered. The representations are the same for
// both; a client that says nothing is taken for one of the oldest (CORE-50).
const (
	Version    = "3.0"
	oldVersion = "2.0"
)

const versionHeader = "OSLC-Core-Version"

// coreVersion returns the version to answer with: what the client names where that
// is known, the nearest otherwise (CORE-48, 49).
func coreVersion(r *http.Request) string {
	major, _, _ := strings.Cut(strings.TrimSpace(r.Header.Get(versionHeader)), ".")
	if major == "" || major == "2" {
		return oldVersion
	}
	return Version
}

// wantsOldVersion reports whether the client names version 2.0. Such clients send back
// what they read, and cannot write what 3.0 inlines: Eclipse Lyo's follows links that
// form circles without end, rdflib.js writes nested blank nodes as no RDF/XML.
func wantsOldVersion(r *http.Request) bool {
	return r.Header.Get(versionHeader) != "" && coreVersion(r) == oldVersion
}

// expressible returns g as clients of version 2.0 can send it back: what they have no
// class for becomes a string, which Jena otherwise spoils.
func expressible(g *rdf.Graph) *rdf.Graph {
	out := rdf.NewGraph()
	for t := range g.All() {
		t.O = expressibleTerm(t.O)
		out.AddTriple(t)
	}
	return out
}

func expressibleTerm(t rdf.Term) rdf.Term {
	switch t.Datatype {
	case rdf.NS + "JSON", rdf.NS + "HTML":
		t.Datatype = ""
	}
	return t
}

// tooOld refuses versions before 2.0 (CORE-47).
func tooOld(r *http.Request) error {
	major, _, _ := strings.Cut(strings.TrimSpace(r.Header.Get(versionHeader)), ".")
	if n, err := strconv.Atoi(major); err == nil && n < 2 {
		return oslc.Errorf("server.version", oslc.Invalid, "OSLC-Core-Version %q is not served; there are %s and %s", r.Header.Get(versionHeader), oldVersion, Version)
	}
	return nil
}

// negotiate chooses the syntax of an answer.
func negotiate(r *http.Request) (format.Format, bool) {
	return format.Negotiate(r.Header.Get("Accept"), coreVersion(r))
}

// HandlerFunc answers an HTTP request or returns why it does not.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handler turns fn into an http.Handler that answers errors as oslc:Error. What
// is internal is logged and not told to the client.
func Handler(logger *slog.Logger, fn HandlerFunc) http.Handler {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := tooOld(r)
		if err == nil {
			err = fn(w, r)
		}
		if err == nil || r.Context().Err() != nil {
			return
		}
		if _, answered := errors.AsType[*StatusError](err); !answered && oslc.KindOf(err) == oslc.Internal {
			logger.ErrorContext(r.Context(), "request not answered", "path", r.URL.Path, "request", w.Header().Get("X-Request-Id"), "err", err)
		}
		WriteError(w, r, err)
	})
}

// StatusError is an error with an HTTP status that no oslc.Kind stands for.
type StatusError struct {
	Status int
	Err    error
}

func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StatusError) Unwrap() error { return e.Err }

// Statusf makes a StatusError.
func Statusf(status int, text string) error {
	return &StatusError{status, errors.New(text)}
}

// Allow says in the header Allow which methods there are. It answers a request of
// method OPTIONS, and reports that, and fails with status 405 for any method that
// is not among them. GET stands for HEAD too.
func Allow(w http.ResponseWriter, r *http.Request, methods ...string) (answered bool, err error) {
	all := make([]string, 0, len(methods)+2)
	known := r.Method == http.MethodOptions
	for _, m := range methods {
		all = append(all, m)
		known = known || m == r.Method
		if m == http.MethodGet {
			all = append(all, http.MethodHead)
			known = known || r.Method == http.MethodHead
		}
	}
	list := strings.Join(append(all, http.MethodOptions), ", ")
	w.Header().Set("Allow", list)
	switch {
	case r.Method == http.MethodOptions:
		w.Header().Set(versionHeader, coreVersion(r))
		w.WriteHeader(http.StatusNoContent)
		return true, nil
	case !known:
		return false, Statusf(http.StatusMethodNotAllowed, r.Method+" is not possible here; allowed are "+list)
	}
	w.Header().Del("Allow") // it is for OPTIONS and 405; elsewhere headers stay few (DIS-2)
	return false, nil
}

// WriteError answers with err as an oslc:Error (Core 3.0, section Errors), in
// RDF or, for a client that wants JSON and no RDF, as a JSON object.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	status, message := oslc.KindOf(err).Status(), oslc.Message(err)
	if e, ok := errors.AsType[*StatusError](err); ok {
		status = e.Status
	} else if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status, message = http.StatusRequestEntityTooLarge, "the body is larger than "+strconv.FormatInt(e.Limit, 10)+" bytes"
	} else if errors.Is(err, oslc.ErrChanged) {
		status = http.StatusPreconditionFailed
	} else if oslc.KindOf(err) == oslc.Internal {
		message = "internal error"
		if id := w.Header().Get("X-Request-Id"); id != "" {
			message += "; the log has more under request id " + id
		}
	}
	if status == http.StatusTooManyRequests && !wantsJSON(r) {
		// Eclipse Lyo's client has no name for 429 and fails on it.
		status = http.StatusServiceUnavailable
	}
	if d := oslc.RetryAfter(err); d > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(d.Seconds()+1)))
	}
	h := w.Header()
	h.Del("ETag")
	h.Set("Cache-Control", "no-store")
	if wantsJSON(r) {
		h.Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"statusCode": strconv.Itoa(status), "message": message})
		return
	}
	f, ok := negotiate(r)
	if !ok {
		f = format.RDFXML // an error is told in any case
	}
	g := rdf.NewGraph()
	g.NodeOf(rdf.NewBlank("e")).A(vocab.OSLCErrorClass).
		String(vocab.OSLCStatusCode, strconv.Itoa(status)).
		String(vocab.OSLCMessage, message)
	body, fail := format.Append(nil, g, f)
	if fail != nil {
		body = nil
	}
	setRDFHeaders(h, r, f)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// wantsJSON reports whether plain JSON is asked for: OSLC clients never do.
func wantsJSON(r *http.Request) bool {
	a := r.Header.Get("Accept")
	return strings.Contains(a, "application/json") && !strings.Contains(a, "rdf") &&
		!strings.Contains(a, "turtle") && !strings.Contains(a, "ld+json")
}

func setRDFHeaders(h http.Header, r *http.Request, f format.Format) {
	h.Set("Content-Type", f.MediaType())
	h.Set(versionHeader, coreVersion(r))
	vary(h, "Accept", versionHeader)
}

// vary adds the names of request headers that change the answer.
func vary(h http.Header, names ...string) {
	have := strings.Join(h.Values("Vary"), ", ")
	for _, name := range names {
		if !strings.Contains(", "+have+",", ", "+name+",") {
			if have != "" {
				have += ", "
			}
			have += name
		}
	}
	h.Set("Vary", have)
}

var errNotAcceptable = Statusf(http.StatusNotAcceptable,
	"nothing acceptable: there are application/rdf+xml, text/turtle, application/ld+json and application/n-triples")

// A Reply is a graph to answer a GET or HEAD with.
type Reply struct {
	// Graph makes the graph; it is not called when the client has it already.
	Graph func() (*rdf.Graph, error)
	// Rendered gives the body itself, in the syntax and, where gz is set, compressed
	// with gzip. It is for what was rendered before, and stands instead of Graph; Tag
	// must be set.
	Rendered func(f format.Format, gz bool) ([]byte, error)
	// Tag names the state of what is answered, whatever the syntax: it becomes the
	// ETag together with the syntax. Empty means a digest of the body.
	Tag string
	// CacheControl is "no-cache" when empty: keep it, but ask each time.
	CacheControl string
	// Status is 200 when 0.
	Status int
}

// Write answers with the reply in the syntax that r asks for. It fails with
// status 406 when none of ours is accepted.
func (p Reply) Write(w http.ResponseWriter, r *http.Request) error {
	f, ok := negotiate(r)
	if !ok {
		return errNotAcceptable
	}
	h := w.Header()
	setRDFHeaders(h, r, f)
	if p.CacheControl == "" {
		p.CacheControl = "no-cache"
	}
	var body []byte
	if p.Tag == "" {
		var err error
		if body, err = p.body(f); err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		p.Tag = base64.RawURLEncoding.EncodeToString(sum[:12])
	}
	tag, gz := p.Tag+"-"+f.String(), false
	if p.Rendered != nil {
		vary(h, "Accept-Encoding")
		if gz = acceptsGzip(r); gz {
			tag += "-gzip" // other bytes (RFC 9110, 8.8.3)
		}
	}
	tag = `"` + tag + `"`
	h.Set("ETag", tag)
	h.Set("Cache-Control", p.CacheControl)
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	if safe && matches(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if body == nil {
		var err error
		if p.Rendered != nil {
			body, err = p.Rendered(f, gz)
		} else {
			body, err = p.body(f)
		}
		if err != nil {
			h.Del("ETag")
			return err
		}
		if gz {
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if p.Status != 0 {
		w.WriteHeader(p.Status)
	}
	if r.Method == http.MethodHead {
		return nil
	}
	_, _ = w.Write(body) // the client is gone when this fails
	return nil
}

func (p Reply) body(f format.Format) ([]byte, error) {
	g, err := p.Graph()
	if err != nil {
		return nil, err
	}
	return format.Append(nil, g, f)
}

// acceptsGzip reports whether the client takes a body that is compressed with gzip
// (RFC 9110, 12.5.3).
func acceptsGzip(r *http.Request) bool {
	accepts := false
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(one, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "x-gzip" && name != "*" {
			continue
		}
		weight := 1.0
		if v, ok := strings.CutPrefix(strings.ReplaceAll(q, " ", ""), "q="); ok {
			weight, _ = strconv.ParseFloat(v, 64)
		}
		if name != "*" {
			return weight > 0
		}
		accepts = weight > 0
	}
	return accepts
}

// matches reports whether an If-None-Match or If-Match header names the tag
// (RFC 9110, 13.1); a weak tag counts, since GET compares weakly.
func matches(header, tag string) bool {
	if header == "" {
		return false
	}
	for t := range strings.SplitSeq(header, ",") {
		t = strings.TrimPrefix(strings.TrimSpace(t), "W/")
		if t == "*" || t == tag {
			return true
		}
	}
	return false
}

// Graph returns a function that returns g, for Reply.
func Graph(g *rdf.Graph) func() (*rdf.Graph, error) {
	return func() (*rdf.Graph, error) { return g, nil }
}
