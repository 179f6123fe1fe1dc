package jsonld_test

import (
	"fmt"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
)

func ExampleAppend() {
	g := rdf.NewGraph()
	g.Node("https://bus.example/bugs/1").A("http://open-services.net/ns/cm#Defect").Int("http://purl.org/dc/terms/extent", 12345678901234567)
	out, err := jsonld.Append(nil, g)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(string(out))
	// Output:
	// {
	//   "@context": {
	//     "dcterms": "http://purl.org/dc/terms/",
	//     "oslc_cm": "http://open-services.net/ns/cm#",
	//     "xsd": "http://www.w3.org/2001/XMLSchema#"
	//   },
	//   "@id": "https://bus.example/bugs/1",
	//   "@type": "oslc_cm:Defect",
	//   "dcterms:extent": {"@type": "xsd:integer", "@value": "12345678901234567"}
	// }
}

// Documents of other systems, whose contexts give terms types, take the processor.
func ExampleNeedsProcessor() {
	doc := []byte(`{"@context":{"owner":{"@id":"http://ex.org/owner","@type":"@id"}},"@id":"http://ex.org/1","owner":"http://ex.org/ann"}`)
	_, err := jsonld.Parse(doc, "", rdf.Limits{})
	fmt.Println(jsonld.NeedsProcessor(err))
	g, err := format.Parser{JSONLD: processor.Parse}.Parse(doc, format.JSONLD, "", rdf.Limits{})
	fmt.Println(g.Len(), err)
	// Output:
	// true
	// 1 <nil>
}
