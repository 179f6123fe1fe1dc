package jira

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Config is the block of a connection of type jira.
type Config struct {
	// URL is the address of the API without /rest: the site, the host with its
	// context path, or the gateway https://api.atlassian.com/ex/jira/CLOUD-ID that
	// scoped tokens need.
	URL string `yaml:"url"`
	// BrowseURL is the address that people use; default URL.
	BrowseURL string `yaml:"browse_url"`
	// Deployment is cloud (the default) or datacenter.
	Deployment string `yaml:"deployment"`
	// User is the e-mail address (Cloud) or name of the account. With it Token is
	// sent as Basic password, without it as Bearer (a personal access token).
	User      string          `yaml:"user"`
	Token     adapters.Secret `yaml:"token"`
	TokenFile string          `yaml:"token_file"`
	// Settle is how long Jira's index may lag behind; default 10s.
	Settle time.Duration `yaml:"settle"`
	// Timeout bounds one call; default 30s.
	Timeout time.Duration `yaml:"timeout"`
}

const (
	defaultSettle  = 10 * time.Second
	defaultTimeout = 30 * time.Second
)

// CreateIssue is the IRI of the action create-issue.
const CreateIssue = vocab.Bus + "CreateIssue"

// Build is the adapters.Builder of "jira". It does not dial.
func Build(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
	const op = "jira.build"
	var cfg Config
	if err := decode(&cfg); err != nil {
		return adapters.Adapter{}, err
	}
	x, err := newExecutor(cfg, opts)
	if err != nil {
		return adapters.Adapter{}, oslc.E(op, err, oslc.Invalid)
	}
	return adapters.Adapter{
		Provider: oslc.ServiceProvider{
			Name: opts.Name, Title: "Jira", Details: x.browse,
			Services: []oslc.Service{{Domain: vocab.CM}},
		},
		Executor: x,
		Actions: []oslc.Action{{
			Name: "create-issue", IRI: CreateIssue, Title: "Create an issue",
			Parameters: []oslc.Parameter{
				{Name: "project", Required: true, Help: "key of the project"},
				{Name: "type", Required: true, Help: "name of the issue type, such as Task"},
				{Name: "summary", Required: true, Help: "one line, cut at 255 characters"},
				{Name: "description", Help: "text; a blank line parts paragraphs, addresses become links"},
				{Name: "labels", Help: "list of labels"},
				{Name: "priority", Help: "name of the priority"},
				{Name: "fields", Help: "further fields by id, as Jira's REST API takes them"},
			},
		}},
	}, nil
}

// Executor creates issues.
type Executor struct {
	base, browse string // without a slash at the end
	cloud        bool
	user         string
	token        adapters.Secret
	settle       time.Duration
	client       *http.Client
	now          func() time.Time
	once         adapters.Once
}

func newExecutor(cfg Config, opts adapters.Options) (*Executor, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil && strings.Contains(cfg.URL, "@") { // what is before it may be a password
		return nil, fmt.Errorf("url: it is no address such as https://example.atlassian.net")
	}
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("url: %q is no address such as https://example.atlassian.net", cfg.URL)
	}
	if u.User != nil {
		return nil, fmt.Errorf("url: put the credentials in user and token, not in the address")
	}
	token, err := cfg.Token.OrFile("token", cfg.TokenFile)
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, fmt.Errorf("token or token_file is needed")
	}
	x := &Executor{
		base: strings.TrimRight(cfg.URL, "/"), browse: strings.TrimRight(cfg.BrowseURL, "/"),
		user: cfg.User, token: token, settle: cfg.Settle, client: opts.Client, now: opts.Now,
	}
	switch cfg.Deployment {
	case "", "cloud":
		x.cloud = true
		if x.user == "" {
			return nil, fmt.Errorf("user: Jira Cloud takes the e-mail address of the account beside its token")
		}
	case "datacenter":
	default:
		return nil, fmt.Errorf("deployment: %q is none of cloud, datacenter", cfg.Deployment)
	}
	if x.browse == "" {
		x.browse = x.base
	}
	if x.settle <= 0 {
		x.settle = defaultSettle
	}
	if x.now == nil {
		x.now = time.Now
	}
	x.once.Now = x.now
	if x.client == nil {
		timeout := cfg.Timeout
		if timeout <= 0 {
			timeout = defaultTimeout
		}
		x.client = &http.Client{Timeout: timeout, Transport: adapters.NewTransport(), CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // an API does not redirect; a login page does
		}}
	}
	return x, nil
}
