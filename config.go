package oslcbus

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/trs"
)

// Defaults of Config.
const (
	DefaultListen = "127.0.0.1:8080"
	DefaultData   = "oslcbus-data"
	DefaultTitle  = "oslcbus"
)

// Config is what an operator writes, in YAML. Its zero value is a bus without
// connections on the embedded log.
type Config struct {
	// Listen is the address of the HTTP server. Any but a loopback address needs
	// at least one user or token in Access.
	Listen string `yaml:"listen"`
	// BaseURL is the public address under which clients reach the bus; it is in
	// every URI the bus makes, so it must not change. Default http:// and Listen.
	BaseURL string `yaml:"base_url"`
	// Data is the folder of the database.
	Data string `yaml:"data"`
	// Title names this installation to people.
	Title string `yaml:"title"`
	// Kafka is the log when it has brokers; without it the log is in Data.
	Kafka KafkaConfig `yaml:"kafka"`
	// Connections are the tools, by name. The name is part of URIs and topics.
	Connections map[string]Connection `yaml:"-"`
	Rules       []automation.RuleConfig
	// RuleFiles are further files with rules, or patterns such as rules/*.yml; they are
	// relative to the configuration.
	RuleFiles []string `yaml:"rule_files"`
	Access    AccessConfig
	TRS       TRSConfig
	Requests  TopicConfig // the topic of requests and results
	Web       WebConfig
	Webhooks  WebhooksConfig

	doc *document // for the lines of later errors

	dir  string // of the file
	path string // of the file, where there is one to be read again
	opts ConfigOptions
}

// Connection is one tool.
type Connection struct {
	// Type is the name of the adapter.
	Type        string `yaml:"type"`
	TopicConfig `yaml:",inline"`
	// Parallel is how many requests are carried out at once; default 4.
	Parallel int `yaml:"parallel"`
	// Rate is how many calls there may be a second, such as 0.5 or 20; default as many
	// as there are. Burst is how many of them may be made at once after a quiet time;
	// default Rate rounded up.
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
	// Paused keeps requests waiting until the configuration says otherwise.
	Paused bool        `yaml:"paused"`
	Retry  RetryConfig `yaml:"retry"`

	decode func(any) error // the adapter's own keys
	node   *yaml.Node
}

// TopicConfig says how the events of a provider are kept.
type TopicConfig struct {
	// Topic is the name; default the connection's name and "_event".
	Topic string `yaml:"topic"`
	// MediaType is application/rdf+xml (the default), text/turtle or
	// application/ld+json.
	MediaType string `yaml:"media_type"`

	format format.Format
}

// RetryConfig says how often a request is tried, and for how long.
type RetryConfig struct {
	// Attempts is how often the tool is called for one request; default 10.
	Attempts int `yaml:"attempts"`
	// Min is the pause after the first failure, 500ms by default, which doubles up to
	// Max, 1m by default.
	Min time.Duration `yaml:"min"`
	Max time.Duration `yaml:"max"`
	// Timeout bounds one attempt, which for an execution that is followed is all of it;
	// default DefaultTimeout. Within bounds all attempts together, from the first one
	// on, without the time that the connection was paused; default DefaultWithin. A
	// process that takes over counts anew.
	Timeout time.Duration `yaml:"timeout"`
	Within  time.Duration `yaml:"within"`
}

// Defaults of Connection and RetryConfig.
const (
	DefaultParallel = 4
	DefaultTimeout  = time.Hour
	DefaultWithin   = 24 * time.Hour
)

func (c *Connection) limits(key string, fail func(string, string, ...any) error) error {
	r := &c.Retry
	switch {
	case c.Parallel < 0 || c.Parallel > bus.Window:
		return fail(key+".parallel", "%d is not between 1 and %d", c.Parallel, bus.Window)
	case c.Rate < 0:
		return fail(key+".rate", "%v is no number of calls a second", c.Rate)
	case c.Burst < 0 || c.Burst > 0 && c.Rate == 0:
		return fail(key+".burst", "%d: a burst is a number of calls, and belongs to a rate", c.Burst)
	case r.Attempts < 0:
		return fail(key+".retry.attempts", "%d is no number of attempts", r.Attempts)
	case r.Min < 0:
		return fail(key+".retry.min", "%v is no pause", r.Min)
	case r.Max < 0 || r.Max > 0 && r.Max < r.Min:
		return fail(key+".retry.max", "%v is less than the shortest pause, %v", r.Max, r.Min)
	case r.Timeout < 0:
		return fail(key+".retry.timeout", "%v is no time that an attempt takes", r.Timeout)
	case r.Within < 0:
		return fail(key+".retry.within", "%v is no time that attempts take", r.Within)
	}
	if c.Parallel == 0 {
		c.Parallel = DefaultParallel
	}
	if c.Rate > 0 && c.Burst == 0 {
		c.Burst = int(math.Ceil(c.Rate))
	}
	if r.Timeout == 0 {
		r.Timeout = DefaultTimeout
	}
	if r.Within == 0 {
		r.Within = DefaultWithin
	}
	return nil
}

