package oslc

import (
	"errors"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A Write is what a client wants of one resource of a tool, now: that it is
// created, is like After, or is gone.
type Write struct {
	// Collection is the Kind of the collection.
	Collection string
	// URI is the resource's; empty for one to be created.
	URI string
	// Before is the state that the client knows. For a change it is always set;
	// for a deletion nil means that the client does not mind.
	Before *rdf.Graph
	// After is the state that the client wants, in triples about Subject: all
	// properties of it, also those that stay. Nil asks for a deletion.
	After *rdf.Graph
	// Subject is the node of After that stands for the resource: URI, or for one to
	// be created any node.
	Subject rdf.Term
	// User is the name of who asks, or empty.
	User string
}

// Written is what a tool made of a Write.
type Written struct {
	URI string
	// Graph is the resource as the tool says it is now.
	Graph *rdf.Graph
}

// ErrChanged is of kind Conflict. It says that the resource is not any more what the
// client knows: it must be read again (RFC 9110, 412).
var ErrChanged = &Error{Op: "write", Kind: Conflict, Err: errors.New("the resource was changed in the tool meanwhile; read it again")}
