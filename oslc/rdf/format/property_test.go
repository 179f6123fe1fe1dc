package format_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"pgregory.net/rapid"
)

// graphs draws graphs with all kinds of terms, lists, trees and cycles.
func graphs(t *rapid.T) []rdf.Triple {
	predicates := []string{
		rdf.Type, rdf.First, rdf.Rest, "http://purl.org/dc/terms/title", "http://ex.org/p",
		"http://open-services.net/ns/core#service", "http://open-services.net/ns/core/trs#change", "urn:p:q",
	}
	iris := []string{
		"http://ex.org/a", "http://ex.org/b", "http://ex.org/8", rdf.Nil, "urn:x", "mailto:a@b",
		"http://open-services.net/ns/core#Service", rdf.NS + "Bag", "oslc:x", "http://ex.org/?a=1&b='2'",
	}
	node := func(label string) rdf.Term {
		if rapid.Bool().Draw(t, label+" is blank") {
			return rdf.NewBlank(fmt.Sprint("n", rapid.IntRange(0, 6).Draw(t, label)))
		}
		return rdf.NewIRI(rapid.SampledFrom(iris).Draw(t, label))
	}
	var ts []rdf.Triple
	for range rapid.IntRange(0, 25).Draw(t, "triples") {
		tr := rdf.Triple{S: node("s"), P: rdf.NewIRI(rapid.SampledFrom(predicates).Draw(t, "p")), O: node("o")}
		if rapid.IntRange(0, 2).Draw(t, "literal") == 0 {
			v := rapid.SampledFrom([]string{
				"", " a\n\tb\r ", "<b>x</b>", "<b>", "a & b", "]]>", "\"'\\", "é€😀", "true", "5", "-1.50", "1e3", "1.", "+.5E-1",
				`<x xmlns="http://x/" a="1"></x>`, "{{y}}",
			}).Draw(t, "value")
			tr.O = rdf.Typed(v, rapid.SampledFrom([]string{
				"", rdf.XSDInteger, rdf.XSDDecimal, rdf.XSDDouble, rdf.XSDBoolean, rdf.XMLLiteral, "http://ex.org/dt", rdf.XSDDateTime,
			}).Draw(t, "datatype"))
			if tr.O.Datatype == "" && rapid.Bool().Draw(t, "tagged") {
				tr.O.Lang = "de-AT-1996"
			}
		}
		ts = append(ts, tr)
	}
	return ts
}

func TestAnyGraphSurvivesEveryFormat(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := rdf.NewGraph(graphs(t)...)
		for _, f := range format.All() {
			b, err := format.Append(nil, g, f)
			if err != nil {
				t.Fatalf("%v: %v", f, err)
			}
			h, err := format.Parse(b, f, "", rdf.Limits{})
			if err != nil {
				t.Fatalf("%v: %v\n%s", f, err, b)
			}
			if same, err := canon.Isomorphic(g, h); err == nil && !same {
				t.Fatalf("%v: another graph\n%s", f, b)
			}
			if err := wellFormed(b, f); err != nil {
				t.Fatalf("%v: %v\n%s", f, err, b)
			}
		}
	})
}

// wellFormed asks the parsers of the standard library, which know nothing of
// RDF, about a document.
func wellFormed(b []byte, f format.Format) error {
	switch f {
	case format.RDFXML:
		for d := xml.NewDecoder(bytes.NewReader(b)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				// It knows the names of the fourth edition of XML 1.0; the fifth,
				// which we follow, allows more letters.
				if strings.Contains(err.Error(), "invalid XML name") {
					return nil
				}
				return err
			}
		}
	case format.JSONLD:
		return json.Unmarshal(b, new(map[string]any))
	case format.Turtle, format.NTriples:
	}
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	return nil
}

// The order in which triples are added and the labels of blank nodes that
// differ in what they say leave no trace in a document; the main resource leads.
func TestSameGraphSameBytes(t *testing.T) {
	t.Parallel()
	g, err := format.Parse([]byte(sample), format.Turtle, "", rdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	main := g.Triples()[0]
	for _, f := range format.All() {
		want, err := format.Append(nil, g, f)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			h := rdf.NewGraph(main)
			for _, tr := range rapid.Permutation(slices.Clone(g.Triples())).Draw(t, "order") {
				h.AddTriple(tr)
			}
			got, err := format.Append(nil, h, f)
			if err != nil || string(got) != string(want) {
				t.Fatalf("%v (%v)\n%s\n%s", f, err, got, want)
			}
			relabelled, err := format.Append(nil, h.Relabel(rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "prefix")), f)
			if err != nil || string(relabelled) != string(want) {
				t.Fatalf("%v with other labels (%v)\n%s\n%s", f, err, relabelled, want)
			}
		})
	}
}

