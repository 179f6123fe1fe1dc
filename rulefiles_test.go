package oslcbus_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// ruleOf is a rule that answers a rule that was switched off with an issue.
func ruleOf(name string) string {
	return fmt.Sprintf(`
  - name: %s
    on: {provider: st2, events: ["st2:RuleDisabled"]}
    do: {tool: jira, action: create-issue, with: {project: DEMO, type: Task, summary: '%s ${resource["st2:ruleRef"]}'}}`, name, name)
}

func writeRules(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) summaries() []string {
	var out []string
	for _, issue := range r.jira.Issues() {
		out = append(out, issue.Summary())
	}
	return out
}

// off makes a rule and switches it off, and waits until the rules have judged that.
func (r *rig) off(name string) {
	r.t.Helper()
	rule, _ := r.create(name)
	r.setEnabled(rule, false)
	r.eventually(name+" to be judged", func() bool { return slices.Contains(r.summaries(), "always demo."+name) })
}

// TestS2_Reload: rules that are written while the bus runs judge what comes then, and
// nothing that was; what is wrong in them leaves the rules as they are, and is told.
func TestS2_Reload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.yml")
	r := newRig(t, fmt.Sprintf("rule_files: [%q]\n", filepath.Join(dir, "*.yml"))+"rules:"+ruleOf("always")).start()
	reload := func() error { return r.engine.ReloadRules(t.Context()) }
	ready := func() string {
		resp, body := r.get("/readyz")
		if resp.StatusCode != 200 {
			t.Errorf("/readyz: %s: %s", resp.Status, body)
		}
		return body
	}
	metric := func(want string) {
		t.Helper()
		if _, body := r.get("/metrics"); !strings.Contains(body, want+"\n") {
			t.Errorf("the metrics lack %q", want)
		}
	}
	r.off("before")
	writeRules(t, file, "rules:"+ruleOf("first"))
	if err := reload(); err != nil {
		t.Fatal(err)
	}
	metric("oslcbus_rules 2")
	r.off("one")
	r.eventually("the issue", func() bool { return len(r.jira.Issues()) >= 3 })

	writeRules(t, file, "rules:"+ruleOf("first")+ruleOf("second")+"\n    colour: red\n")
	for range 2 {
		err := reload()
		if ce, ok := errors.AsType[*oslcbus.ConfigError](err); !ok || ce.File != file || ce.Line == 0 || !strings.Contains(err.Error(), "colour") {
			t.Errorf("a wrong key: got %v", err)
		}
	}
	if body := ready(); !strings.Contains(body, "stay in force: "+file+":") {
		t.Errorf("/readyz does not tell: %s", body)
	}
	metric("oslcbus_rules_outdated 1")
	metric(`oslcbus_rules_reloads_total{result="failed"} 2`)
	if n := strings.Count(r.log.String(), "rules not reloaded"); n != 1 {
		t.Errorf("the log tells %d times, want once", n)
	}
	for name, text := range map[string]string{
		"no YAML": "rules: [", "a term that is not there": "rules:" + strings.Replace(ruleOf("x"), "st2:RuleDisabled", "st2:RuleDisbled", 1), "the same name twice": "rules:" + ruleOf("x") + ruleOf("x"),
	} {
		writeRules(t, file, text)
		if err := reload(); err == nil || !strings.HasPrefix(err.Error(), file+":") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	r.off("two") // the old rule still works
	r.eventually("the next issue", func() bool { return len(r.jira.Issues()) >= 5 })

	writeRules(t, file, "rules:"+ruleOf("first"))
	writeRules(t, filepath.Join(dir, "b.yml"), "rules:"+ruleOf("second"))
	if err := reload(); err != nil {
		t.Fatal(err)
	}
	if body := ready(); strings.Contains(body, "stay in force") {
		t.Errorf("/readyz still tells: %s", body)
	}
	metric("oslcbus_rules_outdated 0")
	r.off("three")
	r.eventually("two more issues", func() bool { return len(r.jira.Issues()) >= 8 })
	r.halt()
	writeRules(t, file, "rules:"+ruleOf("third"))
	r.start()
	r.off("four")
	r.eventually("the last issues", func() bool { return len(r.jira.Issues()) >= 11 })
	want := map[string]int{
		"always demo.before": 1, "always demo.one": 1, "always demo.two": 1, "always demo.three": 1, "always demo.four": 1,
		"first demo.one": 1, "first demo.two": 1, "first demo.three": 1, "second demo.three": 1, "second demo.four": 1, "third demo.four": 1,
	}
	for _, s := range r.summaries() {
		want[s]--
	}
	for s, n := range want {
		if n != 0 {
			t.Errorf("%q: %d issues too few", s, n)
		}
	}
}

