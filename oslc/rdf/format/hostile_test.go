package format_test

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"go.uber.org/goleak"
)

const rdfStart = `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://ex.org/">`

type hostileDocument struct {
	name   string
	format format.Format
	doc    string
	kind   rdf.Fault
}

// hostile are inputs that end, hang or mislead other readers.
func hostile() []hostileDocument {
	property := func(content string) string {
		return rdfStart + `<e:A rdf:about="http://ex.org/a">` + content + `</e:A></rdf:RDF>`
	}
	var namespaces, attributes strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&namespaces, ` xmlns:n%d="http://n/%d"`, i, i)
	}
	for i := range 200_000 {
		fmt.Fprintf(&attributes, ` e:a%d=""`, i)
	}
	return []hostileDocument{
		// Crashes found by fuzzing other libraries.
		{"number without a start", format.Turtle, `.3`, rdf.FaultSyntax},
		{"quotes", format.Turtle, `<>''''x'`, rdf.FaultIRI},
		{"escape at the end of an IRI", format.Turtle, `<\u0073\`, rdf.FaultSyntax},
		{"short escape", format.Turtle, `<http://a\U00000073mple/\U`, rdf.FaultSyntax},
		{"escape in N-Triples", format.NTriples, `<\u000E\`, rdf.FaultSyntax},
		{"instruction without a name", format.RDFXML, `<?>0`, rdf.FaultSyntax},
		// Entities.
		{"billion laughs", format.RDFXML, `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY f "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY g "&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;">]>` + property(`<e:p>&g;</e:p>`), rdf.LimitEntities},
		{"entity that holds itself", format.RDFXML, `<!DOCTYPE x [<!ENTITY a "&a;">]>` + property(`<e:p>&a;</e:p>`), rdf.LimitEntities},
		{"external entity", format.RDFXML, `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + property(`<e:p>&a;</e:p>`), rdf.FaultUnsupported},
		{"parameter entity", format.RDFXML, `<!DOCTYPE x [<!ENTITY % a "b"> %a;]>` + property(``), rdf.FaultUnsupported},
		{"markup in an entity", format.RDFXML, `<!DOCTYPE x [<!ENTITY a "<e:q/>">]>` + property(`<e:p>&a;</e:p>`), rdf.FaultUnsupported},
		{"markup by character reference", format.RDFXML, `<!DOCTYPE x [<!ENTITY a "&#60;e:q/>">]>` + property(`<e:p>&a;</e:p>`), rdf.FaultUnsupported},
		// Depth, width and length.
		{"nested elements", format.RDFXML, rdfStart + strings.Repeat(`<e:A><e:p>`, 100_000), rdf.LimitDepth},
		{"open elements", format.RDFXML, strings.Repeat(`<a>`, 1_000_000), rdf.FaultSyntax},
		{"nested literal", format.RDFXML, property(`<e:p rdf:parseType="Literal">` + strings.Repeat(`<a>`, 1000)), rdf.LimitDepth},
		{"namespaces", format.RDFXML, `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"` + namespaces.String() + `/>`, rdf.LimitNamespaces},
		{"attributes", format.RDFXML, rdfStart + `<e:A` + attributes.String() + `/></rdf:RDF>`, rdf.LimitAttributes},
		{"long attribute", format.RDFXML, property(`<e:p rdf:resource="http://ex.org/` + strings.Repeat("a", 10<<20) + `"/>`), rdf.LimitIRI},
		{"long literal", format.RDFXML, property(`<e:p>` + strings.Repeat("a", 2<<20) + `</e:p>`), rdf.LimitLiteral},
		{"literal in pieces", format.RDFXML, property(`<e:p>` + strings.Repeat("abcdefgh<!---->", 300_000) + `</e:p>`), rdf.LimitLiteral},
		{"large document", format.NTriples, strings.Repeat("\n", 17<<20), rdf.LimitBytes},
		{"many triples", format.Turtle, `<http://a> <http://b> ` + strings.Repeat("1,", 200_001) + `1 .`, rdf.LimitTriples},
		{"nested lists", format.Turtle, `<http://a> <http://b> ` + strings.Repeat("(", 600_000), rdf.LimitDepth},
		{"nested brackets", format.Turtle, strings.Repeat("[<http://b> ", 600_000), rdf.LimitDepth},
		{"nested arrays", format.JSONLD, strings.Repeat("[", 600_000), rdf.LimitDepth},
		{"nested objects", format.JSONLD, strings.Repeat(`{"http://a":`, 600_000), rdf.LimitDepth},
		{"long IRI", format.NTriples, `<http://a/` + strings.Repeat("a", 9000) + `> <http://b> "" .`, rdf.LimitIRI},
		// Text that is none.
		{"bytes", format.Turtle, "<http://a> <http://b> \"\xff\" .", rdf.FaultEncoding},
		{"bytes", format.NTriples, "<http://a> <http://b> \"\xff\" .", rdf.FaultEncoding},
		{"bytes", format.JSONLD, "{\"http://a/b\":\"\xff\"}", rdf.FaultEncoding},
		{"bytes", format.RDFXML, property("<e:p>\xff</e:p>"), rdf.FaultEncoding},
		{"unknown encoding", format.RDFXML, `<?xml version="1.0" encoding="ebcdic-cp-us"?>` + property(""), rdf.FaultEncoding},
		{"half a character", format.RDFXML, "\xfe\xff\x00", rdf.FaultEncoding},
		{"lone surrogate", format.RDFXML, "\xfe\xff\xd8\x00\x00<", rdf.FaultEncoding},
		{"control character", format.RDFXML, property("<e:p>\x01</e:p>"), rdf.FaultSyntax},
		{"control character in CDATA", format.RDFXML, property("<e:p><![CDATA[\x01]]></e:p>"), rdf.FaultSyntax},
		// IRIs.
		{"relative IRI", format.RDFXML, property(`<e:p rdf:resource="x"/>`), rdf.FaultIRI},
		{"space in an IRI", format.RDFXML, property(`<e:p rdf:resource="http://ex.org/a b"/>`), rdf.FaultIRI},
		{"relative IRI", format.Turtle, `<a> <b> <c> .`, rdf.FaultIRI},
		{"escaped space in an IRI", format.Turtle, `<http://a\u0020b> <http://b> <http://c> .`, rdf.FaultIRI},
		{"relative IRI", format.JSONLD, `{"@id":"a","http://p/":"x"}`, rdf.FaultIRI},
		{"space in an IRI", format.JSONLD, `{"@id":"http://a b","http://p/":"x"}`, rdf.FaultIRI},
		// What takes more than is read here.
		{"remote context", format.JSONLD, `{"@context":"http://127.0.0.1/x","a":"b"}`, rdf.FaultUnsupported},
		{"file as context", format.JSONLD, `{"@context":"/etc/passwd","a":"b"}`, rdf.FaultUnsupported},
		{"key twice", format.JSONLD, `{"http://a/":"x","http://a/":"y"}`, rdf.FaultSyntax},
	}
}

func TestHostileDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range hostile() {
		t.Run(c.format.String()+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			g, err := format.Parse([]byte(c.doc), c.format, "", rdf.Limits{})
			var e *rdf.SyntaxError
			if !errors.As(err, &e) {
				t.Fatalf("read %d triples, error %v", g.Len(), err)
			}
			if e.Kind != c.kind {
				t.Errorf("%v: the kind is %v, want %v", err, e.Kind, c.kind)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("an error message of %d bytes", len(err.Error()))
			}
			// Text in UTF-16 and of no known encoding is judged as a whole.
			if e.Line == 0 && c.kind != rdf.FaultEncoding {
				t.Errorf("%v has no place", err)
			}
		})
	}
}

