package mongodb

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// A run is one call of Run. One goroutine reads batches from the server, one calls
// emit, and the run's own maps and compares in between, so that the next batch
// comes and is worked on while one is made durable.
type run struct {
	*Watcher
	server Server
	mark   bookmark // its place is not used
	prefix []byte   // of live cursors
	emit   adapters.Emit

	copies *copies
	refs   *references

	// at is the place up to which everything is applied. Up to silent nothing is
	// emitted: the log has it.
	at, silent Place
	// begin is where the stream begins.
	begin Place
	// overlap is the newest time at which a document was read: up to there a
	// change may be part of a copy already.
	overlap ClusterTime

	out   []adapters.Emission // of the batch at hand
	first int                 // index in out of the first one of the change at hand
	// touched is the place of the newest change that a copy includes, emitted
	// that of the newest cursor on the log.
	touched, emitted Place

	handed   chan []adapters.Emission // to the goroutine that emits
	finished chan error               // one answer for each handed batch
	inFlight Place                    // the cursor of the batch with emit; zero: none
	flying   bool

	saving   chan error // nil: no save is under way
	writes   []write
	lastSave time.Time
	lastEmit time.Time
}

func newRun(w *Watcher, server Server, identity Identity, emit adapters.Emit) *run {
	mark := bookmark{set: identity.Set, shape: w.shape}
	now := w.Options.Now()
	return &run{
		Watcher: w, server: server, emit: emit,
		mark: mark, prefix: mark.prefix(),
		copies:   newCopies(w.Options.Cache, w.Memory),
		refs:     newReferences(w.References),
		lastSave: now, lastEmit: now,
	}
}

// fromPlace goes on after a place on the log.
func (r *run) fromPlace(ctx context.Context, from Place) error {
	r.silent, r.emitted, r.touched = from, from, from
	start, err := r.load(ctx, from)
	if err != nil {
		return err
	}
	stream, err := r.open(ctx, Position{Place: start})
	if errors.Is(err, oslc.Gone) && start != from {
		// The history has the cursor and not the older place of the copies.
		if err := r.reload(ctx, from); err != nil {
			return err
		}
		start = from
		stream, err = r.open(ctx, Position{Place: start})
	}
	if err != nil {
		if errors.Is(err, oslc.Gone) {
			r.count(countHistoryLost)
		}
		return err
	}
	r.at, r.begin = start, start
	return r.follow(ctx, stream)
}

// load gets the copies out of the cache. It returns the place at which they stand,
// or from where there are none.
func (r *run) load(ctx context.Context, from Place) (Place, error) {
	if r.Options.Cache == nil {
		return from, r.read(ctx, from)
	}
	stored, err := r.Options.Cache.Get(ctx, metaKey)
	if err != nil {
		return Place{}, oslc.E("mongodb.load", err)
	}
	meta, err := parseCursor(stored)
	// Copies that are ahead of the log cannot say what the log lacks.
	if err != nil || meta.shape != r.mark.shape || meta.set != r.mark.set || from.Before(meta.at) {
		return from, r.reload(ctx, from)
	}
	for i := range r.References {
		b, err := r.Options.Cache.Get(ctx, refKey(i))
		if err != nil {
			return Place{}, oslc.E("mongodb.load", err)
		}
		if r.refs.decode(i, b) != nil {
			return from, r.reload(ctx, from)
		}
	}
	if len(r.References) > 0 {
		for i := range r.Mappings {
			if !r.whole(i) {
				continue
			}
			err := r.copies.each(ctx, i, func(h *held) {
				r.copies.pinned[h.key] = h
				h.uri = r.documentURI(i, copyID(h.key))
				r.current(i, h)
				h.rest()
			})
			if errors.Is(err, errStored) {
				return from, r.reload(ctx, from)
			}
			if err != nil {
				return Place{}, oslc.E("mongodb.load", err)
			}
		}
	}
	return meta.at, nil
}

