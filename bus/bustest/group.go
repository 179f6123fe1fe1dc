package bustest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

func testGroups(t *testing.T, c Config) {
	f := setup(t, c)
	f.fill()
	for _, g := range []string{"a", "b"} {
		r := f.open(f.group(g))
		var values []string
		for range n {
			d := f.next(r)
			values = append(values, string(d.Value))
			f.commit(r, d)
		}
		inOrder(t, c, n, values)
		f.nothing(r)
		f.close(r)
	}
	f.reopen()
	r := f.open(f.group("a"))
	f.nothing(r) // everything is committed
}

// testCuts stops after every possible commit and checks that the next reader of
// the group starts right after what was committed.
func testCuts(t *testing.T, c Config) {
	f := setup(t, c)
	f.fill()
	for cut := range n + 1 {
		g := f.group(fmt.Sprint("cut", cut))
		r, seen := f.open(g), map[string]bool{}
		for range cut {
			d := f.next(r)
			seen[string(d.Value)] = true
			f.commit(r, d)
		}
		if cut < n {
			f.next(r) // read but never committed: must come again
		}
		f.close(r)
		if cut%4 == 3 {
			f.reopen()
		}
		r = f.open(g)
		for range n - cut {
			d := f.next(r)
			if seen[string(d.Value)] {
				t.Errorf("cut %d: message %q was committed and comes again", cut, d.Value)
			}
			seen[string(d.Value)] = true
		}
		if len(seen) != n {
			t.Errorf("cut %d: the group got %d messages, want %d", cut, len(seen), n)
		}
		f.close(r)
	}
}

// testCommitBack commits an older message after a newer one.
func testCommitBack(t *testing.T, c Config) {
	f := setup(t, c)
	p := f.own()
	for i := range n {
		rec := f.record(i)
		rec.Key = "one" // one key, so one partition
		f.append(p, rec)
	}
	r := f.open(f.group("a"))
	ds := f.nextN(r, 10)
	f.commit(r, ds[6])
	f.commit(r, ds[6])
	f.commit(r, ds[2])
	f.close(r)
	r = f.open(f.group("a"))
	if got := f.next(r); got.Offset != ds[7].Offset {
		t.Errorf("the group resumes at offset %d, want %d", got.Offset, ds[7].Offset)
	}
}

func testCommitWithoutGroup(t *testing.T, c Config) {
	f := setup(t, c)
	f.fill()
	r := f.open(bus.From{})
	first := f.next(r)
	f.commit(r, f.next(r))
	f.close(r)
	r = f.open(bus.From{})
	if got := f.next(r); got.Partition == first.Partition && got.Offset != first.Offset {
		t.Errorf("a reader without group starts at offset %d, want %d", got.Offset, first.Offset)
	}
}

// testGroupHandsOver lets a second member of a group take over from the first.
func testGroupHandsOver(t *testing.T, c Config) {
	f := setup(t, c)
	p := f.own()
	for i := range n {
		rec := f.record(i)
		rec.Key = "one"
		f.append(p, rec)
	}
	a := f.open(f.group("a"))
	ds := f.nextN(a, 3)
	f.commit(a, ds[1])
	b := f.open(f.group("a"))
	f.close(a)
	if err := a.Commit(f.ctx(), ds[2]); !errors.Is(err, oslc.Conflict) && !errors.Is(err, oslc.Unavailable) {
		t.Errorf("commit of the member that left: got %v, want kind conflict or unavailable", err)
	}
	got := f.next(b)
	if got.Offset > ds[2].Offset {
		t.Errorf("the second member starts at offset %d and misses %d", got.Offset, ds[2].Offset)
	}
	for got.Offset < ds[2].Offset {
		got = f.next(b)
	}
	for i := 3; i < n; i++ {
		if d := f.next(b); string(d.Value) != fmt.Sprint(i) {
			t.Errorf("got %q, want %d", d.Value, i)
		}
	}
}
