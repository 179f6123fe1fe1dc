package jsonld_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, doc, want string }{
		{
			"types and links", `{"@context":{"e":"http://e/"},"@id":"http://a/","@type":["e:T","e:U"],"e:p":{"@id":"x"},"e:q":["s",{"@id":"e:y"}]}`,
			`<http://a/> a <http://e/T>, <http://e/U> ; <http://e/p> <http://base/x> ; <http://e/q> "s", <http://e/y> .`,
		},
		{
			"vocabulary and language", `{"@context":{"@vocab":"http://v/","@language":"de","name":"http://n/name"},"@id":"http://a/","name":"x","p":{"@value":"y","@language":"en"}}`,
			`<http://a/> <http://n/name> "x"@de ; <http://v/p> "y"@en .`,
		},
		{
			"numbers", `{"@context":{"@vocab":"http://v/"},"@id":"http://a/","i":[1,-0,12345678901234567890123,5.0,1e3],"d":[5.5,1e30],"b":true,"n":null,
"t":[{"@value":5,"@type":"http://www.w3.org/2001/XMLSchema#double"},{"@value":"7","@type":"http://www.w3.org/2001/XMLSchema#byte"}]}`,
			`<http://a/> <http://v/i> 1, 0, 12345678901234567890123, 5, 1000 ; <http://v/d> 5.5E0, 1.0E30 ; <http://v/b> true ; <http://v/t> 5.0E0, "7"^^<http://www.w3.org/2001/XMLSchema#byte> .`,
		},
		{
			"lists", `{"@context":{"@vocab":"http://v/"},"@id":"http://a/","l":{"@list":[1,{"@id":"http://b/"},[],["x"],null,{"@list":["y"]},{"@list":[]}]},"e":{"@list":[]}}`,
			`<http://a/> <http://v/l> ( 1 <http://b/> "x" ("y") () ) ; <http://v/e> () .`,
		},
		{
			"sets and nesting", `{"@context":{"@vocab":"http://v/"},"@id":"http://a/","s":{"@set":["x",["y"]]},"n":{"p":{"q":1}}}`,
			`<http://a/> <http://v/s> "x", "y" ; <http://v/n> [ <http://v/p> [ <http://v/q> 1 ] ] .`,
		},
		{
			"blank nodes", `[{"@id":"_:x","http://p/":{"@id":"_:y"}},{"@id":"_:y","@type":"_:t"}]`,
			`_:a <http://p/> _:b . _:b a _:c .`,
		},
		{
			"graph", `{"@context":{"e":"http://e/"},"@graph":[{"@id":"e:a","e:p":"1"},{"@id":"e:b","e:p":"2"}]}`,
			`<http://e/a> <http://e/p> "1" . <http://e/b> <http://e/p> "2" .`,
		},
		{"key that is no IRI", `{"@id":"http://a/","name":"x","http://p/":"y"}`, `<http://a/> <http://p/> "y" .`},
		{"base", `{"@context":{"@base":"http://other/x/"},"@id":"../a","http://p/":{"@id":""}}`, `<http://other/a> <http://p/> <http://other/x/> .`},
		{
			"arrays and sets at the top", `[[{"@id":"http://a/","http://p/":1}],{"@set":[{"@id":"http://b/","http://p/":2}]},{"@value":"x"},"y",null]`,
			`<http://a/> <http://p/> 1 . <http://b/> <http://p/> 2 .`,
		},
		{"one object as graph", `{"@graph":{"@id":"http://a/","http://p/":"x"}}`, `<http://a/> <http://p/> "x" .`},
		{"nodes behind a key that is no predicate", `{"_:p":{"@id":"http://a/","http://p/":"x"}}`, `<http://a/> <http://p/> "x" .`},
		{"empty", `[]`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := jsonld.Parse([]byte(c.doc), "http://base/", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want, err := turtle.Parse([]byte(c.want), "", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, want)
			if strings.Contains(c.doc, "12345678901234567890123") {
				return // beyond what the processor keeps beside small numbers
			}
			full, err := processor.Parse([]byte(c.doc), "http://base/", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			same(t, full, want)
		})
	}
}

func same(t *testing.T, got, want *rdf.Graph) {
	t.Helper()
	if ok, err := canon.Isomorphic(got, want); err != nil || !ok {
		x, _ := canon.NQuads(got)
		y, _ := canon.NQuads(want)
		t.Errorf("got\n%s\nwant\n%s (%v)", x, y, err)
	}
}

