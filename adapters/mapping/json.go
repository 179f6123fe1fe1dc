package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// JSONType is the datatype of a literal that holds JSON (JSON-LD 1.1, 10.2).
const JSONType = rdf.NS + "JSON"

// JSON is a Value that was read from JSON.
type JSON struct {
	v     any
	there bool
}

// ParseJSON reads one JSON value; nothing may follow it. It fails with kind Invalid.
func ParseJSON(data []byte) (JSON, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // large identifiers keep their digits
	var v any
	err := d.Decode(&v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = fmt.Errorf("something follows at byte %d", d.InputOffset())
		}
	}
	if err != nil {
		return JSON{}, oslc.E("mapping.json", fmt.Errorf("the body is no JSON: %w", err), oslc.Invalid)
	}
	return JSON{v, true}, nil
}

// JSONOf returns the Value of what encoding/json makes of a text.
func JSONOf(v any) JSON { return JSON{v, true} }

// At returns the value at a path; a number in it selects an item of a list, "*" the
// values of all of them, as a list. Where there is none the JSON is zero. An empty path
// leads to j itself.
func (j JSON) At(path string) JSON {
	for part := ""; path != ""; {
		part, path, _ = strings.Cut(path, ".")
		switch v := j.v.(type) {
		case map[string]any:
			j.v, j.there = v[part], false
			if _, ok := v[part]; ok {
				j.there = true
			}
		case []any:
			if part == "*" {
				all := []any{}
				for _, item := range v {
					if x := (JSON{item, true}).At(path); x.there {
						all = append(all, x.v)
					}
				}
				return JSON{all, true}
			}
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return JSON{}
			}
			j = JSON{v[i], true}
		default:
			return JSON{}
		}
	}
	return j
}

// Items yields the items of a list, or j itself where it is none.
func (j JSON) Items() iter.Seq[JSON] {
	return func(yield func(JSON) bool) {
		list, ok := j.v.([]any)
		if !ok {
			yield(j)
			return
		}
		for _, v := range list {
			if !yield(JSON{v, true}) {
				return
			}
		}
	}
}

// IsObject reports whether j has members.
func (j JSON) IsObject() bool { _, ok := j.v.(map[string]any); return ok }

// IsEmpty implements Value.
func (j JSON) IsEmpty() bool {
	switch v := j.v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// Text implements Value.
func (j JSON) Text() string {
	switch v := j.v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	b, err := json.Marshal(j.v)
	if err != nil {
		return "" // it came from JSON
	}
	return string(b)
}

// Bool implements Value.
func (j JSON) Bool() (value, ok bool) { value, ok = j.v.(bool); return value, ok }

// Int implements Value.
func (j JSON) Int() (int64, bool) {
	n, ok := j.v.(json.Number)
	if !ok {
		return 0, false
	}
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	// 2^63 is the first float64 that int64 cannot hold.
	if f, err := n.Float64(); err == nil && f == math.Trunc(f) && f >= -(1<<63) && f < 1<<63 {
		return int64(f), true
	}
	return 0, false
}

// timeLayouts are how tools write instants: RFC 3339, Jira, GitLab.
var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", "2006-01-02T15:04:05",
}

// firstMillis is the least number of milliseconds since 1970 that is told from
// seconds: as seconds it is the year 5138.
const firstMillis = 100_000_000_000

// Time implements Value: a text in one of the forms that tools use, or a number of
// seconds or milliseconds since 1970.
func (j JSON) Time() time.Time {
	if n, ok := j.Int(); ok && n > 0 {
		if n >= firstMillis {
			return time.UnixMilli(n).UTC()
		}
		return time.Unix(n, 0).UTC()
	}
	s, _ := j.v.(string)
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// Term implements Value.
func (j JSON) Term() rdf.Term {
	switch v := j.v.(type) {
	case bool:
		return rdf.Bool(v)
	case json.Number:
		if i, ok := j.Int(); ok {
			return rdf.Int(i)
		}
		if IsDecimal(v.String()) {
			return rdf.Typed(v.String(), rdf.XSDDecimal)
		}
		return rdf.Typed(v.String(), rdf.XSDDouble)
	case map[string]any, []any:
		return rdf.Typed(j.Text(), JSONType)
	}
	return rdf.String(j.Text())
}
