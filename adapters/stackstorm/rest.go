package stackstorm

import (
	"bytes"
	"context"
	"encoding/json"
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
)

// REST is how to reach StackStorm's API. The zero value reaches nothing.
type REST struct {
	// APIKey is sent as St2-Api-Key, Token as X-Auth-Token. One of them is needed;
	// a token lasts a day unless StackStorm is told otherwise, a key until it is
	// withdrawn.
	APIKey     adapters.Secret `yaml:"api_key"`
	APIKeyFile string          `yaml:"api_key_file"`
	Token      adapters.Secret `yaml:"auth_token"`
	TokenFile  string          `yaml:"auth_token_file"`
	// Timeout bounds one call; default 30s.
	Timeout time.Duration `yaml:"timeout"`
	// EmptyUpdateToggles makes the action update-rule, given no values, switch the
	// rule on or off as earlier adapters did; otherwise that is an error.
	EmptyUpdateToggles bool `yaml:"empty_update_toggles"`
}

const defaultTimeout = 30 * time.Second

// given reports whether there are credentials at all.
func (c REST) given() bool {
	return c.APIKey != "" || c.APIKeyFile != "" || c.Token != "" || c.TokenFile != ""
}

// rest calls StackStorm's API.
type rest struct {
	base, header string
	secret       adapters.Secret
	client       *http.Client
	now          func() time.Time
}

// newREST returns a client for the API at base, such as https://st2.example/api. It
// does not dial.
func newREST(base string, cfg REST, opts adapters.Options) (*rest, error) {
	key, err := cfg.APIKey.OrFile("api_key", cfg.APIKeyFile)
	if err != nil {
		return nil, err
	}
	token, err := cfg.Token.OrFile("auth_token", cfg.TokenFile)
	if err != nil {
		return nil, err
	}
	c := &rest{base: strings.TrimRight(base, "/") + "/v1", client: opts.Client, now: opts.Now}
	switch {
	case base == "":
		return nil, errors.New("api_url is needed to write rules")
	case key != "" && token != "":
		return nil, errors.New("give api_key or auth_token, not both: StackStorm takes one")
	case key != "":
		c.header, c.secret = "St2-Api-Key", key
	case token != "":
		c.header, c.secret = "X-Auth-Token", token
	default:
		return nil, errors.New("api_key or auth_token is needed to write rules")
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.client == nil {
		timeout := cfg.Timeout
		if timeout <= 0 {
			timeout = defaultTimeout
		}
		c.client = &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // an API does not redirect; a login page does
		}}
	}
	return c, nil
}

// maxAnswer bounds what is read of an answer. A rule has about 1 KB.
const maxAnswer = 4 << 20

// call sends in as JSON and returns the object in the answer, nil for an empty one.
func (c *rest) call(ctx context.Context, method, path string, in map[string]any) (map[string]any, error) {
	var out map[string]any
	return out, c.do(ctx, method, path, in, &out)
}

// list returns the objects in the array of an answer.
func (c *rest) list(ctx context.Context, path string) ([]map[string]any, error) {
	var out []map[string]any
	return out, c.do(ctx, http.MethodGet, path, nil, &out)
}

// do sends in as JSON and decodes the answer, which may be empty, into out.
func (c *rest) do(ctx context.Context, method, path string, in map[string]any, out any) error {
	const op = "stackstorm.call"
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return oslc.E(op, err, oslc.Invalid)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return oslc.E(op, err, oslc.Invalid)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "oslcbus")
	req.Header.Set(c.header, string(c.secret))
	resp, err := c.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return oslc.E(op, err, oslc.Unavailable)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return oslc.E(op, err, oslc.Unavailable)
	}
	if resp.StatusCode/100 != 2 {
		return c.refused(resp, answer)
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber() // a number is sent back as it came
	if err := d.Decode(out); err != nil {
		return oslc.E(op, fmt.Errorf("the answer is not the JSON that StackStorm sends: %w", err), oslc.Unavailable)
	}
	return nil
}

// refused classifies an answer that is no success and keeps StackStorm's own words.
func (c *rest) refused(resp *http.Response, body []byte) error {
	var b struct {
		Fault any `json:"faultstring"`
	}
	words := resp.Status
	if json.Unmarshal(body, &b) == nil && b.Fault != nil && fmt.Sprint(b.Fault) != "" {
		words = fmt.Sprint(b.Fault)
	}
	words = strings.ReplaceAll(words, string(c.secret), "<secret>") // an answer may echo what was sent
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	e := &oslc.Error{Op: "stackstorm." + strconv.Itoa(resp.StatusCode), Err: errors.New(words)}
	switch s := resp.StatusCode; {
	case s == http.StatusUnauthorized:
		e.Kind, e.Err = oslc.Denied, fmt.Errorf("StackStorm refuses the credentials of the bus: %s", words)
	case s == http.StatusForbidden, s/100 == 3:
		e.Kind = oslc.Denied
	case s == http.StatusNotFound:
		e.Kind = oslc.NotFound
	case s == http.StatusConflict:
		e.Kind = oslc.Conflict
	case s == http.StatusTooManyRequests:
		e.Kind = oslc.Limited
	case s == http.StatusRequestTimeout, s/100 == 5:
		e.Kind = oslc.Unavailable
	default:
		e.Kind = oslc.Invalid
	}
	if n, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	return e
}

// maxWords bounds what is kept of the tool's words, in bytes.
const maxWords = 2000

// rule reads a rule with its secrets, as far as the account may see them: what is
// not to change must be sent back in clear.
func (c *rest) rule(ctx context.Context, id string) (map[string]any, error) {
	return c.call(ctx, http.MethodGet, "/rules/"+url.PathEscape(id)+"?show_secrets=true", nil)
}
