package trsfeed

import (
	"bytes"
	"context"
	"slices"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/trs"
)

// What a server answered is kept beside its entity tag once its change log has a patch
// for the resource: later changes then need no request. Losing it costs requests.

// patched returns the states that patches lead to, by resource the last one and by event
// each, and leaves the other resources to be read.
func (r *run) patched(ctx context.Context, events []trs.Event, uris []string) (states, each map[string]state, rest []string) {
	states, each = map[string]state{}, map[string]state{}
	for _, uri := range uris {
		var of []trs.Event
		for _, e := range events {
			if e.Changed == uri {
				of = append(of, e)
			}
		}
		if r.opts.Cache == nil || !hasPatch(of) || slices.Contains(r.cursor.Skipped, uri) {
			rest = append(rest, uri)
			continue
		}
		at := r.held(ctx, uri)
		steps := make([]trs.State, 0, len(of))
		for i := range of {
			now, ok := trs.Apply(at, of[i:i+1])
			if !ok {
				break
			}
			at, steps = now, append(steps, now)
		}
		if len(steps) < len(of) {
			rest = append(rest, uri)
			continue
		}
		for i, now := range steps {
			each[of[i].URI] = state{graph: now.Graph, tag: now.Tag}
		}
		states[uri] = each[of[len(of)-1].URI]
	}
	r.count("patched_resource", len(states))
	return states, each, rest
}

func hasPatch(events []trs.Event) bool {
	return slices.ContainsFunc(events, func(e trs.Event) bool { return e.Patch.Text != "" })
}

// hold keeps the states of resources that the log has patches for, and forgets those
// that were deleted.
func (r *run) hold(ctx context.Context, events []trs.Event, states map[string]state) {
	if r.opts.Cache == nil {
		return
	}
	writes := map[string][]byte{}
	for _, e := range events {
		st := states[e.Changed]
		switch {
		case e.Kind == oslc.Deletion && st.graph == nil:
			writes[e.Changed] = nil
		case e.Patch.Text != "" && st.graph != nil && st.tag != "" && !bytes.ContainsRune([]byte(st.tag), '\n'):
			if text, err := format.Append(append([]byte(st.tag), '\n'), st.graph, format.NTriples); err == nil {
				writes[e.Changed] = text
			}
		}
	}
	if len(writes) == 0 {
		return
	}
	if err := r.opts.Cache.Put(ctx, writes); err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "states cannot be kept; resources are read with each change", "err", err)
	}
}

// held returns what is kept of a resource, a zero State when nothing is.
func (r *run) held(ctx context.Context, uri string) trs.State {
	b, err := r.opts.Cache.Get(ctx, uri)
	tag, text, ok := bytes.Cut(b, []byte("\n"))
	if err != nil || !ok {
		return trs.State{}
	}
	g, err := format.Parse(text, format.NTriples, "", rdf.Limits{})
	if err != nil {
		return trs.State{}
	}
	return trs.State{Graph: g, Tag: string(tag)}
}
