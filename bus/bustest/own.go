package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// testOwner takes the source over in the middle: the old owner's records end
// where the new one's begin, and the new one knows where that is.
func testOwner(t *testing.T, c Config) {
	f := setup(t, c)
	old := f.own()
	if got := old.Cursor(); got != nil {
		t.Errorf("cursor of a new source is %q, want nil", got)
	}
	for i := range n / 2 {
		f.append(old, f.record(i))
	}
	if got, want := old.Cursor(), cursor(n/2-1); !bytes.Equal(got, want) {
		t.Errorf("cursor after the appends is %q, want %q", got, want)
	}
	p := f.own()
	if got, want := p.Cursor(), cursor(n/2-1); !bytes.Equal(got, want) {
		t.Errorf("cursor after the take-over is %q, want %q", got, want)
	}
	for range 2 { // once shut out, always shut out
		if err := old.Append(f.ctx(), f.record(99)); !errors.Is(err, oslc.Conflict) {
			t.Errorf("append of the old owner: got %v, want kind conflict", err)
		}
	}
	for i := n / 2; i < n; i++ {
		f.append(p, f.record(i))
	}
	if err := old.Append(f.ctx(), f.records(90, 95)...); !errors.Is(err, oslc.Conflict) {
		t.Errorf("append of the old owner: got %v, want kind conflict", err)
	}
	if err := old.Close(); err != nil && !errors.Is(err, oslc.Conflict) {
		t.Errorf("close of the old owner: %v", err)
	}
	inOrder(t, c, n, f.values(n))
}

// testOwnersInARow takes the source over after every message and reopens the
// log now and then; earlier owners stay alive and try again.
func testOwnersInARow(t *testing.T, c Config) {
	f := setup(t, c)
	var earlier []bus.Publisher
	for i := range n {
		if i%7 == 6 {
			f.reopen()
			earlier = nil
		}
		p := f.own()
		if i > 0 && !bytes.Equal(p.Cursor(), cursor(i-1)) {
			t.Fatalf("owner %d: cursor is %q, want %q", i, p.Cursor(), cursor(i-1))
		}
		for j, old := range earlier {
			if err := old.Append(f.ctx(), f.record(1000+i)); !errors.Is(err, oslc.Conflict) {
				t.Errorf("append of owner %d before: got %v, want kind conflict", len(earlier)-j, err)
			}
		}
		f.append(p, f.record(i))
		if earlier = append(earlier, p); len(earlier) > 3 {
			earlier = earlier[1:]
		}
	}
	inOrder(t, c, n, f.values(n))
}

// emit is a well-behaved source: it takes the ownership, resumes after the
// cursor, and starts over when it was shut out, until all messages are there.
// try bounds one append; a batch whose append was cut short is repeated or left
// to the next owner.
func (f *fixture) emit(l bus.Log, total, owns int, rng *rand.Rand, try func(bus.Publisher, []bus.Record) error) error {
	for range owns {
		p, err := l.Own(f.ctx(), f.source(), f.topic())
		if err != nil {
			return fmt.Errorf("own: %w", err)
		}
		i := 0
		if at := p.Cursor(); at != nil {
			if _, err := fmt.Sscanf(string(at), "c%d", &i); err != nil {
				return fmt.Errorf("cursor %q: %w", at, err)
			}
			i++
		}
		appends := 1 + rng.IntN(4)
		for ; i < total && appends > 0; appends-- {
			batch := f.records(i, min(i+1+rng.IntN(5), total))
			if err = try(p, batch); err != nil {
				break
			}
			i += len(batch)
		}
		if err != nil && !errors.Is(err, oslc.Conflict) {
			return fmt.Errorf("append: %w", err)
		}
		if i >= total {
			return p.Close()
		}
	}
	return nil
}

// testOwnersFight lets three replicas believe at the same time that they own the
// source. Each message is on the log once, in order.
func testOwnersFight(t *testing.T, c Config) {
	f := setup(t, c)
	f.fight(f.log, f.log, f.log)
}

// testOwnersOfTwoLogs is the same with two programs on one log.
func testOwnersOfTwoLogs(t *testing.T, c Config) {
	if !c.Shared {
		t.Skip("this log belongs to one program: there is no second to fight with")
	}
	f := setup(t, c)
	second := c.Open(t, f.dir)
	defer f.close(second)
	p1 := f.own()
	f.append(p1, f.record(0))
	p2, err := second.Own(f.ctx(), f.source(), f.topic())
	if err != nil {
		t.Fatal(err)
	}
	if got := p2.Cursor(); !bytes.Equal(got, cursor(0)) {
		t.Errorf("cursor in the second program is %q, want %q", got, cursor(0))
	}
	if err := p1.Append(f.ctx(), f.record(99)); !errors.Is(err, oslc.Conflict) {
		t.Errorf("append of the owner in the first program: got %v, want kind conflict", err)
	}
	f.fight(f.log, second)
}

