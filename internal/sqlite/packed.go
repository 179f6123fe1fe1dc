package sqlite

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Records of the embedded log are kept compressed (RFC 8878), each by itself, with a
// dictionary of what events have in common: one of 5 KB takes some 500 bytes. It is
// not for the room alone. An append is done when the disk has its pages, and with
// fewer of them it waits less, and is less in the way of others.

// dictionary is never to be changed: what was written with it is read with it. A
// better one would get a number of its own, as log_record.packed keeps it.
//
//go:embed dictionary.txt
var dictionary []byte

const (
	// packedBy is the number of the dictionary.
	packedBy = 1
	// packFrom is how many bytes a record has at least to be compressed.
	packFrom = 128
	// unpackLimit bounds what a damaged record may claim to hold.
	unpackLimit = 256 << 20
)

const packSchema = `
ALTER TABLE log_record ADD COLUMN packed INTEGER NOT NULL DEFAULT 0;
`

// packers are made when they are first used: they take a megabyte.
var packers = sync.OnceValues(func() (*zstd.Encoder, *zstd.Decoder) {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderDictRaw(packedBy, dictionary), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(min(2, runtime.GOMAXPROCS(0))), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(256<<10))
	if err != nil {
		panic(err) // the options above are wrong
	}
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderDictRaw(packedBy, dictionary), zstd.WithDecoderMaxMemory(unpackLimit),
		zstd.WithDecoderConcurrency(min(2, runtime.GOMAXPROCS(0))), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic(err)
	}
	return e, d
})

// packRecord returns the header and the value of a record as one, or nil where they
// are better kept as they are.
func packRecord(header, value []byte) []byte {
	if value == nil || len(header)+len(value) < packFrom {
		return nil
	}
	plain := make([]byte, 0, binary.MaxVarintLen32+len(header)+len(value))
	plain = binary.AppendUvarint(plain, uint64(len(header)))
	plain = append(append(plain, header...), value...)
	e, _ := packers()
	packed := e.EncodeAll(plain, make([]byte, 0, len(plain)/4))
	if len(packed) >= len(header)+len(value) {
		return nil
	}
	return packed
}

var errPacked = errors.New("the record is damaged")

// unpackRecord undoes packRecord.
func unpackRecord(packed []byte) (header, value []byte, err error) {
	_, d := packers()
	plain, err := d.DecodeAll(packed, nil)
	if err != nil {
		return nil, nil, errors.Join(errPacked, err)
	}
	n, w := binary.Uvarint(plain)
	if w <= 0 || n > uint64(len(plain)-w) {
		return nil, nil, errPacked
	}
	end := w + int(n)
	return plain[w:end:end], plain[end:], nil
}
