package mongodb

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// A Doc is a BSON document that is read in place: looking at a field copies
// nothing. The zero Doc has no fields. Bytes that are not BSON read as a document
// that ends where it stops making sense.
type Doc []byte

// DocFromJSON returns the document that MongoDB Extended JSON describes, in
// canonical or relaxed form.
func DocFromJSON(data []byte) (Doc, error) {
	var d bson.D
	if err := bson.UnmarshalExtJSON(data, false, &d); err != nil {
		return nil, err
	}
	return bson.Marshal(d)
}

// DocOf returns the document of a Go value, as the driver encodes it.
func DocOf(v any) (Doc, error) { return bson.Marshal(v) }

// IsZero reports whether there is no document at all.
func (d Doc) IsZero() bool { return len(d) == 0 }

// IsEmpty reports whether the document has no fields.
func (d Doc) IsEmpty() bool { return len(d) <= 5 }

// All yields the fields in order.
func (d Doc) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for f := d.fields(); f.next(); {
			if !yield(string(f.key), f.value) {
				return
			}
		}
	}
}

// Lookup returns the value at a dotted path. A number in the path selects an item
// of an array. Where there is none the Value is zero.
func (d Doc) Lookup(path string) Value {
	for {
		key, rest, more := strings.Cut(path, ".")
		v := d.field(key)
		if !more {
			return v
		}
		if d = v.Doc(); d == nil {
			return Value{}
		}
		path = rest
	}
}

// field returns the value of a field of the document itself.
func (d Doc) field(key string) Value {
	for f := d.fields(); f.next(); {
		if string(f.key) == key {
			return f.value
		}
	}
	return Value{}
}

// Str returns the string at path, or "".
func (d Doc) Str(path string) string { return d.Lookup(path).Str() }

// Bool returns the boolean at path; ok is false for anything else.
func (d Doc) Bool(path string) (value, ok bool) { return d.Lookup(path).Bool() }

// Int returns the whole number at path; ok is false for anything else.
func (d Doc) Int(path string) (int64, bool) { return d.Lookup(path).Int() }

// Time returns the date at path, or the zero time.
func (d Doc) Time(path string) time.Time { return d.Lookup(path).Time() }

// Strings returns the strings in the array at path.
func (d Doc) Strings(path string) []string { return d.Lookup(path).Strings() }

// JSON returns the value at path as JSON; see Value.JSON.
func (d Doc) JSON(path string) string { return d.Lookup(path).JSON() }

// String returns the document as JSON, for logs and tests.
func (d Doc) String() string { return Value{Type: TypeDocument, Data: d}.JSON() }

// fields walks over a document.
func (d Doc) fields() fields {
	if len(d) < 5 {
		return fields{}
	}
	size := int(binary.LittleEndian.Uint32(d))
	if size < 5 || size > len(d) {
		return fields{}
	}
	return fields{rest: d[4 : size-1]}
}

type fields struct {
	rest  []byte
	start []byte // the field as it is written, with what follows
	key   []byte
	value Value
}

func (f *fields) next() bool {
	if len(f.rest) < 2 {
		return false
	}
	end := bytes.IndexByte(f.rest[1:], 0)
	if end < 0 {
		return false
	}
	f.start = f.rest
	f.key = f.rest[1 : 1+end]
	data := f.rest[end+2:]
	size := sizeOf(f.rest[0], data)
	if size < 0 || size > len(data) {
		return false
	}
	f.value = Value{Type: f.rest[0], Data: data[:size:size]}
	f.rest = data[size:]
	return true
}

// element returns the field as it is written.
func (f *fields) element() []byte { return f.start[:len(f.start)-len(f.rest)] }

// Type is the type of a value, as the BSON specification numbers them. There are
// more than those named here.
type Type = byte

// The types that have a meaning for mappings.
const (
	TypeDouble     Type = 0x01
	TypeString     Type = 0x02
	TypeDocument   Type = 0x03
	TypeArray      Type = 0x04
	TypeBinary     Type = 0x05
	TypeObjectID   Type = 0x07
	TypeBoolean    Type = 0x08
	TypeDate       Type = 0x09
	TypeNull       Type = 0x0a
	TypeInt32      Type = 0x10
	TypeTimestamp  Type = 0x11
	TypeInt64      Type = 0x12
	TypeDecimal128 Type = 0x13
)

