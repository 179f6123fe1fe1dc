package diff_test

import (
	"fmt"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
)

// A patch is the value of trspatch:rdfPatch.
func ExampleDiff_Patch() {
	bug := func(status string) *rdf.Graph {
		g := rdf.NewGraph()
		g.Node("http://ex.org/1").String("http://open-services.net/ns/cm#status", status)
		return g
	}
	patch, err := diff.Between(bug("Open"), bug("Done")).Patch()
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := patch.Append(nil)
	fmt.Println(string(text))

	again, _ := diff.Parse(string(text), rdf.Limits{})
	after, err := again.Apply(bug("Open"))
	fmt.Println(after.Value(rdf.NewIRI("http://ex.org/1"), "http://open-services.net/ns/cm#status"), err)
	// Output:
	// D <http://ex.org/1> <http://open-services.net/ns/cm#status> "Open" .
	// A <http://ex.org/1> <http://open-services.net/ns/cm#status> "Done" .
	// Done <nil>
}
