package oslcbus_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

// keyPaths adds the keys that a type can be written with, such as receive.resources.key.
func keyPaths(t reflect.Type, under string, out map[string]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() == "time" {
		return
	}
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
			continue
		case strings.Contains(opts, "inline"):
			keyPaths(f.Type, under, out)
			continue
		case name == "":
			name = strings.ToLower(f.Name)
		}
		out[under+name] = true
		keyPaths(f.Type, under+name+".", out)
	}
}

// writtenPaths adds the keys that a document has.
func writtenPaths(v any, under string, out map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			out[under+name] = true
			writtenPaths(value, under+name+".", out)
		}
	case []any:
		for _, value := range v {
			writtenPaths(value, under, out)
		}
	}
}

// TestDocumentedKeys: docs/config.md has each key that a configuration may have, and its
// examples no other. Of a secret and its file one is enough.
func TestDocumentedKeys(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(testkit.Root(t), "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]map[string]bool{"": {}} // by the type of the connection; "" is the top level
	for _, block := range strings.Split(string(page), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "\n```")
		var doc map[string]any
		if err := yaml.Unmarshal([]byte(block), &doc); err != nil {
			t.Fatalf("%v in\n%s", err, block)
		}
		connections, _ := doc["connections"].(map[string]any)
		delete(doc, "connections")
		writtenPaths(doc, "", written[""])
		for name, c := range connections {
			keys, _ := c.(map[string]any)
			kind, _ := keys["type"].(string)
			if kind == "" {
				t.Fatalf("the connection %s of an example has no type", name)
			}
			if written[kind] == nil {
				written[kind] = map[string]bool{}
			}
			writtenPaths(c, "", written[kind])
		}
	}

	accepted := map[string]map[string]bool{"": {}}
	keyPaths(reflect.TypeFor[oslcbus.Config](), "", accepted[""])
	common := map[string]bool{}
	keyPaths(reflect.TypeFor[oslcbus.Connection](), "", common)
	for kind, build := range all.Adapters() {
		accepted[kind] = map[string]bool{}
		_, _ = build(func(v any) error {
			keyPaths(reflect.TypeOf(v), "", accepted[kind])
			return errors.New("its type is enough")
		}, adapters.Options{Name: "a"})
		if len(accepted[kind]) == 0 {
			t.Errorf("the adapter %s reads no keys", kind)
		}
	}

	people := map[string]bool{"title": true, "description": true} // in the table, for all
	for kind, keys := range accepted {
		for key := range keys {
			twin, ok := strings.CutSuffix(key, "_file")
			if !ok {
				twin = key + "_file"
			}
			if !written[kind][key] && !written[kind][twin] && !people[key] {
				t.Errorf("docs/config.md does not have the key %s of %q", key, kind)
			}
		}
	}
	for kind, keys := range written {
		for key := range keys {
			open := slices.ContainsFunc([]string{"rules.do.with.", "kafka.topic_config.", "when.", "values.", "headers.", "body.", "outputs."},
				func(free string) bool { return strings.Contains(key, free) })
			if !accepted[kind][key] && !open && (kind == "" || !common[key]) {
				t.Errorf("docs/config.md has the key %s of %q, which is none", key, kind)
			}
		}
	}
	maps.Copy(common, people)
	for key := range common {
		if !strings.Contains(string(page), "`"+key+"`") && key != "retry" {
			t.Errorf("docs/config.md does not have the key %s of every connection", key)
		}
	}
}

// TestFilesBesideTheConfiguration: a file that a configuration names is looked for beside
// it, wherever the program was started.
func TestFilesBesideTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"secret": "not-a-real-secret-not-a-real-secret\n",
		"bus.yml": `
access: {tokens: [{name: ci, role: reader, file: secret}], users: [{name: ann, role: admin, password_file: ./secret}]}
webhooks: {subscriptions: [{name: ci, url: "https://ci.example/hooks", secret_file: secret}]}
connections:
  jira: {type: jira, url: "https://jira.example", user: ann, token_file: secret}
  hook: {type: webhook, receive: {secret_file: secret, resources: [{kind: t, types: ["oslc_cm:ChangeRequest"], key: id, title: t}]}, call: {url: "https://ci.example", sign: {secret_file: secret}, actions: [{name: build, parameters: [{name: log_file}]}]}}
rules:
  - {name: r, on: {provider: hook}, do: {tool: hook, action: build, with: {log_file: a.log}}}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := oslcbus.LoadConfig(filepath.Join(dir, "bus.yml"), oslcbus.ConfigOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oslcbus.New(c, oslcbus.Options{Adapters: all.Adapters()}); err != nil {
		t.Error(err)
	}
	if got, want := c.Webhooks.Subscriptions[0].SecretFile, filepath.Join(dir, "secret"); got != want {
		t.Errorf("the secret of the subscription is in %s, want %s", got, want)
	}
	if got := c.Rules[0].Do.With["log_file"]; got != "a.log" {
		t.Errorf("the rule asks for the file %v, want a.log", got)
	}
}
