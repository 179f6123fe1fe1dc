package format_test

import (
	"fmt"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

func ExampleAppend() {
	g := rdf.NewGraph()
	g.Node("https://jira.example/events/7").
		A("http://open-services.net/ns/events#Event").
		String("http://purl.org/dc/terms/title", "PAY-12 was closed").
		Time("http://purl.org/dc/terms/created", time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)).
		Link("http://purl.org/dc/terms/references", "https://jira.example/browse/PAY-12")
	out, err := format.Append(nil, g, format.RDFXML)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(string(out))
	// Output:
	// <?xml version="1.0" encoding="UTF-8"?>
	// <rdf:RDF
	//     xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
	//     xmlns:dcterms="http://purl.org/dc/terms/"
	//     xmlns:oslc_events="http://open-services.net/ns/events#">
	//     <oslc_events:Event rdf:about="https://jira.example/events/7">
	//         <dcterms:created rdf:datatype="http://www.w3.org/2001/XMLSchema#dateTime">2026-03-01T09:30:00.000Z</dcterms:created>
	//         <dcterms:references rdf:resource="https://jira.example/browse/PAY-12"/>
	//         <dcterms:title>PAY-12 was closed</dcterms:title>
	//     </oslc_events:Event>
	// </rdf:RDF>
}

func ExampleParse() {
	body := []byte(`
@prefix oslc_cm: <http://open-services.net/ns/cm#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
<bugs/1> a oslc_cm:ChangeRequest ; dcterms:title "It does not start"@en .`)
	g, err := format.Parse(body, format.Turtle, "https://tracker.example/", rdf.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for t := range g.All() {
		fmt.Println(t.S.Value, t.P.Value, t.O.Value)
	}
	// Output:
	// https://tracker.example/bugs/1 http://www.w3.org/1999/02/22-rdf-syntax-ns#type http://open-services.net/ns/cm#ChangeRequest
	// https://tracker.example/bugs/1 http://purl.org/dc/terms/title It does not start
}

func ExampleNegotiate() {
	f, ok := format.Negotiate("application/ld+json;q=0.5, application/rdf+xml", "2.0")
	fmt.Println(f, ok)
	_, ok = format.Negotiate("image/png", "3.0")
	fmt.Println(ok)
	// Output:
	// rdfxml true
	// false
}
