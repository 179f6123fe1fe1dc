package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/oslcbus/oslcbus/bus"
)

const (
	// fetchBytes bounds what one fetch brings; a batch that is larger comes alone.
	// Compressed, it may be thirty times that in memory.
	fetchBytes = 1 << 20
	// fetchWait is how long the broker holds a fetch when there is nothing.
	fetchWait = time.Second
)

// A record is what was read at an offset.
type record struct {
	offset int64
	time   time.Time
	bus.Message
	own ownFields
}

// ownFields are the values of our headers.
type ownFields struct {
	source        string
	batch         string
	floor         string
	cursor, after []byte
	first         bool // has the header for after
	marker        bool
}

// A fetcher reads one partition forward.
type fetcher struct {
	log       *Log
	topic     string
	partition int
	next      int64 // the offset to read next
}

// fetch brings what follows, which may be nothing, and the partition's end. It
// makes one attempt.
func (f *fetcher) fetch(ctx context.Context) (records []record, end int64, err error) {
	res, err := f.log.client.Fetch(ctx, &kafka.FetchRequest{
		Topic:     f.topic,
		Partition: f.partition,
		Offset:    f.next,
		MinBytes:  1,
		MaxBytes:  fetchBytes,
		MaxWait:   min(fetchWait, f.log.attempt/2),
	})
	if err != nil {
		return nil, 0, err
	}
	if res.Error != nil {
		return nil, 0, res.Error
	}
	records, seen, err := decode(res.Records, f.next)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case len(records) > 0:
		f.next = records[len(records)-1].offset + 1
	case seen && f.next < res.HighWatermark:
		// The batch around this offset has nothing at or after it: compaction took
		// it away, or it was a control record.
		f.next++
	}
	return records, max(res.HighWatermark, f.next), nil
}

// decode copies the records at or after from out of r and gives r's memory back.
// seen reports whether there was any batch.
func decode(r protocol.RecordReader, from int64) (records []record, seen bool, err error) {
	batches := []protocol.RecordReader{r}
	if stream, ok := r.(*protocol.RecordStream); ok {
		batches = stream.Records
		seen = len(batches) > 0
	}
	if seen {
		records = make([]record, 0, 64)
	}
	for _, b := range batches {
		_, control := b.(*protocol.ControlBatch)
		for {
			rec, readErr := b.ReadRecord()
			if errors.Is(readErr, io.EOF) {
				break
			}
			if readErr != nil {
				return nil, seen, fmt.Errorf("read a record: %w", readErr)
			}
			seen = true
			if err == nil && rec.Offset >= from && !control {
				var out record
				if out, err = decodeRecord(rec); err == nil {
					records = append(records, out)
				}
			}
			if rec.Key != nil {
				_ = rec.Key.Close()
			}
			if rec.Value != nil {
				_ = rec.Value.Close()
			}
		}
	}
	return records, seen, err
}

func decodeRecord(rec *protocol.Record) (record, error) {
	out := record{offset: rec.Offset, time: rec.Time}
	key, err := protocol.ReadAll(rec.Key)
	if err != nil {
		return out, err
	}
	if out.Value, err = protocol.ReadAll(rec.Value); err != nil {
		return out, err
	}
	// The key and the values of headers share one allocation.
	size := len(key)
	for i := range rec.Headers {
		size += len(rec.Headers[i].Value)
	}
	var text strings.Builder
	text.Grow(size)
	share := func(b []byte) string {
		from := text.Len()
		text.Write(b)
		return text.String()[from:]
	}
	out.Key = share(key)
	if len(rec.Headers) == 0 {
		return out, nil
	}
	out.Header = make(bus.Header, 0, len(rec.Headers))
	for _, h := range rec.Headers {
		name := h.Key
		if hasUpper(name) {
			name = strings.ToLower(name)
		}
		if !isOwn(name) {
			// A name that comes twice has its last value, as the SDKs read it.
			if i := indexOf(out.Header, name); i >= 0 {
				out.Header[i].Value = share(h.Value)
			} else {
				out.Header = append(out.Header, bus.Field{Name: name, Value: share(h.Value)})
			}
			continue
		}
		switch name {
		case sourceHeader:
			out.own.source = share(h.Value)
		case batchHeaderN:
			out.own.batch = share(h.Value)
		case floorHeader:
			out.own.floor = share(h.Value)
		case cursorHeader:
			out.own.cursor = h.Value
		case afterHeader:
			out.own.after, out.own.first = h.Value, true
		}
	}
	if out.own.source != "" {
		t := out.Header.Get("ce_type")
		out.own.marker = t == startedType || t == cursorType
	}
	return out, nil
}

func indexOf(h bus.Header, name string) int {
	for i := range h {
		if h[i].Name == name {
			return i
		}
	}
	return -1
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return true
		}
	}
	return false
}
