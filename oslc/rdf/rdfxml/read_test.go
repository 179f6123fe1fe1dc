package rdfxml_test

import (
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/rdfxml"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
)

// Documents as OSLC tools write them, and what they mean.
func TestParse(t *testing.T) {
	t.Parallel()
	const (
		open = `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:oslc="http://open-services.net/ns/core#"` +
			` xmlns:trs="http://open-services.net/ns/core/trs#" xmlns:oslc_cm="http://open-services.net/ns/cm#"` +
			` xmlns:dcterms="http://purl.org/dc/terms/" xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#">`
		end    = `</rdf:RDF>`
		prefix = `@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix oslc: <http://open-services.net/ns/core#> .
@prefix trs: <http://open-services.net/ns/core/trs#> . @prefix oslc_cm: <http://open-services.net/ns/cm#> .
@prefix dcterms: <http://purl.org/dc/terms/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
`
	)
	for _, c := range []struct{ name, doc, want string }{
		{
			"change log with nested events", open + `<trs:ChangeLog rdf:about="http://h/log"><trs:change><trs:Creation rdf:about="urn:e:1"><trs:changed rdf:resource="http://h/1"/>
<trs:order rdf:datatype="http://www.w3.org/2001/XMLSchema#integer">1</trs:order></trs:Creation></trs:change><trs:change>
<trs:Deletion rdf:about="urn:e:2"><trs:changed rdf:resource="http://h/2"/></trs:Deletion></trs:change></trs:ChangeLog>` + end,
			`<http://h/log> a trs:ChangeLog ; trs:change <urn:e:1>, <urn:e:2> . <urn:e:1> a trs:Creation ; trs:changed <http://h/1> ; trs:order 1 .
<urn:e:2> a trs:Deletion ; trs:changed <http://h/2> .`,
		},
		{
			"flat change log", open + `<rdf:Description rdf:about="urn:e:1"><rdf:type rdf:resource="http://open-services.net/ns/core/trs#Creation"/></rdf:Description>` + end,
			`<urn:e:1> a trs:Creation .`,
		},
		{
			"link label by rdf:ID", open + `<oslc_cm:ChangeRequest rdf:about="http://h/1"><oslc_cm:relatedChangeRequest rdf:ID="link1" rdf:resource="http://h/2"/></oslc_cm:ChangeRequest>
<rdf:Description rdf:about="#link1"><dcterms:title>Bug 2</dcterms:title></rdf:Description>` + end,
			`<http://h/1> a oslc_cm:ChangeRequest ; oslc_cm:relatedChangeRequest <http://h/2> .
<http://base/doc#link1> a rdf:Statement ; rdf:subject <http://h/1> ; rdf:predicate oslc_cm:relatedChangeRequest ; rdf:object <http://h/2> ; dcterms:title "Bug 2" .`,
		},
		{
			"markup with its own namespace", open + `<rdf:Description rdf:about="http://h/1"><dcterms:description rdf:parseType="Literal"><div xmlns="http://www.w3.org/1999/xhtml" class="a"><!--x--><br/>&lt;</div></dcterms:description></rdf:Description>` + end,
			`<http://h/1> dcterms:description """<div xmlns="http://www.w3.org/1999/xhtml" class="a"><!--x--><br></br>&lt;</div>"""^^rdf:XMLLiteral .`,
		},
		{
			"markup with a prefix from outside", open + `<rdf:Description rdf:about="http://h/1"><dcterms:description rdf:parseType="Literal"><dcterms:b xmlns:c="http://c/" c:z="1" a="2"/></dcterms:description></rdf:Description>` + end,
			`<http://h/1> dcterms:description """<dcterms:b xmlns:c="http://c/" xmlns:dcterms="http://purl.org/dc/terms/" a="2" c:z="1"></dcterms:b>"""^^rdf:XMLLiteral .`,
		},
		{
			"nested nodes without an IRI or a space", open + `<oslc:ServiceProvider rdf:about="http://h/sp"><oslc:service><oslc:Service><oslc:domain rdf:resource="http://open-services.net/ns/cm#"/></oslc:Service></oslc:service></oslc:ServiceProvider>` + end,
			`<http://h/sp> a oslc:ServiceProvider ; oslc:service [ a oslc:Service ; oslc:domain <http://open-services.net/ns/cm#> ] .`,
		},
		{
			"no rdf:RDF", `<oslc:Error xmlns:oslc="http://open-services.net/ns/core#" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><oslc:statusCode>400</oslc:statusCode><oslc:message xml:lang="en">No</oslc:message></oslc:Error>`,
			`[] a oslc:Error ; oslc:statusCode "400" ; oslc:message "No"@en .`,
		},
		{
			"collection and containers", open + `<rdf:Description rdf:about="http://h/1"><oslc:x rdf:parseType="Collection"><rdf:Description rdf:about="http://h/a"/><oslc:Y/></oslc:x>
<oslc:z><rdf:Seq><rdf:li>a</rdf:li><rdf:li rdf:resource="http://h/b"/></rdf:Seq></oslc:z><oslc:e rdf:parseType="Collection"/></rdf:Description>` + end,
			`<http://h/1> oslc:x ( <http://h/a> [ a oslc:Y ] ) ; oslc:z [ a rdf:Seq ; rdf:_1 "a" ; rdf:_2 <http://h/b> ] ; oslc:e () .`,
		},
		{
			"parseType Resource and property attributes", open + `<rdf:Description rdf:about="http://h/1" dcterms:title="t" xml:lang="de"><oslc:x rdf:parseType="Resource"><dcterms:title>in</dcterms:title></oslc:x><oslc:y dcterms:title="out"/></rdf:Description>` + end,
			`<http://h/1> dcterms:title "t"@de ; oslc:x [ dcterms:title "in"@de ] ; oslc:y [ dcterms:title "out"@de ] .`,
		},
		{
			"labelled nodes", open + `<rdf:Description rdf:nodeID="a"><oslc:x rdf:nodeID="b"/></rdf:Description><rdf:Description rdf:nodeID="b"><oslc:x rdf:nodeID="a"/></rdf:Description>` + end,
			`_:x oslc:x _:y . _:y oslc:x _:x .`,
		},
		{
			"base that changes", open + `<rdf:Description xml:base="http://other/x/" rdf:about="a"><oslc:x rdf:resource="../b?c=%2F%22#d"/></rdf:Description><rdf:Description rdf:about="a"><oslc:x>1</oslc:x></rdf:Description>` + end,
			`<http://other/x/a> oslc:x <http://other/b?c=%2F%22#d> . <http://base/a> oslc:x "1" .`,
		},
		{
			"entities, CDATA and line ends", `<!DOCTYPE rdf:RDF [<!ENTITY dc "http://purl.org/dc/terms/">]>` + open + "<rdf:Description rdf:about=\"&dc;x\"><oslc:x>a<![CDATA[<&>]]>\r\nb&#13;&amp;</oslc:x></rdf:Description>" + end,
			`<http://purl.org/dc/terms/x> oslc:x "a<&>\nb\r&" .`,
		},
		{
			"document type with other declarations", `<?xml version="1.0"?><!-- c --><!DOCTYPE rdf:RDF PUBLIC "a" "http://h/x.dtd" [<!ELEMENT x (y)> <!-- d ] --> <?p ]?> <!ATTLIST x a CDATA "]>">
<!ENTITY e "one"><!ENTITY e "two">]>` + open + `<rdf:Description rdf:about="http://h/1" dcterms:title="&e;"/>` + end,
			`<http://h/1> dcterms:title "one" .`,
		},
		{
			"white space and quotes in markup", open + "<rdf:Description rdf:about=\"http://h/1\"><dcterms:title rdf:parseType=\"Literal\"><a b='\"&#9;&#10;&#13;&amp;&lt;'/>&#13;</dcterms:title></rdf:Description>" + end,
			`<http://h/1> dcterms:title '<a b="&quot;&#x9;&#xA;&#xD;&amp;&lt;"></a>&#xD;'^^rdf:XMLLiteral .`,
		},
		{
			"attributes without a prefix", open + `<rdf:Description about="http://h/1"><oslc:x resource="http://h/2"/></rdf:Description>` + end,
			`<http://h/1> oslc:x <http://h/2> .`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := rdfxml.Parse([]byte(c.doc), "http://base/doc", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want, err := turtle.Parse([]byte(prefix+c.want), "", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if same, err := canon.Isomorphic(got, want); err != nil || !same {
				x, _ := canon.NQuads(got)
				y, _ := canon.NQuads(want)
				t.Errorf("got\n%s\nwant\n%s", x, y)
			}
		})
	}
}

func TestErrorsNameTheirPlace(t *testing.T) {
	t.Parallel()
	_, err := rdfxml.Parse([]byte("<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n  <a:b/>\n</rdf:RDF>"), "", rdf.Limits{})
	const want = `rdfxml: line 2, column 9: prefix "a" is not declared`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
