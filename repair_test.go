package oslcbus_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

// lossy is a source that loses the events of some resources.
type lossy struct {
	adapters.Source
	mu   sync.Mutex
	lose map[string]bool // by subject; "" loses all that are not known
}

func (l *lossy) set(lose map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = lose
}

func (l *lossy) Run(ctx context.Context, from adapters.Cursor, emit adapters.Emit) error {
	return l.Source.Run(ctx, from, func(ctx context.Context, batch ...adapters.Emission) error {
		l.mu.Lock()
		for i := range batch {
			if e := batch[i].Event; e != nil && (l.lose[e.Subject] || l.lose[""] && !l.lose["known "+e.Subject]) {
				batch[i].Event = nil
			}
		}
		l.mu.Unlock()
		return emit(ctx, batch...)
	})
}

// TestRepair: what a source has lost is found by comparing with the tool, and told by
// new events; the history that there was stays as it is.
func TestRepair(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5}")
	loses := &lossy{}
	first := true
	r.registry = adapters.Registry{"sandbox": func(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
		if err := decode(&struct{}{}); err != nil {
			return adapters.Adapter{}, err
		}
		a, err := sandbox.Adapter(r.st2, r.st2URL, opts)
		if first { // those that compare for a repair see everything
			first = false
			loses.Source = a.Source
			a.Source = loses
		}
		return a, err
	}}
	r.start()
	kept, keptURI := r.create("kept")
	changed, changedURI := r.create("changed")
	deleted, deletedURI := r.create("deleted")
	r.eventually("the rules", func() bool { return len(r.seenOf("")) >= 3 })
	repair := func(apply bool) map[string]any {
		t.Helper()
		return r.call(http.MethodPost, "/trs/st2/repair", map[string]bool{"apply": apply}, http.StatusOK)
	}
	if out := repair(false); out["total"] != 0.0 || out["applied"] != false {
		t.Fatalf("a good set has %v", out)
	}
	loses.set(map[string]bool{changedURI: true, deletedURI: true, "": true, "known " + keptURI: true})
	r.setEnabled(changed, false)
	r.delete(deleted)
	_, madeURI := r.create("made")
	r.setEnabled(kept, false) // the sign that the source is past the others
	r.eventually("the sign", func() bool { return len(r.seenOf(keptURI)) >= 2 })
	loses.set(nil)
	before := trstest.NewWalker(testkit.HTTP, r.url+"/trs/st2").Walk(t)

	want := map[string]string{changedURI: "modification", deletedURI: "deletion", madeURI: "creation"}
	check := func(out map[string]any, applied bool, remaining int) {
		t.Helper()
		list, _ := out["divergences"].([]any)
		for _, d := range list {
			d := d.(map[string]any)
			if want[fmt.Sprint(d["resource"])] != d["change"] {
				t.Errorf("%v is told, want %v", d, want)
			}
		}
		if len(list) != len(want) || out["total"] != float64(len(want)) || out["applied"] != applied || out["remaining"] != float64(remaining) {
			t.Errorf("the report is %v", out)
		}
	}
	for range 2 { // looking changes nothing
		check(repair(false), false, 3)
	}
	if walk := trstest.NewWalker(testkit.HTTP, r.url+"/trs/st2").Walk(t); fmt.Sprint(walk.Changes) != fmt.Sprint(before.Changes) {
		t.Error("a dry run has told something")
	}
	check(repair(true), true, 0)
	after := trstest.NewWalker(testkit.HTTP, r.url+"/trs/st2").Walk(t)
	if n := len(after.Changes) - len(before.Changes); n != 3 || fmt.Sprint(after.Changes[n:]) != fmt.Sprint(before.Changes) {
		t.Errorf("the changes were\n%v\nand are\n%v", before.Changes, after.Changes)
	}
	if got := strings.Join(after.Members, " "); len(after.Members) != 3 || strings.Contains(got, deletedURI) || !strings.Contains(got, madeURI) {
		t.Errorf("the members are %v", after.Members)
	}
	if out := repair(true); out["total"] != 0.0 || out["applied"] != false {
		t.Errorf("afterwards there is %v", out)
	}
	// The source goes on as before.
	r.setEnabled(changed, true)
	r.eventually("the next change", func() bool { return len(r.seenOf(changedURI)) >= 3 })

	if out := r.call(http.MethodPost, "/trs/bus/repair", nil, http.StatusOK); out["total"] != 0.0 {
		t.Errorf("the set of requests has %v", out)
	}
	r.call(http.MethodPost, "/trs/none/repair", nil, http.StatusNotFound)
	r.call(http.MethodGet, "/trs/st2/repair", nil, http.StatusMethodNotAllowed)
	r.call(http.MethodPost, "/trs/st2/repair", map[string]string{"apply": "yes"}, http.StatusBadRequest)
	r.call(http.MethodPost, "/trs/st2/repair", map[string]bool{"aply": true}, http.StatusBadRequest)
}
