package trs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// A Client follows a tracked resource set of any server. It keeps nothing itself:
// where it is in the change log is a Place, which its caller keeps together with
// what it made of the events. Methods may be called concurrently.
type Client struct {
	cfg   ClientConfig
	http  *http.Client
	hosts []string
	// strict leaves the terms of old dialects as they are.
	strict bool
}

// NewClient checks the configuration. It does no I/O.
func NewClient(cfg ClientConfig) (*Client, error) {
	cfg = cfg.withDefaults()
	c := &Client{cfg: cfg}
	u, err := url.Parse(cfg.URI)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, oslc.Errorf("trs.client", oslc.Invalid, "%q is no http or https address without credentials", cfg.URI)
	}
	c.hosts = append(c.hosts, strings.ToLower(u.Host))
	for _, h := range cfg.Hosts {
		c.hosts = append(c.hosts, strings.ToLower(h))
	}
	h := *cfg.HTTP
	h.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("more than ten redirects")
		}
		if !c.allowed(r.URL.String()) {
			return fmt.Errorf("<%s> %w", r.URL, errNotAllowed)
		}
		return nil
	}
	c.http = &h
	return c, nil
}

// A Place is where a client is in a change log: everything up to Event was made use
// of. It is kept as JSON.
type Place struct {
	// Event is the URI of the newest event; empty means that there was none.
	Event string `json:"event,omitempty"`
	Order int64  `json:"order,omitempty"`
	// Recent are events at and before Event, newest first. They show what is a
	// repetition, what came late, and whether a server lost its history.
	Recent []Past `json:"recent,omitempty"`
	// Tag is the entity tag of the set's document, once all of it was made use of.
	Tag string `json:"tag,omitempty"`
}

// A Past event, known by a digest of its URI: a Place travels beside each event.
type Past struct {
	Mark  string `json:"m"`
	Order int64  `json:"o"`
}

func past(uri string, order int64) Past {
	sum := sha256.Sum256([]byte(uri))
	return Past{base64.RawURLEncoding.EncodeToString(sum[:8]), order}
}

// recentEvents is how many events a Place remembers.
const recentEvents = 32

// After returns the place after an event.
func (p Place) After(e Event) Place {
	out := Place{Event: p.Event, Order: p.Order}
	if !e.Late || p.Event == "" {
		out.Event, out.Order = e.URI, e.Order
	}
	out.Recent = append(make([]Past, 0, len(p.Recent)+1), p.Recent...)
	out.Recent = append(out.Recent, past(e.URI, e.Order))
	slices.SortFunc(out.Recent, func(a, b Past) int {
		return cmp.Or(cmp.Compare(b.Order, a.Order), strings.Compare(a.Mark, b.Mark))
	})
	out.Recent = out.Recent[:min(len(out.Recent), recentEvents)]
	return out
}

func (p Place) knows(uri string) bool {
	mark := past(uri, 0).Mark
	return uri == p.Event || slices.ContainsFunc(p.Recent, func(r Past) bool { return r.Mark == mark })
}

// A Batch is what happened after a Place.
type Batch struct {
	// Events are in the order in which they are to be made use of.
	Events []Event
	// Place is the one after all of them.
	Place Place
	// Skipped says what was left out, and why.
	Skipped []string
}

// Poll returns what happened after a place. It fails with kind Gone when the place
// is in the log no more, since the log was truncated or the server lost its history:
// the set has then to be loaded anew. So it does at the first event of a set that
// was empty when it was loaded. Any other error means to try again later.
func (c *Client) Poll(ctx context.Context, from Place) (Batch, error) {
	b, err := c.poll(ctx, from, from.Tag, false)
	return b, oslc.E("trs.poll", err)
}

