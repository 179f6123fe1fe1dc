package shape_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
)

// TestAddTo: a shape that is written is the shape that is read.
func TestAddTo(t *testing.T) {
	t.Parallel()
	const ns = "http://ex.org/"
	want := shape.Shape{
		Term: rdf.NewIRI(ns + "S"), Title: "Bugs &amp; more", Describes: []string{ns + "Bug"},
		Properties: []shape.Property{
			{
				Name: "a", Definition: ns + "a", Occurs: shape.ExactlyOne, ValueTypes: []string{rdf.XSDString},
				MaxSize: 20, Queryable: true, ReadOnly: true, Description: "plain", Default: rdf.String("x"),
				Allowed: []rdf.Term{rdf.String("x"), rdf.String("y")},
			},
			{
				Name: "b", Definition: ns + "b", Occurs: shape.ZeroOrMany, Representation: shape.Either, Range: []string{ns + "Person"},
				ValueTypes: []string{shape.AnyResource}, ValueShape: rdf.NewIRI(ns + "T"), Hidden: true, Member: true,
			},
		},
	}
	in := want
	in.Title = "Bugs & more" // text becomes XML
	g := rdf.NewGraph()
	in.AddTo(g, "p")
	set, err := shape.Load(g)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&want, set.Shape(ns+"S")); d != "" {
		t.Errorf("after writing and reading (-want +got):\n%s", d)
	}
}
