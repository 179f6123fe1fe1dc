package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
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

func TestC1_newDocumentIsNoticed(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.Mongo(t))
	host, counts := &adaptertest.Host{}, &adaptertest.Counts{}
	r := start(t, db.watch(adapters.Options{State: host, Metrics: counts}), host, nil)
	r.waitLive()
	begun := time.Now()
	db.insert("a", `a<b & "c"`)
	r.waitEvents(1)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the event came after %v", took)
	}
	if _, err := db.tickets().InsertOne(t.Context(), bson.D{{Key: "_id", Value: "bad"}}); err != nil {
		t.Fatal(err)
	}
	db.insert("b", "B")
	r.waitEvents(2)
	wantLines(t, host.Events(), `creation a title=a<b & "c"`, "creation b title=B")
	if n := counts.Of("skipped_document"); n != 1 {
		t.Errorf("%d documents are counted as left out, want 1", n)
	}
}

func TestC2_updateAndReplaceAreModifications(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.Mongo(t))
	db.insert("a", "A")
	host := &adaptertest.Host{}
	r := start(t, db.watch(adapters.Options{State: host}), host, nil)
	r.waitLive()
	db.update("a", set("title", "A1"))
	if _, err := db.tickets().ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "a"}}, bson.D{{Key: "title", Value: "A2"}, {Key: "tags", Value: bson.A{"x"}}}); err != nil {
		t.Fatal(err)
	}
	r.waitEvents(3)
	wantLines(t, host.Events(), "creation a title=A", "modification a title=A1 ~title", "modification a title=A2 +x ~title ~subject")
}

func TestC3_deletedDocumentIsIdentifiable(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.Mongo(t))
	db.insert("a", "A")
	host := &adaptertest.Host{}
	r := start(t, db.watch(adapters.Options{State: host}), host, nil)
	r.waitLive()
	db.remove("a")
	r.waitEvents(2)
	wantLines(t, host.Events(), "creation a title=A", "deletion a title=A")
}

// Each state is shown as it was, also when the next one follows at once.
func TestC4_everyStateIsExact(t *testing.T) {
	t.Parallel()
	for _, images := range []bool{false, true} {
		t.Run(fmt.Sprintf("images=%v", images), func(t *testing.T) {
			t.Parallel()
			db := realDatabase(t, testkit.Mongo(t))
			db.insert("a", "A", bson.E{Key: "state", Value: bson.D{{Key: "name", Value: "0"}}})
			if images {
				if err := db.RunCommand(t.Context(), bson.D{
					{Key: "collMod", Value: "tickets"},
					{Key: "changeStreamPreAndPostImages", Value: bson.D{{Key: "enabled", Value: true}}},
				}).Err(); err != nil {
					t.Fatal(err)
				}
			}
			host := &adaptertest.Host{}
			r := start(t, db.watch(adapters.Options{State: host}), host, nil)
			r.waitLive()
			want := []string{"creation a title=A status=0"}
			for i := 1; i <= 50; i++ {
				db.update("a", set("state.name", fmt.Sprint(i)))
				want = append(want, fmt.Sprintf("modification a title=A status=%d ~status", i))
			}
			r.waitEvents(len(want))
			wantLines(t, host.Events(), want...)
		})
	}
}

func TestC5_nothingIsLostOverARestart(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cache", "no cache"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := realDatabase(t, testkit.Mongo(t))
			db.insert("a", "A")
			db.insert("b", "B")
			host, counts := &adaptertest.Host{}, &adaptertest.Counts{}
			opts := adapters.Options{State: host, Metrics: counts}
			if name == "cache" {
				opts.Cache = &adaptertest.Cache{}
			}
			r := start(t, db.watch(opts), host, nil)
			r.waitLive()
			if err := r.stop(); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			db.update("a", set("state.name", "1"))
			db.update("a", set("state.name", "2"))
			db.insert("c", "C")
			db.update("c", set("tags", bson.A{"x"}))
			db.remove("b")
			r = start(t, db.watch(opts), host, host.Cursor())
			r.waitEvents(7)
			wantLines(t, host.Events(), "creation a title=A", "creation b title=B",
				"modification a title=A status=1 ~status", "modification a title=A status=2 ~status",
				"creation c title=C", "modification c title=C +x ~subject", "deletion b title=B")
		})
	}
}

