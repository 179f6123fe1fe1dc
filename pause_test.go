package oslcbus_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestPause: while a connection is paused nothing is called, also after a restart; then
// everything that waited is done, once.
func TestPause(t *testing.T) {
	t.Parallel()
	admin, adminHash := oslcbus.NewToken()
	writer, writerHash := oslcbus.NewToken()
	r := newRig(t, "")
	access := fmt.Sprintf("access: {tokens: [{name: boss, role: admin, hash: %q}, {name: ci, role: writer, hash: %q}]}\n", adminHash, writerHash)
	r.yaml = r.jiraWith("parallel: 2, rate: 1000, burst: 10") + access
	boss := []string{"Authorization", "Bearer " + admin, "Content-Type", "text/turtle", "Accept", "text/turtle"}
	metric := func(want string) bool {
		_, body := r.get("/metrics", boss...)
		return strings.Contains(body, want+"\n")
	}
	r.start()
	resp, body := r.send(http.MethodPost, "/connections/jira/pause", "", "Authorization", "Bearer "+writer)
	wantStatus(t, "a writer", resp, body, http.StatusForbidden, "")
	resp, body = r.send(http.MethodPost, "/connections/none/pause", "", boss...)
	wantStatus(t, "no connection", resp, body, http.StatusNotFound, "none")
	resp, body = r.send(http.MethodGet, "/connections/jira/pause", "", boss...)
	wantStatus(t, "a GET", resp, body, http.StatusMethodNotAllowed, "")
	for range 2 {
		resp, body = r.send(http.MethodPost, "/connections/jira/pause", "", boss...)
		wantStatus(t, "pause", resp, body, http.StatusOK, `"paused": true`)
	}
	var uris []string
	for range 3 {
		resp, _ := r.askIssue("", "", append(boss, "Prefer", "respond-async")...)
		uris = append(uris, resp.Header.Get("Location"))
	}
	r.eventually("three to wait", func() bool { return metric(`oslcbus_requests_waiting{tool="jira"} 3`) })
	resp, body = r.cancel(uris[1], boss...)
	wantStatus(t, "cancel", resp, body, http.StatusOK, "auto#canceled>")
	r.halt()
	r.start()
	r.eventually("two to wait", func() bool { return metric(`oslcbus_requests_waiting{tool="jira"} 2`) })
	if !metric(`oslcbus_paused{tool="jira"} 1`) {
		t.Error("the metric does not show the pause")
	}
	if n := len(r.jira.Issues()); n != 0 {
		t.Errorf("Jira has %d issues during the pause", n)
	}
	resp, body = r.send(http.MethodGet, "/services/bus/connections/jira", "", boss...)
	wantStatus(t, "the resource", resp, body, http.StatusOK, "oslcbus:paused true")
	g := turtle(t, body, r.url)
	if got := g.Value(rdf.NewIRI(r.url+"/services/bus/connections/jira"), vocab.BusRequester); got != "boss" {
		t.Errorf("paused by %q, want boss", got)
	}
	resp, body = r.send(http.MethodGet, "/connections", "", boss...)
	wantStatus(t, "the list", resp, body, http.StatusOK, `"rate": 1000`)
	resp, body = r.send(http.MethodPost, "/connections/jira/resume", "", boss...)
	wantStatus(t, "resume", resp, body, http.StatusOK, `"paused": false`)
	r.eventually("two issues", func() bool { return len(r.jira.Issues()) >= 2 })
	r.eventually("nobody to wait", func() bool {
		return metric(`oslcbus_requests_waiting{tool="jira"} 0`) && metric(`oslcbus_paused{tool="jira"} 0`)
	})
	if n := len(r.jira.Issues()); n != 2 {
		t.Errorf("Jira has %d issues, want 2", n)
	}

	r.halt()
	r.yaml = r.jiraWith("paused: true") + access
	r.start()
	resp, body = r.send(http.MethodPost, "/connections/jira/resume", "", boss...)
	wantStatus(t, "resume what the configuration pauses", resp, body, http.StatusConflict, "by the configuration")
	resp, body = r.askIssue("", "", append(boss, "Prefer", "wait=0")...)
	wantStatus(t, "asking", resp, body, http.StatusAccepted, "")
	r.eventually("one to wait", func() bool { return metric(`oslcbus_requests_waiting{tool="jira"} 1`) })
	if n := len(r.jira.Issues()); n != 2 {
		t.Errorf("Jira has %d issues, want 2", n)
	}
}

// TestBudget_spent: a request that took too long is an error and a dead letter, with
// the reason; others are not touched by it.
func TestBudget_spent(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.yaml = r.jiraWith("retry: {attempts: 1000000, min: 1ms, max: 2ms, timeout: 1s, within: 30ms}")
	r.start()
	r.fault(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	resp, body := r.askIssue("", "")
	wantStatus(t, "time for all attempts", resp, body, http.StatusGatewayTimeout, "given up")
	if all := r.letters(); len(all) != 1 || !strings.Contains(all[0].Reason, "given up") {
		t.Errorf("the letters are %+v", all)
	}
	r.halt()
	r.yaml = r.jiraWith("retry: {attempts: 2, min: 1ms, max: 2ms, timeout: 1ms, within: 1h}")
	r.start()
	hold := make(chan struct{})
	defer close(hold)
	r.fault(func(http.ResponseWriter, *http.Request) bool { <-hold; return true })
	resp, body = r.askIssue("", "")
	wantStatus(t, "time of an attempt", resp, body, http.StatusGatewayTimeout, "given up after 1ms")
	if all := r.letters(); len(all) != 2 || all[1].Attempts != "2" {
		t.Errorf("the letters are %+v", all)
	}
}
