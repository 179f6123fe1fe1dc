package kafka_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/bustest"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

// fake starts a broker in this process.
func fake(tb testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	tb.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1),
		kfake.BrokerConfigs(map[string]string{
			"group.min.session.timeout.ms":     "100",
			"group.initial.rebalance.delay.ms": "0",
		}),
	}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// testLogger shows what the log says in the output of the test.
func testLogger(tb testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// open makes a log on brokers that closes with the test.
func open(tb testing.TB, cfg kafka.Config, opts kafka.Options) *kafka.Log {
	tb.Helper()
	if cfg.SessionTimeout == 0 {
		cfg.SessionTimeout = 6 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = testLogger(tb)
	}
	l, err := kafka.New(cfg, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Errorf("closing the log: %v", err)
		}
	})
	return l
}

// suite runs bustest on a broker that keeps what logs leave behind.
func suite(addr string, partitions int) bustest.Config {
	return bustest.Config{
		Shared:     true,
		Partitions: partitions,
		Open: func(tb testing.TB, _ string) bus.Log {
			tb.Helper()
			return open(tb, kafka.Config{Brokers: []string{addr}, Partitions: partitions}, kafka.Options{
				Dial: (&net.Dialer{}).DialContext,
			})
		},
	}
}

func TestFake(t *testing.T) {
	bustest.Run(t, suite(fake(t).ListenAddrs()[0], 1))
}

func TestFakePartitions(t *testing.T) {
	bustest.Run(t, suite(fake(t).ListenAddrs()[0], 3))
}

func TestBroker(t *testing.T) {
	bustest.Run(t, suite(testkit.Kafka(t).Addr, 1))
}

func TestBrokerPartitions(t *testing.T) {
	bustest.Run(t, suite(testkit.Kafka(t).Addr, 3))
}

func BenchmarkFake(b *testing.B) {
	bustest.Benchmark(b, suite(fake(b).ListenAddrs()[0], 1))
}

func BenchmarkBroker(b *testing.B) {
	bustest.Benchmark(b, suite(testkit.Kafka(b).Addr, 1))
}

// within bounds a call that must succeed.
func within(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}