// Refusing a document takes memory in proportion to it, the largest value allowed
// and the number of triples allowed; of what it takes nothing is counted as given
// back. Nothing else runs meanwhile: tests like this one come before parallel ones.
func TestHostileDocumentsTakeBoundedMemory(t *testing.T) {
	for _, c := range hostile() {
		data := []byte(c.doc)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := format.Parse(data, c.format, "", rdf.Limits{}); err == nil {
			t.Errorf("%s: no error", c.name)
		}
		runtime.ReadMemStats(&after)
		took := after.TotalAlloc - before.TotalAlloc
		if allowed := uint64(4*len(data) + 48<<20); took > allowed {
			t.Errorf("%v/%s: %d bytes allocated for a document of %d, %d allowed", c.format, c.name, took, len(data), allowed)
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Documents that are legal and made to be slow or large.
func TestCostlyDocumentsAreRead(t *testing.T) {
	t.Parallel()
	var many, list, spaces strings.Builder
	many.WriteString(`<http://a> <http://b> `)
	for i := range 100_000 {
		many.WriteString(strconv.Itoa(i) + ", ")
	}
	many.WriteString("0 .")
	list.WriteString("<http://a> <http://b> ( ")
	for range 60_000 {
		list.WriteString(`"x" `)
	}
	list.WriteString(") .")
	spaces.WriteString(rdfStart)
	for i := range 3000 {
		fmt.Fprintf(&spaces, `<rdf:Description rdf:about="http://ex.org/%d"><p:p xmlns:p="http://ns/%d/">x</p:p></rdf:Description>`, i, i)
	}
	spaces.WriteString(`</rdf:RDF>`)
	for _, c := range []struct {
		name   string
		format format.Format
		doc    string
		want   int
	}{
		{"many values", format.Turtle, many.String(), 100_000},
		{"long list", format.Turtle, list.String(), 120_001},
		{"a namespace per predicate", format.RDFXML, spaces.String(), 3000},
		{"semicolons", format.Turtle, `<http://a> <http://b> 1 ` + strings.Repeat(";", 5_000_000) + ".", 1},
		{"comment", format.Turtle, "#" + strings.Repeat("x", 10<<20), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, err := format.Parse([]byte(c.doc), c.format, "", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if g.Len() != c.want {
				t.Errorf("%d triples, want %d", g.Len(), c.want)
			}
			for _, f := range format.All() {
				if _, err := format.Append(nil, g, f); err != nil {
					t.Errorf("%v: %v", f, err)
				}
			}
		})
	}
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	const body = rdfStart + `<e:A rdf:about="http://ex.org/a"><e:p>é€</e:p></e:A></rdf:RDF>`
	utf16 := func(s string, big, mark bool) []byte {
		var b []byte
		if mark {
			s = "\ufeff" + s
		}
		for _, r := range s {
			if big {
				b = append(b, byte(r>>8), byte(r))
			} else {
				b = append(b, byte(r), byte(r>>8))
			}
		}
		return b
	}
	latin := strings.NewReplacer("é€", "\xe9").Replace(body)
	const decl = `<?xml version="1.0" encoding="UTF-16"?>`
	for name, c := range map[string]struct {
		doc  []byte
		want string
	}{
		"UTF-8":             {[]byte(body), "é€"},
		"UTF-8 with a mark": {[]byte("\ufeff" + body), "é€"},
		"UTF-16BE":          {utf16(body, true, true), "é€"},
		"UTF-16LE":          {utf16(body, false, true), "é€"},
		"UTF-16BE declared": {utf16(decl+body, true, false), "é€"},
		"UTF-16LE declared": {utf16(decl+body, false, false), "é€"},
		"Latin-1":           {[]byte(`<?xml version='1.0' encoding='ISO-8859-1'?>` + latin), "é"},
		"internal entities": {[]byte(`<!DOCTYPE rdf:RDF [<!ENTITY lt "&#38;#60;"><!ENTITY x "é"><!ENTITY y "&x;€">]>` + strings.Replace(body, "é€", "&y;", 1)), "é€"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, err := format.Parse(c.doc, format.RDFXML, "", rdf.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := g.Value(rdf.NewIRI("http://ex.org/a"), "http://ex.org/p"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
