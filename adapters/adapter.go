// Package adapters is the contract between the bus and the tools. Each tool has
// one package below this one; package all lists those that ship.
//
// An adapter translates and nothing else: which event leads to which action is a
// rule's business (package automation), retrying is its caller's.
package adapters

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A Cursor is a source's own bookmark. Only the source can read it.
type Cursor []byte

// An Emission is an event and the cursor that stands after it. A nil Event
// moves the cursor alone, as a quiet tool needs.
type Emission struct {
	Event *oslc.Event
	At    Cursor
}

// Emit hands over emissions in order, as many at once as the source has. It
// returns when all are durable. Each cursor is kept with its own event, never
// ahead of it, so a crash repeats emissions and loses none, also in mid-batch.
// It fails once the source's context has ended; the source returns that error
// as it came. Emitting nothing tells that the source follows its tool now, which a
// quiet one would not show otherwise.
type Emit func(ctx context.Context, batch ...Emission) error

// A Source turns changes of a tool into events.
type Source interface {
	// Run emits what happened after from, in order, until ctx ends, and returns
	// ctx.Err() then. A nil from means the beginning: everything that exists,
	// then live. It returns kind Gone when from is too old or foreign to resume
	// from; it is then run again from nil, and emits only what differs from
	// State. It returns kind Unavailable when the tool is away and kind Denied
	// when it refuses the credentials: it is run again later. Emitting the same
	// change twice gives the same Event.ID.
	Run(ctx context.Context, from Cursor, emit Emit) error
}

// A Skipper is a Source that goes on without what it cannot read. Skipped returns that,
// for people, in the order of Resource; it may be called at any time.
type Skipper interface {
	Skipped() []Skipped
}

// Skipped is something of a tool that a source goes on without.
type Skipped struct {
	// Resource is what the tool calls it.
	Resource string `json:"resource"`
	// Kind says what is the matter: unavailable is tried again with each look at the
	// tool, denied waits for a change, not_found for a change or its deletion.
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	// Tries counts those since the start of the program.
	Tries int `json:"tries"`
}

// An Executor carries out requests on a tool. Execute may see the same
// Request.ID twice, also at the same time or after a crash, and must then report
// the first outcome again without a second effect. It tries once and classifies
// its error by oslc.Kind; trying again is its caller's work.
type Executor interface {
	Execute(ctx context.Context, r oslc.Request) (oslc.Result, error)
}

// A Canceler is an Executor that can stop what it has begun. Cancel tells the tool to
// end what Execute has begun for r, in this process or in an earlier one; begun is
// false when there is nothing of the kind, and Execute may be at work on r at the same
// time. How it ends is what Execute returns: state Canceled, or what the tool had
// reached before. Cancel fails with kind Unsupported for an action that cannot be
// stopped, and with Conflict when what was begun has ended. It tries once.
type Canceler interface {
	Cancel(ctx context.Context, r oslc.Request) (begun bool, err error)
}

// An Adapter is one connected tool. Source or Executor may be nil, not both.
type Adapter struct {
	Provider oslc.ServiceProvider
	Source   Source
	Executor Executor
	// Writer lets clients change resources; nil means that they can only be read.
	// The collections that it writes are marked in Provider.
	Writer Writer
	// Hook, when set, takes what the tool sends to the bus.
	Hook Hook
	// Actions are those that Executor takes, with their parameters, so that rules
	// can be checked before they run.
	Actions []oslc.Action
}

// State is what the log already says about a provider's resources: the fold of
// its events up to the moment the source was started, and of what it emitted
// since. A source compares with it after it lost its place.
type State interface {
	// Resource returns the resource as the newest event left it; ok is false for
	// one that was never seen or is deleted.
	Resource(ctx context.Context, uri string) (g *rdf.Graph, ok bool, err error)
	// Resources yields every resource that is there, in no particular order.
	Resources(ctx context.Context) iter.Seq2[string, error]
}

// Cache is a source's own folder of things that it can get again, such as copies
// of documents: fast to lose, slow to rebuild. Each source has one to itself.
type Cache interface {
	// Get returns the value of key, or nil.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put stores all writes or none; a nil value removes the key.
	Put(ctx context.Context, writes map[string][]byte) error
	// All yields every key with its value.
	All(ctx context.Context) iter.Seq2[Entry, error]
}

// An Entry of a Cache.
type Entry struct {
	Key   string
	Value []byte
}

// Options are the things an adapter gets from its host.
type Options struct {
	// Name is the connection's name in the configuration, unique; it is also the
	// name of its provider in URIs.
	Name string
	// BaseURL is the public address of the bus, without a slash at its end.
	BaseURL string
	// State and Cache serve the Source. Nil means none: the source then compares
	// with nothing and keeps its copies in memory.
	State State
	Cache Cache
	// Inbox keeps what a Hook takes, for the Source to read; it belongs to the
	// connection. Nil means none.
	Inbox Inbox
	// Public says that other machines reach the bus: a Hook needs a secret then.
	Public bool
	// Logger gets the adapter's log; nil discards it.
	Logger *slog.Logger
	// Metrics counts what an adapter notices; nil counts nothing.
	Metrics Metrics
	// Client makes the adapter's HTTP calls; nil means one of its own with a
	// time-out of 30 s.
	Client *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Metrics takes the counts of an adapter. Names of what is counted come from a
// short closed list of the adapter's own: they become label values.
type Metrics interface {
	// Count adds n to the counter of what, for example "skipped_document".
	Count(what string, n int)
}

// ResourceURI returns the URI of one of the provider's resources: kind is the
// collection, such as "changeRequests".
func (o Options) ResourceURI(kind, id string) string {
	return oslc.ResourceURI(o.BaseURL, o.Name, kind, id)
}

// A Builder makes an adapter from its block of the configuration. decode fills
// a struct strictly: a key that is not there is an error with its line. Build
// validates and returns; it does not dial.
type Builder func(decode func(any) error, opts Options) (Adapter, error)

// A Registry maps a type name in the configuration to its builder.
type Registry map[string]Builder
