package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// BenchmarkRebuild measures how long the built program takes to make its views anew from
// a log of 50,000 events, or as many as OSLCBUS_BENCH_EVENTS says: a fifth create
// resources with eight properties, the others change one of them. The log is the
// embedded one, and then Kafka on the same machine.
func BenchmarkRebuild(b *testing.B) {
	events := int(benchSize("OSLCBUS_BENCH_EVENTS", 50_000)) / foldAtOnce * foldAtOnce
	bin := build(b)
	rebuild := func(b *testing.B, topic string, log bus.Log, config func(dir string) string, base, dir string) {
		b.Helper()
		begun := time.Now()
		last := fillTopic(b, log, topic, events)
		b.Logf("%d events were written in %v", events, time.Since(begun).Round(time.Millisecond))
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(b.Context(), 20*time.Minute)
		defer cancel()
		for range b.N {
			for _, name := range []string{"oslcbus.db", "oslcbus.db-wal", "oslcbus.db-shm"} {
				_ = os.Remove(filepath.Join(dir, name))
			}
			begun := time.Now()
			p := run(b, bin, base, config(dir))
			p.waitFor(ctx, "bus", last)
			took := time.Since(begun)
			_, most := p.memory()
			p.stop()
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took.Seconds(), "s")
			b.ReportMetric(float64(events)/took.Seconds(), "events/s")
			b.ReportMetric(most, "MB-most")
		}
	}
	b.Run("SQLite", func(b *testing.B) {
		dir, addr := b.TempDir(), freePort(b)
		db, err := sqlite.Open(b.Context(), filepath.Join(dir, "log.db"))
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		rebuild(b, "bus_event", closing{db.Log(), db}, func(dir string) string { return fmt.Sprintf("listen: %s\ndata: %q\n", addr, dir) }, "http://"+addr, dir)
	})
	b.Run("Kafka", func(b *testing.B) {
		broker := testkit.Kafka(b)
		dir, addr, topic := b.TempDir(), freePort(b), broker.Name+"bus_event"
		log, err := kafka.New(kafka.Config{Brokers: []string{broker.Addr}, Prefix: broker.Name, Compression: "gzip"}, kafka.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer log.Close()
		rebuild(b, topic, log, func(dir string) string {
			return fmt.Sprintf("listen: %s\ndata: %q\nkafka: {brokers: [%q], prefix: %q}\nrequests: {topic: %q}\n", addr, dir, broker.Addr, broker.Name, topic)
		}, "http://"+addr, dir)
	})
}

// closing is a log whose file is closed with it.
type closing struct {
	*sqlite.Log
	db *sqlite.DB
}

func (c closing) Close() error {
	if err := c.Log.Close(); err != nil {
		return err
	}
	return c.db.Close()
}

// fillTopic writes events, and returns the order of the last one.
func fillTopic(b *testing.B, log bus.Log, topic string, events int) (last int64) {
	b.Helper()
	pub, err := log.Own(b.Context(), "bench", topic)
	if err != nil {
		b.Fatal(err)
	}
	enc := bus.Encoder{Source: "http://bus.example/services/st2", Format: format.RDFXML}
	resources := max(foldAtOnce, events/5/foldAtOnce*foldAtOnce)
	for at := 0; at < events; at += foldAtOnce {
		kind := oslc.Modification
		if at < resources {
			kind = oslc.Creation
		}
		enc.Reset()
		var batch []bus.Record
		for _, s := range steps(0, at%resources, at/resources, kind) {
			m, err := enc.Encode(s.Event)
			if err != nil {
				b.Fatal(err)
			}
			batch = append(batch, bus.Record{Topic: topic, Message: m})
		}
		if err := pub.Append(b.Context(), batch...); err != nil {
			b.Fatal(err)
		}
	}
	ends, err := log.(bus.Ender).End(b.Context(), topic) //nolint:forcetypeassert // both logs are one
	if err != nil {
		b.Fatal(err)
	}
	// The driver may keep a record of its own before the events, none after them.
	if err := pub.Close(); err != nil {
		b.Fatal(err)
	}
	return ends[0]
}
