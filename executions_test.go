package oslcbus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestC7_Executions: an execution that runs is a request in progress, one event; when it
// has ended it is a result with its verdict, one more, which rules can answer; nothing in
// between is told, and nothing that it put out. A collection that nothing is known of is
// refused at the start by its name.
func TestC7_Executions(t *testing.T) {
	t.Parallel()
	server := mongotest.New()
	r := newRig(t, "")
	r.registry = adapters.Registry{"recorded": func(_ func(any) error, opts adapters.Options) (adapters.Adapter, error) {
		w := stackstorm.Watch("st2", "", opts, "rule_d_b", "action_execution_d_b")
		w.Dial = func(context.Context) (mongodb.Server, func(), error) { return server, func() {}, nil }
		source, err := mongodb.New(w)
		return adapters.Adapter{
			Provider: oslc.ServiceProvider{Name: opts.Name, Services: stackstorm.Services(false, "rule_d_b", "action_execution_d_b")}, Source: source,
		}, err
	}}
	r.yaml = r.jiraWith("parallel: 1") + `  st2: {type: recorded}
rules:
  - name: failed
    on: {provider: st2, events: [modified]}
    where: oslc_auto:verdict in [<http://open-services.net/ns/auto#failed>,<http://open-services.net/ns/auto#error>]
    do: {tool: jira, action: create-issue, with: {project: DEMO, type: Task, summary: '${resource["st2:actionRef"]} failed'}}
`
	r.start()
	n := uint32(0)
	change := func(op, id, full, set string) {
		t.Helper()
		n++
		parse := func(text string) mongodb.Doc {
			d, err := mongodb.DocFromJSON([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		c := mongodb.Change{
			Op: op, Database: "st2", Collection: "action_execution_d_b", Wall: time.Date(2026, 11, 21, 9, 0, int(n), 0, time.UTC),
			At: mongodb.Place{Time: mongodb.NewClusterTime(2_000_000_000+n, 1), Token: fmt.Sprintf("%08X", n)},
			ID: parse(`{"_id":"` + id + `"}`).Lookup("_id"),
		}
		if full != "" {
			c.Full = parse(`{"_id":"` + id + `",` + full + `}`)
		}
		if set != "" {
			c.Update.Set = parse(`{` + set + `}`)
		}
		server.Append(c)
	}
	begin := func(id string) {
		change("insert", id, `"action":{"ref":"demo.deploy"},"status":"requested","result_size":2`, "")
		change("update", id, "", `"status":"scheduled"`)
		change("update", id, "", `"status":"running"`)
		change("update", id, "", `"result_size":70,"children":["x"]`)
	}
	uri := func(id string) string { return r.url + "/services/st2/executions/" + id }
	shows := func(id, state, verdict string, classes ...string) {
		t.Helper()
		g, s := r.graph("/services/st2/executions/"+id), rdf.NewIRI(uri(id))
		if got := g.Value(s, vocab.AutoState) + " " + g.Value(s, vocab.AutoVerdict); got != vocab.Auto+state+" "+verdict {
			t.Errorf("%s is %s, want %s %s", id, got, state, verdict)
		}
		for _, c := range classes {
			if !g.IsA(s, c) {
				t.Errorf("%s is no %s", id, c)
			}
		}
	}
	begin("good")
	r.eventually("the request", func() bool { return len(r.seenOf(uri("good"))) >= 1 })
	shows("good", "inProgress", "", vocab.AutoAutomationRequest)
	begin("bad")
	change("update", "good", "", `"status":"succeeded","result_size":75,"result":{"stdout":"not-a-real-secret"}`)
	change("update", "bad", "", `"status":"timeout","result":{"stdout":"not-a-real-secret"}`)
	change("update", "good", "", `"context":{"seen":true}`)
	r.eventually("the issue", func() bool { return len(r.jira.Issues()) >= 1 })
	r.eventually("the results", func() bool { return len(r.seenOf(uri("good"))) >= 2 && len(r.seenOf(uri("bad"))) >= 2 })
	shows("good", "complete", vocab.AutoPassed, vocab.AutoAutomationRequest, vocab.AutoAutomationResult)
	shows("bad", "complete", vocab.AutoError, vocab.AutoAutomationResult)
	for _, id := range []string{"good", "bad"} {
		if got := changes(r.seenOf(uri(id))); got != "creation modification" {
			t.Errorf("%s: the events are %s", id, got)
		}
		if _, body := r.get("/services/st2/executions/" + id); strings.Contains(body, "not-a-real-secret") {
			t.Errorf("%s tells what it put out: %s", id, body)
		}
	}
	list := r.graph("/services/st2/executions?oslc.where=" + "oslc_auto:verdict%3D%3Chttp%3A%2F%2Fopen-services.net%2Fns%2Fauto%23error%3E")
	if got := list.OfType(vocab.AutoAutomationResult); len(got) != 1 || got[0].Value != uri("bad") {
		t.Errorf("the query finds %v", got)
	}
	if got := r.summaries(); len(got) != 1 || got[0] != "demo.deploy failed" {
		t.Errorf("the issues are %q", got)
	}
	change("delete", "good", "", "")
	r.eventually("the deletion", func() bool { return len(r.seenOf(uri("good"))) >= 3 })
	if resp, _ := r.get("/services/st2/executions/good"); resp.StatusCode != http.StatusGone {
		t.Errorf("what was purged: %s", resp.Status)
	}

	const config = "connections:\n  st2:\n    type: stackstorm\n    mongodb: {uri: 'mongodb://127.0.0.1:1/?replicaSet=rs0'}\n    collections: [rule_d_b, trace_d_b]\n"
	cfg, err := oslcbus.ParseConfig("bus.yml", []byte(config), oslcbus.ConfigOptions{})
	if err == nil {
		_, err = oslcbus.New(cfg, oslcbus.Options{Adapters: all.Adapters()})
	}
	if !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), `"trace_d_b"`) || !strings.Contains(err.Error(), "connections.st2") {
		t.Errorf("a collection without a mapping: got %v", err)
	}
}
