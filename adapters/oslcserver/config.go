package oslcserver

import (
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Defaults of Config.
const (
	DefaultTimeout = 30 * time.Second
	DefaultWithin  = 10 * time.Minute
	DefaultPoll    = 2 * time.Second
)

// Config is the block of the adapter "oslc".
type Config struct {
	// Servers are those that may be called; no other is.
	Servers []ServerConfig `yaml:"servers"`
	// Timeout bounds one call; default DefaultTimeout. Within bounds an action with all
	// that it takes, until its result is final; default DefaultWithin.
	Timeout time.Duration `yaml:"timeout"`
	Within  time.Duration `yaml:"within"`
	// Poll is how often a result is looked at that is not final, unless the server says
	// by Retry-After; default DefaultPoll.
	Poll time.Duration `yaml:"poll"`
	// Once forbids to call again what may have been heard.
	Once bool `yaml:"once"`
	// Title and Description of the provider, for people.
	Title       string `yaml:"title"`
	Description string `yaml:"description"`
}

// ServerConfig is a server, and who the bus is there.
type ServerConfig struct {
	// URL is its scheme, name and port, such as https://rm.example.
	URL string `yaml:"url"`
	// User and Password log in with HTTP Basic, Token as a Bearer token.
	User         string          `yaml:"user"`
	Password     adapters.Secret `yaml:"password"`
	PasswordFile string          `yaml:"password_file"`
	Token        adapters.Secret `yaml:"token"`
	TokenFile    string          `yaml:"token_file"`
}

// Perform is the IRI of the action perform.
const Perform = vocab.Bus + "PerformAction"

// Build is the adapters.Builder of "oslc".
func Build(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
	const op = "oslcserver.build"
	var cfg Config
	if err := decode(&cfg); err != nil {
		return adapters.Adapter{}, oslc.E(op, err, oslc.Invalid)
	}
	x, err := New(cfg, opts)
	if err != nil {
		return adapters.Adapter{}, oslc.E(op, err)
	}
	return adapters.Adapter{
		Executor: x,
		Provider: oslc.ServiceProvider{
			Name: opts.Name, Title: cmp.Or(cfg.Title, "Actions of OSLC servers"), Description: cfg.Description,
			Services: []oslc.Service{{Domain: vocab.Auto}},
		},
		Actions: []oslc.Action{{
			Name: "perform", IRI: Perform, Title: "Perform an action of a resource",
			Parameters: []oslc.Parameter{
				{Name: "action", Required: true, Help: "class of the action, prefixed or in full, or the action's own URI"},
				{Name: "resource", Target: true, Help: "URI of the resource that offers it; left out, the resource of the event"},
				{Name: "parameters", Help: "values for the action, by the names of its shape or of its input parameters"},
			},
		}},
	}, nil
}

// New returns the executor. It does no I/O but reading the files of secrets.
func New(cfg Config, opts adapters.Options) (*Executor, error) {
	const op = "oslcserver.new"
	x := &Executor{
		cfg: cfg, log: opts.Logger, metrics: opts.Metrics, now: opts.Now, servers: map[string]string{},
		parser: format.Parser{JSONLD: processor.Parse},
	}
	if len(cfg.Servers) == 0 {
		return nil, oslc.Errorf(op, oslc.Invalid, "servers is empty: name those that may be called")
	}
	for i, s := range cfg.Servers {
		password, token, err := adapters.Credentials{
			User: s.User, Password: s.Password, PasswordFile: s.PasswordFile, Token: s.Token, TokenFile: s.TokenFile,
		}.Read()
		if err != nil {
			return nil, fmt.Errorf("servers[%d]: %w", i, err)
		}
		u, err := url.Parse(s.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
			return nil, oslc.Errorf(op, oslc.Invalid, "servers[%d]: url: it must be a scheme, a name and perhaps a port, such as https://rm.example", i)
		}
		auth := ""
		switch {
		case token != "":
			auth = "Bearer " + token
			x.secrets = append(x.secrets, token)
		case password != "":
			basic := base64.StdEncoding.EncodeToString([]byte(s.User + ":" + password))
			auth = "Basic " + basic
			x.secrets = append(x.secrets, basic, password)
		}
		if _, twice := x.servers[origin(u)]; twice {
			return nil, oslc.Errorf(op, oslc.Invalid, "servers[%d]: %s is there twice", i, s.URL)
		}
		x.servers[origin(u)] = auth
	}
	if cfg.Timeout < 0 || cfg.Within < 0 || cfg.Poll < 0 {
		return nil, oslc.Errorf(op, oslc.Invalid, "timeout, within and poll cannot be negative")
	}
	x.cfg.Timeout, x.cfg.Within, x.cfg.Poll = cmp.Or(cfg.Timeout, DefaultTimeout), cmp.Or(cfg.Within, DefaultWithin), cmp.Or(cfg.Poll, DefaultPoll)
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	if x.now == nil {
		x.now = time.Now
	}
	x.once.Now = x.now
	var next http.RoundTripper
	if opts.Client != nil {
		next = opts.Client.Transport
	}
	if next == nil {
		// Bindings ask for HTTP 1.1.
		t := adapters.NewTransport()
		t.ForceAttemptHTTP2, t.TLSNextProto = false, map[string]func(string, *tls.Conn) http.RoundTripper{}
		next = t
	}
	x.client = &http.Client{Timeout: x.cfg.Timeout, Transport: &gate{x, next}, CheckRedirect: x.redirect}
	return x, nil
}

// origin is what tells servers apart.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme) + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
