package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// CallConfig says how a tool is called.
type CallConfig struct {
	// URL begins the address of every call. No call goes to another host.
	URL string `yaml:"url"`
	// User and Password log in with HTTP Basic, Token as a Bearer token.
	User         string          `yaml:"user"`
	Password     adapters.Secret `yaml:"password"`
	PasswordFile string          `yaml:"password_file"`
	Token        adapters.Secret `yaml:"token"`
	TokenFile    string          `yaml:"token_file"`
	// Headers are sent with every call.
	Headers map[string]string `yaml:"headers"`
	// Sign, when set, signs the body of every call.
	Sign *SignConfig `yaml:"sign"`
	// Timeout bounds one call; default 30s.
	Timeout time.Duration  `yaml:"timeout"`
	Actions []ActionConfig `yaml:"actions"`
}

// SignConfig says how a call shows that it is the bus's own: Header holds Prefix and the
// HMAC-SHA256 of the body, in Encoding (hex, the default, or base64). The defaults are
// X-Hub-Signature-256 and "sha256=".
type SignConfig struct {
	Header     string          `yaml:"header"`
	Prefix     *string         `yaml:"prefix"`
	Encoding   string          `yaml:"encoding"`
	Secret     adapters.Secret `yaml:"secret"`
	SecretFile string          `yaml:"secret_file"`
}

// ActionConfig is what a tool can be asked for. In Path, Headers and Body stands ${name}
// for a parameter, and for request.id, request.uri, request.target, request.event,
// request.rule, request.by and target.id.
type ActionConfig struct {
	// Name is how rules write it, Title is for people.
	Name  string `yaml:"name"`
	Title string `yaml:"title"`
	// Type is the IRI of its class; default one of the connection's own.
	Type string `yaml:"type"`
	// Class is the class of the resources of this connection that offer it, and Where a
	// condition in the syntax of oslc.where under which they do. ${target.id} is then the
	// tool's own name for the resource, the key of its mapping.
	Class string `yaml:"class"`
	Where string `yaml:"where"`
	// Method is POST unless told otherwise.
	Method string `yaml:"method"`
	// Path follows URL; with a query if wanted. What is put in is escaped.
	Path    string            `yaml:"path"`
	Headers map[string]string `yaml:"headers"`
	// Body is sent as JSON. A text that is one ${name} alone keeps the type of the
	// parameter, and is left out where that is not given. Without a Body none is sent.
	Body       any               `yaml:"body"`
	Parameters []ParameterConfig `yaml:"parameters"`
	// Success lists the statuses of success; default all of 2xx.
	Success []int        `yaml:"success"`
	Result  ResultConfig `yaml:"result"`
	// Once forbids to repeat the call when it may have been heard: for tools that do not
	// know a repeat by its Idempotency-Key. What became of it is for people to see then.
	Once bool `yaml:"once"`
}

// ParameterConfig is a parameter of an action.
type ParameterConfig struct {
	Name     string `yaml:"name"`
	Required bool   `yaml:"required"`
	Help     string `yaml:"help"`
}

// ResultConfig says where the answer tells what was made: by paths into its JSON, or
// @header.location and the like.
type ResultConfig struct {
	// Location is the address; default the header field Location.
	Location string `yaml:"location"`
	// Key is the tool's own name for it.
	Key string `yaml:"key"`
	// Outputs are further values, by name.
	Outputs map[string]string `yaml:"outputs"`
}

const (
	defaultTimeout = 30 * time.Second
	// maxAnswer bounds what is read of an answer, maxWords what is kept of the tool's
	// words, in bytes.
	maxAnswer = 1 << 20
	maxWords  = 2000
	// shortestSecret keeps plain words such as a media type's from being hidden.
	shortestSecret = 16
)

// Executor makes the calls.
type Executor struct {
	base    string
	cfg     CallConfig
	secrets []string // that no words may show
	auth    string
	sign    *signer
	actions []action
	opts    adapters.Options
	client  *http.Client
	once    adapters.Once
}

type signer struct {
	header, prefix string
	base64         bool
	key            []byte
}

type action struct {
	ActionConfig
	iri         string
	path, query template
	headers     map[string]template
	body        any
}

var (
	actionName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	paramName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)
	methods    = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
)

