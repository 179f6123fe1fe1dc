package rdf_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

func TestTerms(t *testing.T) {
	t.Parallel()
	if rdf.Typed("x", rdf.XSDString) != rdf.String("x") {
		t.Error("xsd:string is spelled out")
	}
	if v, ok := rdf.Bool(true).Bool(); !v || !ok {
		t.Error("a boolean does not come back")
	}
	if _, ok := rdf.String("true").Bool(); ok {
		t.Error("a string is a boolean")
	}
	if v, ok := rdf.Int(-7).Int(); v != -7 || !ok {
		t.Error("an integer does not come back")
	}
	if _, ok := rdf.NewIRI("7").Int(); ok {
		t.Error("an IRI is an integer")
	}
	at := time.Date(2026, 3, 1, 10, 30, 0, 123_456_789, time.FixedZone("", 3600))
	if got := rdf.Time(at).Value; got != "2026-03-01T09:30:00.123Z" {
		t.Errorf("an instant is %s", got)
	}
	for _, s := range []string{"2026-03-01T09:30:00.123Z", "2026-03-01T10:30:00.123+01:00", "2026-03-01T09:30:00.123"} {
		if v, ok := rdf.Typed(s, rdf.XSDDateTime).Time(); !ok || !v.Equal(at.Truncate(time.Millisecond)) {
			t.Errorf("%s is %v, %v", s, v, ok)
		}
	}
	if _, ok := rdf.String("today").Time(); ok {
		t.Error("a word is an instant")
	}
}

func TestFormatTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<37, 1<<38).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).
			In(time.FixedZone("", rapid.IntRange(-12, 12).Draw(t, "zone")*3600))
		if got, want := rdf.FormatTime(at), at.UTC().Format(rdf.TimeLayout); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

func TestErrorAt(t *testing.T) {
	t.Parallel()
	for offset, want := range map[int]string{
		0: "x: line 1, column 1: m", 3: "x: line 2, column 1: m", 5: "x: line 2, column 3: m",
		99: "x: line 3, column 1: m", -1: "x: line 1, column 1: m",
	} {
		if got := rdf.ErrorAt("x", "ab\ncd\n", offset, rdf.FaultSyntax, "m").Error(); got != want {
			t.Errorf("offset %d: %s, want %s", offset, got, want)
		}
	}
	if got := (&rdf.SyntaxError{Format: "x", Msg: "m"}).Error(); got != "x: m" {
		t.Errorf("without a place: %s", got)
	}
}

func TestNilGraphIsEmpty(t *testing.T) {
	t.Parallel()
	var g *rdf.Graph
	if g.Len() != 0 || g.Has(rdf.Triple{}) || g.Triples() != nil {
		t.Error("a nil graph is not empty")
	}
	for range g.All() {
		t.Error("a nil graph has triples")
	}
	for range g.About(rdf.NewIRI("x")) {
		t.Error("a nil graph says something")
	}
}

func TestRelabelAndWithout(t *testing.T) {
	t.Parallel()
	g := rdf.NewGraph()
	g.Add(rdf.NewBlank("a"), "p", rdf.NewBlank("b"))
	g.Add(rdf.NewBlank("a"), "q", rdf.String("b"))
	h := g.Relabel("x-")
	if !h.Has(rdf.Triple{S: rdf.NewBlank("x-a"), P: rdf.NewIRI("p"), O: rdf.NewBlank("x-b")}) ||
		!h.Has(rdf.Triple{S: rdf.NewBlank("x-a"), P: rdf.NewIRI("q"), O: rdf.String("b")}) || h.Len() != 2 {
		t.Errorf("got %v", h.Triples())
	}
	if rest := g.Without(func(tr rdf.Triple) bool { return tr.P.Value == "p" }); rest.Len() != 1 || g.Len() != 2 {
		t.Errorf("got %v", rest.Triples())
	}
}
