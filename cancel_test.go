package oslcbus_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const autoNS = turtleNS + `
	@prefix oslcbus: <https://oslcbus.github.io/ns#> .
	@prefix oslc_auto: <http://open-services.net/ns/auto#> .
`

// jiraWith is a configuration with Jira alone, and more keys of its connection.
func (r *rig) jiraWith(more string) string {
	return fmt.Sprintf("connections:\n  jira: {type: jira, url: %q, user: %q, token: %q, settle: 50ms, %s}\n",
		r.jiraURL, sandbox.User, sandbox.Token, more)
}

// askIssue asks for an issue, and for more; the target, where there is one, orders the
// requests.
func (r *rig) askIssue(target, more string, header ...string) (*http.Response, string) {
	r.t.Helper()
	if target != "" {
		more += " ; oslcbus:target <" + target + ">"
	}
	return r.send(http.MethodPost, "/actions", autoNS+`
		<> a oslc_auto:AutomationRequest ; oslc_auto:executesAutomationPlan oslcbus:CreateIssue ; oslc_auto:inputParameter
		[ oslc:name "project" ; rdf:value "DEMO" ] , [ oslc:name "type" ; rdf:value "Task" ] , [ oslc:name "summary" ; rdf:value "S" ]`+more+` .`,
		append([]string{"Content-Type", "text/turtle", "Accept", "text/turtle"}, header...)...)
}

// later asks for an issue without waiting for it, and returns the request's URI.
func (r *rig) later(target string) string {
	r.t.Helper()
	resp, body := r.askIssue(target, "", "Prefer", "respond-async")
	if resp.StatusCode != http.StatusAccepted {
		r.t.Fatalf("asking: %s: %s", resp.Status, body)
	}
	return resp.Header.Get("Location")
}

func (r *rig) cancel(uri string, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.send(http.MethodPut, uri, autoNS+`<> oslc_auto:desiredState oslc_auto:canceled .`,
		append([]string{"Content-Type", "text/turtle", "Accept", "text/turtle"}, header...)...)
}

// state returns the states of a request and of its result, and the verdict.
func (r *rig) state(uri string) string {
	r.t.Helper()
	path := strings.TrimPrefix(uri, r.url)
	out := local(r.graph(path).Value(rdf.NewIRI(uri), vocab.AutoState))
	result := strings.Replace(path, "/requests/", "/results/", 1)
	if resp, _ := r.get(result); resp.StatusCode == http.StatusOK {
		g, s := r.graph(result), rdf.NewIRI(r.url+result)
		out += " " + local(g.Value(s, vocab.AutoState)) + " " + local(g.Value(s, vocab.AutoVerdict))
	}
	return out
}

func local(iri string) string { return iri[1+strings.LastIndexAny(iri, "/#"):] }

func (r *rig) wantState(what, uri, want string) {
	r.t.Helper()
	if got := r.state(uri); got != want {
		r.t.Errorf("%s is %q, want %q", what, got, want)
	}
}

const canceledState = "canceled canceled unavailable"