func TestServable(t *testing.T) {
	t.Parallel()
	s := rdf.NewIRI("http://ex.org/a")
	for name, c := range map[string]struct {
		triple rdf.Triple
		ok     bool
	}{
		"plain":               {rdf.Triple{S: s, P: rdf.NewIRI("http://ex.org/p"), O: rdf.String("x")}, true},
		"local with a digit":  {rdf.Triple{S: s, P: rdf.NewIRI("http://ex.org/types/148"), O: rdf.String("x")}, false},
		"digits and a name":   {rdf.Triple{S: s, P: rdf.NewIRI("http://ex.org/#8.0.1_text"), O: rdf.String("x")}, true},
		"reserved":            {rdf.Triple{S: s, P: rdf.NewIRI(rdf.NS + "about"), O: rdf.String("x")}, false},
		"container member":    {rdf.Triple{S: s, P: rdf.NewIRI(rdf.NS + "_1"), O: rdf.String("x")}, true},
		"relative subject":    {rdf.Triple{S: rdf.NewIRI("a"), P: rdf.NewIRI("http://ex.org/p"), O: s}, false},
		"control character":   {rdf.Triple{S: s, P: rdf.NewIRI("http://ex.org/p"), O: rdf.String("\x01")}, false},
		"ill-formed UTF-8":    {rdf.Triple{S: s, P: rdf.NewIRI("http://ex.org/p"), O: rdf.String("\xff")}, false},
		"bad language":        {rdf.Triple{S: s, P: rdf.NewIRI("http://ex.org/p"), O: rdf.InLanguage("x", "en_US")}, false},
		"relative datatype":   {rdf.Triple{S: s, P: rdf.NewIRI("http://ex.org/p"), O: rdf.Typed("x", "int")}, false},
		"literal as subject":  {rdf.Triple{S: rdf.String("x"), P: rdf.NewIRI("http://ex.org/p"), O: s}, false},
		"blank predicate":     {rdf.Triple{S: s, P: rdf.NewBlank("p"), O: s}, false},
		"no object":           {rdf.Triple{S: s, P: rdf.NewIRI("http://ex.org/p")}, false},
		"injection in an IRI": {rdf.Triple{S: s, P: rdf.NewIRI("http://ex.org/p"), O: rdf.NewIRI("http://x> <y")}, false},
	} {
		g := rdf.NewGraph(c.triple)
		err := format.Servable(g)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !errors.As(err, new(*rdf.WriteError)) {
			t.Errorf("%s: %v is no WriteError", name, err)
		}
		if c.ok {
			for _, f := range format.All() {
				if _, err := format.Append(nil, g, f); err != nil {
					t.Errorf("%s in %v: %v", name, f, err)
				}
			}
		}
	}
}

