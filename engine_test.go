package oslcbus_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreAnyFunction("internal/poll.runtime_pollWait"))
}

func TestP3_Resource(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create(`a<b & "c"`)
	r.eventually("the event", func() bool { return len(r.seenOf(uri)) == 1 })
	g := r.graph(strings.TrimPrefix(uri, r.url))
	s := rdf.NewIRI(uri)
	for _, class := range []string{vocab.CMChangeRequest, vocab.AutoAutomationPlan} {
		if !g.IsA(s, class) {
			t.Errorf("the rule is not typed <%s>", class)
		}
	}
	for p, want := range map[string]string{
		vocab.DCTermsTitle: `a<b & "c"`, vocab.DCTermsDescription: "A rule", vocab.DCTermsIdentifier: fmt.Sprint(rule["id"]),
		vocab.St2RuleID: fmt.Sprint(rule["id"]), vocab.St2RuleRef: `demo.a<b & "c"`, vocab.St2RulePack: "demo", vocab.St2RuleStatus: "true",
		vocab.St2TriggerType: "core.st2.webhook", vocab.St2ActionRef: "core.local", vocab.OSLCServiceProvider: r.url + "/services/st2",
	} {
		if got := g.Value(s, p); got != want {
			t.Errorf("<%s> is %q, want %q", p, got, want)
		}
	}
	if g.Object(s, vocab.DCTermsModified).IsZero() || g.Object(s, vocab.St2TriggerRef).IsZero() {
		t.Error("dcterms:modified or st2:triggerRef is missing")
	}
	for _, accept := range []string{"application/rdf+xml", "text/turtle", "application/ld+json"} {
		resp, body := r.get(uri, "Accept", accept)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != accept || resp.Header.Get("ETag") == "" {
			t.Errorf("%s: %s, type %q, ETag %q", accept, resp.Status, resp.Header.Get("Content-Type"), resp.Header.Get("ETag"))
		}
		if strings.Contains(body, "not-a-real-secret") {
			t.Errorf("%s shows a secret:\n%s", accept, body)
		}
		if again, b := r.get(uri, "Accept", accept, "If-None-Match", resp.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || b != "" {
			t.Errorf("%s with its own ETag: %s", accept, again.Status)
		}
	}
	resp, body := r.get("/services/st2/changeRequests/000000000000000000000000", "Accept", "text/turtle")
	if resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "oslc:Error") {
		t.Errorf("an unknown rule: %s: %s", resp.Status, body)
	}
	r.delete(rule)
	r.eventually("the deletion", func() bool { return len(r.seenOf(uri)) == 2 })
	if resp, body := r.get(uri, "Accept", "text/turtle"); resp.StatusCode != http.StatusGone || !strings.Contains(body, "deleted") {
		t.Errorf("a deleted rule: %s: %s", resp.Status, body)
	}
}

// TestC3 and C4 as a subscriber of the engine sees them; package stackstorm has
// the mapping itself.
func TestC4_EnableAndDisable(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create("r")
	r.setEnabled(rule, false)
	r.setEnabled(rule, true)
	rule["description"] = "Another text"
	r.rest(http.MethodPut, "/"+fmt.Sprint(rule["id"]), rule)
	r.rest(http.MethodPut, "/"+fmt.Sprint(rule["id"]), rule) // nothing changed: silent (C8)
	r.delete(rule)
	r.eventually("the deletion", func() bool {
		e := r.seenOf(uri)
		return len(e) > 0 && e[len(e)-1].Change == oslc.Deletion
	})
	want := "creation modification+st2:RuleDisabled modification+st2:RuleEnabled modification deletion"
	got := r.seenOf(uri)
	if changes(got) != want {
		t.Fatalf("events: %s\nwant:   %s", changes(got), want)
	}
	if s := got[1].Resource.Value(rdf.NewIRI(uri), vocab.St2RuleStatus); s != "false" {
		t.Errorf("the event of the disabling says %q: a later state", s)
	}
	if c := got[1].Changed; len(c) == 0 || c[0] != vocab.St2RuleStatus && c[len(c)-1] != vocab.St2RuleStatus {
		t.Errorf("changed properties are %v", c)
	}
	if ref := got[4].Resource.Value(rdf.NewIRI(uri), vocab.St2RuleRef); ref != "demo.r" {
		t.Errorf("the deletion says ref %q", ref)
	}
}