// NewExecutor checks the configuration. It does no I/O but reading the files of secrets.
func NewExecutor(cfg CallConfig, opts adapters.Options) (*Executor, error) {
	const op = "webhook.call"
	fail := func(format string, args ...any) (*Executor, error) {
		return nil, oslc.Errorf(op, oslc.Invalid, format, args...)
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fail("url: it must be an http or https address without credentials and query")
	}
	password, token, err := adapters.Credentials{
		User: cfg.User, Password: cfg.Password, PasswordFile: cfg.PasswordFile, Token: cfg.Token, TokenFile: cfg.TokenFile,
	}.Read()
	if err != nil {
		return nil, err
	}
	x := &Executor{base: strings.TrimRight(cfg.URL, "/"), cfg: cfg, opts: opts}
	switch {
	case token != "":
		x.auth, x.secrets = "Bearer "+token, append(x.secrets, token)
	case password != "":
		basic := base64.StdEncoding.EncodeToString([]byte(cfg.User + ":" + password))
		x.auth, x.secrets = "Basic "+basic, append(x.secrets, basic, password)
	}
	if cfg.Sign != nil {
		if x.sign, err = cfg.Sign.signer(); err != nil {
			return nil, err
		}
	}
	for _, v := range cfg.Headers {
		if len(v) >= shortestSecret && !strings.Contains(v, "${") {
			x.secrets = append(x.secrets, v) // keys travel in header fields too
		}
	}
	if len(cfg.Actions) == 0 {
		return fail("actions is empty")
	}
	for i, a := range cfg.Actions {
		c, err := x.compile(a)
		if err == nil && slices.ContainsFunc(x.actions, func(o action) bool { return o.Name == a.Name || o.iri == c.iri }) {
			err = errors.New("there is another one of this name or type")
		}
		if err != nil {
			return fail("actions[%d]: %s: %v", i, a.Name, err)
		}
		x.actions = append(x.actions, c)
	}
	if x.opts.Now == nil {
		x.opts.Now = time.Now
	}
	if x.opts.Logger == nil {
		x.opts.Logger = slog.New(slog.DiscardHandler)
	}
	x.once.Now = x.opts.Now
	x.client = &http.Client{Timeout: cmp.Or(cfg.Timeout, defaultTimeout), Transport: adapters.NewTransport()}
	if opts.Client != nil {
		c := *opts.Client
		x.client = &c
	}
	x.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return x, nil
}

func (c *SignConfig) signer() (*signer, error) {
	const op = "webhook.sign"
	secret, err := c.Secret.OrFile("secret", c.SecretFile)
	if err != nil {
		return nil, err
	}
	s := &signer{header: cmp.Or(c.Header, "X-Hub-Signature-256"), prefix: "sha256=", key: []byte(secret), base64: c.Encoding == "base64"}
	if c.Prefix != nil {
		s.prefix = *c.Prefix
	}
	switch {
	case secret == "":
		return nil, oslc.Errorf(op, oslc.Invalid, "sign: secret or secret_file is needed")
	case c.Encoding != "" && c.Encoding != "hex" && c.Encoding != "base64":
		return nil, oslc.Errorf(op, oslc.Invalid, "sign: encoding: %q is none of hex, base64", c.Encoding)
	}
	return s, nil
}

func (s *signer) signature(body []byte) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(body)
	sum := mac.Sum(nil)
	if s.base64 {
		return s.prefix + base64.StdEncoding.EncodeToString(sum)
	}
	return s.prefix + hex.EncodeToString(sum)
}

// ofTheCall are header fields that a configuration does not set.
var ofTheCall = []string{"Idempotency-Key", "Content-Length", "Content-Type", "Host", "Transfer-Encoding", "Connection"}