func (r RetryConfig) policy() bus.Retry {
	return bus.Retry{Attempts: r.Attempts, Min: r.Min, Max: r.Max}
}

// TRSConfig says how tracked resource sets are served, and what of their change
// logs is kept. The sets tell these figures to their clients.
type TRSConfig struct {
	// PageSize is how many changes a segment and how many members a page has.
	PageSize int64 `yaml:"page_size"`
	// BaseAge is how old a base may be that lacks the newest change; default 1s.
	// Clients that come within that time share its pages.
	BaseAge time.Duration `yaml:"base_age"`
	// Keep is how long changes are kept at least; default for ever. The topics keep
	// theirs longer: a view that is made anew has the same changes.
	Keep time.Duration `yaml:"keep"`
	// KeepChanges is how many changes each set keeps at least; default all.
	KeepChanges int64 `yaml:"keep_changes"`
	// Latency is what clients are told about how soon a change is in the change log;
	// default 1s.
	Latency time.Duration `yaml:"latency"`
	// Patches has modifications tell what they did (TRS Patch); default true: a client
	// that reads them saves a request for each change, and others pass them over.
	Patches *bool `yaml:"patches"`
}

// Defaults of TRSConfig.
const (
	DefaultBaseAge = time.Second
	DefaultLatency = time.Second
)

// leastKeep is the shortest time that changes can be kept: a client that reads
// slowly must find what happened while it read (TRS 3.0, TRS-44).
const leastKeep = time.Hour

func (t *TRSConfig) complete(fail func(string, string, ...any) error) error {
	if t.PageSize == 0 {
		t.PageSize = trs.DefaultPageSize
	}
	if t.BaseAge == 0 {
		t.BaseAge = DefaultBaseAge
	}
	if t.Latency == 0 {
		t.Latency = DefaultLatency
	}
	if t.Patches == nil {
		t.Patches = new(true)
	}
	switch {
	case t.PageSize < 1 || t.PageSize > 10_000:
		return fail("trs.page_size", "%d is not between 1 and 10000", t.PageSize)
	case t.BaseAge < 0 || t.BaseAge > time.Hour:
		return fail("trs.base_age", "%v is not between 0 and 1h", t.BaseAge)
	case t.Latency < 0:
		return fail("trs.latency", "%v is no duration that something takes", t.Latency)
	case t.Keep != 0 && t.Keep < leastKeep:
		return fail("trs.keep", "%v is less than %v: a client that reads slowly would miss changes", t.Keep, leastKeep)
	case t.KeepChanges != 0 && t.KeepChanges < 2*t.PageSize:
		return fail("trs.keep_changes", "%d is less than the two pages of %d that the newest segment may hold", t.KeepChanges, t.PageSize)
	}
	return nil
}

func (t *TRSConfig) policy() trs.Policy {
	return trs.Policy{PageSize: t.PageSize, Keep: t.Keep, KeepChanges: t.KeepChanges}
}

// file is the top level of the YAML, whose connections are decoded in two steps.
type file struct {
	Listen      string                  `yaml:"listen"`
	BaseURL     string                  `yaml:"base_url"`
	Data        string                  `yaml:"data"`
	Title       string                  `yaml:"title"`
	Kafka       KafkaConfig             `yaml:"kafka"`
	Connections map[string]yaml.Node    `yaml:"connections"`
	Rules       []automation.RuleConfig `yaml:"rules"`
	RuleFiles   []string                `yaml:"rule_files"`
	Access      AccessConfig            `yaml:"access"`
	TRS         TRSConfig               `yaml:"trs"`
	Requests    TopicConfig             `yaml:"requests"`
	Web         WebConfig               `yaml:"web"`
	Webhooks    WebhooksConfig          `yaml:"webhooks"`
}