func TestC5_Restart(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create("r")
	r.eventually("the event", func() bool { return len(r.seenOf(uri)) == 1 })
	before := r.graph("/trs/st2")
	r.halt()
	for i := range 5 {
		r.setEnabled(rule, i%2 == 1)
	}
	r.start()
	r.eventually("the five events", func() bool { return len(r.seenOf(uri)) >= 6 })
	want := "creation" + strings.Repeat(" modification+st2:RuleDisabled modification+st2:RuleEnabled", 2) + " modification+st2:RuleDisabled"
	if got := changes(r.seenOf(uri)); got != want {
		t.Errorf("events: %s\nwant:   %s", got, want)
	}
	after := r.graph("/trs/st2")
	for tr := range before.All() {
		if tr.P.Value == vocab.TRSOrder && !after.Has(tr) {
			t.Errorf("after the restart the change log lacks %v", tr)
		}
	}
}

func TestC5_StateUnwritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := oslcbus.New(oslcbus.Config{Data: filepath.Join(dir, "file", "below"), Listen: "127.0.0.1:0", BaseURL: "http://bus.example"}, oslcbus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context()); err == nil || oslc.KindOf(err) == oslc.Internal {
		t.Errorf("a data folder that cannot be made: Run returned %v", err)
	}
}

func TestS1_Ticket(t *testing.T) {
	t.Parallel()
	r := newRig(t, ruleTicket).start()
	rule, uri := r.create("r")
	r.setEnabled(rule, false)
	r.eventually("the ticket", func() bool { return len(r.jira.Issues()) == 1 })
	is := r.jira.Issues()[0]
	if is.Summary() != "Rule demo.r was disabled" || !strings.Contains(is.Text(), uri) {
		t.Errorf("summary %q, description %q; want the rule's ref and <%s>", is.Summary(), is.Text(), uri)
	}
	r.eventually("the result", func() bool {
		resp, _ := r.get("/services/bus/results")
		return resp.StatusCode == http.StatusOK && len(r.graph("/services/bus/results").OfType(vocab.AutoAutomationResult)) == 1
	})
	g := r.graph("/services/bus/results")
	res := g.OfType(vocab.AutoAutomationResult)[0]
	if g.Value(res, vocab.AutoVerdict) != vocab.AutoPassed || g.Value(res, vocab.DCTermsReferences) != r.jiraURL+"/browse/DEMO-1" {
		t.Errorf("result: %v", g.Triples())
	}
	req := r.graph("/services/bus/requests")
	q := req.OfType(vocab.AutoAutomationRequest)[0]
	if req.Value(q, vocab.AutoState) != vocab.AutoComplete || req.Value(q, vocab.BusTarget) != uri {
		t.Errorf("request: %v", req.Triples())
	}
}

