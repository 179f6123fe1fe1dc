package kafka_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
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
