package shape_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
)

const prefixes = `
@prefix : <http://ex.org/> .
@prefix oslc: <http://open-services.net/ns/core#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
`

const shapes = prefixes + `
:BugShape a oslc:ResourceShape ; oslc:describes :Bug ; dcterms:title "A bug" ;
  oslc:property
    [ oslc:name "title" ; oslc:propertyDefinition dcterms:title ; oslc:occurs oslc:Exactly-one ; oslc:valueType rdf:XMLLiteral ; oslc:maxSize 20 ],
    [ oslc:name "identifier" ; oslc:propertyDefinition dcterms:identifier ; oslc:occurs oslc:Zero-or-one ; oslc:valueType xsd:string ; oslc:readOnly true ],
    [ oslc:name "severity" ; oslc:propertyDefinition :severity ; oslc:occurs oslc:Zero-or-one ; oslc:allowedValue "low", "high" ; oslc:allowedValues :more ],
    [ oslc:name "votes" ; oslc:propertyDefinition :votes ; oslc:occurs oslc:Zero-or-many ; oslc:valueType xsd:integer ],
    [ oslc:name "when" ; oslc:propertyDefinition :when ; oslc:valueType xsd:dateTime ],
    [ oslc:name "done" ; oslc:propertyDefinition :done ; oslc:valueType xsd:boolean ],
    [ oslc:name "owner" ; oslc:propertyDefinition :owner ; oslc:occurs oslc:Zero-or-one ; oslc:valueType oslc:Resource ; oslc:range :Person ; oslc:representation oslc:Reference ],
    [ oslc:name "part" ; oslc:propertyDefinition :part ; oslc:occurs oslc:Zero-or-many ; oslc:valueType oslc:LocalResource ; oslc:representation oslc:Inline ; oslc:valueShape :PartShape ],
    [ oslc:name "near" ; oslc:propertyDefinition :near ; oslc:valueType oslc:AnyResource ; oslc:valueShape :BugShape ] .
:more a oslc:AllowedValues ; oslc:allowedValue "fatal" .
:PartShape a oslc:ResourceShape ; oslc:property
    [ oslc:name "name" ; oslc:propertyDefinition :name ; oslc:occurs oslc:One-or-many ; oslc:valueType xsd:string ] .
`