// TestS1_Away: while Jira is down the request is tried again, and after the limit
// it is set aside with the reason; the next one works.
func TestS1_Away(t *testing.T) {
	t.Parallel()
	r := newRig(t, ruleTicket).start()
	var calls atomic.Int64
	r.fault(func(w http.ResponseWriter, _ *http.Request) bool {
		calls.Add(1)
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		return true
	})
	rule, uri := r.create("r")
	r.setEnabled(rule, false)
	r.eventually("the failed result", func() bool {
		return len(r.graph("/services/bus/results").OfType(vocab.AutoAutomationResult)) == 1
	})
	if n := calls.Load(); n != 4 {
		t.Errorf("Jira was called %d times, want the 4 attempts of the configuration", n)
	}
	g := r.graph("/services/bus/results")
	res := g.OfType(vocab.AutoAutomationResult)[0]
	if g.Value(res, vocab.AutoVerdict) != vocab.AutoError || !strings.Contains(g.Value(res, vocab.DCTermsDescription), "503") {
		t.Errorf("result: %v", g.Triples())
	}
	if _, body := r.get("/metrics"); !strings.Contains(body, `oslcbus_dead_letters_total{topic="bus_event"} 1`) {
		t.Error("no dead letter is counted")
	}
	r.fault(nil)
	r.setEnabled(rule, true)
	r.setEnabled(rule, false)
	r.eventually("the ticket", func() bool { return len(r.jira.Issues()) == 1 })
	if !strings.Contains(r.jira.Issues()[0].Text(), uri) {
		t.Error("the ticket is about something else")
	}
}

// TestS4_AnswerLost: Jira makes the issue and the answer never arrives. The issue
// is found again, although Jira's index is behind.
func TestS4_AnswerLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, ruleTicket)
	r.jira.IndexDelay = 30 * 1e6 // less than the 50 ms of the rig's configuration
	r.start()
	var lost atomic.Bool
	r.fault(func(_ http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/issue") || lost.Swap(true) {
			return false
		}
		r.jira.ServeHTTP(discard{http.Header{}}, req)
		panic(http.ErrAbortHandler)
	})
	rule, _ := r.create("r")
	r.setEnabled(rule, false)
	r.eventually("the result", func() bool {
		return len(r.graph("/services/bus/results").OfType(vocab.AutoAutomationResult)) == 1
	})
	if n := len(r.jira.Issues()); n != 1 {
		t.Errorf("there are %d issues, want 1", n)
	}
	g := r.graph("/services/bus/results")
	if key := g.Value(g.OfType(vocab.AutoAutomationResult)[0], vocab.BusExternalKey); key != "DEMO-1" {
		t.Errorf("the result names %q", key)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header       { return d.h }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func TestT1_T2_T3_TrackedResourceSet(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5}").start()
	var live []string
	for i := range 12 {
		rule, uri := r.create(fmt.Sprintf("r%d", i))
		if i%3 == 0 {
			r.delete(rule)
		} else {
			live = append(live, uri)
		}
	}
	r.eventually("all events", func() bool { return len(r.seenOf("")) == 16 })
	walk := trstest.NewWalker(testkit.HTTP, r.url+"/trs/st2").Walk(t)
	if len(walk.Changes) != 16 || len(walk.Members) != len(live) {
		t.Errorf("%d changes and %d members, want 16 and %d", len(walk.Changes), len(walk.Members), len(live))
	}
	distinct := map[string]bool{}
	for _, c := range walk.Changes {
		distinct[c] = true
	}
	if len(distinct) != 16 {
		t.Errorf("%d distinct event URIs of 16", len(distinct))
	}
	g := r.graph("/services/st2")
	if set := g.Value(rdf.NewIRI(r.url+"/services/st2"), vocab.TRSTrackedResourceSet); set != r.url+"/trs/st2" {
		t.Errorf("the provider leads to the set <%s>", set)
	}
	r.halt()
	r.start()
	again := trstest.NewWalker(testkit.HTTP, r.url+"/trs/st2").Walk(t)
	if fmt.Sprint(again.Changes) != fmt.Sprint(walk.Changes) || fmt.Sprint(again.Members) != fmt.Sprint(walk.Members) {
		t.Error("after a restart the set is another one")
	}
}

