package oslcbus_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

// previousOf returns the older segment that a document of a change log leads to.
func (r *rig) previousOf(uri string) string {
	r.t.Helper()
	for t := range r.graph(strings.TrimPrefix(uri, r.url)).All() {
		if t.P.Value == vocab.TRSPrevious {
			return t.O.Value
		}
	}
	return ""
}

// TestT4_StablePages reads the newest page, lets 50 events happen, and follows the
// chain from the page that was read.
func TestT4_StablePages(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5}").start()
	rule, uri := r.create("r")
	change := func(n int) {
		before := len(r.seenOf(uri))
		for i := range n {
			rule["description"] = fmt.Sprint(before, " ", i)
			r.rest(http.MethodPut, "/"+fmt.Sprint(rule["id"]), rule)
		}
		r.eventually("the events", func() bool { return len(r.seenOf(uri)) >= before+n })
	}
	r.eventually("the rule", func() bool { return len(r.seenOf(uri)) >= 1 })
	change(19)
	g := r.graph("/trs/st2")
	var chain []string
	add := func(g *rdf.Graph) string {
		var orders []int64
		previous := ""
		for tr := range g.All() {
			switch tr.P.Value {
			case vocab.TRSOrder:
				n, _ := tr.O.Int()
				orders = append(orders, n)
			case vocab.TRSPrevious:
				previous = tr.O.Value
			}
		}
		slices.Sort(orders)
		for _, n := range slices.Backward(orders) {
			chain = append(chain, fmt.Sprint(n))
		}
		return previous
	}
	next := add(g)
	change(50)
	for next != "" {
		next = add(r.graph(strings.TrimPrefix(next, r.url)))
	}
	want := make([]string, 20)
	for i := range want {
		want[i] = fmt.Sprint(20 - i)
	}
	if !slices.Equal(chain, want) {
		t.Errorf("from the page that was read on, the orders are %v; want %v", chain, want)
	}
}

// TestT6_Truncated: with a retention, older changes go, and what is left tells the
// truth, also after a restart.
func TestT6_Truncated(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5, keep_changes: 10, base_age: 1ms}").start()
	rule, _ := r.create("first")
	first := r.url + "/trs/st2"
	r.eventually("the first event", func() bool { return len(r.seenOf("")) >= 1 })
	r.delete(rule)
	var live []string
	for i := range 12 {
		rule, uri := r.create(fmt.Sprint("r", i))
		r.setEnabled(rule, false)
		live = append(live, uri)
	}
	r.eventually("the events", func() bool { return len(r.seenOf("")) >= 26 })
	oldest := func() (orders []int64) {
		for uri := first; uri != ""; uri = r.previousOf(uri) {
			for tr := range r.graph(strings.TrimPrefix(uri, r.url)).All() {
				if n, ok := tr.O.Int(); ok && tr.P.Value == vocab.TRSOrder {
					orders = append(orders, n)
				}
			}
		}
		slices.Sort(orders)
		return orders
	}
	// 26 changes, of which 10 stay at least; the cut is between two segments.
	r.eventually("the older changes to go", func() bool { return oldest()[0] >= 11 })
	check := func() {
		t.Helper()
		walk := trstest.NewWalker(httpClient, first).Walk(t)
		want := slices.Sorted(slices.Values(live))
		if !slices.Equal(walk.Members, want) || len(walk.Changes) < 10 || len(walk.Changes) >= 26 {
			t.Errorf("%d changes and members %v; want 10 to 25 and %v", len(walk.Changes), walk.Members, want)
		}
	}
	check()
	r.halt()
	r.start()
	check()
}
