package query_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

const (
	dcTitle = "http://purl.org/dc/terms/title"
	cmOwner = "http://open-services.net/ns/cm#owner"
)

func TestParse(t *testing.T) {
	t.Parallel()
	title := query.Where{{Property: dcTitle, Op: query.Equal, Values: []query.Value{{Term: rdf.String("a b;c"), Bare: true}}}}
	for raw, want := range map[string]*query.Query{
		"":                                     {},
		"oslc.where=dcterms:title=%22a+b;c%22": {Where: title},
		"oslc.where=dcterms%3Atitle%3D%22a%20b%3Bc%22&x=1&oslc.other=2":      {Where: title},
		"oslc.where%3Ddcterms%3Atitle%3D%22a%20b%3Bc%22":                     {Where: title},
		"oslc.where%3Ddcterms%3Atitle%3D%22a%20b%3Bc%22=":                    {Where: title},
		"oslc.where%3Ddcterms%253Atitle%253D%2522a%2520b%253Bc%2522=":        {Where: title},
		"oslc.where%3Ddcterms%3Atitle%3D%22a%20b%3Bc%22%26oslc.pageSize%3D7": {Where: title, PageSize: 7},
		"oslc.paging=true&oslc.pageSize=20&page=k&oslc.paging=true":          {Paged: query.PagingWanted, PageSize: 20, Page: "k"},
		"oslc.paging=false":                  {Paged: query.PagingRefused},
		"oslc.pageSize=99999999999999999999": {PageSize: 1 << 30},
		"oslc.where=&oslc.select=":           {},
		"oslc.select=rdf%3Anil":              {Select: query.Selection{}},
		"oslc.select=dcterms%3Atitle%2Coslc_cm%3Aowner%20%7Bdcterms%3Atitle,*%7D": {Select: query.Selection{{Property: dcTitle}, {Property: cmOwner, Nested: query.Selection{{Property: dcTitle}, {Property: "*"}}}}},
		"oslc.properties=rdfs:member%7B*%7D":                                      {Properties: query.Selection{{Property: "http://www.w3.org/2000/01/rdf-schema#member", Nested: query.Selection{{Property: "*"}}}}},
		"oslc.orderBy=+dcterms:title,-oslc_cm:owner,oslc_cm:owner{-dcterms:title,%2Boslc_cm:owner}": {OrderBy: []query.Sort{
			{Path: []string{dcTitle}},
			{Path: []string{cmOwner}, Descending: true},
			{Path: []string{cmOwner, dcTitle}, Descending: true},
			{Path: []string{cmOwner, cmOwner}},
		}},
		"oslc.searchTerms=%22log+in%22,%22a%5C%22b%22": {Search: []string{"log in", `a"b`}},
		"oslc.prefix=qm=<http://example.com/qm%23>,dcterms=<http://example.com/mine/>&oslc.select=qm:a,dcterms:b": {
			Prefixes: []rdf.Prefix{{Name: "qm", IRI: "http://example.com/qm#"}, {Name: "dcterms", IRI: "http://example.com/mine/"}},
			Select:   query.Selection{{Property: "http://example.com/qm#a"}, {Property: "http://example.com/mine/b"}},
		},
	} {
		got, err := query.Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", raw, d)
		}
		again, err := query.Parse(got.Values().Encode())
		if err != nil {
			t.Errorf("%s is printed as %v: %v", raw, got.Values(), err)
		} else if d := cmp.Diff(got, again); d != "" {
			t.Errorf("%s is printed as %v (-read +again):\n%s", raw, got.Values(), d)
		}
	}
}