func parse(tb testing.TB, s string) *rdf.Graph {
	tb.Helper()
	g, err := turtle.Parse([]byte(s), "http://ex.org/", rdf.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func load(tb testing.TB) *shape.Set {
	tb.Helper()
	s, err := shape.Load(parse(tb, shapes))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func ExampleSet_Validate() {
	g, _ := turtle.Parse([]byte(shapes), "", rdf.Limits{})
	set, err := shape.Load(g)
	if err != nil {
		fmt.Println(err)
		return
	}
	bug, _ := turtle.Parse([]byte(prefixes+`:1 a :Bug ; :severity "none" .`), "", rdf.Limits{})
	fmt.Println(set.Validate(bug, "http://ex.org/1"))
	// Output:
	// <http://ex.org/1> <http://ex.org/severity>: oslc:allowedValue: "none" is not among the 3 allowed values; <http://ex.org/1> dcterms:title: oslc:occurs: there is no value
}

func TestClauses(t *testing.T) {
	t.Parallel()
	set := load(t)
	for _, c := range []struct {
		name, body string
		want       []shape.Clause
	}{
		{"right", `dcterms:title "x" ; dcterms:identifier "1" ; :severity "fatal" ; :votes 3, "4"^^xsd:int ; :when "2026-01-01T00:00:00Z"^^xsd:dateTime ; :done true ; :owner :ann ; :part [ :name "a", "b" ] ; :near [ a :Bug ; dcterms:title "y" ] ; :unknown 5`, nil},
		{"title missing", `:votes 1`, []shape.Clause{shape.ClauseOccurs}},
		{"two titles", `dcterms:title "x", "y"`, []shape.Clause{shape.ClauseOccurs}},
		{"one title per language", `dcterms:title "x"@en, "y"@de`, nil},
		{"two titles in a language", `dcterms:title "x"@en, "y"@EN`, []shape.Clause{shape.ClauseOccurs}},
		{"long title", `dcterms:title "éééééééééééééééééééé"`, nil},
		{"too long title", `dcterms:title "ééééééééééééééééééééé"`, []shape.Clause{shape.ClauseMaxSize}},
		{"marked up title", `dcterms:title "<b>x</b>"^^rdf:XMLLiteral`, nil},
		{"number as title", `dcterms:title 1`, []shape.Clause{shape.ClauseValueType}},
		{"number as string", `dcterms:title "x" ; dcterms:identifier 1`, []shape.Clause{shape.ClauseValueType}},
		{"severity", `dcterms:title "x" ; :severity "none"`, []shape.Clause{shape.ClauseAllowedValue}},
		{"string as number", `dcterms:title "x" ; :votes "1"`, []shape.Clause{shape.ClauseValueType}},
		{"no number", `dcterms:title "x" ; :votes "one"^^xsd:integer`, []shape.Clause{shape.ClauseValueType}},
		{"decimal as integer", `dcterms:title "x" ; :votes 1.5`, []shape.Clause{shape.ClauseValueType}},
		{"no instant", `dcterms:title "x" ; :when "yesterday"^^xsd:dateTime`, []shape.Clause{shape.ClauseValueType}},
		{"no boolean", `dcterms:title "x" ; :done "yes"^^xsd:boolean`, []shape.Clause{shape.ClauseValueType}},
		{"literal as resource", `dcterms:title "x" ; :owner "ann"`, []shape.Clause{shape.ClauseValueType}},
		{"blank reference", `dcterms:title "x" ; :owner [ :a 1 ]`, []shape.Clause{shape.ClauseValueType, shape.ClauseRepresentation}},
		{"class of the owner", `dcterms:title "x" ; :owner :rex . :rex a :Dog`, []shape.Clause{shape.ClauseRange}},
		{"part elsewhere", `dcterms:title "x" ; :part :p`, []shape.Clause{shape.ClauseValueType, shape.ClauseRepresentation}},
		{"part without a name", `dcterms:title "x" ; :part [ :a 1 ]`, []shape.Clause{shape.ClauseOccurs}},
		{"neighbour without a title", `dcterms:title "x" ; :near :2 . :2 a :Bug`, []shape.Clause{shape.ClauseOccurs}},
		{"itself as neighbour", `dcterms:title "x" ; :near :1`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := set.Validate(parse(t, prefixes+":1 a :Bug ; "+c.body+" ."), "http://ex.org/1")
			got := clauses(t, err)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v: %v", got, c.want, err)
			}
		})
	}
}

func clauses(t *testing.T, err error) []shape.Clause {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *shape.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *shape.Error", err)
	}
	var out []shape.Clause
	for _, v := range e.Violations {
		if v.Subject.IsZero() || v.Shape.IsZero() || v.Msg == "" || v.Property == "" && v.Clause != shape.ClauseDescribes {
			t.Errorf("incomplete violation %+v", v)
		}
		out = append(out, v.Clause)
	}
	return out
}

func TestChecks(t *testing.T) {
	t.Parallel()
	set := load(t)
	bug := rdf.NewIRI("http://ex.org/1")
	g := parse(t, prefixes+`:1 a :Bug ; dcterms:title "x" ; dcterms:identifier "1" .`)
	changed := parse(t, prefixes+`:1 a :Bug ; dcterms:title "y" ; dcterms:identifier "2" .`)
	cat := parse(t, prefixes+`:1 a :Cat .`)
	for _, c := range []struct {
		name  string
		g     *rdf.Graph
		check shape.Check
		want  []shape.Clause
	}{
		{"unchanged", g, shape.Check{Before: g}, nil},
		{"read-only", changed, shape.Check{Before: g}, []shape.Clause{shape.ClauseReadOnly}},
		{"strict", g, shape.Check{Strict: true}, []shape.Clause{shape.ClauseValueType}},
		{"named shape", g, shape.Check{Shapes: []string{"http://ex.org/BugShape"}}, nil},
		{"shape that does not apply", cat, shape.Check{Shapes: []string{"http://ex.org/BugShape"}}, []shape.Clause{shape.ClauseDescribes}},
		{"shape that is not there", g, shape.Check{Shapes: []string{"http://ex.org/None"}}, []shape.Clause{shape.ClauseDescribes}},
		{"class without a shape", cat, shape.Check{}, nil},
		{"shape for any class", cat, shape.Check{Shapes: []string{"http://ex.org/PartShape"}}, []shape.Clause{shape.ClauseOccurs}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := set.Check(c.g, bug, c.check)
			if got := clauses(t, err); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v: %v", got, c.want, err)
			}
		})
	}
}

