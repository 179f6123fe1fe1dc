package mongodb

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// change applies one change to the copies and appends what it leads to to r.out.
func (r *run) change(ctx context.Context, c *Change) error {
	switch c.Op {
	case OpInsert, OpUpdate, OpReplace, OpDelete:
		s, ok := r.spaces[namespace{c.Database, c.Collection}]
		if !ok {
			return nil
		}
		if c.ID.IsZero() {
			r.log.Warn("a change names no document", "collection", c.Collection)
			r.count(countUnknownChange)
			return nil
		}
		if s.reference >= 0 {
			if err := r.referenceChange(ctx, s.reference, c); err != nil {
				return err
			}
		}
		if s.mapping >= 0 {
			return r.documentChange(ctx, s.mapping, c)
		}
	case OpDrop, OpRename, OpDropDatabase:
		return r.collectionChange(ctx, c)
	case OpInvalidate, "create", "createIndexes", "dropIndexes", "modify", "shardCollection",
		"refineCollectionShardKey", "reshardCollection", "startIndexBuild", "commitIndexBuild", "abortIndexBuild":
		// The documents are the same afterwards.
	default:
		r.log.Warn("a change of an unknown kind is left out", "operation", c.Op, "collection", c.Collection)
		r.count(countUnknownChange)
	}
	return nil
}

// documentChange applies the change of a document that is mapped.
func (r *run) documentChange(ctx context.Context, m int, c *Change) error {
	key := copyKey(m, c.ID)
	var h *held
	var err error
	if c.Op == OpInsert {
		// What is inserted was not there, so the cache need not be asked.
		h = r.copies.peek(key)
	} else if h, err = r.copies.get(ctx, key); err != nil {
		r.cacheFailed(err)
	}
	if h != nil && !h.at.Before(c.At) { // the copy was read after this change
		if h.ahead && r.silent.Before(c.At) {
			return r.overtaken(ctx, m, h, c)
		}
		return nil
	}
	known := h != nil && h.doc != nil
	if h == nil {
		h = r.hold(m, c.ID)
	} else if h.uri == "" {
		h.uri = r.documentURI(m, c.ID)
	}
	if c.Op == OpDelete {
		return r.deleted(ctx, m, h, known, c)
	}
	// A collection that is not held whole is only looked at when it changes, and
	// what the log has need not be derived again.
	if !known && c.Op == OpUpdate && c.Full == nil && !r.silent.Before(c.At) && !r.whole(m) {
		return nil
	}
	if known && h.resource() == nil {
		r.current(m, h)
	}
	next, ok, err := r.after(ctx, m, h, known, c)
	if err != nil {
		return err
	}
	if !ok {
		// The copy cannot follow; its graph stays for the deletion.
		h.doc, r.touched = nil, c.At
		r.copies.put(h, r.whole(m))
		return nil
	}
	if !known && h.doc != nil {
		known = true // after has read the state before
		r.current(m, h)
	}
	was := h.doc
	h.doc, h.at = next.doc, next.at
	before, beforeHidden, hiddenKnown := h.resource(), h.hidden, h.fits
	r.touched = c.At
	defer func() { r.copies.put(h, r.whole(m)) }()
	var warnings []string
	if !next.applied || !r.derive(m, h, &c.Update) {
		warnings, err = r.remap(m, h)
	}
	if err != nil {
		if r.silent.Before(c.At) && !errors.Is(err, ErrNone) {
			r.count(countSkippedDocument)
			r.log.Warn("a document does not fit its mapping and is left out", "subject", h.uri, "err", err)
		}
		return nil
	}
	if !r.silent.Before(c.At) {
		r.repeat(h, before, c)
		return nil
	}
	// A document that is inserted has no resource yet, except where the scan of a
	// comparison came first.
	if before == nil && (c.Op != OpInsert || c.At.Time <= r.overlap || known) {
		if before, err = r.resource(ctx, h.uri); err != nil {
			return err
		}
	}
	id := oslc.NewID(r.service, "change", c.At.Token)
	told := len(r.out)
	r.differ(m, h, before, hiddenDifference(beforeHidden, h.hidden, hiddenKnown), id, c, warnings)
	if by, ok := r.Mappings[m].(Tracer); ok && len(r.out) > told {
		cause, e := by.Cause(was, h.doc), r.out[told].Event
		e.CausedBy, e.Hops, e.Via, e.Trace = cause.Request, cause.Hops, cause.Via, cause.Trace
	}
	return nil
}

// overtaken emits what the log lacks of a document that could only be read at a
// later moment: its present state, under the first change that it includes. The
// states in between are gone.
func (r *run) overtaken(ctx context.Context, m int, h *held, c *Change) error {
	before, err := r.resource(ctx, h.uri)
	if err != nil {
		return err
	}
	h.ahead, r.touched = false, c.At
	if h.resource() != nil {
		r.differ(m, h, before, nil, oslc.NewID(r.service, "change", c.At.Token), c, nil)
	}
	r.copies.put(h, r.whole(m))
	return nil
}

