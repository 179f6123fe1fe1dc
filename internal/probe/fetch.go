package probe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

const (
	turtle  = "text/turtle"
	rdfXML  = "application/rdf+xml"
	jsonLD  = "application/ld+json"
	anyRDF  = "application/rdf+xml, text/turtle;q=0.9, application/ld+json;q=0.8"
	maxBody = 32 << 20
)

// An exchange is a request with its answer.
type exchange struct {
	method, url string // the one that answered, after redirects
	asked       string // the one that was asked
	status      int
	header      http.Header
	body        []byte
	graph       *rdf.Graph // nil for what is no RDF
	syntax      error      // why what should be RDF is none
	redirects   []string   // where the answer led to, in order
	err         error      // no answer at all
}

// refused reports whether the server wants other credentials.
func (e *exchange) refused() bool {
	return e.err == nil && (e.status == http.StatusUnauthorized || e.status == http.StatusForbidden)
}

func (e *exchange) ok() bool { return e.err == nil && e.status == http.StatusOK }

func (e *exchange) mediaType() string {
	t, _, _ := strings.Cut(e.header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// says is how a finding tells what came.
func (e *exchange) says() string {
	if e.err != nil {
		return e.err.Error()
	}
	text := http.StatusText(e.status)
	if e.mediaType() != "" {
		text += ", " + e.mediaType()
	}
	if e.syntax != nil {
		text += ", " + e.syntax.Error()
	}
	return strings.TrimSpace(strings.Join([]string{itoa(e.status), text}, " "))
}

// prober is a probe at work.
type prober struct {
	cfg    Config
	client *http.Client
	parser format.Parser
	cache  map[string]*exchange
	all    []*exchange
	found
	made made
}

const maxRedirects = 5

// get reads an address once for each set of headers, following redirects.
func (p *prober) get(ctx context.Context, url, accept string, header ...string) *exchange {
	key := strings.Join(append([]string{url, accept}, header...), "\x00")
	if e := p.cache[key]; e != nil {
		return e
	}
	header = append([]string{"Accept", accept}, header...)
	e := p.do(ctx, http.MethodGet, url, nil, header...)
	for n := 0; e.err == nil && e.status/100 == 3 && e.status != http.StatusNotModified && n < maxRedirects; n++ {
		to, err := resolve(e.url, e.header.Get("Location"))
		if err != nil {
			break
		}
		next := p.do(ctx, http.MethodGet, to, nil, header...)
		next.redirects = append(slices.Clone(e.redirects), to)
		e = next
	}
	e.asked = url
	p.cache[key] = e
	return e
}

func resolve(base, ref string) (string, error) {
	b, err := url.Parse(base)
	if err != nil || ref == "" {
		return "", errors.New("no Location")
	}
	u, err := b.Parse(ref)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// do makes one request.
func (p *prober) do(ctx context.Context, method, url string, body []byte, header ...string) *exchange {
	e := &exchange{method: method, url: url, asked: url, header: http.Header{}}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		e.err = oslc.E("probe", err, oslc.Invalid)
		return e
	}
	req.Header.Set("OSLC-Core-Version", "2.0")
	req.Header.Set("User-Agent", "oslcbus-probe")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := p.client.Do(req)
	if err != nil {
		e.err = oslc.E("probe", err, oslc.Unavailable)
		return e
	}
	defer resp.Body.Close()
	e.status, e.header = resp.StatusCode, resp.Header
	if e.body, e.err = io.ReadAll(io.LimitReader(resp.Body, maxBody)); e.err != nil {
		return e
	}
	p.all = append(p.all, e)
	if f, ok := format.ByMediaType(e.mediaType()); ok && len(e.body) > 0 && e.mediaType() != "application/json" {
		e.graph, e.syntax = p.parser.Parse(e.body, f, url, rdf.Limits{})
	}
	return e
}

var linkValue = regexp.MustCompile(`<([^>]*)>((?:\s*;\s*[^,;="]+(?:=(?:"[^"]*"|[^,;"]*))?)*)`)

// links returns the targets of the links of a relation.
func (e *exchange) links(rel string) []string {
	var out []string
	for _, m := range linkValue.FindAllStringSubmatch(strings.Join(e.header.Values("Link"), ", "), -1) {
		for param := range strings.SplitSeq(m[2], ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			if strings.EqualFold(name, "rel") {
				for r := range strings.FieldsSeq(strings.Trim(value, `"`)) {
					if r == rel {
						out = append(out, m[1])
					}
				}
			}
		}
	}
	return out
}

// lists reports whether a header that is a list of words has the word.
func (e *exchange) lists(name, word string) bool {
	for v := range strings.SplitSeq(strings.Join(e.header.Values(name), ","), ",") {
		if strings.EqualFold(strings.TrimSpace(v), word) {
			return true
		}
	}
	return false
}

// with adds parameters to a query base, which may have some already.
func with(base string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	sep := "?"
	if strings.Contains(base, "?") {
		sep = "&"
	}
	return base + sep + strings.ReplaceAll(q.Encode(), "+", "%20")
}
