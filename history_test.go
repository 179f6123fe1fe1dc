package oslcbus_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestT7_ChangesAreQueried: the history of a resource, ranges of order and time,
// kinds and types of events, selections and pages; the same after a restart.
func TestT7_ChangesAreQueried(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5}").start()
	rule, uri := r.create("a")
	r.eventually("the creation", func() bool { return len(r.seenOf(uri)) >= 1 })
	r.setEnabled(rule, false)
	r.eventually("the change", func() bool { return len(r.seenOf(uri)) >= 2 })
	for i := range 4 {
		r.create(fmt.Sprint("b", i))
	}
	r.delete(rule)
	r.eventually("the events", func() bool { return len(r.seenOf("")) >= 7 })

	orders := func(params ...string) []int64 {
		t.Helper()
		v := url.Values{}
		for i := 0; i+1 < len(params); i += 2 {
			v.Set(params[i], params[i+1])
		}
		var out []int64
		for next := "/trs/st2/changes?" + v.Encode(); next != ""; {
			g := r.graph(next)
			next = ""
			var page []int64
			for tr := range g.All() {
				switch tr.P.Value {
				case vocab.TRSOrder:
					n, _ := tr.O.Int()
					page = append(page, n)
				case vocab.OSLCNextPage:
					next = strings.TrimPrefix(tr.O.Value, r.url)
				}
			}
			slices.Sort(page) // a graph has no order; that of pages is
			out = append(out, page...)
		}
		return out
	}
	where := func(w string) []int64 { t.Helper(); return orders("oslc.where", w) }
	first := r.seenOf(uri)[0].Time.Add(-time.Hour).Format(time.RFC3339)
	last := r.seenOf(uri)[0].Time.Add(time.Hour).Format(time.RFC3339)
	check := func() {
		t.Helper()
		for name, c := range map[string]struct {
			got, want []int64
		}{
			"everything":   {orders(), []int64{1, 2, 3, 4, 5, 6, 7}},
			"one resource": {where("trs:changed=<" + uri + ">"), []int64{1, 2, 7}},
			"a kind":       {where("rdf:type=trs:Deletion"), []int64{7}},
			"kinds":        {where("rdf:type in [trs:Deletion,trs:Modification]"), []int64{2, 7}},
			"a type":       {where("rdf:type=<" + vocab.St2RuleDisabled + ">"), []int64{2}},
			"a type and a resource": {
				where("rdf:type=<" + vocab.St2RuleDisabled + "> and trs:changed=<" + uri + ">"),
				[]int64{2},
			},
			"no such type":  {where("rdf:type=<http://example.org/none>"), nil},
			"orders":        {where("trs:order>2 and trs:order<=5"), []int64{3, 4, 5}},
			"one order":     {where("trs:order=4"), []int64{4}},
			"all times":     {where(`dcterms:created>="` + first + `" and dcterms:created<"` + last + `"`), []int64{1, 2, 3, 4, 5, 6, 7}},
			"no time":       {where(`dcterms:created>"` + last + `"`), nil},
			"pages":         {orders("oslc.pageSize", "2"), []int64{6, 7, 4, 5, 2, 3, 1}},
			"pages, oldest": {orders("oslc.pageSize", "3", "oslc.orderBy", "+trs:order"), []int64{1, 2, 3, 4, 5, 6, 7}},
		} {
			if !slices.Equal(c.got, c.want) {
				t.Errorf("%s: orders %v, want %v", name, c.got, c.want)
			}
		}
	}
	check()
	g := r.graph("/trs/st2/changes/2")
	one := rdf.NewIRI(r.url + "/trs/st2/changes/2")
	if !g.IsA(one, vocab.TRSModification) || !g.IsA(one, vocab.St2RuleDisabled) || g.Value(one, vocab.BusEvent) != r.seenOf(uri)[1].URI() {
		t.Errorf("change 2 is %v", g.Triples())
	}
	g = r.graph("/trs/st2/changes?oslc.select=trs:order&oslc.where=" + url.QueryEscape("trs:order=2"))
	if !g.Object(one, vocab.TRSChanged).IsZero() || g.Object(one, vocab.TRSOrder).IsZero() {
		t.Errorf("a selection of trs:order has %v", g.Triples())
	}
	for path, want := range map[string]int{
		"/trs/st2/changes/0": 404, "/trs/st2/changes/8": 404, "/trs/st2/changes/x": 404, "/trs/none/changes": 404,
		"/trs/st2/changes?oslc.where=trs%3Aorder": 400, "/trs/st2/changes?oslc.where=trs%3Aorder%3D%22x%22": 400,
		"/trs/st2/changes?oslc.where=dcterms%3Acreated%3E%22x%22": 400, "/trs/st2/changes?page=x": 400,
		"/trs/st2/changes?oslc.where=dcterms%3Atitle%3D%22x%22": 501, "/trs/st2/changes?oslc.searchTerms=%22x%22": 501,
		"/trs/st2/changes?oslc.orderBy=%2Bdcterms%3Acreated": 501,
	} {
		if resp, body := r.get(path, "Accept", "text/turtle"); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d: %s", path, resp.Status, want, body)
		}
	}
	r.halt()
	r.start()
	check()
}

// TestT7_BelowWhatIsKept asks for changes that are not kept any more.
func TestT7_BelowWhatIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5, keep_changes: 10}").start()
	for i := range 25 {
		r.create(fmt.Sprint("r", i))
	}
	r.eventually("the older changes to go", func() bool {
		resp, _ := r.get("/trs/st2/changes/10")
		return resp.StatusCode == http.StatusGone
	})
	for _, path := range []string{"/trs/st2/changes/3", "/trs/st2/changes?oslc.where=trs%3Aorder%3D3", "/trs/st2/changes?oslc.where=trs%3Aorder%3E2", "/trs/st2/changes?oslc.where=trs%3Aorder%3C4"} {
		resp, body := r.get(path, "Accept", "text/turtle")
		if resp.StatusCode != http.StatusGone || !strings.Contains(body, "the oldest is 1") {
			t.Errorf("%s: %s %s; want 410 that names the oldest order", path, resp.Status, body)
		}
	}
	if resp, body := r.get("/trs/st2/changes", "Accept", "text/turtle"); resp.StatusCode != http.StatusOK {
		t.Errorf("everything that is kept: %s %s", resp.Status, body)
	}
}
