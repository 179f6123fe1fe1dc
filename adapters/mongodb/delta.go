package mongodb

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// errAmbiguous says that the paths of a delta do not tell what changed, because a
// field's name holds a dot or is a number. The document must be read then.
var errAmbiguous = errors.New("the paths of the update are ambiguous")

// Apply returns the document after the update, in memory of its own. It fails
// where the paths do not tell what changed.
func (d *Delta) Apply(doc Doc) (Doc, error) {
	if d.isPlain() {
		return d.applyPlain(doc), nil
	}
	// Each step rebuilds the document along one path. The server reports what it
	// removed, then the new lengths of arrays, then the values that it set, which
	// may be items behind that length.
	var err error
	for f := d.Unset.fields(); f.next(); {
		if doc, err = edit(doc, TypeDocument, d.path(f.value.Str()), removal); err != nil {
			return nil, err
		}
	}
	for f := d.Truncated.fields(); f.next(); {
		size, _ := f.value.Doc().Int("newSize")
		if doc, err = edit(doc, TypeDocument, d.path(f.value.Doc().Str("field")), truncation(int(size))); err != nil {
			return nil, err
		}
	}
	for f := d.Set.fields(); f.next(); {
		if doc, err = edit(doc, TypeDocument, d.path(string(f.key)), assignment(f.value)); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// isPlain reports whether only fields of the document itself changed.
func (d *Delta) isPlain() bool {
	if !d.Truncated.IsEmpty() {
		return false
	}
	for f := d.Set.fields(); f.next(); {
		if bytes.IndexByte(f.key, '.') >= 0 {
			return false
		}
	}
	for f := d.Unset.fields(); f.next(); {
		if bytes.IndexByte(f.value.Data, '.') >= 0 {
			return false
		}
	}
	return true
}

// top appends the names of the fields at the top of a document that d changes. ok is
// false where it may be others.
func (d *Delta) top(names []string) (_ []string, ok bool) {
	if !d.isPlain() {
		return names, false
	}
	for f := d.Set.fields(); f.next(); {
		names = append(names, string(f.key))
	}
	for f := d.Unset.fields(); f.next(); {
		names = append(names, f.value.Str())
	}
	return names, true
}

func (d *Delta) applyPlain(doc Doc) Doc {
	out := make([]byte, 4, len(doc)+len(d.Set)+5)
	var done uint64 // bit i: the i-th field of Set is in out; more than 64 are looked up
	for f := doc.fields(); f.next(); {
		i, v := find(d.Set, f.key)
		switch {
		case i >= 0:
			out = appendField(out, f.key, v)
			if i < 64 {
				done |= 1 << i
			}
		case !unset(d.Unset, f.key):
			out = append(out, f.element()...)
		}
	}
	i := 0
	for f := d.Set.fields(); f.next(); i++ {
		if i < 64 && done&(1<<i) != 0 || i >= 64 && !doc.field(string(f.key)).IsZero() {
			continue
		}
		out = append(out, f.element()...)
	}
	return finish(out, 0)
}

func find(d Doc, key []byte) (int, Value) {
	i := 0
	for f := d.fields(); f.next(); i++ {
		if bytes.Equal(f.key, key) {
			return i, f.value
		}
	}
	return -1, Value{}
}

func unset(paths Doc, key []byte) bool {
	for f := paths.fields(); f.next(); {
		if f.value.Type == TypeString && bytes.Equal(f.value.Data[4:len(f.value.Data)-1], key) {
			return true
		}
	}
	return false
}

// A path is the parts of a dotted path. sure is true where the server told them,
// so that a dot belongs to a name.
type path struct {
	parts []string
	sure  bool
}

func (d *Delta) path(dotted string) path {
	if v := d.Parts.field(dotted); v.Type == TypeArray {
		var p path
		for part := range v.Items() {
			if i, ok := part.Int(); ok {
				p.parts = append(p.parts, strconv.FormatInt(i, 10))
			} else {
				p.parts = append(p.parts, part.Str())
			}
		}
		p.sure = true
		return p
	}
	return path{parts: strings.Split(dotted, ".")}
}

// An operation replaces a value by another; a zero Value stands for none.
type operation func(old Value) (Value, error)

func removal(Value) (Value, error) { return Value{}, nil }

func assignment(v Value) operation { return func(Value) (Value, error) { return v, nil } }

func truncation(size int) operation {
	return func(old Value) (Value, error) {
		if old.Type != TypeArray {
			return Value{}, errAmbiguous
		}
		out := make([]byte, 4, len(old.Data))
		i := 0
		for f := Doc(old.Data).fields(); i < size && f.next(); i++ {
			out = append(out, f.element()...)
		}
		return Value{Type: TypeArray, Data: finish(out, 0)}, nil
	}
}

// edit returns doc, a document or an array, with the value at p changed by op.
func edit(doc Doc, t Type, p path, op operation) (Doc, error) {
	key, last := p.parts[0], len(p.parts) == 1
	if !p.sure {
		// A name with a dot in it that begins the rest of the path is as likely
		// as a path through several documents.
		rest := strings.Join(p.parts, ".")
		for f := doc.fields(); f.next(); {
			if name := string(f.key); strings.Contains(name, ".") && (rest == name || strings.HasPrefix(rest, name+".")) {
				return nil, errAmbiguous
			}
		}
	}
	out := make([]byte, 4, len(doc)+64)
	found, items := false, 0
	for f := doc.fields(); f.next(); items++ {
		if string(f.key) != key {
			out = append(out, f.element()...)
			continue
		}
		found = true
		v := f.value
		if last {
			var err error
			if v, err = op(v); err != nil {
				return nil, err
			}
		} else {
			inner := v.Doc()
			if inner == nil {
				return nil, errAmbiguous
			}
			changed, err := edit(inner, v.Type, path{p.parts[1:], p.sure}, op)
			if err != nil {
				return nil, err
			}
			v.Data = changed
		}
		if v.IsZero() {
			if t == TypeArray {
				// Removing an item would shift the others; the server sets null.
				return nil, errAmbiguous
			}
			continue
		}
		out = appendField(out, f.key, v)
	}
	if found {
		return finish(out, 0), nil
	}
	// A path into something that is not there is one whose parts were guessed
	// wrong: the server reports the whole new value instead.
	if !last {
		return nil, errAmbiguous
	}
	v, err := op(Value{})
	if err != nil {
		return nil, err
	}
	if v.IsZero() {
		return finish(out, 0), nil
	}
	if t == TypeArray {
		index, err := strconv.Atoi(key)
		const most = 1_500_000 // items in an array of 16 MB
		if err != nil || index < items || index > most {
			return nil, errAmbiguous
		}
		for ; items < index; items++ {
			out = appendField(out, strconv.AppendInt(nil, int64(items), 10), Value{Type: TypeNull})
		}
	} else if !p.sure && strings.Contains(key, ".") {
		return nil, errAmbiguous
	}
	return finish(appendField(out, []byte(key), v), 0), nil
}

func appendField(b, key []byte, v Value) []byte {
	b = append(b, v.Type)
	b = append(append(b, key...), 0)
	return append(b, v.Data...)
}

// only returns the part of the delta that is about the named fields of the
// document, or what is in them.
func (d *Delta) only(names []string) *Delta {
	about := func(path string) bool {
		for _, n := range names {
			if path == n || strings.HasPrefix(path, n+".") {
				return true
			}
		}
		return false
	}
	out := &Delta{Parts: d.Parts}
	filter := func(all Doc, path func(fields) string) Doc {
		kept := make([]byte, 4, len(all)+5)
		for f := all.fields(); f.next(); {
			if about(path(f)) {
				kept = append(kept, f.element()...)
			}
		}
		return finish(kept, 0)
	}
	out.Set = filter(d.Set, func(f fields) string { return string(f.key) })
	out.Unset = filter(d.Unset, func(f fields) string { return f.value.Str() })
	out.Truncated = filter(d.Truncated, func(f fields) string { return f.value.Doc().Str("field") })
	return out
}
