package mongodb

import (
	"context"
	"errors"
	"iter"
)

// A Server is what the watcher needs of a MongoDB deployment. Its errors have an
// oslc.Kind: Gone for a place that the history does not reach any more, Denied,
// Unavailable, Invalid for a deployment that has no change streams.
type Server interface {
	// Identify returns what tells the deployment from others.
	Identify(ctx context.Context) (Identity, error)
	// Watch opens a stream of the changes after from, or from now on where from
	// is zero. It returns ErrTokenNotFound where the place is in the history and
	// its token is not.
	Watch(ctx context.Context, from Position) (Stream, error)
	// Find yields documents as they were at one moment, each with the time of
	// that moment. It may yield a document twice, the second time at a later
	// time, and then yields all of them.
	Find(ctx context.Context, q Query) iter.Seq2[Found, error]
}

// An Identity tells deployments apart.
type Identity struct {
	// Set is the id of the replica set, made when it was initiated, or of the
	// sharded cluster. Empty means that the account may not read it.
	Set string
}

// A Position says where a stream begins.
type Position struct {
	Place
	// ByTime asks for everything at or after the place's time; its token is not
	// looked at.
	ByTime bool
	// Lean asks the server to leave out the parts of an event that would make it
	// too large to be sent.
	Lean bool
}

// A Stream is an open change stream. One goroutine uses it.
type Stream interface {
	// Next waits for a batch. The first call on a stream that was opened at the
	// present does not wait: it says where the stream begins. Later ones may
	// return without changes, and should every second or so, since the watcher
	// writes its cursor then. It returns io.EOF where the server closed the
	// stream for good, as it does after an invalidate, and ErrTooLarge where the
	// next change is larger than a document may be.
	Next(ctx context.Context) (Batch, error)
	// Close frees the stream on the server.
	Close(ctx context.Context) error
}

// A Batch is what one answer of the server brought: changes in order, or none on a
// quiet stream. The watcher keeps what they point to.
type Batch struct {
	Changes []Change
	// At is the place that the server has searched up to.
	At Place
}

// A Query asks for documents of one collection.
type Query struct {
	Database, Collection string
	// ID selects one document; zero selects all.
	ID Value
	// At is the moment to read at; 0, or one that is too long ago to be read at,
	// means now.
	At ClusterTime
}

// Found is a document and the moment at which it was so.
type Found struct {
	Doc Doc
	At  ClusterTime
}

var (
	// ErrTokenNotFound says that a stream cannot begin at a token, although its
	// time is in the history.
	ErrTokenNotFound = errors.New("the resume token was not found")
	// ErrTooLarge says that a change is too large to be sent.
	ErrTooLarge = errors.New("the change is larger than 16 MB")
)
