package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Everything that the bus serves after a rule was made and disabled keeps to the
// shapes that OASIS publishes: discovery, resources, queries, tracked resource
// sets, requests and results.
func TestServedResourcesKeepToPublishedShapes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testkit.Shared(t, "oslc-vocab"), "*-shapes.ttl"))
	if err != nil || len(files) != 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	set, err := loadShapes(&program{nil, io.Discard, io.Discard}, files)
	if err != nil {
		t.Fatal(err)
	}
	bus, stackstorm := startDemo(t)
	rule := map[string]any{
		"name": "shapes", "pack": "demo", "enabled": true, "description": "One & <two>",
		"trigger": map[string]any{"type": "core.st2.generic.notifytrigger"}, "action": map[string]any{"ref": "core.noop"},
	}
	made := callJSON(t, http.MethodPost, stackstorm+"/api/v1/rules", rule)
	made["enabled"] = false
	callJSON(t, http.MethodPut, stackstorm+"/api/v1/rules/"+fmt.Sprint(made["id"]), made)

	want := []string{
		vocab.OSLCServiceProviderCatalogClass, vocab.OSLCServiceProviderClass, vocab.OSLCServiceClass, vocab.OSLCResponseInfo,
		vocab.CMChangeRequest, vocab.AutoAutomationRequest, vocab.AutoAutomationResult,
		vocab.TRSTrackedResourceSetClass, vocab.TRSChangeLogClass, vocab.TRSModification,
	}
	var seen map[string]int
	var documents int
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); ; <-tick.C {
		found := crawl(t, bus)
		documents, seen = len(found), map[string]int{}
		for uri, g := range found {
			for _, v := range violations(set, g, uri, seen) {
				t.Errorf("%s: %s", uri, v)
			}
		}
		if t.Failed() {
			return
		}
		missing := slices.DeleteFunc(slices.Clone(want), func(c string) bool { return seen[c] > 0 })
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("in %d documents no resource of %v", documents, missing)
		}
	}
	t.Logf("%d documents: %v", documents, seen)
}

// violations checks the resources that a document is about: its own, and those that
// have no other document. seen counts them by class.
func violations(set *shape.Set, g *rdf.Graph, uri string, seen map[string]int) []shape.Violation {
	var out []shape.Violation
	for _, s := range subjects(g) {
		own, _, _ := strings.Cut(s.Value, "#")
		if s.Kind == rdf.IRI && own != uri && strings.HasPrefix(s.Value, "http") {
			continue
		}
		if len(g.Subjects(vocab.HTTPBody, s)) > 0 {
			continue // what a client is to send: its identifier and state are the server's
		}
		for _, c := range g.Objects(s, rdf.Type) {
			seen[c.Value]++
		}
		if err, ok := errors.AsType[*shape.Error](set.Check(g, s, shape.Check{})); ok {
			out = append(out, slices.DeleteFunc(err.Violations, published)...)
		}
	}
	return out
}

// published reports whether v is what the published shapes do themselves, all six
// files of them: their properties have no oslc:range where the values are literals,
// and are blank nodes in places, both of which the shape of shapes forbids.
func published(v shape.Violation) bool {
	return v.Property == vocab.OSLCRange && v.Clause == shape.ClauseOccurs ||
		v.Property == vocab.OSLCProperty && v.Clause == shape.ClauseValueType
}

// crawl gets every document in Turtle that leads from the catalog to the next.
func crawl(t *testing.T, bus string) map[string]*rdf.Graph {
	t.Helper()
	client := &http.Client{Timeout: 30 * time.Second}
	out := map[string]*rdf.Graph{}
	visited := map[string]bool{}
	for todo := []string{bus + "/services/catalog"}; len(todo) > 0; {
		uri, _, _ := strings.Cut(todo[0], "#")
		todo = todo[1:]
		u, err := url.Parse(uri)
		if visited[uri] || err != nil || !strings.HasPrefix(uri, bus+"/") || strings.HasPrefix(u.Path, "/oauth/") {
			continue
		}
		visited[uri] = true
		req, err := http.NewRequest(http.MethodGet, uri, nil) //nolint:noctx // the client has a time-out
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/turtle")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK || media != "text/turtle" {
			continue // not there yet, or no RDF
		}
		g, err := format.Parse(body, format.Turtle, "", rdf.Limits{})
		if err != nil {
			t.Fatalf("%s: %v\n%s", uri, err, body)
		}
		out[uri] = g
		for tr := range g.All() {
			for _, term := range []rdf.Term{tr.S, tr.O} {
				if term.Kind == rdf.IRI {
					todo = append(todo, term.Value)
				}
			}
		}
	}
	return out
}

// startDemo runs the demo as a process of its own and returns the addresses of
// the bus and of the StackStorm stand-in.
func startDemo(t *testing.T) (bus, stackstorm string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "demo", "-listen", "127.0.0.1:0", "-o", "text") //nolint:noctx // it is ended below
	cmd.Args[0], cmd.Dir = "oslcbus", t.TempDir()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for (bus == "" || stackstorm == "") && lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "bus: "); ok {
			bus = v
		}
		if v, ok := strings.CutPrefix(lines.Text(), "stackstorm: "); ok {
			stackstorm = v
		}
	}
	if bus == "" || stackstorm == "" {
		t.Fatalf("the demo said no addresses\n%s", stderr.Bytes())
	}
	go func() { // what it says later must go somewhere
		_, _ = io.Copy(io.Discard, out)
	}()
	client := &http.Client{Timeout: 5 * time.Second}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); ; <-tick.C {
		resp, err := client.Get(bus + "/readyz") //nolint:noctx // the client has a time-out
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return bus, stackstorm
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the demo is not ready\n%s", stderr.Bytes())
		}
	}
}

func callJSON(t *testing.T, method, uri string, in any) map[string]any {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, uri, bytes.NewReader(b)) //nolint:noctx // the client has a time-out
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("St2-Api-Key", sandbox.Token)
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s, %v\n%s", method, uri, resp.Status, err, body)
	}
	out := map[string]any{}
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
