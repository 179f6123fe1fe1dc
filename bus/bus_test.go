package bus_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openLog(tb testing.TB) *sqlite.Log {
	tb.Helper()
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "log.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db.Log()
}

func event(n, key int) *oslc.Event {
	uri := fmt.Sprintf("http://tool.example/r/%d", key)
	g := rdf.NewGraph()
	g.Node(uri).A(vocab.CMChangeRequest).String(vocab.DCTermsTitle, "a<b & \"c\"").Int("http://tool.example/ns#n", int64(n))
	return &oslc.Event{
		ID: oslc.NewID("bus", fmt.Sprint(n)), Change: oslc.Modification, Subject: uri, Sequence: fmt.Sprintf("%06d", n),
		Listener: "http://bus.example/services/tool#watcher", Time: time.Date(2026, 11, 21, 9, 0, 0, n*1e6, time.UTC),
		Types: []string{vocab.St2RuleDisabled}, Changed: []string{vocab.St2RuleStatus}, CausedBy: "urn:uuid:00000000-0000-4000-8000-000000000001",
		Hops: 1, Via: []string{"st2"}, Resource: g,
	}
}

// fill appends n events over k resources to the topic "in".
func fill(tb testing.TB, l bus.Log, n, k int) {
	tb.Helper()
	p, err := l.Own(tb.Context(), "filler", "in")
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	var batch []bus.Record
	for i := range n {
		m, err := bus.Encode(event(i, i%k), "http://bus.example/services/tool", format.Turtle)
		if err != nil {
			tb.Fatal(err)
		}
		batch = append(batch, bus.Record{Topic: "in", Message: m})
	}
	if err := p.Append(tb.Context(), batch...); err != nil {
		tb.Fatal(err)
	}
}

