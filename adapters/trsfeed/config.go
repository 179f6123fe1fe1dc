package trsfeed

import (
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
)

// Defaults of Config.
const (
	DefaultPoll     = time.Minute
	DefaultParallel = 8
)

// Config is the block of the adapter "trsfeed".
type Config struct {
	// URL is the address of the tracked resource set.
	URL string `yaml:"url"`
	// User and Password log in with HTTP Basic, Token as a Bearer token; they are sent
	// to the host of URL alone.
	User         string          `yaml:"user"`
	Password     adapters.Secret `yaml:"password"`
	PasswordFile string          `yaml:"password_file"`
	Token        adapters.Secret `yaml:"token"`
	TokenFile    string          `yaml:"token_file"`
	// Hosts are those beside that of URL which resources and pages may be of.
	Hosts []string `yaml:"hosts"`
	// Poll is how often the change log is looked at; default DefaultPoll. It must be
	// far shorter than the server keeps its changes.
	Poll time.Duration `yaml:"poll"`
	// Read is how many resources are read at once; default DefaultParallel.
	Read int `yaml:"read"`
	// Domain and Types say what the resources are, for discovery; default is change
	// management, and no type.
	Domain string   `yaml:"domain"`
	Types  []string `yaml:"types"`
	// Title and Description of the provider, for people.
	Title       string `yaml:"title"`
	Description string `yaml:"description"`
}

// Kind is the collection that the resources are in.
const Kind = "resources"

// Build is the adapters.Builder of "trsfeed".
func Build(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
	const op = "trsfeed.build"
	var cfg Config
	if err := decode(&cfg); err != nil {
		return adapters.Adapter{}, oslc.E(op, err, oslc.Invalid)
	}
	src, err := New(cfg, opts)
	if err != nil {
		return adapters.Adapter{}, oslc.E(op, err)
	}
	if cfg.Domain == "" {
		cfg.Domain = vocab.CM
	}
	if cfg.Title == "" {
		cfg.Title = "Resources of " + src.host
	}
	return adapters.Adapter{Source: src, Provider: oslc.ServiceProvider{
		Name: opts.Name, Title: cfg.Title, Description: cfg.Description, Details: cfg.URL,
		Services: []oslc.Service{{Domain: cfg.Domain, Collections: []oslc.Collection{
			{Kind: Kind, Title: "Resources", ResourceTypes: cfg.Types},
		}}},
	}}, nil
}

// New returns the source. It does no I/O but reading the files of secrets.
func New(cfg Config, opts adapters.Options) (*Source, error) {
	const op = "trsfeed.new"
	password, token, err := adapters.Credentials{
		User: cfg.User, Password: cfg.Password, PasswordFile: cfg.PasswordFile, Token: cfg.Token, TokenFile: cfg.TokenFile,
	}.Read()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil:
		return nil, oslc.Errorf(op, oslc.Invalid, "url: it must be an http or https address without credentials")
	case cfg.Poll < 0 || cfg.Read < 0:
		return nil, oslc.Errorf(op, oslc.Invalid, "poll and read cannot be negative")
	}
	if cfg.Poll == 0 {
		cfg.Poll = DefaultPoll
	}
	if cfg.Read == 0 {
		cfg.Read = DefaultParallel
	}
	s := &Source{cfg: cfg, opts: opts, host: u.Host, log: opts.Logger, now: opts.Now, known: map[string]*fresh{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	client := &http.Client{}
	if opts.Client != nil {
		c := *opts.Client
		client = &c
	}
	if client.Transport == nil {
		client.Transport = adapters.NewTransport()
	}
	client.Transport = &login{next: client.Transport, host: u.Host, user: cfg.User, password: password, token: token}
	s.feed, err = trs.NewClient(trs.ClientConfig{
		URI: cfg.URL, HTTP: client, Hosts: cfg.Hosts, Parser: format.Parser{JSONLD: processor.Parse},
	})
	return s, err
}

// login adds credentials for one host.
type login struct {
	next                        http.RoundTripper
	host, user, password, token string
}

func (l *login) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == l.host && (l.user != "" || l.token != "") {
		r = r.Clone(r.Context())
		if l.token != "" {
			r.Header.Set("Authorization", "Bearer "+l.token)
		} else {
			r.SetBasicAuth(l.user, l.password)
		}
	}
	return l.next.RoundTrip(r)
}
