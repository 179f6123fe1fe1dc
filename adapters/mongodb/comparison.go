package mongodb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// fromComparison compares everything with the log and goes on from the moment at
// which it began. A comparison that broke off is done again from its own start:
// what it emitted is on the log now, so it differs no more.
func (r *run) fromComparison(ctx context.Context, unfinished bookmark) error {
	r.count(countComparison)
	// The place is taken before anything is read, so that no change falls between.
	stream, err := r.open(ctx, Position{Place: unfinished.at})
	if err != nil {
		if errors.Is(err, oslc.Gone) {
			r.count(countHistoryLost)
			r.log.Error("the history ended before the comparison did: keep a longer oplog (storage.oplogMinRetentionHours)")
		}
		return err
	}
	start := unfinished.at
	var first Batch
	if start.Token == "" {
		if first, err = stream.Next(ctx); err != nil {
			closeStream(ctx, stream)
			return err
		}
		if start = first.At; len(first.Changes) > 0 {
			// Changes came at once: the place before the first is not known, and
			// none is needed, since the read below is later than all of them.
			start = first.Changes[len(first.Changes)-1].At
			if start.Before(first.At) {
				start = first.At
			}
		}
	}
	mark := r.mark
	mark.comparing, mark.at = true, start
	if mark.epoch = unfinished.epoch; !unfinished.comparing {
		mark.epoch, err = r.epoch(ctx)
	}
	if err == nil {
		err = r.compareAll(ctx, mark, start)
	}
	if err == nil {
		err = r.endEpoch(ctx, mark.epoch)
	}
	if err != nil {
		closeStream(ctx, stream)
		return err
	}
	r.at, r.emitted, r.touched = start, start, start
	return r.follow(ctx, stream)
}

// epochKey is the entry of the cache that counts the comparisons that ended.
const epochKey = "comparisons"

// epoch returns what keeps the identifiers of one comparison's events apart from
// those of the next: without it a document that is deleted and restored while
// nobody watches would come back under its old event. A comparison that broke off
// is repeated in the same epoch.
func (r *run) epoch(ctx context.Context) (string, error) {
	if r.Options.Cache == nil {
		return "", nil
	}
	b, err := r.Options.Cache.Get(ctx, epochKey)
	return string(b), oslc.E("mongodb.compare", err)
}

func (r *run) endEpoch(ctx context.Context, epoch string) error {
	if r.Options.Cache == nil {
		return nil
	}
	// Text that is no number counts as none.
	n, _ := strconv.Atoi(epoch)
	err := r.Options.Cache.Put(ctx, map[string][]byte{epochKey: strconv.AppendInt(nil, int64(n+1), 10)})
	return oslc.E("mongodb.compare", err)
}

// flushAt is how many events of a comparison are emitted at once.
const flushAt = 500

// compareAll emits the differences between MongoDB and the log, and then the live
// cursor.
func (r *run) compareAll(ctx context.Context, mark bookmark, start Place) error {
	if err := r.copies.clear(ctx); err != nil {
		return oslc.E("mongodb.compare", err)
	}
	r.refs = newReferences(r.References)
	if err := r.readReferences(ctx, start.readTime()); err != nil {
		return err
	}
	cursor := mark.cursor()
	prefix := mark
	flush := func(last bool) error {
		if len(r.out) < flushAt && !last {
			return nil
		}
		for i := range r.out {
			r.out[i].At = cursor
		}
		if last {
			live := prefix
			live.comparing, live.epoch, live.at = false, "", start
			r.out = append(r.out, adapters.Emission{At: live.cursor()})
		}
		batch := slices.Clone(r.out)
		clear(r.out)
		r.out = r.out[:0]
		if err := r.emit(ctx, batch...); err != nil {
			return emitError{err}
		}
		r.lastEmit = r.Options.Now()
		if r.copies.unsavedSize >= saveSize {
			return r.saveNow(ctx)
		}
		return nil
	}
	c := Change{At: start}
	for m := range r.Mappings {
		id := func(uri string, change oslc.Change, before, after *rdf.Graph) string {
			return r.compareID(mark.epoch, uri, change, content(before, true), content(after, false))
		}
		seen := map[[16]byte]struct{}{}
		if err := r.compare(ctx, m, &c, id, seen, func() error { return flush(false) }); err != nil {
			return err
		}
		if err := r.compareGone(ctx, m, &c, id, seen, func() error { return flush(false) }); err != nil {
			return err
		}
	}
	return flush(true)
}

