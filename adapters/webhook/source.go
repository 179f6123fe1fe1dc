package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Source makes events of the deliveries in an inbox. It runs once at a time.
type Source struct {
	mapper Mapper
	opts   adapters.Options
}

func newSource(m Mapper, opts adapters.Options) *Source { return &Source{m, opts} }

// cursor is where the source is. While it compares, At is empty: it begins again.
type cursor struct {
	At      []byte `json:"at,omitempty"`
	Version string `json:"version"`
}

func (c cursor) bytes() adapters.Cursor {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // it is made of texts
	}
	return b
}

// Run implements adapters.Source.
func (s *Source) Run(ctx context.Context, from adapters.Cursor, emit adapters.Emit) error {
	const op = "webhook.run"
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &run{Source: s, ctx: ctx, emit: emit, known: map[string]*fresh{}}
	if from != nil {
		if err := json.Unmarshal(from, &r.cursor); err != nil || r.cursor.Version == "" {
			return oslc.Errorf(op, oslc.Gone, "the cursor is not of a webhook")
		}
		if r.cursor.Version != s.mapper.Version() {
			return oslc.Errorf(op, oslc.Gone, "the mapping is another one since")
		}
	}
	r.cursor.Version = s.mapper.Version()
	if r.cursor.At == nil {
		seen, err := s.seen(ctx)
		if err != nil {
			return oslc.E(op, err)
		}
		if seen {
			r.last = map[string]told{}
		}
	}
	err := s.opts.Inbox.Read(ctx, adapters.Cursor(r.cursor.At), r.take)
	if r.emitted != nil {
		return r.emitted // as it came
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return oslc.E(op, err)
}

// seen reports whether the bus knows any resource already: what was read before must
// not happen again, then.
func (s *Source) seen(ctx context.Context) (bool, error) {
	if s.opts.State == nil {
		return false, nil
	}
	for _, err := range s.opts.State.Resources(ctx) {
		return err == nil, err
	}
	return false, nil
}

type run struct {
	*Source
	ctx     context.Context //nolint:containedctx // of the one call of Run that this is
	emit    adapters.Emit
	emitted error // what emit returned
	cursor  cursor
	known   map[string]*fresh
	recent  []string // the resources in known, oldest first
	// last is what was told of each resource last, while everything is compared.
	last  map[string]told
	order []string
}

// fresh is the state of a resource after an emission, which State may not have yet;
// a nil graph means deleted, at when the tool said so.
type fresh struct {
	graph    *rdf.Graph
	modified time.Time
}

// freshFor is how many resources are remembered: more than the views ever lag behind a
// tool that sends one request for each change.
const freshFor = 4096

// told is a change with the delivery that told it.
type told struct {
	Change
	delivery adapters.Delivery
	index    int
}

// take makes events of what the inbox delivers.
func (r *run) take(batch []adapters.Delivery) error {
	if len(batch) == 0 {
		if err := r.compared(); err != nil {
			return err
		}
		return r.tell(nil) // it follows now
	}
	var out []adapters.Emission
	for _, d := range batch {
		before := r.cursor
		r.cursor.At = d.At
		m, err := NewMessage(d)
		var changes []Change
		if err == nil {
			changes, _, err = r.mapper.Map(m)
		}
		if err != nil { // it was looked at before it was kept, by an earlier mapping perhaps
			r.count("unmapped_delivery")
			r.opts.Logger.WarnContext(r.ctx, "delivery cannot be mapped", "delivery", d.ID, "err", err)
			continue
		}
		for i, c := range changes {
			t := told{c, d, i}
			uri := r.opts.ResourceURI(c.Collection, c.Key)
			if r.last != nil {
				r.note(uri, t)
				continue
			}
			e, err := r.event(uri, t, "delivery")
			if err != nil {
				return err
			}
			if e == nil {
				continue
			}
			at := r.cursor
			if i < len(changes)-1 {
				at = before // only its last change may say that the delivery is done
			}
			out = append(out, adapters.Emission{Event: e, At: at.bytes()})
		}
	}
	if r.last != nil {
		return nil
	}
	if at := r.cursor.bytes(); len(out) == 0 || !slices.Equal(out[len(out)-1].At, at) {
		out = append(out, adapters.Emission{At: at}) // what was ignored is done as well
	}
	return r.tell(out)
}

// tell emits, and remembers what it told.
func (r *run) tell(batch []adapters.Emission) error {
	if r.emitted = r.emit(r.ctx, batch...); r.emitted != nil {
		return r.emitted
	}
	return nil
}

func (r *run) remember(uri string, f *fresh) {
	if r.known[uri] == nil {
		if len(r.recent) >= freshFor {
			delete(r.known, r.recent[0])
			r.recent = r.recent[1:]
		}
		r.recent = append(r.recent, uri)
	}
	r.known[uri] = f
}

// note keeps the last that was told of a resource.
func (r *run) note(uri string, t told) {
	before, ok := r.last[uri]
	if ok && late(t.Change, before.Modified, before.Kind == oslc.Deletion) {
		return
	}
	if !ok {
		r.order = append(r.order, uri)
	}
	r.last[uri] = t
}

// compared emits what is different from the state that the bus has.
func (r *run) compared() error {
	if r.last == nil {
		return nil
	}
	at := cursor{Version: r.cursor.Version}
	var out []adapters.Emission
	for _, uri := range r.order {
		e, err := r.event(uri, r.last[uri], "compared")
		if err != nil {
			return err
		}
		if e != nil {
			out = append(out, adapters.Emission{Event: e, At: at.bytes()})
		}
	}
	r.last, r.order = nil, nil
	return r.tell(append(out, adapters.Emission{At: r.cursor.bytes()}))
}

// late reports whether a change is older than what is known. After a deletion one of
// the same moment is, too.
func late(c Change, known time.Time, deleted bool) bool {
	switch {
	case c.Modified.IsZero() || known.IsZero():
		return false
	case deleted && c.Kind != oslc.Deletion:
		return !c.Modified.After(known)
	}
	return c.Modified.Before(known)
}

// event returns the event of a change, nil where nothing is different.
func (r *run) event(uri string, t told, how string) (*oslc.Event, error) {
	before, modified, deleted, err := r.state(uri, t.delivery)
	if err != nil {
		return nil, err
	}
	if late(t.Change, modified, deleted) {
		r.count("late_delivery")
		return nil, nil
	}
	at := t.Modified
	if at.IsZero() || t.Kind == oslc.Deletion { // a tool says when it was modified last
		at = t.delivery.Time
	}
	e := &oslc.Event{
		ID: oslc.NewID(r.opts.Name, how, t.delivery.ID, fmt.Sprint(t.index)), Change: t.Kind, Subject: uri, Time: at.UTC(),
		Listener: oslc.ProviderURI(r.opts.BaseURL, r.opts.Name) + "#hook", Trace: traceOf(t.delivery),
	}
	if t.Kind == oslc.Deletion {
		if before == nil {
			return nil, nil
		}
		e.Resource = before
		r.remember(uri, &fresh{nil, t.Modified})
		return e, r.bury(uri, t)
	}
	e.Resource = rdf.NewGraph()
	n := e.Resource.Node(uri).Link(vocab.OSLCServiceProvider, oslc.ProviderURI(r.opts.BaseURL, r.opts.Name))
	if !t.Describe(n) {
		r.count("value_of_wrong_type")
	}
	if before == nil {
		e.Change = oslc.Creation // the bus sees it for the first time
	} else {
		d := diff.Between(without(before), without(e.Resource))
		if d.Empty() {
			return nil, nil
		}
		e.Change, e.Changed = oslc.Modification, d.Predicates(rdf.NewIRI(uri))
	}
	n.Time(vocab.DCTermsModified, at)
	r.remember(uri, &fresh{e.Resource, t.Modified})
	return e, nil
}

// without leaves out when a resource was modified, which alone is no change.
func without(g *rdf.Graph) *rdf.Graph {
	return g.Without(func(t rdf.Triple) bool { return t.P.Value == vocab.DCTermsModified })
}

// state returns what the bus knows of a resource, and when the tool said so.
func (r *run) state(uri string, d adapters.Delivery) (g *rdf.Graph, modified time.Time, deleted bool, err error) {
	if f := r.known[uri]; f != nil {
		return f.graph, f.modified, f.graph == nil, nil
	}
	if r.opts.State != nil {
		g, ok, err := r.opts.State.Resource(r.ctx, uri)
		if err != nil {
			return nil, modified, false, err
		}
		if ok {
			modified, _ = g.Object(rdf.NewIRI(uri), vocab.DCTermsModified).Time()
			return g, modified, false, nil
		}
	}
	if modified, err = r.buried(uri, d); err != nil || modified.IsZero() {
		return nil, modified, false, err
	}
	return nil, modified, true, nil
}

// A grave is when a resource was deleted: by the tool's clock, and when the bus heard of
// it. The cache has it, since the state of the bus has not, so that what comes late does
// not bring the resource back. What came before the bus heard of the deletion is not
// late: the cache may be ahead of the log.
type grave struct {
	Modified time.Time `json:"modified"`
	Heard    time.Time `json:"heard"`
}

func (r *run) bury(uri string, t told) error {
	if r.opts.Cache == nil || t.Modified.IsZero() {
		return nil
	}
	b, err := json.Marshal(grave{t.Modified.UTC(), t.delivery.Time.UTC()})
	if err == nil {
		err = r.opts.Cache.Put(r.ctx, map[string][]byte{"deleted " + uri: b})
	}
	if err != nil && r.ctx.Err() == nil {
		return oslc.E("webhook.cache", err, oslc.Unavailable)
	}
	return err
}

// buried returns when a resource was deleted, as far as a delivery comes after that.
func (r *run) buried(uri string, d adapters.Delivery) (time.Time, error) {
	if r.opts.Cache == nil {
		return time.Time{}, nil
	}
	b, err := r.opts.Cache.Get(r.ctx, "deleted "+uri)
	if err != nil {
		return time.Time{}, oslc.E("webhook.cache", err, oslc.Unavailable)
	}
	var g grave
	if json.Unmarshal(b, &g) != nil || !d.Time.After(g.Heard) {
		return time.Time{}, nil // what is damaged counts as lost
	}
	return g.Modified, nil
}

func (r *run) count(what string) {
	if r.opts.Metrics != nil {
		r.opts.Metrics.Count(what, 1)
	}
}
