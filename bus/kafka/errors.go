package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/oslcbus/oslcbus/oslc"
)

var errClosed = errors.New("log is closed")

// permanent returns the kind of an error that the same request will meet again,
// and whether err is one.
func permanent(err error) (oslc.Kind, bool) {
	if e, ok := errors.AsType[*oslc.Error](err); ok {
		return e.Kind, !e.Kind.Retryable()
	}
	if errors.Is(err, errClosed) {
		return oslc.Unavailable, true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return oslc.Denied, true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return oslc.Denied, true
	}
	code, ok := errors.AsType[kafka.Error](err)
	if !ok {
		return oslc.Unavailable, false
	}
	kind, ok := lasting[code]
	if !ok {
		return oslc.Unavailable, false
	}
	return kind, true
}

// lasting has the answers of a broker that come again for the same request.
var lasting = map[kafka.Error]oslc.Kind{
	kafka.TopicAuthorizationFailed:           oslc.Denied,
	kafka.GroupAuthorizationFailed:           oslc.Denied,
	kafka.ClusterAuthorizationFailed:         oslc.Denied,
	kafka.TransactionalIDAuthorizationFailed: oslc.Denied,
	kafka.SASLAuthenticationFailed:           oslc.Denied,
	kafka.UnsupportedSASLMechanism:           oslc.Denied,
	kafka.IllegalSASLState:                   oslc.Denied,

	kafka.InvalidProducerEpoch:     oslc.Conflict,
	kafka.ProducerFenced:           oslc.Conflict,
	kafka.InvalidProducerIDMapping: oslc.Conflict,
	// The broker and the publisher disagree on what is on the log. Whoever owns the
	// source next reads it back.
	kafka.OutOfOrderSequenceNumber: oslc.Conflict,
	kafka.UnknownProducerId:        oslc.Conflict,

	kafka.MessageSizeTooLarge:         oslc.Invalid,
	kafka.RecordListTooLarge:          oslc.Invalid,
	kafka.InvalidRecord:               oslc.Invalid,
	kafka.InvalidTimestamp:            oslc.Invalid, // one of the clocks is wrong by an hour
	kafka.InvalidTopic:                oslc.Invalid,
	kafka.InvalidPartitionNumber:      oslc.Invalid,
	kafka.InvalidReplicationFactor:    oslc.Invalid,
	kafka.InvalidConfiguration:        oslc.Invalid,
	kafka.InvalidRequest:              oslc.Invalid,
	kafka.PolicyViolation:             oslc.Invalid,
	kafka.UnsupportedVersion:          oslc.Invalid,
	kafka.UnsupportedForMessageFormat: oslc.Invalid,
	kafka.InvalidSessionTimeout:       oslc.Invalid,
	kafka.InvalidGroupId:              oslc.Invalid,

	kafka.OffsetOutOfRange: oslc.Gone,
}

// unknownTopic reports whether the cluster, or what is remembered of it, does not
// have the topic.
func unknownTopic(err error) bool {
	return errors.Is(err, kafka.UnknownTopicOrPartition) || errors.Is(err, protocol.ErrNoTopic) ||
		errors.Is(err, protocol.ErrNoPartition)
}

// missingTopic is how long a topic may be unknown before it counts as deleted:
// what brokers tell of a topic that was just made may lag.
const missingTopic = 10 * time.Second

// An absence says since when a topic has been unknown, without a break.
type absence struct {
	limit time.Duration
	since time.Time
}

// check returns err, or that the topic is gone when it has been unknown for long.
func (a *absence) check(op, topic string, err error) error {
	switch {
	case !unknownTopic(err):
		a.since = time.Time{}
	case a.since.IsZero():
		a.since = time.Now()
	case time.Since(a.since) > a.limit:
		return oslc.Errorf(op, oslc.Gone, "topic %s is not there any more", topic)
	}
	return err
}

// Waits between attempts double from the first to the last.
const (
	firstWait = 20 * time.Millisecond
	lastWait  = 2 * time.Second
)

// attemptTimeout bounds one request. Repeating any request used here is harmless,
// so it need not cover the longest stall of a broker.
const attemptTimeout = 10 * time.Second

// retry calls try until it works, fails for good, or ctx ends. An error that it
// returns has a kind: Unavailable when the time ran out.
func (l *Log) retry(ctx context.Context, op string, try func(context.Context) error) error {
	start := time.Now()
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		attempt, cancel := context.WithTimeout(ctx, l.attempt)
		err := try(attempt)
		cancel()
		if err == nil {
			l.back()
			return nil
		}
		if err := l.giveUp(ctx, op, err); err != nil {
			return err
		}
		// A leader that moves or a coordinator that loads is back before that.
		if time.Since(start) > time.Second {
			l.away(op, err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return l.giveUp(ctx, op, err)
		case <-timer.C:
		}
	}
}

// giveUp returns the error to give to the caller, or nil to try again.
func (l *Log) giveUp(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		if errors.Is(cause, errClosed) {
			return oslc.E(op, errClosed, oslc.Unavailable)
		}
		if errors.Is(err, cause) {
			return oslc.E(op, cause, oslc.Unavailable)
		}
		return oslc.E(op, fmt.Errorf("%w: %w", cause, err), oslc.Unavailable)
	}
	if kind, ok := permanent(err); ok {
		return oslc.E(op, err, kind)
	}
	return nil
}

// away logs the first failure of an outage, back its end.
func (l *Log) away(op string, err error) {
	if l.outage.CompareAndSwap(false, true) {
		l.logger.Warn("kafka is away", "op", op, "err", err)
	}
}

func (l *Log) back() {
	if l.outage.Load() && l.outage.CompareAndSwap(true, false) {
		l.logger.Info("kafka is back")
	}
}