// saveNow stores the copies that wait, without the note that they are whole.
func (r *run) saveNow(ctx context.Context) error {
	if r.Options.Cache == nil {
		return nil
	}
	writes, remembered := r.copies.toSave()
	if err := r.Options.Cache.Put(ctx, writes); err != nil {
		return oslc.E("mongodb.save", err)
	}
	r.copies.saved(remembered)
	return nil
}

// An identify function gives an event of a comparison its identifier.
type identify func(uri string, change oslc.Change, before, after *rdf.Graph) string

// compare compares the documents of a collection, as it was at c, with the log,
// and notes in seen which there are; flush is called now and then.
func (r *run) compare(ctx context.Context, m int, c *Change, id identify, seen map[[16]byte]struct{}, flush func() error) error {
	col := r.Mappings[m].Collection()
	for f, err := range r.server.Find(ctx, Query{Database: col.Database, Collection: col.Name, At: c.At.readTime()}) {
		if err != nil {
			return err
		}
		if err := r.compareDocument(ctx, m, f, c, id, seen); err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) compareDocument(ctx context.Context, m int, f Found, c *Change, id identify, seen map[[16]byte]struct{}) error {
	key := copyKey(m, f.Doc.field("_id"))
	h := r.copies.peek(key)
	if h == nil {
		h = r.hold(m, f.Doc.field("_id"))
	}
	seen[uriSum(h.uri)] = struct{}{}
	if h.doc != nil && h.fits && bytes.Equal(h.doc, f.Doc) {
		h.at = r.placeOf(f, c.At)
		return nil // as when a read broke off and yields everything again
	}
	before := h.resource()
	h.doc, h.at = f.Doc.Clone(), r.placeOf(f, c.At)
	defer func() { r.copies.put(h, r.whole(m)) }()
	warnings, err := r.remap(m, h)
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		r.count(countSkippedDocument)
		r.log.Warn("a document does not fit its mapping and is left out", "subject", h.uri, "err", err)
		return nil
	}
	if before == nil {
		if before, err = r.resource(ctx, h.uri); err != nil {
			return err
		}
	}
	e := oslc.Event{Subject: h.uri, Time: c.Time()}
	if before == nil {
		e.Change = oslc.Creation
	} else {
		if e.Changed = difference(before, h.resource()); len(e.Changed) == 0 {
			h.modified, _ = before.Object(rdf.NewIRI(h.uri), vocab.DCTermsModified).Time()
			if !h.modified.IsZero() {
				r.stamp(h, h.modified)
			}
			return nil
		}
		e.Change = oslc.Modification
		e.Types = r.Mappings[m].Types(before, h.resource())
	}
	e.ID = id(h.uri, e.Change, before, h.resource())
	r.stamp(h, e.Time)
	e.Resource = h.resource()
	r.append(&e, c.At, warnings)
	return nil
}

