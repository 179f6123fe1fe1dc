package sqlite_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

const ns = "http://tool.example/ns#"

// world is what the views are said to hold, and the draws that make it.
type world struct {
	views  *sqlite.Views
	live   map[string]*rdf.Graph
	order  []string // as they came up
	offset int64
}

var (
	collections = []string{"http://b/services/p/a/", "http://b/services/p/b/", "http://b/services/q/a/"}
	propertyIRI = rapid.SampledFrom([]string{ns + "p", ns + "q", ns + "r", rdf.Type})
	resourceURI = rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom(collections).Draw(t, "collection") + fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "id"))
	})
	literal = rapid.SampledFrom([]rdf.Term{
		rdf.String("a"), rdf.String("b"), rdf.String("a\x01"), rdf.String(""), rdf.InLanguage("a", "en"), rdf.InLanguage("b", "de"),
		rdf.Int(1), rdf.Int(2), rdf.Typed("1.0", rdf.XSDDecimal), rdf.Typed("01", rdf.XSDInteger), rdf.Typed("-3.5", rdf.XSDDouble), rdf.Typed("x", rdf.XSDInteger),
		rdf.Bool(true), rdf.Typed("1", rdf.XSDBoolean), rdf.Bool(false), rdf.Typed("a", rdf.XMLLiteral), rdf.Typed("a", ns+"type"),
		rdf.Typed("2026-11-21T09:00:00Z", rdf.XSDDateTime), rdf.Typed("2026-11-21T10:00:00+01:00", rdf.XSDDateTime),
		rdf.Typed("2026-11-21T10:00:00Z", rdf.XSDDateTime), rdf.Typed("2026-11-21", rdf.XSD+"date"),
		rdf.String(string(bytes.Repeat([]byte("x"), query.MaxOrdered+5))), rdf.String(string(bytes.Repeat([]byte("x"), query.MaxOrdered+6))),
	})
	number = rapid.SampledFrom([]rdf.Term{rdf.Int(1), rdf.Typed("1.0", rdf.XSDDecimal), rdf.Typed("01", rdf.XSDInteger)})
	link   = rapid.Custom(func(t *rapid.T) rdf.Term {
		if rapid.Bool().Draw(t, "known") {
			return rdf.NewIRI(resourceURI.Draw(t, "link"))
		}
		return rdf.NewIRI(rapid.SampledFrom([]string{ns + "x", ns + "y"}).Draw(t, "link"))
	})
)

// graph makes a graph about the subject, with nested nodes, from the one before.
func graph(t *rapid.T, subject string, before *rdf.Graph) *rdf.Graph {
	g := before.Without(func(rdf.Triple) bool { return rapid.IntRange(0, 2).Draw(t, "drop") == 0 })
	nodes := []rdf.Term{rdf.NewIRI(subject), rdf.NewBlank("n1"), rdf.NewBlank("n2"), rdf.NewIRI(ns + "x"), rdf.NewIRI("http://b/services/p/a/1")}
	for range rapid.IntRange(0, 8).Draw(t, "statements") {
		s := nodes[0]
		if rapid.IntRange(0, 2).Draw(t, "nested") == 0 {
			s = rapid.SampledFrom(nodes).Draw(t, "about")
		}
		o := rapid.OneOf(literal, number, link, rapid.SampledFrom(nodes)).Draw(t, "object")
		g.Add(s, propertyIRI.Draw(t, "property"), o)
	}
	return g
}

// happen folds some events.
func (w *world) happen(t *rapid.T) {
	var steps []sqlite.Step
	for range rapid.IntRange(1, 12).Draw(t, "events") {
		uri := resourceURI.Draw(t, "resource")
		e := event(int(w.offset), oslc.Modification, uri)
		e.Resource = nil
		if rapid.IntRange(0, 4).Draw(t, "what") == 0 {
			e.Change = oslc.Deletion
			delete(w.live, uri)
		} else {
			e.Resource = graph(t, uri, w.live[uri])
			w.live[uri] = e.Resource
		}
		if !slices.Contains(w.order, uri) {
			w.order = append(w.order, uri)
		}
		steps = append(steps, sqlite.Step{Offset: w.offset, Event: e})
		w.offset++
	}
	if err := w.views.Apply(t.Context(), place, steps); err != nil {
		t.Fatal(err)
	}
}

func (w *world) lookup(iri string) *rdf.Graph { return w.live[iri] }

func where(t *rapid.T, depth int) query.Where {
	var w query.Where
	for range rapid.IntRange(1, 2).Draw(t, "terms") {
		term := query.Term{Property: "*"}
		if rapid.IntRange(0, 3).Draw(t, "any") > 0 {
			term.Property = propertyIRI.Draw(t, "property")
		}
		if depth < 3 && rapid.IntRange(0, 2).Draw(t, "scope") == 0 {
			term.Scope = where(t, depth+1)
			w = append(w, term)
			continue
		}
		term.Op = rapid.SampledFrom([]query.Op{
			query.Equal, query.Equal, query.NotEqual, query.In, query.Less, query.LessOrEqual, query.Greater, query.GreaterOrEqual,
		}).Draw(t, "op")
		n := 1
		if term.Op == query.In {
			n = rapid.IntRange(1, 3).Draw(t, "values")
		}
		for range n {
			v := query.Value{Term: rapid.OneOf(literal, link).Filter(func(o rdf.Term) bool {
				return term.Op == query.Equal || term.Op == query.In || term.Op == query.NotEqual || len(o.Value) <= query.MaxOrdered
			}).Draw(t, "value")}
			v.Bare = v.Term.Kind == rdf.Literal && v.Term.Datatype == "" && v.Term.Lang == ""
			term.Values = append(term.Values, v)
		}
		w = append(w, term)
	}
	return w
}

