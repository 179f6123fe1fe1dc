package trsfeed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
)

// Source follows a tracked resource set. It runs once at a time.
type Source struct {
	cfg  Config
	opts adapters.Options
	host string
	feed *trs.Client
	log  *slog.Logger
	now  func() time.Time

	list skipList
	// known is what was emitted a moment ago, which State may not have yet.
	known map[string]*fresh
}

// fresh is the state of a resource after an emission; a nil graph means deleted.
type fresh struct {
	graph *rdf.Graph
	at    time.Time
}

// freshFor is longer than the bus needs to fold an event.
const freshFor = time.Minute

// cursor is where the source is. While the base is read, Load is the member that was
// read last, and the place is the one that the base leads to.
type cursor struct {
	Feed    string    `json:"feed"`
	Place   trs.Place `json:"place"`
	Load    string    `json:"load,omitempty"`
	Skipped []string  `json:"skipped,omitempty"`
}

func (c cursor) bytes() adapters.Cursor {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	return b
}

// maxSkipped is how many resources may fail to be read before the server as a whole
// counts as away. They travel with each event.
const maxSkipped = 50

// atOnce is how many resources are read, compared and emitted together.
const atOnce = 64

// Run implements adapters.Source.
func (s *Source) Run(ctx context.Context, from adapters.Cursor, emit adapters.Emit) error {
	const op = "trsfeed.run"
	if err := ctx.Err(); err != nil {
		return err
	}
	clear(s.known)
	r := &run{Source: s, emit: emit}
	if from != nil {
		if err := json.Unmarshal(from, &r.cursor); err != nil || r.cursor.Feed == "" {
			return oslc.Errorf(op, oslc.Gone, "the cursor is not of a tracked resource set")
		}
		if r.cursor.Feed != s.cfg.URL {
			return oslc.Errorf(op, oslc.Gone, "the cursor is of the set %s, not of %s", r.cursor.Feed, s.cfg.URL)
		}
	}
	for _, uri := range r.cursor.Skipped {
		s.list.remember(uri, s.now())
	}
	err := r.run(ctx, from == nil)
	if r.emitted != nil {
		return r.emitted // as it came
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return oslc.E(op, err)
}

type run struct {
	*Source
	emit    adapters.Emit
	cursor  cursor
	emitted error // what emit returned
}

func (r *run) run(ctx context.Context, begin bool) error {
	if begin || r.cursor.Load != "" {
		if err := r.load(ctx, begin); err != nil {
			return err
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if err := r.poll(ctx); err != nil {
			return err
		}
		timer.Reset(r.cfg.Poll)
	}
}

// tell emits, and remembers what it told.
func (r *run) tell(ctx context.Context, batch []adapters.Emission) error {
	if r.emitted = r.emit(ctx, batch...); r.emitted != nil {
		return r.emitted
	}
	for _, e := range batch {
		switch {
		case e.Event == nil:
		case e.Event.Change == oslc.Deletion:
			r.known[e.Event.Subject] = &fresh{nil, r.now()}
		default:
			r.known[e.Event.Subject] = &fresh{e.Event.Resource, r.now()}
		}
	}
	return nil
}

// URI returns the URI on the bus of a resource of the feed.
func (s *Source) URI(remote string) string {
	sum := sha256.Sum256([]byte(remote))
	return s.opts.ResourceURI(Kind, hex.EncodeToString(sum[:12]))
}

// load reads the base, from the beginning or from where it was.
func (r *run) load(ctx context.Context, begin bool) error {
	all, err := r.feed.Load(ctx)
	if err != nil {
		return err
	}
	r.left(ctx, all.Skipped)
	r.list.keep(all.Members) // which are sorted
	members := all.Members
	if begin {
		r.cursor = cursor{Feed: r.cfg.URL, Place: all.Place}
		r.cursor.Place.Tag = "" // the poll after this must see it
	} else {
		// What was made since is told by its own event.
		after, err := r.feed.Poll(ctx, r.cursor.Place)
		if err != nil {
			return err
		}
		made := map[string]bool{}
		for _, e := range after.Events {
			if _, seen := made[e.Changed]; !seen {
				made[e.Changed] = e.Kind == oslc.Creation
			}
		}
		members = slices.DeleteFunc(slices.Clone(members), func(m string) bool { return m <= r.cursor.Load || made[m] })
	}
	for chunk := range slices.Chunk(members, atOnce) {
		states, err := r.read(ctx, chunk)
		if err != nil {
			return err
		}
		var batch []adapters.Emission
		for _, m := range chunk {
			r.cursor.Load = m
			e, err := r.present(ctx, m, states[m], oslc.NewID(r.opts.Name, "load", r.cfg.URL, r.cursor.Place.Event, m))
			if err != nil {
				return err
			}
			if e != nil {
				batch = append(batch, adapters.Emission{Event: e, At: r.cursor.bytes()})
			}
		}
		if len(batch) == 0 {
			continue
		}
		if err := r.tell(ctx, batch); err != nil {
			return err
		}
	}
	if err := r.absent(ctx, all.Members); err != nil {
		return err
	}
	r.cursor.Load = ""
	return r.tell(ctx, []adapters.Emission{{At: r.cursor.bytes()}})
}

// absent emits deletions of what the bus knows and the base does not.
func (r *run) absent(ctx context.Context, members []string) error {
	if r.opts.State == nil {
		return nil
	}
	there := make(map[string]bool, len(members))
	for _, m := range members {
		there[r.URI(m)] = true
	}
	var gone []string
	for uri, err := range r.opts.State.Resources(ctx) {
		if err != nil {
			return err
		}
		if !there[uri] && r.known[uri] == nil {
			gone = append(gone, uri)
		}
	}
	slices.Sort(gone)
	for _, uri := range gone {
		before, ok, err := r.state(ctx, uri)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		e := r.event(oslc.Deletion, uri, oslc.NewID(r.opts.Name, "absent", r.cfg.URL, r.cursor.Place.Event, uri))
		e.Resource = before
		if err := r.tell(ctx, []adapters.Emission{{Event: e, At: r.cursor.bytes()}}); err != nil {
			return err
		}
	}
	return nil
}

// poll makes events of what happened.
func (r *run) poll(ctx context.Context) error {
	for uri, f := range r.known {
		if r.now().Sub(f.at) > freshFor {
			delete(r.known, uri)
		}
	}
	b, err := r.feed.Poll(ctx, r.cursor.Place)
	if err != nil {
		return err
	}
	r.left(ctx, b.Skipped)
	if err := r.again(ctx, b.Events); err != nil {
		return err
	}
	for chunk := range slices.Chunk(b.Events, atOnce) {
		if err := r.changes(ctx, chunk); err != nil {
			return err
		}
	}
	if moved := r.cursor.Place.Tag != b.Place.Tag || r.cursor.Place.Event != b.Place.Event; moved {
		r.cursor.Place = b.Place
		return r.tell(ctx, []adapters.Emission{{At: r.cursor.bytes()}})
	}
	return r.tell(ctx, nil) // it follows
}

// changes emits the events of entries of the change log.
func (r *run) changes(ctx context.Context, events []trs.Event) error {
	last := map[string]oslc.Change{}
	for _, e := range events {
		last[e.Changed] = e.Kind
		if e.Late && e.Kind == oslc.Deletion {
			last[e.Changed] = oslc.Modification // it may be there again: look
		}
	}
	var read []string
	for uri, kind := range last {
		if kind != oslc.Deletion {
			read = append(read, uri)
		}
	}
	slices.Sort(read)
	patched, each, read := r.patched(ctx, events, read)
	states, err := r.read(ctx, read)
	if err != nil {
		return err
	}
	maps.Copy(states, patched)
	r.hold(ctx, events, states)
	var batch []adapters.Emission
	flush := func() error {
		err := r.tell(ctx, batch)
		batch = nil
		return err
	}
	told := map[string]bool{}
	for _, e := range events {
		uri := r.URI(e.Changed)
		if told[uri] {
			// What the entry before said must be known first.
			if err := flush(); err != nil {
				return err
			}
			clear(told)
		}
		r.cursor.Place = r.cursor.Place.After(e)
		var event *oslc.Event
		id := oslc.NewID(r.opts.Name, "change", e.URI)
		switch {
		case e.Kind == oslc.Deletion && (!e.Late || states[e.Changed].missing):
			r.cursor.Skipped = slices.DeleteFunc(slices.Clone(r.cursor.Skipped), func(s string) bool { return s == e.Changed })
			r.list.read(e.Changed)
			if event, err = r.deleted(ctx, uri, id); err != nil {
				return err
			}
		case last[e.Changed] == oslc.Deletion: // gone by now
		default:
			st, stepwise := each[e.URI]
			if !stepwise {
				st = states[e.Changed]
			}
			if event, err = r.present(ctx, e.Changed, st, id); err != nil {
				return err
			}
		}
		if event != nil {
			event.Sequence = fmt.Sprintf("%020d", e.Order)
			told[uri] = true
			batch = append(batch, adapters.Emission{Event: event, At: r.cursor.bytes()})
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// again reads what could not be read before, and is in none of the events.
func (r *run) again(ctx context.Context, events []trs.Event) error {
	var due []string
	for _, uri := range r.cursor.Skipped {
		if !slices.ContainsFunc(events, func(e trs.Event) bool { return e.Changed == uri }) {
			due = append(due, uri)
		}
	}
	if len(due) == 0 {
		return nil
	}
	states, err := r.read(ctx, due)
	if err != nil {
		return err
	}
	for _, uri := range due {
		st := states[uri]
		if st.graph == nil {
			continue
		}
		e, err := r.present(ctx, uri, st, oslc.NewID(r.opts.Name, "again", uri, r.cursor.Place.Event))
		if err != nil {
			return err
		}
		if err := r.tell(ctx, []adapters.Emission{{Event: e, At: r.cursor.bytes()}}); err != nil {
			return err
		}
	}
	return nil
}

// present returns the event that a resource is as it is, nil when that is known or
// it could not be read.
func (r *run) present(ctx context.Context, remote string, st state, id string) (*oslc.Event, error) {
	if st.graph == nil {
		return nil, nil
	}
	uri := r.URI(remote)
	before, ok, err := r.state(ctx, uri)
	if err != nil {
		return nil, err
	}
	after := translate(st.graph, remote, uri)
	e := r.event(oslc.Creation, uri, id)
	if ok {
		d := diff.Between(before, after)
		if d.Empty() {
			return nil, nil
		}
		e.Change, e.Changed = oslc.Modification, d.Predicates(rdf.NewIRI(uri))
	}
	e.Resource = after
	if t, ok := after.Object(rdf.NewIRI(uri), vocab.DCTermsModified).Time(); ok && !t.After(e.Time) {
		e.Time = t
	}
	return e, nil
}

func (r *run) deleted(ctx context.Context, uri, id string) (*oslc.Event, error) {
	before, ok, err := r.state(ctx, uri)
	if err != nil || !ok {
		return nil, err
	}
	e := r.event(oslc.Deletion, uri, id)
	e.Resource = before
	return e, nil
}

func (r *run) event(c oslc.Change, uri, id string) *oslc.Event {
	return &oslc.Event{
		ID: id, Change: c, Subject: uri, Time: r.now().UTC(),
		Listener: oslc.ProviderURI(r.opts.BaseURL, r.opts.Name) + "#trsfeed",
	}
}

// state returns what the bus knows of a resource.
func (r *run) state(ctx context.Context, uri string) (*rdf.Graph, bool, error) {
	if f := r.known[uri]; f != nil {
		return f.graph, f.graph != nil, nil
	}
	if r.opts.State == nil {
		return nil, false, nil
	}
	return r.opts.State.Resource(ctx, uri)
}

// translate gives a resource its URI on the bus.
func translate(g *rdf.Graph, remote, uri string) *rdf.Graph {
	move := func(t rdf.Term) rdf.Term {
		if t.Kind != rdf.IRI {
			return t
		}
		if t.Value == remote {
			t.Value = uri
		} else if part, ok := strings.CutPrefix(t.Value, remote+"#"); ok {
			t.Value = uri + "#" + part
		}
		return t
	}
	out := rdf.NewGraph()
	for t := range g.All() {
		if t.P.Value == vocab.OSLCServiceProvider && t.S.Value == remote {
			continue // the bus says its own
		}
		t.S, t.O = move(t.S), move(t.O)
		out.AddTriple(t)
	}
	out.Add(rdf.NewIRI(uri), vocab.DCTermsSource, rdf.NewIRI(remote))
	return out
}

func (r *run) count(what string, n int) {
	if r.opts.Metrics != nil && n > 0 {
		r.opts.Metrics.Count(what, n)
	}
}

// left counts what the client left out.
func (r *run) left(ctx context.Context, skipped []string) {
	r.count("skipped_entry", len(skipped))
	for _, s := range skipped[:min(len(skipped), 10)] {
		r.log.WarnContext(ctx, "left out of the tracked resource set", "reason", s)
	}
}

// errAway says that too much cannot be read for the server to be well.
var errAway = errors.New("resources cannot be read")
