package stackstorm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

var bothCollections = []string{"rule_d_b", "action_execution_d_b"}

// toldOfExecutions shows the events about executions: the step, the change, the action,
// the state and the verdict.
func toldOfExecutions(events []*oslc.Event, step map[string]int, changes []mongodb.Change) string {
	tokens := map[string]string{}
	for _, c := range changes {
		tokens[oslc.NewID("st2", "change", c.At.Token)] = c.At.Token
	}
	var b strings.Builder
	for _, e := range events {
		if !strings.Contains(e.Subject, "/executions/") {
			continue
		}
		s := rdf.NewIRI(e.Subject)
		fmt.Fprintf(&b, "%d %s %s %s", step[tokens[e.ID]], e.Change, e.Resource.Value(s, vocab.St2ActionRef), short(e.Resource.Value(s, vocab.AutoState)))
		if v := e.Resource.Value(s, vocab.AutoVerdict); v != "" {
			b.WriteString(" " + short(v))
		}
		if plan := e.Resource.Value(s, vocab.AutoExecutesAutomationPlan); plan != vocab.St2RunAction {
			b.WriteString(" by a rule")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// What a person who looks at the steps expects of the executions.
const wantExecutions = `
85 creation core.local inProgress
85 modification core.local complete passed
87 creation core.local inProgress
87 modification core.local complete failed
89 creation oslcdemo.notify_secret inProgress
89 modification oslcdemo.notify_secret complete passed
92 creation core.local inProgress
92 modification core.local complete error
93 creation core.local inProgress
94 modification core.local canceling
94 modification core.local canceled unavailable
95 creation core.local inProgress
95 modification core.local complete passed
96 creation oslcdemo.build inProgress
96 modification oslcdemo.build complete passed
99 creation core.echo inProgress
99 modification core.echo complete passed
100 creation core.ask inProgress
100 modification core.ask inProgress
102 modification core.ask complete passed
104 creation core.local inProgress
104 modification core.local complete passed
115 creation core.local inProgress by a rule
115 modification core.local complete passed by a rule
115 creation core.noop inProgress by a rule
115 modification core.noop complete passed by a rule
116 creation core.noop inProgress by a rule
116 modification core.noop complete passed by a rule
118 creation core.local inProgress by a rule
118 modification core.local complete passed by a rule
120 creation core.local inProgress by a rule
120 modification core.local complete passed by a rule
120 creation core.local inProgress by a rule
120 modification core.local complete passed by a rule
148 creation core.noop inProgress
148 modification core.noop complete passed
149 deletion core.echo complete passed
`

// TestC7_recorded: of what a real StackStorm did, each execution is told of when it runs
// and when it has ended, and nothing else; nothing that it was given in secret, and
// nothing that it put out, is told.
func TestC7_recorded(t *testing.T) {
	t.Parallel()
	changes := recorded(t, "changes.jsonl", true)
	host, counts := &adaptertest.Host{}, &adaptertest.Counts{}
	server := started(t)
	run(t, watcher(t, server, adapters.Options{State: host, Cache: &adaptertest.Cache{}, Metrics: counts}, bothCollections...), host,
		func() { server.Append(append(slices.Clone(changes), last(changes))...) })
	if d := cmp.Diff(strings.TrimLeft(wantExecutions, "\n"), toldOfExecutions(host.Events(), steps(t, changes), changes)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	rules := slices.DeleteFunc(host.Events(), func(e *oslc.Event) bool { return strings.Contains(e.Subject, "/executions/") })
	// The first two rules are those that the packs brought.
	if d := cmp.Diff(wantChanges, told(rules[2:], steps(t, changes), changes)); d != "" {
		t.Errorf("events about rules (-want +got):\n%s", d)
	}
	noSecrets(t, host)
	for _, e := range host.Events() {
		if b, err := format.Append(nil, e.Graph(), format.Turtle); err != nil || len(b) > 4096 {
			t.Errorf("an event of %d bytes: %v\n%s", len(b), err, b)
		}
	}
	if n := counts.Of("lookup") + counts.Of("skipped_document"); n > 0 {
		t.Errorf("%d documents were read or left out", n)
	}
}

func TestC7_map(t *testing.T) {
	t.Parallel()
	watch := stackstorm.Watch("st2", "https://st2.example/api", adapters.Options{Name: "st2", BaseURL: base}, "action_execution_d_b")
	mongotest.Golden(t, "testdata/executions", watch.Mappings[0], base+"/services/st2/executions/x", *update)
}

// TestC7_cause: an execution that a request of ours began says which, on every event, and
// by which way; tags of others say nothing.
func TestC7_cause(t *testing.T) {
	t.Parallel()
	watch := stackstorm.Watch("st2", "", adapters.Options{Name: "st2", BaseURL: base}, "action_execution_d_b")
	tracer, ok := watch.Mappings[0].(mongodb.Tracer)
	if !ok {
		t.Fatal("the mapping tells no causes")
	}
	id := oslc.NewID("a request")
	trace := oslc.TraceOf(id)
	for tag, want := range map[string]mongodb.Cause{
		id + "/2/jira,st2/" + trace.Parent: {Request: base + "/services/bus/requests/" + id, Hops: 2, Via: []string{"jira", "st2"}, Trace: trace},
		id + "/1//":                        {Request: base + "/services/bus/requests/" + id, Hops: 1, Via: []string{}},
		id + "/x//":                        {},
		id:                                 {},
		"webhook-oslc/hook-34aede8d":       {},
		"":                                 {},
	} {
		d, err := mongodb.DocFromJSON([]byte(`{"context":{"trace_context":{"trace_tag":"` + tag + `"}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, tracer.Cause(nil, d)); d != "" {
			t.Errorf("%q (-want +got):\n%s", tag, d)
		}
	}
}

// TestC7_noMapping: a collection that nothing is known of is refused by name.
func TestC7_noMapping(t *testing.T) {
	t.Parallel()
	for collections, want := range map[string]string{
		"trace_d_b":            `no mapping for "trace_d_b"; there are: rule_d_b, action_execution_d_b`,
		"rule_d_b rule_d_b":    `"rule_d_b" is there twice`,
		"action_execution_d_b": "",
	} {
		_, err := stackstorm.Build(func(v any) error {
			cfg := v.(*stackstorm.Config)
			cfg.MongoDB.URI, cfg.Collections = "mongodb://127.0.0.1:1/?replicaSet=rs0", strings.Fields(collections)
			return nil
		}, adapters.Options{Name: "st2", BaseURL: base})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", collections, err, want)
		}
	}
}
