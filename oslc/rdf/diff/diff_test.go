package diff_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
	"pgregory.net/rapid"
)

func parse(tb interface {
	Helper()
	Fatal(...any)
}, s string,
) *rdf.Graph {
	tb.Helper()
	g, err := turtle.Parse([]byte("@prefix : <http://ex.org/> .\n"+s), "", rdf.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func ExampleBetween() {
	before, _ := turtle.Parse([]byte(`<http://ex.org/1> <http://ex.org/status> "open" .`), "", rdf.Limits{})
	after, _ := turtle.Parse([]byte(`<http://ex.org/1> <http://ex.org/status> "closed" .`), "", rdf.Limits{})
	d := diff.Between(before, after)
	p, err := d.Patch()
	if err != nil {
		fmt.Println(err)
	}
	text, _ := p.Append(nil)
	fmt.Println(string(text))
	fmt.Println(d.Predicates(rdf.NewIRI("http://ex.org/1")))
	// Output:
	// D <http://ex.org/1> <http://ex.org/status> "open" .
	// A <http://ex.org/1> <http://ex.org/status> "closed" .
	// [http://ex.org/status]
}

func TestBlankNodesAreMatchedByWhatTheySay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, before, after string
		deleted, added      int
	}{
		{"other labels", `:a :p [ :q "1" ], [ :q "2" ] .`, `:a :p [ :q "2" ], [ :q "1" ] .`, 0, 0},
		{"one changed", `:a :p [ :q "1" ], [ :q "2" ] .`, `:a :p [ :q "1" ], [ :q "3" ] .`, 2, 2},
		{"one more", `:a :p [ :q "1" ] .`, `:a :p [ :q "1" ], [ :q "1" ] .`, 0, 2},
		{
			"cycles", `_:a :p _:b . _:b :p _:c . _:c :p _:a . _:d :p _:e . _:e :p _:f . _:f :p _:d .`,
			`_:a :p _:b . _:b :p _:c . _:c :p _:d . _:d :p _:e . _:e :p _:f . _:f :p _:a .`, 6, 6,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := diff.Between(parse(t, c.before), parse(t, c.after))
			if len(d.Deleted) != c.deleted || len(d.Added) != c.added {
				t.Errorf("%d deleted and %d added, want %d and %d: %v", len(d.Deleted), len(d.Added), c.deleted, c.added, d)
			}
			if _, err := d.Patch(); (err == nil) != d.Empty() {
				t.Errorf("a patch over blank nodes: %v", err)
			}
		})
	}
}

