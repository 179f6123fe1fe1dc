package sqlite_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/trs"
)

// TestPatches: whatever happens to resources and however it is cut into batches, the
// state before a modification and its patch give the state after it; and a file that
// is made anew from the same log has the same patches.
func TestPatches(t *testing.T) {
	t.Parallel()
	dbs := [2]*sqlite.DB{open(t, t.TempDir()), open(t, t.TempDir())}
	defer dbs[0].Close()
	defer dbs[1].Close()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		place := sqlite.Place{Topic: fmt.Sprint("topic ", n), Set: fmt.Sprint("set ", n)}
		uri := fmt.Sprint("http://b/services/x/y/", n)
		state := rapid.Custom(func(t *rapid.T) *rdf.Graph {
			g := rdf.NewGraph()
			s := rdf.NewIRI(uri)
			for range rapid.IntRange(0, 12).Draw(t, "size") {
				p := fmt.Sprintf("http://ns/p%d", rapid.IntRange(0, 3).Draw(t, "p"))
				switch v := rapid.IntRange(0, 4).Draw(t, "kind"); v {
				case 0:
					g.Add(s, rdf.Type, rdf.NewIRI(fmt.Sprint("http://ns/T", rapid.IntRange(0, 2).Draw(t, "class"))))
				case 1:
					b := rdf.NewBlank(fmt.Sprint("b", rapid.IntRange(0, 1).Draw(t, "b")))
					g.Add(s, p, b)
					g.Add(b, "http://ns/in", rdf.Int(int64(rapid.IntRange(0, 2).Draw(t, "in"))))
				case 2:
					g.Add(rdf.NewIRI(s.Value+"#part"), p, s)
				default:
					text := rapid.SampledFrom([]string{"", "a", "a\nb", `"quoted" \ <x>`, "ü🙂", strings.Repeat("long ", 300)}).Draw(t, "text")
					g.Add(s, p, rdf.InLanguage(text, rapid.SampledFrom([]string{"", "de"}).Draw(t, "lang")))
				}
			}
			return g
		})
		var steps []sqlite.Step
		var states []*rdf.Graph // nil: gone
		for i := range rapid.IntRange(1, 12).Draw(t, "changes") {
			e := event(i, rapid.SampledFrom([]oslc.Change{oslc.Creation, oslc.Modification, oslc.Modification, oslc.Modification, oslc.Deletion}).Draw(t, "change"), uri)
			e.Time = time.UnixMilli(int64(i)).UTC()
			e.Resource = state.Draw(t, "state")
			steps = append(steps, sqlite.Step{Offset: int64(i), Event: e})
			states = append(states, e.Resource)
			if e.Change == oslc.Deletion {
				states[i] = nil
			}
		}
		fold := func(db *sqlite.DB, batch func() int) map[int64]trs.Edit {
			for rest := steps; len(rest) > 0; {
				k := min(batch(), len(rest))
				if err := db.Views().Apply(t.Context(), place, rest[:k]); err != nil {
					t.Fatal(err)
				}
				rest = rest[k:]
			}
			out, err := db.Views().Patches(t.Context(), place.Set, 0, trs.Newest)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		one := fold(dbs[0], func() int { return 1 })
		cut := fold(dbs[1], func() int { return rapid.IntRange(1, 5).Draw(t, "batch") })
		if !reflect.DeepEqual(texts(one), texts(cut)) {
			t.Fatalf("folded one by one the patches are\n%v\nand in batches\n%v", texts(one), texts(cut))
		}
		for order, e := range one {
			before, after := states[order-2], states[order-1]
			p, err := diff.Parse(e.Text, rdf.Limits{})
			if err != nil || before == nil || e.Before != steps[order-2].Event.ID {
				t.Fatalf("order %d: %v, before %s in\n%s", order, err, e.Before, e.Text)
			}
			got, err := p.Apply(before)
			if err != nil {
				t.Fatalf("order %d: %v\n%s", order, err, e.Text)
			}
			if same, err := canon.Isomorphic(got, after); err != nil || !same {
				t.Fatalf("order %d: %v, %v\n%s", order, same, err, e.Text)
			}
			for tr := range kept(e).All() {
				if tr.O.Kind != rdf.Blank && (!before.Has(tr) || !after.Has(tr)) {
					t.Fatalf("order %d keeps %v, which is not in both states", order, tr)
				}
			}
		}
		for i, e := range steps {
			if i == 0 || e.Event.Change != oslc.Modification || states[i-1] == nil {
				continue
			}
			d := diff.Between(states[i-1], states[i])
			p, err := d.Patch()
			text, fail := p.Append(nil)
			if _, has := one[int64(i+1)]; !has && !d.Empty() && errors.Join(err, fail) == nil && len(text) < 4000 {
				t.Fatalf("order %d has no patch, and could have\n%s", i+1, text)
			}
		}
	})
}

func texts(m map[int64]trs.Edit) map[int64]string {
	out := map[int64]string{}
	for order, e := range m {
		kept, err := canon.NQuads(kept(e))
		if err != nil {
			panic(err)
		}
		out[order] = fmt.Sprint(e.Before, "\n", e.Text, "\n", string(kept))
	}
	return out
}

func kept(e trs.Edit) *rdf.Graph {
	g, err := format.Parse([]byte(e.Kept), format.NTriples, "", rdf.Limits{})
	if err != nil {
		panic(err)
	}
	return g
}