func TestParseRefused(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"oslc.where=title":    "oslc.where: at 1",
		"oslc.where=nope:a=1": `unknown prefix "nope"`,
		"oslc.where=dcterms:title=1&oslc.where=dcterms:title=2": "twice",
		"oslc.where=%zz":                                             "invalid URL escape",
		"oslc.where=dcterms:title=%22%FF%22":                         "UTF-8",
		"oslc.where=dcterms:title=%22a%22%5E%5E<x>":                  "IRI",
		"oslc.where=" + strings.Repeat("dcterms:a=1+and+", 65):       "64 conditions",
		"oslc.where=dcterms:a+in+[1" + strings.Repeat(",1", 1000):    "1000 values",
		"oslc.where=dcterms:a=%22" + strings.Repeat("x", 64<<10):     "65536 bytes",
		"oslc.select=dcterms:title,":                                 "oslc.select",
		"oslc.select=dcterms:title,rdf:nil":                          "rdf:nil",
		"oslc.select=dcterms:title{}":                                "prefixed name",
		"oslc.select=dcterms:title{dcterms:a":                        "}",
		"oslc.select=" + strings.Repeat("dcterms:a{", 40):            "deeper",
		"oslc.select=dcterms:a" + strings.Repeat(",dcterms:a", 256):  "256 properties",
		"oslc.orderBy=%2B":                                           "oslc.orderBy",
		"oslc.orderBy=-oslc:score":                                   "oslc:score",
		"oslc.orderBy=-dcterms:a{-dcterms:b}":                        "innermost",
		"oslc.orderBy=dcterms:a{-dcterms:b":                          "}",
		"oslc.orderBy=-dcterms:a" + strings.Repeat(",-dcterms:a", 8): "8 keys",
		"oslc.searchTerms=a":                                         `expected "`,
		"oslc.searchTerms=%22a":                                      "closing",
		"oslc.searchTerms=%22a%22" + strings.Repeat(",%22a%22", 16):  "16 search",
		"oslc.prefix=a":                                              "expected =",
		"oslc.prefix=a=http://x/":                                    "expected <",
		"oslc.prefix=a=<x>":                                          "IRI",
		"oslc.prefix=a=<http://x/>,a=<http://x/>":                    "twice",
		"oslc.prefix==<http://x/>":                                   "expected a prefix",
		"oslc.prefix=1=<http://x/>":                                  "expected a prefix",
		"oslc.paging=yes":                                            "oslc.paging",
		"oslc.pageSize=0":                                            "oslc.pageSize",
		"oslc.pageSize=-1":                                           "no number",
		"oslc.pageSize=1e3":                                          "no number",
	} {
		_, err := query.Parse(raw)
		if !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want kind invalid with %q", raw, err, want)
		}
	}
}

func TestWhere_Uses(t *testing.T) {
	t.Parallel()
	q, err := query.Parse("oslc.where=" + url.QueryEscape(`dcterms:title="a" and oslc_cm:owner{dcterms:title="b" and *=1}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{cmOwner, dcTitle}, q.Where.Uses()); d != "" {
		t.Error(d)
	}
}

// A scope looks into the graph itself and into those of other resources.
func TestWhere_MatchIn(t *testing.T) {
	t.Parallel()
	g := rdf.NewGraph()
	g.Node("http://x/1").Link(cmOwner, "http://x/2")
	other := rdf.NewGraph()
	other.Node("http://x/2").String(dcTitle, "two").Link(cmOwner, "http://x/1")
	lookup := func(iri string) *rdf.Graph { return map[string]*rdf.Graph{"http://x/1": g, "http://x/2": other}[iri] }
	q, err := query.Parse(`oslc.where=oslc_cm:owner{dcterms:title="two" and oslc_cm:owner{oslc_cm:owner=<http://x/2>}}`)
	if err != nil {
		t.Fatal(err)
	}
	s := rdf.NewIRI("http://x/1")
	if !q.Where.MatchIn(g, s, lookup) {
		t.Error("the other resource is not looked into")
	}
	if q.Where.Match(g, s) {
		t.Error("a match without the other resource")
	}
}

// What can be read is printed so that it reads the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`oslc.where=dcterms:title="x" and oslc_cm:a{*:b in [1,2.0,-.5,<http://x/>,true,"y"@en,"z"^^<http://t/>,"1"^^xsd:boolean]}`,
		`oslc.select=*,dcterms:title{oslc_cm:a}&oslc.orderBy=-dcterms:a,x:b{+x:c}&oslc.prefix=x=<http://x/>`,
		`oslc.searchTerms="a b","\"\\"&oslc.paging=false&oslc.pageSize=5&page=z`,
		`oslc.where%3Ddcterms%3Atitle%3D%22x%22`, `oslc.select=rdf:nil`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := query.Parse(raw)
		if err != nil {
			if !errors.Is(err, oslc.Invalid) {
				t.Fatal(err)
			}
			return
		}
		printed := q.Values().Encode()
		again, err := query.Parse(printed)
		if err != nil {
			t.Fatalf("%q is printed as %q: %v", raw, printed, err)
		}
		if d := cmp.Diff(q, again); d != "" {
			t.Fatalf("%q is printed as %q (-read +again):\n%s", raw, printed, d)
		}
		for i := range q.Where {
			if q.Where[i].Op != query.Scoped {
				q.Where[i].Ranges()
			}
		}
		q.Where.Match(sample(), rdf.NewIRI("http://example.com/1"))
	})
}