// poll is Poll. With all set, events are returned as far as the log goes back when
// the place is not found.
func (c *Client) poll(ctx context.Context, from Place, tag string, all bool) (Batch, error) {
	d, err := c.fetch(ctx, c.cfg.URI, tag)
	if err != nil {
		return Batch{}, err
	}
	if d.status == http.StatusNotModified {
		return Batch{Place: from}, nil
	}
	set, err := findSet(d.graph, c.cfg.URI, d.uri)
	if err != nil {
		return Batch{}, err
	}
	w := walk{c: c, from: from, seen: map[string]bool{}}
	if err := w.log(ctx, d, d.graph.Object(set, vocab.TRSChangeLog)); err != nil {
		return Batch{}, err
	}
	// The log of a set that was empty may have been truncated since: nothing in it says
	// whether it reaches back to the beginning.
	if !w.found && (from.Event != "" || w.cut || len(w.events) > 0) && !all {
		return Batch{}, oslc.E("trs.poll", w.lost(), oslc.Gone)
	}
	return w.batch(d.header.Get("ETag")), nil
}

// A walk goes along a change log from its newest segment to a place.
type walk struct {
	c       *Client
	from    Place
	events  []Event
	seen    map[string]bool // URIs
	found   bool            // the place
	cut     bool            // the log ended at a segment that is not there
	skipped []string
}

func (w *walk) log(ctx context.Context, d *document, log rdf.Term) error {
	visited := map[string]bool{}
	for first := true; ; first = false {
		if log.IsZero() || log.Value == rdf.Nil {
			return nil
		}
		if log.Kind == rdf.IRI {
			if visited[log.Value] {
				w.skipped = append(w.skipped, fmt.Sprintf("<%s>: the change log leads back to it", log.Value))
				return nil
			}
			visited[log.Value] = true
		}
		if len(visited) > w.c.cfg.MaxSegments {
			return oslc.Errorf("trs.walk", oslc.Unavailable, "the change log has more than %d segments", w.c.cfg.MaxSegments)
		}
		// An older segment that the set's document calls one is not described there.
		inline := first && d.graph.IsA(log, vocab.TRSChangeLogClass)
		if log.Kind == rdf.IRI && !inline && !describes(d.graph, log) {
			next, err := w.c.fetch(ctx, log.Value, "")
			if missing(err) {
				w.cut = true
				return nil
			}
			if errors.Is(err, errNotAllowed) {
				w.cut = true
				w.skipped = append(w.skipped, err.Error())
				return nil
			}
			if err != nil {
				return err
			}
			d = next
			if !describes(d.graph, log) {
				log = theLog(d.graph)
			}
		}
		w.segment(d.graph, log)
		if w.found {
			return nil
		}
		if len(w.events) > w.c.cfg.MaxEvents {
			return oslc.Errorf("trs.walk", oslc.Unavailable, "the change log has more than %d events after the place", w.c.cfg.MaxEvents)
		}
		log = d.graph.Object(log, vocab.TRSPrevious)
	}
}

// describes reports whether a document says what a segment has: that it is one does
// not suffice, since a link to it may say so too.
func describes(g *rdf.Graph, log rdf.Term) bool {
	return !g.Object(log, vocab.TRSChange).IsZero() || !g.Object(log, vocab.TRSPrevious).IsZero()
}

// theLog returns the segment of a document that calls it by another name.
func theLog(g *rdf.Graph) rdf.Term {
	if s := subjectOf(g, vocab.TRSChange); !s.IsZero() {
		return s
	}
	return subjectOf(g, vocab.TRSPrevious)
}

func (w *walk) segment(g *rdf.Graph, log rdf.Term) {
	for _, t := range g.Objects(log, vocab.TRSChange) {
		if w.from.Event != "" && t.Value == w.from.Event {
			w.found = true
		}
		if w.seen[t.Value] {
			continue // it moved to an older segment meanwhile
		}
		w.seen[t.Value] = true
		e, ok := readEvent(g, t)
		switch {
		case !ok:
			w.skipped = append(w.skipped, fmt.Sprintf("%s is no event with a changed resource", t.Value))
		case !w.c.allowed(e.Changed):
			w.skipped = append(w.skipped, fmt.Sprintf("<%s> %v", e.Changed, errNotAllowed))
			fallthrough
		default:
			w.events = append(w.events, e)
		}
	}
}