// sizeOf returns the size of a value at the start of data, or -1.
func sizeOf(t Type, data []byte) int {
	prefixed := func(extra int) int {
		if len(data) < 4 {
			return -1
		}
		n := int64(binary.LittleEndian.Uint32(data)) + int64(extra)
		if n > int64(len(data)) {
			return -1
		}
		return int(n)
	}
	switch t {
	case TypeDouble, TypeDate, TypeTimestamp, TypeInt64:
		return 8
	case TypeString, 0x0d, 0x0e: // also code and symbol
		return prefixed(4)
	case TypeDocument, TypeArray, 0x0f: // also code with scope
		return prefixed(0)
	case TypeBinary:
		return prefixed(5)
	case 0x06, TypeNull, 0x7f, 0xff: // undefined, null, the largest and least key
		return 0
	case TypeObjectID:
		return 12
	case TypeBoolean:
		return 1
	case TypeInt32:
		return 4
	case TypeDecimal128:
		return 16
	case 0x0b: // regular expression: two zero-terminated strings
		first := bytes.IndexByte(data, 0)
		if first < 0 {
			return -1
		}
		second := bytes.IndexByte(data[first+1:], 0)
		if second < 0 {
			return -1
		}
		return first + second + 2
	case 0x0c: // pointer into a collection
		return prefixed(16)
	}
	return -1
}

// A Value is one value of a document, read in place. The zero Value stands for a
// field that is not there.
type Value struct {
	Type Type
	Data []byte // as BSON encodes it
}

// IsZero reports whether there is no value.
func (v Value) IsZero() bool { return v.Type == 0 }

// IsEmpty reports whether the value says nothing: absent, null, an empty array or
// an empty document.
func (v Value) IsEmpty() bool {
	switch v.Type {
	case 0, TypeNull, 0x06:
		return true
	case TypeDocument, TypeArray:
		return len(v.Data) <= 5
	}
	return false
}

// Str returns a string, or "" for anything else.
func (v Value) Str() string {
	if v.Type != TypeString || len(v.Data) < 5 {
		return ""
	}
	return string(v.Data[4 : len(v.Data)-1])
}

// Bool returns a boolean; ok is false for anything else.
func (v Value) Bool() (value, ok bool) {
	if v.Type != TypeBoolean {
		return false, false
	}
	return v.Data[0] == 1, true
}

// Int returns a whole number of any numeric type; ok is false for anything else.
func (v Value) Int() (int64, bool) {
	switch v.Type {
	case TypeInt32:
		return int64(int32(binary.LittleEndian.Uint32(v.Data))), true
	case TypeInt64:
		return int64(binary.LittleEndian.Uint64(v.Data)), true
	case TypeDouble:
		f := v.float()
		// 2^63 is the first float64 that int64 cannot hold.
		if f == math.Trunc(f) && f >= -(1<<63) && f < 1<<63 {
			return int64(f), true
		}
	}
	return 0, false
}

// Float returns a number of any numeric type but Decimal128.
func (v Value) Float() (float64, bool) {
	if v.Type == TypeDouble {
		return v.float(), true
	}
	i, ok := v.Int()
	return float64(i), ok
}

func (v Value) float() float64 { return math.Float64frombits(binary.LittleEndian.Uint64(v.Data)) }

// Time returns a date, or the time that an ObjectID holds, or the zero time.
func (v Value) Time() time.Time {
	switch v.Type {
	case TypeDate:
		return time.UnixMilli(int64(binary.LittleEndian.Uint64(v.Data))).UTC()
	case TypeObjectID:
		return time.Unix(int64(binary.BigEndian.Uint32(v.Data)), 0).UTC()
	}
	return time.Time{}
}

// Doc returns a document or an array, whose fields are named "0", "1" and so on;
// nil for anything else.
func (v Value) Doc() Doc {
	if v.Type != TypeDocument && v.Type != TypeArray {
		return nil
	}
	return v.Data
}

// Items yields the items of an array.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Type != TypeArray {
			return
		}
		for f := Doc(v.Data).fields(); f.next(); {
			if !yield(f.value) {
				return
			}
		}
	}
}

