// Package server answers OSLC over HTTP: discovery, resources, writes, previews,
// dialogs and errors, in the RDF syntax that the client asks for.
//
// Handlers return an error instead of writing one; Handler turns it into an
// oslc:Error in the negotiated syntax (OSLC Core 3.0, Error Responses). Paths are
// the host's: it hands over the names of provider and collection, and finds the
// same paths in the links that the server makes.
package server

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// A Resource is the current state of a tool's resource.
type Resource struct {
	URI   string
	Graph *rdf.Graph
	// Revision changes whenever the resource does: it is the id of the event that
	// did it, so every replica names the same state alike.
	Revision string
	Modified time.Time
	// Deleted marks a tombstone: Graph is the last known state.
	Deleted bool
}

// A Store holds the resources of the providers.
type Store interface {
	// Resource returns the resource with the URI, also a tombstone. It fails with
	// kind NotFound for a URI that never was one.
	Resource(ctx context.Context, uri string) (Resource, error)
	// Resources returns up to limit resources of a provider's collection, in a
	// fixed order. It starts after the mark that the previous call gave, 0 for the
	// first; the next mark is 0 when there are no more.
	Resources(ctx context.Context, provider, collection string, after int64, limit int) ([]Resource, int64, error)
	// Query returns a page of the resources of a provider's collection that q asks
	// for; conditions, order and page are the store's work, q.Select is the
	// caller's. It fails with kind Invalid for a page that is not of this query, and
	// Unsupported for what the store cannot answer.
	Query(ctx context.Context, provider, collection string, q *query.Query) (query.Page, error)
	// Count returns how many there are.
	Count(ctx context.Context, provider, collection string) (int64, error)
}

// A Writer changes the resources of one tool; adapters.Writer says what is asked of
// it.
type Writer interface {
	Create(ctx context.Context, w oslc.Write) (oslc.Written, error)
	Update(ctx context.Context, w oslc.Write) (oslc.Written, error)
	Delete(ctx context.Context, w oslc.Write) error
}

// Config is what Server needs to know.
type Config struct {
	// BaseURL is the public address, without a slash at its end.
	BaseURL string
	// Title names this installation in the catalog.
	Title     string
	Providers []oslc.ServiceProvider
	Store     Store
	// Writers are by provider; the resources of one without can only be read.
	Writers map[string]Writer
	// Actions are those that each tool takes, by provider, and Asker has them carried
	// out. Requests is the name of the provider that has the requests and results.
	Actions  map[string][]oslc.Action
	Asker    Asker
	Requests string
	// Folded returns a channel that is closed when Store next changes. Nil means
	// that nothing is to be waited for: Store is never behind.
	Folded func() <-chan struct{}
	// Parser reads bodies.
	Parser format.Parser
	// Origins are the web pages that may show dialogs and previews in a frame, as
	// sources of a Content-Security-Policy; the server's own are always among them.
	Origins []string
	// User names who made a request; nil means nobody has a name.
	User func(ctx context.Context) string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server answers for the catalog, the providers and their resources. Its methods
// are handlers.
type Server struct {
	cfg       Config
	providers map[string]*provider
	recent    *recent
	locks     *locks
	prefilled *prefilled
	offers    []offer
	offersSum uint64 // tells other offers apart
	frames    string // the value of frame-ancestors
	root      string // the path of the public address, usually empty
}

// provider is a service provider with what is looked up often.
type provider struct {
	*oslc.ServiceProvider
	uri         string
	writer      Writer
	asks        bool
	collections []*collection // each kind once
}

// collection is a collection with what is looked up often.
type collection struct {
	oslc.Collection
	provider *provider
	uri      string
	writer   Writer     // nil: read only
	asks     bool       // what is posted is a request, which the Asker takes
	input    *shape.Set // what a client may say of a resource; nil without a shape
	known    map[string]*shape.Property
}

// New returns a Server. It does no I/O. It fails with kind Invalid where the shape of a
// collection or the condition of an action cannot be read.
func New(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.User == nil {
		cfg.User = func(context.Context) string { return "" }
	}
	s := &Server{
		cfg: cfg, providers: map[string]*provider{}, recent: newRecent(), locks: newLocks(), prefilled: newPrefilled(),
		frames: strings.Join(append([]string{"'self'"}, cfg.Origins...), " "),
	}
	var err error
	if s.offers, err = offers(cfg.Actions); err != nil {
		return nil, err
	}
	s.offersSum = offersSum(s.offers)
	if u, err := url.Parse(cfg.BaseURL); err == nil {
		s.root = u.Path
	}
	for i := range cfg.Providers {
		sp := &cfg.Providers[i]
		p := &provider{asks: cfg.Asker != nil && sp.Name == cfg.Requests, ServiceProvider: sp, uri: oslc.ProviderURI(cfg.BaseURL, sp.Name), writer: cfg.Writers[sp.Name]}
		for _, svc := range sp.Services {
			for _, c := range svc.Collections {
				if err := p.add(c); err != nil {
					return nil, err
				}
			}
		}
		s.providers[sp.Name] = p
	}
	return s, nil
}

// add adds a collection; the first of a kind counts where two domains show it.
func (p *provider) add(oc oslc.Collection) error {
	for _, c := range p.collections {
		if c.Kind == oc.Kind {
			return nil
		}
	}
	c := &collection{Collection: oc, provider: p, uri: p.uri + "/" + oc.Kind, known: map[string]*shape.Property{}}
	if oc.Writable {
		c.writer = p.writer
	}
	c.asks = p.asks && slices.Contains(oc.ResourceTypes, vocab.AutoAutomationRequest)
	if oc.Shape != nil {
		sh := *oc.Shape
		sh.Term = rdf.NewIRI(c.shapeURI())
		c.Shape = &sh
		var in shape.Shape
		in, sh.Properties = sh, append([]shape.Property(nil), sh.Properties...)
		in.Properties = nil
		for i := range sh.Properties {
			prop := &sh.Properties[i]
			c.known[prop.Definition] = prop
			if !prop.ReadOnly {
				in.Properties = append(in.Properties, *prop)
			}
		}
		g := rdf.NewGraph()
		in.AddTo(g, "p")
		set, err := shape.Load(g)
		if err != nil {
			return oslc.E("server.new", fmt.Errorf("the shape of %s: %w", c.uri, err), oslc.Invalid)
		}
		c.input = set
	}
	p.collections = append(p.collections, c)
	return nil
}

func (c *collection) shapeURI() string      { return c.provider.uri + "/shapes/" + c.Kind }
func (c *collection) queryShapeURI() string { return c.shapeURI() + "/query" }

func (s *Server) provider(name string) (*provider, error) {
	if p := s.providers[name]; p != nil {
		return p, nil
	}
	return nil, oslc.Errorf("server.provider", oslc.NotFound, "no service provider %q", name)
}

func (s *Server) collection(name, kind string) (*collection, error) {
	p, err := s.provider(name)
	if err != nil {
		return nil, err
	}
	for _, c := range p.collections {
		if c.Kind == kind {
			return c, nil
		}
	}
	return nil, oslc.Errorf("server.collection", oslc.NotFound, "%s has no collection %q", name, kind)
}
