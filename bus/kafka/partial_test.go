package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

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
