package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// A membership is a reader's place in a group.
type membership struct {
	topic string
	name  string
	group *kafka.ConsumerGroup
	conns *connections

	committing sync.Mutex // one commit at a time, in the order in which they came

	mu  sync.Mutex
	gen *generation // nil while the group is being formed
}

// A generation is one assignment of partitions to members.
type generation struct {
	*kafka.Generation
	parts map[int32]*progress
}

// progress is how far a member has come with a partition in one generation.
type progress struct {
	delivered int64 // the offset after the newest delivery
	committed int64
}

// groupConfig is the configuration that groups share.
func (l *Log) groupConfig(id, topic string, conns *connections) kafka.ConsumerGroupConfig {
	dialer := l.dialer
	dialer.DialFunc = conns.dial
	return kafka.ConsumerGroupConfig{
		ID:                     id,
		Brokers:                l.cfg.Brokers,
		Dialer:                 &dialer,
		Topics:                 []string{topic},
		StartOffset:            kafka.FirstOffset,
		HeartbeatInterval:      l.cfg.SessionTimeout / 10,
		SessionTimeout:         l.cfg.SessionTimeout,
		RebalanceTimeout:       2 * l.cfg.SessionTimeout,
		JoinGroupBackoff:       500 * time.Millisecond,
		WatchPartitionChanges:  true,
		PartitionWatchInterval: watchPartitions,
	}
}

// join makes the reader a member of a group.
func (r *reader) join(name string) error {
	if len(name) > 1000 {
		return oslc.Errorf(opOpen, oslc.Invalid, "the name of the group has %d bytes, want 1 to 1000", len(name))
	}
	m := &membership{topic: r.topic, name: name, conns: newConnections(r.log.opts.Dial)}
	var err error
	if m.group, err = kafka.NewConsumerGroup(r.log.groupConfig(name, r.topic, m.conns)); err != nil {
		return oslc.E(opOpen, err, oslc.Invalid)
	}
	r.group = m
	r.wg.Go(func() { r.attend(m) })
	return nil
}

// attend follows the partitions of each generation while it lasts.
func (r *reader) attend(m *membership) {
	for {
		gen, err := r.log.nextGeneration(r.ctx, m.group, opNext)
		if r.ctx.Err() != nil {
			return
		}
		if err != nil {
			select {
			case <-r.ctx.Done():
			case r.out <- fetched{err: err, final: true}:
			}
			return
		}
		g := &generation{Generation: gen, parts: map[int32]*progress{}}
		for _, a := range gen.Assignments[r.topic] {
			offset := max(a.Offset, 0)
			g.parts[int32(a.ID)] = &progress{delivered: offset, committed: offset}
		}
		m.enter(g)
		for _, a := range gen.Assignments[r.topic] {
			f := fetcher{log: r.log, topic: r.topic, partition: a.ID, next: max(a.Offset, 0)}
			r.wg.Add(1)
			gen.Start(func(ctx context.Context) {
				defer r.wg.Done()
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(r.ctx, cancel)() //nolint:contextcheck // the generation and the reader both end it
				r.follow(ctx, f, g, a.Offset < 0)
				// A generation ends with the first of its functions. One that could
				// not go on has said so to Next and waits for the end.
				<-ctx.Done()
			})
		}
		gen.Start(func(ctx context.Context) {
			<-ctx.Done()
			m.leaveGeneration(g)
		})
	}
}

// nextGeneration waits for the group to form. Errors that pass are logged once
// for each outage; the others end the membership.
func (l *Log) nextGeneration(ctx context.Context, group *kafka.ConsumerGroup, op string) (*kafka.Generation, error) {
	for failures := 0; ; failures++ {
		gen, err := group.Next(ctx)
		if err == nil {
			l.back()
			return gen, nil
		}
		if ctx.Err() != nil || errors.Is(err, kafka.ErrGroupClosed) {
			return nil, oslc.E(op, errClosed, oslc.Unavailable)
		}
		if kind, ok := permanent(err); ok {
			return nil, oslc.E(op, err, kind)
		}
		// A group on a fresh cluster meets 15, one that is being formed 22 and 27.
		if failures > 1 {
			l.away(op, err)
		}
	}
}

func (m *membership) enter(g *generation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gen = g
}

func (m *membership) leaveGeneration(g *generation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gen == g {
		m.gen = nil
	}
}

func (m *membership) newest() *generation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gen
}

// current reports whether what was fetched in g still counts.
func (m *membership) current(g *generation) bool { return m == nil || m.newest() == g }

// deliver notes that d goes to the caller, unless its generation has ended.
func (m *membership) deliver(g *generation, d bus.Delivery) bool {
	if m == nil {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gen != g || g == nil {
		return false
	}
	g.parts[d.Partition].delivered = d.Offset + 1
	return true
}

// commit tells the coordinator, which refuses what comes from a generation that
// is over. What was not delivered in this generation is not committed either: the
// partition may have been at another member meanwhile, which committed more.
func (m *membership) commit(d bus.Delivery) error {
	m.committing.Lock()
	defer m.committing.Unlock()
	g, done, err := m.mayCommit(d)
	if done {
		return nil
	}
	if err == nil {
		err = g.CommitOffsets(map[string]map[int]int64{m.topic: {int(d.Partition): d.Offset + 1}})
	}
	switch {
	case err == nil:
		m.mu.Lock()
		defer m.mu.Unlock()
		g.parts[d.Partition].committed = d.Offset + 1
		return nil
	case errors.Is(err, kafka.IllegalGeneration), errors.Is(err, kafka.UnknownMemberId),
		errors.Is(err, kafka.RebalanceInProgress), errors.Is(err, kafka.FencedInstanceID),
		!m.current(g):
		return oslc.E(opCommit, fmt.Errorf("group %s lost partition %d: %w", m.name, d.Partition, err), oslc.Conflict)
	}
	if kind, ok := permanent(err); ok {
		return oslc.E(opCommit, err, kind)
	}
	return oslc.E(opCommit, err, oslc.Unavailable)
}

// mayCommit returns the generation to commit d in, or that it is done already.
func (m *membership) mayCommit(d bus.Delivery) (g *generation, done bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gen == nil || m.gen.parts[d.Partition] == nil {
		return nil, false, kafka.IllegalGeneration
	}
	switch at := m.gen.parts[d.Partition]; {
	case d.Offset < at.committed:
		return nil, true, nil
	case d.Offset >= at.delivered:
		return nil, false, kafka.IllegalGeneration
	}
	return m.gen, false, nil
}

// leaveTimeout is how long a member that leaves waits for the coordinator. One
// that does not answer notices after the session time-out.
const leaveTimeout = 2 * time.Second

// leave ends the membership.
func (m *membership) leave() {
	patience := time.AfterFunc(leaveTimeout, m.conns.close)
	defer patience.Stop()
	_ = m.group.Close() // never an error
	m.conns.close()
}

// connections are those of one group. kafka-go can't be told to end what it does
// with them; closing them does.
type connections struct {
	next func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	closed bool
	open   map[*connection]bool
}

type connection struct {
	net.Conn
	of *connections
}

func newConnections(dial func(ctx context.Context, network, address string) (net.Conn, error)) *connections {
	return &connections{next: dial, open: map[*connection]bool{}}
}

func (cs *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := cs.next(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, of: cs}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	cs.open[c] = true
	return c, nil
}

func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

func (cs *connections) close() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.closed = true
	for c := range cs.open {
		_ = c.Conn.Close()
	}
	cs.open = map[*connection]bool{}
}
