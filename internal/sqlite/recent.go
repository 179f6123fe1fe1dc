package sqlite

import (
	"bytes"
	"slices"

	"github.com/oslcbus/oslcbus/bus"
)

// Bounds of what a topic keeps in memory of its newest records.
const (
	recentRecords = 1024
	recentBytes   = 4 << 20
)

// recent is the newest records of a topic, for the readers that follow it: each of
// them would ask the database for every few records, which takes longer than
// what they do with them.
type recent struct {
	first int64 // offset of messages[0]
	size  int   // bytes of the values
	gone  int   // bytes that the array of messages still holds from before first
	// messages is not changed in place: readers copy it without the lock.
	messages []bus.Message
}

// add appends records from the offset first on, and lets go of the oldest ones.
func (n *recent) add(first int64, records []bus.Message) {
	if first != n.first+int64(len(n.messages)) { // as after opening the file
		*n = recent{first: first}
	}
	for _, m := range records {
		n.messages = append(n.messages, m)
		n.size += len(m.Value)
	}
	drop := 0
	for drop < len(n.messages) && (len(n.messages)-drop > recentRecords || n.size > recentBytes) {
		n.size -= len(n.messages[drop].Value)
		drop++
	}
	for _, m := range n.messages[:drop] {
		n.gone += len(m.Value) + 256 // and the rest of it
	}
	n.messages = n.messages[drop:]
	if n.gone > recentBytes {
		n.messages, n.gone = slices.Clone(n.messages), 0
	}
	n.first += int64(drop)
}

// newest appends copies of the records from an offset on, up to as many as a reader
// takes at once, if the topic has them in memory.
func (t *topic) newest(to []bus.Delivery, from int64) []bus.Delivery {
	t.mu.Lock()
	n, next := t.recent, t.next
	t.mu.Unlock()
	if from < n.first || from >= n.first+int64(len(n.messages)) {
		return to
	}
	for i, m := range n.messages[from-n.first:] {
		if len(to) == readerChunk {
			break
		}
		to = append(to, bus.Delivery{Message: clone(m), Offset: from + int64(i), End: next})
	}
	return to
}

func clone(m bus.Message) bus.Message {
	return bus.Message{Key: m.Key, Header: slices.Clone(m.Header), Value: bytes.Clone(m.Value)}
}
