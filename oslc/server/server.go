// Package server answers OSLC over HTTP: discovery, resources and errors, in the
// RDF syntax that the client asks for.
//
// Handlers return an error instead of writing one; Handler turns it into an
// oslc:Error in the negotiated syntax (OSLC Core 3.0, Error Responses).
package server

import (
	"context"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
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

// Config is what Server needs to know.
type Config struct {
	// BaseURL is the public address, without a slash at its end.
	BaseURL string
	// Title names this installation in the catalog.
	Title     string
	Providers []oslc.ServiceProvider
	Store     Store
}

// Server answers for the catalog, the providers and their resources. Its methods
// are handlers.
type Server struct {
	cfg       Config
	providers map[string]*oslc.ServiceProvider
}

// New returns a Server. It does no I/O.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, providers: map[string]*oslc.ServiceProvider{}}
	for i := range cfg.Providers {
		s.providers[cfg.Providers[i].Name] = &cfg.Providers[i]
	}
	return s
}
