package stackstorm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

// What a person who looks at the steps expects of changes.jsonl, and no more. The
// number is the step's; see steps.jsonl beside it.
var wantChanges = strings.TrimSpace(`
15 creation default.on_webhook
16 creation oslcdemo.nightly
17 creation default.many_criteria
18 creation default.switched_off
19 creation oslcdemo.Übersicht <b>&amp;</b> 変更
20 creation default.call_http
21 creation default.every_3s
22 creation default.minimal
23 creation default.second_hook
24 creation default.own_id
30 creation default.unknown_action
38 creation no_such_pack.in_unknown_pack
42 creation default.e5
67 modification default.on_webhook ~description
69 modification default.on_webhook RuleDisabled ~status ~state ~inProgress ~closed ~ruleStatus
70 modification default.on_webhook RuleEnabled ~status ~state ~inProgress ~closed ~ruleStatus
71 modification default.switched_off RuleEnabled ~status ~state ~inProgress ~closed ~ruleStatus
72 modification default.switched_off ~actionParameters
73 modification default.switched_off ~triggerRef ~triggerParameters
74 modification default.many_criteria ~ruleCriteria
75 modification default.many_criteria ~ruleCriteria
76 modification default.many_criteria ~ruleUser
77 modification default.many_criteria ~actionRef ~actionParameters ~ruleUser
78 modification default.minimal_renamed ~title ~ruleRef ~ruleName
79 modification default.second_hook ~description
82 modification oslcdemo.Übersicht <b>&amp;</b> 変更 ~subject
120 modification default.every_3s RuleEnabled ~status ~state ~inProgress ~closed ~ruleStatus
121 modification default.every_3s RuleDisabled ~status ~state ~inProgress ~closed ~ruleStatus
135 modification default.on_webhook ~description
141 deletion default.every_3s
142 deletion default.second_hook
144 deletion default.minimal_renamed
145 creation default.second_hook
147 creation default.made_without_login
`) + "\n"

const secretMark = "not-a-real-secret"

type step struct {
	Step          int
	Before, After struct{ T, I uint32 }
}

func (s *step) UnmarshalJSON(b []byte) error {
	var raw struct {
		Step                int
		OperationTimeBefore struct{ T, I uint32 }
		OperationTimeAfter  struct{ T, I uint32 }
	}
	err := json.Unmarshal(b, &raw)
	s.Step, s.Before, s.After = raw.Step, raw.OperationTimeBefore, raw.OperationTimeAfter
	return err
}

func jsonLines(t *testing.T, path string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for line := range bytes.Lines(b) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out = append(out, line)
		}
	}
	return out
}

// recorded reads changes. Those of streams with updateLookup have the document of
// an update as it was when somebody looked, which is not what it was then.
func recorded(t *testing.T, name string, lookups bool) []mongodb.Change {
	t.Helper()
	var out []mongodb.Change
	for _, line := range jsonLines(t, testkit.Shared(t, "testdata", "stackstorm", name)) {
		c, err := mongodb.ChangeFromJSON(line)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if lookups && c.Op == mongodb.OpUpdate {
			c.Full = nil
		}
		out = append(out, c)
	}
	return out
}