// batch sorts out what is new of the events that were found.
func (w *walk) batch(tag string) Batch {
	slices.SortFunc(w.events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), strings.Compare(a.URI, b.URI))
	})
	out := Batch{Place: w.from, Skipped: w.skipped}
	known := w.from
	window := int64(-1) // orders below it may have been made use of and forgotten
	if n := len(known.Recent); n > 0 {
		window = known.Recent[n-1].Order
	}
	if w.found && len(known.Recent) == 0 {
		known = w.begin()
		out.Place, window = known, known.Order
	}
	for _, e := range w.events {
		switch {
		case w.found && known.knows(e.URI):
			continue
		case w.found && e.Order <= known.Order:
			if e.Order <= window {
				continue
			}
			e.Late, e.Patch = true, Patch{}
		}
		out.Place = out.Place.After(e)
		if w.c.allowed(e.Changed) {
			out.Events = append(out.Events, e)
		}
	}
	out.Place.Tag = tag
	return out
}

// begin completes the place of a cutoff, of which nothing but the event is known.
func (w *walk) begin() Place {
	out := Place{Event: w.from.Event}
	for _, e := range w.events {
		if e.URI == w.from.Event {
			out.Order = e.Order
		}
	}
	for _, e := range slices.Backward(w.events) {
		if e.Order <= out.Order && len(out.Recent) < recentEvents {
			out.Recent = append(out.Recent, past(e.URI, e.Order))
		}
	}
	return out
}

// A LostError says why a place is in the change log no more.
type LostError struct {
	// RolledBack says that the server lost a part of its history, for example that it
	// was restored from a copy, or begins anew; else the log was truncated.
	RolledBack bool
	Event      string
}

func (e *LostError) Error() string {
	switch {
	case e.Event == "":
		return "the set was empty, and its change log may have been truncated since"
	case e.RolledBack:
		return fmt.Sprintf("the server's history has no event <%s> any more: it was restored or made anew", e.Event)
	}
	return fmt.Sprintf("the change log was truncated after event <%s>", e.Event)
}

// lost finds out why the place was not found.
func (w *walk) lost() error {
	newest, old := int64(-1), false
	for _, e := range w.events {
		newest = max(newest, e.Order)
		old = old || e.URI != w.from.Event && w.from.knows(e.URI)
	}
	return &LostError{RolledBack: w.from.Event != "" && (newest < w.from.Order || old), Event: w.from.Event}
}

// A Snapshot is a whole set at a place.
type Snapshot struct {
	Members []string
	Place   Place
	Skipped []string
}

// loadTries is how often a base is begun that was replaced while it was read.
const loadTries = 5

// Load reads the base and what happened since. It does not read the resources.
func (c *Client) Load(ctx context.Context) (Snapshot, error) {
	const op = "trs.load"
	var err error
	for try := range loadTries {
		var s Snapshot
		s, err = c.load(ctx, try+1 == loadTries)
		if err == nil || !errors.Is(err, errReplaced) {
			return s, oslc.E(op, err)
		}
	}
	return Snapshot{}, oslc.E(op, err, oslc.Unavailable)
}

var errReplaced = errors.New("the base was replaced while it was read")

