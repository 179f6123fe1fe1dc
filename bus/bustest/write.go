package bustest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// inOrder checks that values holds 0 to count-1 once each, in order per key, and
// in one order where the topic has one partition.
func inOrder(t *testing.T, c Config, count int, values []string) {
	t.Helper()
	last, seen := map[int]int{}, map[int]bool{}
	for at, v := range values {
		i, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		if seen[i] {
			t.Errorf("message %d came twice", i)
		}
		seen[i] = true
		key := i % 3
		if prev, ok := last[key]; ok && i < prev {
			t.Errorf("key %d: message %d came after %d", key, i, prev)
		}
		last[key] = i
		if c.Partitions == 1 && i != at {
			t.Errorf("place %d of the topic has message %d", at, i)
		}
	}
	if len(seen) != count {
		t.Errorf("got %d different messages, want %d", len(seen), count)
	}
}

func testOrderPerKey(t *testing.T, c Config) {
	f := setup(t, c)
	f.fill()
	inOrder(t, c, n, f.values(n))
	f.reopen()
	inOrder(t, c, n, f.values(n))
}

// testContents checks that a message comes back as it was appended, whatever
// bytes it has.
func testContents(t *testing.T, c Config) {
	f := setup(t, c)
	big := bytes.Repeat([]byte("0123456789abcde\n"), 900<<10/16)
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	want := []bus.Message{
		{Key: "a", Value: []byte("plain")},
		{Key: "a", Value: nil},
		{Key: "a", Value: []byte("\xff\xfe\x00not UTF-8")},
		{Key: "a", Value: binary},
		{Key: "a", Value: big},
		{Key: "a/ключ\x00\xff", Value: []byte("odd key"), Header: bus.Header{{Name: "ce_id", Value: "7"}}},
		{Key: "", Value: []byte("no key")},
		{Key: "a", Value: []byte("headers"), Header: bus.Header{
			{Name: "ce_specversion", Value: "1.0"},
			{Name: "ce_id", Value: "x"},
			{Name: "content-type", Value: "application/rdf+xml"},
			{Name: "empty", Value: ""},
			{Name: "ce_subject", Value: "ünïcode \u2028 and \xff"},
			{Name: "aaa", Value: "headers keep their order"},
			{Name: "long", Value: strings.Repeat("h", 10_000)},
			{Name: bus.HeaderReason, Value: "the bus's own names are no driver's"},
			{Name: "oslcbus_target", Value: "t"},
		}},
	}
	p := f.own()
	for i, m := range want {
		if i%2 == 0 || len(m.Value) > 1<<10 {
			f.append(p, bus.Record{Topic: f.topic(), Message: m})
			continue
		}
		// Every second one shares its batch with one of another key.
		f.append(p, bus.Record{Topic: f.topic(), Message: m}, bus.Record{Cursor: cursor(i)})
	}
	f.close(p)
	f.reopen()
	r := f.open(bus.From{})
	got := map[string]bus.Message{}
	for _, d := range f.nextN(r, len(want)) {
		m := d.Message
		got[fmt.Sprintf("%q %d %d", m.Key, len(m.Header), len(m.Value))] = m
	}
	for _, m := range want {
		g, ok := got[fmt.Sprintf("%q %d %d", m.Key, len(m.Header), len(m.Value))]
		if !ok {
			t.Errorf("no message with key %q, %d headers and %d bytes", m.Key, len(m.Header), len(m.Value))
			continue
		}
		if !bytes.Equal(g.Value, m.Value) {
			t.Errorf("value of %d bytes (%.20q) changed on the way", len(m.Value), m.Value)
		}
		if len(m.Header) == 0 && len(g.Header) == 0 {
			continue
		}
		if diff := cmp.Diff(m.Header, g.Header); diff != "" {
			t.Errorf("headers of key %q (-want +got):\n%s", m.Key, diff)
		}
	}
}

// testAppendCopies overwrites what it appended: the log must not change.
func testAppendCopies(t *testing.T, c Config) {
	f := setup(t, c)
	p := f.own()
	rec := f.record(0)
	f.append(p, rec)
	copy(rec.Value, "XXXX")
	copy(rec.Cursor, "XXXXXXX")
	rec.Header[0].Value = "overwritten"
	if got := f.values(1); got[0] != "0" {
		t.Errorf("the log shares memory with its caller: value is %q", got[0])
	}
	if got, want := f.own().Cursor(), cursor(0); !bytes.Equal(got, want) {
		t.Errorf("the log shares memory with its caller: cursor is %q, want %q", got, want)
	}
	r1, r2 := f.open(bus.From{}), f.open(bus.From{})
	d := f.next(r1)
	copy(d.Value, "YYYY")
	if len(d.Header) > 0 {
		d.Header[0].Value = "overwritten"
	}
	if got := f.next(r2); string(got.Value) != "0" || got.ID() == "overwritten" {
		t.Errorf("two readers share memory: value is %q, id %q", got.Value, got.ID())
	}
}

// testBatchOfTopics appends batches that go to several topics.
func testBatchOfTopics(t *testing.T, c Config) {
	f := setup(t, c)
	topics := []string{f.named("a"), f.named("b"), f.named("c")}
	p := f.ownAs(f.source(), topics...)
	for i := 0; i < n; i += 5 {
		var batch []bus.Record
		for j := i; j < i+5; j++ {
			batch = append(batch, f.recordOf(f.source(), topics[j%3], j))
		}
		f.append(p, batch...)
	}
	for k, topic := range topics {
		r := f.openTopic(topic, bus.From{})
		for i := k; i < n; i += 3 {
			if got := string(f.next(r).Value); got != fmt.Sprint(i) {
				t.Errorf("topic %d: got %q, want %d", k, got, i)
			}
		}
		f.nothing(r)
	}
	if got, want := f.ownAs(f.source(), topics...).Cursor(), cursor(n-1); !bytes.Equal(got, want) {
		t.Errorf("cursor is %q, want %q", got, want)
	}
}

// testForeignTopic appends to a topic that was not named to Own: nobody was shut
// out of it, so it must be refused, and the batch with it.
func testForeignTopic(t *testing.T, c Config) {
	f := setup(t, c)
	p := f.own()
	err := p.Append(f.ctx(), f.record(0), f.recordOf(f.source(), f.named("other"), 1))
	if !errors.Is(err, oslc.Invalid) {
		t.Errorf("append to a topic that is not owned: got %v, want kind invalid", err)
	}
	f.append(p, f.records(0, 3)...)
	inOrder(t, c, 3, f.values(3))
}

// testConcurrentSources lets several sources write into one topic at once.
func testConcurrentSources(t *testing.T, c Config) {
	f := setup(t, c)
	const sources = 4
	var wg sync.WaitGroup
	for s := range sources {
		wg.Go(func() {
			name := f.named(fmt.Sprint("source", s))
			p, err := f.log.Own(f.ctx(), name, f.topic())
			if err != nil {
				t.Errorf("own: %v", err)
				return
			}
			for i := range n {
				if err := p.Append(f.ctx(), f.recordOf(name, f.topic(), i)); err != nil {
					t.Errorf("append: %v", err)
					return
				}
			}
			if err := p.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	r := f.open(bus.From{})
	got := map[string][]string{}
	for _, d := range f.nextN(r, sources*n) {
		source := d.Header.Get("ce_source")
		got[source] = append(got[source], string(d.Value))
	}
	f.nothing(r)
	if len(got) != sources {
		t.Errorf("messages of %d sources, want %d", len(got), sources)
	}
	for _, values := range got {
		inOrder(t, c, n, values)
	}
}
