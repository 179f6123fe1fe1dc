package kafka

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/bus"
)

var drawMessage = rapid.Custom(func(t *rapid.T) bus.Message {
	m := bus.Message{Key: rapid.String().Draw(t, "key")}
	if rapid.Bool().Draw(t, "has value") {
		m.Value = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "value")
		if m.Value == nil {
			m.Value = []byte{}
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "headers") {
		m.Header.Set(rapid.StringMatching(`[a-z_]{1,12}`).Draw(t, "name"), rapid.String().Draw(t, "header"))
	}
	return m
})

func encode(codec compress.Codec, ms []bus.Message, who producer, sequence int32, own []field) []byte {
	e := encoder{codec: codec}
	e.reset()
	for i := range ms {
		e.add(&ms[i], own, recordSize(e.records, &ms[i], own))
	}
	return e.finish(who, sequence, 1_700_000_000_000)
}

// TestEncoder reads what the encoder writes with two decoders that we did not
// write: kafka-go's, which checks the checksum, and kmsg's for the batch header.
func TestEncoder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.SliceOfN(drawMessage, 1, 200).Draw(t, "messages")
		who := producer{id: rapid.Int64Min(0).Draw(t, "id"), epoch: rapid.Int16Min(0).Draw(t, "epoch")}
		sequence := rapid.Int32Min(0).Draw(t, "sequence")
		own := []field{{sourceHeader, []byte("s")}, {cursorHeader, rapid.SliceOf(rapid.Byte()).Draw(t, "cursor")}}
		name := rapid.SampledFrom([]string{"none", "gzip", "snappy", "lz4", "zstd"}).Draw(t, "compression")
		codec, err := codecOf(name)
		if err != nil {
			t.Fatal(err)
		}
		plain := encode(nil, ms, who, sequence, own)
		raw := encode(codec, ms, who, sequence, own)
		attributes := int16(0)
		if len(raw) < len(plain) {
			attributes = int16(codec.Code())
		} else if len(raw) > len(plain) {
			t.Fatalf("%s makes %d bytes out of %d", name, len(raw), len(plain))
		}

		var h kmsg.RecordBatch
		if err := h.ReadFrom(raw[4:]); err != nil {
			t.Fatal(err)
		}
		got := []any{h.Magic, h.Length, h.NumRecords, h.LastOffsetDelta, h.ProducerID, h.ProducerEpoch, h.FirstSequence, h.FirstTimestamp, h.Attributes}
		want := []any{
			int8(2), int32(len(raw) - 16), int32(len(ms)), int32(len(ms) - 1), who.id, who.epoch, sequence,
			int64(1_700_000_000_000), attributes,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("batch header (-want +got):\n%s", diff)
		}

		var set protocol.RecordSet
		if _, err := set.ReadFrom(bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		records, seen, err := decode(set.Records, 0)
		if err != nil || !seen || len(records) != len(ms) {
			t.Fatalf("%d records of %d, %v", len(records), len(ms), err)
		}
		for i, r := range records {
			if r.offset != int64(i) || r.own.source != "s" || !bytes.Equal(r.own.cursor, own[1].value) {
				t.Fatalf("record %d: offset %d, source %q, cursor %q", i, r.offset, r.own.source, r.own.cursor)
			}
			if len(r.Header) == 0 && len(ms[i].Header) == 0 {
				r.Header, ms[i].Header = nil, nil
			}
			if diff := cmp.Diff(ms[i], r.Message); diff != "" {
				t.Fatalf("record %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

func TestRecordSize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage.Draw(t, "message")
		var e encoder
		e.reset()
		n := recordSize(0, &m, nil)
		e.add(&m, nil, n)
		length, prefix := binary.Varint(e.buf[4+batchHeader:])
		if int(length) != n || len(e.buf) != 4+batchHeader+prefix+n {
			t.Fatalf("record of %d bytes: said %d, wrote %d", n, length, len(e.buf)-4-batchHeader-prefix)
		}
		v := rapid.Int64().Draw(t, "v")
		if got, want := varintSize(v), len(binary.AppendVarint(nil, v)); got != want {
			t.Fatalf("varintSize(%d) is %d, want %d", v, got, want)
		}
	})
}

func TestNextSequence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ from, n, want int32 }{
		{0, 1, 1},
		{0, 500, 500},
		{math.MaxInt32 - 1, 1, math.MaxInt32},
		// org.apache.kafka.common.record.DefaultRecordBatch.incrementSequence
		{math.MaxInt32, 1, 0},
		{math.MaxInt32, 2, 1},
		{math.MaxInt32 - 3, 10, 6},
	} {
		if got := nextSequence(tt.from, tt.n); got != tt.want {
			t.Errorf("nextSequence(%d, %d) is %d, want %d", tt.from, tt.n, got, tt.want)
		}
	}
}

