package mongodb

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Connection says how to reach a MongoDB deployment.
type Connection struct {
	// URI is the connection string, with credentials and TLS options in it, or
	// URIFile names the file that holds it. Exactly one is set. A file is read
	// at each connection, so that credentials can be changed in it.
	URI     adapters.Secret `yaml:"uri"`
	URIFile string          `yaml:"uri_file"`
	// Database is where collections are that name none themselves.
	Database string `yaml:"database"`
	// CopiesMB is how much memory copies of documents may take, in megabytes; 0
	// means 128.
	CopiesMB int `yaml:"copies_mb"`
}

// Validate reports what is wrong with c. It does not dial.
func (c Connection) Validate() error {
	const op = "mongodb.config"
	switch {
	case c.URI == "" && c.URIFile == "":
		return oslc.Errorf(op, oslc.Invalid, "uri or uri_file is missing")
	case c.CopiesMB < 0:
		return oslc.Errorf(op, oslc.Invalid, "copies_mb is %d", c.CopiesMB)
	}
	uri, err := c.uri()
	if err != nil {
		return oslc.E(op, err)
	}
	if strings.HasPrefix(uri, "mongodb+srv://") {
		return nil // reading it takes a look-up in the DNS
	}
	if err := options.Client().ApplyURI(uri).Validate(); err != nil {
		return oslc.E(op, redact(err, uri), oslc.Invalid)
	}
	return nil
}

func (c Connection) uri() (string, error) {
	uri, err := c.URI.OrFile("uri", c.URIFile)
	return strings.TrimSpace(string(uri)), err
}

// Connect makes a watch dial this deployment.
func (c Connection) Connect(w *Watcher) {
	if c.CopiesMB > 0 {
		w.Memory = c.CopiesMB << 20
	}
	w.Dial = func(ctx context.Context) (Server, func(), error) {
		uri, err := c.uri()
		if err != nil {
			return nil, nil, oslc.E("mongodb.connect", err)
		}
		return dial(ctx, uri, w.namespaces(), w.log)
	}
}

// Config is the block of the adapter "mongodb".
type Config struct {
	Connection `yaml:",inline"`
	// Title and Description of the provider, for people.
	Title       string `yaml:"title"`
	Description string `yaml:"description"`
	// Collections are those to watch.
	Collections []CollectionConfig `yaml:"collections"`
}

// CollectionConfig says what the documents of a collection become. IRIs are
// written in full or with one of the well-known prefixes.
type CollectionConfig struct {
	Name     string `yaml:"name"`
	Database string `yaml:"database"`
	// Kind is the collection's segment in URIs; empty means its name.
	Kind string `yaml:"kind"`
	// Types are the classes of its resources; the first is the main one.
	Types []string `yaml:"types"`
	// Domain is the namespace of the OSLC domain that they belong to; empty means
	// that of the main type.
	Domain string `yaml:"domain"`
	// Paths of fields: title is required in every document; the identifier is
	// the _id where no path is given.
	Title       string `yaml:"title"`
	Identifier  string `yaml:"identifier"`
	Description string `yaml:"description"`
	Created     string `yaml:"created"`
	// Properties are further fields. What is not listed is not shown.
	Properties []PropertyConfig `yaml:"properties"`
}

// PropertyConfig says what a field becomes. Without a datatype the value's BSON type
// suggests one.
type PropertyConfig = mapping.Property

// Build is the adapters.Builder of "mongodb".
func Build(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
	const op = "mongodb.build"
	var cfg Config
	if err := decode(&cfg); err != nil {
		return adapters.Adapter{}, oslc.E(op, err, oslc.Invalid)
	}
	if err := cfg.Validate(); err != nil {
		return adapters.Adapter{}, err
	}
	if len(cfg.Collections) == 0 {
		return adapters.Adapter{}, oslc.Errorf(op, oslc.Invalid, "collections is empty")
	}
	w := Watch{Options: opts}
	provider := oslc.ServiceProvider{Name: opts.Name, Title: cfg.Title, Description: cfg.Description}
	if provider.Title == "" {
		provider.Title = opts.Name
	}
	for _, c := range cfg.Collections {
		m, err := NewMapping(c, cfg.Database, opts)
		if err != nil {
			return adapters.Adapter{}, err
		}
		w.Mappings = append(w.Mappings, m)
		addCollection(&provider, m)
	}
	// Whatever changes the mapping changes the shape.
	shape, err := json.Marshal(cfg.Collections)
	if err != nil {
		return adapters.Adapter{}, oslc.E(op, err)
	}
	w.Shape = string(shape)
	watcher, err := New(w)
	if err != nil {
		return adapters.Adapter{}, err
	}
	cfg.Connect(watcher)
	return adapters.Adapter{Provider: provider, Source: watcher}, nil
}

func addCollection(p *oslc.ServiceProvider, m *fieldMapping) {
	c := oslc.Collection{Kind: m.collection.Kind, Title: m.collection.Name, ResourceTypes: m.types}
	for i := range p.Services {
		if p.Services[i].Domain == m.domain {
			p.Services[i].Collections = append(p.Services[i].Collections, c)
			return
		}
	}
	p.Services = append(p.Services, oslc.Service{Domain: m.domain, Collections: []oslc.Collection{c}})
}

// fieldMapping maps fields to properties as a configuration says.
type fieldMapping struct {
	collection Collection
	domain     string
	types      []string
	properties []PropertyConfig
	provider   string
	// tops are the fields of the document itself that the paths begin with, paths
	// what is looked up: those of the resource's own properties, by the numbers
	// below, then those of properties. One walk over the document finds them all.
	tops  map[string][]int
	paths []fieldPath
}