func readAll(tb testing.TB, l *sqlite.Log, topic string) []bus.Delivery {
	tb.Helper()
	end, err := l.End(tb.Context(), topic)
	if err != nil {
		tb.Fatal(err)
	}
	rd, err := l.Open(tb.Context(), topic, bus.From{})
	if err != nil {
		tb.Fatal(err)
	}
	defer rd.Close()
	var out []bus.Delivery
	for int64(len(out)) < end[0] {
		d, err := rd.Next(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// TestE3_EncodeDecode: what goes on the topic is one event node that any
// CloudEvents and RDF reader finds again, in every syntax.
func TestE3_EncodeDecode(t *testing.T) {
	t.Parallel()
	want := event(7, 3)
	for _, f := range format.All() {
		m, err := bus.Encode(want, "http://bus.example/services/tool", f)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"ce_specversion": "1.0", "ce_id": want.ID, "ce_source": "http://bus.example/services/tool",
			"ce_type": "net.open-services.trs.Modification", "ce_subject": want.Subject, "ce_time": "2026-11-21T09:00:00.007Z",
			"ce_dataschema": vocab.Events, "ce_partitionkey": want.Subject, "ce_sequence": "000007", "content-type": f.MediaType(),
		} {
			if got := m.Header.Get(name); got != value {
				t.Errorf("%v: %s is %q, want %q", f, name, got, value)
			}
		}
		got, err := bus.Decode(m, format.Parser{})
		if err != nil {
			t.Fatalf("%v: %v", f, err)
		}
		if a, b := nt(t, got.Graph()), nt(t, want.Graph()); a != b {
			t.Errorf("%v: read back as\n%s\nwant\n%s", f, a, b)
		}
		if got.Sequence != want.Sequence {
			t.Errorf("%v: sequence is %q", f, got.Sequence)
		}
	}
}

func nt(tb testing.TB, g *rdf.Graph) string {
	tb.Helper()
	b, err := format.Append(nil, g, format.NTriples)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good := func() bus.Message {
		m, err := bus.Encode(event(1, 1), "http://bus.example/services/tool", format.NTriples)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for name, spoil := range map[string]func(*bus.Message){
		"no CloudEvent": func(m *bus.Message) { m.Header = nil },
		"old version":   func(m *bus.Message) { m.Header.Set("ce_specversion", "0.3") },
		"not RDF":       func(m *bus.Message) { m.Header.Set("content-type", "image/png") },
		"ill-formed":    func(m *bus.Message) { m.Value = []byte("<a") },
		"empty":         func(m *bus.Message) { m.Value = nil },
		"another id":    func(m *bus.Message) { m.Header.Set("ce_id", "x") },
		"two events": func(m *bus.Message) {
			m.Value = append(m.Value, "<urn:uuid:x> <"+rdf.Type+"> <"+vocab.EventsEvent+"> .\n"...)
		},
		"event is a word": func(m *bus.Message) {
			m.Value = []byte("<http://x/> <" + rdf.Type + "> <" + vocab.EventsEvent + "> .\n")
		},
	} {
		m := good()
		spoil(&m)
		if _, err := bus.Decode(m, format.Parser{}); !errors.Is(err, oslc.Invalid) {
			t.Errorf("%s: got %v, want kind invalid", name, err)
		}
	}
}

// faultyLog makes appends fail at random, before or after they were made: the
// caller cannot tell which.
type faultyLog struct {
	*sqlite.Log
	fail func() int // 0 works, 1 fails before, 2 fails after
}

func (l *faultyLog) Own(ctx context.Context, source string, topics ...string) (bus.Publisher, error) {
	p, err := l.Log.Own(ctx, source, topics...)
	return &faultyPublisher{p, l}, err
}

type faultyPublisher struct {
	bus.Publisher
	l *faultyLog
}

var errFault = oslc.Errorf("fault", oslc.Unavailable, "answer lost")

func (p *faultyPublisher) Append(ctx context.Context, batch ...bus.Record) error {
	switch p.l.fail() {
	case 1:
		return errFault
	case 2:
		if err := p.Publisher.Append(ctx, batch...); err != nil {
			return err
		}
		return errFault
	}
	return p.Publisher.Append(ctx, batch...)
}

// TestStageOnce stops a stage at random moments, by its context and by appends of
// unknown fate, until it is through: each input must have led to its output once,
// and outputs of one key must be in the order of their inputs.
func TestStageOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := openLog(t)
		const n, k = 60, 5
		fill(t, l, n, k)
		var mu sync.Mutex
		faults := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 1, 2}), 0, 30).Draw(rt, "faults")
		log := &faultyLog{l, func() int {
			mu.Lock()
			defer mu.Unlock()
			if len(faults) == 0 {
				return 0
			}
			f := faults[0]
			faults = faults[1:]
			return f
		}}
		cuts := rapid.SliceOfN(rapid.IntRange(0, n), 0, 5).Draw(rt, "cuts")
		for round := 0; ; round++ {
			if round > 60 {
				rt.Fatal("the stage does not come through")
			}
			ctx, cancel := context.WithCancel(t.Context())
			left := -1
			if round < len(cuts) {
				left = cuts[round]
			}
			stage := &bus.Stage{
				Log: log, Name: "s", Inputs: []string{"in"}, Outputs: []string{"out"}, Parallel: 3,
				Handle: func(_ context.Context, _ string, d bus.Delivery) ([]bus.Record, error) {
					mu.Lock()
					defer mu.Unlock()
					if left == 0 {
						cancel()
					}
					left--
					if d.Offset%4 == 3 {
						return nil, nil // leads to nothing
					}
					m := bus.Message{Key: d.Key, Value: fmt.Append(nil, d.Offset)}
					m.Header.Set("ce_id", fmt.Sprint("out-", d.Offset))
					return []bus.Record{{Topic: "out", Message: m}}, nil
				},
			}
			done := make(chan error, 1)
			go func() { done <- stage.Run(ctx) }()
			err := waitFor(done, func() bool { end, _ := l.End(t.Context(), "out"); return end[0] >= n-n/4 })
			cancel()
			if err == nil {
				err = <-done
			}
			if !errors.Is(err, context.Canceled) && !errors.Is(err, oslc.Unavailable) {
				rt.Fatalf("round %d: %v", round, err)
			}
			if end, _ := l.End(t.Context(), "out"); end[0] >= n-n/4 {
				break
			}
		}
		last, seen := map[string]int{}, map[string]bool{}
		for _, d := range readAll(t, l, "out") {
			var at int
			if _, err := fmt.Sscan(string(d.Value), &at); err != nil {
				rt.Fatal(err)
			}
			if seen[string(d.Value)] {
				rt.Fatalf("output of offset %d is there twice", at)
			}
			seen[string(d.Value)] = true
			if before, ok := last[d.Key]; ok && before > at {
				rt.Fatalf("key %s: %d came after %d", d.Key, at, before)
			}
			last[d.Key] = at
		}
		if len(seen) != n-n/4 {
			rt.Fatalf("%d outputs, want %d", len(seen), n-n/4)
		}
	})
}

