package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// TestWritesShareATransaction: appends that wait for the disk together go in one
// transaction. One of an owner that was fenced, and one whose caller has gone, fail
// alone.
func TestWritesShareATransaction(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	defer db.Close()
	log := db.Log()
	const n = 12
	var pubs []bus.Publisher
	for i := range n {
		p, err := log.Own(t.Context(), fmt.Sprint("source", i), "shared", fmt.Sprint("own", i))
		if err != nil {
			t.Fatal(err)
		}
		pubs = append(pubs, p)
	}
	const fenced, gone = 3, 7
	if _, err := log.Own(t.Context(), fmt.Sprint("source", fenced), "shared"); err != nil {
		t.Fatal(err)
	}
	goneCtx, cancel := context.WithCancel(t.Context())
	errs := make([]chan error, n)
	release := db.HoldWrites()
	for i, p := range pubs {
		errs[i] = make(chan error, 1)
		ctx := t.Context()
		if i == gone {
			ctx = goneCtx
		}
		go func() {
			errs[i] <- p.Append(ctx,
				bus.Record{Topic: "shared", Message: message(i, 0)},
				bus.Record{Topic: fmt.Sprint("own", i), Message: message(i, 1), Cursor: []byte{byte(i)}},
				bus.Record{Topic: "shared", Message: message(i, 2)})
		}()
	}
	eventually(t, "the appends to wait", func() bool { return db.Waiting() == n })
	cancel()
	release()
	for i := range n {
		err := <-errs[i]
		switch i {
		case fenced:
			if !errors.Is(err, oslc.Conflict) {
				t.Errorf("the fenced owner got %v, want a conflict", err)
			}
		case gone:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the caller that has gone got %v", err)
			}
		default:
			if err != nil {
				t.Errorf("append %d: %v", i, err)
			}
			if got := pubs[i].Cursor(); string(got) != string([]byte{byte(i)}) {
				t.Errorf("cursor %d is %v", i, got)
			}
		}
	}
	rd, err := log.Open(t.Context(), "shared", bus.From{})
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	seen := map[string]bool{}
	for at := range int64(2 * (n - 2)) {
		d, err := rd.Next(t.Context())
		if err != nil || d.Offset != at {
			t.Fatalf("offset %d, %v, want %d", d.Offset, err, at)
		}
		var by, no int
		if _, err := fmt.Sscanf(d.ID(), "m%d.%d", &by, &no); err != nil {
			t.Fatal(err)
		}
		if at%2 == 1 && !seen[fmt.Sprint(by, 0)] || no == 2 && !seen[fmt.Sprint(by, 0)] {
			t.Errorf("offset %d has %s before what its owner wrote first", at, d.ID())
		}
		seen[fmt.Sprint(by, no)] = true
	}
	if len(seen) != 2*(n-2) {
		t.Errorf("the topic has %d records, want %d", len(seen), 2*(n-2))
	}
}

func message(source, n int) bus.Message {
	m := bus.Message{Key: fmt.Sprint("k", source), Value: []byte("v")}
	m.Header.Set(bus.HeaderID, fmt.Sprintf("m%d.%d", source, n))
	return m
}

// TestCheckpoint: commits bring what they wrote from the write-ahead log into the
// file, without one of them doing it.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	defer db.Close()
	p, err := db.Log().Own(t.Context(), "s", "t")
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		if err := p.Append(t.Context(), bus.Record{Topic: "t", Message: message(0, i)}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the file to have the records", func() bool {
		info, err := os.Stat(db.Path())
		return err == nil && info.Size() > before.Size()
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
