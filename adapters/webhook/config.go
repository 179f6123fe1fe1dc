package webhook

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// AdapterConfig is the block of the adapter "webhook". It has one of the two halves, or
// both.
type AdapterConfig struct {
	// Title and Description of the provider, for people.
	Title       string         `yaml:"title"`
	Description string         `yaml:"description"`
	Receive     *ReceiveConfig `yaml:"receive"`
	Call        *CallConfig    `yaml:"call"`
}

// ReceiveConfig says what deliveries of a tool are and what they tell.
type ReceiveConfig struct {
	Config    `yaml:",inline"`
	Resources []ResourceConfig `yaml:"resources"`
}

// ResourceConfig says which deliveries tell of a kind of resources, and what. Paths lead
// into the JSON of the delivery or the data of the CloudEvent: issue.labels.*.name.
// Those of the envelope are @header.x-github-event and, for the attributes of a
// CloudEvent, @type, @subject and so on. A delivery tells of the first kind that fits.
type ResourceConfig struct {
	mapping.Resource `yaml:",inline"`
	// When lists values, by path, one of which a delivery must have. Empty: all fit.
	When map[string][]string `yaml:"when"`
	// Key is the path of the tool's own name for the resource, which it keeps and never
	// gives to another one. It is part of the URI.
	Key string `yaml:"key"`
	// Modified is the path of when the tool changed it. With it, what comes late is told
	// from what is new. In texts such as 2026-11-21T09:30:00Z, or numbers of seconds or
	// milliseconds since 1970.
	Modified string `yaml:"modified"`
	// Change says what happened to it.
	Change ChangeConfig `yaml:"change"`
}

// ChangeConfig tells changes apart by the value at Path. A value that is in none of the
// lists tells nothing, unless "*" is in one. Without a path every delivery tells how the
// resource is now.
type ChangeConfig struct {
	Path     string   `yaml:"path"`
	Created  []string `yaml:"created"`
	Modified []string `yaml:"modified"`
	Deleted  []string `yaml:"deleted"`
}

// Build is the adapters.Builder of "webhook".
func Build(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
	const op = "webhook.build"
	var cfg AdapterConfig
	if err := decode(&cfg); err != nil {
		return adapters.Adapter{}, oslc.E(op, err, oslc.Invalid)
	}
	a := adapters.Adapter{Provider: oslc.ServiceProvider{
		Name: opts.Name, Title: cmp.Or(cfg.Title, opts.Name), Description: cfg.Description,
	}}
	if cfg.Receive == nil && cfg.Call == nil {
		return a, oslc.Errorf(op, oslc.Invalid, "receive or call is needed, or both")
	}
	if cfg.Receive != nil {
		m, err := newFields(cfg.Receive.Resources)
		if err != nil {
			return a, oslc.E(op, fmt.Errorf("receive: %w", err))
		}
		hook, src, err := New(cfg.Receive.Config, m, opts)
		if err != nil {
			return a, oslc.E(op, fmt.Errorf("receive: %w", err))
		}
		a.Hook, a.Source, a.Provider.Services = hook, src, m.Services()
	}
	if cfg.Call != nil {
		x, err := NewExecutor(*cfg.Call, opts)
		if err != nil {
			return a, oslc.E(op, fmt.Errorf("call: %w", err))
		}
		a.Executor, a.Actions = x, x.Actions()
		a.Provider.Details = cfg.Call.URL
	}
	return a, nil
}

// fields is the Mapper that a configuration describes.
type fields struct {
	kinds   []ResourceConfig // compiled
	headers []string
	version string
}

