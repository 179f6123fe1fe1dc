package mongodb

import (
	"errors"
	"fmt"
	"time"
)

// ClusterTime is a place in MongoDB's history: seconds since 1970 in the upper 32
// bits, a counter within the second in the lower.
type ClusterTime uint64

// NewClusterTime joins seconds and counter.
func NewClusterTime(seconds, counter uint32) ClusterTime {
	return ClusterTime(seconds)<<32 | ClusterTime(counter)
}

// Wall returns the second as a time.
func (t ClusterTime) Wall() time.Time { return time.Unix(int64(t>>32), 0).UTC() }

// A Place is a place in a change stream. Places are ordered: by time, then by
// token, which MongoDB makes so that the text orders as the changes do.
type Place struct {
	Time ClusterTime
	// Token is the text of a resume token (its field _data).
	Token string
}

// Before reports whether p comes before q.
func (p Place) Before(q Place) bool {
	if p.Time != q.Time {
		return p.Time < q.Time
	}
	return p.Token < q.Token
}

// afterAll is a token that comes after every real one: those are hexadecimal.
const afterAll = "~"

// Kinds of changes, as MongoDB names them.
const (
	OpInsert       = "insert"
	OpUpdate       = "update"
	OpReplace      = "replace"
	OpDelete       = "delete"
	OpDrop         = "drop"
	OpRename       = "rename"
	OpDropDatabase = "dropDatabase"
	OpInvalidate   = "invalidate"
)

// A Change is one event of a change stream.
type Change struct {
	Op string
	At Place
	// Wall is when the server made the change; zero before MongoDB 6.0.
	Wall time.Time
	// Database and Collection are what changed; ToDatabase and ToCollection are
	// the new names of a collection that was renamed.
	Database, Collection     string
	ToDatabase, ToCollection string
	// ID is the _id of the document that changed.
	ID Value
	// Full is the whole document right after the change, for insert and replace,
	// and for an update where the collection keeps post-images. It must not be a
	// later state, such as updateLookup returns.
	Full Doc
	// Before is the document right before the change, where the collection keeps
	// pre-images.
	Before Doc
	// Update says what an update changed.
	Update Delta
}

// Time is when the change was made, as exactly as the server says.
func (c *Change) Time() time.Time {
	if !c.Wall.IsZero() {
		return c.Wall
	}
	return c.At.Time.Wall()
}

// A Delta is the updateDescription of a change. All zero means that the server
// did not say, as when it had to leave it out for its size.
type Delta struct {
	Set       Doc // path -> new value
	Unset     Doc // array of paths
	Truncated Doc // array of {field, newSize}
	// Parts maps a path to its parts, where its spelling alone is ambiguous
	// (MongoDB 6.1 and newer).
	Parts Doc
}

func (d *Delta) isZero() bool { return d.Set == nil && d.Unset == nil && d.Truncated == nil }

// ChangeFromJSON returns the change that an event of a change stream in Extended
// JSON describes.
func ChangeFromJSON(data []byte) (Change, error) {
	d, err := DocFromJSON(data)
	if err != nil {
		return Change{}, err
	}
	var dec changeDecoder
	return dec.decode(d)
}

// A changeDecoder turns events into Changes that point into them.
type changeDecoder struct {
	// names keeps one string for each name of a database or collection.
	names map[string]string
}

func (dec *changeDecoder) decode(event Doc) (Change, error) {
	var c Change
	for f := event.fields(); f.next(); {
		switch string(f.key) {
		case "_id":
			c.At.Token = f.value.Doc().Str("_data")
		case "operationType":
			c.Op = dec.op(f.value)
		case "clusterTime":
			c.At.Time = timestamp(f.value)
		case "wallTime":
			c.Wall = f.value.Time()
		case "ns":
			c.Database, c.Collection = dec.namespace(f.value.Doc())
		case "to":
			c.ToDatabase, c.ToCollection = dec.namespace(f.value.Doc())
		case "documentKey":
			c.ID = f.value.Doc().field("_id")
		case "fullDocument":
			c.Full = f.value.Doc()
		case "fullDocumentBeforeChange":
			c.Before = f.value.Doc()
		case "updateDescription":
			for g := f.value.Doc().fields(); g.next(); {
				switch string(g.key) {
				case "updatedFields":
					c.Update.Set = g.value.Doc()
				case "removedFields":
					c.Update.Unset = g.value.Doc()
				case "truncatedArrays":
					c.Update.Truncated = g.value.Doc()
				case "disambiguatedPaths":
					c.Update.Parts = g.value.Doc()
				}
			}
		}
	}
	switch {
	case c.At.Token == "":
		return c, errors.New("a change has no resume token")
	case c.Op == "":
		return c, fmt.Errorf("change %s has no operationType", c.At.Token)
	}
	if c.At.Time == 0 {
		c.At.Time = tokenTime(c.At.Token)
	}
	return c, nil
}

func (dec *changeDecoder) op(v Value) string {
	if v.Type != TypeString || len(v.Data) < 5 {
		return ""
	}
	switch b := v.Data[4 : len(v.Data)-1]; string(b) {
	case OpInsert:
		return OpInsert
	case OpUpdate:
		return OpUpdate
	case OpReplace:
		return OpReplace
	case OpDelete:
		return OpDelete
	default:
		return string(b)
	}
}

func (dec *changeDecoder) namespace(d Doc) (database, collection string) {
	return dec.name(d.field("db")), dec.name(d.field("coll"))
}

func (dec *changeDecoder) name(v Value) string {
	if v.Type != TypeString || len(v.Data) < 5 {
		return ""
	}
	b := v.Data[4 : len(v.Data)-1]
	if s, ok := dec.names[string(b)]; ok {
		return s
	}
	// Names repeat; a bound keeps a hostile server from filling memory.
	const most = 10_000
	if dec.names == nil || len(dec.names) > most {
		dec.names = make(map[string]string)
	}
	s := string(b)
	dec.names[s] = s
	return s
}

func timestamp(v Value) ClusterTime {
	if v.Type != TypeTimestamp {
		return 0
	}
	i, _ := Value{Type: TypeInt64, Data: v.Data}.Int()
	return ClusterTime(i)
}

// tokenTime reads the cluster time at the start of a resume token: the type byte
// of a timestamp (0x82), then seconds and counter, big-endian, as MongoDB's
// KeyString has it. It returns 0 for any other token.
func tokenTime(token string) ClusterTime {
	const size = 2 + 16
	if len(token) < size || token[:2] != "82" {
		return 0
	}
	var t ClusterTime
	for i := 2; i < size; i++ {
		n := hexDigit(token[i])
		if n < 0 {
			return 0
		}
		t = t<<4 | ClusterTime(n)
	}
	return t
}

// readTime returns the time at which to read what includes every change up to the
// place and none after it. A token that stands between changes (a high-water mark,
// as quiet streams have) comes before the changes of its own time.
func (p Place) readTime() ClusterTime {
	// After the time a token has a version (0x2b and one byte), then its kind:
	// zero (0x29) for a high-water mark, 128 for a change.
	const version, kind = 18, 22
	if len(p.Token) >= kind+2 && tokenTime(p.Token) == p.Time && p.Token[version:version+2] == "2B" && p.Token[kind:kind+2] == "29" {
		return p.Time - 1
	}
	return p.Time
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