// TestPartitionOf compares with kafka-go's port of the Java partitioner, and with
// values of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
func TestPartitionOf(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2(key)); got != want {
			t.Errorf("murmur2(%q) is %d, want %d", key, got, want)
		}
	}
	balancer := kafka.Murmur2Balancer{Consistent: true}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		n := rapid.IntRange(1, 50).Draw(t, "partitions")
		var parts []int
		for i := range n {
			parts = append(parts, i)
		}
		if got, want := partitionOf(key, n), balancer.Balance(kafka.Message{Key: []byte(key)}, parts...); got != want {
			t.Fatalf("partitionOf(%q, %d) is %d, want %d", key, n, got, want)
		}
	})
}

func TestMessages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage.Draw(t, "message")
		got := FromMessage(ToMessage(m))
		if len(got.Header) == 0 {
			got.Header = nil
			if len(m.Header) == 0 {
				m.Header = nil
			}
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
	got := FromMessage(kafka.Message{Headers: []kafka.Header{
		{Key: "CE_ID", Value: []byte("1")}, {Key: "ce_id", Value: []byte("2")}, {Key: cursorHeader, Value: []byte("c")},
	}})
	if diff := cmp.Diff(bus.Header{{Name: "ce_id", Value: "2"}}, got.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

// FuzzDecode reads damaged batches: an error or fewer records, never a panic.
func FuzzDecode(f *testing.F) {
	f.Add(encode(nil, []bus.Message{{Key: "k", Value: []byte("v"), Header: bus.Header{{Name: "ce_id", Value: "1"}}}}, producer{1, 2}, 3, nil))
	f.Add(encode(nil, make([]bus.Message, 3), producer{1, 2}, 3, []field{{batchHeaderN, []byte("1.2/3")}, {floorHeader, []byte("0")}}))
	f.Fuzz(func(t *testing.T, headers []byte) {
		rec := protocol.Record{Headers: []protocol.Header{
			{Key: sourceHeader, Value: []byte("s")}, {Key: batchHeaderN, Value: headers}, {Key: floorHeader, Value: headers},
		}}
		r, err := decodeRecord(&rec)
		if err != nil {
			t.Fatal(err)
		}
		if tr, err := r.trace(); err == nil && tr.floor < 0 && len(headers) == 0 {
			t.Errorf("trace of nothing: %+v", tr)
		}
	})
}

func benchmarkBatch() []bus.Record {
	var batch []bus.Record
	for i := range 500 {
		batch = append(batch, bus.Record{
			Topic: "t",
			Message: bus.Message{
				Key:   "https://bus.example/services/st2/changeRequests/65f1",
				Value: bytes.Repeat([]byte("x"), 1200),
				Header: bus.Header{
					{Name: "ce_specversion", Value: "1.0"},
					{Name: "ce_id", Value: "6f0c1b52-0000-4000-8000-000000000000"},
					{Name: "ce_source", Value: "https://bus.example/services/st2"},
					{Name: "ce_type", Value: "trs.Modification"},
					{Name: "ce_time", Value: "2026-11-21T09:30:00.125Z"},
					{Name: "content-type", Value: "application/rdf+xml"},
				},
			},
			Cursor: []byte("8265f1a2b3000000" + string(rune('a'+i%26)) + "8265f1a2b30000008265f1a2b3000000"),
		})
	}
	return batch
}

// BenchmarkEncode is the work of Append without the network, for a batch of 500
// messages of 1.5 kB.
func BenchmarkEncode(b *testing.B) {
	l, err := New(Config{Brokers: []string{"127.0.0.1:1"}}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	part := &partition{topic: "t", limit: l.cfg.MaxMessageBytes}
	p := &publisher{log: l, source: "source", name: []byte("source"), topics: map[string]*ownedTopic{"t": {parts: []*partition{part}, limit: part.limit}}}
	batch := benchmarkBatch()
	b.ReportAllocs()
	for b.Loop() {
		if err := p.check(batch); err != nil {
			b.Fatal(err)
		}
		p.begin(batch, 0)
		for i := range part.chunks {
			part.enc.recycle(part.chunks[i].raw)
		}
		p.pending, part.chunks, part.enc.records = nil, part.chunks[:0], 0
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch)), "ns/rec")
}