// differ emits what became of a resource, whose newest graph h holds, if anything.
func (r *run) differ(m int, h *held, before *rdf.Graph, hidden []string, id string, c *Change, warnings []string) {
	e := oslc.Event{ID: id, Subject: h.uri, Time: c.Time(), Sequence: c.At.Token}
	switch {
	case before != nil:
		e.Changed = difference(before, h.resource())
		for _, p := range hidden {
			e.Changed = appendNew(e.Changed, p)
		}
		if len(e.Changed) == 0 {
			h.become(before)
			return
		}
		e.Change = oslc.Modification
		e.Types = r.Mappings[m].Types(before, h.resource())
	case c.Op != OpInsert && r.Options.State == nil:
		// Nothing says whether the resource was there; documents that change are
		// as a rule not new.
		e.Change = oslc.Modification
	default:
		e.Change = oslc.Creation
	}
	r.stamp(h, e.Time)
	e.Resource = h.resource()
	r.append(&e, c.At, warnings)
}

// repeat brings a copy up to date with a change that the log has already.
func (r *run) repeat(h *held, before *rdf.Graph, c *Change) {
	if before != nil && len(difference(before, h.resource())) == 0 {
		h.become(before)
		return
	}
	r.stamp(h, c.Time())
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// stamp gives a newly mapped graph its dcterms:modified.
func (r *run) stamp(h *held, t time.Time) {
	h.modified, h.packed = t, ""
	h.graph.Node(h.uri).Time(vocab.DCTermsModified, t)
}

// append adds an event to the batch, with the cursor that stands after it.
func (r *run) append(e *oslc.Event, at Place, warnings []string) {
	e.Listener = r.listen
	for _, w := range warnings {
		r.count(w)
		r.log.Warn("a document is odd", "subject", e.Subject, "what", w)
	}
	r.out = append(r.out, adapters.Emission{Event: e, At: r.cursor(at)})
}

// A state is a document after a change, and the place up to which it includes every
// change. applied tells that it is the one before with the change's delta.
type state struct {
	doc     Doc
	at      Place
	applied bool
}

// after returns the document right after c. ok is false when it is gone by now and
// nothing can be said.
func (r *run) after(ctx context.Context, m int, h *held, known bool, c *Change) (s state, ok bool, err error) {
	if c.Full != nil {
		return state{doc: c.Full.Clone(), at: c.At}, true, nil
	}
	if c.Op == OpUpdate && !c.Update.isZero() {
		if !known && r.begin.readTime() != c.At.Time {
			// The state before the change gives, with the delta, the state after
			// it, and says what changed. Where the stream begins amid a
			// transaction, earlier changes of the same time would be missing.
			f, found, err := r.lookup(ctx, m, c.ID, c.At.Time-1)
			if err != nil {
				return state{}, false, err
			}
			if found && f.At < c.At.Time {
				h.doc = f.Doc.Clone()
			}
		}
		if h.doc != nil {
			if doc, err := c.Update.Apply(h.doc); err == nil {
				return state{doc: doc, at: c.At, applied: true}, true, nil
			}
		}
	}
	f, found, err := r.lookup(ctx, m, c.ID, c.At.Time)
	if err != nil || !found {
		// It was deleted since: the change that says so comes.
		return state{}, false, err
	}
	return state{doc: f.Doc.Clone(), at: r.placeOf(f, c.At)}, true, nil
}

// lookup reads one document as it was at a time, or is now where that is too long
// ago.
func (r *run) lookup(ctx context.Context, m int, id Value, at ClusterTime) (Found, bool, error) {
	r.count(countLookup)
	c := r.Mappings[m].Collection()
	for f, err := range r.server.Find(ctx, Query{Database: c.Database, Collection: c.Name, ID: id, At: at}) {
		if err != nil {
			return Found{}, false, err
		}
		return f, true, nil
	}
	return Found{}, false, nil
}

// deleted emits the deletion of a document.
func (r *run) deleted(ctx context.Context, m int, h *held, known bool, c *Change) error {
	r.touched = c.At
	if known {
		r.current(m, h)
	}
	graph := h.resource()
	knownBad := known && graph == nil
	r.refs.note(h, nil)
	h.become(nil)
	h.doc, h.at, h.hidden, h.fits = nil, c.At, nil, false
	r.copies.put(h, r.whole(m))
	if !r.silent.Before(c.At) {
		return nil
	}
	if graph == nil && c.Before != nil {
		if res, err := r.Mappings[m].Map(c.Before, h.uri, &user{references: r.refs}); err == nil {
			graph = res.Graph
		} else {
			knownBad = true
		}
	}
	if graph == nil {
		var err error
		if graph, err = r.resource(ctx, h.uri); err != nil {
			return err
		}
	}
	if _, independent := r.Mappings[m].(Independent); graph == nil && (knownBad || independent && r.Options.State != nil) {
		return nil // it never was a resource
	}
	if graph == nil {
		if r.Options.State == nil {
			f, found, err := r.lookup(ctx, m, c.ID, c.At.Time-1)
			if err != nil {
				return err
			}
			if found && f.At < c.At.Time {
				if res, err := r.Mappings[m].Map(f.Doc, h.uri, &user{references: r.refs}); err == nil {
					graph = res.Graph
				}
			}
		}
		if graph == nil {
			graph = rdf.NewGraph()
			graph.Node(h.uri).String(vocab.DCTermsIdentifier, c.ID.Text())
		}
	}
	r.append(&oslc.Event{
		ID: oslc.NewID(r.service, "change", c.At.Token), Sequence: c.At.Token, Change: oslc.Deletion,
		Subject: h.uri, Time: c.Time(), Resource: graph,
	}, c.At, nil)
	return nil
}

// resource returns the resource as the log has it, or nil.
func (r *run) resource(ctx context.Context, uri string) (*rdf.Graph, error) {
	if r.Options.State == nil {
		return nil, nil
	}
	g, ok, err := r.Options.State.Resource(ctx, uri)
	if err != nil || !ok {
		return nil, err
	}
	return g, nil
}

// current makes the graph of h stand for its document, where it was never made.
func (r *run) current(m int, h *held) {
	if h.resource() != nil || h.fits {
		return
	}
	if h.uri == "" {
		h.uri = r.documentURI(m, copyID(h.key))
	}
	if _, err := r.remap(m, h); err == nil && !h.modified.IsZero() {
		r.stamp(h, h.modified)
	}
}

// remap maps the document of h into its graph. It leaves the graph as it is where the document
// does not fit.
func (r *run) remap(m int, h *held) (warnings []string, err error) {
	u := user{references: r.refs}
	res, err := r.Mappings[m].Map(h.doc, h.uri, &u)
	if r.whole(m) {
		r.refs.note(h, u.uses)
	}
	if err != nil {
		h.fits = false
		return nil, err
	}
	h.become(res.Graph)
	h.hidden, h.fits = res.Hidden, true
	return res.Warnings, nil
}

// derive makes the graph of h what its document maps to, by way of the graph of the
// one that d was applied to, where the mapping can.
func (r *run) derive(m int, h *held, d *Delta) bool {
	by, can := r.Mappings[m].(Remapper)
	if !can || !h.fits || h.resource() == nil {
		return false
	}
	var room [4]string
	changed, ok := d.top(room[:0])
	if !ok {
		return false
	}
	g, ok := by.Remap(h.resource(), h.doc, h.uri, changed)
	if ok {
		h.become(g)
	}
	return ok
}

// referenceChange applies the change of a document that mappings look things up
// in, and emits what became of the resources that refer to it.
func (r *run) referenceChange(ctx context.Context, i int, c *Change) error {
	var keys []useKey
	switch {
	case c.Op == OpDelete:
		keys = r.refs.set(i, c.ID, nil)
	case c.Full != nil:
		keys = r.refs.set(i, c.ID, c.Full)
	default:
		var ok bool
		if keys, ok = r.refs.update(i, c.ID, &c.Update); !ok {
			r.count(countLookup)
			ref := r.References[i]
			for f, err := range r.server.Find(ctx, Query{Database: ref.Database, Collection: ref.Name, ID: c.ID, At: c.At.Time}) {
				if err != nil {
					return err
				}
				keys = r.refs.set(i, c.ID, f.Doc)
			}
		}
	}
	if len(keys) > 0 {
		r.touched = c.At
	}
	return r.remapUsers(ctx, keys, c)
}

// remapUsers maps the resources again that looked for one of the keys.
func (r *run) remapUsers(ctx context.Context, keys []useKey, c *Change) error {
	var users []*held
	seen := map[*held]bool{}
	for _, k := range keys {
		for h := range r.refs.users[k] {
			if !seen[h] && h.doc != nil {
				seen[h] = true
				users = append(users, h)
			}
		}
	}
	sortHeld(users)
	for _, h := range users {
		m := int(h.key[1])
		before, beforeHidden, hiddenKnown := h.resource(), h.hidden, h.fits
		warnings, err := r.remap(m, h)
		if err != nil {
			continue // it did not fit before either, or is counted when it changes
		}
		if !r.silent.Before(c.At) {
			r.repeat(h, before, c)
			continue
		}
		if before == nil {
			if before, err = r.resource(ctx, h.uri); err != nil {
				return err
			}
		}
		id := oslc.NewID(r.service, "change", c.At.Token, h.uri)
		r.differ(m, h, before, hiddenDifference(beforeHidden, h.hidden, hiddenKnown), id,
			&Change{Op: OpUpdate, At: c.At, Wall: c.Wall}, warnings)
		h.rest()
	}
	return nil
}

func (r *run) cacheFailed(err error) {
	r.count(countCacheError)
	r.log.Warn("a copy could not be read", "err", err)
}
