package oslcbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
)

const (
	pushAtOnce = 100              // changes that are read for a client at once
	pushWithin = 10 * time.Second // how long a client may take for them
	pushQuiet  = 15 * time.Second // a comment keeps a quiet connection open
)

// pusher ends the streams of a server that stops.
type pusher struct {
	once   sync.Once
	done   chan struct{}
	within time.Duration // pushWithin
}

func newPusher() *pusher { return &pusher{done: make(chan struct{}), within: pushWithin} }

func (p *pusher) stop() { p.once.Do(func() { close(p.done) }) }

// pushed is the data of an event of the stream: a hint to read the resource.
type pushed struct {
	Set     string    `json:"set"`
	Order   int64     `json:"order"`
	Event   string    `json:"event"`
	Kind    string    `json:"kind"`
	Types   []string  `json:"types,omitempty"`
	Changed string    `json:"changed"`
	Time    time.Time `json:"time"`
}

// A place names, per set, the order up to which a client has the changes. It is the
// id of each event.
type place map[string]int64

func (p place) String() string {
	var out []string
	for set, n := range p {
		out = append(out, set+"="+strconv.FormatInt(n, 10))
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func parsePlace(text string, sets []string) (place, error) {
	out := place{}
	for one := range strings.SplitSeq(text, ",") {
		set, order, _ := strings.Cut(one, "=")
		n, err := strconv.ParseInt(order, 10, 64)
		if err != nil || n < 0 || !slices.Contains(sets, set) {
			return nil, oslc.Errorf("oslcbus.events", oslc.Invalid, "Last-Event-ID %q is none of this stream", text)
		}
		out[set] = n
	}
	return out, nil
}

// events streams changes as server-sent events (HTML, section 9.2): those of all
// providers or of the one in the parameter provider, and of them those that
// oslc.where holds for, in the words of the change and of the resource as it is
// now. A client that comes back with Last-Event-ID gets what it missed. Every
// client reads the change log at its own pace, so that a slow one costs nothing; one
// that takes nothing for a while is dropped.
func (e *Engine) events(w http.ResponseWriter, r *http.Request) error {
	const op = "oslcbus.events"
	sets := e.sets()
	if name := r.URL.Query().Get("provider"); name != "" {
		i := slices.IndexFunc(e.providers, func(p *provider) bool { return p.name == name })
		if i < 0 || len(e.providers[i].sets) == 0 {
			return oslc.Errorf(op, oslc.NotFound, "no provider %q has events", name)
		}
		sets = e.providers[i].sets
	}
	v := r.URL.Query()
	v.Del("provider")
	q, err := query.Parse(v.Encode())
	if err != nil {
		return err
	}
	at := place{}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		if at, err = parsePlace(last, sets); err != nil {
			return err
		}
	}
	for _, set := range sets {
		b, err := e.views.Bounds(r.Context(), set, trs.Newest)
		if err != nil {
			return err
		}
		n, known := at[set]
		switch {
		case !known:
			at[set] = b.Newest
		case n > b.Newest:
			return oslc.Errorf(op, oslc.Gone, "the log of %s ends at order %d, before %d: it was restored or made anew; read the tracked resource set", set, b.Newest, n)
		case n < b.Cut:
			return oslc.Errorf(op, oslc.Gone, "the changes of %s up to order %d are not kept any more; read the tracked resource set", set, b.Cut)
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	s := &stream{Engine: e, w: w, where: q.Where, at: at}
	if r.Method == http.MethodHead {
		return nil
	}
	e.metrics.streams.Inc()
	defer e.metrics.streams.Dec()
	// What is left of an error is that the client is gone, was told, or takes nothing.
	if err := s.run(r.Context(), sets); errors.Is(err, os.ErrDeadlineExceeded) {
		e.metrics.dropped.WithLabelValues("stalled").Inc()
	} else if errors.Is(err, errTooSlow) {
		e.metrics.dropped.WithLabelValues("behind").Inc()
	}
	return nil
}

// errTooSlow says that a client has fallen behind what is kept.
var errTooSlow = errors.New("too slow")

// failed is the data of the event that ends a stream which cannot go on.
type failed struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

type stream struct {
	*Engine
	w     http.ResponseWriter
	where query.Where
	at    place
}

func (s *stream) run(ctx context.Context, sets []string) error {
	// The id comes first, so that a client that loses the connection before the first
	// event misses nothing either.
	if err := s.write("retry: 1000\nid: " + s.at.String() + "\n\n"); err != nil {
		return err
	}
	defer func() { _ = http.NewResponseController(s.w).SetWriteDeadline(time.Time{}) }()
	quiet := time.NewTicker(pushQuiet)
	defer quiet.Stop()
	for {
		wake := s.status.folded()
		for _, set := range sets {
			if err := s.catchUp(ctx, set); err != nil {
				// What ends a stream is told; the client comes back with its place. To one
				// that takes nothing it cannot be told.
				if errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
					return err
				}
				data, fail := json.Marshal(failed{oslc.KindOf(err).String(), oslc.Message(err)})
				return errors.Join(err, fail, s.write("event: error\ndata: "+string(data)+"\n\n"))
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.push.done:
			return s.write("event: end\ndata: the server stops\n\n")
		case <-wake:
		case <-quiet.C:
			if err := s.write(": \n\n"); err != nil {
				return err
			}
		}
	}
}

// catchUp sends what a set has after the client's place.
func (s *stream) catchUp(ctx context.Context, set string) error {
	for {
		b, err := s.views.Bounds(ctx, set, trs.Newest)
		if err != nil || b.Newest <= s.at[set] {
			return err
		}
		if s.at[set] < b.Cut {
			return oslc.E("oslcbus.events", fmt.Errorf("%w: the changes of %s up to order %d are not kept any more; read the tracked resource set", errTooSlow, set, b.Cut), oslc.Gone)
		}
		changes, err := s.views.History(ctx, set, trs.ChangeQuery{After: s.at[set], OldestFirst: true, Limit: pushAtOnce})
		if err != nil {
			return err
		}
		var out strings.Builder
		for _, c := range changes {
			s.at[set] = c.Order
			ok, err := s.wanted(ctx, c)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			data, err := json.Marshal(pushed{set, c.Order, "urn:uuid:" + c.Event, c.Kind.String(), c.Types, c.Changed, c.Time})
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "id: %s\nevent: change\ndata: %s\n\n", s.at, data)
		}
		if out.Len() > 0 {
			if err := s.write(out.String()); err != nil {
				return err
			}
		}
		if len(changes) < pushAtOnce {
			return nil
		}
	}
}

// wanted reports whether the conditions hold for a change.
func (s *stream) wanted(ctx context.Context, c trs.Change) (bool, error) {
	if len(s.where) == 0 {
		return true, nil
	}
	g := rdf.NewGraph()
	n := g.Node(c.Changed).A(c.Kind.IRI()).A(c.Types...).Link(vocab.TRSChanged, c.Changed).Int(vocab.TRSOrder, c.Order).Time(vocab.DCTermsCreated, c.Time)
	res, err := s.views.Resource(ctx, c.Changed)
	if err != nil && !errors.Is(err, oslc.NotFound) {
		return false, err
	}
	if err == nil {
		g.AddGraph(res.Graph)
	}
	return s.where.Match(g, n.Term()), nil
}

// write sends text at once, within a time.
func (s *stream) write(text string) error {
	c := http.NewResponseController(s.w)
	if err := c.SetWriteDeadline(time.Now().Add(s.push.within)); err != nil {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return c.Flush()
}

var _ server.HandlerFunc = (*Engine)(nil).events
