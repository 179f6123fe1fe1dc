package trs_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/trs"
)

// TestApply: a chain of patches leads from the state that is held to the newest one,
// and a chain with a link that does not fit leads nowhere.
func TestApply(t *testing.T) {
	t.Parallel()
	const uri = "http://tool.example/r/1"
	rapid.Check(t, func(t *rapid.T) {
		states := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *rdf.Graph {
			g := rdf.NewGraph()
			for range rapid.IntRange(1, 8).Draw(t, "size") {
				s := rapid.SampledFrom([]string{uri, uri + "#a", uri + "/b"}).Draw(t, "s")
				g.Add(rdf.NewIRI(s), fmt.Sprint("http://ns/", rapid.IntRange(0, 3).Draw(t, "p")), rdf.String(rapid.SampledFrom([]string{"", "x", "\"\n"}).Draw(t, "o")))
			}
			return g
		}), 2, 6).Draw(t, "states")
		var events []trs.Event
		for i := 1; i < len(states); i++ {
			p, err := diff.Between(states[i-1], states[i]).Patch()
			if err != nil {
				t.Fatal(err)
			}
			text, err := p.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) == 0 {
				text = []byte(" ") // nothing changed, and that is said
			}
			events = append(events, trs.Event{Changed: uri, Patch: trs.Patch{Text: string(text), Before: fmt.Sprint(i - 1), After: fmt.Sprint(i)}})
		}
		held := trs.State{Graph: states[0], Tag: rapid.SampledFrom([]string{`"0"`, `W/"0"`, "0"}).Draw(t, "tag")}
		got, ok := trs.Apply(held, events)
		if !ok || got.Tag != fmt.Sprint(len(events)) {
			t.Fatalf("%v %q", ok, got.Tag)
		}
		if same, err := canon.Isomorphic(got.Graph, states[len(states)-1]); err != nil || !same {
			t.Fatalf("%v, %v: %v", same, err, got.Graph)
		}
		i := rapid.IntRange(0, len(events)-1).Draw(t, "link")
		switch e := &events[i]; rapid.IntRange(0, 7).Draw(t, "fault") {
		case 0:
			e.Patch.Before = "another"
		case 1:
			e.Patch.Before = ""
		case 2:
			e.Patch.Text = ""
		case 3:
			e.Late = true
		case 4:
			e.Patch.From = "http://tool.example/r/2"
		case 5:
			e.Patch.Text += ` A <http://tool.example/r/2> <http://ns/0> "x" .` // of another resource
		case 6:
			e.Patch.Text += ` D <` + uri + `> <http://ns/0> "not there" .`
		case 7:
			e.Patch.Text += " X"
		}
		if got, ok := trs.Apply(held, events); ok {
			t.Fatalf("a chain with a link that does not fit leads to %+v", got)
		}
	})
	if _, ok := trs.Apply(trs.State{Graph: rdf.NewGraph()}, []trs.Event{{Patch: trs.Patch{Text: " "}}}); ok {
		t.Error("a state without a tag was patched")
	}
}
