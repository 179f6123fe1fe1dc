package format_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// Documents of OSLC projects mean what another reader (raptor) says they mean,
// and they survive every pair of formats.
func TestDocumentsOfOSLCProjects(t *testing.T) {
	t.Parallel()
	n := 0
	for _, f := range []struct {
		dir, ext string
		format   format.Format
	}{{"rdfxml", ".rdf", format.RDFXML}, {"turtle", ".ttl", format.Turtle}} {
		dir := testkit.Shared(t, "testdata", "oslc", f.dir)
		files, err := filepath.Glob(filepath.Join(dir, "*"+f.ext))
		if err != nil {
			t.Fatal(err)
		}
		n += len(files)
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), f.ext)
			t.Run(f.dir+"/"+name, func(t *testing.T) {
				t.Parallel()
				g := parseTemplate(t, file, f.format)
				isomorphic(t, g, parseTemplate(t, filepath.Join(dir, name+".nt"), format.NTriples))
				everyPair(t, g)
			})
		}
	}
	if n < 110 {
		t.Errorf("only %d documents", n)
	}
}

// parseTemplate reads a document. Some are templates with {{name}} in the place
// of a host, which no IRI may hold: they are refused as they are, and read with
// the braces taken away.
func parseTemplate(t *testing.T, path string, f format.Format) *rdf.Graph {
	t.Helper()
	const base = "http://base.example/doc"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, err := format.Parse(data, f, base, rdf.Limits{})
	var wrong *rdf.SyntaxError
	if errors.As(err, &wrong) && wrong.Kind == rdf.FaultIRI {
		data = []byte(strings.NewReplacer("{{", "", "}}", "", `\u007B\u007B`, "", `\u007D\u007D`, "").Replace(string(data)))
		g, err = format.Parse(data, f, base, rdf.Limits{})
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return g
}

// everyPair writes g in each format, reads it, writes that in each format and
// reads it again.
func everyPair(t *testing.T, g *rdf.Graph) {
	t.Helper()
	if err := format.Servable(g); err != nil {
		t.Logf("not servable in every format: %v", err)
	}
	for _, first := range format.All() {
		a, err := format.Append(nil, g, first)
		if err != nil {
			if first == format.RDFXML && format.Servable(g) != nil {
				continue
			}
			t.Fatalf("%v: %v", first, err)
		}
		read, err := format.Parse(a, first, "", rdf.Limits{})
		if err != nil {
			t.Fatalf("%v: %v\n%s", first, err, a)
		}
		isomorphic(t, read, g)
		for _, second := range format.All() {
			b, err := format.Append(nil, read, second)
			if err != nil {
				if second == format.RDFXML && format.Servable(g) != nil {
					continue
				}
				t.Fatalf("%v after %v: %v", second, first, err)
			}
			again, err := format.Parse(b, second, "", rdf.Limits{})
			if err != nil {
				t.Fatalf("%v after %v: %v\n%s", second, first, err, b)
			}
			isomorphic(t, again, g)
		}
		if t.Failed() {
			if dump := os.Getenv("RDF_TEST_DUMP"); dump != "" {
				t.Logf("%s", a)
			}
			return
		}
	}
}