// sortValue is what a resource is sorted by.
func (w *world) sortValue(uri string, s query.Sort) (best []byte) {
	type node struct {
		g *rdf.Graph
		s rdf.Term
	}
	nodes := []node{{w.live[uri], rdf.NewIRI(uri)}}
	for i, iri := range s.Path {
		var next []node
		for _, n := range nodes {
			for _, o := range n.g.Objects(n.s, iri) {
				if i == len(s.Path)-1 {
					k := query.Key(nil, oneBlank(o))
					if best == nil || (bytes.Compare(k, best) < 0) != s.Descending {
						best = k
					}
					continue
				}
				if o.Kind == rdf.Literal {
					continue
				}
				next = append(next, node{n.g, o})
				if other := w.live[o.Value]; o.Kind == rdf.IRI && other != nil {
					next = append(next, node{other, o})
				}
			}
		}
		nodes = next
	}
	return best
}

// oneBlank makes all blank nodes one: their labels in the store are its own.
func oneBlank(o rdf.Term) rdf.Term {
	if o.Kind == rdf.Blank {
		o.Value = ""
	}
	return o
}

// The property index answers what the conditions say of the graphs, in the order
// asked for, each resource once.
func TestQuery_isWhatMatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		db := open(t, t.TempDir())
		defer db.Close()
		t := rt
		w := &world{views: db.Views(), live: map[string]*rdf.Graph{}}
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			w.happen(t)
		}
		for range 20 {
			fewest := rapid.SampledFrom([]int64{0, 1, 2, 1000}).Draw(t, "collect")
			w.views.Collect(fewest, fewest+rapid.SampledFrom([]int64{0, 2, 1000}).Draw(t, "most"), rapid.IntRange(0, 5).Draw(t, "scan"))
			w.ask(t)
		}
	})
}

func (w *world) ask(t *rapid.T) {
	q := &query.Query{PageSize: rapid.IntRange(1, 10).Draw(t, "size")}
	if rapid.IntRange(0, 4).Draw(t, "conditions") > 0 {
		q.Where = where(t, 0)
	}
	for range rapid.IntRange(0, 2).Draw(t, "keys") {
		s := query.Sort{Path: []string{propertyIRI.Draw(t, "key")}, Descending: rapid.Bool().Draw(t, "down")}
		if rapid.IntRange(0, 3).Draw(t, "nested key") == 0 {
			s.Path = append(s.Path, propertyIRI.Draw(t, "key"))
		}
		q.OrderBy = append(q.OrderBy, s)
	}
	collection := rapid.SampledFrom(collections).Draw(t, "collection")
	want := map[string]bool{}
	for uri, g := range w.live {
		if len(uri) == len(collection)+1 && uri[:len(collection)] == collection && q.Where.MatchIn(g, rdf.NewIRI(uri), w.lookup) {
			want[uri] = true
		}
	}
	var got []string
	for {
		page, err := w.views.Query(t.Context(), collection[18:19], collection[20:21], q)
		if err != nil {
			t.Fatalf("%v: %v", q.Values(), err)
		}
		if page.Total >= 0 && page.Total != int64(len(want)) {
			t.Fatalf("%v: the total is %d, want %d", q.Values(), page.Total, len(want))
		}
		if len(page.Members) > q.PageSize || page.Next != "" && len(page.Members) < q.PageSize {
			t.Fatalf("%v: %d members on a page", q.Values(), len(page.Members))
		}
		for _, m := range page.Members {
			got = append(got, m.URI)
		}
		if q.Page = page.Next; q.Page == "" {
			break
		}
	}
	if sorted := slices.Sorted(slices.Values(got)); !slices.Equal(sorted, slices.Sorted(maps.Keys(want))) {
		t.Fatalf("%v in %s:\ngot  %v\nwant %v", q.Values(), collection, sorted, slices.Sorted(maps.Keys(want)))
	}
	for i := 1; i < len(got); i++ {
		if w.after(q.OrderBy, got[i-1], got[i]) {
			t.Fatalf("%v in %s: %s comes before %s in %v", q.Values(), collection, got[i-1], got[i], got)
		}
	}
}

// after reports whether a is to come after b.
func (w *world) after(keys []query.Sort, a, b string) bool {
	for _, s := range keys {
		va, vb := w.sortValue(a, s), w.sortValue(b, s)
		switch {
		case va == nil || vb == nil:
			if (va == nil) != (vb == nil) {
				return va == nil
			}
		case va[0] == vb[0] && bytes.Equal(va, query.Key(nil, rdf.NewBlank(""))):
			return false // by labels that only the store knows
		default:
			if c := bytes.Compare(va, vb); c != 0 {
				return (c > 0) != s.Descending
			}
		}
	}
	down := len(keys) > 0 && keys[0].Descending
	return (slices.Index(w.order, a) > slices.Index(w.order, b)) != down
}