// TestA8_Cancel: a request that waits is never carried out; one that a tool is at work
// on is stopped where the tool can, and else the answer says that it cannot be; one that
// has ended stays as it is.
func TestA8_Cancel(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.yaml = r.jiraWith("parallel: 1") + "  st2: {type: sandbox}\n"
	r.start()
	begun, hold := make(chan struct{}, 100), make(chan struct{})
	let := sync.OnceFunc(func() { close(hold) })
	defer let()
	r.fault(func(http.ResponseWriter, *http.Request) bool { begun <- struct{}{}; <-hold; return false })
	working := r.later("")
	<-begun
	waiting, behind := r.later(""), r.later("")

	resp, body := r.cancel(waiting)
	wantStatus(t, "one that waits", resp, body, http.StatusOK, "auto#canceled>")
	r.wantState("what was canceled", waiting, canceledState)
	resp, body = r.cancel(waiting)
	wantStatus(t, "the same again", resp, body, http.StatusOK, "auto#canceled>")
	resp, body = r.cancel(working, "Prefer", "wait=0")
	wantStatus(t, "one that is being carried out", resp, body, http.StatusConflict, "cannot be stopped")
	r.wantState("what cannot be stopped", working, "new")
	let()
	r.eventually("the others", func() bool {
		return r.state(working)+r.state(behind) == "complete complete passedcomplete complete passed"
	})
	if n := len(r.jira.Issues()); n != 2 {
		t.Errorf("Jira has %d issues, want 2", n)
	}
	resp, body = r.cancel(working)
	wantStatus(t, "one that has ended", resp, body, http.StatusConflict, "has ended already")

	resp, body = r.askIssue("", " ; oslc_auto:desiredState oslc_auto:canceled")
	wantStatus(t, "one that is not to be carried out", resp, body, http.StatusCreated, "auto#canceled>")
	r.wantState("what never was to be", resp.Header.Get("Location"), canceledState)
	if n := len(r.jira.Issues()); n != 2 {
		t.Errorf("Jira has %d issues, want 2", n)
	}

	resp, body = r.send(http.MethodPost, "/actions", autoNS+`<> a oslc_auto:AutomationRequest ; oslc_auto:executesAutomationPlan st2:RunAction ;
		oslc_auto:inputParameter [ oslc:name "action" ; rdf:value "core.local" ] , [ oslc:name "parameters" ; rdf:value "{\"cmd\": \"sleep 3600\"}" ] .`,
		"Content-Type", "text/turtle", "Accept", "text/turtle", "Prefer", "respond-async")
	wantStatus(t, "an execution", resp, body, http.StatusAccepted, "")
	execution := resp.Header.Get("Location")
	r.eventually("the execution", func() bool { return r.st2.Executions() == 1 })
	resp, body = r.cancel(execution)
	wantStatus(t, "one that can be stopped", resp, body, http.StatusOK, "auto#canceled>")
	r.wantState("what was stopped", execution, canceledState)
}

// TestA8_CancelInput: who may not write cannot cancel, and what says nothing that can
// be done is refused.
func TestA8_CancelInput(t *testing.T) {
	t.Parallel()
	writer, writerHash := oslcbus.NewToken()
	reader, readerHash := oslcbus.NewToken()
	r := newRig(t, "")
	r.yaml = r.jiraWith("parallel: 1") + fmt.Sprintf("access: {tokens: [{name: ci, role: writer, hash: %q}, {name: eye, role: reader, hash: %q}]}\n", writerHash, readerHash)
	r.start()
	hold := make(chan struct{})
	let := sync.OnceFunc(func() { close(hold) })
	defer let()
	r.fault(func(http.ResponseWriter, *http.Request) bool { <-hold; return false })
	auth := []string{"Authorization", "Bearer " + writer}
	ask := func() string {
		resp, _ := r.askIssue("", "", append(auth, "Prefer", "respond-async")...)
		return resp.Header.Get("Location")
	}
	ask()
	uri := ask()
	for _, tt := range []struct {
		what, path, body, token string
		want                    int
		says                    string
	}{
		{"a reader", "", "<> oslc_auto:desiredState oslc_auto:canceled .", reader, 403, ""},
		{"nothing", "", "<> dcterms:title \"x\" .", writer, 400, "nothing to do"},
		{"another state", "", "<> oslc_auto:desiredState oslc_auto:complete .", writer, 400, "only to oslc_auto:canceled"},
		{"another property", "?oslc.properties=dcterms:title", "<> dcterms:title \"x\" .", writer, 400, "only oslc_auto:desiredState"},
		{"no request", "x", "<> oslc_auto:desiredState oslc_auto:canceled .", writer, 404, ""},
		{"no RDF", "", "<> <", writer, 400, ""},
		{"a partial update", "?oslc.properties=oslc_auto:desiredState", "<" + uri + "> oslc_auto:desiredState oslc_auto:canceled .", writer, 200, `oslcbus:canceledBy "ci"`},
	} {
		resp, body := r.send(http.MethodPut, uri+tt.path, autoNS+tt.body, "Content-Type", "text/turtle", "Accept", "text/turtle", "Authorization", "Bearer "+tt.token)
		wantStatus(t, tt.what, resp, body, tt.want, tt.says)
	}
	resp, body := r.cancel(uri, append(auth, "If-Match", `"another"`)...)
	wantStatus(t, "a tag of another state", resp, body, http.StatusPreconditionFailed, "")
}

