package bustest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/oslcbus/oslcbus/bus"
)

// Benchmark measures appends of messages of 1 KB in batches of several sizes, a
// read of the whole topic, and the way of one message from append to reader.
func Benchmark(b *testing.B, c Config) {
	value := bytes.Repeat([]byte("oslc:instanceShape "), 54)
	record := func(topic string, i int) bus.Record {
		return bus.Record{
			Topic: topic,
			Message: bus.Message{
				Key:   fmt.Sprintf("https://bus.example/services/st2/changeRequests/%06d", i%1000),
				Value: value,
				Header: bus.Header{
					{Name: "ce_specversion", Value: "1.0"},
					{Name: "ce_id", Value: fmt.Sprintf("6f0c1b52-0000-4000-8000-%012d", i)},
					{Name: "ce_source", Value: "https://bus.example/services/st2"},
					{Name: "ce_type", Value: "org.open-services.trs.Modification"},
					{Name: "content-type", Value: "application/rdf+xml"},
				},
			},
			Cursor: fmt.Appendf(nil, "8265f1a2b3000000%012d", i),
		}
	}
	own := func(b *testing.B, l bus.Log, topic string) bus.Publisher {
		b.Helper()
		p, err := l.Own(b.Context(), "source-"+topic, topic)
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	made := 0
	topicOf := func() string {
		made++
		return fmt.Sprintf("bench-%d-%d", made, b.Elapsed().Nanoseconds())
	}
	for _, size := range []int{1, 100, 500} {
		b.Run(fmt.Sprint("append/", size), func(b *testing.B) {
			l, topic := c.Open(b, b.TempDir()), topicOf()
			defer l.Close()
			p := own(b, l, topic)
			batch := make([]bus.Record, size)
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; {
				batch = batch[:0]
				for ; len(batch) < size && i < b.N; i++ {
					batch = append(batch, record(topic, i))
				}
				if err := p.Append(b.Context(), batch...); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rec/s")
		})
	}
	b.Run("read", func(b *testing.B) {
		l, topic := c.Open(b, b.TempDir()), topicOf()
		defer l.Close()
		p := own(b, l, topic)
		const kept = 20_000
		batch := make([]bus.Record, 0, 500)
		for i := range kept {
			if batch = append(batch, record(topic, i)); len(batch) == cap(batch) {
				if err := p.Append(b.Context(), batch...); err != nil {
					b.Fatal(err)
				}
				batch = batch[:0]
			}
		}
		b.SetBytes(int64(len(value)))
		b.ReportAllocs()
		b.ResetTimer()
		for i := 0; i < b.N; {
			r, err := l.Open(b.Context(), topic, bus.From{})
			if err != nil {
				b.Fatal(err)
			}
			for j := 0; j < kept && i < b.N; j, i = j+1, i+1 {
				if _, err := r.Next(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			r.Close()
		}
		b.StopTimer()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rec/s")
	})
	b.Run("append to next", func(b *testing.B) {
		l, topic := c.Open(b, b.TempDir()), topicOf()
		defer l.Close()
		p := own(b, l, topic)
		r, err := l.Open(b.Context(), topic, bus.From{})
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		b.ResetTimer()
		for i := range b.N {
			if err := p.Append(b.Context(), record(topic, i)); err != nil {
				b.Fatal(err)
			}
			if _, err := r.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
