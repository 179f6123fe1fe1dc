package mapping_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

const ns = "https://example.org/ns#"

func TestAdd(t *testing.T) {
	t.Parallel()
	doc, err := mapping.ParseJSON([]byte(`{
		"s": "text", "i": 12, "big": 9223372036854775807, "d": 1.5, "e": 1e400, "b": true, "n": null, "o": {"b": 1, "a": [2]},
		"list": ["x", "y"], "none": [], "link": "https://example.org/1", "no link": "one two",
		"when": "2026-11-21T09:30:00.125+0100", "gitlab": "2026-11-21 10:00:00 UTC", "ms": 1795253400125, "open": "open", "other": "?",
		"people": [{"name": {"first": "Ann"}}, {}, {"name": {"first": "Bob"}}, 7]
	}`))
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{"open": "false", "closed": "true"}
	for _, c := range []struct {
		p    mapping.Property
		want string // as N-Triples has the object; empty: nothing
		odd  bool
	}{
		{p: mapping.Property{Path: "s"}, want: `"text"`},
		{p: mapping.Property{Path: "i"}, want: `"12"^^<http://www.w3.org/2001/XMLSchema#integer>`},
		{p: mapping.Property{Path: "big"}, want: `"9223372036854775807"^^<http://www.w3.org/2001/XMLSchema#integer>`},
		{p: mapping.Property{Path: "d"}, want: `"1.5"^^<http://www.w3.org/2001/XMLSchema#decimal>`},
		{p: mapping.Property{Path: "e"}, want: `"1e400"^^<http://www.w3.org/2001/XMLSchema#double>`},
		{p: mapping.Property{Path: "b"}, want: `"true"^^<http://www.w3.org/2001/XMLSchema#boolean>`},
		{p: mapping.Property{Path: "n"}},
		{p: mapping.Property{Path: "none"}},
		{p: mapping.Property{Path: "absent.deeper"}},
		{p: mapping.Property{Path: "o"}, want: `"{\"a\":[2],\"b\":1}"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON>`},
		{p: mapping.Property{Path: "o.a.0"}, want: `"2"^^<http://www.w3.org/2001/XMLSchema#integer>`},
		{p: mapping.Property{Path: "o.a.1"}},
		{p: mapping.Property{Path: "people.*.name.first"}, want: `"[\"Ann\",\"Bob\"]"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON>`},
		{p: mapping.Property{Path: "list.*.name"}},
		{p: mapping.Property{Path: "s.*"}},
		{p: mapping.Property{Path: "link", Datatype: "iri"}, want: `<https://example.org/1>`},
		{p: mapping.Property{Path: "no link", Datatype: "iri"}, odd: true},
		{p: mapping.Property{Path: "when", Datatype: "xsd:dateTime"}, want: `"2026-11-21T08:30:00.125Z"^^<http://www.w3.org/2001/XMLSchema#dateTime>`},
		{p: mapping.Property{Path: "gitlab", Datatype: "xsd:dateTime"}, want: `"2026-11-21T10:00:00.000Z"^^<http://www.w3.org/2001/XMLSchema#dateTime>`},
		{p: mapping.Property{Path: "ms", Datatype: "xsd:dateTime"}, want: `"2026-11-21T09:30:00.125Z"^^<http://www.w3.org/2001/XMLSchema#dateTime>`},
		{p: mapping.Property{Path: "s", Datatype: "xsd:dateTime"}, odd: true},
		{p: mapping.Property{Path: "s", Datatype: "xsd:boolean"}, odd: true},
		{p: mapping.Property{Path: "d", Datatype: "xsd:integer"}, odd: true},
		{p: mapping.Property{Path: "s", Datatype: "xsd:decimal"}, odd: true},
		{p: mapping.Property{Path: "e", Datatype: "xsd:double"}, odd: true},
		{p: mapping.Property{Path: "d", Datatype: "xsd:double"}, want: `"1.5"^^<http://www.w3.org/2001/XMLSchema#double>`},
		{p: mapping.Property{Path: "s", Datatype: ns + "code"}, want: `"text"^^<` + ns + `code>`},
		{p: mapping.Property{Path: "open", Datatype: "xsd:boolean", Values: states}, want: `"false"^^<http://www.w3.org/2001/XMLSchema#boolean>`},
		{p: mapping.Property{Path: "other", Datatype: "xsd:boolean", Values: states}},
		{p: mapping.Property{Path: "other", Datatype: "iri", Values: map[string]string{"*": "oslc_cm:Inprogress"}}, want: `<http://open-services.net/ns/cm#Inprogress>`},
	} {
		c.p.Predicate = ns + "p"
		r, err := mapping.Resource{Kind: "k", Types: []string{ns + "T"}, Title: "t", Properties: []mapping.Property{c.p}}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		g := rdf.NewGraph()
		fits := mapping.Add(g.Node("urn:x"), r.Properties[0], doc.At(c.p.Path))
		var out string
		if b, err := format.Append(nil, g, format.NTriples); err != nil {
			t.Error(err)
		} else if len(b) > 0 {
			out = strings.TrimSuffix(strings.TrimPrefix(string(b), "<urn:x> <"+ns+"p> "), " .\n")
		}
		if out != c.want || fits == c.odd {
			t.Errorf("%s as %q: got %s, fits %v; want %s", c.p.Path, c.p.Datatype, out, fits, c.want)
		}
	}
	var items []string
	for v := range doc.At("list").Items() {
		items = append(items, v.Text())
	}
	if !slices.Equal(items, []string{"x", "y"}) {
		t.Errorf("items are %q", items)
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*mapping.Resource){
		"types and title are required":      func(r *mapping.Resource) { r.Types = nil },
		`kind "a/b" does not fit`:           func(r *mapping.Resource) { r.Kind = "a/b" },
		`kind "" does not fit`:              func(r *mapping.Resource) { r.Kind = "" },
		`type: "nowhere" is neither an IRI`: func(r *mapping.Resource) { r.Types = []string{"nowhere"} },
		"a property has no path":            func(r *mapping.Resource) { r.Properties = []mapping.Property{{Predicate: "dcterms:subject"}} },
		"is set by the bus": func(r *mapping.Resource) {
			r.Properties = []mapping.Property{{Path: "p", Predicate: "dcterms:identifier"}}
		},
		`datatype of "p"`: func(r *mapping.Resource) {
			r.Properties = []mapping.Property{{Path: "p", Predicate: "dcterms:subject", Datatype: "no"}}
		},
		`values of "p": x becomes "maybe"`: func(r *mapping.Resource) {
			r.Properties = []mapping.Property{{Path: "p", Predicate: "oslc_cm:closed", Datatype: "xsd:boolean", Values: map[string]string{"x": "maybe"}}}
		},
	} {
		r := mapping.Resource{Kind: "k", Types: []string{"oslc_cm:ChangeRequest"}, Title: "t"}
		change(&r)
		if _, err := r.Compile(); err == nil || !strings.Contains(err.Error(), want) || oslc.KindOf(err) != oslc.Invalid {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"dcterms:title":                   "http://purl.org/dc/terms/title",
		"http:Request":                    "http://www.w3.org/2011/http#Request",
		"http://www.bugzilla.org/rdf#tag": "http://www.bugzilla.org/rdf#tag",
		"https://example.org/ns#a":        "https://example.org/ns#a",
		"urn:example:a":                   "urn:example:a",
		"nowhere":                         "",
		"":                                "",
		"two words":                       "",
	} {
		if got, err := mapping.Expand(name); got != want || (err == nil) == (want == "") {
			t.Errorf("%q gives %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestParseJSON(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "{", `{"a":1} x`, "nul", `{"a":1}{}`} {
		if _, err := mapping.ParseJSON([]byte(bad)); oslc.KindOf(err) != oslc.Invalid {
			t.Errorf("%q gives %v, want kind invalid", bad, err)
		}
	}
	j, err := mapping.ParseJSON([]byte(` "2026-11-21T10:00:00Z" `))
	if err != nil || !j.Time().Equal(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v, %v", j.Time(), err)
	}
}
