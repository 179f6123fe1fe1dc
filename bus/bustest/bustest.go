// Package bustest is the conformance suite that every bus.Log must pass.
//
// A driver's own test calls Run, and Benchmark if it wants numbers:
//
//	func TestLog(t *testing.T) {
//		bustest.Run(t, bustest.Config{Open: open})
//	}
package bustest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/bus"
)

// Config tells the suite how to make the log under test.
type Config struct {
	// Open returns the log kept under dir. Calling it again with the same dir,
	// after Close, must give back what was appended. The suite names topics,
	// sources and groups after dir, so logs of different dirs may share a server.
	Open func(tb testing.TB, dir string) bus.Log

	// Shared says that Open may be called again with a dir whose log is still
	// open: several programs use one log.
	Shared bool

	// Partitions is the number of partitions of a topic that the log makes; 0
	// means 1. Order is then checked per key.
	Partitions int

	// Wait bounds every single call that must succeed; 0 means 30 s, which is
	// long because a loaded machine is slow.
	Wait time.Duration
}

// Run runs every test of the suite as a subtest. t must not be parallel: the
// first subtest looks for goroutines that a closed log left behind, and can't
// tell them from those of a test that runs beside it.
func Run(t *testing.T, c Config) {
	if c.Partitions == 0 {
		c.Partitions = 1
	}
	if c.Wait == 0 {
		c.Wait = 30 * time.Second
	}
	t.Run("LeavesNoGoroutine", func(t *testing.T) { testGoroutines(t, c) })
	for _, tt := range []struct {
		name string
		fn   func(*testing.T, Config)
	}{
		// Writing.
		{"OrderPerKey", testOrderPerKey},
		{"Contents", testContents},
		{"AppendCopies", testAppendCopies},
		{"BatchOfTopics", testBatchOfTopics},
		{"ForeignTopic", testForeignTopic},
		{"ConcurrentSources", testConcurrentSources},
		// Ownership and cursors.
		{"OldOwnerIsShutOut", testOwner},
		{"OwnersInARow", testOwnersInARow},
		{"OwnersFight", testOwnersFight},
		{"OwnersOfTwoLogs", testOwnersOfTwoLogs},
		{"SourcesAreIndependent", testSourcesAreIndependent},
		{"CursorAtEveryCut", testCursor},
		{"CursorBytes", testCursorBytes},
		{"RepeatAddsWhatIsMissing", testRepeat},
		// Reading.
		{"OffsetsStartExactly", testOffsets},
		{"OffsetsGone", testOffsetsGone},
		{"ReaderSeesLaterAppends", testLaterAppends},
		{"ReadersAreIndependent", testReaders},
		{"NextObeysContext", testContext},
		// Groups.
		{"GroupsAreIndependent", testGroups},
		{"ResumeAtEveryCut", testCuts},
		{"CommitNeverGoesBack", testCommitBack},
		{"CommitWithoutGroup", testCommitWithoutGroup},
		{"GroupHandsOver", testGroupHandsOver},
		// Ends.
		{"CloseTwice", testCloseTwice},
		{"CloseEndsNext", testCloseEndsNext},
		{"ClosedReader", testClosedReader},
	} {
		t.Run(tt.name, func(t *testing.T) { t.Parallel(); tt.fn(t, c) })
	}
}

// n is the number of messages of most tests: enough for seven of each of three
// keys, few enough to reopen a log after each.
const n = 20

// A fixture is a log with the names that one test uses in it.
type fixture struct {
	t   *testing.T
	c   Config
	dir string
	tag string
	log bus.Log
}

func setup(t *testing.T, c Config) *fixture {
	t.Helper()
	f := &fixture{t: t, c: c, dir: t.TempDir()}
	sum := sha256.Sum256([]byte(f.dir + time.Now().String()))
	f.tag = hex.EncodeToString(sum[:6])
	f.log = c.Open(t, f.dir)
	t.Cleanup(func() {
		if err := f.log.Close(); err != nil {
			t.Errorf("closing the log: %v", err)
		}
	})
	return f
}

// reopen closes the log and opens what it left behind.
func (f *fixture) reopen() {
	f.t.Helper()
	if err := f.log.Close(); err != nil {
		f.t.Fatalf("closing the log: %v", err)
	}
	f.log = f.c.Open(f.t, f.dir)
}

func (f *fixture) topic() string  { return f.named("events") }
func (f *fixture) source() string { return f.named("source") }

func (f *fixture) named(name string) string { return name + "-" + f.tag }

