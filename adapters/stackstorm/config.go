package stackstorm

import (
	"net/url"
	"slices"
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
	// Collections are those that are watched: rule_d_b, the default, and
	// action_execution_d_b, whose executions become requests and results.
	Collections []string `yaml:"collections"`
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
	if len(cfg.Collections) == 0 {
		cfg.Collections = []string{rulesCollection}
	}
	for i, name := range cfg.Collections {
		switch {
		case !slices.Contains(mapped, name):
			return adapters.Adapter{}, oslc.Errorf(op, oslc.Invalid, "collections: there is no mapping for %q; there are: %s", name, strings.Join(mapped, ", "))
		case slices.Contains(cfg.Collections[:i], name):
			return adapters.Adapter{}, oslc.Errorf(op, oslc.Invalid, "collections: %q is there twice", name)
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
		if slices.Contains(cfg.Collections, rulesCollection) {
			a.Writer = writer
		}
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
		Services: Services(cfg.given(), cfg.Collections...),
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
	w, err := mongodb.New(Watch(database, cfg.APIURL, opts, cfg.Collections...))
	if err != nil {
		return nil, err
	}
	cfg.MongoDB.Connect(w)
	return w, nil
}

// mappingVersion is part of every cursor: a new number has all rules compared.
const mappingVersion = "rules 2"

// mapped are the collections that there are mappings for.
var mapped = []string{rulesCollection, executionsCollection}

// Watch returns what there is to watch in a StackStorm database, for a watcher on
// any server: the named collections, or the rules.
func Watch(database, apiURL string, opts adapters.Options, collections ...string) mongodb.Watch {
	w := mongodb.Watch{Shape: mappingVersion + " " + apiURL, Options: opts}
	if len(collections) == 0 || slices.Contains(collections, rulesCollection) {
		w.Mappings = append(w.Mappings, newRules(database, apiURL, opts))
		w.References = []mongodb.Reference{
			{Database: database, Name: triggers, Key: "ref", Fields: []string{"type", "parameters"}},
			{Database: database, Name: triggerTypes, Key: "ref", Fields: []string{"parameters_schema"}},
			{Database: database, Name: actions, Key: "ref", Fields: []string{"runner_type", "parameters"}},
			{Database: database, Name: runners, Key: "name", Fields: []string{"runner_parameters"}},
		}
	}
	if slices.Contains(collections, executionsCollection) {
		w.Mappings = append(w.Mappings, newExecutions(database, opts))
	}
	return w
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
