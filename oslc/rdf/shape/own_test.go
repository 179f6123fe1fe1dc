package shape_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/rogpeppe/go-internal/txtar"
)

func published(tb testing.TB) *shape.Set {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(testkit.Shared(tb, "oslc-vocab"), "*-shapes.ttl"))
	if err != nil || len(files) != 6 {
		tb.Fatalf("%d files, %v", len(files), err)
	}
	var all []*rdf.Graph
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		g, err := turtle.Parse(data, "http://ex.org/"+filepath.Base(file), rdf.Limits{})
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, g.Relabel(fmt.Sprintf("f%d-", i)))
	}
	set, err := shape.Load(all...)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// keeps fails the test unless every resource of g keeps to the shapes of its
// classes; there must be as many that have any.
func keeps(t *testing.T, set *shape.Set, g *rdf.Graph, want int) {
	t.Helper()
	shaped := 0
	checked := map[rdf.Term]bool{}
	for tr := range g.All() {
		if tr.P.Value != rdf.Type || checked[tr.S] || len(set.For(tr.O.Value)) == 0 {
			continue
		}
		checked[tr.S] = true
		shaped++
		if err := set.Check(g, tr.S, shape.Check{}); err != nil {
			t.Error(err)
		}
	}
	if shaped < want {
		t.Errorf("%d resources of classes that have a shape, want %d", shaped, want)
	}
}

// The resources that the StackStorm adapter maps rules to, those of its golden files,
// and events about them. An event that is not on the log yet has no trs:order, for
// that is its place there; an entry of a change log adds it, and then nothing is missing.
func TestMappedResourcesKeepToPublishedShapes(t *testing.T) {
	t.Parallel()
	set := published(t)
	files, _ := filepath.Glob(filepath.Join(testkit.Root(t), "adapters", "stackstorm", "testdata", "*.txtar"))
	n := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if f.Name != "want.ttl" {
				continue
			}
			n++
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
				g, err := turtle.Parse(f.Data, "", rdf.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				keeps(t, set, g, 1)
				event := &oslc.Event{
					ID: oslc.NewID("shape", file), Change: oslc.Modification, Subject: g.OfType(vocab.CMChangeRequest)[0].Value, Resource: g,
					Time: time.Unix(1_790_000_000, 0), Listener: "http://bus.example/services/st2#watcher", Types: []string{vocab.St2RuleDisabled},
				}
				eg := event.Graph()
				var broken *shape.Error
				err = set.Validate(eg, event.URI())
				if !errors.As(err, &broken) || len(broken.Violations) != 1 || broken.Violations[0].Property != vocab.TRSOrder {
					t.Errorf("an event on its own: %v", err)
				}
				eg.Node(event.URI()).Int(vocab.TRSOrder, 7)
				keeps(t, set, eg, 2)
			})
		}
	}
	if n < 10 {
		t.Errorf("only %d golden files", n)
	}
}

func TestRequestsAndResultsKeepToPublishedShapes(t *testing.T) {
	t.Parallel()
	set := published(t)
	now := time.Unix(1_790_000_000, 0)
	request := &oslc.Request{
		ID: oslc.NewID("shape"), URI: "http://bus.example/services/bus/requests/1", Title: "Make a ticket",
		Tool: "jira", Action: "http://bus.example/services/jira/plans/create-issue", Created: now, Rule: "tickets", Hops: 1,
		Target: "http://bus.example/services/st2/changeRequests/1", Event: "urn:uuid:118d9614-1239-5a41-9336-c61cf0ffca49",
		Parameters: map[string]any{"summary": "a & <b>", "labels": []any{"x", 1.5}, "urgent": true},
	}
	keeps(t, set, request.Graph(), 2)
	for _, verdict := range []oslc.Verdict{oslc.Passed, oslc.Failed} {
		result := &oslc.Result{
			Request: request.URI, Verdict: verdict, Message: "made", Finished: now, Attempts: 2, Key: "DEMO-1",
			Created: "https://jira.example/browse/DEMO-1", Outputs: map[string]any{"key": "DEMO-1"},
		}
		keeps(t, set, result.Graph("http://bus.example/services/bus/results/1", request.ID, request.Title, request.Action), 2)
	}
}

// The zero Check takes the shapes of the resource's classes; this one compares with
// what the resource was, too.
func ExampleSet_Check() {
	g, _ := turtle.Parse([]byte(shapes), "", rdf.Limits{})
	set, err := shape.Load(g)
	if err != nil {
		fmt.Println(err)
		return
	}
	before, _ := turtle.Parse([]byte(prefixes+`:1 a :Bug ; dcterms:title "x" ; dcterms:identifier "1" .`), "", rdf.Limits{})
	after, _ := turtle.Parse([]byte(prefixes+`:1 a :Bug ; dcterms:title "x" ; dcterms:identifier "2" .`), "", rdf.Limits{})
	err = set.Check(after, rdf.NewIRI("http://ex.org/1"), shape.Check{Before: before})
	if broken, ok := errors.AsType[*shape.Error](err); ok {
		for _, v := range broken.Violations {
			fmt.Println(v.Property, v.Clause, v.Msg)
		}
	}
	// Output: http://purl.org/dc/terms/identifier readOnly a read-only property was changed
}
