package oslc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	Op         string        // "jira.create", "bus.append": package.verb
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

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Op, e.Err) }

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

// RetryAfter returns how long the other side asked to wait, or 0.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
