package kafka_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

func TestTopicMadeAnew(t *testing.T) {
	t.Parallel()
	c := fake(t)
	l := open(t, kafka.Config{Brokers: c.ListenAddrs()}, kafka.Options{})
	l.SetPatience(time.Second, 200*time.Millisecond)
	p, other := own(t, l, "s", "t"), own(t, l, "other", "t")
	if err := p.Append(within(t), changes("s", "t", 0, 10)...); err != nil {
		t.Fatal(err)
	}
	r, err := l.Open(within(t), "t", bus.From{Offsets: []int64{5}})
	if err != nil {
		t.Fatal(err)
	}
	for range 7 {
		if _, err := r.Next(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.DeleteTopic("t"); err != nil {
		t.Fatal(err)
	}
	if err := p.Append(within(t), change("s", "t", 10)); !errors.Is(err, oslc.Gone) {
		t.Errorf("append to a topic that was deleted: got %v, want kind gone", err)
	}
	if err := c.CreateTopic("t", 1, nil); err != nil {
		t.Fatal(err)
	}
	if err := other.Append(within(t), change("other", "t", 0)); !errors.Is(err, oslc.Gone) {
		t.Errorf("append to a topic that was made anew: got %v, want kind gone", err)
	}
	if _, err := r.Next(within(t)); !errors.Is(err, oslc.Gone) {
		t.Errorf("next of a topic that was made anew: got %v, want kind gone", err)
	}
	if _, err := l.Open(within(t), "t", bus.From{Offsets: []int64{12}}); !errors.Is(err, oslc.Gone) {
		t.Errorf("open at the old offset: got %v, want kind gone", err)
	}
	// A source that starts over writes into the new topic.
	p = own(t, l, "s", "t")
	if got := after(t, p); got != 0 {
		t.Errorf("cursor after the topic was made anew: go on with %d, want 0", got)
	}
	if err := p.Append(within(t), changes("s", "t", 0, 3)...); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, l, "s", "t", 3, 1)
}

// Retention overtakes readers.
func TestCutOff(t *testing.T) {
	t.Parallel()
	c := fake(t)
	l := open(t, kafka.Config{Brokers: c.ListenAddrs()}, kafka.Options{})
	p := own(t, l, "s", "t")
	if err := p.Append(within(t), changes("s", "t", 0, 10)...); err != nil {
		t.Fatal(err)
	}
	grouped, err := l.Open(within(t), "t", bus.From{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := grouped.Next(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := grouped.Commit(within(t), d); err != nil {
		t.Fatal(err)
	}
	if err := grouped.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteRecords("t", 0, 6); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open(within(t), "t", bus.From{Offsets: []int64{2}}); !errors.Is(err, oslc.Gone) {
		t.Errorf("offset that was cut off: got %v, want kind gone", err)
	}
	r, err := l.Open(within(t), "t", bus.From{Offsets: []int64{6}})
	if err != nil {
		t.Fatal(err)
	}
	if d, err = r.Next(within(t)); err != nil || d.Offset != 6 {
		t.Errorf("first offset that is kept: got %d, %v", d.Offset, err)
	}
	if r, err = l.Open(within(t), "t", bus.From{}); err != nil {
		t.Fatal(err)
	}
	if d, err = r.Next(within(t)); err != nil || d.Offset != 6 {
		t.Errorf("without an offset: got %d, %v, want the oldest that is kept", d.Offset, err)
	}
	if grouped, err = l.Open(within(t), "t", bus.From{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	if _, err := grouped.Next(within(t)); !errors.Is(err, oslc.Gone) {
		t.Errorf("group whose place was cut off: got %v, want kind gone", err)
	}
	// The cursor survives the records as long as one of the source is kept.
	if got := after(t, own(t, l, "s", "t")); got != 10 {
		t.Errorf("go on with %d, want 10", got)
	}
	if err := c.DeleteRecords("t", 0, -1); err != nil {
		t.Fatal(err)
	}
	if got := own(t, l, "s", "t").Cursor(); got != nil {
		t.Errorf("cursor of an empty topic is %q, want nil", got)
	}
}

// The broker is killed under load, and comes back.
func TestBrokerKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a broker of its own: run without -short")
	}
	t.Parallel()
	b := testkit.KafkaOwn(t)
	l := open(t, kafka.Config{Brokers: []string{b.Addr}}, kafka.Options{})
	source, topic := "killed", "killed"
	p := own(t, l, source, topic)
	grouped, err := l.Open(within(t), topic, bus.From{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wrote atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		for i := 0; ; i += 10 {
			select {
			case <-stop:
				return
			default:
			}
			if err := p.Append(ctx, changes(source, topic, i, i+10)...); err != nil {
				t.Errorf("append: %v", err)
				return
			}
			wrote.Store(int64(i + 10))
		}
	})
	reach := func(n int64) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); wrote.Load() < n; <-time.After(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d records written, want %d", wrote.Load(), n)
			}
		}
	}
	for round := range int64(2) {
		reach((round + 1) * 500)
		b.Kill(t)
		b.Restart(t)
		reach(wrote.Load() + 500)
	}
	close(stop)
	wg.Wait()
	total := int(wrote.Load())
	seen := map[int]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(seen) < total {
		d, err := grouped.Next(ctx)
		if err != nil {
			t.Fatalf("the group got %d of %d: %v", len(seen), total, err)
		}
		i, err := strconv.Atoi(string(d.Value))
		if err != nil {
			t.Fatal(err)
		}
		seen[i] = true
		if i%100 == 0 {
			if err := grouped.Commit(ctx, d); err != nil && !errors.Is(err, oslc.Conflict) && !errors.Is(err, oslc.Unavailable) {
				t.Errorf("commit: %v", err)
			}
		}
	}
	wantOnce(t, l, source, topic, total, 1)
	if got := after(t, own(t, l, source, topic)); got != total {
		t.Errorf("the next owner goes on with %d, want %d", got, total)
	}
}

// Headers of ours and markers stay inside.
func TestHidden(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		l := open(t, kafka.Config{Brokers: []string{addr}, CursorEvery: time.Millisecond}, kafka.Options{})
		source, topic := name+"-hidden", name+"-hidden"
		rec := change(source, topic, 0)
		for range 3 {
			p := own(t, l, source, topic)
			<-time.After(2 * time.Millisecond)
			if err := p.Append(within(t), bus.Record{Cursor: []byte("000007")}); err != nil {
				t.Fatal(err)
			}
		}
		p := own(t, l, source, topic)
		if got := string(p.Cursor()); got != "000007" {
			t.Errorf("cursor is %q, want 000007", got)
		}
		if err := p.Append(within(t), rec); err != nil {
			t.Fatal(err)
		}
		r, err := l.Open(within(t), topic, bus.From{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.Next(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rec.Message, d.Message); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
		if d.Offset < 7 {
			t.Errorf("offset is %d: where are the markers?", d.Offset)
		}
	})
}