// ctx bounds one call.
func (f *fixture) ctx() context.Context {
	ctx, cancel := context.WithTimeout(f.t.Context(), f.c.Wait)
	f.t.Cleanup(cancel)
	return ctx
}

func (f *fixture) own() bus.Publisher {
	f.t.Helper()
	return f.ownAs(f.source(), f.topic())
}

func (f *fixture) ownAs(source string, topics ...string) bus.Publisher {
	f.t.Helper()
	p, err := f.log.Own(f.ctx(), source, topics...)
	if err != nil {
		f.t.Fatalf("own %s: %v", source, err)
	}
	return p
}

func (f *fixture) append(p bus.Publisher, batch ...bus.Record) {
	f.t.Helper()
	if err := p.Append(f.ctx(), batch...); err != nil {
		f.t.Fatalf("append: %v", err)
	}
}

// fill appends the messages 0 to n-1, in batches of different sizes.
func (f *fixture) fill() {
	f.t.Helper()
	p := f.own()
	for i, size := 0, 1; i < n; size = size%4 + 1 {
		batch := f.records(i, min(i+size, n))
		f.append(p, batch...)
		i += len(batch)
	}
	f.close(p)
}

func (f *fixture) close(c interface{ Close() error }) {
	f.t.Helper()
	if err := c.Close(); err != nil {
		f.t.Errorf("closing %T: %v", c, err)
	}
}

// record is message i of the test's source, with the cursor after it.
func (f *fixture) record(i int) bus.Record { return f.recordOf(f.source(), f.topic(), i) }

func (f *fixture) recordOf(source, topic string, i int) bus.Record {
	return bus.Record{
		Topic: topic,
		Message: bus.Message{
			Key:   fmt.Sprint(source, "/k", i%3),
			Value: fmt.Append(nil, i),
			Header: bus.Header{
				{Name: "ce_id", Value: fmt.Sprint(source, "/", i)},
				{Name: "ce_source", Value: source},
				{Name: "ce_type", Value: "test"},
				{Name: "ce_specversion", Value: "1.0"},
			},
		},
		Cursor: cursor(i),
	}
}

func (f *fixture) records(from, to int) []bus.Record {
	var batch []bus.Record
	for i := from; i < to; i++ {
		batch = append(batch, f.record(i))
	}
	return batch
}

// cursor names message i so that cursors sort as the messages do.
func cursor(i int) []byte { return fmt.Appendf(nil, "c%06d", i) }

func (f *fixture) open(from bus.From) bus.Reader {
	f.t.Helper()
	return f.openTopic(f.topic(), from)
}

func (f *fixture) openTopic(topic string, from bus.From) bus.Reader {
	f.t.Helper()
	r, err := f.log.Open(f.ctx(), topic, from)
	if err != nil {
		f.t.Fatalf("open %s: %v", topic, err)
	}
	f.t.Cleanup(func() { r.Close() })
	return r
}

// group names a group of the test.
func (f *fixture) group(name string) bus.From { return bus.From{Group: f.named(name)} }

func (f *fixture) next(r bus.Reader) bus.Delivery {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), f.c.Wait)
	defer cancel()
	d, err := r.Next(ctx)
	if err != nil {
		f.t.Fatalf("next: %v", err)
	}
	return d
}

func (f *fixture) nextN(r bus.Reader, count int) []bus.Delivery {
	f.t.Helper()
	var ds []bus.Delivery
	for range count {
		ds = append(ds, f.next(r))
	}
	return ds
}

func (f *fixture) commit(r bus.Reader, d bus.Delivery) {
	f.t.Helper()
	if err := r.Commit(f.ctx(), d); err != nil {
		f.t.Fatalf("commit %d: %v", d.Offset, err)
	}
}

// nothing checks that no message follows: the reader has met the end.
func (f *fixture) nothing(r bus.Reader) {
	f.t.Helper()
	// Long enough for a message that is there to arrive in most cases; a log that
	// passes by luck fails in the next run.
	ctx, cancel := context.WithTimeout(f.t.Context(), 50*time.Millisecond)
	defer cancel()
	if d, err := r.Next(ctx); err == nil {
		f.t.Errorf("message %q at offset %d follows, want none", d.Value, d.Offset)
	}
}

// values reads count messages of the test's topic from its beginning and checks
// that there are no more.
func (f *fixture) values(count int) []string {
	f.t.Helper()
	r := f.open(bus.From{})
	defer r.Close()
	var got []string
	for _, d := range f.nextN(r, count) {
		got = append(got, string(d.Value))
	}
	f.nothing(r)
	return got
}
