package stackstorm_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestRules_Map(t *testing.T) {
	t.Parallel()
	watch := stackstorm.Watch("st2", "https://st2.example/api", adapters.Options{Name: "st2", BaseURL: base})
	mongotest.Golden(t, "testdata", watch.Mappings[0], base+"/services/st2/changeRequests/x", *update)
}

// A story is a list of changes of one database.
type story struct {
	tb testing.TB
	n  uint32
}

func (s *story) change(op, collection, id, full, set string) mongodb.Change {
	s.tb.Helper()
	s.n++
	parse := func(text string) mongodb.Doc {
		d, err := mongodb.DocFromJSON([]byte(text))
		if err != nil {
			s.tb.Fatal(err)
		}
		return d
	}
	c := mongodb.Change{
		Op: op, Database: "st2", Collection: collection, Wall: time.Date(2026, 11, 21, 9, 0, int(s.n), 0, time.UTC),
		At: mongodb.Place{Time: mongodb.NewClusterTime(1000+s.n, 1), Token: fmt.Sprintf("%08X", s.n)},
		ID: parse(`{"_id":"` + id + `"}`).Lookup("_id"),
	}
	if full != "" {
		c.Full = parse(`{"_id":"` + id + `",` + full + `}`)
	}
	if set != "" {
		c.Update.Set = parse(`{` + set + `}`)
	}
	return c
}

func (s *story) run(changes ...mongodb.Change) (*adaptertest.Host, *adaptertest.Counts) {
	s.tb.Helper()
	t := s.tb.(*testing.T)
	return replay(t, mongotest.New(), changes)
}

