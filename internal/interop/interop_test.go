package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	rules    = 250
	disabled = 31 // the first ones
	patience = 3 * time.Minute
)

// bus runs a bus with a sandbox StackStorm that has some rules, and returns its
// address and the title of the provider.
func bus(t *testing.T) (base, title string) {
	t.Helper()
	base, _ = serve(t, "", rules)
	return base, get(t, base+"/services/st2").Value(rdf.NewIRI(base+"/services/st2"), vocab.DCTermsTitle)
}

// serve is bus with more configuration and n rules; it returns the address of the tool
// too.
func serve(t *testing.T, yaml string, n int) (base, toolURL string) {
	t.Helper()
	st2, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	tool := httptest.NewServer(st2)
	t.Cleanup(tool.Close)
	for i := range n {
		create(t, tool.URL, i)
	}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base = "http://" + ln.Addr().String()
	cfg, err := oslcbus.ParseConfig("interop.yml", []byte("connections: {st2: {type: sandbox}}\n"+yaml), oslcbus.ConfigOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Data, cfg.Listen, cfg.BaseURL = t.TempDir(), ln.Addr().String(), base
	registry := all.Adapters()
	registry["sandbox"] = func(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
		if err := decode(&struct{}{}); err != nil {
			return adapters.Adapter{}, err
		}
		return sandbox.Adapter(st2, tool.URL, opts)
	}
	reg := prometheus.NewRegistry()
	engine, err := oslcbus.New(cfg, oslcbus.Options{Adapters: registry, Listener: ln, Registerer: reg, Gatherer: reg})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; ctx.Err() == nil {
			t.Errorf("the bus ended with %v", err)
		}
	})
	deadline := time.After(patience)
	for {
		g := get(t, base+"/services/st2/changeRequests")
		if len(g.Objects(rdf.NewIRI(base+"/services/st2/changeRequests"), vocab.RDFSMember)) >= n {
			break
		}
		select {
		case <-deadline:
			t.Fatal("waited in vain for the rules")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return base, tool.URL
}

func create(t *testing.T, tool string, i int) map[string]any {
	t.Helper()
	return ask(t, http.MethodPost, tool+"/api/v1/rules", map[string]any{
		"name": fmt.Sprintf("rule %03d", i), "pack": "demo", "enabled": i >= disabled, "description": "A rule & <more>",
		"trigger": map[string]any{"type": "core.st2.webhook", "parameters": map[string]any{"url": "hook"}},
		"action":  map[string]any{"ref": "core.local", "parameters": map[string]any{"cmd": "echo"}},
	})
}

// ask has StackStorm do something, and returns what it answers.
func ask(t *testing.T, method, url string, body any) map[string]any {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("St2-Api-Key", sandbox.Token)
	resp, err := testkit.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		t.Fatal(resp.Status)
	}
	var out map[string]any
	if resp.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// get reads an answer; it is empty until the bus is ready.
func get(t *testing.T, uri string) *rdf.Graph {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, uri, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/turtle")
	resp, err := testkit.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	g, err := format.Parser{}.Parse(body.Bytes(), format.Turtle, uri, rdf.Limits{})
	if err != nil {
		t.Fatalf("%s: %v in\n%s", uri, err, body.Bytes())
	}
	return g
}

// run runs a client and returns what it says of each thing.
func run(t *testing.T, cmd *exec.Cmd) map[string]string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.Bytes(), errs.Bytes())
	}
	said := map[string]string{"errors": errs.String()}
	for line := range strings.Lines(out.String()) {
		what, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if said[what] != "" {
			value = said[what] + ", " + value
		}
		said[what] = value
	}
	return said
}

func check(t *testing.T, said, want map[string]string) {
	t.Helper()
	for what, value := range want {
		if said[what] != value {
			t.Errorf("%s is %q, want %q", what, said[what], value)
		}
	}
	if t.Failed() {
		t.Logf("the client said %v", said)
	}
}

// part returns a folder that make parts fetches, and a program that is needed for it.
func part(t *testing.T, name, program string) (dir, path string) {
	t.Helper()
	dir = filepath.Join(testkit.Root(t), ".parts", name)
	path, err := exec.LookPath(program)
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, ".version"))
	}
	if err != nil {
		hint := fmt.Sprintf("no %s with %s: run `make parts`", program, name)
		if testkit.InCI() {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	return dir, path
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, name, args...)
}

// TestLyo drives discovery, queries over pages, creation, update, deletion and
// compact representations with the OSLC client of Eclipse Lyo.
func TestLyo(t *testing.T) {
	t.Parallel()
	dir, java := part(t, "lyo", "java")
	base, title := bus(t)
	said := run(t, command(t, java, "-cp", filepath.Join(dir, "lib", "*"), filepath.Join("lyo", "Lyo.java"), base, title))
	check(t, said, map[string]string{
		"catalog": base + "/services/catalog", "provider": base + "/services/st2",
		"queryBase": base + "/services/st2/changeRequests", "factory": base + "/services/st2/changeRequests",
		"all": "250 on 1 with 250", "pages": "250 on 13 with 250", "some": "30 on 5 with 30", "search": "1 on 1 with 1", "prefix": "1 on 1 with 1",
		"created": "201", "read": "made <by> Lyo & co", "updated": "200, 412", "compact": "200 application/x-oslc-compact+xml",
		"deleted": "204", "gone": "null",
	})
}

// TestJena reads every document on the way to all members, in every syntax.
func TestJena(t *testing.T) {
	t.Parallel()
	dir, java := part(t, "lyo", "java")
	base, _ := bus(t)
	said := run(t, command(t, java, "-cp", filepath.Join(dir, "lib", "*"), filepath.Join("jena", "Read.java"), base))
	check(t, said, map[string]string{"members": "250", "documents": "7"})
}

// TestRDFLib drives the same with rdflib and the standard library of Python.
func TestRDFLib(t *testing.T) {
	t.Parallel()
	python := testkit.Python(t)
	base, title := bus(t)
	said := run(t, command(t, python, filepath.Join("rdflib", "client.py"), base, title))
	check(t, said, map[string]string{
		"queryBase": base + "/services/st2/changeRequests", "all": "250", "pages": "250", "some": "30", "search": "1",
		"created": "201", "read": "made by rdflib", "blind": "400", "updated": "200", "stale": "412", "deleted": "204", "gone": "410",
	})
}

// TestOSLCClient drives what the npm package oslc-client 1.0.7 has: it follows no
// pages, and its PUT tells no status, so that what it changed is read again.
func TestOSLCClient(t *testing.T) {
	t.Parallel()
	dir, node := part(t, "npm", "node")
	base, title := bus(t)
	cmd := command(t, node, filepath.Join("npm", "client.js"), base, title)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"), "NODE_NO_WARNINGS=1")
	said := run(t, cmd)
	check(t, said, map[string]string{
		"queryBase": base + "/services/st2/changeRequests", "all": "250", "some": "30",
		"read": "rule 030", "compact": "rule 030", "updated": "changed by oslc-client", "gone": "410",
	})
}