// ConfigOptions are for reading a configuration.
type ConfigOptions struct {
	// Getenv finds a variable; nil means os.LookupEnv.
	Getenv func(string) (string, bool)
}

// LoadConfig reads a YAML file strictly: an unknown key, a variable that is not
// set and a value that cannot be are errors with file, line and key (a
// *ConfigError, kind Invalid). Paths in it are relative to the file.
func LoadConfig(path string, opts ConfigOptions) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, &ConfigError{File: path, Err: errors.Unwrap(err)}
	}
	c, err := ParseConfig(path, data, opts)
	c.path, c.opts = path, opts
	return c, err
}

// ParseConfig is LoadConfig for text that is in memory.
func ParseConfig(path string, data []byte, opts ConfigOptions) (Config, error) {
	var c Config
	d, err := parseYAML(path, data)
	if err != nil {
		return c, err
	}
	if err := d.expand(opts.Getenv, "rules", "connections/*/call/actions"); err != nil {
		return c, err
	}
	var f file
	if err := d.decode(d.root, "", &f); err != nil {
		return c, err
	}
	c = Config{
		Listen: f.Listen, BaseURL: f.BaseURL, Data: f.Data, Title: f.Title, Kafka: f.Kafka,
		Rules: f.Rules, RuleFiles: f.RuleFiles, dir: filepath.Dir(path), Access: f.Access, TRS: f.TRS, Requests: f.Requests, Web: f.Web, Webhooks: f.Webhooks, doc: d,
		Connections: map[string]Connection{},
	}
	for _, name := range slices.Sorted(maps.Keys(f.Connections)) {
		// Not by path: a name may hold what parts a path, which is refused later.
		n, _ := field(at(d.root, "connections"), name)
		conn, err := d.connection(n, "connections."+name)
		if err != nil {
			return c, err
		}
		c.Connections[name] = conn
	}
	if c.Data != "" && !filepath.IsAbs(c.Data) {
		c.Data = filepath.Join(filepath.Dir(path), c.Data)
	}
	return c, c.complete()
}

// connection takes the keys that every connection has out of a block; the rest
// is for the adapter to decode.
func (d *document) connection(n *yaml.Node, key string) (Connection, error) {
	var c Connection
	if n.Kind != yaml.MappingNode {
		return c, d.errorAt(n, key, errors.New("a connection is a mapping with a type"))
	}
	common := yamlFields(reflect.TypeFor[Connection]())
	own, rest := &yaml.Node{Kind: yaml.MappingNode, Line: n.Line}, &yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Tag: "!!map"}
	for i := 0; i+1 < len(n.Content); i += 2 {
		to := rest
		if _, ok := common[n.Content[i].Value]; ok {
			to = own
		}
		to.Content = append(to.Content, n.Content[i], n.Content[i+1])
	}
	if err := d.decode(own, key, &c); err != nil {
		return c, err
	}
	c.node = n
	c.decode = func(v any) error { return d.decode(rest, key, v) }
	return c, nil
}

