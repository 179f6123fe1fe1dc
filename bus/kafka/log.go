package kafka

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

var (
	_ bus.Log    = (*Log)(nil)
	_ bus.Holder = (*Log)(nil)
)

// A Log is a bus.Log and a bus.Holder on a Kafka cluster.
type Log struct {
	cfg    Config
	opts   Options
	logger *slog.Logger
	client *kafka.Client
	codec  compress.Codec // nil: none
	dialer kafka.Dialer   // for groups, copied for each
	outage atomic.Bool

	attempt time.Duration // attemptTimeout
	missing time.Duration // missingTopic

	// reading ends when Close begins, working when its patience with calls in
	// progress is over.
	reading, working         context.Context
	stopReading, stopWorking context.CancelCauseFunc

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
	ends   map[any]func() // ends of what is open, by reader
	done   chan struct{}  // closed when Close has finished
}

// metadataTTL bounds how long a topic that was made, or a leader that moved, may
// go unnoticed. kafka-go asks for its metadata anew only by this clock.
const metadataTTL = 500 * time.Millisecond

// closeTimeout is how long Close lets appends finish.
const closeTimeout = 5 * time.Second

// New checks the configuration. It does not connect.
func New(cfg Config, opts Options) (*Log, error) {
	const op = "kafka.new"
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	codec, err := codecOf(cfg.Compression)
	if err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	tlsConfig, err := cfg.TLS.config()
	if err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	mechanism, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{Timeout: 3 * time.Second}).DialContext
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	l := &Log{
		cfg:    cfg,
		codec:  codec,
		opts:   opts,
		logger: opts.Logger,

		attempt: attemptTimeout,
		missing: missingTopic,

		dialer: kafka.Dialer{
			ClientID:      cfg.Prefix,
			DialFunc:      opts.Dial,
			Timeout:       3 * time.Second,
			TLS:           tlsConfig,
			SASLMechanism: mechanism,
		},
		ends: map[any]func(){},
		done: make(chan struct{}),
	}
	l.reading, l.stopReading = context.WithCancelCause(context.Background())
	l.working, l.stopWorking = context.WithCancelCause(context.Background())
	l.client = &kafka.Client{
		Addr: kafka.TCP(cfg.Brokers...),
		Transport: &kafka.Transport{
			Dial:        opts.Dial,
			ClientID:    cfg.Prefix,
			MetadataTTL: metadataTTL,
			IdleTimeout: time.Minute,
			TLS:         tlsConfig,
			SASL:        mechanism,
			Context:     l.working,
		},
	}
	return l, nil
}

// enter begins a call that Close waits for. The context ends with ctx, and when
// the log is closed: at once for a call that reads, after some patience for others.
// leave must be called.
func (l *Log) enter(ctx context.Context, op string, reads bool) (_ context.Context, leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, oslc.E(op, errClosed, oslc.Unavailable)
	}
	life := l.working
	if reads {
		life = l.reading
	}
	l.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(life, func() { cancel(errClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		l.calls.Done()
	}, nil
}

// onClose has end called when the log closes; forget undoes it.
func (l *Log) onClose(key any, end func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.ends[key] = end
	return true
}

func (l *Log) forget(key any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ends, key)
}

// Close ends readers at once and lets appends finish for some seconds.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return nil
	}
	l.closed = true
	ends := l.ends
	l.ends = nil
	l.mu.Unlock()
	defer close(l.done)

	l.stopReading(errClosed)
	patience := time.AfterFunc(closeTimeout, func() { l.stopWorking(errClosed) })
	defer patience.Stop()
	var readers sync.WaitGroup
	for _, end := range ends {
		readers.Go(end)
	}
	readers.Wait()
	l.calls.Wait()
	l.stopWorking(errClosed)
	l.client.Transport.(*kafka.Transport).CloseIdleConnections()
	return nil
}