func TestC6_lostHistoryLeadsToAComparison(t *testing.T) {
	t.Parallel()
	for _, code := range []int{286, 260} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			db := realDatabase(t, testkit.MongoOwn(t))
			for _, id := range []string{"same", "changed", "gone"} {
				db.insert(id, id)
			}
			host := &adaptertest.Host{}
			opts := adapters.Options{State: host, Cache: &adaptertest.Cache{}}
			r := start(t, db.watch(opts), host, nil)
			r.waitLive()
			_ = r.stop()
			db.update("changed", set("title", "other"))
			db.remove("gone")
			db.insert("new", "new")
			db.failPoint(1, code, "aggregate")
			r = start(t, db.watch(opts), host, host.Cursor())
			if err := r.end(); !errors.Is(err, oslc.Gone) {
				t.Fatalf("Run returned %v, want kind gone", err)
			}
			before := len(host.Events())
			r = start(t, db.watch(opts), host, nil)
			r.waitEvents(before + 3)
			db.update("same", set("title", "live again"))
			r.waitEvents(before + 4)
			wantLines(t, host.Events()[before:], "modification changed title=other ~title", "creation new title=new",
				"deletion gone title=gone", `modification same title=live again ~title`)
		})
	}
}

func TestC6_droppedCollection(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.Mongo(t))
	db.insert("a", "A")
	db.insert("b", "B")
	host := &adaptertest.Host{}
	r := start(t, db.watch(adapters.Options{State: host, Cache: &adaptertest.Cache{}}), host, nil)
	r.waitLive()
	if err := db.tickets().Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.insert("a", "A again")
	r.waitEvents(5)
	wantLines(t, host.Events(), "creation a title=A", "creation b title=B",
		"deletion a title=A", "deletion b title=B", "creation a title=A again")
}

func TestC6_droppedDatabase(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.Mongo(t))
	db.insert("a", "A")
	host := &adaptertest.Host{}
	r := start(t, db.watch(adapters.Options{State: host}), host, nil)
	r.waitLive()
	// The database's own stream is invalidated by this.
	if err := db.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.insert("b", "B")
	r.waitEvents(3)
	wantLines(t, host.Events(), "creation a title=A", "deletion a title=A", "creation b title=B")
}

func TestC6_renamedCollection(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.Mongo(t))
	db.insert("a", "A")
	db.insert("b", "B")
	host := &adaptertest.Host{}
	r := start(t, db.watch(adapters.Options{State: host, Cache: &adaptertest.Cache{}}), host, nil)
	r.waitLive()
	if _, err := db.Collection("staged").InsertMany(t.Context(), []any{
		bson.D{{Key: "_id", Value: "b"}, {Key: "title", Value: "B2"}}, bson.D{{Key: "_id", Value: "c"}, {Key: "title", Value: "C"}},
	}); err != nil {
		t.Fatal(err)
	}
	rename := func(from, to string) {
		t.Helper()
		db.admin(bson.D{{Key: "renameCollection", Value: db.Name() + "." + from}, {Key: "to", Value: db.Name() + "." + to}, {Key: "dropTarget", Value: true}})
	}
	rename("staged", "tickets")
	r.waitEvents(5)
	db.update("c", set("title", "C2"))
	rename("tickets", "elsewhere")
	r.waitEvents(8)
	wantLines(t, host.Events(), "creation a title=A", "creation b title=B",
		"modification b title=B2 ~title", "creation c title=C", "deletion a title=A",
		"modification c title=C2 ~title", "deletion b title=B2", "deletion c title=C2")
}

// The set can be told from another one only by its id: the server takes tokens of
// any other set.
func TestC6_anotherReplicaSet(t *testing.T) {
	t.Parallel()
	one, other := realDatabase(t, testkit.MongoOwn(t)), realDatabase(t, testkit.MongoOwn(t))
	one.insert("a", "A")
	one.insert("b", "B")
	other.insert("a", "A")
	other.insert("c", "C")
	host := &adaptertest.Host{}
	opts := adapters.Options{State: host, Cache: &adaptertest.Cache{}}
	r := start(t, one.watch(opts), host, nil)
	r.waitLive()
	_ = r.stop()
	r = start(t, other.watch(opts), host, host.Cursor())
	if err := r.end(); !errors.Is(err, oslc.Gone) {
		t.Fatalf("Run returned %v, want kind gone", err)
	}
	r = start(t, other.watch(opts), host, nil)
	r.waitEvents(4)
	wantLines(t, host.Events(), "creation a title=A", "creation b title=B", "creation c title=C", "deletion b title=B")
}

