package rdf_test

import (
	"fmt"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

func ExampleGraph() {
	g := rdf.NewGraph()
	g.Node("https://jira.example/browse/PAY-12").
		A("http://open-services.net/ns/cm#ChangeRequest").
		String("http://purl.org/dc/terms/title", "It does not start").
		Time("http://purl.org/dc/terms/created", time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)).
		Link("http://purl.org/dc/terms/creator", "https://jira.example/users/ann", "")
	bug := g.OfType("http://open-services.net/ns/cm#ChangeRequest")[0]
	fmt.Println(g.Len(), g.Value(bug, "http://purl.org/dc/terms/title"))
	for t := range g.About(bug) {
		name, _ := rdf.Compact(t.P.Value)
		fmt.Println(name, t.O.Value)
	}
	// Output:
	// 4 It does not start
	// rdf:type http://open-services.net/ns/cm#ChangeRequest
	// dcterms:title It does not start
	// dcterms:created 2026-03-01T09:30:00.000Z
	// dcterms:creator https://jira.example/users/ann
}

func ExampleResolveIRI() {
	fmt.Println(rdf.ResolveIRI("https://bus.example/trs/log", "../events/7#e"))
	// Output: https://bus.example/events/7#e
}
