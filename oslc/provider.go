package oslc

import "github.com/oslcbus/oslcbus/oslc/rdf/shape"

// A ServiceProvider describes one connected tool (OSLC Core 3.0 Discovery).
type ServiceProvider struct {
	// Name is the connection's name in the configuration and in URIs.
	Name        string
	Title       string
	Description string
	// Details is the tool's own address for people, or empty.
	Details  string
	Services []Service
	// Sets are the URIs of the tracked resource sets of its resources.
	Sets []string
}

// A Service is what a provider offers in one OSLC domain.
type Service struct {
	Domain string // namespace of the domain, such as vocab.CM
	// Collections are the kinds of resources, the first the most important.
	Collections []Collection
}

// A Collection is a kind of resources that can be queried under one URI.
type Collection struct {
	Kind          string // last segment of its URI, such as "changeRequests"
	Title         string
	ResourceTypes []string // IRIs of the classes in it
	// Usage is the oslc:usage of it, IRIs such as those of OSLC CM 3.0; may be none.
	Usage []string
	// Shape describes the resources; nil says nothing of them. Its Term does not
	// count: whoever serves the shape gives it a URI.
	Shape *shape.Shape
	// Writable says that clients may create, change and delete the resources.
	Writable bool
}
