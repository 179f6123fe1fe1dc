package rdfxml_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/rdfxml"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the expected output of the golden files")

// Each file in testdata is a graph in Turtle and the document it becomes.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil || len(a.Files) != 2 {
				t.Fatal("want two parts", err)
			}
			g, err := turtle.Parse(a.Files[0].Data, "", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := rdfxml.Append(nil, g)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				a.Files[1].Data = got
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(a.Files[1].Data), string(got)); diff != "" {
				t.Errorf("run with -update if this is meant\n%s", diff)
			}
			h, err := rdfxml.Parse(got, "", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if same, err := canon.Isomorphic(g, h); err != nil || !same {
				t.Errorf("it is read as another graph (%v)", err)
			}
		})
	}
}

// Nodes beyond the depth that is nested are written at the top and referred to.
func TestDeepTreesAreCut(t *testing.T) {
	t.Parallel()
	for name, node := range map[string]func(int) rdf.Term{
		"blank nodes": func(i int) rdf.Term { return rdf.NewBlank(fmt.Sprint("n", i)) },
		"inline IRIs": func(i int) rdf.Term { return rdf.NewIRI(fmt.Sprintf("http://ex.org/%04d", i)) },
	} {
		g := rdf.NewGraph()
		g.Add(rdf.NewIRI("http://ex.org/top"), "http://open-services.net/ns/core#service", node(0))
		for i := range 1000 {
			g.Add(node(i), "http://open-services.net/ns/core#service", node(i+1))
			g.Add(node(i), "http://ex.org/n", rdf.Int(int64(i)))
		}
		b, err := rdfxml.Append(nil, g)
		if err != nil {
			t.Fatal(err)
		}
		depth := 0
		for line := range strings.Lines(string(b)) {
			depth = max(depth, len(line)-len(strings.TrimLeft(line, " ")))
		}
		if depth < 40 || depth > 400 {
			t.Errorf("%s: lines are indented by up to %d", name, depth)
		}
		h, err := rdfxml.Parse(b, "", rdf.Limits{MaxDepth: 90})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if h.Len() != g.Len() {
			t.Errorf("%s: %d triples, want %d", name, h.Len(), g.Len())
		}
	}
}

func TestPredicatesWithoutAnXMLName(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		"http://ex.org/types/148", "http://ex.org/", "http://ex.org/#1", rdf.NS + "li", rdf.NS + "Description", "urn:a:",
	} {
		g := rdf.NewGraph()
		g.Add(rdf.NewIRI("http://ex.org/a"), p, rdf.String("x"))
		out, err := rdfxml.Append([]byte("x"), g)
		if !errors.As(err, new(*rdf.WriteError)) || string(out) != "x" {
			t.Errorf("%s: %v, %q", p, err, out)
		}
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations cannot be counted under the race detector: run without -race")
	}
	g := rdf.NewGraph()
	n := g.Node("http://ex.org/a").A("http://open-services.net/ns/cm#ChangeRequest")
	for i := range 32 {
		n.String("http://purl.org/dc/terms/subject", fmt.Sprint("value ", i))
	}
	buf, err := rdfxml.Append(nil, g)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(200, func() { buf, _ = rdfxml.Append(buf[:0], g) }); n > 2 {
		t.Errorf("%v allocations for a small document, want 2 at most", n)
	}
}