// NewConnection makes a connection for a Config that is built in Go: decode fills
// the adapter's own configuration.
func NewConnection(kind string, decode func(any) error) Connection {
	return Connection{Type: kind, decode: decode}
}

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// complete sets defaults and checks what needs no adapter.
func (c *Config) complete() error {
	fail := func(key, text string, args ...any) error {
		if c.doc == nil {
			return &ConfigError{File: "configuration", Key: key, Err: fmt.Errorf(text, args...)}
		}
		return c.doc.errorAt(at(c.doc.root, key), key, fmt.Errorf(text, args...))
	}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Data == "" {
		c.Data = DefaultData
	}
	if c.Title == "" {
		c.Title = DefaultTitle
	}
	if err := c.TRS.complete(fail); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fail("listen", "%v", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fail("listen", "%q has no port between 0 and 65535", c.Listen)
	}
	if c.BaseURL == "" {
		c.BaseURL = "http://" + c.Listen
		if host == "" || net.ParseIP(host).IsUnspecified() {
			return fail("base_url", "%q is reached under many names: say under which one in base_url", c.Listen)
		}
		if number == 0 {
			return fail("base_url", "port 0 of %q is another one at each start: say in base_url which address is in the URIs", c.Listen)
		}
	}
	// One variable may hold several brokers; one that is not set leaves an empty
	// entry, which means no Kafka.
	c.Kafka.Brokers = strings.FieldsFunc(strings.Join(c.Kafka.Brokers, ","), func(r rune) bool { return r == ',' || r == ' ' })
	if c.Kafka.Partitions == 0 {
		c.Kafka.Partitions = 1
	}
	if c.Kafka.Partitions < 1 || c.Kafka.Partitions > 1000 {
		return fail("kafka.partitions", "%d is not between 1 and 1000", c.Kafka.Partitions)
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return fail("base_url", "%q is no address such as https://bus.example.com", c.BaseURL)
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if err := c.Access.check(fail); err != nil {
		return err
	}
	if err := c.Web.check(fail); err != nil {
		return err
	}
	if err := c.Webhooks.complete(fail); err != nil {
		return err
	}
	if c.Access.open() && !loopback(host) {
		return fail("listen", "%q can be reached from other machines: give at least one user or token under access, or listen on 127.0.0.1", c.Listen)
	}
	topics := map[string]string{}
	if err := c.Requests.complete(automation.BusProvider, "requests", topics, fail); err != nil {
		return err
	}
	for _, name := range c.names() {
		key := "connections." + name
		conn := c.Connections[name]
		switch {
		case !nameRule.MatchString(name) || name == automation.BusProvider || name == "catalog":
			return fail(key, "%q cannot be the name of a connection: a small letter, then letters, digits, _ and -; not bus and catalog", name)
		case conn.Type == "":
			return fail(key+".type", "a connection needs a type")
		}
		if err := conn.complete(name, key, topics, fail); err != nil {
			return err
		}
		if err := conn.limits(key, fail); err != nil {
			return err
		}
		c.Connections[name] = conn
	}
	return nil
}

// names returns the names of the connections in order.
func (c *Config) names() []string {
	out := make([]string, 0, len(c.Connections))
	for name := range c.Connections {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

var topicRule = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,240}$`)

func (t *TopicConfig) complete(name, key string, topics map[string]string, fail func(string, string, ...any) error) error {
	if t.Topic == "" {
		t.Topic = strings.ReplaceAll(name, "-", "_") + "_event"
	}
	if !topicRule.MatchString(t.Topic) || t.Topic == "." || t.Topic == ".." {
		return fail(key+".topic", "%q cannot be the name of a topic: up to 240 letters, digits, dots, _ and -", t.Topic)
	}
	if other, taken := topics[t.Topic]; taken {
		return fail(key+".topic", "topic %q belongs to %s already", t.Topic, other)
	}
	topics[t.Topic] = key
	if t.MediaType == "" {
		t.MediaType = format.RDFXML.MediaType()
	}
	f, ok := format.ByMediaType(t.MediaType)
	if !ok {
		return fail(key+".media_type", "%q is none of application/rdf+xml, text/turtle, application/ld+json and application/n-triples", t.MediaType)
	}
	t.format = f
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// public reports whether other machines reach the bus.
func (c *Config) public() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	return err != nil || !loopback(host)
}

// build makes the adapters.
func (c *Config) build(name string, registry adapters.Registry, opts adapters.Options) (adapters.Adapter, error) {
	conn := c.Connections[name]
	builder, ok := registry[conn.Type]
	key := "connections." + name
	if !ok {
		kinds := make([]string, 0, len(registry))
		for k := range registry {
			kinds = append(kinds, k)
		}
		slices.Sort(kinds)
		return adapters.Adapter{}, c.errorAt(key+".type", fmt.Errorf("no adapter is called %q; there are: %s", conn.Type, strings.Join(kinds, ", ")))
	}
	a, err := builder(conn.decode, opts)
	if err != nil {
		if e, ok := errors.AsType[*ConfigError](err); ok {
			return a, e
		}
		return a, c.errorAt(key, err)
	}
	return a, nil
}

func (c *Config) errorAt(key string, err error) error {
	if c.doc == nil {
		return &ConfigError{File: "configuration", Key: key, Err: err}
	}
	return c.doc.errorAt(at(c.doc.root, key), key, err)
}
