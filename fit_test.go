package oslcbus_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestLargeEvent: a tool's text may be larger than any record. The event goes out
// all the same, with that text cut, and the rest as it was.
func TestLargeEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create("r")
	for _, size := range []int{950_000, 100} {
		rule["description"] = strings.Repeat("ä", size/2)
		r.rest("PUT", "/"+fmt.Sprint(rule["id"]), rule)
	}
	r.eventually("the events", func() bool { return len(r.seenOf(uri)) == 3 })
	for i, want := range []int{6, 64_009, 100} {
		e := r.seenOf(uri)[i]
		s := rdf.NewIRI(uri)
		if got := len(e.Resource.Value(s, vocab.DCTermsDescription)); got != want {
			t.Errorf("event %d has a description of %d bytes, want %d", i, got, want)
		}
		if e.Resource.Value(s, vocab.St2RuleRef) != "demo.r" {
			t.Errorf("event %d lost the rest", i)
		}
	}
	if _, body := r.get("/metrics"); !strings.Contains(body, `oslcbus_adapter_total{adapter="st2",what="cut_event"} 1`) {
		t.Error("the cut is not counted")
	}
}
