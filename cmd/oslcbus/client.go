package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Where commands find a running bus that are told nothing.
const (
	envURL     = "OSLCBUS_URL"
	envToken   = "OSLCBUS_TOKEN" //nolint:gosec // the name of a variable
	defaultURL = "http://127.0.0.1:8080"
)

// A client calls a running bus.
type client struct {
	base, token string
	http        http.Client
}

// clientFlags adds the flags that say which bus is meant; the function that it
// returns makes the client once they are parsed.
func clientFlags(f *flag.FlagSet) func() (*client, error) {
	base := f.String("url", "", "`address` of the bus; default $"+envURL+", or "+defaultURL)
	file := f.String("token-file", "", "`file` with an API token; default $"+envToken)
	return func() (*client, error) {
		c := &client{base: *base, token: os.Getenv(envToken)}
		if c.base == "" {
			c.base = os.Getenv(envURL)
		}
		if c.base == "" {
			c.base = defaultURL
		}
		if u, err := url.Parse(c.base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, oslc.Errorf("client", oslc.Invalid, "%q is no address such as %s", c.base, defaultURL)
		}
		c.base = strings.TrimRight(c.base, "/")
		if *file != "" {
			b, err := os.ReadFile(*file)
			if err != nil {
				return nil, oslc.E("client", err, oslc.Invalid)
			}
			c.token = strings.TrimSpace(string(b))
		}
		c.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if !strings.HasPrefix(r.URL.String(), c.base+"/") {
				return http.ErrUseLastResponse // the token is for this bus alone
			}
			return nil
		}
		return c, nil
	}
}

// maxReply bounds what is read of an answer.
const maxReply = 64 << 20

// An answer of the bus, read to its end.
type answer struct {
	status int
	url    string
	header http.Header
	body   []byte
}

// do sends a request and returns the answer; one that is no success is an error
// with the words of the bus.
func (c *client) do(ctx context.Context, method, path, contentType, accept string, body []byte, header ...string) (*answer, error) {
	const op = "client"
	if strings.HasPrefix(path, "/") {
		path = c.base + path
	}
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	req.Header.Set("Accept", accept)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, oslc.E(op, err, oslc.Unavailable)
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, url: req.URL.String(), header: resp.Header}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxReply)); err != nil {
		return nil, oslc.E(op, err, oslc.Unavailable)
	}
	if a.status/100 != 2 {
		return a, a.refusal()
	}
	return a, nil
}

// A question is a request that the bus answers in JSON.
type question struct {
	method, path string
	body         any // what is sent as JSON; nil is nothing
}

func get(path string) question { return question{method: http.MethodGet, path: path} }

func post(path string, body any) question { return question{http.MethodPost, path, body} }

// ask is a command that asks the bus one thing: it adds the flags of a client to f,
// parses args, and sends what the flags and the argument ask for. want names that
// argument; a command without one leaves it empty.
func (p *program) ask(ctx context.Context, f *flag.FlagSet, args []string, want string, asks func(arg string) question) (*answer, error) {
	newClient := clientFlags(f)
	var names []string
	if want != "" {
		names = []string{want}
	}
	if err := parse(f, args, names...); err != nil {
		return nil, err
	}
	c, err := newClient()
	if err != nil {
		return nil, err
	}
	q := asks(f.Arg(0))
	var body []byte
	if q.body != nil {
		if body, err = json.Marshal(q.body); err != nil {
			return nil, oslc.E("client", err)
		}
	}
	media := ""
	if q.method != http.MethodGet {
		// The bus wants it with an empty body too: no page of another server can send
		// it unasked.
		media = "application/json"
	}
	return c.do(ctx, q.method, q.path, media, "application/json", body)
}

// read reads an answer in JSON into v.
func (a *answer) read(v any) error {
	return oslc.E("client", json.Unmarshal(a.body, v), oslc.Unavailable)
}

// show reads it likewise, but for the output json it is written as it is instead, and
// shown is true.
func (a *answer) show(w io.Writer, o output, v any) (shown bool, err error) {
	if o == "json" {
		_, err = w.Write(a.body)
		return true, err
	}
	return false, a.read(v)
}

// refusal is the error that an answer tells.
func (a *answer) refusal() error {
	said := []string{fmt.Sprint(a.status, " ", http.StatusText(a.status))}
	var j struct{ Message string }
	if json.Unmarshal(a.body, &j) == nil && j.Message != "" {
		said = append(said, j.Message)
	} else if g, err := a.graph(); err == nil {
		for _, e := range g.OfType(vocab.OSLCErrorClass) {
			said = append(said, g.Value(e, vocab.OSLCMessage))
		}
	}
	kind := oslc.Invalid
	switch {
	case a.status == http.StatusNotFound || a.status == http.StatusGone:
		kind = oslc.NotFound
	case a.status == http.StatusConflict:
		kind = oslc.Conflict
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		kind = oslc.Denied
	case a.status >= http.StatusInternalServerError:
		kind = oslc.Unavailable
	}
	return &oslc.Error{Kind: kind, Err: errors.New(strings.Join(said, ": "))} // the bus names the operation
}

// graph parses the answer.
func (a *answer) graph() (*rdf.Graph, error) {
	f, ok := format.ByMediaType(a.header.Get("Content-Type"))
	if !ok {
		return nil, errors.New("the answer is no RDF")
	}
	return format.Parse(a.body, f, a.url, rdf.Limits{})
}

// graph gets an RDF document.
func (c *client) graph(ctx context.Context, path string) (*rdf.Graph, error) {
	a, err := c.do(ctx, http.MethodGet, path, "", format.NTriples.MediaType(), nil)
	if err != nil {
		return nil, err
	}
	g, err := a.graph()
	return g, oslc.E("client", err, oslc.Unavailable)
}

// subcommands runs one of the commands below another one.
func subcommands(ctx context.Context, p *program, of string, list []command, args []string) error {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = strings.TrimPrefix(c.name, of+" ")
	}
	if len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		to := p.err
		if len(args) > 0 {
			to = p.out
		}
		for _, c := range list {
			fmt.Fprintf(to, "  oslcbus %s %s\n      %s\n", c.name, c.usage, c.summary)
		}
		if len(args) > 0 {
			return flag.ErrHelp
		}
		return errUsage
	}
	for i, c := range list {
		if names[i] == args[0] {
			return c.run(ctx, p, args[1:])
		}
	}
	fmt.Fprintf(p.err, "oslcbus %s: there is no command %q; there are: %s\n", of, args[0], strings.Join(names, ", "))
	return errUsage
}

// clock is how lists show times.
func clock(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
