package canon_test

import (
	"fmt"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
)

func ExampleIsomorphic() {
	knows := func(label string) *rdf.Graph {
		g := rdf.NewGraph()
		g.NodeOf(rdf.NewBlank(label)).String("http://xmlns.com/foaf/0.1/name", "Ann")
		return g
	}
	same, err := canon.Isomorphic(knows("x"), knows("node17"))
	fmt.Println(same, err)
	// Output: true <nil>
}

func ExampleNQuads() {
	g := rdf.NewGraph()
	g.Node("http://ex.org/1").Add("http://ex.org/by", rdf.NewBlank("somebody"))
	lines, err := canon.NQuads(g)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(string(lines))
	// Output: <http://ex.org/1> <http://ex.org/by> _:c14n0 .
}
