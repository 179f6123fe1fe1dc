package sqlite_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// What is gone through in order is not sorted once more: SQLite would look at all of it
// before the first row of a page.
func TestQuery_goesAlongTheIndex(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir())
	defer db.Close()
	v := db.Views()
	v.Collect(5, 10, 20)
	steps := make([]sqlite.Step, 100)
	for i := range steps {
		uri := fmt.Sprintf("http://bus.example/services/tool/things/%d", i)
		g := rdf.NewGraph()
		g.Node(uri).A(vocab.CMChangeRequest).String(vocab.DCTermsTitle, fmt.Sprint(i%10)).Bool(vocab.CMClosed, i%2 == 0).Int(vocab.BusSequence, int64(i))
		steps[i] = sqlite.Step{Offset: int64(i), Event: &oslc.Event{ID: oslc.NewID("x", uri), Change: oslc.Creation, Subject: uri, Resource: g}}
	}
	if err := v.Apply(t.Context(), sqlite.Place{Topic: "t", Set: "tool"}, steps); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		where, order string
		sorts        bool
	}{
		{`oslc_cm:closed=true and oslcbus:sequence>3`, "", false},
		{`oslcbus:sequence>3 and dcterms:title!="7"`, "", false},
		{`oslc_cm:closed=true`, "+oslcbus:sequence", false},
		{`oslc_cm:closed=true`, "-oslcbus:sequence", false},
	} {
		q, err := query.Parse(url.Values{query.ParamWhere: {c.where}, query.ParamOrderBy: {c.order}}.Encode())
		if c.order == "" {
			q, err = query.Parse(url.Values{query.ParamWhere: {c.where}}.Encode())
		}
		if err != nil {
			t.Fatal(err)
		}
		sorts, err := v.Sorts(t.Context(), "tool", "things", q)
		if err != nil || sorts != c.sorts {
			t.Errorf("%s, %s: sorts is %v (%v), want %v", c.where, c.order, sorts, err, c.sorts)
		}
	}
}