// reload forgets all copies and starts over with those that the server can give.
func (r *run) reload(ctx context.Context, from Place) error {
	if err := r.copies.clear(ctx); err != nil {
		return oslc.E("mongodb.load", err)
	}
	r.refs = newReferences(r.References)
	return r.read(ctx, from)
}

// read gets what must be in memory from the server, as it was at the place: the
// references, and the documents whose mapping uses them.
func (r *run) read(ctx context.Context, from Place) error {
	if len(r.References) == 0 {
		return nil
	}
	if err := r.readReferences(ctx, from.readTime()); err != nil {
		return err
	}
	for i, m := range r.Mappings {
		if !r.whole(i) {
			continue
		}
		c := m.Collection()
		for f, err := range r.server.Find(ctx, Query{Database: c.Database, Collection: c.Name, At: from.readTime()}) {
			if err != nil {
				return err
			}
			h := r.hold(i, f.Doc.field("_id"))
			h.doc, h.at = f.Doc.Clone(), r.placeOf(f, from)
			r.current(i, h)
			if h.ahead = h.at != from; h.ahead {
				// Not into the cache: after a restart nobody would know any more that
				// the log lacks what led here.
				r.copies.pinned[h.key] = h
				h.rest()
				h.measure()
				continue
			}
			r.copies.put(h, true)
		}
	}
	return nil
}

// whole reports whether the documents of a mapping are all held in memory: those that
// refer to others are mapped again when these change.
func (r *run) whole(mapping int) bool {
	_, independent := r.Mappings[mapping].(Independent)
	return len(r.References) > 0 && !independent
}

func (r *run) readReferences(ctx context.Context, at ClusterTime) error {
	for i, ref := range r.References {
		for f, err := range r.server.Find(ctx, Query{Database: ref.Database, Collection: ref.Name, At: at}) {
			if err != nil {
				return err
			}
			r.refs.set(i, f.Doc.field("_id"), f.Doc)
		}
	}
	return nil
}

// placeOf returns the place up to which a document that was found includes every
// change: the wanted one, or all of a later moment.
func (r *run) placeOf(f Found, wanted Place) Place {
	if f.At <= wanted.readTime() {
		return wanted
	}
	r.overlap = max(r.overlap, f.At)
	return Place{Time: f.At, Token: afterAll}
}

// hold returns a new copy of the document with the given _id.
func (r *run) hold(mapping int, id Value) *held {
	return &held{key: copyKey(mapping, id), uri: r.documentURI(mapping, id)}
}

// open opens a stream, by time where the history has the place and not its token.
func (r *run) open(ctx context.Context, from Position) (Stream, error) {
	s, err := r.server.Watch(ctx, from)
	if errors.Is(err, ErrTokenNotFound) && !from.ByTime && from.Time != 0 {
		r.log.Warn("the resume token was not found, going on by its time", "err", err)
		from.ByTime = true
		s, err = r.server.Watch(ctx, from)
	}
	if errors.Is(err, ErrTokenNotFound) {
		return nil, oslc.E("mongodb.open", err, oslc.Gone)
	}
	return s, err
}

// fetched is a batch or what ended the stream.
type fetched struct {
	batch Batch
	err   error
}

// fetch reads batches until the stream or ctx ends. It owns the stream.
func (r *run) fetch(ctx context.Context, stream Stream, at Place, out chan<- fetched) {
	defer close(out)
	defer func() { closeStream(ctx, stream) }()
	lean, byTime, ends := false, false, 0
	for {
		b, err := stream.Next(ctx)
		again := Position{Place: at, Lean: lean}
		switch {
		case err == nil:
			ends = 0
			if len(b.Changes) > 0 {
				byTime = false
			}
			if at.Before(b.At) {
				at = b.At
			}
			select {
			case out <- fetched{batch: b}:
			case <-ctx.Done():
				return
			}
			continue
		case errors.Is(err, io.EOF) && ends == 0:
			// After an invalidate the stream goes on behind it.
			ends++
		case errors.Is(err, ErrTooLarge) && !lean:
			r.log.Warn("a change is too large to be sent, reading the document by itself", "err", err)
			r.count(countLargeChange)
			lean, again.Lean = true, true
		case errors.Is(err, ErrTokenNotFound) && !byTime:
			byTime, again.ByTime = true, true
		default:
			if errors.Is(err, io.EOF) {
				err = oslc.Errorf("mongodb.next", oslc.Unavailable, "the server closed the stream")
			}
			r.deliver(ctx, out, err)
			return
		}
		closeStream(ctx, stream)
		if stream, err = r.open(ctx, again); err != nil {
			stream = noStream{}
			r.deliver(ctx, out, err)
			return
		}
	}
}

