package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

// each runs a test on the broker in this process and on a real one.
func each(t *testing.T, fn func(t *testing.T, addr, name string)) {
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		fn(t, fake(t).ListenAddrs()[0], "t")
	})
	t.Run("broker", func(t *testing.T) {
		b := testkit.Kafka(t)
		t.Parallel()
		fn(t, b.Addr, b.Name)
	})
}

// change is change i of a source.
func change(source, topic string, i int) bus.Record {
	return bus.Record{
		Topic: topic,
		Message: bus.Message{
			Key:    fmt.Sprint("k", i%7),
			Value:  []byte(strconv.Itoa(i)),
			Header: bus.Header{{Name: "ce_id", Value: fmt.Sprint(source, "/", i)}, {Name: "ce_source", Value: source}},
		},
		Cursor: fmt.Appendf(nil, "%06d", i),
	}
}

func changes(source, topic string, from, to int) []bus.Record {
	var out []bus.Record
	for i := from; i < to; i++ {
		out = append(out, change(source, topic, i))
	}
	return out
}

// after is the number of the change to go on with.
func after(tb testing.TB, p bus.Publisher) int {
	tb.Helper()
	if p.Cursor() == nil {
		return 0
	}
	i, err := strconv.Atoi(string(p.Cursor()))
	if err != nil {
		tb.Fatalf("cursor %q: %v", p.Cursor(), err)
	}
	return i + 1
}

func own(tb testing.TB, l bus.Log, source string, topics ...string) bus.Publisher {
	tb.Helper()
	p, err := l.Own(within(tb), source, topics...)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// wantOnce checks that the topic has the changes 0 to n-1 of a source once each,
// in order, or in order per key where it has several partitions.
func wantOnce(tb testing.TB, l bus.Log, source, topic string, n int, partitions int) {
	tb.Helper()
	r, err := l.Open(within(tb), topic, bus.From{})
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	last := map[string]int{}
	var got []int
	for patience := 30 * time.Second; ; {
		ctx, cancel := context.WithTimeout(tb.Context(), patience)
		d, err := r.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		if d.Header.Get("ce_source") != source {
			continue
		}
		i, err := strconv.Atoi(string(d.Value))
		if err != nil {
			tb.Fatal(err)
		}
		if prev, ok := last[d.Key]; ok && i <= prev {
			tb.Errorf("change %d comes after %d of the same key", i, prev)
		}
		last[d.Key] = i
		if got = append(got, i); len(got) >= n {
			patience = 100 * time.Millisecond
		}
	}
	if len(got) != n {
		tb.Errorf("%d changes on the log, want %d", len(got), n)
	}
	seen := map[int]int{}
	for at, i := range got {
		seen[i]++
		if partitions == 1 && i != at {
			tb.Fatalf("place %d has change %d: %v", at, i, got[max(0, at-3):min(len(got), at+4)])
		}
	}
	for i := range n {
		if seen[i] != 1 {
			tb.Errorf("change %d is there %d times", i, seen[i])
		}
	}
}

// throughProxy opens a log whose connections all go through a proxy that tests
// break, and that does not wait long for answers.
func throughProxy(tb testing.TB, addr string, partitions int) (*kafka.Log, *testkit.FaultProxy) {
	tb.Helper()
	proxy := testkit.NewFaultProxy(tb, addr)
	l := open(tb, kafka.Config{Brokers: []string{addr}, Partitions: partitions}, kafka.Options{Dial: proxy.Dial})
	l.SetPatience(400*time.Millisecond, 2*time.Second)
	return l, proxy
}

// failPartition makes appends to one partition fail until the returned function
// is called.
func failPartition(c *kfake.Cluster, topic string, partition int32, err *kerr.Error) func() {
	h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{partition}, Err: err, Count: -1})
	return h.Remove
}

const (
	produceKey = 0
	fetchKey   = 1
)
