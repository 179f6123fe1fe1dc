package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
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

const (
	produceKey = 0
	fetchKey   = 1
)

// The broker appends, and the answer is lost: the same bytes are sent again.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		l, proxy := throughProxy(t, addr, 1)
		source, topic := name+"-lost", name+"-lost"
		p := own(t, l, source, topic)
		hits := proxy.DropResponse(4, testkit.KafkaRequest(produceKey))
		for i := 0; i < 40; i += 4 {
			if err := p.Append(within(t), changes(source, topic, i, i+4)...); err != nil {
				t.Fatal(err)
			}
		}
		if hits.Load() != 4 {
			t.Errorf("%d answers were lost, want 4", hits.Load())
		}
		wantOnce(t, l, source, topic, 40, 1)
	})
}

// A request is late, its repetition overtakes it on another connection, and then
// the first one arrives.
func TestLateRequest(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		l, proxy := throughProxy(t, addr, 1)
		source, topic := name+"-late", name+"-late"
		p := own(t, l, source, topic)
		late := proxy.DelayRequest(3, 900*time.Millisecond, testkit.KafkaRequest(produceKey))
		start := time.Now()
		i := 0
		for ; time.Since(start) < 2*time.Second; i += 2 {
			if err := p.Append(within(t), changes(source, topic, i, i+2)...); err != nil {
				t.Fatal(err)
			}
		}
		if late.Load() != 3 {
			t.Errorf("%d requests were late, want 3", late.Load())
		}
		wantOnce(t, l, source, topic, i, 1)
	})
}

// The line is cut, goes silent, and heals, while a source writes and a reader
// reads.
func TestLineBreaks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		l, proxy := throughProxy(t, addr, 3)
		source, topic := name+"-line", name+"-line"
		p := own(t, l, source, topic)
		r, err := l.Open(within(t), topic, bus.From{})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		const total = 300
		wg.Go(func() {
			for i := range total {
				if err := p.Append(within(t), change(source, topic, i)); err != nil {
					t.Errorf("append %d: %v", i, err)
					return
				}
			}
		})
		breaks := []func(){proxy.Cut, proxy.HalfClose, proxy.Cut, proxy.HalfClose}
		for i := range total {
			if _, err := r.Next(within(t)); err != nil {
				t.Fatalf("next %d: %v", i, err)
			}
			if i%60 == 30 && len(breaks) > 0 {
				breaks[0]()
				breaks = breaks[1:]
				wg.Go(func() {
					<-time.After(300 * time.Millisecond)
					proxy.Heal()
				})
			}
		}
		wg.Wait()
		wantOnce(t, l, source, topic, total, 3)
	})
}