// load is one try. The last one takes the whole log where the cutoff is not in it:
// what a log tells of a resource ends with its present state.
func (c *Client) load(ctx context.Context, last bool) (Snapshot, error) {
	d, err := c.fetch(ctx, c.cfg.URI, "")
	if err != nil {
		return Snapshot{}, err
	}
	set, err := findSet(d.graph, c.cfg.URI, d.uri)
	if err != nil {
		return Snapshot{}, err
	}
	members := map[string]bool{}
	var base, cutoff string
	if o := d.graph.Object(set, vocab.TRSBase); o.Kind == rdf.IRI && o.Value != rdf.Nil {
		base = o.Value
		if cutoff, err = c.base(ctx, base, members); err != nil {
			return Snapshot{}, err
		}
	}
	// The log is read after the base: what happened meanwhile is in it.
	b, err := c.poll(ctx, Place{Event: cutoff}, "", cutoff == "" || last)
	if err != nil {
		if errors.Is(err, oslc.Gone) {
			err = fmt.Errorf("%w: %w", errReplaced, err)
		}
		return Snapshot{}, err
	}
	if cutoff == "" && base != "" && len(b.Events) > 0 && !last {
		// Without a cutoff the log must reach back to the beginning, and nothing in it
		// says that it does. It may have been truncated since the base was read, but not
		// without a base that has a cutoff.
		if err := c.stillNone(ctx, base); err != nil {
			return Snapshot{}, err
		}
	}
	out := Snapshot{Place: b.Place, Skipped: b.Skipped}
	for _, e := range b.Events {
		if e.Kind == oslc.Deletion {
			delete(members, e.Changed)
		} else {
			members[e.Changed] = true
		}
	}
	for m := range members {
		if c.allowed(m) {
			out.Members = append(out.Members, m)
		} else {
			out.Skipped = append(out.Skipped, fmt.Sprintf("<%s> %v", m, errNotAllowed))
		}
	}
	slices.Sort(out.Members)
	return out, nil
}

// stillNone checks that a base has no cutoff yet.
func (c *Client) stillNone(ctx context.Context, base string) error {
	d, err := c.fetch(ctx, base, "")
	if missing(err) {
		return fmt.Errorf("%w: %w", errReplaced, err)
	}
	if err != nil {
		return err
	}
	if p := readPage(d, base); p.cutoff != "" {
		return fmt.Errorf("%w: it had no cutoff and has <%s>", errReplaced, p.cutoff)
	}
	return nil
}

// base reads the pages of a base, and returns its cutoff, "" for none.
func (c *Client) base(ctx context.Context, base string, members map[string]bool) (cutoff string, err error) {
	visited := map[string]bool{}
	for uri := base; uri != "" && !visited[uri]; {
		visited[uri] = true
		if len(visited) > c.cfg.MaxPages {
			return "", oslc.Errorf("trs.base", oslc.Unavailable, "the base has more than %d pages", c.cfg.MaxPages)
		}
		d, err := c.fetch(ctx, uri, "")
		if missing(err) { // also the first: what a redirect leads to may expire
			return "", fmt.Errorf("%w: %w", errReplaced, err)
		}
		if err != nil {
			return "", err
		}
		visited[d.uri] = true
		p := readPage(d, base)
		switch {
		case len(visited) <= 2 && uri == base:
			cutoff = p.cutoff
		case p.hasCutoff && p.cutoff != cutoff:
			return "", fmt.Errorf("%w: its cutoff was <%s> and is <%s>", errReplaced, cutoff, p.cutoff)
		}
		for _, m := range p.members {
			members[m] = true
		}
		if len(members) > c.cfg.MaxMembers {
			return "", oslc.Errorf("trs.base", oslc.Unavailable, "the base has more than %d members", c.cfg.MaxMembers)
		}
		uri = p.next
	}
	return cutoff, nil
}

// A State is a resource as its server tells it now.
type State struct {
	Graph *rdf.Graph
	// Tag is the entity tag, or empty.
	Tag string
}

// Resource reads a tracked resource. It fails with kind NotFound for one that is not
// there, or not any more, and Denied for one that the client may not read, or whose
// host is not allowed.
func (c *Client) Resource(ctx context.Context, uri string) (State, error) {
	at, _, _ := strings.Cut(uri, "#")
	d, err := c.fetch(ctx, at, "")
	if err != nil {
		return State{}, oslc.E("trs.resource", err)
	}
	return State{d.graph, d.header.Get("ETag")}, nil
}
