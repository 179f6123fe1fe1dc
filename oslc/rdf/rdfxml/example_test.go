package rdfxml_test

import (
	"fmt"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/rdfxml"
)

const event = `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:trs="http://open-services.net/ns/core/trs#">
  <trs:ChangeLog rdf:about="https://bus.example/trs#log">
    <trs:change>
      <trs:Creation rdf:about="urn:example:1"><trs:changed rdf:resource="https://bus.example/bugs/1"/></trs:Creation>
    </trs:change>
  </trs:ChangeLog>
</rdf:RDF>`

func ExampleParse() {
	g, err := rdfxml.Parse([]byte(event), "", rdf.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range g.OfType("http://open-services.net/ns/core/trs#Creation") {
		fmt.Println(s.Value, g.Value(s, "http://open-services.net/ns/core/trs#changed"))
	}
	// Output: urn:example:1 https://bus.example/bugs/1
}

func ExampleEach() {
	n := 0
	err := rdfxml.Each(event, "", rdf.Limits{}, func(rdf.Triple) error {
		n++
		return nil
	})
	fmt.Println(n, err)
	// Output: 4 <nil>
}

func ExampleAppend() {
	g := rdf.NewGraph()
	g.Node("https://bus.example/bugs/1").A("http://open-services.net/ns/cm#Defect").String("http://purl.org/dc/terms/title", "<Back> & retry")
	out, err := rdfxml.Append(nil, g)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(string(out))
	// Output:
	// <?xml version="1.0" encoding="UTF-8"?>
	// <rdf:RDF
	//     xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
	//     xmlns:dcterms="http://purl.org/dc/terms/"
	//     xmlns:oslc_cm="http://open-services.net/ns/cm#">
	//     <oslc_cm:Defect rdf:about="https://bus.example/bugs/1">
	//         <dcterms:title>&lt;Back&gt; &amp; retry</dcterms:title>
	//     </oslc_cm:Defect>
	// </rdf:RDF>
}
