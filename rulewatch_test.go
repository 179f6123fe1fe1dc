package oslcbus

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// stillAdapter has events and an action, and does nothing.
func stillAdapter(decode func(any) error, _ adapters.Options) (adapters.Adapter, error) {
	return adapters.Adapter{
		Source: struct{ adapters.Source }{}, Executor: struct{ adapters.Executor }{},
		Actions: []oslc.Action{{Name: "act", IRI: "urn:act", Title: "Act"}},
	}, decode(&struct{}{})
}

// TestRuleWatch: a change of any file that rules come from counts once it was seen
// twice; a file that is half written does not, and a wrong one is read once.
func TestRuleWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rules := func(names ...string) string {
		text := "rules:"
		for _, n := range names {
			text += fmt.Sprintf("\n  - {name: %s, on: {provider: c}, do: {tool: c, action: act}}", n)
		}
		return text + "\n"
	}
	const config = "connections: {c: {type: still}}\nrule_files: [\"r*.yml\", more/x.yml]\n"
	if err := os.Mkdir(filepath.Join(dir, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("bus.yml", config)
	write("r1.yml", rules("a"))
	write("more/x.yml", "")
	cfg, err := LoadConfig(filepath.Join(dir, "bus.yml"), ConfigOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(cfg, Options{Adapters: adapters.Registry{"still": stillAdapter}})
	if err != nil {
		t.Fatal(err)
	}
	remove := func(name string) func() {
		return func() {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []struct {
		what   string
		change func()
		looks  int
		rules  int
		failed bool
	}{
		{"nothing", nil, 3, 1, false},
		{"a change, seen once", func() { write("r1.yml", rules("a", "b")) }, 1, 1, false},
		{"seen twice", nil, 1, 2, false},
		{"half of a file", func() { write("r1.yml", rules("a")) }, 1, 2, false},
		{"the whole of it, seen once", func() { write("r1.yml", rules("a", "b", "c")) }, 1, 2, false},
		{"and twice", nil, 1, 3, false},
		{"a further file", func() { write("r2.yml", rules("d")) }, 2, 4, false},
		{"one less", remove("r1.yml"), 2, 1, false},
		{"a wrong one", func() { write("r2.yml", rules("d", "d")) }, 2, 1, true},
		{"still", nil, 3, 1, true},
		{"a file that is named is gone", remove("more/x.yml"), 2, 1, true},
		{"all is well", func() { write("more/x.yml", rules("x", "y")); write("r2.yml", "") }, 2, 2, false},
		{"rules in the configuration", func() { write("bus.yml", config+rules("z")) }, 2, 3, false},
		{"a configuration that is wrong", func() { write("bus.yml", "lisen: x\n"+config) }, 2, 3, true},
		{"a configuration without files", func() { write("bus.yml", "connections: {c: {type: still}}\n") }, 2, 0, false},
	} {
		if step.change != nil {
			step.change()
		}
		for range step.looks {
			e.watch.look(t.Context())
		}
		if n := e.Rules(); n != step.rules || (e.reload.failed != "") != step.failed {
			t.Fatalf("%s: %d rules, %q; want %d, failed %t", step.what, n, e.reload.failed, step.rules, step.failed)
		}
	}
}
