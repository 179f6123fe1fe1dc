package mongodb

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

func mustDoc(tb testing.TB, s string) Doc {
	tb.Helper()
	d, err := DocFromJSON([]byte(s))
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestFragments(t *testing.T) {
	t.Parallel()
	part := func(n, of int, rest string) Doc {
		return mustDoc(t, fmt.Sprintf(`{"_id":{"_data":"T%d"},"splitEvent":{"fragment":%d,"of":%d},%s}`, n, n, of, rest))
	}
	var f fragments
	for i, p := range []Doc{
		part(1, 3, `"operationType":"update","ns":{"db":"d","coll":"c"}`),
		part(2, 3, `"fullDocument":{"_id":1,"a":2}`),
	} {
		if _, whole, err := f.add(p); whole || err != nil {
			t.Fatalf("part %d: whole %v, %v", i+1, whole, err)
		}
		if !f.open() {
			t.Fatalf("part %d does not leave the event open", i+1)
		}
	}
	event, whole, err := f.add(part(3, 3, `"documentKey":{"_id":1}`))
	if err != nil || !whole || f.open() {
		t.Fatalf("the last part: whole %v, open %v, %v", whole, f.open(), err)
	}
	var dec changeDecoder
	c, err := dec.decode(event)
	if err != nil {
		t.Fatal(err)
	}
	// A place within the event would make the server end it differently after a
	// restart: only the last token counts.
	if c.At.Token != "T3" || c.Op != OpUpdate || c.Collection != "c" || c.Full.String() != `{"_id":1,"a":2}` {
		t.Errorf("joined to %s", event)
	}
	plain := mustDoc(t, `{"_id":{"_data":"T4"},"operationType":"insert"}`)
	if got, whole, err := f.add(plain); err != nil || !whole || !bytes.Equal(got, plain) {
		t.Errorf("an event in one part: %s, %v, %v", got, whole, err)
	}
	if _, _, err := f.add(part(2, 3, `"x":1`)); err == nil {
		t.Error("a second part without a first is taken")
	}
	if _, _, err := f.add(part(1, 2, `"x":1`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.add(plain); err == nil {
		t.Error("an event within another is taken")
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[0-9A-Fa-f]{0,40}`)
		b := bookmark{
			comparing: rapid.Bool().Draw(t, "comparing"),
			set:       word.Draw(t, "set"), shape: word.Draw(t, "shape"), epoch: word.Draw(t, "epoch"),
			at: Place{Time: ClusterTime(rapid.Uint64().Draw(t, "time")), Token: "T" + word.Draw(t, "token")},
		}
		got, err := parseCursor(b.cursor())
		if err != nil {
			t.Fatal(err)
		}
		if got != b {
			t.Fatalf("%q reads as %+v, want %+v", b.cursor(), got, b)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte("m1 live 0011 65aa 0000000100000002 8265 -"))
	f.Add([]byte("m1 comparing - - 0000000100000002 8265 3"))
	f.Add([]byte("m2 live"))
	f.Fuzz(func(t *testing.T, b []byte) {
		mark, err := parseCursor(b)
		if err != nil {
			return
		}
		again, err := parseCursor(mark.cursor())
		if err != nil || again != mark {
			t.Errorf("%q reads as %+v, and then as %+v, %v", b, mark, again, err)
		}
	})
}

// Bytes that are not BSON must end a document, not the process.
func FuzzDoc(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1,"b":{"c":[1,"x",{"d":null}]}}`, `{"a":{"$binary":{"base64":"AAAA","subType":"04"}},"b":{"$date":"2026-11-21T00:00:00Z"}}`,
		`{"a":{"$regularExpression":{"pattern":"x","options":"i"}},"b":{"$numberDecimal":"1.5"},"c":{"$oid":"6b014f3d9e7dc9298d81121f"}}`,
	} {
		d, err := DocFromJSON([]byte(s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(d))
		f.Add([]byte(d[:len(d)/2]))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		d := Doc(b)
		for key, v := range d.All() {
			_ = d.Lookup(key + ".0." + key)
			_, _ = v.Text(), v.JSON()
			_, _ = v.Time(), v.Strings()
			_, _ = v.Bool()
			_, _ = v.Int()
		}
		delta := Delta{Set: d, Unset: d, Truncated: d}
		_, _ = delta.Apply(d)
		_, _ = (&Delta{Set: d}).Apply(d.Pick("a", "b"))
		var dec changeDecoder
		_, _ = dec.decode(d)
		_, _ = decodeHeld("d\x00\x02key", b)
	})
}

func TestHeld_encode(t *testing.T) {
	t.Parallel()
	h := &held{key: copyKey(3, mustDoc(t, `{"_id":"x"}`).field("_id")), doc: mustDoc(t, `{"_id":"x","a":1}`), at: Place{5, "T"}}
	h.modified = h.at.Time.Wall().Add(1234567)
	h.modified = h.modified.Truncate(1e6)
	got, err := decodeHeld(h.key, h.encode())
	if err != nil {
		t.Fatal(err)
	}
	if got.key != h.key || !bytes.Equal(got.doc, h.doc) || got.at != h.at || !got.modified.Equal(h.modified) {
		t.Errorf("got %+v, want %+v", got, h)
	}
	for cut := range h.encode() {
		if _, err := decodeHeld(h.key, h.encode()[:cut]); err == nil {
			t.Errorf("a copy that is cut after %d bytes is taken", cut)
		}
	}
}

// Memory keeps to its limit, and what the cache does not have yet is not let go.
func TestCopies_limit(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	fill := func(c *copies) {
		for i := range 2000 {
			id := mustDoc(t, fmt.Sprintf(`{"_id":"%d"}`, i)).field("_id")
			c.put(&held{key: copyKey(0, id), doc: mustDoc(t, fmt.Sprintf(`{"_id":"%d","x":"%s"}`, i, strings.Repeat("x", 100)))}, false)
		}
	}
	first := copyKey(0, mustDoc(t, `{"_id":"0"}`).field("_id"))
	c := newCopies(nil, limit)
	fill(c)
	size := 0
	for _, m := range []map[string]*held{c.young, c.old} {
		for _, h := range m {
			size += h.size
		}
	}
	if size > limit+limit/10 {
		t.Errorf("%d bytes are held, the limit is %d", size, limit)
	}
	if c.peek(first) != nil {
		t.Error("the oldest copy is still there")
	}
	withCache := newCopies(nopCache{}, limit)
	fill(withCache)
	if withCache.peek(first) == nil {
		t.Error("a copy that is not saved is gone")
	}
	writes, saved := withCache.toSave()
	if len(writes) != 2000 {
		t.Errorf("%d copies are to be saved", len(writes))
	}
	withCache.saved(saved)
	if withCache.unsavedSize != 0 || len(withCache.unsaved) != 0 {
		t.Errorf("%d copies of %d bytes wait after the save", len(withCache.unsaved), withCache.unsavedSize)
	}
}

type nopCache struct{ adapters.Cache }

func TestPlace_readTime(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]ClusterTime{
		// A change, a high-water mark, and tokens that are not MongoDB's.
		"826B014F2E000000012B022C0100296E5A100441CB2F626E544E12AF760DEE3367B7F646645F696400646B014F2E5E32794154D859D30004": NewClusterTime(0x6B014F2E, 1),
		"826B014F2E000000012B0229296E04": NewClusterTime(0x6B014F2E, 0),
		"0001":                           NewClusterTime(0x6B014F2E, 1),
	} {
		p := Place{Time: NewClusterTime(0x6B014F2E, 1), Token: token}
		if got := p.readTime(); got != want {
			t.Errorf("%s is read at %x, want %x", token, got, want)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	from := Position{Place: Place{1, "82"}}
	for code, want := range map[int32]oslc.Kind{
		286: oslc.Gone, 260: oslc.Gone, 280: oslc.Gone, 136: oslc.Gone, 50811: oslc.Gone, 9: oslc.Gone,
		13: oslc.Denied, 18: oslc.Denied, 40573: oslc.Invalid,
		43: oslc.Unavailable, 91: oslc.Unavailable, 189: oslc.Unavailable, 10107: oslc.Unavailable, 11600: oslc.Unavailable,
		2: oslc.Internal, 10334: oslc.Internal,
	} {
		err := classifyResume("op", mongo.CommandError{Code: code, Message: "m"}, from)
		if got := oslc.KindOf(err); got != want {
			t.Errorf("code %d is %s, want %s", code, got, want)
		}
		if errors.Is(err, ErrTooLarge) != (code == 10334) || errors.Is(err, ErrTokenNotFound) != (code == 280) {
			t.Errorf("code %d is taken for something else: %v", code, err)
		}
	}
	if got := oslc.KindOf(classifyResume("op", mongo.CommandError{Code: 9}, Position{})); got != oslc.Internal {
		t.Errorf("a command that is not understood is %s without a token", got)
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	const uri = "mongodb://someone:p%40ss@host/?x=1"
	got := redact(errors.New(`bad uri "mongodb://someone:p%40ss@host/?x=1", user someone with p@ss`), uri).Error()
	if diff := cmp.Diff(`bad uri "<uri>", user <secret> with <secret>`, got); diff != "" {
		t.Error(diff)
	}
}
