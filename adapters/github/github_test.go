package github_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/github"
	"github.com/oslcbus/oslcbus/adapters/webhook"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

var update = flag.Bool("update", false, "write the golden files anew")

func message(t *testing.T, name, event string) webhook.Message {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := webhook.NewMessage(adapters.Delivery{Header: map[string]string{"x-github-event": event}, Body: b})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMapper: each action is a change of the issue, and the graph is the one that is
// written beside the payload.
func TestMapper(t *testing.T) {
	t.Parallel()
	m := github.NewMapper([]string{"Example/Hello"})
	for name, kind := range map[string]oslc.Change{
		"opened": oslc.Creation, "edited": oslc.Modification, "assigned": oslc.Modification, "closed": oslc.Modification,
		"reopened": oslc.Modification, "deleted": oslc.Deletion,
	} {
		changes, ignored, err := m.Map(message(t, name, "issues"))
		if err != nil || len(changes) != 1 || changes[0].Kind != kind || changes[0].Key != "73464126" || changes[0].Modified.IsZero() {
			t.Errorf("%s: %+v, %q, %v", name, changes, ignored, err)
			continue
		}
		g := rdf.NewGraph()
		if !changes[0].Describe(g.Node("https://bus.example/services/github/changeRequests/73464126")) {
			t.Errorf("%s: a value does not fit", name)
		}
		got, err := format.Append(nil, g, format.Turtle)
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".ttl")
		if *update {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || !bytes.Equal(want, got) {
			t.Errorf("%s: %v; the graph is\n%s", name, err, got)
		}
	}
}

// TestMapper_ignores: what is about something else tells nothing, and says why.
func TestMapper_ignores(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		repositories       []string
		file, event, wants string
	}{
		"a ping":             {nil, "ping", "ping", `the event "ping"`},
		"no event":           {nil, "opened", "", `the event ""`},
		"a comment":          {nil, "opened", "issue_comment", `the event "issue_comment"`},
		"another repository": {[]string{"example/other"}, "opened", "issues", `the repository "example/hello"`},
		"no action":          {nil, "ping", "issues", `the action ""`},
	} {
		changes, ignored, err := github.NewMapper(c.repositories).Map(message(t, c.file, c.event))
		if len(changes) > 0 || err != nil || !strings.Contains(ignored, c.wants) {
			t.Errorf("%s: %d changes, %q, %v", name, len(changes), ignored, err)
		}
	}
	m, err := webhook.NewMessage(adapters.Delivery{Header: map[string]string{"x-github-event": "issues"}, Body: []byte(`{"action": "opened", "issue": {"id": 1}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := github.NewMapper(nil).Map(m); oslc.KindOf(err) != oslc.Invalid {
		t.Errorf("an issue without a number gives %v", err)
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	build := func(cfg github.Config, opts adapters.Options) (adapters.Adapter, error) {
		opts.Name, opts.BaseURL, opts.Inbox = "github", "https://bus.example", &adaptertest.Inbox{}
		return github.Build(func(v any) error { *v.(*github.Config) = cfg; return nil }, opts)
	}
	if _, err := build(github.Config{}, adapters.Options{Public: true}); oslc.KindOf(err) != oslc.Invalid {
		t.Errorf("without a secret: %v", err)
	}
	if _, err := build(github.Config{Secret: "x", Repositories: []string{"hello"}}, adapters.Options{}); oslc.KindOf(err) != oslc.Invalid {
		t.Errorf("no owner: %v", err)
	}
	a, err := build(github.Config{Secret: "x", Repositories: []string{"example/hello"}}, adapters.Options{Public: true})
	if err != nil || a.Hook == nil || a.Source == nil || a.Provider.Details != "https://github.com/example/hello" {
		t.Errorf("%+v, %v", a, err)
	}
}
