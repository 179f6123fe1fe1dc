package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

// The history that is read: each rule is inserted, disabled and enabled.
const (
	rules   = 20_000
	changes = 3 * rules
)

// patience bounds what must happen once in a benchmark.
const patience = 5 * time.Minute

// BenchmarkChange measures the way of changes from MongoDB to a record on a topic
// of Kafka, which has acknowledged it. MongoDB, Kafka and this process share the
// machine. Every part reads the same history:
//
//   - driver: the Go driver alone, which leaves the changes as they come
//   - pump: the driver and a producer of 250 records a batch, one in flight, with
//     no mapping, no copies of documents and nothing that survives a crash
//   - topic: the bus, its views held back until all is on the topic; what the views
//     then take to catch up is reported beside; by the compression of the records
//   - both: the bus, its views at work from the start
func BenchmarkChange(b *testing.B) {
	set, broker := testkit.Mongo(b), testkit.Kafka(b)
	h := newHistory(b, set.URI, set.Database)
	var driver, pump spent
	b.Run("driver", func(b *testing.B) {
		driver = spent{}
		for range b.N {
			h.drive(b, &driver)
		}
		driver.report(b, "change")
	})
	b.Run("pump", func(b *testing.B) {
		pump = spent{}
		for range b.N {
			h.pump(b, broker, &pump)
		}
		pump.report(b, "change")
		ratio(b, "x-driver", &pump, &driver)
	})
	var folded, both spent
	for _, compression := range []string{kafka.DefaultCompression, "lz4"} {
		b.Run("topic, "+compression, func(b *testing.B) {
			topic := spent{}
			folded = spent{}
			for range b.N {
				h.bus(b, broker, compression, &topic, &folded, true)
			}
			topic.report(b, "change")
			ratio(b, "x-driver", &topic, &driver)
			ratio(b, "x-pump", &topic, &pump)
			b.ReportMetric(folded.rate(), "views-changes/s")
			b.ReportMetric(float64(folded.cpu.Microseconds())/float64(folded.n), "views-cpu-µs/change")
		})
	}
	b.Run("both", func(b *testing.B) {
		both = spent{}
		catchUp := spent{}
		for range b.N {
			h.bus(b, broker, kafka.DefaultCompression, &both, &catchUp, false)
		}
		both.report(b, "change")
		ratio(b, "x-pump", &both, &pump)
		b.ReportMetric(catchUp.took.Seconds()/float64(b.N), "s-views-behind")
	})
}

func ratio(b *testing.B, name string, s, other *spent) {
	b.Helper()
	if other.n > 0 {
		b.ReportMetric(s.rate()/other.rate(), name)
	}
}

// history is what happened in a database, and the places right before it.
type history struct {
	uri, name string
	db        *mongo.Database
	time      bson.Timestamp
	cursor    adapters.Cursor
	run       int
}

func newHistory(b *testing.B, uri, name string) *history {
	b.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		b.Fatal(err)
	}
	h := &history{uri: uri, name: name, db: client.Database(name)}
	b.Cleanup(func() {
		ctx := context.WithoutCancel(b.Context())
		_ = h.db.Drop(ctx)
		_ = client.Disconnect(ctx)
	})
	h.begin(b)
	h.cursor = h.place(b)
	hello, err := h.db.RunCommand(b.Context(), bson.D{{Key: "hello", Value: 1}}).Raw()
	if err != nil {
		b.Fatal(err)
	}
	t, i := hello.Lookup("operationTime").Timestamp()
	h.time = bson.Timestamp{T: t, I: i + 1}
	h.write(b)
	return h
}

