package query_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

func prefixes(p string) (string, bool) {
	m := map[string]string{
		"dcterms": "http://purl.org/dc/terms/", "ex": "http://example.com/ns#",
		"xsd": rdf.XSD, "rdf": rdf.NS, "": "http://example.com/default#",
	}
	iri, ok := m[p]
	return iri, ok
}

func sample() *rdf.Graph {
	g := rdf.NewGraph()
	n := g.Node("http://example.com/1").A("http://example.com/ns#Thing").
		String("http://purl.org/dc/terms/title", `He said "a\b"`).
		Add("http://purl.org/dc/terms/description", rdf.InLanguage("Hallo", "de")).
		Bool("http://example.com/ns#open", false).
		Int("http://example.com/ns#size", 7).
		String("http://example.com/ns#tag", "red", "blue").
		Link("http://example.com/ns#owner", "http://example.com/p").
		Add("http://purl.org/dc/terms/modified", rdf.Typed("2026-11-21T10:00:00+01:00", rdf.XSDDateTime))
	n.Add("http://example.com/ns#price", rdf.Typed("1.50", rdf.XSDDecimal))
	g.Node("http://example.com/p").String("http://example.com/ns#name", "Ann")
	return g
}

func TestWhere(t *testing.T) {
	t.Parallel()
	g, s := sample(), rdf.NewIRI("http://example.com/1")
	for where, want := range map[string]bool{
		`dcterms:title="He said \"a\\b\""`:                 true,
		`dcterms:title="other"`:                            false,
		`dcterms:title="He said \"a\\b\""^^xsd:string`:     true,
		`dcterms:title="He said \"a\\b\""^^rdf:XMLLiteral`: true,
		`dcterms:description="Hallo"`:                      true,
		`dcterms:description="Hallo"@de`:                   true,
		`dcterms:description="Hallo"@en`:                   false,
		`ex:open=false`:                                    true,
		`ex:open=true`:                                     false,
		`ex:open!=true`:                                    true,
		`ex:size=7`:                                        true,
		`ex:size=7.0`:                                      true,
		`ex:size="7"^^xsd:integer`:                         true,
		`ex:size>6 and ex:size<8`:                          true,
		`ex:size>=7 and ex:size<=7`:                        true,
		`ex:size>7`:                                        false,
		`ex:price=1.5`:                                     true,
		`ex:price<"2"^^xsd:decimal`:                        true,
		`ex:tag="blue"`:                                    true,
		`ex:tag in ["green","red"]`:                        true,
		`ex:tag in ["green"]`:                              false,
		`ex:owner=<http://example.com/p>`:                  true,
		`ex:owner=ex:p`:                                    false,
		`ex:owner{ex:name="Ann"}`:                          true,
		`ex:owner{ex:name="Bob"}`:                          false,
		`ex:owner { ex:name = "Ann" } and ex:open = false`: true,
		`rdf:type=ex:Thing`:                                true,
		`*="red"`:                                          true,
		`*="pink"`:                                         false,
		`dcterms:modified="2026-11-21T09:00:00Z"^^xsd:dateTime`:      true,
		`dcterms:modified>"2026-11-21T09:30:00+01:00"^^xsd:dateTime`: true,
		`dcterms:modified>"2026-11-21T10:00:00.001Z"^^xsd:dateTime`:  false,
		`ex:missing="x"`:  false,
		`ex:missing!="x"`: false,
	} {
		w, err := query.ParseWhere(where, prefixes)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		if got := w.Match(g, s); got != want {
			t.Errorf("%s: got %t, want %t", where, got, want)
		}
	}
}

func TestWhereRefused(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]string{
		``:                            "prefixed name",
		`title="x"`:                   "prefixed name",
		`nope:title="x"`:              `unknown prefix "nope"`,
		`dcterms:title`:               "comparison",
		`dcterms:title="x`:            "closing",
		`dcterms:title="a\x"`:         "backslash",
		`dcterms:title=`:              "value",
		`dcterms:title="x" or ex:a=1`: "unexpected",
		`ex:a in "x"`:                 "[",
		`ex:a in ["x"`:                "]",
		`ex:a{ex:b=1`:                 "}",
		`ex:a=<no iri>`:               "IRI",
		`ex:a="x"@`:                   "language",
		`ex:a=+`:                      "value",
		strings.Repeat("ex:a{", 40) + "ex:b=1" + strings.Repeat("}", 40): "deeper",
	} {
		_, err := query.ParseWhere(where, prefixes)
		if !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want kind invalid with %q", where, err, want)
		}
	}
}

func FuzzParseWhere(f *testing.F) {
	f.Add(`dcterms:title="x" and ex:a{ex:b in [1,2.0,<http://x/>,true,"y"@en]}`)
	f.Fuzz(func(t *testing.T, s string) {
		w, err := query.ParseWhere(s, prefixes)
		if err == nil && len(w) == 0 {
			t.Error("no terms and no error")
		}
		w.Match(sample(), rdf.NewIRI("http://example.com/1"))
	})
}
