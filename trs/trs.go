// Package trs serves Tracked Resource Sets (OSLC TRS 3.0): for each provider the
// base, that is the resources that exist, and the change log, that is what
// happened since.
//
// Everything here is computed from a Store, which is a view over the log. An
// order is the offset of the record plus one, a segment ends at a fixed order,
// and a base is named by its cutoff; so the same URI gives the same bytes on every
// replica and after every rebuild, and nothing has to be agreed on.
//
// # Base
//
// Members are kept as intervals of orders: a resource is a member of the base cut
// off at order n if it was created at or before n and not deleted at or before n.
// A base needs no copy: its pages are a query with n in their URI, and they never
// change. A client that reads slowly keeps reading the base it began.
//
// # Change log
//
// The newest segment is inline in the set's document and holds between one and
// two page sizes of orders; older ones are cut at multiples of the page size and
// are immutable.
//
// # History
//
// Beside its order the URI of a page has the mark of the change there, a digest of
// the whole change log up to it. A log that was restored from a copy, or made anew,
// has other marks from where it differs, so that no URI ever stands for two pages
// (TRS-45), also in caches; and the URI of an event is derived from the change, so
// that a client that knows an event of a lost history does not find it and reads
// the base again.
//
// # Truncation
//
// A change is dropped in two phases: the base moves on beyond it (at the latest
// Config.BaseAge after the next change), and it goes when it is older than
// Policy.Keep and further back than Policy.KeepChanges. What is kept is what a slow
// reader of an older base still finds.
//
// # Client
//
// A Client follows any server's set: Client.Load reads the base, Client.Poll what
// happened since. Verify checks a server against the rules of the specification.
package trs

import (
	"context"
	"math"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
)

// DefaultPageSize is how many orders a segment and how many members a page of
// the base has. The TRS primer starts at 1,000; half of that keeps an inline
// segment under 150 KB of RDF/XML.
const DefaultPageSize = 500

// A Change is an entry of a change log: a trs:Creation, trs:Modification or
// trs:Deletion.
type Change struct {
	// Order is the place in the change log; orders grow and may skip numbers.
	Order int64
	// Event is the UUID of the event; "urn:uuid:" and it is the entry's URI.
	Event string
	Kind  oslc.Change
	// Changed is the URI of the resource.
	Changed string
	Time    time.Time
	// Types are the classes of the event beside its kind; only queries tell them.
	Types []string
}

// A Member is a resource in a base.
type Member struct {
	URI string
	// Since is the order of the change that made it a member.
	Since int64
}

// Bounds say what part of a change log there is.
type Bounds struct {
	// Newest is the order of the newest change, 0 when there is none.
	Newest int64
	// Oldest is the order of the oldest change that is kept.
	Oldest int64
	// Cut is the order up to which changes are not kept any more; 0 when the log
	// reaches back to the beginning.
	Cut int64
	// Event is the UUID of the newest change.
	Event string
	// Mark is a digest of the whole change log up to the newest change, 0 when there
	// is none: equal marks at equal orders mean equal logs.
	Mark uint64
	// Epoch is the UUID of the first change that ever was in the log.
	Epoch string
}

// Newest is the end of a range that goes up to the newest change.
const Newest = math.MaxInt64

// A Store holds the changes and members of sets, each named as its provider is.
// All methods fail with kind NotFound for a set that is not there.
type Store interface {
	// Bounds tells what is kept of the log up to an order; Newest, Event and Mark are
	// those of the newest change at or below it.
	Bounds(ctx context.Context, set string, upTo int64) (Bounds, error)
	// Changes returns those with after < order <= upTo, newest first.
	Changes(ctx context.Context, set string, after, upTo int64) ([]Change, error)
	// Members returns up to limit members of the base cut off at order at, those
	// with Since > after, in the order of Since.
	Members(ctx context.Context, set string, at, after int64, limit int) ([]Member, error)
}
