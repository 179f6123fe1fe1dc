package format_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// A program is another reader, started as a command that turns a file into N-Triples.
type program struct {
	name string
	args func(f format.Format) []string // nil if it does not read f
}

var programs = []program{
	{"rapper", func(f format.Format) []string {
		if f == format.JSONLD {
			return nil
		}
		return []string{"-q", "-o", "ntriples", "-i", f.String()}
	}},
	{"serdi", func(f format.Format) []string {
		if f != format.Turtle && f != format.NTriples {
			return nil
		}
		return []string{"-q", "-o", "ntriples", "-i", f.String()}
	}},
}

func (p program) read(t *testing.T, file string, f format.Format) (*rdf.Graph, error) {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), p.name, append(p.args(f), file, documentBase)...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w %s", p.name, err, stderr.Bytes())
	}
	return format.Parse(out.Bytes(), format.NTriples, "", rdf.Limits{})
}

// alike compares graphs but for the case of language tags, which says nothing
// (RDF 1.1, section 3.3): rapper changes it.
func alike(t *testing.T, a, b *rdf.Graph) bool {
	t.Helper()
	lower := func(g *rdf.Graph) *rdf.Graph {
		out := rdf.NewGraph()
		for tr := range g.All() {
			tr.O.Lang = strings.ToLower(tr.O.Lang)
			out.AddTriple(tr)
		}
		return out
	}
	same, err := canon.Isomorphic(lower(a), lower(b))
	if err != nil {
		t.Error(err)
	}
	return same
}

const documentBase = "http://base.example/doc"

// wrongElsewhere are the documents of the W3C that a program reads otherwise than
// the W3C's own result for them says.
var wrongElsewhere = map[string][]string{
	"rapper": {
		"rdfms-xmllang/test006.rdf", // xml:lang beside a property attribute
		"rdf-turtle/IRI-resolution-08.ttl",
		// U+007F and other controls
		"rdf-turtle/LITERAL1_all_controls.ttl", "rdf-turtle/LITERAL1_ascii_boundaries.ttl", "rdf-turtle/LITERAL2_ascii_boundaries.ttl",
		"rdf-turtle/LITERAL_LONG1_ascii_boundaries.ttl", "rdf-turtle/LITERAL_LONG2_ascii_boundaries.ttl",
		"rdf-n-triples/literal_all_controls.nt", "rdf-n-triples/literal_ascii_boundaries.nt",
	},
	"serdi": {
		"rdf-turtle/IRI-resolution-01.ttl", "rdf-turtle/IRI-resolution-02.ttl", "rdf-turtle/IRI-resolution-07.ttl", "rdf-turtle/IRI-resolution-08.ttl",
		"rdf-turtle/turtle-syntax-number-08.ttl", // 123.
	},
}

// What the W3C's documents mean to us they mean to rapper and serdi, but for those
// that these get wrong: their results differ from the suite's own.
func TestProgramsReadWhatWeRead(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(p.name); err != nil {
				t.Skipf("%s is not installed; apt-get install raptor2-utils serdi", p.name)
			}
			for _, c := range []struct {
				dir, pattern string
				format       format.Format
				agree        int // of the documents that both read
			}{
				{"rdf-tests/rdf-xml", "*/*.rdf", format.RDFXML, 120},
				{"rdf-tests/rdf-turtle", "*.ttl", format.Turtle, 200},
				{"rdf-tests/rdf-n-triples", "*.nt", format.NTriples, 38},
				{"oslc/rdfxml", "*.rdf", format.RDFXML, 50},
				{"oslc/turtle", "*.ttl", format.Turtle, 45},
			} {
				if p.args(c.format) == nil {
					continue
				}
				files, _ := filepath.Glob(filepath.Join(testkit.Shared(t, "testdata"), filepath.FromSlash(c.dir), filepath.FromSlash(c.pattern)))
				agree := 0
				var differ []string
				for _, file := range files {
					data, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					ours, err := format.Parse(data, c.format, documentBase, rdf.Limits{})
					if err != nil {
						continue
					}
					theirs, err := p.read(t, file, c.format)
					if err != nil {
						continue
					}
					name := filepath.ToSlash(filepath.Join(filepath.Base(filepath.Dir(file)), filepath.Base(file)))
					if alike(t, ours, theirs) {
						agree++
					} else if differ = append(differ, name); !slices.Contains(wrongElsewhere[p.name], name) {
						t.Errorf("%s: read otherwise", name)
					}
				}
				t.Logf("%s: %d of %d documents read alike, %d read otherwise: %v", c.dir, agree, len(files), len(differ), differ)
				if agree < c.agree {
					t.Errorf("%s: they agree on %d documents, want %d", c.dir, agree, c.agree)
				}
			}
		})
	}
}

// What we write of the documents of OSLC projects, the programs read as the same graph.
func TestProgramsReadWhatWeWrite(t *testing.T) {
	t.Parallel()
	var graphs []*rdf.Graph
	for _, s := range []string{sample, "<http://ex.org/a> <http://ex.org/p> \"\"\"\n\t\\\\ \\\"x\\\" é€😀 <&>\"\"\"@de-AT ."} {
		g, err := format.Parse([]byte(s), format.Turtle, "", rdf.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		graphs = append(graphs, g)
	}
	graphs = append(graphs, event(), page(20))
	files, _ := filepath.Glob(filepath.Join(testkit.Shared(t, "testdata", "oslc"), "*", "*.nt"))
	for i := 0; i < len(files); i += 5 {
		data, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		g, err := format.Parse(data, format.NTriples, "", rdf.Limits{})
		if err == nil && format.Servable(g) == nil {
			graphs = append(graphs, g)
		}
	}
	if len(graphs) < 20 {
		t.Errorf("only %d graphs", len(graphs))
	}
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(p.name); err != nil {
				t.Skipf("%s is not installed; apt-get install raptor2-utils serdi", p.name)
			}
			file := filepath.Join(t.TempDir(), "document")
			for i, g := range graphs {
				for _, f := range format.All() {
					if p.args(f) == nil {
						continue
					}
					b, err := format.Append(nil, g, f)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, b, 0o600); err != nil {
						t.Fatal(err)
					}
					got, err := p.read(t, file, f)
					if err != nil {
						t.Fatalf("graph %d in %v: %v\n%s", i, f, err, b)
					}
					if !alike(t, got, g) {
						t.Errorf("graph %d in %v: another graph\n%s", i, f, b)
					}
				}
			}
		})
	}
}
