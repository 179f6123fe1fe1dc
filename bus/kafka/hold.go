package kafka

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/oslcbus/oslcbus/oslc"
)

const opHold = "kafka.hold"

// Hold implements bus.Holder by a group of its own for each name, on a topic with
// one partition that nobody writes. A replica that holds the name keeps it when
// others come; without one, the name decides, so that names spread over replicas.
func (l *Log) Hold(ctx context.Context, name string, fn func(context.Context) error) error {
	ctx, leave, err := l.enter(ctx, opHold, true)
	if err != nil {
		return err
	}
	defer leave()
	topic := l.cfg.Prefix + ".hold"
	if _, err := l.topic(ctx, opHold, topic, kafka.TopicConfig{NumPartitions: 1, ReplicationFactor: l.replication()}); err != nil {
		return err
	}
	h := &hold{fn: fn, results: make(chan error, 1), events: make(chan holdEvent)}
	conns := newConnections(l.opts.Dial)
	cfg := l.groupConfig(l.cfg.Prefix+".hold."+name, topic, conns)
	cfg.WatchPartitionChanges = false
	cfg.GroupBalancers = []kafka.GroupBalancer{&holdBalancer{name: name, holding: &h.holding}}
	m := &membership{conns: conns}
	if m.group, err = kafka.NewConsumerGroup(cfg); err != nil {
		return oslc.E(opHold, err, oslc.Invalid)
	}
	joined, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { h.attend(joined, l, m.group, topic) })
	// The next holder starts when this one has left, so fn must have ended.
	defer func() {
		_ = h.stop() // Hold has its result already
		end()
		m.leave()
		wg.Wait()
	}()
	return h.loop(ctx, l.cfg.SessionTimeout/2)
}

// A hold is one call of Hold.
type hold struct {
	fn      func(context.Context) error
	holding atomic.Bool
	cancel  context.CancelFunc // of fn in progress, nil without
	results chan error
	events  chan holdEvent
}

type holdEvent struct {
	assigned, ended bool
	err             error
}

// attend tells of each generation of the group.
func (h *hold) attend(ctx context.Context, l *Log, group *kafka.ConsumerGroup, topic string) {
	send := func(e holdEvent) {
		select {
		case <-ctx.Done():
		case h.events <- e:
		}
	}
	for {
		gen, err := l.nextGeneration(ctx, group, opHold)
		if err != nil {
			send(holdEvent{err: err})
			return
		}
		send(holdEvent{assigned: len(gen.Assignments[topic]) > 0})
		gen.Start(func(gone context.Context) {
			<-gone.Done()
			send(holdEvent{ended: true})
		})
	}
}

// loop runs fn while the name is held. A generation that ends is no reason to stop
// yet: the next one usually says the same within a moment.
func (h *hold) loop(ctx context.Context, patience time.Duration) error {
	grace := time.NewTimer(patience)
	grace.Stop()
	for {
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errClosed) {
				return oslc.E(opHold, errClosed, oslc.Unavailable)
			}
			return ctx.Err()
		case err := <-h.results:
			h.cancel()
			h.cancel = nil
			return err
		case <-grace.C:
			if err := h.stop(); err != nil {
				return err
			}
		case e := <-h.events:
			grace.Stop()
			switch {
			case e.err != nil:
				return e.err
			case e.ended:
				grace.Reset(patience)
			case e.assigned && h.cancel == nil:
				h.start(ctx)
			case !e.assigned:
				if err := h.stop(); err != nil {
					return err
				}
			}
		}
	}
}

func (h *hold) start(ctx context.Context) {
	ctx, h.cancel = context.WithCancel(ctx)
	h.holding.Store(true)
	go func() { h.results <- h.fn(ctx) }()
}

// stop ends fn and waits for it. It returns fn's error unless that is the end of
// its context.
func (h *hold) stop() error {
	if h.cancel == nil {
		return nil
	}
	h.cancel()
	h.cancel = nil
	err := <-h.results
	h.holding.Store(false)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// A holdBalancer gives the one partition to one member.
type holdBalancer struct {
	name    string
	holding *atomic.Bool
}

// ProtocolName implements kafka.GroupBalancer.
func (*holdBalancer) ProtocolName() string { return "oslcbus-hold" }

// UserData tells the member that assigns whether this one holds the name.
func (b *holdBalancer) UserData() ([]byte, error) {
	if b.holding.Load() {
		return []byte{1}, nil
	}
	return []byte{0}, nil
}

// AssignGroups implements kafka.GroupBalancer.
func (b *holdBalancer) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	out := kafka.GroupMemberAssignments{}
	if len(members) == 0 || len(partitions) == 0 {
		return out
	}
	rank := func(m kafka.GroupMember) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(b.name + "\x00" + m.ID))
		return h.Sum64()
	}
	holder := slices.MaxFunc(members, func(x, y kafka.GroupMember) int {
		return cmp.Or(slices.Compare(x.UserData, y.UserData), cmp.Compare(rank(x), rank(y)))
	})
	for _, m := range members {
		out[m.ID] = map[string][]int{}
	}
	out[holder.ID][partitions[0].Topic] = []int{partitions[0].ID}
	return out
}