// Ping asks a broker for an answer, once. It fails with kind Unavailable when
// there is none, and Denied when it is about credentials.
func (l *Log) Ping(ctx context.Context) error {
	const op = "kafka.ping"
	ctx, leave, err := l.enter(ctx, op, false)
	if err != nil {
		return err
	}
	defer leave()
	res, err := l.client.ApiVersions(ctx, &kafka.ApiVersionsRequest{})
	if err == nil {
		err = res.Error
	}
	if err == nil {
		return nil
	}
	if err := l.giveUp(ctx, op, err); err != nil {
		return err
	}
	return oslc.E(op, err, oslc.Unavailable)
}

// topic makes the topic unless it is there, and returns how many partitions it has
// once all of them have a leader.
func (l *Log) topic(ctx context.Context, op, name string, create kafka.TopicConfig) (int, error) {
	if err := checkName(name); err != nil {
		return 0, oslc.E(op, err, oslc.Invalid)
	}
	create.Topic = name
	partitions := 0
	err := l.retry(ctx, op, func(ctx context.Context) error {
		found, err := l.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{name}})
		if err != nil {
			return err
		}
		if len(found.Topics) != 1 {
			return kafka.UnknownTopicOrPartition
		}
		t := found.Topics[0]
		if errors.Is(t.Error, kafka.UnknownTopicOrPartition) {
			made, err := l.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{create}})
			if err != nil {
				return err
			}
			if err := made.Errors[name]; err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
				return err
			}
			return t.Error // and look again
		}
		if t.Error != nil {
			return t.Error
		}
		for _, p := range t.Partitions {
			if p.Error != nil && !errors.Is(p.Error, kafka.ReplicaNotAvailable) {
				return p.Error
			}
		}
		if len(t.Partitions) == 0 {
			return kafka.LeaderNotAvailable
		}
		partitions = len(t.Partitions)
		return nil
	})
	return partitions, err
}

// eventTopic is how topics for messages are made.
func (l *Log) eventTopic() kafka.TopicConfig {
	c := kafka.TopicConfig{NumPartitions: l.cfg.Partitions, ReplicationFactor: l.replication()}
	for name, value := range l.cfg.TopicConfig {
		c.ConfigEntries = append(c.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	if _, set := l.cfg.TopicConfig[maxMessageBytes]; !set && l.cfg.MaxMessageBytes > DefaultMaxMessageBytes {
		c.ConfigEntries = append(c.ConfigEntries, kafka.ConfigEntry{
			ConfigName: maxMessageBytes, ConfigValue: strconv.Itoa(l.cfg.MaxMessageBytes + batchHeader),
		})
	}
	return c
}

const maxMessageBytes = "max.message.bytes"

func (l *Log) replication() int {
	if l.cfg.Replication == 0 {
		return -1 // the cluster's default (KIP-464)
	}
	return l.cfg.Replication
}

// bounds are the first offset that a partition has and the one after its last.
type bounds struct{ first, end int64 }

// bounds asks for the bounds of partitions 0 to n-1.
func (l *Log) bounds(ctx context.Context, op, topic string, n int) ([]bounds, error) {
	out := make([]bounds, n)
	err := l.retry(ctx, op, func(ctx context.Context) error {
		var ask []kafka.OffsetRequest
		for p := range n {
			ask = append(ask, kafka.FirstOffsetOf(p), kafka.LastOffsetOf(p))
		}
		res, err := l.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: ask}})
		if err != nil {
			return err
		}
		seen := 0
		for _, p := range res.Topics[topic] {
			if p.Error != nil {
				return p.Error
			}
			if p.Partition < n && p.FirstOffset >= 0 && p.LastOffset >= 0 {
				out[p.Partition] = bounds{p.FirstOffset, p.LastOffset}
				seen++
			}
		}
		if seen != n {
			return kafka.LeaderNotAvailable
		}
		return nil
	})
	return out, err
}

// End implements bus.Ender.
func (l *Log) End(ctx context.Context, topic string) ([]int64, error) {
	const op = "kafka.end"
	ctx, leave, err := l.enter(ctx, op, true)
	if err != nil {
		return nil, err
	}
	defer leave()
	n, err := l.topic(ctx, op, topic, l.eventTopic())
	if err != nil {
		return nil, err
	}
	have, err := l.bounds(ctx, op, topic, n)
	if err != nil {
		return nil, err
	}
	out := make([]int64, n)
	for p, b := range have {
		out[p] = b.end
	}
	return out, nil
}
