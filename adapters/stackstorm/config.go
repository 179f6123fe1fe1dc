package stackstorm

import (
	"net/url"
	"strings"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/oslc"
)

// DefaultDatabase is where StackStorm keeps its collections unless it is told
// otherwise.
const DefaultDatabase = "st2"

// Config is the block of the adapter "stackstorm".
type Config struct {
	// MongoDB is StackStorm's own database; its default name is DefaultDatabase.
	MongoDB mongodb.Connection `yaml:"mongodb"`
	// APIURL is the address of StackStorm's API, such as https://st2.example/api,
	// for links to the rules and for writing them. Empty leaves the links out.
	APIURL string `yaml:"api_url"`
	// REST has the credentials for writing rules. Without any they can only be read.
	REST `yaml:",inline"`
	// Title and Description of the provider, for people.
	Title       string `yaml:"title"`
	Description string `yaml:"description"`
}

// Build is the adapters.Builder of "stackstorm".
func Build(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
	const op = "stackstorm.build"
	var cfg Config
	if err := decode(&cfg); err != nil {
		return adapters.Adapter{}, oslc.E(op, err, oslc.Invalid)
	}
	if err := cfg.MongoDB.Validate(); err != nil {
		return adapters.Adapter{}, oslc.E(op, err)
	}
	cfg.APIURL = strings.TrimRight(cfg.APIURL, "/")
	if cfg.APIURL != "" {
		if u, err := url.Parse(cfg.APIURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return adapters.Adapter{}, oslc.Errorf(op, oslc.Invalid, "api_url must be an http or https address without credentials")
		}
	}
	watcher, err := cfg.watcher(opts)
	if err != nil {
		return adapters.Adapter{}, oslc.E(op, err)
	}
	a := adapters.Adapter{Provider: cfg.provider(opts), Source: watcher}
	if cfg.given() {
		writer, err := NewWriter(cfg.APIURL, cfg.REST, opts)
		if err != nil {
			return adapters.Adapter{}, err
		}
		a.Writer = writer
		x, err := NewExecutor(cfg.APIURL, cfg.REST, opts)
		if err != nil {
			return adapters.Adapter{}, err
		}
		a.Executor = x
		a.Actions = Actions()
	}
	return a, nil
}

func (cfg Config) provider(opts adapters.Options) oslc.ServiceProvider {
	p := oslc.ServiceProvider{
		Name: opts.Name, Title: cfg.Title, Description: cfg.Description, Details: cfg.APIURL,
		Services: Services(cfg.given()),
	}
	if p.Title == "" {
		p.Title = "StackStorm"
	}
	return p
}

// watcher returns the source; it is connected already, without having dialled.
func (cfg Config) watcher(opts adapters.Options) (*mongodb.Watcher, error) {
	database := cfg.MongoDB.Database
	if database == "" {
		database = DefaultDatabase
	}
	w, err := mongodb.New(Watch(database, cfg.APIURL, opts))
	if err != nil {
		return nil, err
	}
	cfg.MongoDB.Connect(w)
	return w, nil
}

// mappingVersion is part of every cursor: a new number has all rules compared.
const mappingVersion = "rules 2"

// Watch returns what there is to watch in a StackStorm database, for a watcher on
// any server.
func Watch(database, apiURL string, opts adapters.Options) mongodb.Watch {
	return mongodb.Watch{
		Mappings: []mongodb.Mapping{newRules(database, apiURL, opts)},
		References: []mongodb.Reference{
			{Database: database, Name: triggers, Key: "ref", Fields: []string{"type", "parameters"}},
			{Database: database, Name: triggerTypes, Key: "ref", Fields: []string{"parameters_schema"}},
			{Database: database, Name: actions, Key: "ref", Fields: []string{"runner_type", "parameters"}},
			{Database: database, Name: runners, Key: "name", Fields: []string{"runner_parameters"}},
		},
		Shape:   mappingVersion + " " + apiURL,
		Options: opts,
	}
}

// Collections of StackStorm, as mongoengine names them.
const (
	rulesCollection = "rule_d_b"
	triggers        = "trigger_d_b"
	triggerTypes    = "trigger_type_d_b"
	actions         = "action_d_b"
	runners         = "runner_type_d_b"
)

// rulesKind is the segment of rules in URIs.
const rulesKind = "changeRequests"