func wantTold(t *testing.T, host *adaptertest.Host, want ...string) {
	t.Helper()
	if got := told(host.Events(), nil, nil); got != strings.Join(want, "\n")+"\n" {
		t.Errorf("got\n%swant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestC1_ruleWithoutNamesIsLeftOut(t *testing.T) {
	t.Parallel()
	s := story{tb: t}
	host, counts := s.run(
		s.change("insert", "rule_d_b", "a", `"ref":"p.a"`, ""),
		s.change("insert", "rule_d_b", "b", `"name":"b","ref":"p.b"`, ""),
	)
	wantTold(t, host, "creation p.b")
	if n := counts.Of("skipped_document"); n != 1 {
		t.Errorf("counted %d times, want once", n)
	}
}

func TestC4_enabledAndDisabled(t *testing.T) {
	t.Parallel()
	s := story{tb: t}
	host, counts := s.run(
		s.change("insert", "rule_d_b", "a", `"name":"a","ref":"p.a","enabled":true`, ""),
		s.change("update", "rule_d_b", "a", "", `"enabled":false`),
		s.change("update", "rule_d_b", "a", "", `"enabled":true`),
		s.change("update", "rule_d_b", "a", "", `"description":"d"`),
		s.change("update", "rule_d_b", "a", "", `"enabled":"yes"`),
		s.change("update", "rule_d_b", "a", "", `"enabled":false`),
	)
	wantTold(t, host,
		"creation p.a",
		"modification p.a RuleDisabled ~status ~state ~inProgress ~closed ~ruleStatus",
		"modification p.a RuleEnabled ~status ~state ~inProgress ~closed ~ruleStatus",
		"modification p.a ~description",
		"modification p.a ~status ~state ~inProgress ~closed ~ruleStatus",
		"modification p.a RuleDisabled ~status ~state ~inProgress ~closed ~ruleStatus",
	)
	if n := counts.Of("rule_enabled_not_boolean"); n != 1 {
		t.Errorf("the odd value is counted %d times, want once", n)
	}
}

// What a rule refers to may change under it.
func TestReferences(t *testing.T) {
	t.Parallel()
	s := story{tb: t}
	host, _ := s.run(
		s.change("insert", "runner_type_d_b", "r", `"name":"shell","runner_parameters":{}`, ""),
		s.change("insert", "trigger_d_b", "t", `"ref":"core.t","type":"core.timer","ref_count":0`, ""),
		s.change("insert", "rule_d_b", "a", `"name":"a","ref":"p.a","trigger":"core.t","action":{"ref":"p.act","parameters":{"x":"not-a-real-secret"}}`, ""),
		s.change("insert", "rule_d_b", "b", `"name":"b","ref":"p.b"`, ""),
		s.change("update", "trigger_d_b", "t", "", `"ref_count":1`), // noise
		s.change("update", "trigger_d_b", "t", "", `"type":"core.cron"`),
		s.change("insert", "action_d_b", "act", `"ref":"p.act","runner_type":{"name":"shell"},"parameters":{"x":{"type":"string"}}`, ""),
		s.change("update", "action_d_b", "act", "", `"parameters.x.secret":true`),
		s.change("update", "rule_d_b", "a", "", `"action.parameters.x":"not-a-real-secret-either"`), // hidden, and told
		s.change("delete", "trigger_d_b", "t", "", ""),
	)
	wantTold(t, host,
		"creation p.a",
		"creation p.b",
		"modification p.a ~triggerType",
		"modification p.a ~actionParameters",
		"modification p.a ~actionParameters",
		"modification p.a ~actionParameters",
		"modification p.a ~triggerType",
	)
	last := host.Events()[6].Resource
	for tr := range last.All() {
		if strings.Contains(tr.O.Value, secretMark) {
			t.Errorf("the newest state shows the secret in %s", tr.P.Value)
		}
	}
	ids := map[string]bool{}
	for _, e := range host.Events() {
		ids[e.ID] = true
	}
	if len(ids) != len(host.Events()) {
		t.Error("two events have one identifier")
	}
}

func TestRules_Types(t *testing.T) {
	t.Parallel()
	m := stackstorm.Watch("st2", "", adapters.Options{}).Mappings[0]
	status := func(terms ...rdf.Term) *rdf.Graph {
		g := rdf.NewGraph()
		g.Node("urn:x:r").Add(vocab.St2RuleStatus, terms...)
		return g
	}
	on, off, none := status(rdf.Bool(true)), status(rdf.Bool(false)), status()
	for _, test := range []struct {
		before, after *rdf.Graph
		want          string
	}{
		{on, off, vocab.St2RuleDisabled},
		{off, on, vocab.St2RuleEnabled},
		{none, off, vocab.St2RuleDisabled},
		{on, on, ""},
		{off, off, ""},
		{on, none, ""},
		{none, none, ""},
	} {
		if got := strings.Join(m.Types(test.before, test.after), " "); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	build := func(cfg stackstorm.Config) (adapters.Adapter, error) {
		return stackstorm.Build(func(v any) error { *v.(*stackstorm.Config) = cfg; return nil }, adapters.Options{Name: "st2", BaseURL: base})
	}
	ad, err := build(stackstorm.Config{MongoDB: mongodb.Connection{URI: "mongodb://127.0.0.1/"}, APIURL: "https://st2.example/api/"})
	if err != nil {
		t.Fatal(err)
	}
	if ad.Source == nil || ad.Provider.Title != "StackStorm" || ad.Provider.Details != "https://st2.example/api" {
		t.Errorf("built %+v", ad.Provider)
	}
	for name, cfg := range map[string]stackstorm.Config{
		"no database":         {},
		"bad address":         {MongoDB: mongodb.Connection{URI: "http://x/"}},
		"bad API":             {MongoDB: mongodb.Connection{URI: "mongodb://127.0.0.1/"}, APIURL: "st2.example"},
		"credentials in API":  {MongoDB: mongodb.Connection{URI: "mongodb://127.0.0.1/"}, APIURL: "https://u:p@st2.example"},
		"address and file":    {MongoDB: mongodb.Connection{URI: "mongodb://127.0.0.1/", URIFile: "x"}},
		"file is not there":   {MongoDB: mongodb.Connection{URIFile: "no such file"}},
		"negative size":       {MongoDB: mongodb.Connection{URI: "mongodb://127.0.0.1/", CopiesMB: -1}},
		"address that is not": {MongoDB: mongodb.Connection{URI: "mongodb://user:not-a-real-secret@:::/"}},
	} {
		_, err := build(cfg)
		if !errors.Is(err, oslc.Invalid) {
			t.Errorf("%s: got %v, want kind invalid", name, err)
		}
		if err != nil && strings.Contains(err.Error(), secretMark) {
			t.Errorf("%s: the error shows a secret", name)
		}
	}
	boom := errors.New("line 3")
	if _, err := stackstorm.Build(func(any) error { return boom }, adapters.Options{}); !errors.Is(err, boom) {
		t.Errorf("got %v, want the decoder's error", err)
	}
}

// BenchmarkReplay is the processor time of the recorded changes.
func BenchmarkReplay(b *testing.B) {
	s := story{tb: b}
	var changes []mongodb.Change
	const rules = 2000
	for i := range rules {
		changes = append(changes, s.change("insert", "rule_d_b", fmt.Sprint(i),
			`"name":"a","ref":"p.a","pack":"p","enabled":true,"trigger":"core.t","description":"what it is for","action":{"ref":"core.local","parameters":{"cmd":"date"}},"context":{"user":"u"},"tags":[{"name":"team","value":"x"}],"criteria":{"trigger．x":{"type":"eq","pattern":"y"}}`, ""))
	}
	for i := range rules {
		changes = append(changes, s.change("update", "rule_d_b", fmt.Sprint(i), "", `"enabled":false`))
	}
	for b.Loop() {
		server := mongotest.New()
		server.BatchSize = 1000
		host := &adaptertest.Host{}
		watch := stackstorm.Watch("st2", "", adapters.Options{Name: "st2", BaseURL: base, State: host})
		watch.Dial = server.Dial
		w, err := mongodb.New(watch)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		n := 0
		_ = w.Run(ctx, nil, func(ctx context.Context, batch ...adapters.Emission) error {
			if n == 0 {
				server.Append(changes...)
			}
			if n += len(batch); n > len(changes) {
				cancel()
			}
			return ctx.Err()
		})
		cancel()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(changes)), "µs/change")
}
