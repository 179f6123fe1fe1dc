package sqlite_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// noise is a value that cannot be compressed.
func noise(i int) []byte {
	r := rand.NewChaCha8([32]byte{byte(i)})
	b := make([]byte, 4000)
	_, _ = r.Read(b) // never fails
	return b
}

// TestAppendDiskFull: a batch that does not fit is refused as a whole, what was
// there stays, and the same batch goes in once there is room.
func TestAppendDiskFull(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	defer db.Close()
	log := db.Log()
	p, err := log.Own(t.Context(), "source", "topic")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	batch := func(from, to int) []bus.Record {
		var out []bus.Record
		for i := from; i < to; i++ {
			r := bus.Record{Topic: "topic", Cursor: fmt.Append(nil, i)}
			r.Key, r.Value = "k", noise(i)
			r.Header.Set("ce_id", fmt.Sprint(i))
			out = append(out, r)
		}
		return out
	}
	if err := p.Append(t.Context(), batch(0, 3)...); err != nil {
		t.Fatal(err)
	}
	if err := db.LimitPages(t.Context(), 0); err != nil { // it cannot grow
		t.Fatal(err)
	}
	large := batch(3, 40)
	for range 2 {
		if err := p.Append(t.Context(), large...); !errors.Is(err, oslc.Unavailable) {
			t.Fatalf("append to a full disk: got %v, want kind unavailable", err)
		}
	}
	if got := ids(t, log); got != "0 1 2" {
		t.Errorf("on a full disk the topic has %s, want 0 1 2", got)
	}
	if err := db.LimitPages(t.Context(), 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := p.Append(t.Context(), large...); err != nil {
		t.Fatalf("append after the limit was lifted: %v", err)
	}
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint(i))
	}
	if got := ids(t, log); got != strings.Join(want, " ") {
		t.Errorf("the topic has %s, want 0 to 39 once each", got)
	}
	if again, err := log.Own(t.Context(), "source", "topic"); err != nil || string(again.Cursor()) != "39" {
		t.Errorf("the cursor is %q, %v, want 39", again.Cursor(), err)
	}
}

// ids returns the ids of all messages of the topic.
func ids(t *testing.T, log bus.Log) string {
	t.Helper()
	r, err := log.Open(t.Context(), "topic", bus.From{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []string
	for {
		d, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !bus.IsMarker(d.Message) {
			out = append(out, d.ID())
		}
		if d.Offset+1 == d.End {
			return strings.Join(out, " ")
		}
	}
}
