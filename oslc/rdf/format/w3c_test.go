package format_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// The suites of the W3C for RDF 1.1 (github.com/w3c/rdf-tests).
func TestW3C(t *testing.T) {
	t.Parallel()
	for _, suite := range []struct {
		dir    string
		format format.Format
		tests  int
	}{
		{"rdf-n-triples", format.NTriples, 70},
		{"rdf-turtle", format.Turtle, 313},
		{"rdf-xml", format.RDFXML, 166},
	} {
		t.Run(suite.dir, func(t *testing.T) {
			t.Parallel()
			dir := testkit.Shared(t, "testdata", "rdf-tests", suite.dir)
			tests := manifest(t, dir)
			if len(tests) != suite.tests {
				t.Errorf("the manifest has %d tests, want %d", len(tests), suite.tests)
			}
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) { test.run(t, dir, suite.format) })
			}
		})
	}
}

type w3cTest struct{ name, kind, action, result, base string }

const (
	mf   = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
	rdft = "http://www.w3.org/ns/rdftest#"
)

func manifest(t *testing.T, dir string) []w3cTest {
	t.Helper()
	const here = "file:///suite/"
	g := parseFile(t, filepath.Join(dir, "manifest.ttl"), format.Turtle, here+"manifest.ttl")
	var base string
	var tests []w3cTest
	for triple := range g.All() {
		if triple.P.Value == mf+"assumedTestBase" {
			base = triple.O.Value
		}
	}
	for triple := range g.All() {
		if kind, ok := strings.CutPrefix(triple.O.Value, rdft+"Test"); ok && triple.P.Value == rdf.Type {
			tests = append(tests, w3cTest{
				name: g.Value(triple.S, mf+"name"), kind: kind, base: base,
				action: strings.TrimPrefix(g.Value(triple.S, mf+"action"), here),
				result: strings.TrimPrefix(g.Value(triple.S, mf+"result"), here),
			})
		}
	}
	return tests
}

func (w w3cTest) run(t *testing.T, dir string, f format.Format) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(dir, w.action))
	if err != nil {
		t.Fatal(err)
	}
	g, err := format.Parse(data, f, w.base+w.action, rdf.Limits{})
	if strings.Contains(w.kind, "Negative") {
		if err == nil {
			t.Errorf("%s is wrong but was read", w.action)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if w.result != "" {
		isomorphic(t, g, parseFile(t, filepath.Join(dir, w.result), format.NTriples, ""))
	}
}

func parseFile(t *testing.T, path string, f format.Format, base string) *rdf.Graph {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, err := format.Parse(data, f, base, rdf.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return g
}

// isomorphic fails the test unless got and want say the same.
func isomorphic(t *testing.T, got, want *rdf.Graph) {
	t.Helper()
	same, err := canon.Isomorphic(got, want)
	if err != nil {
		t.Fatal(err)
	}
	if !same {
		x, _ := canon.NQuads(got)
		y, _ := canon.NQuads(want)
		t.Errorf("the graphs differ\ngot:\n%s\nwant:\n%s", x, y)
	}
}
