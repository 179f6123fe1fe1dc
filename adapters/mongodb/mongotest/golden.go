package mongotest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Golden checks a mapping against the txtar files of a folder. Each has a document
// in "document.json" (Extended JSON), documents that it refers to in files named
// after their collection and the field that is their key, such as
// "trigger_d_b.ref.jsonl", and the resource in "want.ttl", or the error in
// "want.error"; "want.warnings" has the warnings. What a Remapper derives is
// checked too. With update the files are written anew.
func Golden(t *testing.T, folder string, m mongodb.Mapping, uri string, update bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var d mongodb.Doc
			refs := refTable{}
			want := map[string]string{}
			var input []txtar.File
			for _, f := range a.Files {
				switch {
				case strings.HasPrefix(f.Name, "want."):
					want[f.Name] = string(f.Data)
					continue
				case f.Name == "document.json":
					if d, err = mongodb.DocFromJSON(f.Data); err != nil {
						t.Fatal(err)
					}
				default:
					refs.add(t, f)
				}
				input = append(input, f)
			}
			if r, ok := m.(mongodb.Remapper); ok {
				remap(t, r, d, uri, refs)
			}
			res, err := m.Map(d, uri, refs)
			got := map[string]string{}
			if err != nil {
				got["want.error"] = err.Error() + "\n"
			} else {
				text, err := format.Append(nil, res.Graph, format.Turtle)
				if err != nil {
					t.Fatal(err)
				}
				got["want.ttl"] = string(text)
				if len(res.Warnings) > 0 {
					got["want.warnings"] = strings.Join(res.Warnings, "\n") + "\n"
				}
			}
			if update {
				a.Files = input
				for _, name := range []string{"want.ttl", "want.error", "want.warnings"} {
					if got[name] != "" {
						a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(got[name])})
					}
				}
				if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, name := range []string{"want.error", "want.warnings"} {
				if want[name] != got[name] {
					t.Errorf("%s: got %q, want %q", name, got[name], want[name])
				}
			}
			if want["want.ttl"] == "" || got["want.ttl"] == "" {
				if want["want.ttl"] != got["want.ttl"] {
					t.Errorf("got %q, want %q", got["want.ttl"], want["want.ttl"])
				}
				return
			}
			wanted, err := format.Parse([]byte(want["want.ttl"]), format.Turtle, uri, rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if same, err := canon.Isomorphic(wanted, res.Graph); err != nil || !same {
				t.Errorf("the resource differs (%v); got\n%s\nwant\n%s", err, got["want.ttl"], want["want.ttl"])
			}
		})
	}
}

// remap checks that a resource that is derived is the one that the document maps
// to, whichever of its fields changed to whatever.
func remap(t *testing.T, m mongodb.Remapper, d mongodb.Doc, uri string, refs mongodb.References) {
	t.Helper()
	before, err := m.Map(d, uri, refs)
	if err != nil {
		return // there is nothing to derive from
	}
	last := before.Graph.Without(func(rdf.Triple) bool { return false })
	last.Node(uri).Time(vocab.DCTermsModified, time.Unix(1, 0))
	for name := range d.All() {
		unset, err := mongodb.DocFromJSON([]byte(`{"":` + strconv.Quote(name) + `}`))
		if err != nil {
			t.Fatal(err)
		}
		deltas := []mongodb.Delta{{Unset: unset}}
		for _, value := range []string{"true", "false", "null", "7", `"x"`, `{"a":"b"}`, `["c"]`} {
			set, err := mongodb.DocFromJSON([]byte("{" + strconv.Quote(name) + ":" + value + "}"))
			if err != nil {
				t.Fatal(err)
			}
			deltas = append(deltas, mongodb.Delta{Set: set})
		}
		for _, delta := range deltas {
			after, err := delta.Apply(d)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := m.Remap(last, after, uri, []string{name})
			if !ok {
				continue
			}
			want, err := m.Map(after, uri, refs)
			if err != nil || len(want.Warnings) > 0 || !slices.Equal(want.Hidden, before.Hidden) {
				t.Errorf("Remap takes %v, which has to be mapped as a whole: %v", delta, err)
				continue
			}
			if same, err := canon.Isomorphic(got, want.Graph); err != nil || !same {
				t.Errorf("Remap of %v has %v, want %v", delta, got.Triples(), want.Graph.Triples())
			}
		}
	}
}

// refTable is a mongodb.References: collection -> key -> document.
type refTable map[string]map[string]mongodb.Doc

func (r refTable) add(t *testing.T, f txtar.File) {
	t.Helper()
	parts := strings.Split(f.Name, ".")
	if len(parts) != 3 {
		t.Fatalf("%s is neither a document nor named COLLECTION.KEY.jsonl", f.Name)
	}
	r[parts[0]] = map[string]mongodb.Doc{}
	for line := range bytes.Lines(f.Data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		d, err := mongodb.DocFromJSON(line)
		if err != nil {
			t.Fatal(err)
		}
		r[parts[0]][d.Str(parts[1])] = d
	}
}

// Find returns a document by its key.
func (r refTable) Find(collection, key string) (mongodb.Doc, bool) {
	d, ok := r[collection][key]
	return d, ok
}
