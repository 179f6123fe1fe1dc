package bustest

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// testGoroutines uses a log in every way, closes it, and looks for what is left.
// Closing a log without closing its readers is not a leak: Close owns them.
func testGoroutines(t *testing.T, c Config) {
	t.Run("warm up", func(t *testing.T) {
		f := setup(t, c) // starts what outlives a log: a server, a pool of the runtime
		f.append(f.own(), f.record(0))
	})
	before := goleak.IgnoreCurrent()
	t.Run("use", func(t *testing.T) {
		f := setup(t, c)
		f.fill()
		plain, grouped := f.open(bus.From{}), f.open(f.group("a"))
		f.nextN(plain, n)
		f.commit(grouped, f.nextN(grouped, n)[n/2])
		f.nothing(plain)
		f.close(grouped)
		f.open(f.group("b"))
	})
	// The runtime needs a moment to end goroutines whose socket was closed.
	for deadline := time.Now().Add(c.Wait); ; {
		err := goleak.Find(before)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func testCloseTwice(t *testing.T, c Config) {
	f := setup(t, c)
	f.fill()
	p := f.own()
	plain, grouped := f.open(bus.From{}), f.open(f.group("a"))
	d := f.next(grouped)
	for range 2 {
		f.close(p)
	}
	for range 2 {
		f.close(f.log)
	}
	unavailable := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, oslc.Unavailable) {
			t.Errorf("%s after close: got %v, want kind unavailable", what, err)
		}
	}
	unavailable("append", p.Append(f.ctx(), f.record(0)))
	_, err := f.log.Own(f.ctx(), f.source(), f.topic())
	unavailable("own", err)
	_, err = f.log.Open(f.ctx(), f.topic(), bus.From{})
	unavailable("open", err)
	unavailable("commit", grouped.Commit(f.ctx(), d))
	for range n + 1 { // what was read ahead may still come
		if _, err = plain.Next(f.ctx()); err != nil {
			break
		}
	}
	unavailable("next", err)
	for _, r := range []bus.Reader{plain, grouped} {
		for range 2 {
			f.close(r)
		}
	}
}

// testCloseEndsNext closes the log while readers wait for a message.
func testCloseEndsNext(t *testing.T, c Config) {
	f := setup(t, c)
	readers := []bus.Reader{f.open(bus.From{}), f.open(f.group("a"))}
	done := make(chan error, len(readers))
	for _, r := range readers {
		go func() {
			_, err := r.Next(context.Background())
			done <- err
		}()
	}
	closed := make(chan error, 1)
	go func() { closed <- f.log.Close() }()
	deadline := time.After(c.Wait)
	for range readers {
		select {
		case err := <-done:
			if !errors.Is(err, oslc.Unavailable) {
				t.Errorf("next while the log is closed: got %v, want kind unavailable", err)
			}
		case <-deadline:
			t.Fatal("next does not end when the log is closed")
		}
	}
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-deadline:
		t.Fatal("close of the log does not end")
	}
}

// testClosedReader closes a reader alone; the log and other readers go on.
func testClosedReader(t *testing.T, c Config) {
	f := setup(t, c)
	f.fill()
	for _, from := range []bus.From{{}, f.group("a")} {
		r := f.open(from)
		f.next(r)
		f.close(r)
		var err error
		for range n + 1 {
			if _, err = r.Next(f.ctx()); err != nil {
				break
			}
		}
		if !errors.Is(err, oslc.Unavailable) {
			t.Errorf("next after close of the reader: got %v, want kind unavailable", err)
		}
	}
	inOrder(t, c, n, f.values(n))
}
