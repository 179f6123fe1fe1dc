package mongodb_test

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

// A realDB is a database on a real server.
type realDB struct {
	*mongo.Database
	tb  testing.TB
	uri string
}

func realDatabase(tb testing.TB, set *testkit.MongoSet) *realDB {
	tb.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(set.URI).SetServerSelectionTimeout(30 * time.Second))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = client.Database(set.Database).Drop(ctx)
		_ = client.Disconnect(ctx)
	})
	majority := options.Database().SetWriteConcern(writeconcern.Majority())
	return &realDB{client.Database(set.Database, majority), tb, set.URI}
}

func (db *realDB) tickets() *mongo.Collection { return db.Collection("tickets") }

func (db *realDB) insert(id, title string, more ...bson.E) {
	db.tb.Helper()
	d := append(bson.D{{Key: "_id", Value: id}, {Key: "title", Value: title}}, more...)
	if _, err := db.tickets().InsertOne(db.tb.Context(), d); err != nil {
		db.tb.Fatal(err)
	}
}

func (db *realDB) update(id string, update any) {
	db.tb.Helper()
	r, err := db.tickets().UpdateOne(db.tb.Context(), bson.D{{Key: "_id", Value: id}}, update)
	if err != nil {
		db.tb.Fatal(err)
	}
	if r.MatchedCount != 1 {
		db.tb.Fatalf("no document %q", id)
	}
}

func set(path string, value any) bson.D {
	return bson.D{{Key: "$set", Value: bson.D{{Key: path, Value: value}}}}
}

func (db *realDB) remove(id string) {
	db.tb.Helper()
	if _, err := db.tickets().DeleteOne(db.tb.Context(), bson.D{{Key: "_id", Value: id}}); err != nil {
		db.tb.Fatal(err)
	}
}

func (db *realDB) admin(command bson.D) {
	db.tb.Helper()
	if err := db.Client().Database("admin").RunCommand(db.tb.Context(), command).Err(); err != nil {
		db.tb.Fatal(err)
	}
}

// failPoint makes the server answer commands of the watcher's connections with an
// error, the given number of times.
func (db *realDB) failPoint(times, code int, commands ...string) {
	db.tb.Helper()
	db.admin(bson.D{
		{Key: "configureFailPoint", Value: "failCommand"},
		{Key: "mode", Value: bson.D{{Key: "times", Value: times}}},
		{Key: "data", Value: bson.D{
			{Key: "errorCode", Value: code}, {Key: "failCommands", Value: commands}, {Key: "appName", Value: "oslcbus"},
		}},
	})
	db.tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = db.Client().Database("admin").RunCommand(ctx,
			bson.D{{Key: "configureFailPoint", Value: "failCommand"}, {Key: "mode", Value: "off"}}).Err()
	})
}

// watch returns a watcher of the collection tickets.
func (db *realDB) watch(opts adapters.Options) *mongodb.Watcher {
	db.tb.Helper()
	return openReal(db.tb, db.uri, db.Name(), opts)
}

func openReal(tb testing.TB, uri, database string, opts adapters.Options) *mongodb.Watcher {
	tb.Helper()
	ad, err := mongodb.Build(func(v any) error {
		cfg := v.(*mongodb.Config)
		cfg.URI, cfg.Database = adapters.Secret(uri), database
		cfg.Collections = []mongodb.CollectionConfig{{
			Name: "tickets", Types: []string{"oslc_cm:ChangeRequest"}, Title: "title",
			Properties: []mongodb.PropertyConfig{
				{Path: "state.name", Predicate: "oslc_cm:status"},
				{Path: "tags", Predicate: "dcterms:subject"},
			},
		}}
		return nil
	}, named(opts))
	if err != nil {
		tb.Fatal(err)
	}
	return ad.Source.(*mongodb.Watcher)
}

func named(opts adapters.Options) adapters.Options {
	opts.Name, opts.BaseURL = "app", base
	return opts
}
