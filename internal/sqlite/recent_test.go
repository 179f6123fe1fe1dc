package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/bus"
)

// A reader gets every record, in order and as it was appended, wherever it is: in
// the file, among those that are still in memory, or on the way from the one to
// the other while more are appended.
func TestReadersFromMemoryAndFile(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			readers(t, rand.New(rand.NewPCG(1, seed)))
		})
	}
}

func readers(t *testing.T, r *rand.Rand) {
	ctx := t.Context()
	dir := t.TempDir()
	db := open(t, dir)
	defer func() { _ = db.Close() }()
	type place struct {
		rd bus.Reader
		at int64
	}
	var (
		pub bus.Publisher
		own = func() (err error) {
			pub, err = db.Log().Own(ctx, "source", "topic", "other")
			return err
		}
		places []*place
		next   int64
	)
	if err := own(); err != nil {
		t.Fatal(err)
	}
	key := func(i int64) string { return fmt.Sprint("key ", i) }
	// Some are so large that only a few of them are in memory.
	value := func(i int64) string {
		n := 10
		if i%997 < 6 {
			n = 1 << 20
		}
		return strings.Repeat(string(rune('a'+i%26)), n)
	}
	for range 60 {
		switch r.IntN(8) {
		default:
			var batch []bus.Record
			for range []int{1, 3, 40, 400}[r.IntN(4)] {
				batch = append(batch, bus.Record{Topic: "other", Message: bus.Message{Key: "x", Value: []byte("of another topic")}},
					bus.Record{Topic: "topic", Message: bus.Message{Key: key(next), Header: bus.Header{{Name: "n", Value: key(next)}}, Value: []byte(value(next))}})
				next++
			}
			if err := pub.Append(ctx, batch...); err != nil {
				t.Fatal(err)
			}
		case 0:
			if r.IntN(4) > 0 {
				continue
			}
			places = nil
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open(t, dir)
			if err := own(); err != nil {
				t.Fatal(err)
			}
		case 1, 2:
			at := r.Int64N(next + 1)
			rd, err := db.Log().Open(ctx, "topic", bus.From{Offsets: []int64{at}})
			if err != nil {
				t.Fatal(err)
			}
			places = append(places, &place{rd, at})
		}
		for _, p := range places {
			for range min(next-p.at, []int64{1, 50, 2000}[r.IntN(3)]) {
				d, err := p.rd.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if d.Offset != p.at || d.Key != key(p.at) || d.Header.Get("n") != key(p.at) || string(d.Value) != value(p.at) || d.End <= p.at {
					t.Fatalf("at offset %d there is %d: %q, %d bytes, before %d", p.at, d.Offset, d.Key, len(d.Value), d.End)
				}
				p.at++
			}
		}
	}
	if next < 1100 {
		t.Errorf("only %d records", next)
	}
}
