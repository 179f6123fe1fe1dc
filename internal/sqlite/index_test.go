package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/trs"
)

// A file of the schema before gets its index when it is opened, and nothing else
// changes for those who read it.
func TestOpen_indexesAnOlderFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "oslcbus.db")
	err := sqlite.WriteSchema1(t.Context(), path, `
		INSERT INTO view_set(id, name) VALUES (1, 'p'), (2, 'q');
		INSERT INTO view_place(topic, partition, next, last) VALUES ('p_event', 0, 9, 'e9');
		INSERT INTO view_resource(id, uri, "set", collection, since, modified, deleted, event, graph) VALUES
			(1, 'http://b/services/p/a/1', 1, 'a', 1, 1000, 0, 'e8', '<http://b/services/p/a/1> <http://n/p> "one" .'||char(10)),
			(2, 'http://b/services/q/a/1', 2, 'a', 1, 1000, 0, 'e1', '<http://b/services/q/a/1> <http://n/p> "one" .'||char(10)),
			(3, 'http://b/services/p/a/2', 1, 'a', 2, 1000, 1, 'e3', '<http://b/services/p/a/2> <http://n/p> "one" .'||char(10)),
			(4, 'http://b/services/p/a/3', 1, 'a', 9, 1000, 0, 'e9', '<http://b/services/p/a/3> <http://n/p> _:b0 .'||char(10)||'_:b0 <http://n/q> "4"^^<http://www.w3.org/2001/XMLSchema#integer> .'||char(10)),
			(5, 'http://b/services/p/a/4', 1, 'a', 0, 1000, 1, 'e5', NULL);
		INSERT INTO view_member("set", since, until, resource) VALUES (1, 1, NULL, 1), (2, 1, NULL, 2), (1, 2, 3, 3), (1, 4, 6, 4), (1, 9, NULL, 4);
		INSERT INTO view_change("set", "order", event, kind, resource, time) VALUES (1, 1, 'e1', 0, 1, 1000), (2, 1, 'e1', 0, 2, 1000),
			(1, 2, 'e2', 0, 3, 1000), (1, 3, 'e3', 2, 3, 1000), (1, 4, 'e4', 0, 4, 1000), (1, 5, 'e5', 2, 5, 1000),
			(1, 6, 'e6', 2, 4, 1000), (1, 8, 'e8', 1, 1, 1000), (1, 9, 'e9', 0, 4, 1000)`)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		db, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		v := db.Views()
		for _, tt := range []struct {
			q    query.Query
			want []string
		}{
			{query.Query{}, []string{"http://b/services/p/a/1", "http://b/services/p/a/3"}},
			{query.Query{Search: []string{"one"}}, []string{"http://b/services/p/a/1"}},
			{query.Query{Where: query.Where{{Property: "http://n/p", Scope: query.Where{{
				Property: "http://n/q", Op: query.Equal, Values: []query.Value{{Term: rdf.Typed("4.0", rdf.XSDDecimal)}},
			}}}}}, []string{"http://b/services/p/a/3"}},
		} {
			page, err := v.Query(t.Context(), "p", "a", &tt.q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range page.Members {
				got = append(got, m.URI)
			}
			if d := cmp.Diff(tt.want, got); d != "" || page.Total != int64(len(tt.want)) {
				t.Errorf("%v: total %d (-want +got):\n%s", tt.q.Values(), page.Total, d)
			}
		}
		members, err := v.Members(t.Context(), "p", 9, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]trs.Member{{URI: "http://b/services/p/a/1", Since: 1}, {URI: "http://b/services/p/a/3", Since: 9}}, members); d != "" {
			t.Errorf("members (-want +got):\n%s", d)
		}
		changes, err := v.Changes(t.Context(), "p", 3, 9)
		if err != nil {
			t.Fatal(err)
		}
		var changed []string
		for _, c := range changes {
			changed = append(changed, c.Event+" "+c.Changed[len(c.Changed)-1:])
		}
		if d := cmp.Diff([]string{"e9 3", "e8 1", "e6 3", "e5 4", "e4 3"}, changed); d != "" {
			t.Errorf("changes (-want +got):\n%s", d)
		}
		// Folding goes on where it was.
		e := event(9, oslc.Modification, "http://b/services/p/a/1")
		e.Resource = rdf.NewGraph()
		e.Resource.Node("http://b/services/p/a/1").String("http://n/p", "one")
		if err := v.Apply(t.Context(), sqlite.Place{Topic: "p_event", Set: "p"}, []sqlite.Step{{Offset: 9, Event: e}}); err != nil {
			t.Fatal(err)
		}
		if n, err := v.Count(t.Context(), "p", "a"); n != 2 || err != nil {
			t.Errorf("count is %d, %v", n, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Texts are indexed without anybody asking, also those that a process has left.
func TestTexts_catchUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, dir)
	var steps []sqlite.Step
	for i := range 1000 {
		e := event(i, oslc.Creation, collections[0]+string(rune('a'+i%26))+time.Duration(i).String())
		e.Resource.Node(e.Subject).String(ns+"text", "some words")
		steps = append(steps, sqlite.Step{Offset: int64(i), Event: e})
	}
	if err := db.Views().Apply(t.Context(), place, steps); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	defer db.Close()
	for stale := int64(1); stale > 0; {
		var err error
		if stale, err = db.Views().StaleTexts(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	page, err := db.Views().Query(t.Context(), "p", "a", &query.Query{Search: []string{"words"}, PageSize: 10})
	if err != nil || len(page.Members) != 10 {
		t.Errorf("%d members, %v", len(page.Members), err)
	}
}

func FuzzToken(f *testing.F) {
	f.Add(sqlite.SomeToken("a"), "a", 2)
	f.Add(sqlite.SomeToken(""), "", 1)
	f.Add("AQ", "", 0)
	f.Fuzz(func(t *testing.T, token, binding string, keys int) {
		again, err := sqlite.TokenAgain(token, binding, max(0, min(keys, 8)))
		if err == nil && again != token {
			t.Errorf("%q is written again as %q", token, again)
		}
	})
}
