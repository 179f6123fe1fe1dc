package oslcbus_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestS3_Mirror: two tools that mirror each other come to rest after one action, also
// when that action is one that the other side would answer.
func TestS3_Mirror(t *testing.T) {
	t.Parallel()
	other, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(other)
	t.Cleanup(srv.Close)
	r := newRig(t, `
connections:
  st2: {type: sandbox}
  two: {type: second}
rules:
  - name: there
    on: {provider: st2, events: ["st2:RuleDisabled", "st2:RuleEnabled"]}
    do: {tool: two, action: update-rule, with: {rule: 'default.${resource.title}', enabled: '${resource["st2:ruleStatus"]}', description: '${event.id}'}}
  - name: back
    on: {provider: two, events: [modified]}
    do: {tool: st2, action: update-rule, with: {rule: 'demo.${resource.title}', enabled: '${resource["st2:ruleStatus"]}', description: '${event.id}'}}
`)
	r.registry = adapters.Registry{"second": func(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
		if err := decode(&struct{}{}); err != nil {
			return adapters.Adapter{}, err
		}
		return sandbox.Adapter(other, srv.URL, opts)
	}}
	r.start()
	rule, uri := r.create("r")
	id, err := other.Create("r", "A rule")
	if err != nil {
		t.Fatal(err)
	}
	mirrored := oslc.ResourceURI(r.url, "two", "changeRequests", id)
	r.eventually("both rules", func() bool { return len(r.seenOf(uri)) == 1 && len(r.seenOf(mirrored)) == 1 })
	r.setEnabled(rule, false)
	r.eventually("the change over there", func() bool { return len(r.seenOf(mirrored)) == 2 })
	e := r.seenOf(mirrored)[1]
	if e.Hops != 1 || !slices.Equal(e.Via, []string{"st2"}) || !strings.HasPrefix(e.CausedBy, r.url+"/services/bus/requests/") {
		t.Errorf("the event over there has %d hops via %v, caused by %q", e.Hops, e.Via, e.CausedBy)
	}
	// What a person changes over there is the beginning of a chain again, although the
	// rule still has the note of the request.
	if err := other.SetEnabled(id, true); err != nil {
		t.Fatal(err)
	}
	r.eventually("the change back here", func() bool { return len(r.seenOf(uri)) == 3 && len(r.seenOf(mirrored)) >= 3 })
	if e := r.seenOf(mirrored)[2]; e.Hops != 0 || e.CausedBy != "" {
		t.Errorf("a person's change has %d hops, caused by %q", e.Hops, e.CausedBy)
	}
	// The rules have seen all events once what comes after them was answered.
	last, _ := r.create("last")
	if _, err := other.Create("last", "A rule"); err != nil {
		t.Fatal(err)
	}
	r.setEnabled(last, false)
	// Each of the three changes led to one that the other side did not answer.
	r.eventually("three loops to be noticed", func() bool {
		_, body := r.get("/metrics")
		return strings.Contains(body, "oslcbus_loops_total 3")
	})
	requests := func() int { return len(r.graph("/services/bus/requests").OfType(vocab.AutoAutomationRequest)) }
	r.eventually("the requests to be known", func() bool { return requests() >= 3 })
	if n := requests(); n != 3 {
		t.Errorf("there are %d requests, want one for each change of a person", n)
	}
	if !strings.Contains(r.log.String(), "rules do not answer") {
		t.Error("the log does not tell of the loop")
	}
}

// TestS3_Itself: a rule that undoes what made it act does so once.
func TestS3_Itself(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
connections:
  st2: {type: sandbox}
rules:
  - name: on
    on: {provider: st2, events: ["st2:RuleDisabled"]}
    do: {tool: st2, action: enable-rule}
  - name: off
    on: {provider: st2, events: ["st2:RuleEnabled"]}
    do: {tool: st2, action: disable-rule}
`).start()
	rule, uri := r.create("r")
	r.setEnabled(rule, false)
	r.eventually("the answer", func() bool { return len(r.seenOf(uri)) == 3 })
	if e := r.seenOf(uri)[2]; e.Hops != 1 {
		t.Errorf("the answer has %d hops", e.Hops)
	}
	r.eventually("the loop to be noticed", func() bool { return strings.Contains(r.log.String(), "rules do not answer") })
	if n := len(r.seenOf(uri)); n != 3 {
		t.Errorf("there are %d events, want 3", n)
	}
	if got := fmt.Sprint(r.stored(uri)["enabled"]); got != "true" {
		t.Errorf("the rule is enabled: %s", got)
	}
}
