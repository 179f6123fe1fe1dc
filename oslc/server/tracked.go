package server

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Tracked says how what Resource answers follows from the states of a resource: it is
// for patches in a change log, which lead from one answer to the next. The answers are
// those to clients of version 2.0, which readers of tracked resource sets are; those
// to others hold descriptions of actions, which a patch has no words for.
type Tracked struct{ s *Server }

// Tracked returns what is known of the answers of s.
func (s *Server) Tracked() *Tracked { return &Tracked{s} }

// offersSum tells sets of actions apart.
func offersSum(offers []offer) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintln(h, "with actions to come") // so that answers from before are other ones
	for i := range offers {
		o := &offers[i]
		_, _ = fmt.Fprintf(h, "%q %q %q %q\n", o.tool, o.Name, o.Class, o.Where) // cannot fail
	}
	return h.Sum64()
}

// Version differs where the same states are answered in another way.
func (t *Tracked) Version() uint64 { return t.s.offersSum }

// Tag returns the entity tag, without quotes, of the answer in a syntax while the
// revision of the resource is the one given.
func (t *Tracked) Tag(_, revision string, f format.Format) string {
	return revision + t.s.variant(nil, false, true) + "-" + f.String()
}

// Patch turns a patch between two states of a resource into the one between the two
// answers. kept are statements of both states: all classes that the patch leaves, and
// all values that it leaves of properties of the resource that it touches. It reports
// false where the two answers differ in something else too.
func (t *Tracked) Patch(uri string, kept *rdf.Graph, p diff.Patch) (diff.Patch, bool) {
	provider, c := t.find(uri)
	if c == nil {
		return nil, false
	}
	subject := rdf.NewIRI(uri)
	before, after := rdf.NewGraph(), rdf.NewGraph()
	before.AddGraph(kept)
	after.AddGraph(kept)
	touched := map[string]bool{rdf.Type: true} // all of it is known
	for _, ch := range p {
		if ch.Triple.S == subject {
			touched[ch.Triple.P.Value] = true
		}
		if ch.Delete {
			before.AddTriple(ch.Triple)
		} else {
			after.AddTriple(ch.Triple)
		}
	}
	// What every answer adds where the state does not say it.
	if touched[vocab.OSLCServiceProvider] || touched[vocab.OSLCInstanceShape] || touched[vocab.OSLCAction] || touched[vocab.OSLCFutureAction] {
		return nil, false
	}
	// Other datatypes are answered than there are: two values may become one.
	for _, g := range []*rdf.Graph{before, after} {
		if expressible(g).Len() != g.Len() {
			return nil, false
		}
	}
	plan := before.IsA(subject, vocab.AutoAutomationPlan)
	if plan != after.IsA(subject, vocab.AutoAutomationPlan) {
		return nil, false
	}
	for i := range t.s.offers {
		o := &t.s.offers[i]
		if o.tool != provider || o.Class == "" {
			continue
		}
		known, unknown := 0, 0
		for _, term := range o.where {
			if term.Op != query.Scoped && touched[term.Property] {
				known++
			} else {
				unknown++
			}
		}
		class := before.IsA(subject, o.Class) != after.IsA(subject, o.Class)
		if plan && class {
			return nil, false // what may be done at another time changes with it
		}
		scoped := slices.ContainsFunc(o.where, func(term query.Term) bool { return term.Op == query.Scoped || term.Property == "*" })
		switch {
		case scoped || unknown > 0 && (known > 0 || class):
			return nil, false
		case unknown == 0:
			link := rdf.Triple{S: subject, P: rdf.NewIRI(vocab.OSLCAction), O: rdf.NewIRI(actionURI(uri, o.Name))}
			was, is := o.available(before, subject), o.available(after, subject)
			if was != is {
				p = append(slices.Clip(p), diff.Change{Delete: was, Triple: link})
			}
		}
	}
	out := make(diff.Patch, 0, len(p))
	for _, ch := range p {
		ch.Triple.O = expressibleTerm(ch.Triple.O)
		out = append(out, ch)
	}
	return normal(out)
}

// normal puts what a patch deletes first. It reports false for one that deletes and
// adds the same: the answers may not differ at all.
func normal(p diff.Patch) (diff.Patch, bool) {
	gone := map[rdf.Triple]bool{}
	for _, ch := range p {
		if ch.Delete {
			gone[ch.Triple] = true
		}
	}
	for _, ch := range p {
		if !ch.Delete && gone[ch.Triple] {
			return nil, false
		}
	}
	slices.SortStableFunc(p, func(a, b diff.Change) int {
		switch {
		case a.Delete == b.Delete:
			return 0
		case a.Delete:
			return -1
		}
		return 1
	})
	return p, true
}

// find returns the provider and the collection of a resource, nil when it is not of
// this server.
func (t *Tracked) find(uri string) (string, *collection) {
	rest, ok := strings.CutPrefix(uri, t.s.cfg.BaseURL+"/services/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return "", nil
	}
	name, err := url.PathUnescape(parts[0])
	if err != nil {
		return "", nil
	}
	c, err := t.s.collection(name, parts[1])
	if err != nil {
		return "", nil
	}
	return name, c
}
