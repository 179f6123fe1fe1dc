package sqlite_test

import (
	"fmt"
	"net/url"
	"strconv"
	"testing"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Graphs that several goroutines read are those of their members, however the members
// were found.
func TestQuery_largePages(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	defer db.Close()
	v := db.Views()
	graphs := map[string]*rdf.Graph{}
	steps := make([]sqlite.Step, 130)
	for i := range steps {
		uri := fmt.Sprintf("http://bus.example/services/tool/things/%d", i)
		g := rdf.NewGraph()
		g.Node(uri).String(vocab.DCTermsTitle, fmt.Sprint("thing ", i)).Bool(vocab.CMClosed, i%10 > 0).Int(vocab.BusSequence, int64(i))
		graphs[uri] = g
		steps[i] = sqlite.Step{Offset: int64(i), Event: &oslc.Event{ID: oslc.NewID("x", uri), Change: oslc.Creation, Subject: uri, Resource: g}}
	}
	if err := v.Apply(t.Context(), sqlite.Place{Topic: "t", Set: "tool"}, steps); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		fewest, most int64
		scanned      int
	}{
		"gone through": {5, 5, 1000}, "collected": {1000, 1000, 1000}, "collected farther and farther": {5, 1000, 8},
	} {
		for _, order := range []string{"", "-oslcbus:sequence"} {
			v.Collect(c.fewest, c.most, c.scanned)
			values := url.Values{query.ParamWhere: {"oslc_cm:closed=true"}, query.ParamPageSize: {"50"}}
			if order != "" {
				values[query.ParamOrderBy] = []string{order}
			}
			q, err := query.Parse(values.Encode())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range 3 {
				page, err := v.Query(t.Context(), "tool", "things", q)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range page.Members {
					if g := graphs[m.URI]; m.Graph.Len() != g.Len() || m.Graph.Without(g.Has).Len() > 0 {
						t.Errorf("%s, order %q: <%s> has %v", name, order, m.URI, m.Graph.Triples())
					}
					got = append(got, m.Graph.Value(rdf.NewIRI(m.URI), vocab.BusSequence))
				}
				q.Page = page.Next
			}
			want := 0
			for i := range got {
				at := i
				if order != "" {
					at = len(got) - 1 - i
				}
				if want++; want%10 == 0 {
					want++
				}
				if got[at] != strconv.Itoa(want) {
					t.Fatalf("%s, order %q: member %d is %s, want %d", name, order, at, got[at], want)
				}
			}
			if len(got) != 117 {
				t.Errorf("%s, order %q: %d members, want 117", name, order, len(got))
			}
		}
	}
}
