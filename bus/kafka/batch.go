package kafka

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/bits"

	"github.com/segmentio/kafka-go/compress"

	"github.com/oslcbus/oslcbus/bus"
)

// batchHeader is the size of a record batch without records, in the format with
// magic byte 2 (Kafka protocol guide, Record Batch).
const batchHeader = 61

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A field is a header of a record of ours.
type field struct {
	name  string
	value []byte
}

// An encoder builds one record batch after the other. Each lies after a length of
// four bytes, as RawProduce wants it.
type encoder struct {
	codec   compress.Codec // nil: none
	buf     []byte         // the batch being built
	records int32
	free    [][]byte // buffers of batches that are not needed any more
}

const (
	// keepFree is how many buffers an encoder keeps: a large batch of a source is
	// several of Kafka's.
	keepFree = 8
	// packFrom is the size from which a batch is compressed: below, there is
	// nothing to gain.
	packFrom = 1 << 10
)

// reset begins a batch.
func (e *encoder) reset() {
	e.records = 0
	if e.buf == nil {
		e.buf = e.room()
	}
	e.buf = e.buf[:4+batchHeader]
}

// room returns a buffer that nobody else has, of the length of an empty batch.
func (e *encoder) room() []byte {
	if last := len(e.free) - 1; last >= 0 {
		b := e.free[last]
		e.free = e.free[:last]
		return b[:4+batchHeader]
	}
	return make([]byte, 4+batchHeader, 64<<10)
}

// recycle takes a batch back that nothing reads any more.
func (e *encoder) recycle(raw []byte) {
	if len(e.free) < keepFree {
		e.free = append(e.free, raw)
	}
}

// size is the size of the batch on the log.
func (e *encoder) size() int { return len(e.buf) - 4 }

// recordSize returns the size of a record, without its own length, as record
// number delta of a batch.
func recordSize(delta int32, m *bus.Message, own []field) int {
	// One byte of attributes, one of the time's delta, which is always 0.
	n := 2 + varintSize(int64(delta)) + bytesSize(len(m.Key)) + varintSize(int64(len(m.Header)+len(own)))
	if m.Value == nil {
		n += varintSize(-1)
	} else {
		n += bytesSize(len(m.Value))
	}
	for i := range m.Header {
		n += bytesSize(len(m.Header[i].Name)) + bytesSize(len(m.Header[i].Value))
	}
	for i := range own {
		n += bytesSize(len(own[i].name)) + bytesSize(len(own[i].value))
	}
	return n
}

// add appends a record of the given recordSize.
func (e *encoder) add(m *bus.Message, own []field, size int) {
	b := binary.AppendVarint(e.buf, int64(size))
	b = append(b, 0, 0) // attributes, delta of the time
	b = binary.AppendVarint(b, int64(e.records))
	b = appendString(b, m.Key)
	if m.Value == nil {
		b = binary.AppendVarint(b, -1)
	} else {
		b = appendBytes(b, m.Value)
	}
	b = binary.AppendVarint(b, int64(len(m.Header)+len(own)))
	for i := range m.Header {
		b = appendString(b, m.Header[i].Name)
		b = appendString(b, m.Header[i].Value)
	}
	for i := range own {
		b = appendString(b, own[i].name)
		b = appendBytes(b, own[i].value)
	}
	e.buf = b
	e.records++
}

// pack returns the batch with its records compressed, or false when that would
// not make it smaller.
func (e *encoder) pack() ([]byte, bool) {
	if e.codec == nil || len(e.buf) < packFrom {
		return nil, false
	}
	out := sink(e.room())
	w := e.codec.NewWriter(&out)
	_, err := w.Write(e.buf[len(out):])
	if errors.Join(err, w.Close()) != nil || len(out) >= len(e.buf) {
		e.recycle(out)
		return nil, false
	}
	return out, true
}

// A sink collects what is written to it.
type sink []byte

func (s *sink) Write(b []byte) (int, error) {
	*s = append(*s, b...)
	return len(b), nil
}

// finish fills the header in and returns the batch with the length before it. It
// is the caller's until it is recycled.
func (e *encoder) finish(who producer, sequence int32, unixMilli int64) []byte {
	b, packed := e.pack()
	var attributes uint16
	if packed {
		attributes = uint16(e.codec.Code())
	} else {
		b, e.buf = e.buf, nil
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	h := b[4:]
	binary.BigEndian.PutUint64(h, 0)                        // base offset, set by the broker
	binary.BigEndian.PutUint32(h[8:], uint32(len(h)-12))    // length after this field
	binary.BigEndian.PutUint32(h[12:], math.MaxUint32)      // leader epoch, set by the broker
	h[16] = 2                                               // magic
	binary.BigEndian.PutUint16(h[21:], attributes)          // the codec; times are of creation
	binary.BigEndian.PutUint32(h[23:], uint32(e.records-1)) // delta of the last offset
	binary.BigEndian.PutUint64(h[27:], uint64(unixMilli))   // first time
	binary.BigEndian.PutUint64(h[35:], uint64(unixMilli))   // newest time
	binary.BigEndian.PutUint64(h[43:], uint64(who.id))
	binary.BigEndian.PutUint16(h[51:], uint16(who.epoch))
	binary.BigEndian.PutUint32(h[53:], uint32(sequence))
	binary.BigEndian.PutUint32(h[57:], uint32(e.records))
	binary.BigEndian.PutUint32(h[17:], crc32.Checksum(h[21:], castagnoli))
	return b
}

// A producer is the id and the epoch that the broker knows an owner by.
type producer struct {
	id    int64
	epoch int16
}

// nextSequence is the sequence after n records from seq; it wraps to 0 after the
// largest, as the broker expects.
func nextSequence(seq, n int32) int32 {
	if seq > math.MaxInt32-n {
		return n - (math.MaxInt32 - seq) - 1
	}
	return seq + n
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

func bytesSize(n int) int { return varintSize(int64(n)) + n }

// varintSize is the length of v as binary.AppendVarint writes it.
func varintSize(v int64) int {
	zigzag := uint64(v)<<1 ^ uint64(v>>63)
	return (bits.Len64(zigzag|1) + 6) / 7
}
