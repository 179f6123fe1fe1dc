package bus

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Names of the headers of a message (CloudEvents 1.0.2, Kafka binding 3.2).
const (
	HeaderSpecVersion  = "ce_specversion"
	HeaderID           = "ce_id"
	HeaderSource       = "ce_source"
	HeaderType         = "ce_type"
	HeaderSubject      = "ce_subject"
	HeaderTime         = "ce_time"
	HeaderDataSchema   = "ce_dataschema"
	HeaderPartitionKey = "ce_partitionkey"
	HeaderSequence     = "ce_sequence"
	HeaderContentType  = "content-type"
	// The trace that an event belongs to: the Distributed Tracing extension of
	// CloudEvents, and the same again under the names that tracing of Kafka clients
	// knows (W3C Trace Context).
	HeaderTraceparent      = "ce_traceparent"
	HeaderTracestate       = "ce_tracestate"
	HeaderPlainTraceparent = "traceparent"
	HeaderPlainTracestate  = "tracestate"
)

// typePrefix begins the ce_type of every event; the name of the TRS class
// follows: "net.open-services.trs.Creation".
const typePrefix = "net.open-services.trs."

// markerPrefix begins the ce_type of what a driver writes for itself. Readers
// that meet such a message pass it over.
const markerPrefix = "oslcbus."

// IsMarker reports whether m is a driver's own note and no event.
func IsMarker(m Message) bool { return strings.HasPrefix(m.Header.Get(HeaderType), markerPrefix) }

// An Encoder writes events for one topic, in memory that it uses again.
type Encoder struct {
	Source string // URI of the provider
	Format format.Format

	graph rdf.Graph
	room  []byte
}

// An encoder that has grown beyond these gives the memory back.
const (
	keepBytes   = 4 << 20
	keepTriples = 512
)

// Encode returns e in its wire form: the event graph under CloudEvents headers. The
// message's Value is good until Reset. It fails with kind Invalid for a graph that
// the syntax cannot express.
func (c *Encoder) Encode(e *oslc.Event) (Message, error) {
	e.AddTo(&c.graph)
	begin := len(c.room)
	all, err := format.Append(c.room, &c.graph, c.Format)
	if c.graph.Len() > keepTriples {
		c.graph = rdf.Graph{}
	}
	c.graph.Reset()
	if err != nil {
		return Message{}, oslc.E("bus.encode", fmt.Errorf("event %s about <%s>: %w", e.ID, e.Subject, err), oslc.Invalid)
	}
	c.room = all
	trace := e.Trace
	if trace.IsZero() {
		trace = oslc.TraceOf(e.ID)
	}
	h := make(Header, 0, 12)
	h = append(h,
		Field{HeaderSpecVersion, "1.0"},
		Field{HeaderID, e.ID},
		Field{HeaderSource, c.Source},
		Field{HeaderType, typePrefix + strings.TrimPrefix(e.Change.IRI(), vocab.TRS)},
		Field{HeaderSubject, e.Subject},
		Field{HeaderTime, rdf.FormatTime(e.Time)},
		Field{HeaderDataSchema, vocab.Events},
		Field{HeaderPartitionKey, e.Subject},
		Field{HeaderContentType, c.Format.MediaType()},
		Field{HeaderTraceparent, trace.Parent},
		Field{HeaderPlainTraceparent, trace.Parent},
	)
	if trace.State != "" {
		h = append(h, Field{HeaderTracestate, trace.State}, Field{HeaderPlainTracestate, trace.State})
	}
	if e.Sequence != "" {
		h = append(h, Field{HeaderSequence, e.Sequence})
	}
	return Message{Key: e.Subject, Value: all[begin:len(all):len(all)], Header: h}, nil
}

// Reset takes the memory of all messages back.
func (c *Encoder) Reset() {
	if c.room = c.room[:0]; cap(c.room) > keepBytes {
		c.room = nil
	}
}

var encoders = sync.Pool{New: func() any { return new(Encoder) }}

// Encode returns e in its wire form, as an Encoder does, in memory of its own.
func Encode(e *oslc.Event, source string, f format.Format) (Message, error) {
	// How long the body gets is not known before: written in room that is kept, it
	// is copied once rather than with each growth.
	c := encoders.Get().(*Encoder)
	c.Source, c.Format = source, f
	m, err := c.Encode(e)
	m.Value = bytes.Clone(m.Value)
	c.Reset()
	encoders.Put(c)
	return m, err
}

// Decode reads an event in binary mode. It fails with kind Invalid when m is no
// CloudEvent, its body is not RDF that p can read, or its graph is no event.
func Decode(m Message, p format.Parser) (*oslc.Event, error) {
	const op = "bus.decode"
	if v := m.Header.Get(HeaderSpecVersion); v != "1.0" {
		return nil, oslc.Errorf(op, oslc.Invalid, "no CloudEvent 1.0: %s is %q", HeaderSpecVersion, v)
	}
	contentType := m.Header.Get(HeaderContentType)
	f, ok := format.ByMediaType(contentType)
	if !ok {
		return nil, oslc.Errorf(op, oslc.Invalid, "content-type %q is no RDF", contentType)
	}
	g, err := p.Parse(m.Value, f, "", rdf.Limits{})
	if err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	e, err := oslc.ParseEvent(g)
	if err != nil {
		return nil, oslc.E(op, err)
	}
	if id := m.ID(); id != e.ID {
		return nil, oslc.Errorf(op, oslc.Invalid, "ce_id is %q, the event says %q", id, e.ID)
	}
	e.Sequence = m.Header.Get(HeaderSequence)
	if e.Trace = oslc.ParseTrace(m.Header.Get(HeaderTraceparent), m.Header.Get(HeaderTracestate)); e.Trace.IsZero() {
		e.Trace = oslc.ParseTrace(m.Header.Get(HeaderPlainTraceparent), m.Header.Get(HeaderPlainTracestate))
	}
	if e.Trace.IsZero() {
		e.Trace = oslc.TraceOf(e.ID)
	}
	return e, nil
}

// Names of the headers that a dead letter has beside those of the message that
// could not be handled; its key and bytes are kept as they were.
const (
	HeaderReason    = "oslcbus_reason"
	HeaderTopic     = "oslcbus_topic"
	HeaderPartition = "oslcbus_partition"
	HeaderOffset    = "oslcbus_offset"
	HeaderAttempts  = "oslcbus_attempts"
	HeaderDeadTime  = "oslcbus_time"
)

// DeadLetterTopic returns the topic for what could not be handled in topic.
func DeadLetterTopic(topic string) string { return topic + ".dlq" }

// DeadLetter returns the record that sets d, read from topic, aside for the
// reason err after so many attempts.
func DeadLetter(topic string, d Delivery, attempts int, err error, now time.Time) Record {
	m := d.Message
	m.Header = append(Header(nil), m.Header...)
	m.Header.Set(HeaderReason, oslc.Message(err))
	m.Header.Set(HeaderTopic, topic)
	m.Header.Set(HeaderPartition, fmt.Sprint(d.Partition))
	m.Header.Set(HeaderOffset, fmt.Sprint(d.Offset))
	m.Header.Set(HeaderAttempts, fmt.Sprint(attempts))
	m.Header.Set(HeaderDeadTime, rdf.FormatTime(now))
	return Record{Topic: DeadLetterTopic(topic), Message: m}
}
