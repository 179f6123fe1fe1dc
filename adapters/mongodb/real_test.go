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

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

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
