package kafka_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/oslc"
)

// countingHandler counts log lines by message.
type countingHandler struct {
	slog.Handler
	mu    sync.Mutex
	lines map[string]int
}

func (h *countingHandler) logger() *slog.Logger { return slog.New(h) }

func (h *countingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *countingHandler) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lines == nil {
		h.lines = map[string]int{}
	}
	h.lines[r.Message]++
	return nil
}

func (h *countingHandler) count(message string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lines[message]
}

// A second member comes and each gets a part of the partitions. What the first one
// had of the others, it can't commit any more.
func TestGeneration(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		const partitions = 6
		cfg := kafka.Config{Brokers: []string{addr}, Partitions: partitions, SessionTimeout: 6 * time.Second}
		l := open(t, cfg, kafka.Options{})
		source, topic := name+"-gen", name+"-gen"
		p := own(t, l, source, topic)
		const total = 60
		if err := p.Append(within(t), changes(source, topic, 0, total)...); err != nil {
			t.Fatal(err)
		}
		from := bus.From{Group: name + "-group"}
		first, err := l.Open(within(t), topic, from)
		if err != nil {
			t.Fatal(err)
		}
		newest := map[int32]bus.Delivery{}
		for range total {
			d, err := first.Next(within(t))
			if err != nil {
				t.Fatal(err)
			}
			newest[d.Partition] = d
		}
		second, err := l.Open(within(t), topic, from)
		if err != nil {
			t.Fatal(err)
		}
		// Both read from now on; a group forms only when its members take part.
		got := map[int32]bool{}
		var mu sync.Mutex
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		read := func(r bus.Reader, parts map[int32]bool) {
			for {
				d, err := r.Next(ctx)
				if err != nil {
					return
				}
				mu.Lock()
				parts[d.Partition] = true
				mu.Unlock()
			}
		}
		wg.Go(func() { read(first, map[int32]bool{}) })
		wg.Go(func() { read(second, got) })
		defer wg.Wait()
		defer cancel()
		var lost, kept int
		for deadline := time.Now().Add(30 * time.Second); ; <-time.After(20 * time.Millisecond) {
			mu.Lock()
			moved := len(got)
			mu.Unlock()
			if moved > 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the second member gets no partition")
			}
		}
		mu.Lock()
		for part, d := range newest {
			if !got[part] {
				continue
			}
			err := first.Commit(within(t), d)
			switch {
			case errors.Is(err, oslc.Conflict):
				lost++
			default:
				t.Errorf("commit of partition %d, which the second member has: got %v, want kind conflict", part, err)
			}
			kept++
		}
		mu.Unlock()
		if lost == 0 || kept == partitions && len(newest) == partitions {
			t.Errorf("%d partitions moved of %d", kept, len(newest))
		}
	})
}

// Members come and go while a source writes: every change is handled at least
// once, and what is committed never goes back.
func TestGroupChurn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		l := open(t, kafka.Config{Brokers: []string{addr}, Partitions: 4}, kafka.Options{})
		source, topic := name+"-churn", name+"-churn"
		p := own(t, l, source, topic)
		const total = 800
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; i < total; i += 10 {
				if err := p.Append(within(t), changes(source, topic, i, i+10)...); err != nil {
					t.Errorf("append: %v", err)
					return
				}
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		var mu sync.Mutex
		seen, committed := map[int]bool{}, map[int32]int64{}
		var done atomic.Bool
		member := func(k int) {
			rng := rand.New(rand.NewPCG(uint64(k), 1))
			for ctx.Err() == nil && !done.Load() {
				r, err := l.Open(ctx, topic, bus.From{Group: name + "-churn"})
				if err != nil {
					return
				}
				for n := 50 + rng.IntN(200); n > 0 && !done.Load(); n-- {
					short, stop := context.WithTimeout(ctx, time.Second)
					d, err := r.Next(short)
					stop()
					if err != nil {
						break
					}
					i, err := strconv.Atoi(string(d.Value))
					if err != nil {
						t.Error(err)
					}
					err = r.Commit(ctx, d)
					mu.Lock()
					seen[i] = true
					switch {
					case err == nil:
						committed[d.Partition] = max(committed[d.Partition], d.Offset)
					case !errors.Is(err, oslc.Conflict) && !errors.Is(err, oslc.Unavailable):
						t.Errorf("commit: %v", err)
					}
					if len(seen) == total {
						done.Store(true)
					}
					mu.Unlock()
				}
				_ = r.Close()
			}
		}
		for k := range 3 {
			wg.Go(func() { member(k) })
		}
		wg.Wait()
		if len(seen) != total {
			t.Errorf("the group got %d of %d changes", len(seen), total)
		}
		// Whoever comes next starts after everything that was committed.
		r, err := l.Open(within(t), topic, bus.From{Group: name + "-churn"})
		if err != nil {
			t.Fatal(err)
		}
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		for {
			d, err := r.Next(short)
			if err != nil {
				break
			}
			if d.Offset <= committed[d.Partition] {
				t.Errorf("partition %d: offset %d was committed and comes again", d.Partition, d.Offset)
			}
		}
	})
}

// Two replicas hold one name: one at a time, the other one after it.
func TestHold(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		var running, most, runs atomic.Int64
		held := make(chan int, 10)
		hold := func(ctx context.Context, k int, l *kafka.Log, done chan<- error) {
			done <- l.Hold(ctx, name, func(ctx context.Context) error {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				runs.Add(1)
				held <- k
				<-ctx.Done()
				return ctx.Err()
			})
		}
		var ends []context.CancelFunc
		var dones []chan error
		for k := range 3 {
			l := open(t, kafka.Config{Brokers: []string{addr}, Prefix: name}, kafka.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			ends, dones = append(ends, cancel), append(dones, done)
			go hold(ctx, k, l, done)
		}
		wait := func() int {
			t.Helper()
			select {
			case k := <-held:
				return k
			case <-time.After(30 * time.Second):
				t.Fatal("nobody holds the name")
				return -1
			}
		}
		seen := map[int]bool{}
		for range 3 {
			k := wait()
			for seen[k] { // the same one may be interrupted
				k = wait()
			}
			seen[k] = true
			ends[k]()
			select {
			case err := <-dones[k]:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("hold: got %v, want canceled", err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("hold does not end with its context")
			}
		}
		if most.Load() != 1 {
			t.Errorf("%d held the name at the same time", most.Load())
		}
	})
}

// What fn returns ends Hold, and Close of the log does.
func TestHoldEnds(t *testing.T) {
	t.Parallel()
	l := open(t, kafka.Config{Brokers: fake(t).ListenAddrs()}, kafka.Options{})
	boom := errors.New("boom")
	if err := l.Hold(within(t), "a", func(context.Context) error { return boom }); err != boom { //nolint:errorlint // unwrapped on purpose
		t.Errorf("got %v, want the error of fn itself", err)
	}
	if err := l.Hold(within(t), "a", func(context.Context) error { return nil }); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	started, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- l.Hold(context.Background(), "a", func(ctx context.Context) error {
			close(started)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-started
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, oslc.Unavailable) {
		t.Errorf("hold while the log is closed: got %v, want kind unavailable", err)
	}
	if err := l.Hold(within(t), "a", nil); !errors.Is(err, oslc.Unavailable) {
		t.Errorf("hold after close: got %v, want kind unavailable", err)
	}
}
