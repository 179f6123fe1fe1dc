package oslcbus_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestA5_Future: the shape of rules names what may be done with them, without a way to
// do it; what can be done now says which of these it is.
func TestA5_Future(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	_, uri := r.create("one")
	r.eventually("the rule", func() bool { resp, _ := r.get(uri[len(r.url):]); return resp.StatusCode == http.StatusOK })
	const path = "/services/st2/shapes/changeRequests"
	g := r.graph(path)
	future := g.Objects(rdf.NewIRI(r.url+path), vocab.OSLCFutureAction)
	titles := map[string]string{}
	for _, f := range future {
		if !g.IsA(f, vocab.OSLCActionClass) || len(g.Objects(f, vocab.OSLCBinding)) > 0 {
			t.Errorf("<%s> is %v", f.Value, g.Objects(f, rdf.Type))
		}
		titles[f.Value] = g.Value(f, vocab.DCTermsTitle)
	}
	for name, title := range map[string]string{"enable-rule": "Enable the rule", "disable-rule": "Disable the rule", "update-rule": "Update the rule", "delete-rule": "Delete the rule"} {
		if titles[r.url+path+"#"+name] != title {
			t.Errorf("the shape has no %s: %q", name, titles)
		}
	}
	if len(titles) != 4 {
		t.Errorf("the shape has %d actions: %q", len(titles), titles)
	}
	if got := r.graph(uri[len(r.url):]).Objects(rdf.NewIRI(uri), vocab.OSLCFutureAction); len(got) != 4 {
		t.Errorf("the rule, which is a plan, leads to %v", got)
	}
	at := uri[len(r.url):] + "/actions/disable-rule"
	if got := r.graph(at).Value(rdf.NewIRI(r.url+at), vocab.OSLCExecutes); got != r.url+path+"#disable-rule" {
		t.Errorf("what can be done now is <%s>", got)
	}
}

// TestA5_Bindings: the bindings of an action mean the same (AC03); the one that is an
// AutomationRequest is posted as it stands in the graph, its result is found by a query
// (AC06), and what it changed is an event like any other change (AC11).
func TestA5_Bindings(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	_, uri := r.create("one")
	r.eventually("the rule", func() bool { return len(r.seenOf(uri)) == 1 })
	path := uri[len(r.url):]
	g := r.graph(path + "/actions/disable-rule")
	var request rdf.Term
	var to string
	for _, b := range g.Objects(rdf.NewIRI(r.url+path+"/actions/disable-rule"), vocab.OSLCBinding) {
		if body := g.Object(b, vocab.HTTPBody); g.IsA(body, vocab.AutoAutomationRequest) {
			request, to = body, g.Value(b, vocab.HTTPRequestURI)
		}
	}
	out := rdf.NewGraph()
	for tr := range g.About(request) {
		out.Add(rdf.NewIRI("urn:new"), tr.P.Value, tr.O)
	}
	body, err := format.Append(nil, out, format.Turtle)
	if err != nil || out.Len() < 4 {
		t.Fatalf("the request has %d statements: %v", out.Len(), err)
	}
	resp, answer := r.send(http.MethodPost, to, strings.ReplaceAll(string(body), "urn:new", ""), "Content-Type", "text/turtle", "Accept", "text/turtle")
	wantStatus(t, "the request", resp, answer, http.StatusOK, "disabled rule demo.one")
	if r.stored(uri)["enabled"] != false {
		t.Error("the rule is on")
	}
	query := "/services/bus/results?oslc.where=" + url.QueryEscape("oslc_auto:producedByAutomationRequest=<"+resp.Header.Get("Location")+">")
	r.eventually("the result", func() bool { return len(r.graph(query).OfType(vocab.AutoAutomationResult)) == 1 })
	result := r.graph(query)
	if v := result.Value(result.OfType(vocab.AutoAutomationResult)[0], vocab.AutoVerdict); v != vocab.AutoPassed {
		t.Errorf("the verdict is <%s>", v)
	}
	r.eventually("the change", func() bool { return len(r.seenOf(uri)) == 2 })
}