func TestDepthIsLimited(t *testing.T) {
	t.Parallel()
	g := rdf.NewGraph()
	for i := range 50 {
		g.Node(fmt.Sprintf("http://ex.org/%d", i)).A("http://ex.org/Bug").String("http://purl.org/dc/terms/title", "x").
			Link("http://ex.org/near", fmt.Sprintf("http://ex.org/%d", i+1))
	}
	err := load(t).Validate(g, "http://ex.org/0")
	if got := clauses(t, err); !slices.Equal(got, []shape.Clause{shape.ClauseValueShape}) {
		t.Errorf("got %v: %v", got, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for _, property := range []string{
		`oslc:name "x"`,
		`oslc:propertyDefinition :x ; oslc:occurs oslc:Often`,
		`oslc:propertyDefinition :x ; oslc:representation oslc:Somewhere`,
		`oslc:propertyDefinition :x ; oslc:maxSize "many"`,
		`oslc:propertyDefinition :x ; oslc:maxSize 0`,
		`oslc:propertyDefinition :x ; oslc:readOnly "perhaps"`,
	} {
		if _, err := shape.Load(parse(t, prefixes+`:S a oslc:ResourceShape ; oslc:property [ `+property+` ] .`)); err == nil {
			t.Errorf("%s was loaded", property)
		}
	}
}

var isShape = regexp.MustCompile(`\sa\s+oslc:ResourceShape\s*[;.]`)

// Every shape that OASIS publishes loads, and all of them together.
func TestPublishedShapesLoad(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testkit.Shared(t, "oslc-vocab"), "*-shapes.ttl"))
	if err != nil || len(files) != 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var all []*rdf.Graph
	total := 0
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g, err := turtle.Parse(data, "http://ex.org/"+filepath.Base(file), rdf.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		set, err := shape.Load(g)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		if n := len(isShape.FindAll(data, -1)); len(set.All()) != n || n == 0 {
			t.Errorf("%s: %d shapes of %d", filepath.Base(file), len(set.All()), n)
		}
		total += len(set.All())
		all = append(all, g.Relabel(fmt.Sprintf("f%d-", i)))
	}
	set, err := shape.Load(all...)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.All()) != total {
		t.Errorf("together %d shapes, one by one %d", len(set.All()), total)
	}
	cr := set.For("http://open-services.net/ns/cm#ChangeRequest")
	if len(cr) == 0 || cr[0].Property("http://purl.org/dc/terms/title") == nil {
		t.Fatalf("no shape for change requests with a title: %v", cr)
	}
	g := parse(t, prefixes+`@prefix oslc_cm: <http://open-services.net/ns/cm#> . :1 a oslc_cm:ChangeRequest ; dcterms:identifier "1" .`)
	if got := clauses(t, set.Validate(g, "http://ex.org/1")); !slices.Contains(got, shape.ClauseOccurs) {
		t.Errorf("a change request without a title breaks %v", got)
	}
}

func BenchmarkValidate(b *testing.B) {
	set := load(b)
	g := parse(b, prefixes+`:1 a :Bug ; dcterms:title "x" ; dcterms:identifier "1" ; :votes 3 ; :part [ :name "a" ] .`)
	b.ReportAllocs()
	for b.Loop() {
		if err := set.Validate(g, "http://ex.org/1"); err != nil {
			b.Fatal(err)
		}
	}
}