func (r *run) deliver(ctx context.Context, out chan<- fetched, err error) {
	select {
	case out <- fetched{err: err}:
	case <-ctx.Done():
	}
}

type noStream struct{}

func (noStream) Next(context.Context) (Batch, error) { return Batch{}, io.EOF }
func (noStream) Close(context.Context) error         { return nil }

// What is still done after ctx ended is bounded: Run returns within a second of it,
// also when the server hangs. closeTimeout is for the stream, and again for the
// connection, lastSaveTimeout for the cache.
const (
	closeTimeout    = 250 * time.Millisecond
	lastSaveTimeout = 400 * time.Millisecond
)

func closeStream(ctx context.Context, s Stream) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	// A stream that cannot be closed is closed by the server when it times out.
	_ = s.Close(ctx)
}

// follow emits what the stream brings until something ends it.
func (r *run) follow(ctx context.Context, stream Stream) (err error) {
	if err := r.emit(ctx); err != nil { // nothing to tell, but that it follows
		closeStream(ctx, stream)
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	batches := make(chan fetched, 1)
	fetcherDone := make(chan struct{})
	go func() {
		defer close(fetcherDone)
		r.fetch(ctx, stream, r.at, batches)
	}()
	stopEmitter := r.startEmitter(ctx)
	defer func() {
		cancel()
		stopEmitter()
		<-fetcherDone
		r.lastSaving(ctx)
	}()
	for {
		select {
		case f, ok := <-batches:
			if !ok {
				return ctx.Err()
			}
			if f.err != nil {
				if err := r.settle(ctx); err != nil {
					return err
				}
				return f.err
			}
			if err := r.take(ctx, f.batch); err != nil {
				return err
			}
		case err := <-r.finished:
			if err := r.landed(err); err != nil {
				return err
			}
		case err := <-r.saving:
			r.savedAll(err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// startEmitter starts the goroutine that calls emit; the function that it returns
// waits for its end.
func (r *run) startEmitter(ctx context.Context) (stop func()) {
	r.handed, r.finished = make(chan []adapters.Emission), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for batch := range r.handed {
			r.finished <- r.emit(ctx, batch...)
		}
	}()
	return func() {
		close(r.handed)
		<-done
	}
}

// take applies a batch and hands over what it leads to.
func (r *run) take(ctx context.Context, b Batch) error {
	if r.saveDue() {
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		if !r.at.Before(c.At) {
			continue // a stream that was opened by time begins with what we have
		}
		r.first = len(r.out)
		if err := r.change(ctx, c); err != nil {
			return err
		}
		if r.first < len(r.out)-1 {
			r.holdBack(r.out[r.first : len(r.out)-1])
		}
		r.at = c.At
	}
	if r.at.Before(b.At) {
		r.at = b.At
	}
	if len(r.out) == 0 {
		if r.silent.Before(r.at) && r.emitted.Before(r.at) && r.Options.Now().Sub(r.lastEmit) >= r.Quiet {
			return r.moveCursor(ctx)
		}
		return nil
	}
	return r.handOver(ctx, r.at)
}

// holdBack gives all but the last event of a change the cursor before it: a crash
// between two of them must repeat the first and not lose the second.
func (r *run) holdBack(events []adapters.Emission) {
	at := r.cursor(r.at)
	for i := range events {
		events[i].At = at
	}
}

// moveCursor emits the cursor alone.
func (r *run) moveCursor(ctx context.Context) error {
	r.out = append(r.out, adapters.Emission{At: r.cursor(r.at)})
	return r.handOver(ctx, r.at)
}

func (r *run) cursor(at Place) adapters.Cursor { return r.mark.appendPlace(r.prefix, at) }

// handOver gives r.out to emit, after what it has is durable. at is the place of
// the last cursor in it.
func (r *run) handOver(ctx context.Context, at Place) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	batch := slices.Clone(r.out)
	clear(r.out)
	r.out, r.first = r.out[:0], 0
	select {
	case r.handed <- batch:
		r.flying, r.inFlight = true, at
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle waits until everything that was handed over is durable.
func (r *run) settle(ctx context.Context) error {
	if !r.flying {
		return nil
	}
	select {
	case err := <-r.finished:
		return r.landed(err)
	case <-ctx.Done():
		// Emit ends with ctx; its answer says whether the batch is durable.
		return r.landed(<-r.finished)
	}
}

// landed takes emit's answer.
func (r *run) landed(err error) error {
	r.flying = false
	if err != nil {
		return emitError{err}
	}
	r.emitted, r.lastEmit = r.inFlight, r.Options.Now()
	return nil
}

const (
	// saveEvery is how long a copy may wait for the cache: what is read again
	// after a crash.
	saveEvery = 5 * time.Second
	// saveSize is how many bytes of copies may wait.
	saveSize = 64 << 20
)

// saveDue reports whether the cache should be brought up to date.
func (r *run) saveDue() bool {
	if r.Options.Cache == nil || r.saving != nil || len(r.copies.unsaved) == 0 && !slices.Contains(r.refs.changed, true) {
		return false
	}
	if r.copies.unsavedSize >= saveSize {
		return true
	}
	since := r.Options.Now().Sub(r.lastSave)
	if r.emitted.Before(r.touched) && !r.flying {
		// Only noise since the newest event: saving it costs a cursor on the log.
		return since >= r.Quiet
	}
	return since >= saveEvery
}

// save starts to bring the cache up to date with the log. The copies must not be
// ahead of it, so everything is made durable first.
func (r *run) save(ctx context.Context) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	if r.emitted.Before(r.touched) && r.silent.Before(r.touched) {
		if err := r.moveCursor(ctx); err != nil {
			return err
		}
		if err := r.settle(ctx); err != nil {
			return err
		}
	}
	r.startSave(context.WithoutCancel(ctx))
	return nil
}

func (r *run) startSave(ctx context.Context) {
	writes, remembered := r.copies.toSave()
	for i, changed := range r.refs.changed {
		if changed {
			writes[refKey(i)] = r.refs.encode(i)
			r.refs.changed[i] = false
		}
	}
	at := r.mark
	// While changes are repeated in silence the copies stand before the log.
	if at.at = r.emitted; r.at.Before(r.silent) {
		at.at = r.at
	}
	writes[metaKey] = at.cursor()
	r.writes, r.lastSave = remembered, r.Options.Now()
	done := make(chan error, 1)
	r.saving = done
	go func() { done <- r.Options.Cache.Put(ctx, writes) }()
}

// savedAll takes the cache's answer. Copies that could not be saved are tried again
// with the next save; the log does not depend on them.
func (r *run) savedAll(err error) {
	r.saving = nil
	if err != nil {
		r.count(countCacheError)
		r.log.Warn("the copies of documents could not be saved", "err", err)
		for i := range r.refs.changed {
			r.refs.changed[i] = true
		}
		return
	}
	r.copies.saved(r.writes)
}

// lastSaving saves what the log has, when the run ends.
func (r *run) lastSaving(ctx context.Context) {
	if r.saving != nil {
		r.savedAll(<-r.saving)
	}
	if r.flying {
		if r.landed(<-r.finished) != nil {
			return
		}
	}
	if r.Options.Cache == nil || len(r.out) > 0 || len(r.copies.unsaved) == 0 && !slices.Contains(r.refs.changed, true) ||
		r.emitted.Before(r.touched) && r.silent.Before(r.touched) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSaveTimeout)
	defer cancel()
	r.startSave(ctx)
	r.savedAll(<-r.saving)
}
