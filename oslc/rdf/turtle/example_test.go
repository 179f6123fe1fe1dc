package turtle_test

import (
	"errors"
	"fmt"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
)

func ExampleParse() {
	g, err := turtle.Parse([]byte(`@prefix dc: <http://purl.org/dc/terms/> . <1> a dc:Agent ; dc:title "x"@en , "y" .`), "http://ex.org/", rdf.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := turtle.Append(nil, g)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(string(out))
	// Output:
	// @prefix dcterms: <http://purl.org/dc/terms/> .
	//
	// <http://ex.org/1> a dcterms:Agent ;
	//     dcterms:title "x"@en ,
	//         "y" .
}

// What is wrong with a document has a place.
func ExampleParse_error() {
	_, err := turtle.Parse([]byte("<http://ex.org/1>\n  a \"x"), "", rdf.Limits{})
	if wrong, ok := errors.AsType[*rdf.SyntaxError](err); ok {
		fmt.Println(wrong.Line, wrong.Column, wrong.Kind, wrong.Msg)
	}
	// Output: 2 5 syntax string without an end
}
