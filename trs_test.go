package oslcbus_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

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
	// 26 changes, of which 10 stay at least; the cut is between two segments.
	r.eventually("the older changes to go", func() bool {
		report, err := trs.Verify(t.Context(), trs.VerifyConfig{ClientConfig: trs.ClientConfig{URI: first, HTTP: testkit.HTTP}, Resources: -1})
		return err == nil && report.Events <= 16
	})
	check := func() {
		t.Helper()
		walk := trstest.NewWalker(testkit.HTTP, first).Walk(t)
		want := slices.Sorted(slices.Values(live))
		if !slices.Equal(walk.Members, want) || len(walk.Changes) < 10 || len(walk.Changes) >= 26 {
			t.Errorf("%d changes and members %v; want 10 to 25 and %v", len(walk.Changes), walk.Members, want)
		}
	}
	check()
	r.halt()
	r.start()
	check()
	for _, set := range []string{"/trs/st2", "/trs/bus"} {
		report, err := trs.Verify(t.Context(), trs.VerifyConfig{ClientConfig: trs.ClientConfig{
			URI: r.url + set, HTTP: testkit.HTTP, Parser: format.Parser{JSONLD: processor.Parse},
		}})
		if err != nil || len(report.Findings) > 0 {
			t.Errorf("%s: %v, %+v", set, err, report)
		}
	}
}

// TestT6_Quiet: what has been kept for long enough goes though nothing happens any more,
// and views that are made anew lack the same, with the same pages.
func TestT6_Quiet(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5, keep: 24h}")
	var later atomic.Int64
	r.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	r.start()
	rule, uri := r.create("r")
	for i := range 28 {
		r.setEnabled(rule, i%2 == 1)
	}
	r.eventually("the changes", func() bool { return len(r.seenOf(uri)) >= 29 })
	change := func(order int) int {
		resp, _ := r.get(fmt.Sprint("/trs/st2/changes/", order))
		return resp.StatusCode
	}
	later.Store(int64(25 * time.Hour))
	// What is left is the newest segment, of one to two pages, and no less.
	r.eventually("the older changes to go", func() bool { return change(20) == http.StatusGone })
	if status := change(21); status != http.StatusOK {
		t.Errorf("change 21 is answered %d", status)
	}
	pages := func() map[string]string {
		walk := trstest.NewWalker(testkit.HTTP, r.url+"/trs/st2").Walk(t)
		if len(walk.Changes) != 9 || !slices.Equal(walk.Members, []string{uri}) {
			t.Errorf("%d changes and members %v", len(walk.Changes), walk.Members)
		}
		_, set := r.get("/trs/st2", "Accept", "application/rdf+xml")
		walk.Immutable["the set"] = set
		return walk.Immutable
	}
	before := pages()
	r.halt()
	for _, name := range []string{"oslcbus.db", "oslcbus.db-wal", "oslcbus.db-shm", "cache.db", "cache.db-wal", "cache.db-shm"} {
		if err := os.Remove(filepath.Join(r.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	r.start()
	r.eventually("the views", func() bool { return change(29) == http.StatusOK && change(20) == http.StatusGone })
	if after := pages(); !maps.Equal(before, after) {
		t.Errorf("views that are made anew have the pages\n%v\nwant\n%v", after, before)
	}
}

// TestT5_InStep: a client, and another bus that has the set as its source, follow
// 200 operations with a restart in the middle, behind a retention of a few pages.
func TestT5_InStep(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5, keep_changes: 50, base_age: 1ms}").start()
	other := newRig(t, fmt.Sprintf("connections:\n  far: {type: trsfeed, url: %q, poll: 5ms}\n", r.url+"/trs/st2")).start()
	client, err := trs.NewClient(trs.ClientConfig{URI: r.url + "/trs/st2", HTTP: testkit.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := client.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	members, place, loads := map[string]bool{}, snapshot.Place, 0
	step := func() error {
		b, err := client.Poll(t.Context(), place)
		if errors.Is(err, oslc.Gone) {
			loads++
			s, err := client.Load(t.Context())
			if err != nil {
				return err
			}
			clear(members)
			for _, m := range s.Members {
				members[m] = true
			}
			place = s.Place
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range b.Events {
			if e.Kind == oslc.Deletion {
				delete(members, e.Changed)
			} else {
				members[e.Changed] = true
			}
		}
		place = b.Place
		return nil
	}
	random := rand.New(rand.NewPCG(7, 7))
	type live struct {
		rule map[string]any
		uri  string
	}
	var there []live
	truth := func() []string {
		out := []string{}
		for _, l := range there {
			out = append(out, l.uri)
		}
		slices.Sort(out)
		return out
	}
	for n := range 200 {
		switch k := random.IntN(4); {
		case k == 0 && len(there) > 3:
			i := random.IntN(len(there))
			r.delete(there[i].rule)
			there = slices.Delete(there, i, i+1)
		case k == 1 && len(there) > 0:
			l := there[random.IntN(len(there))]
			l.rule["description"] = fmt.Sprint("changed ", n)
			r.rest(http.MethodPut, "/"+fmt.Sprint(l.rule["id"]), l.rule)
		default:
			rule, uri := r.create(fmt.Sprint("r", n))
			there = append(there, live{rule, uri})
		}
		if n == 100 {
			r.halt()
			r.start()
		}
		if n == 190 { // the client has not looked for so long that it is cut off
			r.eventually("the client's place to go", func() bool {
				_, err := client.Poll(t.Context(), place)
				return errors.Is(err, oslc.Gone)
			})
		}
		if n < 20 || n >= 190 {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.eventually("the client to be in step", func() bool {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		return slices.Equal(slices.Sorted(maps.Keys(members)), truth())
	})
	if loads == 0 {
		t.Error("the client did not read the base again")
	}
	other.eventually("the other bus to be in step", func() bool {
		g := other.graph("/services/far/resources?oslc.select=dcterms:source")
		var remote []string
		for tr := range g.All() {
			if tr.P.Value == vocab.DCTermsSource {
				remote = append(remote, tr.O.Value)
			}
		}
		slices.Sort(remote)
		return slices.Equal(remote, truth())
	})
}
