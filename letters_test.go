package oslcbus_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

type letterJSON struct {
	ID, Topic, Event, Key, Reason, Attempts, Body string
	Header                                        map[string]string
}

func (r *rig) letters() []letterJSON {
	r.t.Helper()
	resp, body := r.get("/dlq")
	var out struct{ Letters []letterJSON }
	if err := json.Unmarshal([]byte(body), &out); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("/dlq: %s: %s", resp.Status, body)
	}
	return out.Letters
}

// TestE6_DeadLetters: what a tool refused for good is set aside with its bytes and
// the reason, and can be tried again or dropped, once.
func TestE6_DeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t, ruleTicket).start()
	if got := r.letters(); len(got) != 0 {
		t.Fatalf("there are letters at the start: %v", got)
	}
	r.fault(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"errorMessages": ["the project is closed"]}`))
		return true
	})
	rule, _ := r.create("r")
	other, _ := r.create("other")
	r.setEnabled(rule, false)
	r.setEnabled(other, false)
	r.eventually("two letters", func() bool { return len(r.letters()) == 2 })
	all := r.letters()
	for _, l := range all {
		if l.Topic != "bus_event" || !strings.Contains(l.Reason, "the project is closed") || l.Attempts != "1" {
			t.Errorf("a letter is %+v", l)
		}
	}
	_, body := r.get("/dlq/" + all[0].ID)
	var one letterJSON
	if err := json.Unmarshal([]byte(body), &one); err != nil || one.Header["ce_id"] != all[0].Event || !strings.Contains(one.Body, one.Key) {
		t.Errorf("the letter is %v: %s", err, body)
	}
	r.fault(nil)
	r.halt()
	r.start() // letters outlive the process
	resp, body := r.send(http.MethodPost, "/dlq/"+all[0].ID+"/retry", "")
	var again struct{ Requests []string }
	if err := json.Unmarshal([]byte(body), &again); err != nil || resp.StatusCode != http.StatusOK || len(again.Requests) != 1 {
		t.Fatalf("retry: %s: %s", resp.Status, body)
	}
	r.eventually("the ticket", func() bool { return len(r.jira.Issues()) == 1 })
	result := strings.Replace(strings.TrimPrefix(again.Requests[0], r.url), "/requests/", "/results/", 1)
	r.eventually("the result", func() bool { resp, _ := r.get(result); return resp.StatusCode == http.StatusOK })
	if v := r.graph(result).Value(rdf.NewIRI(r.url+result), vocab.AutoVerdict); v != vocab.AutoPassed {
		t.Errorf("the verdict is %s", v)
	}
	if resp, body := r.send(http.MethodDelete, "/dlq/"+all[1].ID, ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("drop: %s: %s", resp.Status, body)
	}
	if got := r.letters(); len(got) != 0 {
		t.Errorf("letters are left: %+v", got)
	}
	for _, path := range []string{all[0].ID + "/retry", all[1].ID + "/retry", "bus_event.dlq/0/999/retry", "nope/0/0/retry"} {
		if resp, body := r.send(http.MethodPost, "/dlq/"+path, ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s: %s", path, resp.Status, body)
		}
	}
	if n := len(r.jira.Issues()); n != 1 {
		t.Errorf("there are %d tickets, want 1", n)
	}
}

// TestE6_RuleLetters: an event that a rule could not make a request of is put to the
// rules as they are when it is tried again.
func TestE6_RuleLetters(t *testing.T) {
	t.Parallel()
	yaml := `
rules:
  - name: ticket
    on: {provider: st2, events: [created]}
    do: {tool: jira, action: create-issue, with: {project: DEMO, type: Task, summary: '%s'}}
`
	r := newRig(t, fmt.Sprintf(yaml, `${resource["st2:ruleCriteria"]}`)).start()
	r.create("r")
	r.eventually("the letter", func() bool { return len(r.letters()) == 1 })
	l := r.letters()[0]
	if l.Topic != "st2_event" || !strings.Contains(l.Reason, "st2:ruleCriteria") {
		t.Errorf("the letter is %+v", l)
	}
	if resp, body := r.send(http.MethodPost, "/dlq/"+l.ID+"/retry", ""); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "st2:ruleCriteria") {
		t.Errorf("retry with the same rule: %s: %s", resp.Status, body)
	}
	r.halt()
	r.yaml = fmt.Sprintf(yaml, `${resource["st2:ruleRef"]}`)
	r.start()
	if resp, body := r.send(http.MethodPost, "/dlq/"+l.ID+"/retry", ""); resp.StatusCode != http.StatusOK {
		t.Fatalf("retry with a better rule: %s: %s", resp.Status, body)
	}
	r.eventually("the ticket", func() bool { return len(r.jira.Issues()) == 1 })
	if got := r.letters(); len(got) != 0 {
		t.Errorf("letters are left: %+v", got)
	}
}
