package format_test

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the expected output of the golden file")

// The bytes of a document do not change from one version to the next unnoticed:
// entity tags and signatures are made of them.
func TestBytesAreTheSameInEveryVersion(t *testing.T) {
	t.Parallel()
	const file = "testdata/sample.txtar"
	g, err := format.Parse([]byte(sample), format.Turtle, "", rdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	g.AddGraph(event().Relabel("event-"))
	got := &txtar.Archive{Comment: []byte("One graph in every format.\n")}
	for _, f := range format.All() {
		b, err := format.Append(nil, g, f)
		if err != nil {
			t.Fatal(err)
		}
		got.Files = append(got.Files, txtar.File{Name: f.String(), Data: b})
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(txtar.Format(got))); diff != "" {
		t.Errorf("run with -update if this is meant\n%s", diff)
	}
}