// 280 says that the place is in the history and the token is not: the stream goes
// on by time.
func TestC6_unknownTokenGoesOnByTime(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.MongoOwn(t))
	db.insert("a", "A")
	host := &adaptertest.Host{}
	opts := adapters.Options{State: host, Cache: &adaptertest.Cache{}}
	r := start(t, db.watch(opts), host, nil)
	r.waitLive()
	db.update("a", set("title", "A1"))
	r.waitEvents(2)
	_ = r.stop()
	db.update("a", set("title", "A2"))
	db.failPoint(1, 280, "aggregate")
	r = start(t, db.watch(opts), host, host.Cursor())
	r.waitEvents(3)
	wantLines(t, host.Events(), "creation a title=A", "modification a title=A1 ~title", "modification a title=A2 ~title")
}

func TestC8_noiseIsSilent(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.Mongo(t))
	db.insert("a", "A", bson.E{Key: "tags", Value: bson.A{}}, bson.E{Key: "n", Value: 1})
	host := &adaptertest.Host{}
	r := start(t, db.watch(adapters.Options{State: host}), host, nil)
	r.waitLive()
	db.update("a", set("title", "A"))
	db.update("a", bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}})
	db.update("a", bson.D{{Key: "$unset", Value: bson.D{{Key: "tags", Value: 1}}}})
	db.insert("b", "B")
	r.waitEvents(2)
	wantLines(t, host.Events(), "creation a title=A", "creation b title=B")
}

func TestReal_errorsOfTheStreamAreOvercome(t *testing.T) {
	t.Parallel()
	for _, code := range []int{43, 91, 189} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			db := realDatabase(t, testkit.MongoOwn(t))
			host := &adaptertest.Host{}
			opts := adapters.Options{State: host, Cache: &adaptertest.Cache{}}
			r := start(t, db.watch(opts), host, nil)
			r.waitLive()
			db.failPoint(2, code, "getMore")
			for i := range 10 {
				db.insert(fmt.Sprint(i), "T")
			}
			again := 0
			for len(host.Distinct()) < 10 {
				enough, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				waited := make(chan error, 1)
				go func() { waited <- host.Wait(enough, func() bool { return len(host.Distinct()) >= 10 }) }()
				select {
				case err := <-waited:
					if err != nil {
						t.Fatalf("%d of 10 events", len(host.Distinct()))
					}
				case err := <-r.ended:
					if again++; again > 3 || !errors.Is(err, oslc.Unavailable) {
						t.Fatalf("Run returned %v", err)
					}
					r = start(t, db.watch(opts), host, host.Cursor())
				}
				cancel()
			}
			if n := len(host.Events()); n != 10 {
				t.Errorf("%d events, want 10 without repeats", n)
			}
		})
	}
}

