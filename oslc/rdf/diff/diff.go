// Package diff says what changed between two graphs, and writes and reads that
// as a TRS patch, the value of trspatch:rdfPatch in OSLC Tracked Resource Set 3.0.
package diff

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
)

// A Diff is the triples that one graph has and another one lacks. Both lists
// are sorted.
type Diff struct{ Deleted, Added []rdf.Triple }

// Between returns what turns before into after. Blank nodes are matched by what
// is said about them and not by label. Where that does not tell them apart,
// more triples are listed than changed, and never fewer.
func Between(before, after *rdf.Graph) Diff {
	d := between(before, after)
	if d.Empty() && (hasBlank(before.Triples()) || hasBlank(after.Triples())) {
		if same, err := canon.Isomorphic(before, after); err != nil || !same {
			d = Diff{Deleted: blanks(before), Added: blanks(after)}
		}
	}
	slices.SortFunc(d.Deleted, compare)
	slices.SortFunc(d.Added, compare)
	return d
}

func between(before, after *rdf.Graph) (d Diff) {
	if !hasBlank(before.Triples()) && !hasBlank(after.Triples()) {
		for _, t := range before.Triples() {
			if !after.Has(t) {
				d.Deleted = append(d.Deleted, t)
			}
		}
		for _, t := range after.Triples() {
			if !before.Has(t) {
				d.Added = append(d.Added, t)
			}
		}
		return d
	}
	old, now := colors(before), colors(after)
	count := map[rdf.Triple]int{}
	for _, t := range after.Triples() {
		count[now.paint(t)]++
	}
	for _, t := range before.Triples() {
		if k := old.paint(t); count[k] > 0 {
			count[k]--
		} else {
			d.Deleted = append(d.Deleted, t)
		}
	}
	// What is left over is new; the last of equal triples are as good as the first.
	for _, t := range after.Triples() {
		if k := now.paint(t); count[k] > 0 {
			count[k]--
			d.Added = append(d.Added, t)
		}
	}
	return d
}

// Empty reports whether nothing changed.
func (d Diff) Empty() bool { return len(d.Deleted) == 0 && len(d.Added) == 0 }

// Predicates returns the predicates of the changed triples about subject s, or
// about any subject if s is the zero Term, sorted.
func (d Diff) Predicates(s rdf.Term) []string {
	var out []string
	for _, list := range [2][]rdf.Triple{d.Deleted, d.Added} {
		for _, t := range list {
			if s.IsZero() || t.S == s {
				out = append(out, t.P.Value)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Patch returns the diff as a patch: deletions first. It is an error if a blank
// node takes part, which a patch has no way to name.
func (d Diff) Patch() (Patch, error) {
	p := make(Patch, 0, len(d.Deleted)+len(d.Added))
	for _, t := range d.Deleted {
		p = append(p, Change{Delete: true, Triple: t})
	}
	for _, t := range d.Added {
		p = append(p, Change{Triple: t})
	}
	for _, c := range p {
		if err := patchable(c.Triple); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func hasBlank(ts []rdf.Triple) bool {
	for i := range ts {
		if ts[i].S.Kind == rdf.Blank || ts[i].O.Kind == rdf.Blank {
			return true
		}
	}
	return false
}

func blanks(g *rdf.Graph) []rdf.Triple {
	var out []rdf.Triple
	for _, t := range g.Triples() {
		if t.S.Kind == rdf.Blank || t.O.Kind == rdf.Blank {
			out = append(out, t)
		}
	}
	return out
}

func compare(a, b rdf.Triple) int {
	for _, c := range [3][2]*rdf.Term{{&a.S, &b.S}, {&a.P, &b.P}, {&a.O, &b.O}} {
		x, y := c[0], c[1]
		if x.Kind != y.Kind {
			return int(x.Kind) - int(y.Kind)
		}
		for _, s := range [3][2]string{{x.Value, y.Value}, {x.Datatype, y.Datatype}, {x.Lang, y.Lang}} {
			if n := strings.Compare(s[0], s[1]); n != 0 {
				return n
			}
		}
	}
	return 0
}

// ErrMismatch says that a patch is not for the graph it was applied to. Discard
// it and get the resource instead.
var ErrMismatch = errors.New("diff: the patch does not fit the graph")

// Apply returns g with the patch applied, change by change. Deleting a triple
// that is absent or adding one that is present is ErrMismatch; g is not changed.
func (p Patch) Apply(g *rdf.Graph) (*rdf.Graph, error) {
	state := map[rdf.Triple]bool{}
	for _, c := range p {
		present, touched := state[c.Triple]
		if !touched {
			present = g.Has(c.Triple)
		}
		if present != c.Delete {
			verb := "adds a triple that is there"
			if c.Delete {
				verb = "deletes a triple that is not there"
			}
			return nil, fmt.Errorf("%w: it %s: %s", ErrMismatch, verb, c)
		}
		state[c.Triple] = !c.Delete
	}
	out := g.Without(func(t rdf.Triple) bool {
		present, touched := state[t]
		return touched && !present
	})
	for _, c := range p {
		if state[c.Triple] {
			out.AddTriple(c.Triple)
		}
	}
	return out, nil
}