// Each of these answers is one that a healthy cluster gives now and then.
func TestPassingErrors(t *testing.T) {
	t.Parallel()
	c := fake(t)
	l := open(t, kafka.Config{Brokers: c.ListenAddrs()}, kafka.Options{})
	fault := func(key kmsg.Key, err *kerr.Error, n int) {
		c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: err, Count: n})
	}
	// A fresh broker.
	fault(kmsg.FindCoordinator, kerr.CoordinatorNotAvailable, 2)
	fault(kmsg.InitProducerID, kerr.CoordinatorLoadInProgress, 2)
	fault(kmsg.InitProducerID, kerr.ConcurrentTransactions, 1)
	fault(kmsg.CreateTopics, kerr.NotController, 1)
	fault(kmsg.ListOffsets, kerr.NotLeaderForPartition, 1)
	p := own(t, l, "s", "t")
	total := 0
	for _, err := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition,
		kerr.RequestTimedOut, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.KafkaStorageError,
	} {
		fault(kmsg.Produce, err, 2)
		if err := p.Append(within(t), changes("s", "t", total, total+3)...); err != nil {
			t.Fatal(err)
		}
		total += 3
	}
	for _, err := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.KafkaStorageError} {
		fault(kmsg.Fetch, err, 1)
	}
	fault(kmsg.FindCoordinator, kerr.CoordinatorNotAvailable, 1)
	fault(kmsg.JoinGroup, kerr.CoordinatorLoadInProgress, 1)
	wantOnce(t, l, "s", "t", total, 1)
	r, err := l.Open(within(t), "t", bus.From{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(within(t)); err != nil {
		t.Fatal(err)
	}
}

// Errors that will not pass have a kind that says what to do.
func TestLastingErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key  kmsg.Key
		err  *kerr.Error
		want oslc.Kind
	}{
		{kmsg.Produce, kerr.TopicAuthorizationFailed, oslc.Denied},
		{kmsg.Produce, kerr.ClusterAuthorizationFailed, oslc.Denied},
		{kmsg.Produce, kerr.MessageTooLarge, oslc.Invalid},
		{kmsg.Produce, kerr.InvalidRecord, oslc.Invalid},
		{kmsg.Produce, kerr.InvalidProducerEpoch, oslc.Conflict},
		{kmsg.Produce, kerr.OutOfOrderSequenceNumber, oslc.Conflict},
	} {
		t.Run(tt.err.Message, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			l := open(t, kafka.Config{Brokers: c.ListenAddrs()}, kafka.Options{})
			p := own(t, l, "s", "t")
			c.Fault(kfake.Fault{Keys: []kmsg.Key{tt.key}, Err: tt.err, Count: 1})
			if err := p.Append(within(t), change("s", "t", 0)); !errors.Is(err, tt.want) {
				t.Errorf("append: got %v, want kind %v", err, tt.want)
			}
			if tt.want == oslc.Invalid {
				// The source may leave the record out and go on.
				if err := p.Append(within(t), change("s", "t", 1)); err != nil {
					t.Errorf("append of another record: %v", err)
				}
			} else if err := p.Append(within(t), change("s", "t", 0)); !errors.Is(err, tt.want) {
				t.Errorf("append once more: got %v, want kind %v", err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		key kmsg.Key
		err *kerr.Error
	}{
		{kmsg.InitProducerID, kerr.TransactionalIDAuthorizationFailed},
		{kmsg.CreateTopics, kerr.TopicAuthorizationFailed},
	} {
		t.Run("own "+tt.err.Message, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			l := open(t, kafka.Config{Brokers: c.ListenAddrs()}, kafka.Options{})
			c.Fault(kfake.Fault{Keys: []kmsg.Key{tt.key}, Err: tt.err, Count: -1})
			if _, err := l.Own(within(t), "s", "t"); !errors.Is(err, oslc.Denied) {
				t.Errorf("own: got %v, want kind denied", err)
			}
		})
	}
}

// failPartition makes appends to one partition fail until the returned function
// is called.
func failPartition(c *kfake.Cluster, topic string, partition int32, err *kerr.Error) func() {
	h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{partition}, Err: err, Count: -1})
	return h.Remove
}

// A batch goes to three partitions and one of them is away. The owner repeats the
// batch, or dies and the next one emits its changes again, in other batches, and
// dies in the middle as well.
func TestPartialBatch(t *testing.T) {
	t.Parallel()
	const total = 40
	short := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	for away := range int32(3) {
		t.Run(fmt.Sprint("same owner, partition ", away), func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			l := open(t, kafka.Config{Brokers: c.ListenAddrs(), Partitions: 3}, kafka.Options{})
			p := own(t, l, "s", "t")
			heal := failPartition(c, "t", away, kerr.NotEnoughReplicas)
			batch := changes("s", "t", 0, total)
			if err := p.Append(short(t), batch...); !errors.Is(err, oslc.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("append with a partition away: got %v, want kind unavailable and the end of the context", err)
			}
			if err := p.Append(short(t), changes("s", "t", 1, 5)...); !errors.Is(err, oslc.Invalid) {
				t.Errorf("another batch: got %v, want kind invalid", err)
			}
			heal()
			if err := p.Append(within(t), batch...); err != nil {
				t.Fatal(err)
			}
			wantOnce(t, l, "s", "t", total, 3)
		})
		t.Run(fmt.Sprint("next owners, partition ", away), func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			l := open(t, kafka.Config{Brokers: c.ListenAddrs(), Partitions: 3}, kafka.Options{})
			p := own(t, l, "s", "t")
			if err := p.Append(within(t), changes("s", "t", 0, 5)...); err != nil {
				t.Fatal(err)
			}
			for i, size := range []int{10, 7, 25} {
				// Once all that is missing goes to other partitions, an append works.

				p = own(t, l, "s", "t")
				heal := failPartition(c, "t", (away+int32(i))%3, kerr.NotEnoughReplicas)
				at := after(t, p)
				err := p.Append(short(t), changes("s", "t", at, at+size)...)
				if i == 0 && err == nil {
					t.Fatal("append with a partition away: got nil")
				}
				heal()
			}
			p = own(t, l, "s", "t")
			for at := after(t, p); at < total; at += 3 {
				if err := p.Append(within(t), changes("s", "t", at, min(at+3, total))...); err != nil {
					t.Fatal(err)
				}
			}
			wantOnce(t, l, "s", "t", total, 3)
		})
	}
}

