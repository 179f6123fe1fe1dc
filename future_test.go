package oslcbus_test

import (
	"net/http"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
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