// TestA8_CancelLasts: what is to be canceled stays so over a restart, and nobody is
// called for it.
func TestA8_CancelLasts(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.yaml = r.jiraWith("retry: {attempts: 1000000, min: 5ms, max: 20ms}")
	r.start()
	r.fault(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	const target = "https://tool.example/1"
	first, second := r.later(target), r.later(target)
	resp, body := r.cancel(second, "Prefer", "wait=0") // its turn has not come
	wantStatus(t, "one behind another", resp, body, http.StatusAccepted, "auto#canceling>")
	r.halt()
	r.fault(nil)
	r.start()
	r.eventually("both to end", func() bool {
		return strings.HasPrefix(r.state(first), "complete complete") && strings.HasPrefix(r.state(second), "canceled canceled")
	})
	if n := len(r.jira.Issues()); n != 1 {
		t.Errorf("Jira has %d issues, want 1", n)
	}
}

// TestA8_CanceledTooLate: a wish that another replica put on the log after the end
// leaves the request as it ended.
func TestA8_CanceledTooLate(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.yaml = r.jiraWith("parallel: 1")
	r.start()
	resp, body := r.askIssue("", "")
	wantStatus(t, "asking", resp, body, http.StatusCreated, "")
	uri := resp.Header.Get("Location")
	before := r.graph(strings.TrimPrefix(uri, r.url))
	req, err := oslc.ParseRequest(before, uri)
	if err != nil {
		t.Fatal(err)
	}
	r.halt()
	req.State, req.Desired = oslc.Canceling, oslc.Canceled
	r.foreign("bus_event", &oslc.Event{
		ID: oslc.NewID("event", "cancel", "late"), Change: oslc.Modification, Subject: uri, Listener: r.url + "/services/bus#asked",
		Time: time.Now(), Changed: []string{vocab.AutoDesiredState, vocab.AutoState}, Resource: req.Graph(),
	})
	r.mu.Lock()
	r.events = nil
	r.mu.Unlock()
	r.start()
	r.eventually("the wish and its answer", func() bool { return len(r.seenOf(uri)) >= 2 })
	r.wantState("what had ended", uri, "complete complete passed")
	if after := r.graph(strings.TrimPrefix(uri, r.url)); !after.Object(rdf.NewIRI(uri), vocab.AutoDesiredState).IsZero() {
		t.Errorf("the request still desires: %v", after.Triples())
	}
	if n := len(r.jira.Issues()); n != 1 {
		t.Errorf("Jira has %d issues, want 1", n)
	}
}

// foreign appends an event to a topic of a bus that is not running.
func (r *rig) foreign(topic string, e *oslc.Event) {
	r.t.Helper()
	db, err := sqlite.Open(r.t.Context(), filepath.Join(r.dir, "log.db"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	p, err := db.Log().Own(r.t.Context(), "stranger", topic)
	if err != nil {
		r.t.Fatal(err)
	}
	defer p.Close()
	m, err := bus.Encode(e, r.url+"/services/bus", format.Turtle)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := p.Append(r.t.Context(), bus.Record{Topic: topic, Message: m}); err != nil {
		r.t.Fatal(err)
	}
}