func newFields(configs []ResourceConfig) (*fields, error) {
	const op = "webhook.mapping"
	if len(configs) == 0 {
		return nil, oslc.Errorf(op, oslc.Invalid, "resources is empty")
	}
	text, err := json.Marshal(configs)
	if err != nil {
		return nil, oslc.E(op, err)
	}
	sum := sha256.Sum256(text)
	m := &fields{version: "fields 1 " + hex.EncodeToString(sum[:8])}
	for i, c := range configs {
		fail := func(format string, args ...any) (*fields, error) {
			return nil, oslc.Errorf(op, oslc.Invalid, "resources[%d]: %s", i, fmt.Sprintf(format, args...))
		}
		if c.Resource, err = c.Compile(); err != nil {
			return fail("%v", err)
		}
		ch := c.Change
		switch {
		case c.Key == "":
			return fail("key is missing: by it a resource is known again")
		case ch.Path == "" && len(ch.Created)+len(ch.Modified)+len(ch.Deleted) > 0:
			return fail("change: path is missing")
		case ch.Path != "" && len(ch.Created)+len(ch.Modified)+len(ch.Deleted) == 0:
			return fail("change: say which values of %s are created, modified and deleted", ch.Path)
		}
		paths := []string{c.Key, c.Modified, ch.Path, c.Title, c.Identifier, c.Description, c.Created}
		for p := range c.When {
			paths = append(paths, p)
		}
		for _, p := range c.Properties {
			paths = append(paths, p.Path)
		}
		for _, p := range paths {
			if name, ok := strings.CutPrefix(p, "@header."); ok {
				if slices.Contains(secretHeaders, strings.ToLower(name)) {
					return fail("%s holds what must not be shown", p)
				}
				m.headers = append(m.headers, name)
			}
		}
		m.kinds = append(m.kinds, c)
	}
	return m, nil
}

// Headers implements Mapper.
func (m *fields) Headers() []string { return m.headers }

// Version implements Mapper.
func (m *fields) Version() string { return m.version }

// Services implements Mapper.
func (m *fields) Services() []oslc.Service {
	var out []oslc.Service
	for _, k := range m.kinds {
		c := oslc.Collection{Kind: k.Kind, Title: k.Kind, ResourceTypes: k.Types}
		i := slices.IndexFunc(out, func(s oslc.Service) bool { return s.Domain == k.Domain })
		if i < 0 {
			out = append(out, oslc.Service{Domain: k.Domain})
			i = len(out) - 1
		}
		if !slices.ContainsFunc(out[i].Collections, func(o oslc.Collection) bool { return o.Kind == c.Kind }) {
			out[i].Collections = append(out[i].Collections, c)
		}
	}
	return out
}

// Map implements Mapper.
func (m *fields) Map(msg Message) ([]Change, string, error) {
	const op = "webhook.map"
	for i := range m.kinds {
		k := &m.kinds[i]
		if !k.fits(msg) {
			continue
		}
		kind, value := k.Change.kind(msg)
		if kind == 0 {
			return nil, fmt.Sprintf("%s is %q, which tells no change", k.Change.Path, value), nil
		}
		key, title := msg.At(k.Key), msg.At(k.Title).Text()
		identifier := msg.At(cmp.Or(k.Identifier, k.Key)).Text()
		switch {
		case key.Text() == "" || key.IsObject():
			return nil, "", oslc.Errorf(op, oslc.Invalid, "the delivery has no %s", k.Key)
		case title == "" && kind != oslc.Deletion:
			return nil, "", oslc.Errorf(op, oslc.Invalid, "the delivery has no %s", k.Title)
		}
		return []Change{{
			Kind: kind, Collection: k.Kind, Key: key.Text(), Modified: msg.At(cmp.Or(k.Modified, "@")).Time(),
			Describe: func(n rdf.Node) bool { return k.describe(n, msg, identifier, title) },
		}}, "", nil
	}
	return nil, "no resource of the configuration fits", nil
}

func (k *ResourceConfig) fits(m Message) bool {
	for path, values := range k.When {
		if !slices.Contains(values, m.At(path).Text()) {
			return false
		}
	}
	return true
}

func (c *ChangeConfig) kind(m Message) (kind oslc.Change, value string) {
	if c.Path == "" {
		return oslc.Modification, ""
	}
	value = m.At(c.Path).Text()
	for _, v := range []string{value, "*"} {
		switch {
		case slices.Contains(c.Created, v):
			return oslc.Creation, value
		case slices.Contains(c.Modified, v):
			return oslc.Modification, value
		case slices.Contains(c.Deleted, v):
			return oslc.Deletion, value
		}
	}
	return 0, value
}

func (k *ResourceConfig) describe(n rdf.Node, m Message, identifier, title string) bool {
	fits := true
	n.A(k.Types...).
		String(vocab.DCTermsIdentifier, identifier).
		String(vocab.DCTermsTitle, title)
	if k.Created != "" {
		n.Time(vocab.DCTermsCreated, m.At(k.Created).Time())
	}
	if k.Description != "" {
		n.String(vocab.DCTermsDescription, m.At(k.Description).Text())
	}
	for _, p := range k.Properties {
		for v := range m.At(p.Path).Items() {
			fits = mapping.Add(n, p, v) && fits
		}
	}
	return fits
}
