package bustest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/bustest"
	"github.com/oslcbus/oslcbus/oslc"
)

func TestRun(t *testing.T) { bustest.Run(t, config("")) }

func BenchmarkMemory(b *testing.B) { bustest.Benchmark(b, config("")) }

// mutantEnv names the seeded fault that TestMutant runs the suite with.
const mutantEnv = "OSLCBUS_TEST_BUSTEST_MUTANT"

// mutants are faults seeded into the log in memory, each with subtests that must
// find it: a suite is trusted only after it was seen to fail.
var mutants = map[string][]string{
	"commit one too far":          {"ResumeAtEveryCut"},
	"commit goes back":            {"CommitNeverGoesBack"},
	"cursor one too far":          {"CursorAtEveryCut", "OldOwnerIsShutOut"},
	"cursor not kept":             {"CursorAtEveryCut", "OldOwnerIsShutOut"},
	"owner not fenced":            {"OldOwnerIsShutOut"},
	"fence leaves a record":       {"OldOwnerIsShutOut"},
	"offset off by one":           {"OffsetsStartExactly"},
	"end off by one":              {"OffsetsStartExactly"},
	"out of range starts over":    {"OffsetsGone"},
	"order reversed in a batch":   {"OrderPerKey"},
	"late error after the append": {"RepeatAddsWhatIsMissing"},
	"value aliased":               {"AppendCopies"},
	"header lost":                 {"Contents"},
	"groups share commits":        {"GroupsAreIndependent"},
	"next forgets after timeout":  {"NextObeysContext"},
	"goroutine left":              {"LeavesNoGoroutine"},
}

// TestMutant is run in a process of its own by TestSuiteFails.
func TestMutant(t *testing.T) {
	fault := os.Getenv(mutantEnv)
	if fault == "" {
		t.Skip("run by TestSuiteFails in a process of its own")
	}
	c := config(fault)
	c.Wait = time.Second // a call that never ends is how some faults show
	bustest.Run(t, c)
}

func TestSuiteFails(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process for every mutant: run without -short")
	}
	for fault, finders := range mutants {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			// Only the subtests that must find it: the others may wait long for
			// what a broken log never delivers.
			for _, finder := range finders {
				cmd := exec.CommandContext(t.Context(), os.Args[0],
					"-test.run=^TestMutant$/^"+finder+"$", "-test.v", "-test.timeout=60s")
				cmd.Env = append(os.Environ(), mutantEnv+"="+fault)
				out, err := cmd.CombinedOutput()
				if err == nil || !strings.Contains(string(out), "--- FAIL: TestMutant/"+finder) {
					t.Errorf("%s does not find it: %v\n%s", finder, err, out)
				}
			}
		})
	}
}

// config opens logs in memory that outlive Close, one for each dir.
func config(fault string) bustest.Config {
	var mu sync.Mutex
	kept := map[string]*memory{}
	return bustest.Config{
		Shared: true,
		Open: func(_ testing.TB, dir string) bus.Log {
			mu.Lock()
			defer mu.Unlock()
			m := kept[dir]
			if m == nil {
				m = &memory{
					fault:  fault,
					topics: map[string][]bus.Message{},
					owners: map[string]*publisher{},
					cursor: map[string][]byte{},
					done:   map[string]int{},
					wake:   make(chan struct{}),
				}
				kept[dir] = m
			}
			return &memlog{memory: m, closed: make(chan struct{})}
		},
	}
}

// memory is what a memlog keeps.
type memory struct {
	fault string

	mu     sync.Mutex
	topics map[string][]bus.Message
	owners map[string]*publisher // by source
	cursor map[string][]byte     // by source
	done   map[string]int        // by group and topic
	wake   chan struct{}         // closed and replaced at each append
}

type memlog struct {
	*memory
	once   sync.Once
	closed chan struct{}
}

var errClosed = oslc.Errorf("memlog", oslc.Unavailable, "log is closed")

func (l *memlog) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

func (l *memlog) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memlog) Own(ctx context.Context, source string, topics ...string) (bus.Publisher, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed() {
		return nil, errClosed
	}
	p := &publisher{log: l, source: source, topics: map[string]bool{}}
	for _, t := range topics {
		p.topics[t] = true
	}
	p.cursor = l.cursor[source]
	l.owners[source] = p
	return p, ctx.Err()
}

type publisher struct {
	log    *memlog
	source string
	topics map[string]bool
	cursor []byte
}

func (p *publisher) Cursor() []byte { return p.cursor }
func (p *publisher) Close() error   { return nil }

