package bustest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// at makes the From that starts partition p at offset and every other partition
// at its end, as known from ends.
func at(ends []int64, p int32, offset int64) bus.From {
	offsets := make([]int64, len(ends))
	copy(offsets, ends)
	offsets[p] = offset
	return bus.From{Offsets: offsets}
}

// testOffsets starts a reader at every offset, and right after it.
func testOffsets(t *testing.T, c Config) {
	f := setup(t, c)
	f.fill()
	all := f.nextN(f.open(bus.From{}), n)
	perPartition := make([][]bus.Delivery, c.Partitions)
	ends := make([]int64, c.Partitions)
	for _, d := range all {
		if d.Partition < 0 || int(d.Partition) >= c.Partitions {
			t.Fatalf("partition %d of %d", d.Partition, c.Partitions)
		}
		ds := perPartition[d.Partition]
		if len(ds) > 0 && d.Offset <= ds[len(ds)-1].Offset {
			t.Errorf("offset %d comes after %d", d.Offset, ds[len(ds)-1].Offset)
		}
		if d.Offset < 0 || d.End <= d.Offset {
			t.Errorf("offset %d with end %d", d.Offset, d.End)
		}
		perPartition[d.Partition] = append(ds, d)
		ends[d.Partition] = max(ends[d.Partition], d.Offset+1)
	}
	for p, ds := range perPartition {
		for i, d := range ds {
			if lag, behind := d.End-d.Offset-1, len(ds)-i-1; lag < int64(behind) {
				t.Errorf("message %d of %d: lag is %d, want at least %d", i, len(ds), lag, behind)
			}
			r := f.open(at(ends, int32(p), d.Offset))
			if got := f.next(r); got.Offset != d.Offset || string(got.Value) != string(d.Value) {
				t.Errorf("from %d: got %q at %d, want %q", d.Offset, got.Value, got.Offset, d.Value)
			}
			f.close(r)
			r = f.open(at(ends, int32(p), d.Offset+1))
			if i == len(ds)-1 {
				f.nothing(r)
			} else if got := f.next(r); got.Offset != ds[i+1].Offset {
				t.Errorf("from %d: got offset %d, want %d", d.Offset+1, got.Offset, ds[i+1].Offset)
			}
			f.close(r)
		}
	}
	// No offset at all means the oldest record kept.
	if got := f.next(f.open(bus.From{Offsets: []int64{}})); got.Offset != perPartition[got.Partition][0].Offset {
		t.Errorf("without offsets: got offset %d, want %d", got.Offset, perPartition[got.Partition][0].Offset)
	}
}

// testOffsetsGone asks for offsets that the topic does not have: it was made
// anew, or belongs to another server.
func testOffsetsGone(t *testing.T, c Config) {
	f := setup(t, c)
	f.fill()
	offsets := make([]int64, c.Partitions)
	for _, d := range f.nextN(f.open(bus.From{}), n) {
		offsets[d.Partition] = d.End
	}
	r, err := f.log.Open(f.ctx(), f.topic(), bus.From{Offsets: offsets})
	if err != nil {
		t.Fatalf("open at the end: %v", err)
	}
	f.close(r)
	offsets[0] += 1000
	if err := f.openErr(f.topic(), bus.From{Offsets: offsets}); !errors.Is(err, oslc.Gone) {
		t.Errorf("1000 past the end: got %v, want kind gone", err)
	}
	if err := f.openErr(f.named("new"), bus.From{Offsets: []int64{5}}); !errors.Is(err, oslc.Gone) {
		t.Errorf("offset 5 of a topic that is new: got %v, want kind gone", err)
	}
}

// openErr returns the error of Open, or of the first Next.
func (f *fixture) openErr(topic string, from bus.From) error {
	r, err := f.log.Open(f.ctx(), topic, from)
	if err != nil {
		return err
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(f.t.Context(), f.c.Wait)
	defer cancel()
	_, err = r.Next(ctx)
	return err
}

// testLaterAppends opens readers before there is anything to read.
func testLaterAppends(t *testing.T, c Config) {
	f := setup(t, c)
	plain, grouped := f.open(bus.From{}), f.open(f.group("a"))
	f.nothing(plain)
	f.nothing(grouped)
	p := f.own()
	for i := range 5 {
		f.append(p, f.record(i))
		for _, r := range []bus.Reader{plain, grouped} {
			if got := string(f.next(r).Value); got != fmt.Sprint(i) {
				t.Errorf("got %q, want %d", got, i)
			}
		}
	}
}

// testReaders reads one topic with several readers at once.
func testReaders(t *testing.T, c Config) {
	f := setup(t, c)
	f.fill()
	errs := make(chan error)
	const readers = 3
	for range readers {
		r := f.open(bus.From{})
		go func() {
			var err error
			for range n {
				if _, err = r.Next(f.t.Context()); err != nil {
					break
				}
			}
			errs <- err
		}()
	}
	deadline := time.After(c.Wait)
	for range readers {
		select {
		case err := <-errs:
			if err != nil {
				t.Error(err)
			}
		case <-deadline:
			t.Fatal("a reader did not get every message")
		}
	}
}

// testContext lets Next run out of time and then calls it again.
func testContext(t *testing.T, c Config) {
	f := setup(t, c)
	p := f.own()
	for name, from := range map[string]bus.From{"plain": {}, "group": f.group("a")} {
		r := f.open(from)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			if _, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v, want deadline exceeded", name, err)
			}
			cancel()
			if _, err := r.Next(ctx); !errors.Is(err, ctx.Err()) {
				t.Errorf("%s: next with a context that has ended: got %v, want %v", name, err, ctx.Err())
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := r.Next(ctx)
			done <- err
		}()
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want canceled", name, err)
			}
		case <-time.After(c.Wait):
			t.Fatalf("%s: next did not end with its context", name)
		}
	}
	f.append(p, f.record(0))
	for name, from := range map[string]bus.From{"plain": {}, "group": f.group("b")} {
		r := f.open(from)
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := r.Next(ended); err == nil {
			t.Errorf("%s: next with a context that has ended: got a message", name)
		}
		if got := string(f.next(r).Value); got != "0" {
			t.Errorf("%s: got %q after a context that has ended, want 0", name, got)
		}
	}
}
