package sqlite

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A mark is where a page ends: after the resource that has the values and the
// number.
type mark struct {
	begun bool // false is the start
	tier  int
	keys  [][]byte // nil for a resource without the value
	id    int64    // here; a token has the set and the order, which are so everywhere
	set   string   // of the resource
	size  int      // of pages
	total int64    // of the query, as the first page told it
	shown int64    // on this page and those before
}

// tokenVersion changes when what a token holds does.
const tokenVersion = 1

var errToken = errors.New("the page is none of this query: begin with the first one")

// token returns the key of the page after the mark, which is good for one query.
func (m mark) token(binding string) string {
	b := append([]byte{tokenVersion}, bound(binding)...)
	b = append(b, byte(m.tier))
	b = binary.AppendVarint(b, m.total)
	b = binary.AppendUvarint(b, uint64(m.shown))
	b = binary.AppendUvarint(b, uint64(m.size))
	b = binary.AppendUvarint(b, uint64(m.id&maxOrder))
	b = append(binary.AppendUvarint(b, uint64(len(m.set))), m.set...)
	for _, k := range m.keys {
		if k == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(k))+1)
		b = append(b, k...)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

func bound(binding string) []byte {
	sum := sha256.Sum256([]byte(binding))
	return sum[:8]
}

// parseToken reads a token of the query with so many sort keys.
func parseToken(token, binding string, keys int) (mark, error) {
	m := mark{begun: true, keys: make([][]byte, keys)}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+8+1+4 || b[0] != tokenVersion {
		return m, errToken
	}
	body := b[:len(b)-4]
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(b[len(body):]) || !bytes.Equal(body[1:9], bound(binding)) {
		return m, errToken
	}
	in := tokenReader{b: body[9:]}
	m.tier = int(in.take(1)[0])
	m.total = in.varint()
	m.shown = int64(in.uvarint())
	m.size = int(in.uvarint())
	m.id = int64(in.uvarint())
	m.set = string(in.take(in.uvarint()))
	for i := range m.keys {
		if n := in.uvarint(); n > 0 {
			m.keys[i] = in.take(n - 1)
		}
	}
	if in.bad || len(in.b) > 0 || m.tier >= len(scores) || m.size <= 0 || m.size > maxSize || m.id < 0 || m.id > maxOrder || m.shown < 0 {
		return m, errToken
	}
	return m, nil
}

// maxSize is the largest page that a token may ask for.
const maxSize = 10_000

// tokenReader takes bytes apart; bad is set when there are too few.
type tokenReader struct {
	b   []byte
	bad bool
}

func (r *tokenReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return []byte{0}
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *tokenReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	return v * uint64(r.skip(n))
}

func (r *tokenReader) varint() int64 {
	v, n := binary.Varint(r.b)
	return v * int64(r.skip(n))
}

// skip drops the n bytes that a number took; none is what a malformed one takes. It
// returns 1, or 0 then.
func (r *tokenReader) skip(n int) int {
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return 1
}
