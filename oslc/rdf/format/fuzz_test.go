package format_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

func FuzzRDFXML(f *testing.F)   { fuzz(f, format.RDFXML, "rdf-xml", "*.rdf") }
func FuzzTurtle(f *testing.F)   { fuzz(f, format.Turtle, "rdf-turtle", "*.ttl") }
func FuzzNTriples(f *testing.F) { fuzz(f, format.NTriples, "rdf-n-triples", "*.nt") }
func FuzzJSONLD(f *testing.F)   { fuzz(f, format.JSONLD, "", "") }

// fuzz checks that a reader neither panics nor hangs, and that what it has read
// is the same graph after it was written and read again, in every format.
func fuzz(f *testing.F, in format.Format, suite, pattern string) {
	for _, s := range []string{
		`.3`, `<>''''x'`, `<\u0073\`, `<http://a\U00000073mple/\U`, `<\u000E\`, `<?>0`,
		`{"@id":"http://a/","@type":["http://b/"],"http://p/":[{"@value":"x","@language":"en"},{"@list":[1,2.5,true]},{"http://q/":null}]}`,
		`{"@context":{"e":"http://ex.org/","@vocab":"http://v/","@language":"de"},"@graph":[{"@id":"e:a","b":{"@id":"_:x"}},{"@id":"_:x","c":12345678901234567890}]}`,
	} {
		f.Add([]byte(s))
	}
	b, err := format.Append(nil, event(), in)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	g, err := format.Parse([]byte(sample), format.Turtle, "", rdf.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	if b, err = format.Append(nil, g, in); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	if suite != "" {
		dir := filepath.Join(testkit.Root(f), "..", "shared", "testdata", "rdf-tests", suite)
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		more, _ := filepath.Glob(filepath.Join(dir, "*", pattern))
		for _, file := range append(files, more...) {
			if data, err := os.ReadFile(file); err == nil {
				f.Add(data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := format.Parse(data, in, "http://base.example/doc", rdf.Limits{MaxBytes: 1 << 16})
		if err != nil {
			if !errors.As(err, new(*rdf.SyntaxError)) {
				t.Fatalf("%v is no SyntaxError", err)
			}
			return
		}
		want, err := canon.NQuadsWithin(g, 200)
		servable := format.Servable(g) == nil
		for _, out := range format.All() {
			b, writeErr := format.Append(nil, g, out)
			if writeErr != nil {
				if servable || out != format.RDFXML {
					t.Fatalf("%v: %v\n%q", out, writeErr, data)
				}
				continue
			}
			if err := wellFormed(b, out); err != nil {
				t.Fatalf("%v: %v\n%q\n%s", out, err, data, b)
			}
			again, readErr := format.Parse(b, out, "", rdf.Limits{})
			if readErr != nil {
				t.Fatalf("%v: %v\n%q\n%s", out, readErr, data, b)
			}
			if !servable && out == format.RDFXML || err != nil {
				continue
			}
			if got, err := canon.NQuadsWithin(again, 400); err == nil && string(got) != string(want) {
				t.Fatalf("%v: another graph\n%q\nwritten\n%s\nread\n%s\nwant\n%s", out, data, b, got, want)
			}
		}
	})
}