func TestReal_failOverLosesNothing(t *testing.T) {
	t.Parallel()
	rs := testkit.MongoSet3(t)
	db := realDatabase(t, rs)
	host := &adaptertest.Host{}
	opts := adapters.Options{State: host, Cache: &adaptertest.Cache{}}
	r := start(t, db.watch(opts), host, nil)
	r.waitLive()
	const n = 200
	var written atomic.Int32
	wrote := make(chan error, 1)
	go func() {
		for i := range n {
			d := bson.D{{Key: "_id", Value: fmt.Sprint(i)}, {Key: "title", Value: "T"}}
			for {
				_, err := db.tickets().InsertOne(t.Context(), d)
				if err == nil || mongo.IsDuplicateKeyError(err) {
					break
				}
				if t.Context().Err() != nil {
					wrote <- err
					return
				}
			}
			written.Add(1)
		}
		wrote <- nil
	}()
	r.waitEvents(n / 4)
	first := rs.Primary(t)
	rs.Kill(t, first)
	for len(host.Distinct()) < n {
		waited := make(chan error, 1)
		enough, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		go func() { waited <- host.Wait(enough, func() bool { return len(host.Distinct()) >= n }) }()
		select {
		case err := <-waited:
			if err != nil {
				t.Fatalf("%d of %d events, %d documents written", len(host.Distinct()), n, written.Load())
			}
		case err := <-r.ended:
			if !errors.Is(err, oslc.Unavailable) {
				t.Fatalf("Run returned %v, want kind unavailable", err)
			}
			r = start(t, db.watch(opts), host, host.Cursor())
		}
		cancel()
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if got := len(host.Events()); got != n {
		t.Errorf("%d events for %d documents", got, n)
	}
	rs.Restart(t, first)
}

func TestReal_largeDocuments(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.MongoOwn(t))
	db.insert("a", "A")
	if err := db.RunCommand(t.Context(), bson.D{
		{Key: "collMod", Value: "tickets"},
		{Key: "changeStreamPreAndPostImages", Value: bson.D{{Key: "enabled", Value: true}}},
	}).Err(); err != nil {
		t.Fatal(err)
	}
	host, counts := &adaptertest.Host{}, &adaptertest.Counts{}
	r := start(t, db.watch(adapters.Options{State: host, Metrics: counts}), host, nil)
	r.waitLive()
	db.insert("15 MB", "B", bson.E{Key: "body", Value: strings.Repeat("x", 15<<20)})
	r.waitEvents(2)
	// Post-image and delta are 18 MB together.
	db.update("a", bson.D{{Key: "$set", Value: bson.D{{Key: "title", Value: "A1"}, {Key: "body", Value: strings.Repeat("x", 9<<20)}}}})
	db.update("a", set("title", "A2"))
	db.remove("a")
	db.insert("c", "C")
	r.waitEvents(6)
	wantLines(t, host.Events(), "creation a title=A", "creation 15%20MB title=B",
		"modification a title=A1 ~title", "modification a title=A2 ~title", "deletion a title=A2", "creation c title=C")
	if counts.Of("large_change") == 0 {
		t.Error("the large change is not counted")
	}
}

// All changes of a transaction have one time; only their tokens order them.
func TestReal_transactions(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.Mongo(t))
	db.insert("a", "A")
	db.insert("b", "B")
	host := &adaptertest.Host{}
	opts := adapters.Options{State: host, Cache: &adaptertest.Cache{}}
	r := start(t, db.watch(opts), host, nil)
	r.waitLive()
	from := host.Cursor()
	session, err := db.Client().StartSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.EndSession(t.Context())
	if _, err := session.WithTransaction(t.Context(), func(ctx context.Context) (any, error) {
		one := func(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }
		for _, title := range []string{"A1", "A2"} {
			if _, err := db.tickets().UpdateOne(ctx, one("a"), set("title", title)); err != nil {
				return nil, err
			}
		}
		if _, err := db.tickets().InsertOne(ctx, append(one("c"), bson.E{Key: "title", Value: "C"})); err != nil {
			return nil, err
		}
		if _, err := db.tickets().UpdateOne(ctx, one("c"), set("title", "C1")); err != nil {
			return nil, err
		}
		_, err := db.tickets().DeleteOne(ctx, one("b"))
		return nil, err
	}); err != nil {
		t.Fatal(err)
	}
	r.waitEvents(7)
	_ = r.stop()
	want := []string{
		"modification a title=A1 ~title", "modification a title=A2 ~title",
		"creation c title=C", "modification c title=C1 ~title", "deletion b title=B",
	}
	wantLines(t, host.Events()[2:], want...)
	// From before it, with a cache that is behind it, and with none.
	for _, cache := range []adapters.Cache{&adaptertest.Cache{}, nil} {
		again := &adaptertest.Host{}
		if err := again.Emit(t.Context(), adapters.Emission{Event: host.Events()[0], At: from}, adapters.Emission{Event: host.Events()[1], At: from}); err != nil {
			t.Fatal(err)
		}
		r := start(t, db.watch(adapters.Options{State: again, Cache: cache}), again, from)
		r.waitEvents(7)
		_ = r.stop()
		wantLines(t, again.Events()[2:], want...)
		for i, e := range again.Events() {
			if e.ID != host.Events()[i].ID {
				t.Errorf("event %d has another identifier the second time", i)
			}
		}
	}
}

