package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/oslc"
)

// Partitions fail in every way, at random, and owners give up at random. A source
// goes on after its cursor in batches of other sizes. Each change is on the log
// once.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			const total, partitions = 150, 3
			c := fake(t)
			l := open(t, kafka.Config{Brokers: c.ListenAddrs(), Partitions: partitions}, kafka.Options{})
			rng := rand.New(rand.NewPCG(seed, 0))
			faults := []*kerr.Error{
				kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut,
				kerr.MessageTooLarge, kerr.InvalidRecord, kerr.NotLeaderForPartition,
			}
			var p bus.Publisher
			i := 0
			for i < total {
				if p == nil {
					p = own(t, l, "s", "t")
					i = after(t, p)
				}
				batch := changes("s", "t", i, min(i+1+rng.IntN(25), total))
				var heal []func()
				for part := range int32(partitions) {
					if rng.IntN(3) == 0 {
						heal = append(heal, failPartition(c, "t", part, faults[rng.IntN(len(faults))]))
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(5+rng.IntN(60))*time.Millisecond)
				err := p.Append(ctx, batch...)
				cancel()
				for _, h := range heal {
					h()
				}
				if err != nil && errors.Is(err, oslc.Unavailable) && rng.IntN(2) == 0 {
					err = p.Append(within(t), batch...)
				}
				switch {
				case err == nil:
					i += len(batch)
				case errors.Is(err, oslc.Invalid) && rng.IntN(2) == 0:
					// The same owner goes on in smaller batches.
				default:
					p = nil
				}
				if rng.IntN(8) == 0 {
					p = nil
				}
			}
			wantOnce(t, l, "s", "t", total, partitions)
		})
	}
}

// Leaders move between brokers while a source writes and a reader reads.
func TestLeadersMove(t *testing.T) {
	t.Parallel()
	c := fake(t, kfake.NumBrokers(3))
	l := open(t, kafka.Config{Brokers: c.ListenAddrs(), Partitions: 3}, kafka.Options{})
	p := own(t, l, "s", "t")
	const total = 600
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := 0; i < total; i += 3 {
			if i%60 == 0 {
				c.ShufflePartitionLeaders()
			}
			if err := p.Append(within(t), changes("s", "t", i, i+3)...); err != nil {
				t.Errorf("append: %v", err)
				return
			}
		}
	})
	for _, from := range []bus.From{{}, {Group: "g"}} {
		r, err := l.Open(within(t), "t", from)
		if err != nil {
			t.Fatal(err)
		}
		for range total {
			if _, err := r.Next(within(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	wg.Wait()
	wantOnce(t, l, "s", "t", total, 3)
	if got := after(t, own(t, l, "s", "t")); got != total {
		t.Errorf("the next owner goes on with %d, want %d", got, total)
	}
}