func (f *fixture) fight(logs ...bus.Log) {
	f.t.Helper()
	const total = 60
	var wg sync.WaitGroup
	for k, l := range logs {
		rng := rand.New(rand.NewPCG(1, uint64(k)))
		wg.Go(func() {
			err := f.emit(l, total, 8, rng, func(p bus.Publisher, batch []bus.Record) error {
				return p.Append(f.ctx(), batch...)
			})
			if err != nil {
				f.t.Errorf("replica %d: %v", k, err)
			}
		})
	}
	wg.Wait()
	// The fight may have ended before the last message; a last owner finishes.
	err := f.emit(logs[0], total, 1000, rand.New(rand.NewPCG(2, 2)), func(p bus.Publisher, batch []bus.Record) error {
		return p.Append(f.ctx(), batch...)
	})
	if err != nil {
		f.t.Errorf("last owner: %v", err)
	}
	inOrder(f.t, f.c, total, f.values(total))
}

// testSourcesAreIndependent takes one source over while another writes.
func testSourcesAreIndependent(t *testing.T, c Config) {
	f := setup(t, c)
	a, b := f.named("a"), f.named("b")
	pa, pb := f.ownAs(a, f.topic()), f.ownAs(b, f.topic())
	f.append(pa, f.recordOf(a, f.topic(), 0))
	f.append(pb, f.recordOf(b, f.topic(), 7))
	pa2 := f.ownAs(a, f.topic())
	if got := pa2.Cursor(); !bytes.Equal(got, cursor(0)) {
		t.Errorf("cursor of a is %q, want %q", got, cursor(0))
	}
	f.append(pb, f.recordOf(b, f.topic(), 8))
	if got := f.ownAs(b, f.topic()).Cursor(); !bytes.Equal(got, cursor(8)) {
		t.Errorf("cursor of b is %q, want %q", got, cursor(8))
	}
	if err := pa.Append(f.ctx(), f.recordOf(a, f.topic(), 1)); !errors.Is(err, oslc.Conflict) {
		t.Errorf("append of a's old owner: got %v, want kind conflict", err)
	}
	f.append(pa2, f.recordOf(a, f.topic(), 1))
}

// testCursor stops after every append, at times after a cursor that moved alone,
// and checks where the next owner would resume, with and without a restart.
func testCursor(t *testing.T, c Config) {
	for cut := range n {
		f := setup(t, c)
		p, want := f.own(), []byte(nil)
		for i := range cut {
			f.append(p, f.record(i))
			want = cursor(i)
		}
		if cut%2 == 1 {
			want = cursor(cut)
			f.append(p, bus.Record{Cursor: want})
		}
		f.append(p) // an empty batch changes nothing
		if got := p.Cursor(); !bytes.Equal(got, want) {
			t.Errorf("cut %d: cursor of the owner is %q, want %q", cut, got, want)
		}
		f.close(p)
		if cut%3 != 0 {
			f.reopen()
		}
		p = f.own()
		if got := p.Cursor(); !bytes.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("cut %d: cursor is %q, want %q", cut, got, want)
		}
		f.close(f.log)
	}
}

// testCursorBytes checks that a cursor is any bytes, and that a record without
// one does not move it.
func testCursorBytes(t *testing.T, c Config) {
	f := setup(t, c)
	for i, want := range [][]byte{
		{0}, {0xff, 0xfe, 0, 1}, []byte("{\"_data\": \"8265\"}"), bytes.Repeat([]byte{7}, 4096),
	} {
		p := f.own()
		rec := f.record(2 * i)
		rec.Cursor = want
		f.append(p, rec)
		rec = f.record(2*i + 1)
		rec.Cursor = nil
		f.append(p, rec)
		f.close(p)
		f.reopen()
		if got := f.own().Cursor(); !bytes.Equal(got, want) {
			t.Errorf("cursor is %.40q (%d bytes), want %.40q (%d bytes)", got, len(got), want, len(want))
		}
	}
	inOrder(t, c, 8, f.values(8))
}

// testRepeat cuts appends short at random moments. The batch is then repeated by
// the same owner or emitted again by the next, cut into other batches; either way
// the log gets what is missing and no more.
func testRepeat(t *testing.T, c Config) {
	f := setup(t, c)
	const total = 80
	p := f.own()
	ended, end := context.WithCancel(t.Context())
	end()
	if err := p.Append(ended, f.records(0, 2)...); err == nil {
		t.Error("append with a context that has ended: got nil, want an error")
	}
	f.append(p, f.records(0, 2)...)
	rng := rand.New(rand.NewPCG(3, 3))
	err := f.emit(f.log, total, 1000, rng, func(p bus.Publisher, batch []bus.Record) error {
		for range 1 + rng.IntN(3) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(2000))*time.Microsecond)
			err := p.Append(ctx, batch...)
			cancel()
			if err == nil || errors.Is(err, oslc.Conflict) {
				return err
			}
		}
		if rng.IntN(2) == 0 {
			return oslc.Errorf("bustest", oslc.Conflict, "given up")
		}
		return p.Append(f.ctx(), batch...)
	})
	if err != nil {
		t.Fatal(err)
	}
	inOrder(t, c, total, f.values(total))
}
