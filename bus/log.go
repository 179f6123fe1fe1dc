package bus

import "context"

// A Message is an event in its wire form: a CloudEvent in binary mode. Header
// holds the context attributes as ce_id, ce_type and so on, and content-type
// (CloudEvents Kafka Protocol Binding 1.0.2, section 3.2).
type Message struct {
	// Key is the URI of the resource; messages with one key stay in order.
	Key    string
	Value  []byte
	Header Header
}

// ID returns the event's id. Two messages of one source with the same id are
// the same event.
func (m Message) ID() string { return m.Header.Get("ce_id") }

// A Header is a short ordered list of named values. Names are lower case.
type Header []Field

// A Field is one header.
type Field struct{ Name, Value string }

// Get returns the value of the first field with the name, or "".
func (h Header) Get(name string) string {
	for i := range h {
		if h[i].Name == name {
			return h[i].Value
		}
	}
	return ""
}

// Set replaces the field with the name, or appends it.
func (h *Header) Set(name, value string) {
	for i := range *h {
		if (*h)[i].Name == name {
			(*h)[i].Value = value
			return
		}
	}
	*h = append(*h, Field{name, value})
}

// A Record is a message on its way to a topic, with the cursor that its source
// stands at after it. A Record without a Topic moves the cursor alone.
type Record struct {
	Topic string
	Message
	Cursor []byte
}

// A Log is what a driver implements: an ordered, durable, replayable record of
// messages in topics. Methods may be called concurrently. A topic that is not
// there yet is made by Own and by Open.
type Log interface {
	// Own makes the caller the only writer for source into topics, across all
	// processes: once it has returned, Append of an earlier owner fails with
	// kind Conflict and leaves nothing behind. All owners of a source name the same
	// topics: in others an earlier owner is not shut out.
	Own(ctx context.Context, source string, topics ...string) (Publisher, error)

	// Open starts reading topic.
	Open(ctx context.Context, topic string, from From) (Reader, error)

	// Close waits for calls in progress, but ends a Next that waits; later calls
	// fail with kind Unavailable. Closing twice is fine.
	Close() error
}

// From says where a Reader starts.
type From struct {
	// Group names readers that share a topic: each partition is read by one of
	// them, which starts after the last offset that the group committed. Without
	// a group the reader gets every partition, and Commit does nothing.
	Group string

	// Offsets holds, per partition, the offset to start at when there is no
	// group. A partition beyond its end starts at the oldest record kept. An
	// offset that the topic no longer has, or does not have yet because it was
	// made anew, makes Open or Next fail with kind Gone.
	Offsets []int64
}

// A Publisher writes for one source. It belongs to one goroutine.
type Publisher interface {
	// Cursor returns the cursor to resume the source after: everything before
	// it is on the log. It is nil for a source that has nothing there.
	Cursor() []byte

	// Append returns once the batch is durable, in order. After an error the
	// log may hold a part of it: call Append again with the same batch, which
	// adds what is missing, or give the publisher up. A new owner that emits the
	// same messages again after Cursor adds only those whose ID is not there.
	// A topic that Own was not told of is kind Invalid. After Conflict, Gone or
	// Denied the publisher is finished: own the source anew.
	// A cursor that moves alone may be kept in memory for up to an hour; Close
	// writes it.
	Append(ctx context.Context, batch ...Record) error

	// Close writes what Append may have kept back. It does not give up the
	// ownership, which ends only when another owner takes over.
	Close() error
}

// A Reader belongs to one goroutine, but Commit may be called from another one
// while Next waits.
type Reader interface {
	// Next blocks for a message. It returns ctx.Err() when ctx ends first, and
	// may be called again after that.
	Next(ctx context.Context) (Delivery, error)

	// Commit marks d, and what came before it in its partition, as done by the
	// group. An older commit never undoes a newer one, and a reader that lost
	// the partition to another member, if only for a moment, commits nothing and
	// gets kind Conflict: what is not committed is delivered again.
	Commit(ctx context.Context, d Delivery) error

	Close() error
}

// A Passer is a Reader that passes over records of its own driver. Passed returns,
// per partition, the offset after the newest record that Next has gone by, whether
// it was delivered or not. It belongs to the goroutine that calls Next.
type Passer interface {
	Passed() []int64
}

// An Ender is a Log that knows where a topic ends now: End returns, per partition,
// the offset after the newest record.
type Ender interface {
	End(ctx context.Context, topic string) ([]int64, error)
}

// A Delivery is a message at its place in the log.
type Delivery struct {
	Message
	Partition int32
	Offset    int64
	// End is the offset after the newest record of the partition as known when
	// this one was read: End-Offset-1 is the lag.
	End int64
}

// A Holder is implemented by a log that several replicas of the program share.
// Hold runs fn on one replica at a time while ctx lasts: fn's context ends when
// another replica may take over. It returns fn's error, or ctx.Err(). The
// assignment keeps replicas from fighting; it is Own that keeps them correct.
type Holder interface {
	Hold(ctx context.Context, name string, fn func(context.Context) error) error
}
