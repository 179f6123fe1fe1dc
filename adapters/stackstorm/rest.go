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
	// APIKey is sent as St2-Api-Key, Token as X-Auth-Token; User and Password get tokens
	// from the auth service, which are renewed in time. One of the three is needed. A
	// token lasts a day unless StackStorm is told otherwise, a key until it is
	// withdrawn.
	APIKey     adapters.Secret `yaml:"api_key"`
	APIKeyFile string          `yaml:"api_key_file"`
	Token      adapters.Secret `yaml:"auth_token"`
	TokenFile  string          `yaml:"auth_token_file"`
	// User and Password log in at AuthURL; its default is the /auth beside the /api
	// that the address of the API ends in.
	User         string          `yaml:"user"`
	Password     adapters.Secret `yaml:"password"`
	PasswordFile string          `yaml:"password_file"`
	AuthURL      string          `yaml:"auth_url"`
	// Timeout bounds one call; default 30s.
	Timeout time.Duration `yaml:"timeout"`
	// EmptyUpdateToggles makes the action update-rule, given no values, switch the
	// rule on or off as earlier adapters did; otherwise that is an error.
	EmptyUpdateToggles bool `yaml:"empty_update_toggles"`
}

const defaultTimeout = 30 * time.Second

// given reports whether there are credentials at all.
func (c REST) given() bool {
	return c.APIKey != "" || c.APIKeyFile != "" || c.Token != "" || c.TokenFile != "" ||
		c.User != "" || c.Password != "" || c.PasswordFile != ""
}

// rest calls StackStorm's API.
type rest struct {
	base, header string
	secret       adapters.Secret
	login        *login // gets the secret, where it is not given
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
	password, err := cfg.Password.OrFile("password", cfg.PasswordFile)
	if err != nil {
		return nil, err
	}
	c := &rest{base: strings.TrimRight(base, "/") + "/v1", client: opts.Client, now: opts.Now}
	given := 0
	for _, one := range []bool{key != "", token != "", cfg.User != "" || password != ""} {
		if one {
			given++
		}
	}
	switch {
	case base == "":
		return nil, errors.New("api_url is needed to write rules")
	case given > 1:
		return nil, errors.New("give api_key or auth_token or user and password, not more of them: StackStorm takes one")
	case given == 0:
		return nil, errors.New("api_key, auth_token, or user and password are needed to write rules")
	case (cfg.User == "") != (password == ""):
		return nil, errors.New("user and password belong together")
	case cfg.User == "" && cfg.AuthURL != "":
		return nil, errors.New("auth_url is for user and password")
	case key != "":
		c.header, c.secret = "St2-Api-Key", key
	default:
		c.header, c.secret = "X-Auth-Token", token
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.client == nil {
		timeout := cfg.Timeout
		if timeout <= 0 {
			timeout = defaultTimeout
		}
		c.client = &http.Client{Timeout: timeout, Transport: adapters.NewTransport(), CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // an API does not redirect; a login page does
		}}
	}
	if cfg.User != "" {
		c.login = &login{user: cfg.User, password: password, client: c.client, now: c.now}
		if c.login.url, err = authURL(base, cfg.AuthURL); err != nil {
			return nil, err
		}
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

// do sends in as JSON and decodes the answer, which may be empty, into out. A token
// that StackStorm does not take any more is replaced once: what it refused so, it has
// not begun.
func (c *rest) do(ctx context.Context, method, path string, in map[string]any, out any) error {
	const op = "stackstorm.call"
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return oslc.E(op, err, oslc.Invalid)
		}
	}
	secret := string(c.secret)
	for again := false; ; again = true {
		if c.login != nil {
			stale := ""
			if again {
				stale = secret
			}
			var err error
			if secret, err = c.login.token(ctx, stale); err != nil {
				return err
			}
		}
		got, err := c.send(ctx, method, path, body, secret)
		switch {
		case err != nil:
			return err
		case got.status == http.StatusUnauthorized && c.login != nil && !again:
			continue
		case got.status/100 != 2:
			return got.refusal(c.now(), secret)
		case len(bytes.TrimSpace(got.body)) == 0:
			return nil
		}
		d := json.NewDecoder(bytes.NewReader(got.body))
		d.UseNumber() // a number is sent back as it came
		if err := d.Decode(out); err != nil {
			return oslc.E(op, fmt.Errorf("the answer is not the JSON that StackStorm sends: %w", err), oslc.Unavailable)
		}
		return nil
	}
}

// send makes one call.
func (c *rest) send(ctx context.Context, method, path string, body []byte, secret string) (answer, error) {
	const op = "stackstorm.call"
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, in)
	if err != nil {
		return answer{}, oslc.E(op, err, oslc.Invalid)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set(c.header, secret)
	return exchange(c.client, req)
}

// An answer is what StackStorm said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// exchange makes a call and reads the answer.
func exchange(client *http.Client, req *http.Request) (answer, error) {
	const op = "stackstorm.call"
	req.Header.Set("User-Agent", "oslcbus")
	oslc.SetTrace(req)
	resp, err := client.Do(req)
	if err != nil {
		if ctx := req.Context(); ctx.Err() != nil {
			return answer{}, ctx.Err()
		}
		return answer{}, oslc.E(op, err, oslc.Unavailable)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, oslc.E(op, err, oslc.Unavailable)
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// refusal classifies an answer that is no success and keeps StackStorm's own words.
func (a answer) refusal(now time.Time, secret string) error {
	var b struct {
		Fault any `json:"faultstring"`
	}
	words := fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))
	if json.Unmarshal(a.body, &b) == nil && b.Fault != nil && fmt.Sprint(b.Fault) != "" {
		words = fmt.Sprint(b.Fault)
	}
	if secret != "" {
		words = strings.ReplaceAll(words, secret, "<secret>") // an answer may echo what was sent
	}
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	e := &oslc.Error{
		Op: "stackstorm." + strconv.Itoa(a.status), Kind: adapters.KindOfStatus(a.status),
		RetryAfter: adapters.RetryAfter(a.header, now), Err: errors.New(words),
	}
	if a.status == http.StatusUnauthorized {
		e.Err = fmt.Errorf("StackStorm refuses the credentials of the bus: %s", words)
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
