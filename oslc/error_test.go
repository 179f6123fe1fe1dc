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

// TestMessage: people read of one operation, and of all else that was said.
func TestMessage(t *testing.T) {
	t.Parallel()
	inner := oslc.Errorf("sqlite.read", oslc.NotFound, "no resource <%s>", "http://x")
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{io.EOF, "EOF"},
		{inner, "sqlite.read: no resource <http://x>"},
		{oslc.E("server.get", oslc.E("sqlite.query", inner)), "sqlite.read: no resource <http://x>"},
		{oslc.E("jira.create", io.ErrUnexpectedEOF, oslc.Unavailable), "jira.create: unexpected EOF"},
		{fmt.Errorf("bus.yml: %w", oslc.E("jira.build", fmt.Errorf("url: %w", inner))), "bus.yml: url: sqlite.read: no resource <http://x>"},
		{oslc.E("a.b", fmt.Errorf("a.b: %w", inner)), "a.b: sqlite.read: no resource <http://x>"},
		{oslc.E("x.all", errors.Join(oslc.E("x.one", inner), oslc.E("x.two", io.EOF))), "sqlite.read: no resource <http://x>\nx.two: EOF"},
		{&oslc.Error{Kind: oslc.Invalid, Err: oslc.E("x.one", inner)}, "sqlite.read: no resource <http://x>"},
		{&oslc.Error{Kind: oslc.Invalid, Err: errors.New("no")}, "no"},
		{oslc.E("x.one", &oslc.Error{Kind: oslc.Invalid, Err: errors.New("no")}), "x.one: no"},
		{fmt.Errorf("lost: %w", oslc.Gone), "lost: gone"},
	} {
		if got := oslc.Message(c.err); got != c.want {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
}

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
