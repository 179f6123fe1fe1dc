package trs

import (
	"context"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// An Edit is what a modification did to the state of a resource on the log.
type Edit struct {
	// Before is the UUID of the event that left the state before.
	Before string
	// Text is the patch that leads from that state to the one after.
	Text string
	// Kept are statements of both states: the classes of the resource, and its values by
	// predicates that the patch touches; in N-Triples.
	Kept string
}

// A Patcher is a Store that knows what modifications did.
type Patcher interface {
	// Patches returns the edits with after < order <= upTo, by order. A change without
	// one is not known well enough, or did too much.
	Patches(ctx context.Context, set string, after, upTo int64) (map[int64]Edit, error)
}

// A Representation knows what a GET of a resource answers: patches are for that, and
// not for the state on the log.
type Representation interface {
	// Version differs where the same states are answered in another way. It is part of
	// the names of pages.
	Version() uint64
	// Tag returns the entity tag, without quotes, of the answer in a syntax to clients
	// of version 2.0 while event is the newest of the resource.
	Tag(uri, event string, f format.Format) string
	// Patch turns what was done to the state into what is done to the answer. It reports
	// false where that cannot be said.
	Patch(uri string, kept *rdf.Graph, p diff.Patch) (diff.Patch, bool)
}

// patches returns what the events of a segment say of their changes.
func (s *Server) patches(ctx context.Context, set string, after, upTo int64) (map[int64]Edit, error) {
	store, ok := s.cfg.Store.(Patcher)
	if !ok || s.cfg.Patches == nil {
		return nil, nil
	}
	return store.Patches(ctx, set, after, upTo)
}

// patchesInSegment is how many bytes of patches a segment has: the newest changes get
// theirs, which is what a reader wants that keeps up. Without a limit every poll of a
// busy set would bring ten times as much.
const patchesInSegment = 64 << 10

// addPatch says how a change leads from one answer in the syntax of the segment to the
// next (TRS 3.0, TRS Patch). room is what is left for patches; the first that does not
// fit ends it.
func (s *Server) addPatch(n rdf.Node, c Change, e Edit, f format.Format, room *int) {
	if e.Text == "" || *room <= 0 {
		return
	}
	p, err := diff.Parse(e.Text, rdf.Limits{})
	if err != nil {
		return
	}
	kept, err := format.Parse([]byte(e.Kept), format.NTriples, "", rdf.Limits{})
	if err != nil {
		return
	}
	p, ok := s.cfg.Patches.Patch(c.Changed, kept, p)
	if !ok {
		return
	}
	text, err := p.Append(nil)
	if err != nil || len(p) == 0 {
		return
	}
	if *room -= len(text); *room < 0 {
		return
	}
	n.String(vocab.TRSPatchRdfPatch, string(text)).
		String(vocab.TRSPatchBeforeETag, s.cfg.Patches.Tag(c.Changed, e.Before, f)).
		String(vocab.TRSPatchAfterETag, s.cfg.Patches.Tag(c.Changed, c.Event, f))
}

// Apply brings the state of a resource that was held to what it is after events, which
// are all of the resource since, oldest first. It reports false where their patches do
// not lead there: one has none, is not for the state that is held or for another
// resource, or does not fit; then the resource is to be read.
func Apply(held State, events []Event) (State, bool) {
	if held.Graph == nil || held.Tag == "" || len(events) == 0 {
		return State{}, false
	}
	out := State{held.Graph, opaque(held.Tag)}
	for _, e := range events {
		p := e.Patch
		if p.Text == "" || p.Before == "" || p.Before != out.Tag || e.Late || p.From != "" && p.From != e.Changed {
			return State{}, false
		}
		patch, err := diff.Parse(p.Text, rdf.Limits{})
		if err != nil || slices.ContainsFunc(patch, func(c diff.Change) bool { return !speaksOf(c.Triple.S.Value, e.Changed) }) {
			return State{}, false
		}
		if out.Graph, err = patch.Apply(out.Graph); err != nil {
			return State{}, false
		}
		out.Tag = p.After
	}
	return out, out.Tag != ""
}

// speaksOf reports whether a subject is a resource or something within it: a feed says
// nothing of other resources.
func speaksOf(subject, uri string) bool {
	return subject == uri || strings.HasPrefix(subject, uri+"#") || strings.HasPrefix(subject, uri+"/")
}