func (x *Executor) compile(a ActionConfig) (action, error) {
	out := action{ActionConfig: a, iri: a.Type, headers: map[string]template{}}
	if !actionName.MatchString(a.Name) {
		return out, errors.New("a name is a small letter, then letters, digits, _ and -")
	}
	if a.Type == "" {
		out.iri = oslc.ProviderURI(x.opts.BaseURL, x.opts.Name) + "#" + a.Name
	} else if iri, err := mapping.Expand(a.Type); err != nil {
		return out, fmt.Errorf("type: %w", err)
	} else {
		out.iri = iri
	}
	out.Title = cmp.Or(a.Title, a.Name)
	if a.Class != "" {
		iri, err := mapping.Expand(a.Class)
		if err != nil {
			return out, fmt.Errorf("class: %w", err)
		}
		out.Class = iri
	}
	if a.Where != "" {
		if a.Class == "" {
			return out, errors.New("where: it is for the resources of a class, and class is missing")
		}
		if _, err := query.ParseWhere(a.Where, func(prefix string) (string, bool) { return rdf.Expand(prefix + ":") }); err != nil {
			return out, fmt.Errorf("where: %w", err)
		}
	}
	if out.Method = cmp.Or(a.Method, http.MethodPost); !slices.Contains(methods, out.Method) {
		return out, fmt.Errorf("method: %q is none of %s", out.Method, strings.Join(methods, ", "))
	}
	if out.Method == http.MethodGet && a.Body != nil {
		return out, errors.New("body: GET has none")
	}
	known := slices.Collect(maps.Keys(requestValues(&oslc.Request{})))
	for _, p := range a.Parameters {
		if !paramName.MatchString(p.Name) || slices.Contains(known, p.Name) {
			return out, fmt.Errorf("parameters: %q is no name, or there twice", p.Name)
		}
		known = append(known, p.Name)
	}
	path, query, hasQuery := strings.Cut(a.Path, "?")
	if path != "" && !strings.HasPrefix(path, "/") || strings.Contains(a.Path, "#") {
		return out, fmt.Errorf("path: %q does not begin with a slash, or has a #", a.Path)
	}
	var err error
	if out.path, err = parseTemplate(path); err != nil {
		return out, fmt.Errorf("path: %w", err)
	}
	names := out.path.names()
	for _, name := range names {
		if !slices.ContainsFunc(a.Parameters, func(p ParameterConfig) bool { return p.Name == name && p.Required }) && name != "request.id" && (name != targetID || a.Class == "") {
			return out, fmt.Errorf("path: ${%s} is no parameter that is required", name)
		}
	}
	if hasQuery {
		if out.query, err = parseTemplate("?" + query); err != nil {
			return out, fmt.Errorf("path: %w", err)
		}
		names = append(names, out.query.names()...)
	}
	headers := maps.Clone(x.cfg.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	maps.Copy(headers, a.Headers)
	for name, value := range headers {
		if strings.ContainsAny(name, " :\r\n\t") || name == "" || slices.Contains(ofTheCall, http.CanonicalHeaderKey(name)) {
			return out, fmt.Errorf("headers: %q cannot be set", name)
		}
		if out.headers[name], err = parseTemplate(value); err != nil {
			return out, fmt.Errorf("headers: %s: %w", name, err)
		}
		names = append(names, out.headers[name].names()...)
	}
	body, inBody, err := compileBody(a.Body)
	if err != nil {
		return out, fmt.Errorf("body: %w", err)
	}
	out.body = body
	for _, name := range append(names, inBody...) {
		if !slices.Contains(known, name) {
			slices.Sort(known)
			return out, fmt.Errorf("there is no parameter %q for ${%s}; there are: %s", name, name, strings.Join(known, ", "))
		}
	}
	for _, s := range a.Success {
		if s < 200 || s > 399 {
			return out, fmt.Errorf("success: %d is no status of success", s)
		}
	}
	return out, nil
}

// Actions are what the tool can be asked for.
func (x *Executor) Actions() []oslc.Action {
	var out []oslc.Action
	for _, a := range x.actions {
		o := oslc.Action{Name: a.Name, IRI: a.iri, Title: a.Title, Class: a.Class, Where: a.Where}
		for _, p := range a.Parameters {
			o.Parameters = append(o.Parameters, oslc.Parameter{Name: p.Name, Required: p.Required, Help: p.Help})
		}
		out = append(out, o)
	}
	return out
}

// Execute implements adapters.Executor.
func (x *Executor) Execute(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	if err := ctx.Err(); err != nil {
		return oslc.Result{}, err
	}
	return x.once.Do(ctx, r, x.execute)
}

func (x *Executor) execute(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	const op = "webhook.call"
	i := slices.IndexFunc(x.actions, func(a action) bool { return a.iri == r.Action })
	if i < 0 {
		return oslc.Result{}, oslc.Errorf(op, oslc.Unsupported, "there is no action <%s>", r.Action)
	}
	a := &x.actions[i]
	if a.Once && !r.MaybeDoneAt.IsZero() {
		return oslc.Result{}, oslc.Errorf(op, oslc.Conflict, "%s may have been called at %s already and must not be called twice: see what the tool did, then ask again",
			a.Name, r.MaybeDoneAt.UTC().Format(time.RFC3339))
	}
	req, err := x.request(ctx, a, &r)
	if err != nil {
		return oslc.Result{}, oslc.E(op, err, oslc.Invalid)
	}
	resp, err := x.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return oslc.Result{}, ctx.Err()
		}
		return oslc.Result{}, oslc.E(op, errors.New(x.words(err.Error())), oslc.Unavailable)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		if ctx.Err() != nil {
			return oslc.Result{}, ctx.Err()
		}
		return oslc.Result{}, oslc.E(op, errors.New(x.words(err.Error())), oslc.Unavailable)
	}
	if ok := resp.StatusCode/100 == 2; len(a.Success) == 0 && !ok || len(a.Success) > 0 && !slices.Contains(a.Success, resp.StatusCode) {
		return oslc.Result{}, x.refused(resp, answer)
	}
	return x.result(a, &r, resp, answer), nil
}

