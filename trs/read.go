package trs

import (
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// oldTRS is the namespace of the dialect before TRS 2.0. Its change logs are RDF
// lists, by the property changes.
const oldTRS = "http://jazz.net/ns/trs#"

// modernise writes the terms of the old dialect as those of TRS 3.0.
func modernise(g *rdf.Graph) {
	var found []rdf.Triple
	for t := range g.All() {
		if strings.HasPrefix(t.P.Value, oldTRS) || t.O.Kind == rdf.IRI && strings.HasPrefix(t.O.Value, oldTRS) {
			found = append(found, t)
		}
	}
	for _, t := range found {
		if name, ok := strings.CutPrefix(t.P.Value, oldTRS); ok {
			t.P.Value = vocab.TRS + name
		}
		if name, ok := strings.CutPrefix(t.O.Value, oldTRS); ok && t.P.Value == rdf.Type {
			t.O.Value = vocab.TRS + name
		}
		if t.P.Value != vocab.TRS+"changes" {
			g.AddTriple(t)
			continue
		}
		for _, e := range listed(g, t.O) {
			g.AddTriple(rdf.Triple{S: t.S, P: rdf.NewIRI(vocab.TRSChange), O: e})
		}
	}
}

// listed returns the elements of an RDF list, of one that is a ring each once.
func listed(g *rdf.Graph, at rdf.Term) (out []rdf.Term) {
	seen := map[rdf.Term]bool{}
	for !at.IsZero() && at.Value != rdf.Nil && !seen[at] {
		seen[at] = true
		if e := g.Object(at, rdf.First); !e.IsZero() {
			out = append(out, e)
		}
		at = g.Object(at, rdf.Rest)
	}
	return out
}

// findSet returns the node of the set in its document: the one with the address
// that was asked for, or else the only one that is one.
func findSet(g *rdf.Graph, uris ...string) (rdf.Term, error) {
	for _, uri := range uris {
		if s := rdf.NewIRI(uri); !g.Object(s, vocab.TRSBase).IsZero() || !g.Object(s, vocab.TRSChangeLog).IsZero() {
			return s, nil
		}
	}
	for _, p := range []string{vocab.TRSBase, vocab.TRSChangeLog} {
		var found []rdf.Term
		for t := range g.All() {
			if t.P.Value == p && !slices.Contains(found, t.S) {
				found = append(found, t.S)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return rdf.Term{}, oslc.Errorf("trs.read", oslc.Unavailable, "%s is no document of a tracked resource set", uris[0])
}

// An Event is an entry of another server's change log.
type Event struct {
	URI     string
	Kind    oslc.Change
	Changed string
	Order   int64
	// Late says that the server published the event after newer ones. The state that
	// it announces may be older than what is known.
	Late bool
	// Patch, when it has a text, leads from the resource's state before the event to
	// the one after it.
	Patch Patch
}

// Patch is what an event says of a change beyond that it happened (TRS 3.0, TRS
// Patch).
type Patch struct {
	Text string // trspatch:rdfPatch
	// From is the resource that the patch is for; empty means the changed one.
	From string
	// Before and After are the entity tags of the two states, without quotes.
	Before, After string
}

// readEvent reads an event, as leniently as its meaning allows: what is no deletion
// has the resource read again.
func readEvent(g *rdf.Graph, e rdf.Term) (Event, bool) {
	out := Event{URI: e.Value}
	for t := range g.About(e) {
		switch t.P.Value {
		case rdf.Type:
			if k := oslc.ChangeOf(t.O.Value); k > out.Kind {
				out.Kind = k
			}
		case vocab.TRSChanged:
			if t.O.Kind == rdf.IRI && (out.Changed == "" || t.O.Value < out.Changed) {
				out.Changed = t.O.Value
			}
		case vocab.TRSOrder:
			if n, ok := integer(t.O); ok && n > out.Order {
				out.Order = n
			}
		case vocab.TRSPatchRdfPatch:
			out.Patch.Text = t.O.Value
		case vocab.TRSPatchCreatedFrom:
			out.Patch.From = t.O.Value
		case vocab.TRSPatchBeforeETag, vocab.TRSPatch + "beforeEtag":
			out.Patch.Before = opaque(t.O.Value)
		case vocab.TRSPatchAfterETag, vocab.TRSPatch + "afterEtag":
			out.Patch.After = opaque(t.O.Value)
		}
	}
	if out.Kind == 0 {
		out.Kind = oslc.Modification
	}
	return out, e.Kind == rdf.IRI && out.Changed != ""
}

// integer reads a number whatever its datatype: xsd:int and plain strings are seen.
func integer(t rdf.Term) (int64, bool) {
	if n, ok := t.Int(); ok {
		return n, true
	}
	return rdf.Typed(strings.TrimSpace(t.Value), rdf.XSDInteger).Int()
}

// opaque returns an entity tag without its marks: whether they belong in the literal
// is not said anywhere.
func opaque(tag string) string { return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) }

// A page is what a document of a base says.
type page struct {
	cutoff    string // "" for none
	hasCutoff bool
	members   []string
	next      string
}

func readPage(d *document, base string) page {
	g := d.graph
	node := rdf.NewIRI(base)
	if !speaksOfBase(g, node) {
		for _, p := range []string{vocab.TRSCutoffEvent, vocab.LDPHasMemberRelation, vocab.LDPMember, vocab.RDFSMember} {
			if found := subjectOf(g, p); !found.IsZero() {
				node = found
				break
			}
		}
	}
	var out page
	if cutoff := g.Object(node, vocab.TRSCutoffEvent); !cutoff.IsZero() {
		out.hasCutoff = true
		if cutoff.Value != rdf.Nil {
			out.cutoff = cutoff.Value
		}
	}
	for _, p := range []string{g.Value(node, vocab.LDPHasMemberRelation), vocab.LDPMember, vocab.RDFSMember} {
		if p == "" {
			continue
		}
		for _, m := range g.Objects(node, p) {
			if m.Kind == rdf.IRI {
				out.members = append(out.members, m.Value)
			}
		}
		if len(out.members) > 0 {
			break
		}
	}
	for _, next := range d.links("next") {
		if next != rdf.Nil {
			out.next = next
		}
	}
	for t := range g.All() {
		if out.next == "" && t.P.Value == vocab.LDPNextPage && t.O.Kind == rdf.IRI && t.O.Value != rdf.Nil {
			out.next = t.O.Value
		}
	}
	return out
}

func speaksOfBase(g *rdf.Graph, node rdf.Term) bool {
	for t := range g.About(node) {
		switch t.P.Value {
		case vocab.TRSCutoffEvent, vocab.LDPHasMemberRelation, vocab.LDPMember, vocab.RDFSMember:
			return true
		}
		if t.P.Value == rdf.Type && (t.O.Value == vocab.TRSBaseClass || t.O.Value == vocab.LDPContainer || t.O.Value == vocab.LDPDirectContainer) {
			return true
		}
	}
	return false
}

func subjectOf(g *rdf.Graph, p string) rdf.Term {
	for t := range g.All() {
		if t.P.Value == p {
			return t.S
		}
	}
	return rdf.Term{}
}
