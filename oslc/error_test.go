package oslc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
)

func TestError(t *testing.T) {
	t.Parallel()
	cause := &oslc.Error{Op: "jira.search", Kind: oslc.Limited, RetryAfter: time.Second, Err: io.ErrUnexpectedEOF}
	err := oslc.E("jira.create", cause)
	if !errors.Is(err, oslc.Limited) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, oslc.NotFound) {
		t.Errorf("kind and cause not reachable from %v", err)
	}
	if got, want := err.Error(), "jira.create: jira.search: unexpected EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if oslc.RetryAfter(err) != time.Second {
		t.Errorf("RetryAfter lost: %v", oslc.RetryAfter(err))
	}
	if oslc.KindOf(oslc.E("x", err, oslc.Gone)) != oslc.Gone {
		t.Error("explicit kind must win")
	}
	if oslc.E("x", nil) != nil {
		t.Error("E(nil) must be nil")
	}
	for err, want := range map[error]oslc.Kind{
		io.EOF:                                 oslc.Internal,
		context.DeadlineExceeded:               oslc.Unavailable,
		fmt.Errorf("x: %w", oslc.Gone):         oslc.Gone,
		oslc.Errorf("a.b", oslc.Invalid, "no"): oslc.Invalid,
	} {
		if got := oslc.KindOf(err); got != want {
			t.Errorf("KindOf(%v) = %v, want %v", err, got, want)
		}
	}
}
