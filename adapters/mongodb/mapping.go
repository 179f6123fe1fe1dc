package mongodb

import (
	"errors"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A Collection is a MongoDB collection and the kind of resources it becomes.
type Collection struct {
	Database, Name string
	// Kind is the segment of the resources' URIs, such as "changeRequests".
	Kind string
}

// A Mapping turns the documents of one collection into resources. It is pure: the
// same document and references give the same resource.
type Mapping interface {
	// Collection says what is mapped.
	Collection() Collection
	// Map returns the resource of a document under its URI. It fails for a
	// document that does not fit, which is then counted and left out.
	Map(d Doc, uri string, refs References) (Resource, error)
	// Types returns the classes that a modification has beside its own, such as
	// st2:RuleDisabled.
	Types(before, after *rdf.Graph) []string
}

// A Remapper is a Mapping that can derive a resource from the one before, for
// changes that are frequent and small.
type Remapper interface {
	Mapping
	// Remap returns what Map would return for d, given the graph of the document
	// before, from which d differs in the named fields at its top alone. Masked
	// values are the same, and nothing is odd about d. ok is false where it has to be
	// mapped as a whole.
	Remap(last *rdf.Graph, d Doc, uri string, changed []string) (g *rdf.Graph, ok bool)
}

// An Independent mapping uses no references, whatever others of its watcher do: the
// documents of its collection need not be held in memory.
type Independent interface {
	Mapping
	Independent()
}

// ErrNone is what Map returns for a document that fits and is no resource, or none yet.
// It is left out without being counted.
var ErrNone = errors.New("the document is no resource")

// A Tracer is a Mapping whose documents can say that a request of ours made a
// change.
type Tracer interface {
	Mapping
	// Cause returns the request that made before into after, zero for none. before
	// is nil for a document that is new or whose state before is not known.
	Cause(before, after Doc) Cause
}

// Cause is the request of ours that made a change.
type Cause struct {
	Request string // its URI
	Hops    int
	Via     []string
	Trace   oslc.Trace
}

// A Resource is what a document maps to.
type Resource struct {
	// Graph is the resource, without dcterms:modified, which the watcher sets,
	// and without blank nodes. It is not changed any more.
	Graph *rdf.Graph
	// Hidden stands for values that must not be shown, so that a change of one is
	// still noticed. It is compared and never leaves the process.
	Hidden []Hidden
	// Warnings name what is odd about the document, from a short closed list.
	// Each is counted and logged when an event shows the resource.
	Warnings []string
}

// Hidden is a sum over the values of a predicate that are masked.
type Hidden struct {
	Predicate string
	Sum       uint64
}

// References finds documents of other collections for a mapping.
type References interface {
	// Find returns the document of a referenced collection with the given key;
	// its fields are those that the Reference names. ok is false for none.
	Find(collection, key string) (d Doc, ok bool)
}

// NoReferences finds nothing.
type NoReferences struct{}

// Find returns nothing.
func (NoReferences) Find(string, string) (Doc, bool) { return nil, false }

// A Reference is a collection that mappings look things up in. Its documents make
// no events of their own; when a field that is kept changes, the resources that
// refer to it are mapped again.
type Reference struct {
	Database, Name string
	// Key is the field that the documents are found by.
	Key string
	// Fields are kept; changes of others are noise. Absent and empty are equal.
	Fields []string
}