// Strings returns the strings in an array, leaving out everything else.
func (v Value) Strings() []string {
	var out []string
	for item := range v.Items() {
		if item.Type == TypeString {
			out = append(out, item.Str())
		}
	}
	return out
}

// Text returns a scalar as people write it: a string as it is, a number in digits,
// an ObjectID in hexadecimal, a UUID with its hyphens, and JSON for the rest.
func (v Value) Text() string {
	switch v.Type {
	case 0:
		return ""
	case TypeString:
		return v.Str()
	case TypeObjectID:
		return hex.EncodeToString(v.Data)
	case TypeBinary:
		if len(v.Data) == 21 && v.Data[4] == 4 {
			u := v.Data[5:]
			return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
		}
	case TypeDecimal128:
		high, low := binary.LittleEndian.Uint64(v.Data[8:]), binary.LittleEndian.Uint64(v.Data)
		return bson.NewDecimal128(high, low).String()
	}
	return v.JSON()
}

// JSON returns the value as relaxed Extended JSON with the keys of documents in
// order, so that equal values give equal text. It returns "" for the zero Value.
func (v Value) JSON() string {
	if v.IsZero() {
		return ""
	}
	return string(v.AppendJSON(nil))
}

// AppendJSON appends what JSON returns.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.Type {
	case TypeString:
		return AppendJSONString(b, v.Str())
	case TypeBoolean:
		return strconv.AppendBool(b, v.Data[0] == 1)
	case TypeInt32, TypeInt64:
		i, _ := v.Int()
		return strconv.AppendInt(b, i, 10)
	case TypeDouble:
		f := v.float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			break
		}
		if out, err := json.Marshal(f); err == nil {
			return append(b, out...)
		}
	case TypeNull, 0x06:
		return append(b, "null"...)
	case TypeObjectID:
		return append(hex.AppendEncode(append(b, `{"$oid":"`...), v.Data), `"}`...)
	case TypeDate:
		return append(v.Time().AppendFormat(append(b, `{"$date":"`...), "2006-01-02T15:04:05.000Z07:00"), `"}`...)
	case TypeBinary:
		if len(v.Data) < 5 {
			break
		}
		b = base64.StdEncoding.AppendEncode(append(b, `{"$binary":{"base64":"`...), v.Data[5:])
		return fmt.Appendf(b, `","subType":"%02x"}}`, v.Data[4])
	case TypeArray:
		b = append(b, '[')
		for f, i := Doc(v.Data).fields(), 0; f.next(); i++ {
			if i > 0 {
				b = append(b, ',')
			}
			b = f.value.AppendJSON(b)
		}
		return append(b, ']')
	case TypeDocument:
		type field struct {
			key   string
			value Value
		}
		var all []field
		for f := Doc(v.Data).fields(); f.next(); {
			all = append(all, field{string(f.key), f.value})
		}
		slices.SortStableFunc(all, func(x, y field) int { return strings.Compare(x.key, y.key) })
		b = append(b, '{')
		for i, f := range all {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(AppendJSONString(b, f.key), ':')
			b = f.value.AppendJSON(b)
		}
		return append(b, '}')
	}
	// The rest is rare enough to go through the driver.
	out, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: bson.RawValue{Type: bson.Type(v.Type), Value: v.Data}}}, false, false)
	if err != nil || len(out) < 7 {
		return append(b, "null"...)
	}
	return append(b, bytes.TrimSpace(out[len(`{"v":`):len(out)-1])...)
}

// AppendJSONString appends s as a JSON string.
func AppendJSONString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, `\n`...)
			case '\r':
				b = append(b, `\r`...)
			case '\t':
				b = append(b, `\t`...)
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(append(b, s[start:i]...), "\ufffd"...)
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

// Clone returns a copy that shares no memory with d.
func (d Doc) Clone() Doc { return bytes.Clone(d) }

// Pick returns a document with only the named fields of d, in the order of d,
// leaving out those that say nothing (see Value.IsEmpty).
func (d Doc) Pick(names ...string) Doc {
	out := make([]byte, 4, 4+len(d))
	for f := d.fields(); f.next(); {
		if slices.Contains(names, string(f.key)) && !f.value.IsEmpty() {
			out = append(out, f.element()...)
		}
	}
	return finish(out, 0)
}

// finish ends the document that begins at start of b.
func finish(b []byte, start int) []byte {
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}
