package processor

import (
	"errors"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/jsontree"
)

// leftOut are parts of a tree, *jsontree.Member and *jsontree.Value, that the
// processor is not given.
type leftOut map[any]bool

// What looking for the place of an error may cost: the processor is slow, and the
// document is a stranger's.
const (
	locateBytes = 64 << 10
	locateRuns  = 48
)

// A search looks for the part of a document without which an error is gone.
type search struct {
	fails func(leftOut) bool // with the error that is looked for
	runs  int
}

// locate gives err, which is one of read, the place of the smallest part of the
// document that it needs. The processor does not say where it is: what is
// left out one half after another does. In a document that is large the place is not
// looked for.
func (p Processor) locate(data []byte, tree jsontree.Value, base string, lim rdf.Limits, err error) error {
	var r refusal
	if !errors.As(err, &r) {
		return err
	}
	if r.Kind.IsLimit() && r.Kind != rdf.LimitIRI || len(data) > locateBytes {
		return r.SyntaxError
	}
	s := search{runs: locateRuns, fails: func(without leftOut) bool {
		_, err := p.read(tree, without, base, lim)
		var other refusal
		return errors.As(err, &other) && other.Kind == r.Kind && other.code == r.code
	}}
	if at, ok := s.within(tree); ok {
		return rdf.ErrorAt(format, strings.TrimPrefix(string(data), "\ufeff"), int(at), r.Kind, r.Msg)
	}
	return r.SyntaxError
}

// A part is a member of an object or an element of an array.
type part struct {
	key   any // in leftOut
	at    int64
	value jsontree.Value
}

// within returns the offset of the part of v, and of its parts in turn, that the
// error needs. Contexts come last: without them much else is no error.
func (s *search) within(v jsontree.Value) (at int64, ok bool) {
	var parts, contexts []part
	switch v := v.(type) {
	case *jsontree.Object:
		at, ok = v.At, true
		for i := range v.Members {
			m := &v.Members[i]
			p := part{m, m.At, m.Value}
			if m.Key == "@context" {
				contexts = append(contexts, p)
			} else {
				parts = append(parts, p)
			}
		}
	case []jsontree.Value:
		for i := range v {
			p := part{&v[i], -1, v[i]}
			if o, isObject := v[i].(*jsontree.Object); isObject {
				p.at = o.At
			}
			parts = append(parts, p)
		}
	}
	for _, parts := range [][]part{parts, contexts} {
		if p, found := s.needed(parts); found {
			if p.at >= 0 {
				at, ok = p.at, true
			}
			if deeper, found := s.within(p.value); found {
				return deeper, true
			}
			return at, ok
		}
	}
	return at, ok
}

// needed returns the one of the parts without which the error is gone.
func (s *search) needed(parts []part) (p part, ok bool) {
	gone := func(parts []part) bool {
		without := make(leftOut, len(parts))
		for _, p := range parts {
			without[p.key] = true
		}
		s.runs--
		return s.runs >= 0 && !s.fails(without)
	}
	if len(parts) == 0 || !gone(parts) {
		return p, false
	}
	for len(parts) > 1 {
		half := len(parts) / 2
		switch {
		case gone(parts[:half]):
			parts = parts[:half]
		case gone(parts[half:]):
			parts = parts[half:]
		default:
			return p, false // more than one of them
		}
	}
	return parts[0], true
}
