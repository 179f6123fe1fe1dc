package rdf_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"pgregory.net/rapid"
)

// A graph of any size behaves like a list that is searched from the start.
func TestGraphIsAnOrderedSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		term := rapid.Custom(func(t *rapid.T) rdf.Term {
			v := strconv.Itoa(rapid.IntRange(0, 9).Draw(t, "n"))
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				return rdf.NewBlank(v)
			case 1:
				return rdf.InLanguage(v, "en")
			case 2:
				return rdf.String(v)
			}
			return rdf.NewIRI(v)
		})
		g := rdf.NewGraph()
		var want []rdf.Triple
		for range rapid.IntRange(0, 300).Draw(t, "size") {
			tr := rdf.Triple{S: term.Draw(t, "s"), P: rdf.NewIRI("p"), O: term.Draw(t, "o")}
			isNew := !slices.Contains(want, tr)
			if g.Has(tr) == isNew {
				t.Fatalf("Has(%v) = %v", tr, !isNew)
			}
			if g.AddTriple(tr) != isNew {
				t.Fatalf("AddTriple(%v) = %v", tr, !isNew)
			}
			if isNew {
				want = append(want, tr)
			}
		}
		if !slices.Equal(g.Triples(), want) {
			t.Fatalf("triples are %v, want %v", g.Triples(), want)
		}
		s := term.Draw(t, "subject")
		about := slices.Collect(g.About(s))
		wantAbout := slices.DeleteFunc(slices.Clone(want), func(tr rdf.Triple) bool { return tr.S != s })
		if !slices.Equal(about, wantAbout) {
			t.Fatalf("About(%v) = %v, want %v", s, about, wantAbout)
		}
	})
}

// One subject with very many values is what a container looks like.
func TestLargeGraphsTakeLinearTime(t *testing.T) {
	t.Parallel()
	g := rdf.NewGraph()
	n := g.Node("http://ex.org/container")
	for i := range 200_000 {
		n.Link("http://ex.org/member", "http://ex.org/"+strconv.Itoa(i))
	}
	if g.Len() != 200_000 {
		t.Fatalf("%d triples", g.Len())
	}
}

func TestResolveIRI(t *testing.T) {
	t.Parallel()
	const base = "http://a/b/c/d;p?q" // RFC 3986, section 5.4
	for ref, want := range map[string]string{
		"g:h": "g:h", "g": "http://a/b/c/g", "./g": "http://a/b/c/g", "g/": "http://a/b/c/g/",
		"/g": "http://a/g", "//g": "http://g", "?y": "http://a/b/c/d;p?y", "g?y": "http://a/b/c/g?y",
		"#s": "http://a/b/c/d;p?q#s", "g#s": "http://a/b/c/g#s", ";x": "http://a/b/c/;x",
		"": "http://a/b/c/d;p?q", ".": "http://a/b/c/", "./": "http://a/b/c/", "..": "http://a/b/",
		"../g": "http://a/b/g", "../..": "http://a/", "../../g": "http://a/g",
		"../../../g": "http://a/g", "/./g": "http://a/g", "/../g": "http://a/g", "g.": "http://a/b/c/g.",
		"..g": "http://a/b/c/..g", "./../g": "http://a/b/g", "g;x=1/../y": "http://a/b/c/y",
		"g?y/../x": "http://a/b/c/g?y/../x", "g#s/../x": "http://a/b/c/g#s/../x",
		"%2F%22": "http://a/b/c/%2F%22", "urn:x:y": "urn:x:y",
	} {
		if got := rdf.ResolveIRI(base, ref); got != want {
			t.Errorf("%q gives %q, want %q", ref, got, want)
		}
	}
}

func TestValidIRI(t *testing.T) {
	t.Parallel()
	for iri, want := range map[string]bool{
		"http://ex.org/a": true, "urn:x": true, "mailto:a@b": true, "http://é.example/ü": true,
		"": false, "a": false, "/a": false, "#a": false, ":a": false, "1x:a": false,
		"http://ex.org/a b": false, "http://ex.org/<": false, "http://ex.org/\x00": false,
		"http://ex.org/\\": false, "http://ex.org/\xff": false, "http://ex.org/{x}": false,
	} {
		if got := rdf.ValidIRI(iri); got != want {
			t.Errorf("ValidIRI(%q) = %v", iri, got)
		}
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	for _, p := range rdf.Prefixes() {
		if got, ok := rdf.Expand(p.Name + ":x"); !ok || got != p.IRI+"x" {
			t.Errorf("Expand(%s:x) = %q, %v", p.Name, got, ok)
		}
		if got, ok := rdf.Compact(p.IRI + "x"); !ok || got != p.Name+":x" {
			t.Errorf("Compact(%sx) = %q, %v", p.IRI, got, ok)
		}
	}
	if _, ok := rdf.Compact("http://ex.org/x"); ok {
		t.Error("an unknown namespace has a prefix")
	}
	if _, ok := rdf.Expand("nope:x"); ok {
		t.Error("an unknown prefix has a namespace")
	}
}

// AddGraph and Without know that parts of sets are sets; what they return is a set
// all the same, of any size.
func TestGraphsOfGraphs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (*rdf.Graph, []rdf.Triple) {
			g, n := rdf.NewGraph(), rapid.IntRange(0, 150).Draw(t, name)
			subjects := rapid.IntRange(0, 4).Draw(t, name+" subjects")
			for i := range n {
				g.Add(rdf.NewIRI(name[:1]+strconv.Itoa(i%(subjects+1)%3)), "p", rdf.String(strconv.Itoa(i)))
			}
			return g, g.Triples()
		}
		a, as := draw("a")
		b, bs := draw(rapid.SampledFrom([]string{"a too", "b"}).Draw(t, "other"))
		want := slices.Clone(as)
		for _, tr := range bs {
			if !slices.Contains(want, tr) {
				want = append(want, tr)
			}
		}
		if a.AddGraph(b); !slices.Equal(a.Triples(), want) {
			t.Fatalf("the sum is %v, want %v", a.Triples(), want)
		}
		drop := func(tr rdf.Triple) bool { return len(tr.O.Value)%2 == 1 }
		rest := a.Without(drop)
		want = slices.DeleteFunc(want, drop)
		for _, tr := range want {
			if rest.AddTriple(tr) {
				t.Fatalf("%v is missing in %v", tr, rest.Triples())
			}
		}
		if !slices.Equal(rest.Triples(), want) {
			t.Fatalf("the rest is %v, want %v", rest.Triples(), want)
		}
	})
}
