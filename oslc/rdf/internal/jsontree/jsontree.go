// Package jsontree reads JSON as a tree that keeps the order of members and the
// digits of numbers, within limits.
package jsontree

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A Value is a JSON value: nil, bool, json.Number, string, []Value or *Object.
type Value any

// An Object keeps the order of its members.
type Object struct {
	At      int64 // offset in the document, for errors
	Members []Member
}

// A Member is a key and its value.
type Member struct {
	Key   string
	Value Value
}

// Get returns the value of a key.
func (o *Object) Get(key string) (Value, bool) {
	for i := range o.Members {
		if o.Members[i].Key == key {
			return o.Members[i].Value, true
		}
	}
	return nil, false
}

// Decode reads a document as a tree whose depth and size are within lim, every
// field of which is set. Errors are *rdf.SyntaxError with the given format.
func Decode(format string, data []byte, lim rdf.Limits) (Value, error) {
	if !utf8.Valid(data) {
		return nil, &rdf.SyntaxError{Format: format, Kind: rdf.FaultEncoding, Msg: "not UTF-8"}
	}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	d.UseNumber()
	r := reader{format: format, d: d, src: data, lim: lim}
	v, err := r.value(0)
	if err != nil {
		return nil, r.place(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, r.fail(rdf.FaultSyntax, "text after the document")
	}
	return v, nil
}

type reader struct {
	format string
	d      *json.Decoder
	src    []byte
	lim    rdf.Limits
}

func (r *reader) fail(kind rdf.Fault, msg string) error {
	return rdf.ErrorAt(r.format, string(r.src), int(r.d.InputOffset()), kind, msg)
}

// place gives an error of encoding/json its place in the document.
func (r *reader) place(err error) error {
	if _, ok := errors.AsType[*rdf.SyntaxError](err); ok {
		return err
	}
	msg := strings.TrimPrefix(err.Error(), "json: ")
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		msg = "unexpected end of document"
	}
	return r.fail(rdf.FaultSyntax, msg)
}

func (r *reader) value(depth int) (Value, error) {
	t, err := r.d.Token()
	if err != nil {
		return nil, err
	}
	return r.rest(t, depth)
}

// rest reads what belongs to the value that starts with token t.
func (r *reader) rest(t json.Token, depth int) (Value, error) {
	switch t := t.(type) {
	case string:
		if len(t) > r.lim.MaxLiteral {
			return nil, r.fail(rdf.LimitLiteral, "string too long")
		}
		return t, nil
	case json.Delim:
		if depth >= r.lim.MaxDepth {
			return nil, r.fail(rdf.LimitDepth, "objects nest too deep")
		}
		if t == '[' {
			list := []Value{}
			for r.d.More() {
				v, err := r.value(depth + 1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := r.d.Token()
			return list, err
		}
		o := &Object{At: r.d.InputOffset()}
		seen := map[string]struct{}(nil)
		for r.d.More() {
			t, err := r.d.Token()
			if err != nil {
				return nil, err
			}
			key, _ := t.(string)
			if len(o.Members) < 16 {
				if _, ok := o.Get(key); ok {
					return nil, r.fail(rdf.FaultSyntax, "a key stands twice in an object")
				}
			} else {
				if seen == nil {
					seen = map[string]struct{}{}
					for i := range o.Members {
						seen[o.Members[i].Key] = struct{}{}
					}
				}
				if _, ok := seen[key]; ok {
					return nil, r.fail(rdf.FaultSyntax, "a key stands twice in an object")
				}
				seen[key] = struct{}{}
			}
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			o.Members = append(o.Members, Member{key, v})
		}
		_, err := r.d.Token()
		return o, err
	}
	return t, nil
}