func TestWhatTakesAProcessor(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		`{"@context":"http://c/","a":1}`, `{"@context":["http://c/"],"a":1}`, `{"@context":[{"a":"http://a/"},{"b":"http://b/"}]}`,
		`{"@context":{"p":{"@id":"http://p/","@type":"@id"}},"p":"http://x/"}`, `{"@context":{"id":"@id"},"id":"http://x/"}`,
		`{"@context":{"e":"http://e/","f":"e:f"},"f":"x"}`, `{"@context":{"@vocab":"rel"},"f":"x"}`,
		`{"@id":"http://a/","@graph":[]}`, `{"http://p/":{"@context":{},"http://q/":"x"}}`, `{"x":{"@context":{}}}`, `[{"@list":["x"]}]`, `{"@id":"@foo"}`,
		`{"@reverse":{"http://p/":{"@id":"http://a/"}}}`, `{"@included":[{"@id":"http://a/"}]}`,
		`{"http://p/":{"@value":{},"@type":"@json"}}`, `{"http://p/":{"@value":"x","@direction":"rtl"}}`, `{"@foo":"x"}`,
		`[{"@context":{"a":"http://a/"},"a":"x"}]`,
	} {
		g, err := jsonld.Parse([]byte(doc), "http://base/", rdf.Limits{})
		if !jsonld.NeedsProcessor(err) {
			t.Errorf("%s: %v, %v", doc, g, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		``, `{`, `"x"`, `null`, `{} {}`, `{"@id":5}`, `{"@type":{}}`, `{"http://p/":{"@value":"x","@type":"t t"}}`,
		`{"http://p/":{"@value":"x","@language":"e n"}}`, `{"http://p/":{"@value":5,"@language":"en"}}`, `{"http://p/":{"@value":"x","@language":null}}`,
		`{"http://p/":{"@value":"x","@language":"en","@type":"http://t/"}}`, `{"http://p/":{"@list":[],"@id":"http://a/"}}`,
		`{"http://p/":1e999}`, `{"@context":{"@language":5}}`, `{"@context":{"@base":5}}`,
	} {
		g, err := jsonld.Parse([]byte(doc), "http://base/", rdf.Limits{})
		if !errors.As(err, new(*rdf.SyntaxError)) || jsonld.NeedsProcessor(err) {
			t.Errorf("%s: %v, %v", doc, g.Triples(), err)
		}
	}
}

// One resource is one object; keys are sorted and every typed value is a string.
func TestAppend(t *testing.T) {
	t.Parallel()
	g := rdf.NewGraph()
	n := g.Node("http://ex.org/1").A("http://open-services.net/ns/cm#ChangeRequest").
		Int("http://ex.org/votes", 9007199254740993).String("http://purl.org/dc/terms/title", "x")
	g.NodeOf(rdf.NewBlank("p")).String("http://xmlns.com/foaf/0.1/name", "Ann")
	n.Add("http://purl.org/dc/terms/creator", rdf.NewBlank("p"))
	const want = `{
  "@context": {
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "oslc_cm": "http://open-services.net/ns/cm#",
    "xsd": "http://www.w3.org/2001/XMLSchema#"
  },
  "@id": "http://ex.org/1",
  "@type": "oslc_cm:ChangeRequest",
  "dcterms:creator": {
    "foaf:name": "Ann"
  },
  "dcterms:title": "x",
  "http://ex.org/votes": {"@type": "xsd:integer", "@value": "9007199254740993"}
}
`
	got, err := jsonld.Append(nil, g)
	if err != nil || string(got) != want {
		t.Errorf("got\n%s\nwant\n%s (%v)", got, want, err)
	}
	empty, err := jsonld.Append(nil, rdf.NewGraph())
	if err != nil || !json.Valid(empty) {
		t.Errorf("an empty graph is %s (%v)", empty, err)
	}
}

// Trees deeper than what is nested do not end up in one object.
func TestDeepTrees(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{38, 39, 40, 41, 42, 43, 90, 500} {
		g := rdf.NewGraph()
		last := g.Node("http://ex.org/top").Term()
		for i := range depth {
			next := rdf.NewBlank(strings.Repeat("n", i+1))
			g.Add(last, "http://p/", next)
			g.Add(last, "http://p/", rdf.Int(int64(i)))
			last = next
		}
		g.Add(last, "http://p/", rdf.String("end"))
		b, err := jsonld.Append(nil, g)
		if err != nil || !json.Valid(b) {
			t.Fatalf("depth %d: %v\n%s", depth, err, b)
		}
		h, err := jsonld.Parse(b, "", rdf.Limits{})
		if err != nil {
			t.Fatalf("depth %d: %v", depth, err)
		}
		if h.Len() != g.Len() {
			t.Errorf("depth %d: %d triples, want %d", depth, h.Len(), g.Len())
		}
	}
}