// Collections of two databases come in one stream, in one order.
func TestReal_severalDatabases(t *testing.T) {
	t.Parallel()
	rs := testkit.Mongo(t)
	second := *rs
	second.Database += "_second"
	one, two := realDatabase(t, rs), realDatabase(t, &second)
	host := &adaptertest.Host{}
	ad, err := mongodb.Build(func(v any) error {
		cfg := v.(*mongodb.Config)
		cfg.URI, cfg.Database = adapters.Secret(rs.URI), rs.Database
		c := mongodb.CollectionConfig{Name: "tickets", Types: []string{"oslc_cm:ChangeRequest"}, Title: "title"}
		other := c
		other.Database, other.Kind = second.Database, "others"
		cfg.Collections = []mongodb.CollectionConfig{c, other}
		return nil
	}, named(adapters.Options{State: host}))
	if err != nil {
		t.Fatal(err)
	}
	one.insert("a", "A")
	two.insert("b", "B")
	r := start(t, ad.Source, host, nil)
	r.waitLive()
	one.insert("c", "C")
	two.insert("c", "other C")
	one.update("a", set("title", "A1"))
	if err := two.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.waitEvents(7)
	wantLines(t, host.Events(), "creation a title=A", "creation b title=B", "creation c title=C", "creation c title=other C",
		"modification a title=A1 ~title", "deletion b title=B", "deletion c title=other C")
}

func TestReal_notAReplicaSet(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.MongoStandalone(t))
	host := &adaptertest.Host{}
	err := start(t, db.watch(adapters.Options{}), host, nil).end()
	if !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), "replica set") {
		t.Errorf("Run returned %v", err)
	}
}

// A server that is there and does not answer must not hold up the program's end.
func TestReal_stopsWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	rs := testkit.MongoOwn(t)
	db := realDatabase(t, rs)
	db.insert("a", "A")
	host := &adaptertest.Host{}
	r := start(t, db.watch(adapters.Options{State: host, Cache: &adaptertest.Cache{}}), host, nil)
	r.waitLive()
	rs.Pause(t, 0)
	defer rs.Resume(t, 0)
	begun := time.Now()
	if err := r.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	// A loaded machine gets some more than the second that is promised.
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("Run returned after %v", took)
	}
}

func TestReal_denied(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"aggregate", "getMore"} {
		db := realDatabase(t, testkit.MongoOwn(t))
		const unauthorized = 13
		db.failPoint(1, unauthorized, command)
		if err := start(t, db.watch(adapters.Options{}), &adaptertest.Host{}, nil).end(); !errors.Is(err, oslc.Denied) {
			t.Errorf("%s: Run returned %v, want kind denied", command, err)
		}
	}
}

func TestReal_unreachable(t *testing.T) {
	t.Parallel()
	w := openReal(t, "mongodb://user:not-a-real-secret@127.0.0.1:1/?directConnection=true&serverSelectionTimeoutMS=200", "app", adapters.Options{})
	err := start(t, w, &adaptertest.Host{}, nil).end()
	if !errors.Is(err, oslc.Unavailable) {
		t.Errorf("Run returned %v, want kind unavailable", err)
	}
	if strings.Contains(fmt.Sprint(err), "not-a-real-secret") {
		t.Error("the error shows the password")
	}
}

func TestSource_real(t *testing.T) {
	t.Parallel()
	rs := testkit.Mongo(t)
	var n atomic.Int32
	name := func(i int32) string { return fmt.Sprintf("%s_%d", rs.Database, i) }
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for i := range n.Load() {
			_ = mongotest.Drop(ctx, rs.URI, name(i+1))
		}
	})
	adaptertest.Source(t, adaptertest.SourceConfig{
		Events: 2 + 6,
		Tool: func(ctx context.Context) (adaptertest.Tool, error) {
			// Names of databases are in no event, so all tools look the same.
			database := name(n.Add(1))
			h := history{tb: t}
			return adaptertest.Tool{
				Open: func(s adapters.State, c adapters.Cache, log *slog.Logger) (adapters.Source, error) {
					return openReal(t, rs.URI, database, adapters.Options{State: s, Cache: c, Logger: log}), nil
				},
				Change: func(ctx context.Context) error {
					return mongotest.Perform(ctx, rs.URI, database,
						h.insert("b", `"title":"B"`),
						h.set("a", `"title":"A1"`),
						h.set("a", `"x":1`),
						h.set("b", `"state":{"name":"s"}`),
						h.remove("a"),
						h.insert("a", `"title":"A again"`),
						h.replace("b", `"title":"B2"`),
					)
				},
			}, mongotest.Perform(ctx, rs.URI, database, h.insert("a", `"title":"A"`), h.insert("z", `"title":"Z"`))
		},
	})
}
