package format_test

import (
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

const sample = `
@prefix : <http://ex.org/> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix oslc: <http://open-services.net/ns/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:z a oslc:ServiceProvider, :Thing ; oslc:service :svc, [ a oslc:Service ; oslc:domain :d ; oslc:creationFactory [ oslc:creation :c ] ] ;
   :n 1, 2.5, 3e0, true, "x"@en-GB, "<&>\"'\r\n\t\u00e9", "1"^^:dt ; :l ( :a :b [ :p "q" ] ) , ( 1 "two" ) ; :e () .
:svc a oslc:Service ; oslc:domain :other .
:m :lit "<b>a</b>"^^rdf:XMLLiteral, "<b>a"^^rdf:XMLLiteral, "a &amp; b"^^rdf:XMLLiteral .
_:x :knows _:y . _:y :knows _:x . [] :odd "8" ; :shared _:x .
`

func TestEveryFormatWritesWhatItReads(t *testing.T) {
	t.Parallel()
	g, err := format.Parse([]byte(sample), format.Turtle, "", rdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range format.All() {
		b, err := format.Append(nil, g, f)
		if err != nil {
			t.Fatalf("%v: %v", f, err)
		}
		h, err := format.Parse(b, f, "", rdf.Limits{})
		if err != nil {
			t.Fatalf("%v: %v\n%s", f, err, b)
		}
		if h.Len() != g.Len() {
			t.Errorf("%v: wrote %d triples, read %d\n%s", f, g.Len(), h.Len(), b)
		}
		if testing.Verbose() {
			t.Logf("%s", b)
		}
		again, _ := format.Append(nil, h, f)
		if string(again) != string(b) {
			t.Errorf("%v: the same graph gave other bytes\n%s\n%s", f, b, again)
		}
		if !strings.Contains(string(b), "http") {
			t.Errorf("%v wrote nothing", f)
		}
	}
}
