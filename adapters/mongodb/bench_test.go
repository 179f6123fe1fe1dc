package mongodb_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

// The history that benchmarks read: documents of about 1.1 KB, each inserted once
// and updated twice, as in the measurements of other connectors.
const benchDocuments = 10_000

func benchDocument(i int) bson.D {
	return bson.D{
		{Key: "_id", Value: bson.NewObjectID()},
		{Key: "uid", Value: fmt.Sprintf("rule:default:rule_%d", i)},
		{Key: "name", Value: fmt.Sprintf("rule_%d", i)},
		{Key: "ref", Value: fmt.Sprintf("default.rule_%d", i)},
		{Key: "pack", Value: "default"},
		{Key: "description", Value: strings.Repeat("what this rule is for ", 20)},
		{Key: "type", Value: bson.D{{Key: "ref", Value: "standard"}, {Key: "parameters", Value: bson.D{}}}},
		{Key: "trigger", Value: "core.670ec417-8677-4da2-81df-42f156880cce"},
		{Key: "criteria", Value: bson.D{{Key: "trigger_body_status", Value: bson.D{{Key: "type", Value: "eq"}, {Key: "pattern", Value: "failed"}}}}},
		{Key: "action", Value: bson.D{{Key: "ref", Value: "core.local"}, {Key: "parameters", Value: bson.D{{Key: "cmd", Value: strings.Repeat("echo ", 40)}}}}},
		{Key: "context", Value: bson.D{{Key: "user", Value: "st2admin"}}},
		{Key: "tags", Value: bson.A{"team", "delivery"}},
		{Key: "enabled", Value: true},
	}
}

func benchCollection() mongodb.CollectionConfig {
	return mongodb.CollectionConfig{
		Name: "rules", Types: []string{"oslc_cm:ChangeRequest", "oslc_auto:AutomationPlan"}, Title: "name", Description: "description",
		Properties: []mongodb.PropertyConfig{
			{Path: "ref", Predicate: "st2:ruleRef"},
			{Path: "pack", Predicate: "st2:rulePack"},
			{Path: "enabled", Predicate: "st2:ruleStatus"},
			{Path: "trigger", Predicate: "st2:triggerRef"},
			{Path: "criteria", Predicate: "st2:ruleCriteria"},
			{Path: "action.ref", Predicate: "st2:actionRef"},
			{Path: "context.user", Predicate: "st2:ruleUser"},
			{Path: "tags", Predicate: "dcterms:subject"},
		},
	}
}

func benchWatcher(b *testing.B, db *realDB, opts adapters.Options) *mongodb.Watcher {
	b.Helper()
	ad, err := mongodb.Build(func(v any) error {
		cfg := v.(*mongodb.Config)
		cfg.URI, cfg.Database = adapters.Secret(db.uri), db.Name()
		cfg.Collections = []mongodb.CollectionConfig{benchCollection()}
		return nil
	}, named(opts))
	if err != nil {
		b.Fatal(err)
	}
	return ad.Source.(*mongodb.Watcher)
}

// benchHistory writes the history and returns the cursor and the time before it.
func benchHistory(b *testing.B, db *realDB) (adapters.Cursor, bson.Timestamp) {
	b.Helper()
	host := &adaptertest.Host{}
	r := start(b, benchWatcher(b, db, adapters.Options{State: host}), host, nil)
	r.waitLive()
	_ = r.stop()
	hello, err := db.RunCommand(b.Context(), bson.D{{Key: "hello", Value: 1}}).Raw()
	if err != nil {
		b.Fatal(err)
	}
	t, i := hello.Lookup("operationTime").Timestamp()
	rules := db.Collection("rules")
	const atOnce = 1000
	for begin := 0; begin < benchDocuments; begin += atOnce {
		var inserts []any
		var updates []mongo.WriteModel
		for n := range atOnce {
			d := benchDocument(begin + n)
			inserts = append(inserts, d)
			for _, on := range []bool{false, true} {
				updates = append(updates, mongo.NewUpdateOneModel().SetFilter(bson.D{d[0]}).SetUpdate(set("enabled", on)))
			}
		}
		if _, err := rules.InsertMany(b.Context(), inserts); err != nil {
			b.Fatal(err)
		}
		if _, err := rules.BulkWrite(b.Context(), updates, options.BulkWrite().SetOrdered(false)); err != nil {
			b.Fatal(err)
		}
	}
	return host.Cursor(), bson.Timestamp{T: t, I: i + 1}
}

// cpu returns the processor time of this process.
func cpu() time.Duration {
	used, _ := testkit.Usage()
	return used
}

func report(b *testing.B, used, took time.Duration, changes int) {
	b.Helper()
	b.ReportMetric(float64(changes)/took.Seconds(), "changes/s")
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(changes), "cpu-µs/change")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDriver reads the history with the driver alone: the bound.
func BenchmarkDriver(b *testing.B) {
	db := realDatabase(b, testkit.Mongo(b))
	_, at := benchHistory(b, db)
	b.ResetTimer()
	begun, used := time.Now(), cpu()
	for range b.N {
		stream, err := db.Watch(b.Context(), mongo.Pipeline{}, options.ChangeStream().SetBatchSize(1000).SetStartAtOperationTime(&at))
		if err != nil {
			b.Fatal(err)
		}
		for range 3 * benchDocuments {
			if !stream.Next(b.Context()) {
				b.Fatal(stream.Err())
			}
		}
		_ = stream.Close(b.Context())
	}
	report(b, cpu()-used, time.Since(begun), 3*benchDocuments*b.N)
}

// BenchmarkWatcher reads the same history into events, which nothing keeps.
func BenchmarkWatcher(b *testing.B) {
	for _, name := range []string{"memory", "cache"} {
		b.Run(name, func(b *testing.B) {
			db := realDatabase(b, testkit.Mongo(b))
			from, _ := benchHistory(b, db)
			b.ResetTimer()
			begun, used := time.Now(), cpu()
			for range b.N {
				opts := adapters.Options{State: &adaptertest.Host{}}
				if name == "cache" {
					opts.Cache = &adaptertest.Cache{}
				}
				ctx, cancel := context.WithCancel(b.Context())
				n := 0
				err := benchWatcher(b, db, opts).Run(ctx, from, func(ctx context.Context, batch ...adapters.Emission) error {
					for _, e := range batch {
						if e.Event != nil {
							n++
						}
					}
					if n >= 3*benchDocuments {
						cancel()
					}
					return ctx.Err()
				})
				if n != 3*benchDocuments {
					b.Fatalf("%d events, want %d: %v", n, 3*benchDocuments, err)
				}
			}
			report(b, cpu()-used, time.Since(begun), 3*benchDocuments*b.N)
		})
	}
}