// TestS2_OneSet: each event is judged by one set of rules, however often they change.
func TestS2_OneSet(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.yml")
	sets := []string{"rules:" + ruleOf("a1") + ruleOf("a2"), "rules:" + ruleOf("b1") + ruleOf("b2")}
	writeRules(t, file, sets[0])
	r := newRig(t, fmt.Sprintf("rule_files: [%q]\n", file)+"rules:"+ruleOf("always")).start()
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			next := file + ".new"
			if err := errors.Join(os.WriteFile(next, []byte(sets[i%2]), 0o600), os.Rename(next, file), r.engine.ReloadRules(t.Context())); err != nil {
				t.Error(err)
			}
		}
	})
	const n = 20
	for i := range n {
		r.off(fmt.Sprint("r", i))
	}
	close(stop)
	changing.Wait()
	g := r.graph("/services/bus/requests")
	r.eventually("all requests", func() bool {
		g = r.graph("/services/bus/requests")
		return len(g.OfType(vocab.AutoAutomationRequest)) >= 3*n
	})
	by := map[string]string{}
	for _, s := range g.OfType(vocab.AutoAutomationRequest) {
		if rule := g.Value(s, vocab.BusRule); rule != "always" {
			by[g.Value(s, vocab.BusEvent)] += rule[:1]
		}
	}
	if len(by) != n {
		t.Errorf("%d events were answered, want %d", len(by), n)
	}
	for event, letters := range by {
		if letters != "aa" && letters != "bb" {
			t.Errorf("event %s was judged by %q", event, letters)
		}
	}
}

// TestS2_First: rules that are read where there was none judge what comes then, over a
// restart too, and none of what was.
func TestS2_First(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.yml")
	r := newRig(t, fmt.Sprintf("rule_files: [%q]\nrules: []\n", file))
	writeRules(t, file, "rules: []\n")
	r.start()
	off := func(name string) {
		rule, uri := r.create(name)
		r.setEnabled(rule, false)
		r.eventually(name+" to be told", func() bool { return len(r.seenOf(uri)) >= 2 })
	}
	issues := func(want ...string) {
		t.Helper()
		for i := range want {
			want[i] = "first demo." + want[i]
		}
		r.eventually("the issues", func() bool { return len(r.summaries()) >= len(want) })
		if got := r.summaries(); !slices.Equal(got, want) {
			t.Errorf("there are the issues %q, want %q", got, want)
		}
	}
	off("before")
	r.halt()
	r.start()
	off("after_a_restart")
	writeRules(t, file, "rules:"+ruleOf("first"))
	if err := r.engine.ReloadRules(t.Context()); err != nil {
		t.Fatal(err)
	}
	off("one")
	issues("one")
	writeRules(t, file, "rules: []\n")
	if err := r.engine.ReloadRules(t.Context()); err != nil {
		t.Fatal(err)
	}
	off("with_none_again")
	r.halt()
	writeRules(t, file, "rules:"+ruleOf("first"))
	r.start()
	off("two")
	issues("one", "two")
}
