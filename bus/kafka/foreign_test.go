package kafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/google/go-cmp/cmp"
	segmentio "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/cloudevents"
	"github.com/oslcbus/oslcbus/bus/kafka"
)

// Another client reads the topic: every record is a valid CloudEvent, the markers
// as well.
func TestForeignReader(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		l := open(t, kafka.Config{Brokers: []string{addr}}, kafka.Options{})
		source, topic := name+"-foreign", name+"-foreign"
		p := own(t, l, source, topic)
		rec := change(source, topic, 0)
		for header, value := range map[string]string{
			"ce_specversion": "1.0", "ce_source": "https://bus.example/" + source, "ce_type": "trs.Modification",
			"ce_time": "2026-11-21T09:30:00.125Z", "content-type": "text/turtle",
		} {
			rec.Header.Set(header, value)
		}
		if err := p.Append(within(t), rec); err != nil {
			t.Fatal(err)
		}
		if err := p.Append(within(t), bus.Record{Cursor: []byte("000001")}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		r := segmentio.NewReader(segmentio.ReaderConfig{Brokers: []string{addr}, Topic: topic, MaxWait: time.Second})
		defer r.Close()
		var types []string
		for range 3 {
			m, err := r.ReadMessage(within(t))
			if err != nil {
				t.Fatal(err)
			}
			in := kafka.FromMessage(m)
			e, err := binding.ToEvent(t.Context(), cloudevents.Message(in))
			if err != nil {
				t.Fatalf("offset %d: %v", m.Offset, err)
			}
			if err := e.Validate(); err != nil {
				t.Errorf("offset %d: %v", m.Offset, err)
			}
			types = append(types, e.Type())
		}
		if diff := cmp.Diff([]string{"oslcbus.source.started", "trs.Modification", "oslcbus.source.cursor"}, types); diff != "" {
			t.Errorf("types (-want +got):\n%s", diff)
		}
	})
}

// Another client writes: compressed, in a transaction, with header names of its
// own, without a key.
func TestForeignWriter(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		topic := name + "-writer"
		l := open(t, kafka.Config{Brokers: []string{addr}}, kafka.Options{})
		r, err := l.Open(within(t), topic, bus.From{})
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		record := func() *kgo.Record {
			v := fmt.Sprint(len(want))
			want = append(want, v)
			return &kgo.Record{Topic: topic, Value: []byte(v), Headers: []kgo.RecordHeader{{Key: "CE_Id", Value: []byte(v)}}}
		}
		for _, codec := range []kgo.CompressionCodec{
			kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
		} {
			cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ProducerBatchCompression(codec),
				kgo.TransactionalID(name+"-tx"), kgo.DisableClientMetrics())
			if err != nil {
				t.Fatal(err)
			}
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := cl.ProduceSync(within(t), record(), record(), record()).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := cl.EndTransaction(within(t), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			cl.Close()
		}
		offsets := map[int64]string{}
		for range want {
			d, err := r.Next(within(t))
			if err != nil {
				t.Fatal(err)
			}
			if d.ID() != string(d.Value) {
				t.Errorf("id is %q, want %q", d.ID(), d.Value)
			}
			got = append(got, string(d.Value))
			offsets[d.Offset] = string(d.Value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("values (-want +got):\n%s", diff)
		}
		// Offset 3 has the end of the first transaction.
		if _, ok := offsets[3]; ok {
			t.Fatal("there is no control record at offset 3")
		}
		at, err := l.Open(within(t), topic, bus.From{Offsets: []int64{3}})
		if err != nil {
			t.Fatal(err)
		}
		if d, err := at.Next(within(t)); err != nil || d.Offset != 4 {
			t.Errorf("from a control record: got offset %d, %v, want 4", d.Offset, err)
		}
	})
}

// Compaction leaves holes, and batches with less in them than their header says.
func TestCompacted(t *testing.T) {
	t.Parallel()
	c := fake(t)
	l := open(t, kafka.Config{Brokers: c.ListenAddrs(), TopicConfig: map[string]string{"cleanup.policy": "compact"}}, kafka.Options{})
	p := own(t, l, "s", "t")
	const total = 100 // of seven keys
	for i := 0; i < total; i += 4 {
		if err := p.Append(within(t), changes("s", "t", i, i+4)...); err != nil {
			t.Fatal(err)
		}
	}
	c.Compact()
	r, err := l.Open(within(t), "t", bus.From{Offsets: []int64{0}})
	if err != nil {
		t.Fatal(err)
	}
	newest := map[string]string{}
	last := int64(-1)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		d, err := r.Next(ctx)
		cancel()
		if err != nil {
			break
		}
		if d.Offset <= last {
			t.Errorf("offset %d after %d", d.Offset, last)
		}
		last = d.Offset
		newest[d.Key] = string(d.Value)
	}
	for i := total - 7; i < total; i++ {
		if key := change("s", "t", i).Key; newest[key] != fmt.Sprint(i) {
			t.Errorf("key %s has value %q, want %d", key, newest[key], i)
		}
	}
	if got := after(t, own(t, l, "s", "t")); got != total {
		t.Errorf("the next owner goes on with %d, want %d", got, total)
	}
}