// compareGone emits the deletions: what the log has and was not seen.
func (r *run) compareGone(ctx context.Context, m int, c *Change, id identify, seen map[[16]byte]struct{}, flush func() error) error {
	var gone []string
	graphs := map[string]*rdf.Graph{}
	if r.Options.State != nil {
		below := r.Options.ResourceURI(r.Mappings[m].Collection().Kind, "")
		for uri, err := range r.Options.State.Resources(ctx) {
			if err != nil {
				return err
			}
			if _, there := seen[uriSum(uri)]; !there && strings.HasPrefix(uri, below) {
				gone = append(gone, uri)
			}
		}
	} else {
		err := r.copies.each(ctx, m, func(h *held) {
			r.current(m, h)
			if _, there := seen[uriSum(h.uri)]; !there && h.resource() != nil {
				gone = append(gone, h.uri)
				graphs[h.uri] = h.resource()
			}
		})
		if err != nil {
			return err
		}
	}
	// In order, so that a repeat has the same cursors.
	slices.Sort(gone)
	for _, uri := range gone {
		graph := graphs[uri]
		if graph == nil {
			var err error
			if graph, err = r.resource(ctx, uri); err != nil {
				return err
			}
		}
		r.append(&oslc.Event{
			ID: id(uri, oslc.Deletion, graph, nil), Change: oslc.Deletion,
			Subject: uri, Time: c.Time(), Resource: graph,
		}, c.At, nil)
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

func uriSum(uri string) (out [16]byte) {
	sum := sha256.Sum256([]byte(uri))
	copy(out[:], sum[:])
	return out
}

func sortHeld(list []*held) {
	slices.SortFunc(list, func(a, b *held) int { return strings.Compare(a.key, b.key) })
}

// collectionChange applies a change of whole collections.
func (r *run) collectionChange(ctx context.Context, c *Change) error {
	// A referenced collection that is dropped says nothing about the resources that
	// refer to it: it is dropped with them, or filled again. What is known of its
	// documents stays until there are others.
	for _, s := range r.spacesOf(c) {
		if s.mapping >= 0 {
			if err := r.collectionReplaced(ctx, s.mapping, c, false); err != nil {
				return err
			}
		}
	}
	if c.Op != OpRename {
		return nil
	}
	s, ok := r.spaces[namespace{c.ToDatabase, c.ToCollection}]
	if !ok {
		return nil
	}
	if s.reference >= 0 {
		ref := r.References[s.reference]
		var keys []useKey
		for f, err := range r.server.Find(ctx, Query{Database: ref.Database, Collection: ref.Name, At: c.At.readTime()}) {
			if err != nil {
				return err
			}
			keys = append(keys, r.refs.set(s.reference, f.Doc.field("_id"), f.Doc)...)
		}
		r.touched = c.At
		if err := r.remapUsers(ctx, keys, c); err != nil {
			return err
		}
	}
	if s.mapping >= 0 {
		return r.collectionReplaced(ctx, s.mapping, c, true)
	}
	return nil
}

// spacesOf returns what is gone after c, in the order of the configuration.
func (r *run) spacesOf(c *Change) []space {
	var out []space
	for _, ns := range r.namespaces() {
		if ns.database == c.Database && (ns.collection == c.Collection || c.Op == OpDropDatabase) {
			out = append(out, r.spaces[ns])
		}
	}
	return out
}

// collectionReplaced compares what a collection holds now, which is nothing where
// it is not there, with the log.
func (r *run) collectionReplaced(ctx context.Context, m int, c *Change, there bool) error {
	loud := r.silent.Before(c.At)
	if loud {
		// The log must have everything so far.
		if len(r.out) > 0 {
			if err := r.handOver(ctx, r.at); err != nil {
				return err
			}
		}
		if err := r.settle(ctx); err != nil {
			return err
		}
	}
	id := func(uri string, _ oslc.Change, _, _ *rdf.Graph) string {
		return oslc.NewID(r.service, "change", c.At.Token, uri)
	}
	flush := func() error {
		if !loud || len(r.out) < flushAt {
			return nil
		}
		r.holdBack(r.out)
		return r.handOver(ctx, r.at)
	}
	seen := map[[16]byte]struct{}{}
	r.touched = c.At
	if there {
		if err := r.compare(ctx, m, c, id, seen, flush); err != nil {
			return err
		}
	}
	if !loud {
		clear(r.out)
		r.out = r.out[:0]
	} else if err := r.compareGone(ctx, m, c, id, seen, flush); err != nil {
		return err
	}
	var gone []*held
	if err := r.copies.each(ctx, m, func(h *held) {
		if h.uri == "" {
			h.uri = r.documentURI(m, copyID(h.key))
		}
		if _, there := seen[uriSum(h.uri)]; !there {
			gone = append(gone, h)
		}
	}); err != nil {
		return oslc.E("mongodb.forget", err)
	}
	for _, h := range gone {
		r.refs.note(h, nil)
		h.become(nil)
		h.doc, h.hidden, h.fits, h.at = nil, nil, false, c.At
		r.copies.put(h, r.whole(m))
	}
	return nil
}