// begin writes what rules refer to.
func (h *history) begin(b *testing.B) {
	b.Helper()
	for collection, doc := range map[string]string{
		"trigger_d_b":      `{"ref": "core.webhook", "type": "core.st2.webhook", "parameters": {"url": "hook"}}`,
		"trigger_type_d_b": `{"ref": "core.st2.webhook", "parameters_schema": {"properties": {"url": {"type": "string"}}}}`,
		"action_d_b":       `{"ref": "core.local", "runner_type": {"name": "local-shell-cmd"}, "parameters": {}}`,
		"runner_type_d_b":  `{"name": "local-shell-cmd", "runner_parameters": {"cmd": {"type": "string"}}}`,
	} {
		var d bson.D
		if err := bson.UnmarshalExtJSON([]byte(doc), false, &d); err != nil {
			b.Fatal(err)
		}
		if _, err := h.db.Collection(collection).InsertOne(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
	if err := h.db.CreateCollection(b.Context(), "rule_d_b"); err != nil {
		b.Fatal(err)
	}
}

// place returns the cursor of a source that has seen everything so far.
func (h *history) place(b *testing.B) adapters.Cursor {
	b.Helper()
	source := h.source(b, adapters.Options{Name: "st2", BaseURL: "http://bus.example"}).Source
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	var cursor adapters.Cursor
	err := source.Run(ctx, nil, func(ctx context.Context, batch ...adapters.Emission) error {
		for _, e := range batch {
			if e.At != nil {
				cursor = e.At
			}
		}
		if len(batch) == 0 && cursor != nil { // it follows
			cancel()
		}
		return ctx.Err()
	})
	if cursor == nil {
		b.Fatal(err)
	}
	return cursor
}

func (h *history) source(b *testing.B, opts adapters.Options) adapters.Adapter {
	b.Helper()
	ad, err := stackstorm.Build(func(v any) error {
		cfg := v.(*stackstorm.Config)
		cfg.MongoDB.URI, cfg.MongoDB.Database = adapters.Secret(h.uri), h.name
		return nil
	}, opts)
	if err != nil {
		b.Fatal(err)
	}
	return ad
}

// rule is a document of about 1.1 KB, as StackStorm writes rules.
func rule(i int) bson.D {
	name := fmt.Sprintf("rule_%d", i)
	return bson.D{
		{Key: "_id", Value: bson.NewObjectID()},
		{Key: "name", Value: name},
		{Key: "ref", Value: "default." + name},
		{Key: "pack", Value: "default"},
		{Key: "uid", Value: "rule:default:" + name},
		{Key: "description", Value: strings.Repeat("what this rule is for ", 20)},
		{Key: "tags", Value: bson.A{}},
		{Key: "metadata_file", Value: ""},
		{Key: "type", Value: bson.D{{Key: "ref", Value: "standard"}, {Key: "parameters", Value: bson.D{}}}},
		{Key: "trigger", Value: "core.webhook"},
		{Key: "criteria", Value: bson.D{{Key: "trigger\uff0ebody\uff0estatus", Value: bson.D{
			{Key: "type", Value: "eq"}, {Key: "pattern", Value: "failed"},
		}}}},
		{Key: "action", Value: bson.D{
			{Key: "ref", Value: "core.local"},
			{Key: "parameters", Value: bson.D{{Key: "cmd", Value: strings.Repeat("echo ", 40)}}},
		}},
		{Key: "context", Value: bson.D{{Key: "user", Value: "st2admin"}}},
		{Key: "enabled", Value: true},
	}
}

// write makes the changes that are read.
func (h *history) write(b *testing.B) {
	b.Helper()
	const atOnce = 1000
	into := h.db.Collection("rule_d_b")
	for begin := 0; begin < rules; begin += atOnce {
		var inserts []any
		var updates []mongo.WriteModel
		for n := range atOnce {
			d := rule(begin + n)
			inserts = append(inserts, d)
			for _, on := range []bool{false, true} {
				updates = append(updates, mongo.NewUpdateOneModel().SetFilter(bson.D{d[0]}).
					SetUpdate(bson.D{{Key: "$set", Value: bson.D{{Key: "enabled", Value: on}}}}))
			}
		}
		if _, err := into.InsertMany(b.Context(), inserts); err != nil {
			b.Fatal(err)
		}
		if _, err := into.BulkWrite(b.Context(), updates); err != nil {
			b.Fatal(err)
		}
	}
}

// follow calls each with every change of the history, as it came.
func (h *history) follow(b *testing.B, each func(bson.Raw)) {
	b.Helper()
	stream, err := h.db.Watch(b.Context(), mongo.Pipeline{}, options.ChangeStream().SetBatchSize(1000).SetStartAtOperationTime(&h.time))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = stream.Close(context.WithoutCancel(b.Context())) }()
	for range changes {
		if !stream.Next(b.Context()) {
			b.Fatal(stream.Err())
		}
		each(stream.Current)
	}
}

func (h *history) drive(b *testing.B, s *spent) {
	b.Helper()
	begun, size := now(), 0
	h.follow(b, func(c bson.Raw) { size += len(c) })
	s.add(begun, now(), changes)
	if size == 0 {
		b.Fatal("the changes are empty")
	}
}

// bus runs a bus until all is on the topic and in the views. What it took until
// the last change was on the topic goes to topic, what the views took from then
// on to views. With hold the views begin to work only then.
func (h *history) bus(b *testing.B, broker *testkit.KafkaBroker, compression string, topic, views *spent, hold bool) {
	b.Helper()
	h.run++
	name := fmt.Sprintf("%schange%d", broker.Name, h.run)
	gate := make(chan struct{})
	if !hold {
		close(gate)
	}
	var folded atomic.Int64
	all := make(chan struct{})
	observe := func(_ string, _ *oslc.Event) {
		<-gate
		if folded.Add(1) == changes {
			close(all)
		}
	}
	source := &timed{from: h.cursor, done: make(chan struct{})}
	registry := adapters.Registry{"st2": func(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
		if err := decode(&struct{}{}); err != nil {
			return adapters.Adapter{}, err
		}
		opts.BaseURL = "http://bus.example" // part of the cursor's shape
		ad := h.source(b, opts)
		source.Source, ad.Source = ad.Source, source
		return ad, nil
	}}
	stop := startBus(b, fmt.Sprintf(`
kafka: {brokers: [%q], prefix: %q, compression: %s}
requests: {topic: %q}
connections:
  st2: {type: st2, topic: %q}
`, broker.Addr, name, compression, name+"_bus", name), registry, observe)
	defer stop()
	wait(b, source.done, "the topic")
	topic.add(source.begun, source.ended, changes)
	before := folded.Load()
	begun := now()
	if hold {
		close(gate)
	}
	wait(b, all, "the views")
	views.add(begun, now(), changes-int(before))
}

func wait(b *testing.B, done <-chan struct{}, what string) {
	b.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		b.Fatalf("waited in vain for %s", what)
	}
}

// timed is a source that begins at a given place and notes when it began and when
// the last change of the history was durable.
type timed struct {
	adapters.Source
	from         adapters.Cursor
	begun, ended usage
	once         sync.Once
	done         chan struct{}
}

func (s *timed) Run(ctx context.Context, _ adapters.Cursor, emit adapters.Emit) error {
	s.begun = now()
	n := 0
	err := s.Source.Run(ctx, s.from, func(ctx context.Context, batch ...adapters.Emission) error {
		if err := emit(ctx, batch...); err != nil {
			return err
		}
		for _, e := range batch {
			if e.Event != nil {
				n++
			}
		}
		if n >= changes {
			s.once.Do(func() { s.ended = now(); close(s.done) })
		}
		return nil
	})
	if errors.Is(err, oslc.Gone) {
		return oslc.E("bench.run", err, oslc.Internal) // or it would read another history
	}
	return err
}
