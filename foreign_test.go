package oslcbus_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestForeignActions: a bus that knows nothing of StackStorm, and of another bus nothing
// but its graphs, uses the actions that the rules there offer: because of a rule of its
// own, and because somebody asks.
func TestForeignActions(t *testing.T) {
	t.Parallel()
	tool := newRig(t, "").start()
	bus := newRig(t, fmt.Sprintf(`
connections:
  other: {type: trsfeed, url: %q, poll: 5ms}
  anywhere: {type: oslc, servers: [{url: %q}], poll: 5ms, retry: {attempts: 2, min: 5ms, max: 50ms}}
rules:
  - name: keep-enabled
    on: {provider: other, events: [modified]}
    where: 'st2:ruleStatus=false and dcterms:title="kept"'
    do: {tool: anywhere, action: perform, with: {resource: '${resource["dcterms:source"]}', action: "st2:EnableRuleAction"}}
`, tool.url+"/trs/st2", tool.url)).start()

	rule, uri := tool.create("kept")
	bus.eventually("the rule to be known", func() bool {
		bus.mu.Lock()
		defer bus.mu.Unlock()
		return len(bus.events) >= 1
	})
	tool.setEnabled(rule, false)
	bus.eventually("the rule to be enabled again", func() bool {
		return tool.stored(uri)["enabled"] == true && len(tool.seenOf(uri)) >= 3
	})

	ask := func(resource, action, more string) (*http.Response, string) {
		t.Helper()
		body := `@prefix oslc: <http://open-services.net/ns/core#> . @prefix oslc_auto: <http://open-services.net/ns/auto#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix oslcbus: <https://oslcbus.github.io/ns#> .
<> a oslc_auto:AutomationRequest ; oslc_auto:executesAutomationPlan oslcbus:PerformAction ; oslc_auto:inputParameter
	[ a oslc_auto:ParameterInstance ; oslc:name "resource" ; rdf:value "` + resource + `" ] ,
	[ a oslc_auto:ParameterInstance ; oslc:name "action" ; rdf:value "` + action + `" ] ` + more + ` .`
		return bus.send(http.MethodPost, "/actions", body, "Content-Type", "text/turtle", "Accept", "text/turtle")
	}
	resp, body := ask(uri, "st2:UpdateRuleAction", `, [ a oslc_auto:ParameterInstance ; oslc:name "parameters" ; rdf:value "{\"description\": \"from afar\"}"^^rdf:JSON ]`)
	wantStatus(t, "a body by the shape", resp, body, http.StatusCreated, vocab.Bus[:8])
	if got := tool.stored(uri)["description"]; got != "from afar" {
		t.Errorf("the description is %v", got)
	}
	resp, body = ask(uri, "st2:UpdateRuleAction", `, [ a oslc_auto:ParameterInstance ; oslc:name "parameters" ; rdf:value "{\"colour\": \"red\"}"^^rdf:JSON ]`)
	wantStatus(t, "a parameter that the shape has not", resp, body, http.StatusUnprocessableEntity, "no parameter")
	resp, body = ask(uri, "st2:EnableRuleAction", "")
	wantStatus(t, "what is not offered now", resp, body, http.StatusConflict, "does not offer st2:EnableRuleAction now")
	resp, body = ask("http://127.0.0.1:1/x", "st2:EnableRuleAction", "")
	wantStatus(t, "a server that is not named", resp, body, http.StatusBadGateway, "on no server that the configuration names")
	resp, body = ask(uri, "st2:DeleteRuleAction", "")
	wantStatus(t, "deletion", resp, body, http.StatusCreated, "")
	tool.eventually("the deletion to be told", func() bool {
		resp, _ := tool.get(strings.TrimPrefix(uri, tool.url))
		return resp.StatusCode == http.StatusGone
	})
	if log := bus.log.String(); strings.Count(log, `msg="called an action of another server"`) < 3 || !strings.Contains(log, "pattern=http-resource-shape") {
		t.Errorf("the log does not tell each call")
	}
	if _, metrics := bus.get("/metrics"); !strings.Contains(metrics, `what="performed_action"`) {
		t.Error("the metrics do not count what was performed")
	}
	if got := changes(tool.seenOf(uri)); got != "creation modification+st2:RuleDisabled modification+st2:RuleEnabled modification deletion" {
		t.Errorf("the events of the rule are %s", got)
	}
}

// TestForeignActions_once: an AutomationRequest whose answer is lost is sent again under
// the same name, and done once by a bus that knows it.
func TestForeignActions_once(t *testing.T) {
	t.Parallel()
	tool := newRig(t, "").start()
	offer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/turtle")
		fmt.Fprintf(w, `@prefix oslc: <http://open-services.net/ns/core#> . @prefix auto: <http://open-services.net/ns/auto#> .
			@prefix http: <http://www.w3.org/2011/http#> . @prefix m: <http://www.w3.org/2011/http-methods#> .
			@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix ex: <https://example.org/ns#> . @prefix oslcbus: <https://oslcbus.github.io/ns#> .
			<> oslc:action <#ticket> . <#ticket> a oslc:Action, ex:TicketAction ; oslc:binding [ a http:Request ; http:httpVersion "1.1" ; http:mthd m:POST ;
				http:requestURI <%s/services/bus/requests> ; oslc:finalStatusLocation auto:AutomationResult ; http:body [ a auto:AutomationRequest ;
				auto:executesAutomationPlan oslcbus:CreateIssue ; auto:inputParameter [ a auto:ParameterInstance ; oslc:name "project" ; rdf:value "DEMO" ] ,
				[ a auto:ParameterInstance ; oslc:name "type" ; rdf:value "Task" ] , [ a auto:ParameterInstance ; oslc:name "summary" ; rdf:value "given" ] ] ] .`, tool.url)
	}))
	t.Cleanup(offer.Close)
	bus := newRig(t, fmt.Sprintf(`
connections:
  anywhere: {type: oslc, servers: [{url: %q}, {url: %q}], timeout: 300ms, poll: 5ms, retry: {attempts: 200, min: 5ms, max: 20ms}}
`, tool.url, offer.URL)).start()
	hold := make(chan struct{})
	let := sync.OnceFunc(func() { close(hold) })
	defer let()
	tool.fault(func(http.ResponseWriter, *http.Request) bool { <-hold; return false })
	resp, body := bus.send(http.MethodPost, "/actions", autoNS+`<> a oslc_auto:AutomationRequest ; oslc_auto:executesAutomationPlan oslcbus:PerformAction ; oslc_auto:inputParameter
		[ oslc:name "resource" ; rdf:value "`+offer.URL+`/r" ] , [ oslc:name "action" ; rdf:value "https://example.org/ns#TicketAction" ] ,
		[ oslc:name "parameters" ; rdf:value "{\"summary\": \"mine\"}"^^rdf:JSON ] .`,
		"Content-Type", "text/turtle", "Accept", "text/turtle", "Prefer", "respond-async")
	wantStatus(t, "asking", resp, body, http.StatusAccepted, "")
	uri := resp.Header.Get("Location")
	bus.eventually("a call whose answer is lost", func() bool { return strings.Contains(bus.log.String(), "kind=unavailable") })
	let()
	bus.eventually("the end", func() bool { return bus.state(uri) == "complete complete passed" })
	issues := tool.jira.Issues()
	if len(issues) != 1 || !strings.Contains(fmt.Sprintf("%s", issues[0]), "mine") {
		t.Errorf("Jira has %d issues: %v", len(issues), issues)
	}
}