// A fieldPath is a path within a field of the document; rest is empty for the
// field itself.
type fieldPath struct{ top, rest string }

const (
	atID = iota
	atTitle
	atIdentifier
	atDescription
	atCreated
	atProperties // and up
)

// NewMapping returns the mapping that a configuration describes. database is the
// one of collections that name none.
func NewMapping(c CollectionConfig, database string, opts adapters.Options) (*fieldMapping, error) { //nolint:revive // callers use it as a Mapping
	const op = "mongodb.config"
	fail := func(format string, args ...any) (*fieldMapping, error) {
		return nil, oslc.Errorf(op, oslc.Invalid, "collection %q: %s", c.Name, fmt.Sprintf(format, args...))
	}
	if c.Database != "" {
		database = c.Database
	}
	switch {
	case c.Name == "":
		return fail("name is missing")
	case database == "":
		return fail("database is missing")
	}
	m := &fieldMapping{
		collection: Collection{Database: database, Name: c.Name, Kind: c.Kind},
		provider:   oslc.ProviderURI(opts.BaseURL, opts.Name),
		tops:       map[string][]int{},
	}
	const id = "_id"
	for _, path := range []string{id, c.Title, cmp.Or(c.Identifier, id), c.Description, cmp.Or(c.Created, id)} {
		m.path(path)
	}
	r, err := mapping.Resource{
		Kind: cmp.Or(c.Kind, c.Name), Types: c.Types, Domain: c.Domain, Title: c.Title, Properties: c.Properties,
	}.Compile()
	if e, ok := errors.AsType[*oslc.Error](err); ok {
		return fail("%v", e.Err)
	}
	m.collection.Kind, m.types, m.domain, m.properties = r.Kind, r.Types, r.Domain, r.Properties
	for _, p := range c.Properties {
		m.path(p.Path)
	}
	return m, nil
}

// path adds what Map looks up; an empty path finds nothing.
func (m *fieldMapping) path(path string) {
	top, rest, _ := strings.Cut(path, ".")
	if path != "" {
		m.tops[top] = append(m.tops[top], len(m.paths))
	}
	m.paths = append(m.paths, fieldPath{top, rest})
}

// lookup fills found, which has a place for each path.
func (m *fieldMapping) lookup(d Doc, found []Value) {
	for f := d.fields(); f.next(); {
		for _, i := range m.tops[string(f.key)] {
			if found[i] = f.value; m.paths[i].rest != "" {
				found[i] = f.value.Doc().Lookup(m.paths[i].rest)
			}
		}
	}
}

// name returns a path as the configuration has it.
func (p fieldPath) name() string {
	if p.rest == "" {
		return p.top
	}
	return p.top + "." + p.rest
}

// Collection says what is mapped.
func (m *fieldMapping) Collection() Collection { return m.collection }

// Types has nothing to add.
func (m *fieldMapping) Types(_, _ *rdf.Graph) []string { return nil }

// Map maps a document.
func (m *fieldMapping) Map(d Doc, uri string, _ References) (Resource, error) {
	// Most mappings fit into memory on the stack.
	var few [24]Value
	found := few[:]
	if len(m.paths) > len(few) {
		found = make([]Value, len(m.paths))
	}
	m.lookup(d, found)
	title := found[atTitle].Text()
	if title == "" || found[atTitle].IsEmpty() {
		return Resource{}, fmt.Errorf("the document has no %s", m.paths[atTitle].name())
	}
	if found[atIdentifier].IsEmpty() {
		return Resource{}, fmt.Errorf("the document has no %s", m.paths[atIdentifier].name())
	}
	var res Resource
	res.Graph = rdf.NewGraph()
	n := res.Graph.Node(uri).
		A(m.types...).
		String(vocab.DCTermsIdentifier, found[atIdentifier].Text()).
		String(vocab.DCTermsTitle, title).
		Link(vocab.OSLCServiceProvider, m.provider).
		Time(vocab.DCTermsCreated, found[atCreated].Time())
	if v := found[atDescription]; !v.IsEmpty() {
		n.String(vocab.DCTermsDescription, v.Text())
	}
	for i, p := range m.properties {
		v := found[atProperties+i]
		if v.Type != TypeArray {
			if !mapping.Add(n, p, v) {
				res.Warnings = appendNew(res.Warnings, warnValue)
			}
			continue
		}
		for item := range v.Items() {
			if !mapping.Add(n, p, item) {
				res.Warnings = appendNew(res.Warnings, warnValue)
			}
		}
	}
	return res, nil
}

// warnValue says that a value does not fit its datatype, so it is left out.
const warnValue = "value_of_wrong_type"

// Term returns the literal that a value's own type suggests.
func (v Value) Term() rdf.Term {
	switch v.Type {
	case TypeBoolean:
		b, _ := v.Bool()
		return rdf.Bool(b)
	case TypeInt32, TypeInt64:
		i, _ := v.Int()
		return rdf.Int(i)
	case TypeDouble:
		return rdf.Typed(v.JSON(), rdf.XSDDouble)
	case TypeDate:
		return rdf.Time(v.Time())
	case TypeDecimal128:
		if d := v.Text(); mapping.IsDecimal(d) {
			return rdf.Typed(d, rdf.XSDDecimal)
		}
	case TypeDocument:
		return rdf.Typed(v.JSON(), JSONType)
	}
	return rdf.String(v.Text())
}

// JSONType is the datatype of a literal that holds JSON.
const JSONType = mapping.JSONType