// waitFor returns nil once ok holds, or what comes out of done before.
func waitFor(done <-chan error, ok func() bool) error {
	tick, late := time.NewTicker(2*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case err := <-done:
			return err
		case <-tick.C:
		case <-late:
			return errors.New("nothing more happens")
		}
	}
	return nil
}

// TestStageDrains stops a stage while it handles something: that is finished and
// written, and nothing new is begun.
func TestStageDrains(t *testing.T) {
	t.Parallel()
	l := openLog(t)
	fill(t, l, 10, 10)
	ctx, cancel := context.WithCancel(t.Context())
	begun, finish := make(chan struct{}, 10), make(chan struct{})
	stage := &bus.Stage{
		Log: l, Name: "s", Inputs: []string{"in"}, Outputs: []string{"out"}, Parallel: 2,
		Handle: func(ctx context.Context, _ string, d bus.Delivery) ([]bus.Record, error) {
			begun <- struct{}{}
			<-finish
			if ctx.Err() != nil {
				t.Error("what was in work was canceled")
			}
			return []bus.Record{{Topic: "out", Message: bus.Message{Key: d.Key}}}, nil
		},
	}
	done := make(chan error, 1)
	go func() { done <- stage.Run(ctx) }()
	<-begun
	<-begun
	cancel()
	close(finish)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	if end, _ := l.End(t.Context(), "out"); end[0] != 2 {
		t.Errorf("%d outputs, want the 2 that were in work", end[0])
	}
}

// TestStageLeaves: a delivery that is left undone while a stage ends does not keep what
// is in work from being finished, and comes again.
func TestStageLeaves(t *testing.T) {
	t.Parallel()
	l := openLog(t)
	fill(t, l, 2, 2)
	var mu sync.Mutex
	handled := map[int64]int{}
	for round := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		begun, left := make(chan struct{}), make(chan struct{})
		stage := &bus.Stage{
			Log: l, Name: "s", Inputs: []string{"in"}, Outputs: []string{"out"}, Parallel: bus.Window,
			Handle: func(working context.Context, _ string, d bus.Delivery) ([]bus.Record, error) {
				mu.Lock()
				handled[d.Offset]++
				mu.Unlock()
				if round == 0 && d.Offset == 0 {
					close(begun)
					<-ctx.Done()
					close(left)
					return nil, bus.ErrLeft
				}
				if round == 0 {
					<-begun
					cancel()
					<-left
				}
				return []bus.Record{{Topic: "out", Message: bus.Message{Key: d.Key}}}, working.Err()
			},
		}
		done := make(chan error, 1)
		go func() { done <- stage.Run(ctx) }()
		if err := waitFor(done, func() bool { end, _ := l.End(t.Context(), "out"); return end[0] >= int64(round+1) }); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		} else if err == nil {
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("Run returned %v", err)
			}
		}
		cancel()
	}
	if end, _ := l.End(t.Context(), "out"); end[0] != 2 || handled[0] != 2 || handled[1] != 1 {
		t.Errorf("%d outputs, handled %v, want 2 outputs, the first delivery twice and the second once", end[0], handled)
	}
}