// One partition refuses a batch for good. What the others took is not written a
// second time when the source emits it in other batches.
func TestRefusedPart(t *testing.T) {
	t.Parallel()
	c := fake(t)
	l := open(t, kafka.Config{Brokers: c.ListenAddrs(), Partitions: 3}, kafka.Options{})
	p := own(t, l, "s", "t")
	heal := failPartition(c, "t", 1, kerr.MessageTooLarge)
	if err := p.Append(within(t), changes("s", "t", 0, 20)...); !errors.Is(err, oslc.Invalid) {
		t.Fatalf("got %v, want kind invalid", err)
	}
	heal()
	for i := range 10 {
		if err := p.Append(within(t), change("s", "t", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = own(t, l, "s", "t")
	if got := after(t, p); got != 10 {
		t.Errorf("the next owner goes on with %d, want 10", got)
	}
	if err := p.Append(within(t), changes("s", "t", 10, 20)...); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, l, "s", "t", 20, 3)
}

// One partition refuses a batch for good while nobody knows whether another one took
// its part: other records in its place would pass for a repetition and get lost.
func TestRefusedPartUnknown(t *testing.T) {
	t.Parallel()
	c := fake(t)
	l := open(t, kafka.Config{Brokers: c.ListenAddrs(), Partitions: 3}, kafka.Options{})
	p := own(t, l, "s", "t")
	refuse := failPartition(c, "t", 1, kerr.MessageTooLarge)
	unknown := failPartition(c, "t", 0, kerr.NotEnoughReplicasAfterAppend)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.Append(ctx, changes("s", "t", 0, 20)...); !errors.Is(err, oslc.Conflict) {
		t.Fatalf("got %v, want kind conflict", err)
	}
	refuse()
	unknown()
	if err := p.Append(within(t), changes("s", "t", 0, 20)...); !errors.Is(err, oslc.Conflict) {
		t.Errorf("once more: got %v, want kind conflict", err)
	}
	p = own(t, l, "s", "t")
	for i := after(t, p); i < 20; i++ {
		if err := p.Append(within(t), change("s", "t", i)); err != nil {
			t.Fatal(err)
		}
	}
	wantOnce(t, l, "s", "t", 20, 3)
}

// A batch that is larger than a record batch may be goes in pieces; an owner may
// die between them.
func TestLargeBatch(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		source, topic := name+"-large", name+"-large"
		l, proxy := throughProxy(t, addr, 1)
		pad := strings.Repeat("x", 200_000)
		big := func(from, to int) []bus.Record {
			batch := changes(source, topic, from, to)
			for i := range batch {
				batch[i].Header.Set("pad", pad)
			}
			return batch
		}
		p := own(t, l, source, topic)
		var produced atomic.Int64
		proxy.DropResponse(1_000_000, func(request []byte) bool {
			return testkit.KafkaRequest(produceKey)(request) && produced.Add(1) == 3
		})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := p.Append(ctx, big(0, 20)...); err != nil {
			t.Fatal(err)
		}
		if produced.Load() < 5 {
			t.Errorf("20 messages of 200 kB went in %d requests", produced.Load())
		}
		// The line goes silent in the middle of the next one.
		produced.Store(0)
		proxy.DropResponse(1_000_000, func(request []byte) bool {
			return testkit.KafkaRequest(produceKey)(request) && produced.Add(1) >= 3
		})
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Append(ctx, big(20, 40)...); err == nil {
			t.Fatal("append on a silent line: got nil")
		}
		proxy.Heal()
		p = own(t, l, source, topic)
		at := after(t, p)
		if at <= 20 || at >= 40 {
			t.Errorf("the next owner goes on with %d, want one of the middle of the batch", at)
		}
		if err := p.Append(within(t), big(at, 40)...); err != nil {
			t.Fatal(err)
		}
		wantOnce(t, l, source, topic, 40, 1)
	})
}

// A message that no topic takes is refused before anything of its batch is written.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		source, topic := name+"-toolarge", name+"-toolarge"
		l := open(t, kafka.Config{
			Brokers: []string{addr}, TopicConfig: map[string]string{"max.message.bytes": "20000"},
		}, kafka.Options{})
		p := own(t, l, source, topic)
		batch := changes(source, topic, 0, 2)
		batch[1].Value = make([]byte, 20_000)
		if err := p.Append(within(t), batch...); !errors.Is(err, oslc.Invalid) {
			t.Errorf("got %v, want kind invalid", err)
		}
		// Together they are larger than what the topic takes; one by one they fit.
		batch = changes(source, topic, 0, 10)
		for i := range batch {
			batch[i].Header.Set("pad", strings.Repeat("x", 6000))
		}
		if err := p.Append(within(t), batch...); err != nil {
			t.Error(err)
		}
		wantOnce(t, l, source, topic, 10, 1)
	})
}

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