func (p *publisher) Append(ctx context.Context, batch ...bus.Record) error {
	l := p.log
	l.mu.Lock()
	defer l.mu.Unlock()
	owned := l.owners[p.source] == p
	switch {
	case l.isClosed():
		return errClosed
	case !owned && l.fault == "fence leaves a record":
	case !owned && l.fault != "owner not fenced":
		return oslc.Errorf("memlog.append", oslc.Conflict, "source has a newer owner")
	}
	if err := ctx.Err(); err != nil && l.fault != "late error after the append" {
		return err
	}
	for _, r := range batch {
		if r.Topic != "" && !p.topics[r.Topic] {
			return oslc.Errorf("memlog.append", oslc.Invalid, "topic %s is not owned", r.Topic)
		}
	}
	for i := range batch {
		r := batch[i]
		if l.fault == "order reversed in a batch" {
			r = batch[len(batch)-1-i]
		}
		if r.Topic != "" {
			l.topics[r.Topic] = append(l.topics[r.Topic], l.clone(r.Message))
		}
		if r.Cursor != nil {
			p.cursor = append([]byte(nil), r.Cursor...)
		}
	}
	switch l.fault {
	case "cursor not kept":
	case "cursor one too far":
		if n := len(p.cursor); n > 0 {
			far := append([]byte(nil), p.cursor...)
			far[n-1]++
			l.cursor[p.source] = far
		}
	default:
		l.cursor[p.source] = p.cursor
	}
	close(l.wake)
	l.wake = make(chan struct{})
	if !owned && l.fault == "fence leaves a record" {
		return oslc.Errorf("memlog.append", oslc.Conflict, "source has a newer owner")
	}
	if l.fault == "late error after the append" {
		return ctx.Err()
	}
	return nil
}

func (l *memlog) clone(m bus.Message) bus.Message {
	if l.fault == "value aliased" {
		return m
	}
	m.Value = append([]byte(nil), m.Value...)
	m.Header = append(bus.Header(nil), m.Header...)
	if l.fault == "header lost" && len(m.Header) > 1 {
		m.Header = m.Header[:len(m.Header)-1]
	}
	return m
}

func (l *memlog) Open(ctx context.Context, topic string, from bus.From) (bus.Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosed() {
		return nil, errClosed
	}
	r := &reader{log: l, topic: topic, closed: make(chan struct{})}
	if l.fault == "goroutine left" {
		go func() { <-make(chan struct{}) }()
	}
	switch {
	case from.Group != "":
		r.group = from.Group + "/" + topic
		if l.fault == "groups share commits" {
			r.group = topic
		}
		r.next = l.done[r.group]
	case len(from.Offsets) > 0:
		r.next = int(from.Offsets[0])
		if r.next > len(l.topics[topic]) {
			if l.fault != "out of range starts over" {
				return nil, oslc.Errorf("memlog.open", oslc.Gone, "offset %d is not there", r.next)
			}
			r.next = 0
		}
		if l.fault == "offset off by one" && r.next > 0 {
			r.next--
		}
	}
	return r, ctx.Err()
}

type reader struct {
	log          *memlog
	topic, group string
	next         int
	once         sync.Once
	closed       chan struct{}
}

func (r *reader) Next(ctx context.Context) (bus.Delivery, error) {
	l := r.log
	for {
		l.mu.Lock()
		msgs, wake := l.topics[r.topic], l.wake
		l.mu.Unlock()
		select {
		case <-r.closed:
			return bus.Delivery{}, errClosed
		default:
		}
		switch {
		case l.isClosed():
			return bus.Delivery{}, errClosed
		case ctx.Err() != nil:
			if l.fault == "next forgets after timeout" {
				r.next++
			}
			return bus.Delivery{}, ctx.Err()
		case r.next < len(msgs):
			d := bus.Delivery{Message: l.clone(msgs[r.next]), Offset: int64(r.next), End: int64(len(msgs))}
			if l.fault == "end off by one" {
				d.End--
			}
			r.next++
			return d, nil
		}
		select {
		case <-ctx.Done():
		case <-l.closed:
		case <-r.closed:
		case <-wake:
		}
	}
}

func (r *reader) Commit(_ context.Context, d bus.Delivery) error {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-r.closed:
		return errClosed
	default:
	}
	if l.isClosed() {
		return errClosed
	}
	if r.group == "" {
		return nil
	}
	done := int(d.Offset) + 1
	switch l.fault {
	case "commit one too far":
		done++
	case "commit goes back":
		l.done[r.group] = done
	}
	l.done[r.group] = max(l.done[r.group], done)
	return nil
}

func (r *reader) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}