func TestX2_Operable(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
connections:
  st2: {type: stackstorm, mongodb: {uri: "mongodb://127.0.0.1:1/?replicaSet=rs0&serverSelectionTimeoutMS=200"}}
`)
	r.launch()
	if resp, body := r.get("/healthz"); resp.StatusCode != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %s %q", resp.Status, body)
	}
	r.eventually("the reason", func() bool {
		resp, body := r.get("/readyz")
		var out struct {
			Ready  bool
			Checks []struct {
				Name, Reason string
				Ready        bool
			}
		}
		if err := json.Unmarshal([]byte(body), &out); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		for _, c := range out.Checks {
			if c.Name == "source st2" && !c.Ready && strings.Contains(c.Reason, "mongodb") {
				return resp.StatusCode == http.StatusServiceUnavailable && !out.Ready
			}
		}
		return false
	})
	if _, body := r.get("/metrics"); !strings.Contains(body, "oslcbus_http_requests_total") {
		t.Error("no metrics")
	}
	r.halt()
}

// TestX2_Lag: the lag of views that have everything is nothing, however the last of it
// came: in a batch or alone.
func TestX2_Lag(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	for _, name := range []string{"a", "b", "c"} {
		_, uri := r.create(name)
		r.eventually("the event", func() bool { return len(r.seenOf(uri)) == 1 })
		r.eventually("the lag to be none", r.metric(`oslcbus_views_lag_records{partition="0",topic="st2_event"} 0`))
	}
}

func TestHTTP_Surface(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	_, uri := r.create("r")
	r.eventually("the event", func() bool { return len(r.seenOf(uri)) == 1 })
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 303},
		{"GET", "/rootservices", 200},
		{"GET", "/.well-known/oslc/rootservices.xml", 200},
		{"GET", "/.well-known/oslc/sp-catalog", 200},
		{"GET", "/services/catalog", 200},
		{"GET", "/services/st2", 200},
		{"GET", "/services/jira", 200},
		{"GET", "/services/nope", 404},
		{"GET", "/services/st2/changeRequests", 200},
		{"GET", "/services/st2/nope", 404},
		{"GET", "/services/st2/changeRequests?oslc.pageSize=0", 400},
		{"GET", "/services/st2/changeRequests?page=x", 400},
		{"HEAD", "/services/catalog", 200},
		{"OPTIONS", "/services/catalog", 204},
		{"DELETE", "/services/catalog", 405},
		{"GET", "/trs/st2", 200},
		{"HEAD", "/trs/st2", 200},
		{"GET", "/trs/nope", 404},
		{"GET", "/trs/jira", 404}, // nothing of it is on the log
		{"GET", "/a//b/../c", 404},
		{"GET", "/services/st2/changeRequests/a%2Fb", 404},
	} {
		resp, body := r.do(c.method, c.path, "Accept", "text/turtle")
		if resp.StatusCode != c.want {
			t.Errorf("%s %s: %s, want %d: %s", c.method, c.path, resp.Status, c.want, body)
		}
		if c.method == "HEAD" && body != "" {
			t.Errorf("HEAD %s has a body", c.path)
		}
		if c.want >= 400 && !strings.Contains(body, "oslc:Error") {
			t.Errorf("%s %s: the error is no oslc:Error: %s", c.method, c.path, body)
		}
		if (c.want == 204 || c.want == 405) && resp.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s %s: Allow is %q", c.method, c.path, resp.Header.Get("Allow"))
		}
	}
	resp, page := r.get("/", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	for _, want := range []string{r.url + "/services/st2/changeRequests", r.url + "/trs/st2", uri, "creation", "source st2"} {
		if !strings.Contains(page, want) {
			t.Errorf("the start page (%s) does not show %q", resp.Status, want)
		}
	}
	if resp, body := r.get("/web/style.css"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "font") {
		t.Errorf("the style sheet: %s", resp.Status)
	}
	if resp, _ := r.get("/rootservices", "Accept", ""); resp.Header.Get("Content-Type") != "application/rdf+xml" {
		t.Errorf("rootservices without Accept: %s", resp.Header.Get("Content-Type"))
	}
}
