package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/oslcbus/oslcbus/internal/testkit"
)

// pump is the least that gets changes to Kafka: each one as it came is the value
// of a record whose key is its document's.
func (h *history) pump(b *testing.B, broker *testkit.KafkaBroker, s *spent) {
	b.Helper()
	h.run++
	topic := fmt.Sprintf("%spump%d", broker.Name, h.run)
	transport := &kafka.Transport{MetadataTTL: 500 * time.Millisecond}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(broker.Addr), Transport: transport}
	res, err := client.CreateTopics(b.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: topic, NumPartitions: 1, ReplicationFactor: 1},
	}})
	if err == nil {
		err = res.Errors[topic]
	}
	if err != nil {
		b.Fatal(err)
	}
	known := func() bool {
		m, err := client.Metadata(b.Context(), &kafka.MetadataRequest{Topics: []string{topic}})
		return err == nil && len(m.Topics) == 1 && m.Topics[0].Error == nil && len(m.Topics[0].Partitions) == 1
	}
	for deadline, tick := time.Now().Add(patience), time.NewTicker(10*time.Millisecond); !known(); <-tick.C {
		if time.Now().After(deadline) {
			b.Fatal("the topic does not come")
		}
	}
	const atOnce = 250
	sent := make(chan error, 1)
	sent <- nil
	send := func(raw []byte) {
		if err := <-sent; err != nil {
			b.Fatal(err)
		}
		go func() {
			res, err := client.RawProduce(b.Context(), &kafka.RawProduceRequest{
				Topic: topic, RequiredAcks: kafka.RequireAll,
				RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(raw)},
			})
			if err == nil {
				err = res.Error
			}
			sent <- err
		}()
	}
	var buffers [3]batch // one is filled, one on its way, one may still be read
	n := 0
	begun := now()
	h.follow(b, func(c bson.Raw) {
		to := &buffers[n/atOnce%len(buffers)]
		key := c.Lookup("documentKey", "_id")
		to.add(key.Value, c)
		if n++; n%atOnce == 0 || n == changes {
			send(to.finish())
		}
	})
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
	s.add(begun, now(), changes)
}

// batch is a record batch of Kafka in the format with magic byte 2, behind its
// length.
type batch struct {
	b       []byte
	records int32
}

const batchStart = 4 + 61

func (t *batch) add(key, value []byte) {
	if t.records == 0 {
		t.b = append(t.b[:0], make([]byte, batchStart)...)
	}
	var r [5 * binary.MaxVarintLen32]byte
	head := append(r[:0], 0, 0) // attributes, delta of the time
	head = binary.AppendVarint(head, int64(t.records))
	head = binary.AppendVarint(head, int64(len(key)))
	var v [binary.MaxVarintLen32]byte
	size := binary.AppendVarint(v[:0], int64(len(value)))
	t.b = binary.AppendVarint(t.b, int64(len(head)+len(key)+len(size)+len(value)+1))
	t.b = append(append(t.b, head...), key...)
	t.b = append(append(append(t.b, size...), value...), 0) // no headers
	t.records++
}

func (t *batch) finish() []byte {
	binary.BigEndian.PutUint32(t.b, uint32(len(t.b)-4))
	h := t.b[4:]
	binary.BigEndian.PutUint32(h[8:], uint32(len(h)-12))
	binary.BigEndian.PutUint32(h[12:], 0xffffffff)
	h[16] = 2
	binary.BigEndian.PutUint32(h[23:], uint32(t.records-1))
	at := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint64(h[27:], at)
	binary.BigEndian.PutUint64(h[35:], at)
	for i := 43; i < 57; i++ {
		h[i] = 0xff // no producer
	}
	binary.BigEndian.PutUint32(h[57:], uint32(t.records))
	binary.BigEndian.PutUint32(h[17:], crc32.Checksum(h[21:], crc32.MakeTable(crc32.Castagnoli)))
	t.records = 0
	return t.b
}
