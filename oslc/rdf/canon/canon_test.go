package canon_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
	"pgregory.net/rapid"
)

func parse(t *testing.T, s string) *rdf.Graph {
	t.Helper()
	g, err := turtle.Parse([]byte("@prefix : <http://ex.org/> .\n"+s), "", rdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func ExampleHash() {
	a, _ := turtle.Parse([]byte(`<http://ex.org/1> <http://ex.org/by> [ <http://ex.org/name> "Ann" ] .`), "", rdf.Limits{})
	b, _ := turtle.Parse([]byte(`_:ann <http://ex.org/name> "Ann" . <http://ex.org/1> <http://ex.org/by> _:ann .`), "", rdf.Limits{})
	x, _ := canon.Hash(a)
	y, _ := canon.Hash(b)
	fmt.Println(x == y)
	// Output: true
}

// The examples of RDFC-1.0, sections 4.2 and 4.9.
func TestExamplesOfTheRecommendation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, doc, want string }{
		{
			"unique hashes", `:p :q _:e0 . :p :r _:e1 . _:e0 :s :u . _:e1 :t :u .`,
			`<http://example.com/#p> <http://example.com/#q> _:c14n0 .
<http://example.com/#p> <http://example.com/#r> _:c14n1 .
_:c14n0 <http://example.com/#s> <http://example.com/#u> .
_:c14n1 <http://example.com/#t> <http://example.com/#u> .
`,
		},
		{
			"shared hashes", `:p :q _:e0 . :p :q _:e1 . _:e0 :p _:e2 . _:e1 :p _:e3 . _:e2 :r _:e3 .`,
			`<http://example.com/#p> <http://example.com/#q> _:c14n2 .
<http://example.com/#p> <http://example.com/#q> _:c14n3 .
_:c14n0 <http://example.com/#r> _:c14n1 .
_:c14n2 <http://example.com/#p> _:c14n1 .
_:c14n3 <http://example.com/#p> _:c14n0 .
`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := canon.NQuads(parse(t, "@prefix : <http://example.com/#> . "+c.doc))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestEscapes(t *testing.T) {
	t.Parallel()
	g := rdf.NewGraph()
	g.Add(rdf.NewIRI("http://a"), "http://b", rdf.String("\x00\x07\b\t\n\v\f\r\x0e\x1f\"\\\x7f\u0080é"))
	got, err := canon.NQuads(g)
	const want = `<http://a> <http://b> "\u0000\u0007\b\t\n\u000B\f\r\u000E\u001F\"\\\u007F` + "\u0080é\" .\n"
	if err != nil || string(got) != want {
		t.Errorf("got %s, want %s (%v)", got, want, err)
	}
}

// Neither labels nor order matter, and any change does.
func TestCanonicalFormIsInvariant(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "triples")
		var ts []rdf.Triple
		node := func(name string) rdf.Term {
			return rdf.NewBlank(fmt.Sprint("x", rapid.IntRange(0, 5).Draw(t, name)))
		}
		for range n {
			tr := rdf.Triple{S: node("s"), P: rdf.NewIRI(fmt.Sprint("http://p", rapid.IntRange(0, 1).Draw(t, "p"))), O: node("o")}
			if rapid.Bool().Draw(t, "literal") {
				tr.O = rdf.Int(int64(rapid.IntRange(0, 1).Draw(t, "value")))
			}
			ts = append(ts, tr)
		}
		g := rdf.NewGraph(ts...)
		labels := rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, "labels")
		rename := func(x rdf.Term) rdf.Term {
			if x.Kind == rdf.Blank {
				return rdf.NewBlank(fmt.Sprint("y", labels[x.Value[1]-'0']))
			}
			return x
		}
		h := rdf.NewGraph()
		for _, i := range rapid.Permutation(indices(len(ts))).Draw(t, "order") {
			h.AddTriple(rdf.Triple{S: rename(ts[i].S), P: ts[i].P, O: rename(ts[i].O)})
		}
		x, err := canon.NQuads(g)
		if err != nil {
			t.Fatal(err)
		}
		y, err := canon.NQuads(h)
		if err != nil || string(x) != string(y) {
			t.Fatalf("%s\n%s\n%v", x, y, err)
		}
		if same, err := canon.Isomorphic(g, h); err != nil || !same {
			t.Fatalf("with other labels: %v, %v", same, err)
		}
		other := rdf.NewGraph()
		for i, tr := range ts {
			if i == 0 {
				tr.S = rdf.NewBlank(fmt.Sprint("x", rapid.IntRange(0, 6).Draw(t, "another")))
			}
			other.AddTriple(tr)
		}
		z, err := canon.NQuads(other)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := canon.Isomorphic(g, other); err != nil || same != (string(x) == string(z)) {
			t.Fatalf("Isomorphic says %v (%v), the canonical forms\n%s\n%s", same, err, x, z)
		}
		h.Add(rdf.NewBlank("z"), "http://p9", rdf.String("more"))
		if same, err := canon.Isomorphic(g, h); err != nil || same {
			t.Fatalf("a graph with one more triple: %v, %v", same, err)
		}
		c, err := canon.Canonical(g)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := canon.Isomorphic(g, c); err != nil || !same {
			t.Fatalf("Canonical changed the graph: %v", err)
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestNotIsomorphic(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{`:a :p "1" .`, `:a :p "2" .`},
		{`_:a :p _:a .`, `_:a :p _:b .`},
		{`_:a :p "1" . _:b :p "1" .`, `_:a :p "1" . _:a :q "1" .`},
		{`_:a :p :x, :y . _:b :p :x, :y .`, `_:a :p :x, :y . _:b :p :x, :z .`},
		{
			`_:a :p _:b . _:b :p _:c . _:c :p _:a . _:d :p _:e . _:e :p _:f . _:f :p _:d .`,
			`_:a :p _:b . _:b :p _:c . _:c :p _:d . _:d :p _:e . _:e :p _:f . _:f :p _:a .`,
		},
	} {
		if same, err := canon.Isomorphic(parse(t, c[0]), parse(t, c[1])); err != nil || same {
			t.Errorf("%v: %v, %v", c, same, err)
		}
	}
}

// A clique of blank nodes is the poison of this algorithm.
func TestPoisonEndsInAnError(t *testing.T) {
	t.Parallel()
	g := rdf.NewGraph()
	for i := range 12 {
		for j := range 12 {
			if i != j {
				g.Add(rdf.NewBlank(fmt.Sprint(i)), "http://p", rdf.NewBlank(fmt.Sprint(j)))
			}
		}
	}
	if _, err := canon.NQuads(g); !errors.Is(err, canon.ErrBudget) {
		t.Errorf("got %v", err)
	}
	long := rdf.NewGraph()
	for i := range 20_000 {
		long.Add(rdf.NewBlank(fmt.Sprint(i)), "http://p", rdf.NewBlank(fmt.Sprint(i+1)))
	}
	if _, err := canon.NQuads(long); !errors.Is(err, canon.ErrBudget) {
		t.Errorf("a long chain: %v", err)
	}
}

func BenchmarkHash(b *testing.B) {
	g := rdf.NewGraph()
	for i := range 33 {
		g.Add(rdf.NewIRI(fmt.Sprint("http://ex.org/", i/8)), "http://ex.org/p", rdf.Int(int64(i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := canon.Hash(g); err != nil {
			b.Fatal(err)
		}
	}
}