// before + diff = after, also by way of the text of a patch.
func TestPatchBringsBeforeToAfter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		graph := rapid.Custom(func(t *rapid.T) *rdf.Graph {
			g := rdf.NewGraph()
			for range rapid.IntRange(0, 60).Draw(t, "size") {
				s := rdf.NewIRI(fmt.Sprintf("http://ex.org/%d", rapid.IntRange(0, 3).Draw(t, "s")))
				p := fmt.Sprintf("http://ex.org/p%d", rapid.IntRange(0, 2).Draw(t, "p"))
				switch v := strings.ToValidUTF8(rapid.StringN(0, 5, -1).Draw(t, "v"), ""); rapid.IntRange(0, 3).Draw(t, "kind") {
				case 0:
					g.Add(s, p, rdf.InLanguage(v, "de-AT"))
				case 1:
					g.Add(s, p, rdf.Int(int64(len(v))))
				case 2:
					g.Add(s, p, s)
				default:
					g.Add(s, p, rdf.String(v))
				}
			}
			return g
		})
		before, after := graph.Draw(t, "before"), graph.Draw(t, "after")
		p, err := diff.Between(before, after).Patch()
		if err != nil {
			t.Fatal(err)
		}
		text, err := p.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err = diff.Parse(string(text), rdf.Limits{})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		got, err := p.Apply(before)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := canon.Isomorphic(got, after); err != nil || !same {
			t.Fatalf("%v, %v\n%s", same, err, text)
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"A<http://a><http://b><http://c>.", "A <http://a> <http://b> <http://c> ."},
		{
			" D <http://a> <http://b> 'x' .A <http://a>\n<http://b>\t\"\"\"y\"z\"\"\"@en .",
			"D <http://a> <http://b> \"x\" .\nA <http://a> <http://b> \"y\\\"z\"@en .",
		},
		{
			"A <http://a> <http://b> 5 . A <http://a> <http://b> true . A <http://a> <http://b> 1.5.",
			`A <http://a> <http://b> "5"^^<http://www.w3.org/2001/XMLSchema#integer> .
A <http://a> <http://b> "true"^^<http://www.w3.org/2001/XMLSchema#boolean> .
A <http://a> <http://b> "1.5"^^<http://www.w3.org/2001/XMLSchema#decimal> .`,
		},
	} {
		p, err := diff.Parse(c.text, rdf.Limits{})
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got, err := p.Append(nil); err != nil || string(got) != c.want {
			t.Errorf("%q gives\n%s (%v), want\n%s", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{
		"X <http://a> <http://b> <http://c> .", "A <http://a> <http://b> _:c .", "A <a> <http://b> <http://c> .",
		"A <http://a> <http://b> <http://c>", "A <http://a> <http://b> .", "A <http://a> <http://b> [] .",
		`A "a" <http://b> <http://c> .`, "A x:y <http://b> <http://c> .", "# A", "A <http://a> <http://b> \"\xff\" .",
	} {
		if p, err := diff.Parse(text, rdf.Limits{}); err == nil {
			t.Errorf("%q was read as %v", text, p)
		} else if !errors.As(err, new(*rdf.SyntaxError)) {
			t.Errorf("%q: %v is no SyntaxError", text, err)
		}
	}
}

func TestPatchThatDoesNotFit(t *testing.T) {
	t.Parallel()
	g := parse(t, `:a :p "1" .`)
	for _, text := range []string{
		`D <http://ex.org/a> <http://ex.org/p> "2" .`,
		`A <http://ex.org/a> <http://ex.org/p> "1" .`,
		`D <http://ex.org/a> <http://ex.org/p> "1" . D <http://ex.org/a> <http://ex.org/p> "1" .`,
	} {
		p, err := diff.Parse(text, rdf.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Apply(g); !errors.Is(err, diff.ErrMismatch) {
			t.Errorf("%s: %v", text, err)
		}
	}
	// Order is significant: deleted and added again is as before.
	p, err := diff.Parse(`D <http://ex.org/a> <http://ex.org/p> "1" . A <http://ex.org/a> <http://ex.org/p> "1" .`, rdf.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := p.Apply(g); err != nil || h.Len() != 1 {
		t.Errorf("%v, %v", h, err)
	}
}

func BenchmarkBetween(b *testing.B) {
	build := func(status string) *rdf.Graph {
		g := rdf.NewGraph()
		for i := range 32 {
			g.Node("http://ex.org/a").String(fmt.Sprintf("http://ex.org/p%d", i), "value")
		}
		g.Node("http://ex.org/a").String("http://ex.org/status", status)
		return g
	}
	x, y := build("open"), build("closed")
	b.ReportAllocs()
	for b.Loop() {
		if d := diff.Between(x, y); len(d.Added) != 1 {
			b.Fatal(d)
		}
	}
}

// What is read as a patch is written as one that reads the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`A <http://a> <http://b> "x"@en .`, "D<http://a><http://b>1.5.\nA <http://a> <http://b> '''y''' .", `A <http://a> <http://b> "\u00e9"^^<http://c> .`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := diff.Parse(text, rdf.Limits{MaxBytes: 1 << 12})
		if err != nil {
			if !errors.As(err, new(*rdf.SyntaxError)) {
				t.Fatalf("%v is no SyntaxError", err)
			}
			return
		}
		b, err := p.Append(nil)
		if err != nil {
			t.Fatalf("%v\n%q", err, text)
		}
		again, err := diff.Parse(string(b), rdf.Limits{})
		if err != nil || !slices.Equal(again, p) {
			t.Fatalf("%q is written as %q (%v)", text, b, err)
		}
	})
}
