package adapters

import (
	"context"
	"net/http"
	"time"
)

// A Hook takes what a tool sends to the bus, at /hooks and the connection's name. It
// checks the signature itself: no user of the bus stands behind such a request. It
// answers with success only once Options.Inbox has the delivery. An error that it
// returns is answered as an oslc:Error.
type Hook func(w http.ResponseWriter, r *http.Request) error

// A Delivery is one message that a tool sent to the bus.
type Delivery struct {
	// ID is the tool's own name for it, the same when it sends it again; empty for a
	// tool that has none. Read gives every Delivery one.
	ID string
	// Time is when it came; Put sets it.
	Time time.Time
	// Header are the header fields that count, by their names in small letters.
	Header map[string]string
	Body   []byte
	// At is the place after it; Put does not look at it.
	At Cursor
}

// An Inbox keeps what a tool sends to the bus on the log, in the order in which it
// came, whichever replica took it. A tool that pushes becomes one that can be read
// from any place: its Source reads the Inbox.
type Inbox interface {
	// Put returns once the deliveries are durable. It fails with kind Unavailable
	// when the log is away, and with a *http.MaxBytesError for one that is too
	// large; the tool has to send them again then.
	Put(ctx context.Context, batch ...Delivery) error
	// Read calls deliver with what came after a place, nil for the oldest that is
	// kept, several at once and in order, and goes on until ctx ends or deliver
	// fails, whose error it returns as it came. Once all that was there at its
	// beginning is delivered it calls deliver with nothing. What a tool sent again is
	// delivered once, as long as 10,000 others did not come in between. It fails with
	// kind Gone when the place is not there any more.
	Read(ctx context.Context, after Cursor, deliver func([]Delivery) error) error
}
