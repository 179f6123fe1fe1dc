package processor_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/piprate/json-gold/ld"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const vocab = `"@vocab":"http://ex.org/"`
	for _, c := range []struct{ name, doc, want string }{
		{
			"typed term", `{"@context":{"made":{"@id":"http://ex.org/made","@type":"http://www.w3.org/2001/XMLSchema#date"}},"@id":"http://a/","made":"2026-01-01"}`,
			`<http://a/> <http://ex.org/made> "2026-01-01"^^<http://www.w3.org/2001/XMLSchema#date> .`,
		},
		{
			"reverse", `{"@context":{` + vocab + `},"@id":"http://a/","@reverse":{"p":{"@id":"http://b/"}}}`,
			`<http://b/> <http://ex.org/p> <http://a/> .`,
		},
		{
			"large integer", `{"@context":{` + vocab + `},"@id":"http://a/","p":9007199254740993}`,
			`<http://a/> <http://ex.org/p> "9007199254740993"^^<http://www.w3.org/2001/XMLSchema#integer> .`,
		},
		{
			"large @value", `{"@context":{` + vocab + `},"@id":"http://a/","p":{"@value":-9007199254740993}}`,
			`<http://a/> <http://ex.org/p> "-9007199254740993"^^<http://www.w3.org/2001/XMLSchema#integer> .`,
		},
		{
			"our context", `{"@context":["https://oslcbus.github.io/ns/context.jsonld",{"made":{"@id":"dcterms:created","@type":"xsd:date"}}],"@id":"http://a/","@type":"oslc_cm:Defect","made":"2026-01-01"}`,
			`<http://a/> <http://purl.org/dc/terms/created> "2026-01-01"^^<http://www.w3.org/2001/XMLSchema#date> .
<http://a/> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://open-services.net/ns/cm#Defect> .`,
		},
		{"relative", `{"@context":{` + vocab + `},"@id":"x","p":"v"}`, `<http://base/x> <http://ex.org/p> "v" .`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, err := processor.Parse([]byte(c.doc), "http://base/", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := canon.NQuads(g)
			if err != nil || strings.TrimSpace(string(got)) != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
			viaHook, err := format.Parser{JSONLD: processor.Parse}.Parse([]byte(c.doc), format.JSONLD, "http://base/", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if same, err := canon.Isomorphic(g, viaHook); err != nil || !same {
				t.Errorf("through format.Parser it reads otherwise (%v)", err)
			}
		})
	}
}

func TestNothingOutsideTheDocumentIsRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "context.json")
	if err := os.WriteFile(file, []byte(`{"@context":{"p":"http://ex.org/p"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, iri := range []string{file, "file://" + file, "http://127.0.0.1:1/c", "https://schema.org/", "relative"} {
		doc := `{"@context":"` + filepath.ToSlash(iri) + `","@id":"http://a/","p":"v"}`
		g, err := processor.Parse([]byte(doc), "http://base/", rdf.Limits{})
		var e *rdf.SyntaxError
		if !errors.As(err, &e) || e.Kind != rdf.FaultUnsupported {
			t.Errorf("%s: got %v and %v", iri, g, err)
		}
	}
	p := processor.Processor{Contexts: map[string][]byte{"https://ex.org/c": []byte(`{"@context":{"p":"http://ex.org/p"}}`)}}
	g, err := p.Parse([]byte(`{"@context":"https://ex.org/c","@id":"http://a/","p":"v"}`), "", rdf.Limits{})
	if err != nil || g.Len() != 1 {
		t.Errorf("a context that is held: %v, %v", g, err)
	}
}

func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"deep":        strings.Repeat(`{"http://a/":`, 5000),
		"large":       `{"a":"` + strings.Repeat("x", 2<<20) + `"}`,
		"named graph": `{"@id":"http://a/","@graph":[{"@id":"http://b/","http://p/":"x"}]}`,
		"panic":       `{"@context":{"@version":1.1,"l":{"@id":"http://p/","@container":"@list"}},"l":[[{"@list":[]}],[[]]],"@type":{}}`,
		"no JSON":     `<rdf:RDF/>`,
	} {
		if g, err := processor.Parse([]byte(doc), "", rdf.Limits{}); err == nil {
			t.Errorf("%s: read %d triples", name, g.Len())
		} else if !errors.As(err, new(*rdf.SyntaxError)) {
			t.Errorf("%s: %v is no SyntaxError", name, err)
		}
	}
}

// An error of the processor has the place of what it is about.
func TestErrorsHaveAPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, doc    string
		line, column int
		kind         rdf.Fault
	}{
		{"a node's @id", "{\"@graph\":[\n {\"@id\":\"http://a/\",\"http://p/\":\"x\"},\n {\"@id\":7,\"http://p/\":\"y\"},\n {\"@id\":\"http://c/\"}]}", 3, 3, rdf.FaultSyntax},
		{"a term of the context", "{\"@context\":{\n  \"p\":\"http://ex.org/p\",\n  \"q\":{\"@id\":5}},\n \"p\":\"x\",\"q\":\"y\"}", 3, 7, rdf.FaultSyntax},
		{"a value of a type", "{\"http://p/\":\"x\",\n\"http://q/\":[\"y\",{\"@value\":\"z\",\n\"@language\":\"en\",\"@type\":\"http://t/\"}]}", 2, 19, rdf.FaultSyntax},
		{"a remote context", "{\"http://p/\":\"x\",\n\"@context\":[{},\"https://schema.org/\"]}", 2, 1, rdf.FaultUnsupported},
		{"a named graph", "{\"@id\":\"http://a/\",\n\"@graph\":[{\"@id\":\"http://b/\",\"http://p/\":\"x\"}]}", 1, 2, rdf.FaultUnsupported},
		{"two of them", "[\n{\"@id\":7},\n{\"@id\":8}]", 0, 0, rdf.FaultSyntax},
		{"after a byte order mark", "\ufeff{\"@id\":7}", 1, 2, rdf.FaultSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := processor.Parse([]byte(c.doc), "", rdf.Limits{})
			var e *rdf.SyntaxError
			if !errors.As(err, &e) || e.Line != c.line || e.Column != c.column || e.Kind != c.kind {
				t.Errorf("got %v (%v), want line %d, column %d, %v", err, e.Kind, c.line, c.column, c.kind)
			}
		})
	}
}

// What Append writes means to a full processor what it means to our reader, and
// so do the documents that our reader understands.
func TestAppendMeansTheSameToEveryReader(t *testing.T) {
	t.Parallel()
	dir := testkit.Shared(t, "testdata", "oslc", "turtle")
	files, _ := filepath.Glob(filepath.Join(dir, "*.nt"))
	if len(files) < 50 {
		t.Fatalf("only %d documents", len(files))
	}
	for i, file := range files {
		if i%4 != 0 && !testkit.InCI() {
			continue // the processor is slow; a quarter of the documents is enough at the desk
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := format.Parse(data, format.NTriples, "", rdf.Limits{})
		if err != nil || want.Len() > 1500 {
			continue
		}
		doc, err := jsonld.Append(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := processor.Parse(doc, "", rdf.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if same, err := canon.Isomorphic(got, want); err != nil || !same {
			t.Errorf("%s: the processor reads another graph (%v)", file, err)
		}
	}
}

// The canonical form agrees with the one of json-gold.
func TestCanonicalFormAgrees(t *testing.T) {
	t.Parallel()
	dir := testkit.Shared(t, "testdata", "oslc", "rdfxml")
	files, _ := filepath.Glob(filepath.Join(dir, "*.nt"))
	n := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g, err := format.Parse(data, format.NTriples, "", rdf.Limits{})
		if err != nil || strings.Contains(string(data), `\t`) {
			continue // json-gold leaves control characters as they are
		}
		got, err := canon.NQuads(g)
		if err != nil {
			t.Fatal(err)
		}
		opts := ld.NewJsonLdOptions("")
		opts.InputFormat, opts.Format, opts.Algorithm = "application/n-quads", "application/n-quads", ld.AlgorithmURDNA2015
		want, err := ld.NewJsonLdProcessor().Normalize(string(got), opts)
		if err != nil {
			continue // some literals are beyond the N-Quads reader of json-gold
		}
		n++
		lines := strings.SplitAfter(want.(string), "\n")
		slices.Sort(lines)
		if strings.Join(lines, "") != string(got) {
			t.Errorf("%s: json-gold gives\n%s\nwe give\n%s", file, want, got)
		}
	}
	if n < 30 {
		t.Errorf("only %d documents could be compared", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, doc := range []string{
		`{"@context":{"made":{"@id":"http://ex.org/made","@type":"@id"}},"@id":"http://a/","made":"2026-01-01"}`,
		`{"@context":{"@vocab":"http://ex.org/"},"@id":"x","@reverse":{"p":{"@id":"http://b/"}},"q":{"@list":[1,[2.5,true]]}}`,
		`{"@context":[{"@version":1.1,"t":{"@id":"http://t/","@container":"@index","@context":{"u":"http://u/"}}},null],"@graph":[{"@included":[]}]}`,
		`{"@context":"https://oslcbus.github.io/ns/context.jsonld","@id":"http://a/","dcterms:title":{"@value":"x","@language":"EN","@direction":"ltr"}}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := processor.Parse(data, "http://base.example/doc", rdf.Limits{MaxBytes: 1 << 12})
		if err != nil {
			if !errors.As(err, new(*rdf.SyntaxError)) {
				t.Fatalf("%v is no SyntaxError", err)
			}
			return
		}
		b, err := jsonld.Append(nil, g)
		if err != nil {
			t.Fatalf("%v\n%q", err, data)
		}
		again, err := jsonld.Parse(b, "", rdf.Limits{})
		if err != nil {
			t.Fatalf("%v\n%q\n%s", err, data, b)
		}
		want, err := canon.NQuadsWithin(g, 200)
		if err != nil {
			return
		}
		if got, err := canon.NQuadsWithin(again, 400); err == nil && string(got) != string(want) {
			t.Fatalf("another graph\n%q\n%s\n%s", data, got, want)
		}
	})
}
