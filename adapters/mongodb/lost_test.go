package mongodb_test

import (
	"errors"
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

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