// TestSubscription: an event whose handler fails for good, or too often, is set
// aside with the reason and its own bytes; the others go on.
func TestSubscription(t *testing.T) {
	t.Parallel()
	l := openLog(t)
	const n, k = 40, 4
	fill(t, l, n, k)
	p, err := l.Own(t.Context(), "stranger", "in")
	if err != nil {
		t.Fatal(err)
	}
	junk := bus.Message{Key: "junk", Value: []byte("\xff no RDF")}
	if err := p.Append(t.Context(), bus.Record{Topic: "in", Message: junk}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	got, tries := map[string][]string{}, map[string]int{}
	sub := &bus.Subscription{
		Log: l, Topic: "in", Group: "g", Parallel: 4,
		Retry: bus.Retry{Attempts: 3, Min: time.Microsecond, Max: time.Millisecond},
		Handle: func(_ context.Context, e *oslc.Event) error {
			mu.Lock()
			defer mu.Unlock()
			tries[e.Sequence]++
			switch {
			case e.Sequence == "000010":
				return oslc.Errorf("tool", oslc.Invalid, "the tool says no")
			case e.Sequence == "000011":
				return oslc.Errorf("tool", oslc.Unavailable, "the tool is away")
			case e.Sequence == "000012" && tries[e.Sequence] < 3:
				return oslc.Errorf("tool", oslc.Limited, "too fast")
			}
			got[e.Subject] = append(got[e.Subject], e.Sequence)
			return nil
		},
	}
	done := make(chan error, 1)
	go func() { done <- sub.Run(ctx) }()
	if err := waitFor(done, func() bool {
		end, _ := l.End(t.Context(), "in.dlq")
		mu.Lock()
		defer mu.Unlock()
		total := 0
		for _, s := range got {
			total += len(s)
		}
		return total == n-2 && end[0] == 3
	}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	for uri, s := range got {
		if !slices.IsSorted(s) {
			t.Errorf("%s: events out of order: %v", uri, s)
		}
	}
	if tries["000010"] != 1 || tries["000011"] != 3 || tries["000012"] != 3 {
		t.Errorf("attempts: %d, %d, %d, want 1, 3, 3", tries["000010"], tries["000011"], tries["000012"])
	}
	want := map[string]string{"10": "the tool says no", "11": "the tool is away", "40": "no CloudEvent"}
	for _, d := range readAll(t, l, "in.dlq") {
		at := d.Header.Get(bus.HeaderOffset)
		if reason := d.Header.Get(bus.HeaderReason); want[at] == "" || !strings.Contains(reason, want[at]) {
			t.Errorf("dead letter of offset %s: reason %q, want %q", at, reason, want[at])
		}
		if at == "40" && (string(d.Value) != string(junk.Value) || d.Key != junk.Key) {
			t.Errorf("the dead letter holds %q under %q, want the bytes as they were", d.Value, d.Key)
		}
		delete(want, at)
	}
	if len(want) > 0 {
		t.Errorf("no dead letter for %v", want)
	}
}

// TestSubscriptionCommit holds one event back: what comes after it is handled, but
// the group's offset stays before it, so a restart delivers it again.
func TestSubscriptionCommit(t *testing.T) {
	t.Parallel()
	const n, held = 12, 3
	l := &commitLog{Log: openLog(t)}
	fill(t, l.Log, n, n)
	run := func(hold string, committed int64, handled int) map[string]bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		got := map[string]bool{}
		sub := &bus.Subscription{
			Log: l, Topic: "in", Group: "g", Parallel: n, Drain: time.Millisecond,
			Handle: func(ctx context.Context, e *oslc.Event) error {
				if e.Sequence == hold {
					<-ctx.Done()
					return ctx.Err()
				}
				mu.Lock()
				defer mu.Unlock()
				got[e.Sequence] = true
				return nil
			},
		}
		done := make(chan error, 1)
		go func() { done <- sub.Run(ctx) }()
		if err := waitFor(done, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(got) >= handled && l.committed.Load() == committed
		}); err != nil {
			t.Fatalf("%v: %d handled, committed up to %d", err, len(got), l.committed.Load())
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		return got
	}
	if got := run("000003", held-1, n-1); got["000003"] || len(got) != n-1 {
		t.Errorf("with 000003 held back came %v", got)
	}
	if got := run("", n-1, n-held); !got["000003"] || got["000002"] || len(got) != n-held {
		t.Errorf("after the restart came %v, want 000003 and what followed, and not what was committed", got)
	}
}

// commitLog is a Log that knows the last offset its readers committed.
type commitLog struct {
	bus.Log
	committed atomic.Int64
}

func (l *commitLog) Open(ctx context.Context, topic string, from bus.From) (bus.Reader, error) {
	rd, err := l.Log.Open(ctx, topic, from)
	return commitReader{rd, l}, err
}

type commitReader struct {
	bus.Reader
	log *commitLog
}

func (r commitReader) Commit(ctx context.Context, d bus.Delivery) error {
	err := r.Reader.Commit(ctx, d)
	if err == nil {
		r.log.committed.Store(d.Offset)
	}
	return err
}