// steps returns the number of the step in which a change fell, by its token.
func steps(t *testing.T, changes []mongodb.Change) map[string]int {
	t.Helper()
	var all []step
	for _, line := range jsonLines(t, testkit.Shared(t, "testdata", "stackstorm", "steps.jsonl")) {
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	out := map[string]int{}
	for _, c := range changes {
		for _, s := range all {
			if mongodb.NewClusterTime(s.Before.T, s.Before.I) < c.At.Time && c.At.Time <= mongodb.NewClusterTime(s.After.T, s.After.I) {
				out[c.At.Token] = s.Step
			}
		}
	}
	return out
}

const base = "https://bus.example"

func watcher(t *testing.T, server mongodb.Server, opts adapters.Options, collections ...string) *mongodb.Watcher {
	t.Helper()
	opts.Name, opts.BaseURL = "st2", base
	watch := stackstorm.Watch("st2", "https://st2.example/api", opts, collections...)
	watch.Dial = func(context.Context) (mongodb.Server, func(), error) { return server, func() {}, nil }
	w, err := mongodb.New(watch)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// replay runs a watcher over changes, which are made once it is live, until the
// log's cursor stands at the last one.
func replay(t *testing.T, server *mongotest.Server, changes []mongodb.Change) (*adaptertest.Host, *adaptertest.Counts) {
	t.Helper()
	host, counts := &adaptertest.Host{}, &adaptertest.Counts{}
	run(t, watcher(t, server, adapters.Options{State: host, Cache: &adaptertest.Cache{}, Metrics: counts}), host,
		func() { server.Append(append(slices.Clone(changes), last(changes))...) })
	return host, counts
}

// last returns the insert of a rule after all changes, by which a test sees that
// everything before was worked off.
func last(changes []mongodb.Change) mongodb.Change {
	c := changes[len(changes)-1]
	d, err := mongodb.DocFromJSON([]byte(`{"_id":{"$oid":"ffffffffffffffffffffffff"},"name":"last","ref":"x.last"}`))
	if err != nil {
		panic(err)
	}
	return mongodb.Change{
		Op: mongodb.OpInsert, Database: "st2", Collection: "rule_d_b",
		At: mongodb.Place{Time: c.At.Time + 1<<32, Token: "FF"}, ID: d.Lookup("_id"), Full: d,
	}
}

func run(t *testing.T, w *mongodb.Watcher, host *adaptertest.Host, live func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, host.Cursor(), host.Emit) }()
	isLast := func() bool {
		all := host.Events()
		return len(all) > 0 && strings.HasSuffix(all[len(all)-1].Subject, "ffffffffffffffffffffffff")
	}
	if err := host.Wait(ctx, func() bool { return host.Cursor() != nil }); err != nil {
		t.Fatalf("the watcher does not become live: %v", err)
	}
	live()
	waited := make(chan error, 1)
	go func() { waited <- host.Wait(ctx, isLast) }()
	select {
	case err := <-ended:
		t.Fatalf("Run returned %v", err)
	case err := <-waited:
		if err != nil {
			t.Fatalf("%d events and not the last: %v", len(host.Events()), err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
}

func short(iri string) string { return iri[1+strings.LastIndexAny(iri, "#/"):] }

// told shows events as the list above does.
func told(events []*oslc.Event, step map[string]int, changes []mongodb.Change) string {
	tokens := map[string]string{}
	for _, c := range changes {
		tokens[oslc.NewID("st2", "change", c.At.Token)] = c.At.Token
	}
	var b strings.Builder
	for _, e := range events {
		if strings.HasSuffix(e.Subject, "ffffffffffffffffffffffff") {
			continue
		}
		if step != nil {
			fmt.Fprintf(&b, "%d ", step[tokens[e.ID]])
		}
		fmt.Fprintf(&b, "%s ", e.Change)
		for t := range e.Resource.All() {
			if short(t.P.Value) == "ruleRef" {
				b.WriteString(t.O.Value)
			}
		}
		for _, t := range e.Types {
			b.WriteString(" " + short(t))
		}
		for _, p := range e.Changed {
			b.WriteString(" ~" + short(p))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// started returns a server that holds what was there when the steps began.
func started(t *testing.T) *mongotest.Server {
	return mongotest.New(recorded(t, "changes-startup.jsonl", true)...)
}

func TestReplay(t *testing.T) {
	t.Parallel()
	plain := recorded(t, "changes.jsonl", true)
	// The stream that was read late has the rules alone.
	late := slices.DeleteFunc(slices.Clone(plain), func(c mongodb.Change) bool { return c.Collection == "rule_d_b" })
	late = append(late, recorded(t, "changes-rules-read-late.jsonl", true)...)
	slices.SortFunc(late, func(a, b mongodb.Change) int {
		if a.At.Before(b.At) {
			return -1
		}
		return 1
	})
	variants := map[string][]mongodb.Change{
		"deltas":    plain,
		"images":    recorded(t, "changes-images.jsonl", false),
		"read late": late,
	}
	at := steps(t, plain)
	for name, changes := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, counts := replay(t, started(t), changes)
			// The first two are those that the packs brought.
			if diff := cmp.Diff(wantChanges, told(host.Events()[2:], at, plain)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if n := counts.Of("lookup"); n > 0 {
				t.Errorf("%d documents were read, although everything is in the stream", n)
			}
			noSecrets(t, host)
		})
	}
}

func resources(ctx context.Context, host *adaptertest.Host) (n int) {
	for _, err := range host.Resources(ctx) {
		if err == nil {
			n++
		}
	}
	return n
}

func noSecrets(t *testing.T, host *adaptertest.Host) {
	t.Helper()
	for _, e := range host.Events() {
		for tr := range e.Graph().All() {
			if strings.Contains(tr.O.Value, secretMark) {
				t.Errorf("%s %s shows a secret in <%s>", e.Change, e.Subject, tr.P.Value)
			}
		}
	}
}

func TestReplay_startup(t *testing.T) {
	t.Parallel()
	host, _ := replay(t, mongotest.New(), recorded(t, "changes-startup.jsonl", true))
	want := "creation oslcdemo.from_file\ncreation hello_st2.on_hello_event1\n"
	if diff := cmp.Diff(want, told(host.Events(), nil, nil)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// The rules as they are at the end, when nothing was seen of how they came about.
func TestReplay_snapshot(t *testing.T) {
	t.Parallel()
	server := mongotest.New(append(recorded(t, "changes-startup.jsonl", true), recorded(t, "changes.jsonl", true)...)...)
	host, _ := replay(t, server, []mongodb.Change{{At: server.Now(), Op: mongodb.OpInvalidate}})
	if n := len(jsonLines(t, testkit.Shared(t, "testdata", "stackstorm", "rule_d_b.jsonl"))); len(host.Events()) != n+1 {
		t.Errorf("%d events for %d rules", len(host.Events())-1, n)
	}
	noSecrets(t, host)
}

func TestReplay_dropDatabase(t *testing.T) {
	t.Parallel()
	changes := recorded(t, "changes.jsonl", true)
	at := changes[len(changes)-1].At
	drop := func(op, collection string) mongodb.Change {
		at = mongodb.Place{Time: at.Time + 1, Token: at.Token + "0"}
		return mongodb.Change{Op: op, Database: "st2", Collection: collection, At: at}
	}
	for _, c := range []string{"trigger_d_b", "rule_d_b", "action_d_b"} {
		changes = append(changes, drop(mongodb.OpDrop, c))
	}
	changes = append(changes, drop(mongodb.OpDropDatabase, ""), drop(mongodb.OpInvalidate, ""))
	host, _ := replay(t, started(t), changes)
	if n := resources(t.Context(), host); n != 1 {
		t.Errorf("%d resources are left, want the one that was made afterwards", n)
	}
	// 14 rules are left at the end, and nothing else is told of them.
	const rules = 14
	if n := len(host.Events()) - 2 - strings.Count(wantChanges, "\n") - 1; n != rules {
		t.Errorf("%d events for the drop, want %d", n, rules)
	}
	noSecrets(t, host)
}

func TestSource(t *testing.T) {
	t.Parallel()
	changes := recorded(t, "changes.jsonl", true)
	adaptertest.Source(t, adaptertest.SourceConfig{
		Events: 2 + strings.Count(wantChanges, "\n"),
		Secrets: []string{
			secretMark + "-1", secretMark + "-2", secretMark + "-3", secretMark + "-4", secretMark,
		},
		Tool: func(context.Context) (adaptertest.Tool, error) {
			server := started(t)
			return adaptertest.Tool{
				Open: func(s adapters.State, c adapters.Cache, log *slog.Logger) (adapters.Source, error) {
					return watcher(t, server, adapters.Options{State: s, Cache: c, Logger: log}), nil
				},
				Change: func(context.Context) error { server.Append(changes...); return nil },
			}, nil
		},
	})
}

// The recorded changes are made on a real server.
func TestReplay_real(t *testing.T) {
	t.Parallel()
	rs := testkit.Mongo(t)
	ours := func(changes []mongodb.Change) []mongodb.Change {
		return slices.DeleteFunc(changes, func(c mongodb.Change) bool {
			return !slices.Contains([]string{"rule_d_b", "trigger_d_b", "trigger_type_d_b", "action_d_b", "runner_type_d_b"}, c.Collection)
		})
	}
	plain := recorded(t, "changes.jsonl", true)
	if err := mongotest.Perform(t.Context(), rs.URI, rs.Database, ours(recorded(t, "changes-startup.jsonl", true))...); err != nil {
		t.Fatal(err)
	}
	host := &adaptertest.Host{}
	ad, err := stackstorm.Build(func(v any) error {
		cfg := v.(*stackstorm.Config)
		cfg.MongoDB = mongodb.Connection{URI: adapters.Secret(rs.URI), Database: rs.Database}
		return nil
	}, adapters.Options{Name: "st2", BaseURL: base, State: host, Cache: &adaptertest.Cache{}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, ad.Source.(*mongodb.Watcher), host, func() {
		changes := append(ours(slices.Clone(plain)), last(plain))
		if err := mongotest.Perform(t.Context(), rs.URI, rs.Database, changes...); err != nil {
			t.Error(err)
		}
	})
	want := ""
	for line := range strings.Lines(wantChanges) {
		_, rest, _ := strings.Cut(line, " ")
		want += rest
	}
	if diff := cmp.Diff(want, told(host.Events()[2:], nil, nil)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	noSecrets(t, host)
	// What st2-cleanup-db does.
	run2 := len(host.Events())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- ad.Source.Run(ctx, host.Cursor(), host.Emit) }()
	if err := mongotest.Drop(ctx, rs.URI, rs.Database); err != nil {
		t.Fatal(err)
	}
	left := func() int { return resources(ctx, host) }
	if err := host.Wait(ctx, func() bool { return left() == 0 }); err != nil {
		t.Fatalf("%d rules are left after the database was dropped: %v", left(), err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	if n := len(host.Events()) - run2; n != 15 {
		t.Errorf("%d events for the drop, want 15 deletions", n)
	}
}
