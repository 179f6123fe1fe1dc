package oslc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Kind says what a caller should do about an error. A Kind is itself an error,
// so errors.Is(err, oslc.NotFound) works on anything built by E.
type Kind uint8

// The kinds, from the least to the most hopeful.
const (
	Internal    Kind = iota // unexpected; log it, tell the client nothing
	Invalid                 // the request is wrong; do not repeat it
	NotFound                // no such resource
	Conflict                // the state changed underneath (409, 412)
	Denied                  // credentials missing or not enough
	Unsupported             // this adapter cannot do that
	Gone                    // the place asked for was cut off; start over
	Limited                 // slow down, then repeat
	Unavailable             // the other side is away; repeat
)

var kinds = [...]struct {
	name   string
	status int
	retry  bool
}{
	Internal:    {"internal", http.StatusInternalServerError, true},
	Invalid:     {"invalid", http.StatusBadRequest, false},
	NotFound:    {"not_found", http.StatusNotFound, false},
	Conflict:    {"conflict", http.StatusConflict, false},
	Denied:      {"denied", http.StatusForbidden, false},
	Unsupported: {"unsupported", http.StatusNotImplemented, false},
	Gone:        {"gone", http.StatusGone, false},
	Limited:     {"limited", http.StatusTooManyRequests, true},
	Unavailable: {"unavailable", http.StatusServiceUnavailable, true},
}

func (k Kind) Error() string { return k.String() }

// String returns the name of k as metrics and logs show it.
func (k Kind) String() string { return kinds[k].name }

// Status returns the HTTP status that stands for k.
func (k Kind) Status() int { return kinds[k].status }

// Retryable reports whether the same request may succeed later.
func (k Kind) Retryable() bool { return kinds[k].retry }

// Error is the one error type that crosses a package boundary.
type Error struct {
	Op         string        // "jira.create", "bus.append": package.verb; empty where the cause says it all
	Kind       Kind          // what to do about it
	RetryAfter time.Duration // set when the other side told us
	Err        error         // the cause, never nil
}

// E wraps err with the operation that failed. It keeps the Kind of an Error
// already inside err unless kind is given. E of a nil error is nil.
func E(op string, err error, kind ...Kind) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Kind: KindOf(err), Err: err}
	if len(kind) > 0 {
		e.Kind = kind[0]
	}
	if inner, ok := errors.AsType[*Error](err); ok {
		e.RetryAfter = inner.RetryAfter
	}
	return e
}

// Errorf is E around fmt.Errorf.
func Errorf(op string, kind Kind, format string, args ...any) error {
	return &Error{Op: op, Kind: kind, Err: fmt.Errorf(format, args...)}
}

func (e *Error) Error() string {
	if e.Op == "" {
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap gives errors.Is and errors.As both the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// KindOf classifies any error: that of an Error inside it, Unavailable for a
// deadline that passed, Internal for the rest.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if k, ok := errors.AsType[Kind](err); ok {
		return k
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	return Internal
}

// Message is the text of an error for people: of the operations that led to it only the
// innermost is named, where Error names all. What else was said on the way, such as
// the name of a file, stays.
func Message(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	for e := range operations(err) {
		if _, more := first(operations(e.Err)); more {
			cause := e.Err.Error()
			text = strings.Replace(text, e.Op+": "+cause, cause, 1)
		}
	}
	return text
}

// operations yields each Error in the tree of err that names an operation, outer ones
// before those inside them.
func operations(err error) iter.Seq[*Error] {
	return func(yield func(*Error) bool) {
		var walk func(error) bool
		walk = func(err error) bool {
			//nolint:errorlint // each error of the tree is looked at by itself
			if e, ok := err.(*Error); ok {
				return (e.Op == "" || yield(e)) && walk(e.Err)
			}
			//nolint:errorlint // as before
			switch e := err.(type) {
			case interface{ Unwrap() error }:
				return walk(e.Unwrap())
			case interface{ Unwrap() []error }:
				return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !walk(err) })
			}
			return true
		}
		walk(err)
	}
}

func first[T any](seq iter.Seq[T]) (v T, ok bool) {
	for v = range seq {
		return v, true
	}
	return v, false
}

// RetryAfter returns how long the other side asked to wait, or 0.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