// request makes the call that a request asks for.
func (x *Executor) request(ctx context.Context, a *action, r *oslc.Request) (*http.Request, error) {
	values := requestValues(r)
	values[targetID] = x.targetID(r.Target)
	for _, p := range a.Parameters {
		if _, ok := values[p.Name]; p.Required && !ok {
			return nil, fmt.Errorf("the parameter %s is missing", p.Name)
		}
	}
	if a.Class != "" && values[targetID] == "" {
		return nil, fmt.Errorf("%s is for a resource of %s, not for %q", a.Name, x.opts.Name, r.Target)
	}
	path := a.path.fill(values, url.PathEscape)
	for segment := range strings.SplitSeq(path, "/") {
		// They would lead to another path than the one that is allowed.
		if segment == "." || segment == ".." || segment == "" && len(a.path.names()) > 0 && strings.Contains(path, "//") {
			return nil, fmt.Errorf("the path %s leads elsewhere", path)
		}
	}
	address := x.base + path + a.query.fill(values, url.QueryEscape)
	var body []byte
	if a.body != nil {
		v, _ := fillBody(a.body, values)
		var err error
		if body, err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, a.Method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, t := range a.headers {
		v := t.fill(values, func(s string) string { return s })
		if strings.ContainsAny(v, "\r\n\x00") {
			return nil, fmt.Errorf("the header field %s would have several lines", name)
		}
		req.Header.Set(name, v)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	req.Header.Set("User-Agent", "oslcbus")
	oslc.SetTrace(req)
	req.Header.Set("Idempotency-Key", r.ID)
	if x.auth != "" {
		req.Header.Set("Authorization", x.auth)
	}
	if x.sign != nil {
		req.Header.Set(x.sign.header, x.sign.signature(body))
	}
	return req, nil
}

// targetID is the tool's own name for a resource of this connection, "" for another.
func (x *Executor) targetID(target string) string {
	rest, ours := strings.CutPrefix(target, oslc.ProviderURI(x.opts.BaseURL, x.opts.Name)+"/")
	_, last, _ := strings.Cut(rest, "/")
	id, err := url.PathUnescape(last)
	if !ours || err != nil {
		return ""
	}
	return id
}

// result reads what was made.
func (x *Executor) result(a *action, r *oslc.Request, resp *http.Response, answer []byte) oslc.Result {
	out := oslc.Result{Request: r.URI, Verdict: oslc.Passed, Message: a.Method + " " + resp.Request.URL.Redacted() + ": " + resp.Status}
	data, err := mapping.ParseJSON(answer)
	get := func(path string) mapping.JSON {
		if name, ok := strings.CutPrefix(path, "@header."); ok {
			if v := resp.Header.Get(name); v != "" {
				return mapping.JSONOf(v)
			}
			return mapping.JSON{}
		}
		if err != nil && out.Verdict == oslc.Passed {
			// It is done all the same.
			out.Verdict = oslc.Warning
			out.Message += "; the answer is no JSON, so it does not say what was made"
		}
		return data.At(path)
	}
	if v := get(cmp.Or(a.Result.Location, "@header.location")).Text(); v != "" {
		if u, err := resp.Request.URL.Parse(v); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil {
			out.Created = u.String()
		}
	}
	if a.Result.Key != "" {
		out.Key = get(a.Result.Key).Text()
	}
	for name, path := range a.Result.Outputs {
		if v := get(path); !v.IsEmpty() {
			if out.Outputs == nil {
				out.Outputs = map[string]any{}
			}
			out.Outputs[name] = output(v)
		}
	}
	return out
}

// output is a value as results have it.
func output(v mapping.JSON) any {
	if b, ok := v.Bool(); ok {
		return b
	}
	if n, ok := v.Int(); ok {
		return n
	}
	if v.IsObject() {
		var out any
		if json.Unmarshal([]byte(v.Text()), &out) == nil {
			return out
		}
	}
	return v.Text()
}

// refused classifies an answer that is no success, and keeps the tool's own words.
func (x *Executor) refused(resp *http.Response, body []byte) error {
	words := resp.Status
	if data, err := mapping.ParseJSON(body); err == nil {
		for _, path := range []string{"message", "detail", "error.message", "error_description", "error", "title", "faultstring"} {
			if v := data.At(path); !v.IsEmpty() && !v.IsObject() {
				words = resp.Status + ": " + v.Text()
				break
			}
		}
	} else if text := strings.TrimSpace(string(body)); text != "" && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		words += ": " + text
	}
	return &oslc.Error{
		Op: "webhook." + strconv.Itoa(resp.StatusCode), Kind: adapters.KindOfStatus(resp.StatusCode),
		RetryAfter: adapters.RetryAfter(resp.Header, x.opts.Now()), Err: errors.New(x.words(words)),
	}
}

// words are what may be shown of a text of the tool.
func (x *Executor) words(text string) string {
	for _, secret := range x.secrets {
		text = strings.ReplaceAll(text, secret, "<secret>") // it may echo what was sent
	}
	if len(text) > maxWords {
		text = text[:maxWords] + "…"
	}
	return strings.ToValidUTF8(text, "\ufffd")
}
