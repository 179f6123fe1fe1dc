package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
)

// What comes back from a file is what was appended, whatever it was compressed to.
func TestPackedRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	value := rapid.OneOf(
		rapid.Just([]byte(nil)), rapid.Just([]byte{}), rapid.SliceOfN(rapid.Byte(), 0, 300),
		rapid.Custom(func(t *rapid.T) []byte {
			return []byte(strings.Repeat(rapid.String().Draw(t, "text"), rapid.IntRange(1, 2000).Draw(t, "times")))
		}))
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run))
		var want []bus.Message
		for range rapid.IntRange(1, 8).Draw(rt, "records") {
			m := bus.Message{Key: rapid.String().Draw(rt, "key"), Value: value.Draw(rt, "value")}
			for range rapid.IntRange(0, 3).Draw(rt, "fields") {
				m.Header = append(m.Header, bus.Field{Name: rapid.String().Draw(rt, "name"), Value: rapid.String().Draw(rt, "text")})
			}
			want = append(want, m)
		}
		db, err := sqlite.Open(t.Context(), path)
		if err != nil {
			rt.Fatal(err)
		}
		appendAll(rt, db, want)
		if err := db.Close(); err != nil {
			rt.Fatal(err)
		}
		if db, err = sqlite.Open(t.Context(), path); err != nil { // with nothing in memory
			rt.Fatal(err)
		}
		defer db.Close()
		got, err := readAll(t.Context(), db, len(want))
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("(-appended +read)\n%s", diff)
		}
	})
}

// Records of a release that did not compress them are read as they are, with those
// that come after them.
func TestPlainRecords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	err := sqlite.WriteSchema1(t.Context(), path, `
		INSERT INTO log_topic(id, name, next) VALUES (7, 'topic', 2);
		INSERT INTO log_record(id, time, key, header, value) VALUES
			(7<<40, 1, 'a', x'016e0176', CAST('`+strings.Repeat("x", 400)+`' AS BLOB)),
			((7<<40)+1, 1, 'b', x'', NULL)`)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	added := bus.Message{Key: "c", Value: []byte(strings.Repeat("y", 400))}
	appendAll(t, db, []bus.Message{added})
	want := []bus.Message{
		{Key: "a", Header: bus.Header{{Name: "n", Value: "v"}}, Value: []byte(strings.Repeat("x", 400))},
		{Key: "b"},
		added,
	}
	got, err := readAll(t.Context(), db, len(want))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v (-want +got)\n%s", err, diff)
	}
}

// A record that the disk gives back other than it was is an error that says where.
func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("what an event says ", 50))
	appendAll(t, db, []bus.Message{{Key: "a", Value: text}, {Key: "b", Value: text}})
	stored, err := db.StoredValue(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) > len(text)/4 {
		t.Errorf("%d bytes are stored as %d", len(text), len(stored))
	}
	for i := 0; i < len(stored); i += 7 {
		damaged := slices.Clone(stored)
		damaged[i] ^= 0x10
		if err := db.StoreValue(t.Context(), 1, damaged); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if db, err = sqlite.Open(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t.Context(), db, 2)
		if err == nil && string(got[1].Value) == string(text) {
			continue // a bit that says nothing
		}
		if !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), "topic at offset 1") {
			t.Fatalf("byte %d of %d changed: %v, %v", i, len(stored), got, err)
		}
	}
	_ = db.Close()
}

type fatal interface {
	Helper()
	Fatal(args ...any)
	Context() context.Context
}

func appendAll(t fatal, db *sqlite.DB, messages []bus.Message) {
	t.Helper()
	p, err := db.Log().Own(t.Context(), "source", "topic")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var batch []bus.Record
	for _, m := range messages {
		batch = append(batch, bus.Record{Topic: "topic", Message: m})
	}
	if err := p.Append(t.Context(), batch...); err != nil {
		t.Fatal(err)
	}
}

// readAll reads the first n records of the topic.
func readAll(ctx context.Context, db *sqlite.DB, n int) ([]bus.Message, error) {
	rd, err := db.Log().Open(ctx, "topic", bus.From{})
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	var out []bus.Message
	for range n {
		d, err := rd.Next(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, d.Message)
	}
	return out, nil
}
