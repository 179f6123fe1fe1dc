package sqlite_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

// TestMarksOfAMigratedFile: the changes of a file of an earlier schema get the marks
// that folding them again gives.
func TestMarksOfAMigratedFile(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	defer db.Close()
	v := db.Views()
	const changes = 600 // more than one chunk
	var steps []sqlite.Step
	for i := range changes {
		steps = append(steps, sqlite.Step{Offset: int64(2 * i), Event: event(i, oslc.Creation, fmt.Sprint("http://b/x/", i))})
	}
	if err := v.Apply(t.Context(), place, steps); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "old.db")
	if err := sqlite.WriteSchema2(t.Context(), path, db); err != nil {
		t.Fatal(err)
	}
	old, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	for _, upTo := range []int64{1, 2, 3, 511, 513, trs.Newest} {
		want, err := v.Bounds(t.Context(), trstest.Set, upTo)
		if err != nil {
			t.Fatal(err)
		}
		got, err := old.Views().Bounds(t.Context(), trstest.Set, upTo)
		if err != nil || got != want || got.Mark == 0 || got.Epoch == "" {
			t.Errorf("up to %d: %+v, %v; want %+v", upTo, got, err, want)
		}
	}
}

// TestTruncateInChunks drops more than one transaction does.
func TestTruncateInChunks(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	defer db.Close()
	v := db.Views()
	const changes = 12_000
	var steps []sqlite.Step
	for i := range changes {
		e := event(i, oslc.Creation, fmt.Sprint("http://b/x/", i/2))
		e.Types = []string{"http://b/ns#Made"}
		if i%2 == 1 {
			e.Change = oslc.Deletion
		}
		steps = append(steps, sqlite.Step{Offset: int64(i), Event: e})
	}
	if err := v.Apply(t.Context(), place, steps); err != nil {
		t.Fatal(err)
	}
	before, err := v.Bounds(t.Context(), trstest.Set, trs.Newest)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Truncate(t.Context(), trstest.Set, 11_001); err != nil {
		t.Fatal(err)
	}
	after, err := v.Bounds(t.Context(), trstest.Set, trs.Newest)
	if err != nil || after.Cut != 11_001 || after.Oldest != 11_002 || after.Mark != before.Mark || after.Epoch != before.Epoch {
		t.Errorf("bounds are %+v, %v, and were %+v", after, err, before)
	}
	left, err := db.Rows(t.Context(), "view_change", "view_change_type", "view_member")
	if err != nil {
		t.Fatal(err)
	}
	if want := [3]int{999, 999, 500}; [3]int(left) != want {
		t.Errorf("rows left: %v, want %v", left, want)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cache.db")
	c, err := sqlite.OpenCache(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	p := sqlite.PagesOf(c, 1000)
	page := func(n int) (string, []byte) { return fmt.Sprint("page ", n), bytes.Repeat([]byte{byte(n)}, 100) }
	for n := range 25 {
		key, body := page(n)
		for range 2 { // twice is once
			if err := p.KeepPage(t.Context(), key, body); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range 25 {
		key, want := page(n)
		if n < 15 {
			want = nil
		}
		if got, err := p.Page(t.Context(), key); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is %x, %v; want %x", key, got, err, want)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = sqlite.OpenCache(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p = sqlite.PagesOf(c, 1000)
	key, body := page(30)
	if err := p.KeepPage(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
	if key, _ := page(15); true {
		if got, err := p.Page(t.Context(), key); got != nil || err != nil {
			t.Errorf("after a restart the oldest page stays: %x, %v", got, err)
		}
	}
	if key, want := page(24); true {
		if got, err := p.Page(t.Context(), key); !bytes.Equal(got, want) || err != nil {
			t.Errorf("after a restart %s is %x, %v", key, got, err)
		}
	}
}

// TestContradictions finds rows that something else has changed.
func TestContradictions(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	defer db.Close()
	v := db.Views()
	var steps []sqlite.Step
	for i := range 6 {
		steps = append(steps, sqlite.Step{Offset: int64(i), Event: event(i, oslc.Creation, fmt.Sprint("http://b/x/", i))})
	}
	gone := event(6, oslc.Deletion, "http://b/x/5")
	again := event(7, oslc.Creation, "http://b/x/5")
	steps = append(steps, sqlite.Step{Offset: 6, Event: gone}, sqlite.Step{Offset: 7, Event: again}, sqlite.Step{Offset: 8, Event: event(8, oslc.Deletion, "http://b/x/0")})
	if err := v.Apply(t.Context(), place, steps); err != nil {
		t.Fatal(err)
	}
	look := func(want ...string) {
		t.Helper()
		got, err := v.Contradictions(t.Context(), trstest.Set, 10)
		if err != nil || !slices.Equal(slices.Compact(got), want) {
			t.Errorf("found %v, %v; want %v", got, err, want)
		}
	}
	look()
	for _, text := range []string{
		`DELETE FROM view_member WHERE since=2`,
		`UPDATE view_member SET until=7 WHERE since=3`,
		`UPDATE view_member SET until=NULL WHERE since=1`,
		`UPDATE view_resource SET deleted=1 WHERE uri='http://b/x/3'`,
	} {
		if err := db.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	look("http://b/x/0", "http://b/x/1", "http://b/x/2", "http://b/x/3")
	if got, err := v.Contradictions(t.Context(), trstest.Set, 1); err != nil || len(got) != 1 {
		t.Errorf("of several one is %v, %v", got, err)
	}
}
