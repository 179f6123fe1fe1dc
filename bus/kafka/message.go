package kafka

import (
	"strings"

	"github.com/segmentio/kafka-go"

	"github.com/oslcbus/oslcbus/bus"
)

// Headers of our own, and the types of the markers. Messages must not use these
// names: readers take them away.
const (
	ownHeader    = "oslcbus_"
	sourceHeader = ownHeader + "source"
	batchHeaderN = ownHeader + "batch"
	cursorHeader = ownHeader + "cursor"
	afterHeader  = ownHeader + "after"
	floorHeader  = ownHeader + "floor"

	startedType = "oslcbus.source.started"
	cursorType  = "oslcbus.source.cursor"
)

// isOwn reports whether a header is one of the driver's.
func isOwn(name string) bool {
	switch name {
	case sourceHeader, batchHeaderN, cursorHeader, afterHeader, floorHeader:
		return true
	}
	return false
}

// FromMessage returns the message that m carries, in the form of the bus: names
// of headers in lower case, the last of those with one name, and none of our own.
func FromMessage(m kafka.Message) bus.Message {
	out := bus.Message{Key: string(m.Key), Value: m.Value}
	if len(m.Headers) > 0 {
		out.Header = make(bus.Header, 0, len(m.Headers))
		for _, h := range m.Headers {
			if name := strings.ToLower(h.Key); !isOwn(name) {
				out.Header.Set(name, string(h.Value))
			}
		}
	}
	return out
}

// ToMessage returns m as a message for kafka-go. It shares m's value.
func ToMessage(m bus.Message) kafka.Message {
	out := kafka.Message{Key: []byte(m.Key), Value: m.Value}
	for _, h := range m.Header {
		out.Headers = append(out.Headers, kafka.Header{Key: h.Name, Value: []byte(h.Value)})
	}
	return out
}
