package sqlitetest_test

import (
	"testing"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/internal/sqlite/sqlitetest"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
)

// TestViews: what is filled reads as what is folded.
func TestViews(t *testing.T) {
	t.Parallel()
	fill := sqlitetest.Fill{Set: "st2", Base: "http://bus.example", Members: 5, Changes: 12}
	path := t.TempDir() + "/views.db"
	if err := sqlitetest.Views(t.Context(), path, fill); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v := db.Views()
	b, err := v.Bounds(t.Context(), "st2", trs.Newest)
	if err != nil || b.Newest != 12 || b.Oldest != 1 || b.Mark == 0 || b.Epoch == "" {
		t.Errorf("bounds are %+v, %v", b, err)
	}
	changes, err := v.Changes(t.Context(), "st2", 0, 12)
	if err != nil || len(changes) != 12 || changes[0].Kind != oslc.Modification || changes[11].Kind != oslc.Creation || changes[0].Changed != fill.URI(2) {
		t.Errorf("changes are %+v, %v", changes, err)
	}
	members, err := v.Members(t.Context(), "st2", 12, 0, 10)
	if err != nil || len(members) != 5 || members[4].URI != fill.URI(5) {
		t.Errorf("members are %+v, %v", members, err)
	}
	r, err := v.Resource(t.Context(), fill.URI(5))
	if err != nil || r.Graph.Len() != 2 || r.Deleted {
		t.Errorf("a resource is %+v, %v", r, err)
	}
	if list, err := v.Contradictions(t.Context(), "st2", 10); err != nil || len(list) > 0 {
		t.Errorf("it contradicts itself about %v, %v", list, err)
	}
	if n, err := v.Count(t.Context(), "st2", "changeRequests"); err != nil || n != 5 {
		t.Errorf("it counts %d, %v", n, err)
	}
}
