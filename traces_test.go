package oslcbus_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestTrace: from a change in StackStorm by a rule to the call of Jira, and from a call
// of ours to the rule that it changes in StackStorm and to the event of that, there is
// one trace, which each record and the log tell.
func TestTrace(t *testing.T) {
	t.Parallel()
	r := newRig(t, ruleTicket).start()
	var mu sync.Mutex
	var calls []http.Header
	r.fault(func(_ http.ResponseWriter, req *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, req.Header.Clone())
		return false
	})
	rule, uri := r.create("r")
	r.setEnabled(rule, false)
	r.eventually("the issue", func() bool { return len(r.jira.Issues()) >= 1 })
	r.eventually("the events", func() bool { return len(r.seenOf(uri)) >= 2 })
	// The trace of a change is that of its event, so that telling it twice changes nothing.
	change := r.seenOf(uri)[1]
	id := strings.ReplaceAll(change.ID, "-", "")
	if change.Trace != oslc.TraceOf(change.ID) || change.Trace.ID() != id {
		t.Errorf("the trace of the change is %+v, want that of %s", change.Trace, change.ID)
	}
	mu.Lock()
	for _, h := range calls {
		if got := oslc.TraceFromHeader(h); got.ID() != id {
			t.Errorf("Jira was called in the trace %q, want %s", h.Get("Traceparent"), id)
		}
	}
	if len(calls) == 0 {
		t.Error("Jira was not called")
	}
	mu.Unlock()
	ofBus := func() (n int, ids map[string]bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		ids = map[string]bool{}
		for _, s := range r.events {
			if s.provider == "bus" {
				n++
				ids[s.event.Trace.ID()] = true
			}
		}
		return n, ids
	}
	r.eventually("request, end and result", func() bool { n, _ := ofBus(); return n >= 3 })
	if _, ids := ofBus(); len(ids) != 1 || !ids[id] {
		t.Errorf("the records of the request are in the traces %v, want %s", ids, id)
	}
	if said := r.log.String(); strings.Count(said, "trace_id="+id) < 2 {
		t.Errorf("the log does not tell the trace %s:\n%s", id, said)
	}

	// What somebody asks for is in the trace of who asked, and so is what comes back.
	const parent, trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"
	resp, body := r.send(http.MethodPost, uri+"/actions/enable-rule", "", "Accept", "text/turtle", "traceparent", parent, "tracestate", "a=1")
	wantStatus(t, "asking", resp, body, http.StatusOK, "oslcbus:traceparent \"00-"+trace)
	if strings.Contains(body, parent) || !strings.Contains(body, `oslcbus:tracestate "a=1"`) {
		t.Errorf("the request is no step of its own:\n%s", body)
	}
	r.eventually("the change", func() bool { return len(r.seenOf(uri)) >= 3 })
	if back := r.seenOf(uri)[2]; back.Trace.ID() != trace || back.Trace.State != "a=1" || back.CausedBy == "" {
		t.Errorf("the change that came back is in %+v", back.Trace)
	}
	// A header that is none is passed over.
	resp, body = r.send(http.MethodPost, uri+"/actions/disable-rule", "", "Accept", "text/turtle", "traceparent", "nonsense")
	wantStatus(t, "asking in nonsense", resp, body, http.StatusOK, "")
	g, at := turtle(t, body, r.url), rdf.NewIRI(resp.Header.Get("Location"))
	if got := g.Value(at, vocab.BusTraceparent); got != oslc.TraceOf(g.Value(at, vocab.DCTermsIdentifier)).Parent {
		t.Errorf("the request is in %q", got)
	}
	r.eventually("what a rule makes of that", func() bool { return len(r.jira.Issues()) >= 2 })
	// The records have it under both names.
	var letter letterJSON
	r.fault(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadRequest); return true })
	r.askIssue("", "", "traceparent", parent)
	r.eventually("a letter", func() bool { return len(r.letters()) >= 1 })
	_, body = r.get("/dlq/" + r.letters()[0].ID)
	if err := json.Unmarshal([]byte(body), &letter); err != nil || oslc.ParseTrace(letter.Header[bus.HeaderTraceparent], "").ID() != trace ||
		letter.Header[bus.HeaderTraceparent] != letter.Header[bus.HeaderPlainTraceparent] {
		t.Errorf("the headers of a record are %v, %v", letter.Header, err)
	}
}