// What cannot be written is an error that leaves the buffer alone; text that a
// format cannot carry is never smuggled in.
func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	const p = "http://ex.org/p"
	s := rdf.NewIRI("http://ex.org/a")
	for name, tr := range map[string]rdf.Triple{
		"IRI":      {S: s, P: rdf.NewIRI(p), O: rdf.NewIRI("http://x> . <http://y")},
		"subject":  {S: rdf.NewIRI("http://x\" y=\""), P: rdf.NewIRI(p), O: s},
		"datatype": {S: s, P: rdf.NewIRI(p), O: rdf.Typed("x", "http://x> .")},
		"language": {S: s, P: rdf.NewIRI(p), O: rdf.InLanguage("x", "en\" .")},
		"type":     {S: s, P: rdf.NewIRI(rdf.Type), O: rdf.NewIRI("http://x y#Z")},
		"nothing":  {S: s, P: rdf.NewIRI(p)},
	} {
		for _, f := range format.All() {
			out, err := format.Append([]byte("before"), rdf.NewGraph(tr), f)
			if string(out) != "before" || !errors.As(err, new(*rdf.WriteError)) {
				t.Errorf("%s in %v: %q, %v", name, f, out, err)
			}
		}
	}
	for _, f := range format.All() {
		g := rdf.NewGraph(rdf.Triple{S: s, P: rdf.NewIRI(p), O: rdf.String("a\xffb")})
		b, err := format.Append(nil, g, f)
		if err != nil || !strings.Contains(string(b), "a\uFFFDb") {
			t.Errorf("%v writes ill-formed text as %q (%v)", f, b, err)
		}
	}
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		accept, version string
		want            format.Format
		ok              bool
	}{
		{"", "", format.RDFXML, true},
		{"", "3.0", format.Turtle, true},
		{"", "2.0", format.RDFXML, true},
		{"*/*", "2.0", format.RDFXML, true},
		{"*/*", "", format.RDFXML, true},
		{"*/*", "3.0", format.Turtle, true},
		{"*/*", " 2.0 ", format.RDFXML, true},
		{"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "", format.RDFXML, true},
		{"application/rdf+xml", "3.0", format.RDFXML, true},
		{"application/xml", "", format.RDFXML, true},
		{"text/xml;charset=utf-8", "", format.RDFXML, true},
		{"APPLICATION/RDF+XML", "", format.RDFXML, true},
		{"text/turtle", "2.0", format.Turtle, true},
		{"application/x-turtle", "2.0", format.Turtle, true},
		{`application/ld+json;profile="http://www.w3.org/ns/json-ld#compacted"`, "", format.JSONLD, true},
		{"application/json", "", format.JSONLD, true},
		{"application/n-triples", "", format.NTriples, true},
		{"text/turtle;q=0.5, application/rdf+xml;q=0.9", "", format.RDFXML, true},
		{"application/rdf+xml, text/turtle", "", format.RDFXML, true},
		{"text/turtle, application/rdf+xml", "2.0", format.Turtle, true},
		{"*/*, application/ld+json", "2.0", format.JSONLD, true},
		{"text/html, */*;q=0.1", "2.0", format.RDFXML, true},
		{"text/turtle;q=0, */*", "3.0", format.JSONLD, true},
		{"application/rdf+xml;q=0, */*", "", format.Turtle, true},
		{"text/*", "2.0", format.Turtle, true},
		{"application/*", "2.0", format.RDFXML, true},
		{"application/*", "", format.RDFXML, true},
		{"application/*", "3.0", format.JSONLD, true},
		{"application/trig", "2.0", format.RDFXML, true},
		{"text/html", "", 0, false},
		{"image/png, text/html;q=0.9", "2.0", 0, false},
		{"text/turtle;q=0", "", 0, false},
		{"text/turtle;q=high", "", format.Turtle, true},
	} {
		f, ok := format.Negotiate(c.accept, c.version)
		if ok != c.ok || ok && f != c.want {
			t.Errorf("%q with %q: %v, %v; want %v, %v", c.accept, c.version, f, ok, c.want, c.ok)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	for _, f := range format.All() {
		if g, ok := format.ByMediaType(f.MediaType() + "; charset=UTF-8"); !ok || g != f {
			t.Errorf("%v: %v, %v", f, g, ok)
		}
		if g, ok := format.ByName(f.String()); !ok || g != f {
			t.Errorf("%v by name: %v, %v", f, g, ok)
		}
	}
	if f, ok := format.ByMediaType("text/plain"); ok {
		t.Errorf("text/plain is %v", f)
	}
}

// Trees and lists of any depth are written in bounded depth and read back.
func TestDeepAndLong(t *testing.T) {
	t.Parallel()
	for _, n := range []int{39, 40, 41, 42, 100, 3000} {
		g := rdf.NewGraph()
		tree, list := rdf.NewIRI("http://ex.org/tree"), rdf.NewIRI("http://ex.org/list")
		for i := range n {
			next, cell := rdf.NewBlank(fmt.Sprint("t", i)), rdf.NewBlank(fmt.Sprint("c", i))
			g.Add(tree, "http://ex.org/child", next)
			g.Add(tree, "http://ex.org/child", rdf.NewBlank(fmt.Sprint("leaf", i)))
			g.Add(rdf.NewBlank(fmt.Sprint("leaf", i)), "http://ex.org/n", rdf.Int(int64(i)))
			if i == 0 {
				g.Add(list, "http://ex.org/items", cell)
			} else {
				g.Add(list, rdf.Rest, cell)
			}
			// The last item is what makes the list no collection of nodes.
			item := rdf.NewIRI(fmt.Sprintf("http://ex.org/%d", i))
			if i == n-1 {
				item = rdf.String("last")
			}
			g.Add(cell, rdf.First, item)
			tree, list = next, cell
		}
		g.Add(list, rdf.Rest, rdf.NewIRI(rdf.Nil))
		for _, f := range format.All() {
			b, err := format.Append(nil, g, f)
			if err != nil {
				t.Fatal(err)
			}
			h, err := format.Parse(b, f, "", rdf.Limits{})
			if err != nil {
				t.Fatalf("%d in %v: %v", n, f, err)
			}
			if h.Len() != g.Len() {
				t.Errorf("%d in %v: %d triples, want %d", n, f, h.Len(), g.Len())
			}
			if n <= 100 {
				if same, err := canon.Isomorphic(g, h); err != nil || !same {
					t.Errorf("%d in %v: another graph (%v)", n, f, err)
				}
			}
		}
	}
}

// A graph that nobody adds to may be written by many at once.
func TestAppendConcurrently(t *testing.T) {
	t.Parallel()
	g := event()
	for _, f := range format.All() {
		want, err := format.Append(nil, g, f)
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 20 {
					if got, err := format.Append(nil, g, f); err != nil || string(got) != string(want) {
						t.Errorf("%v: other bytes (%v)", f, err)
						return
					}
				}
			})
		}
		group.Wait()
	}
}
