package oslcbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/cloudevents"
	"github.com/oslcbus/oslcbus/internal/webhook"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
)

const (
	// saveEvery is how often places are written down that did nothing but move on: what
	// lies between is delivered again after a crash.
	saveEvery = 250 * time.Millisecond
	// shareEvery is the same where each is a record on a topic.
	shareEvery = 2 * time.Second
	// lagEvery is how often it is looked how far subscriptions are behind.
	lagEvery = 5 * time.Second
	// saveWithin bounds the last one, when the program stops.
	saveWithin = 3 * time.Second
)

// run sends what is to be sent, on one replica at a time. What is delivered is known to
// the topic of subscriptions; the replica that sends owns that, so that an earlier one
// which has not noticed yet cannot write down places any more.
func (h *hooks) run(ctx context.Context) error {
	const name = "webhooks"
	return h.e.hold(ctx, name, func(ctx context.Context) error {
		pub, err := h.e.log.Own(ctx, name, h.topic)
		if err != nil {
			return err
		}
		defer pub.Close()
		if err := h.caughtUp(ctx); err != nil {
			return err
		}
		_, shared := h.e.log.(bus.Holder)
		r := &hookRun{hooks: h, pub: pub, shared: shared, workers: map[string]*worker{}, saved: map[string]saved{}}
		if !shared {
			r.restore(pub.Cursor())
		}
		h.mu.Lock()
		h.sending = true
		h.mu.Unlock()
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.sending = false
		}()
		h.e.status.set(name, nil)
		err = r.loop(ctx)
		for _, w := range r.workers {
			w.halt()
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveWithin)
		defer cancel()
		return errors.Join(err, r.save(last, true))
	})
}

// hookRun is a turn of sending.
type hookRun struct {
	*hooks
	pub     bus.Publisher
	shared  bool // other replicas read the states
	workers map[string]*worker
	saved   map[string]saved
}

// saved is what was written down of a subscription.
type saved struct {
	at    time.Time
	text  string
	state string
}

// restore takes the states that a log without replicas keeps.
func (r *hookRun) restore(cursor []byte) {
	var states map[string]delivery
	if json.Unmarshal(cursor, &states) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, d := range states {
		if r.known[id] != nil {
			r.states[id] = d
		}
	}
}

func (r *hookRun) loop(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	defer r.e.metrics.deliveryLag.Set(0)
	var looked time.Time
	for {
		wake := r.wake()
		if now := time.Now(); now.Sub(looked) >= lagEvery {
			looked = now
			r.lag(ctx)
		}
		if err := r.reconcile(ctx); err != nil {
			return err
		}
		if err := r.save(ctx, false); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-tick.C:
		}
	}
}

// lag shows how far the subscription is behind that is furthest.
func (r *hookRun) lag(ctx context.Context) {
	most := int64(0)
	for _, s := range r.list() {
		_, at, _ := r.get(s.ID)
		if s.Paused || s.disabled(at) {
			continue
		}
		most = max(most, r.view(ctx, &s, at).Lag)
	}
	r.e.metrics.deliveryLag.Set(float64(most))
}

// reconcile has a worker for each subscription that is to get events.
func (r *hookRun) reconcile(ctx context.Context) error {
	states := map[string]int{}
	seen := map[string]bool{}
	for _, s := range r.list() {
		seen[s.ID] = true
		_, at, _ := r.get(s.ID)
		states[s.state(at)]++
		w := r.workers[s.ID]
		if w != nil && (w.s.Version != s.Version || s.disabled(at)) {
			w.halt()
			delete(r.workers, s.ID)
			w = nil
			_, at, _ = r.get(s.ID)
		}
		if w != nil || s.Paused || s.disabled(at) {
			continue
		}
		w, err := r.begin(ctx, s, at)
		if err != nil {
			return err
		}
		r.workers[s.ID] = w
	}
	for id, w := range r.workers {
		if !seen[id] {
			w.halt()
			delete(r.workers, id)
		}
	}
	for _, state := range []string{"active", "failing", "paused", "disabled"} {
		r.e.metrics.subscriptions.WithLabelValues(state).Set(float64(states[state]))
	}
	return nil
}

// begin starts a worker where the subscription is.
func (r *hookRun) begin(ctx context.Context, s subscription, at delivery) (*worker, error) {
	fresh := at.Place == nil || at.Begun < s.Begun
	if fresh {
		from := s.From
		if s.configured && at.Place == nil {
			// From now on: what happened before it was configured is not asked for.
			var err error
			if from, err = r.ends(ctx, &s); err != nil {
				return nil, err
			}
		}
		at.Place, at.Begun = from, s.Begun
	}
	if !at.Disabled.IsZero() {
		at.Disabled, at.Failing, at.Attempts = time.Time{}, time.Time{}, 0
	}
	r.update(s.ID, func(d *delivery) { *d = at.clone() })
	if fresh {
		// Before anything is sent: after a crash "now" would be later.
		if err := r.save(ctx, true); err != nil {
			return nil, err
		}
	}
	topics, err := r.topics(&s)
	if err != nil {
		topics = nil // its provider is configured no more
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{hooks: r.hooks, s: s, cancel: cancel, turn: make(chan struct{}, 1)}
	for _, p := range topics {
		w.wg.Go(func() { w.work(ctx, p) })
	}
	return w, nil
}

// update changes how far a subscription has come.
func (h *hooks) update(id string, change func(*delivery)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.states[id].clone()
	change(&d)
	h.states[id] = d
}

// save writes down how far subscriptions have come. What an operator would want to know
// is written at once, and so is everything when all is set.
func (r *hookRun) save(ctx context.Context, all bool) error {
	r.mu.Lock()
	states := maps.Clone(r.states)
	known := maps.Clone(r.known)
	r.mu.Unlock()
	var out []bus.Record
	now, moved := time.Now(), false
	for _, id := range slices.Sorted(maps.Keys(states)) {
		if known[id] == nil {
			continue
		}
		d := states[id]
		text, err := json.Marshal(d)
		if err != nil {
			return err
		}
		was, state := r.saved[id], known[id].state(d)
		if was.text == string(text) || r.shared && !all && was.state == state && now.Sub(was.at) < shareEvery {
			continue
		}
		moved = true
		r.saved[id] = saved{now, string(text), state}
		if r.shared {
			rec, err := r.record(hookPlaceType, id, d)
			if err != nil {
				return err
			}
			out = append(out, rec)
		}
	}
	if !moved {
		return nil
	}
	if !r.shared {
		cursor, err := json.Marshal(states)
		if err != nil {
			return err
		}
		out = append(out, bus.Record{Cursor: cursor})
	}
	return r.pub.Append(ctx, out...)
}

// A worker sends the events of one subscription, one after the other.
type worker struct {
	*hooks
	s      subscription
	cancel context.CancelFunc
	wg     sync.WaitGroup
	turn   chan struct{} // a token for who sends
}

func (w *worker) halt() {
	w.cancel()
	w.wg.Wait()
}

// work goes along one topic until ctx ends or the subscriber is left alone.
func (w *worker) work(ctx context.Context, p *provider) {
	for attempts := 1; ctx.Err() == nil; attempts++ {
		err := w.follow(ctx, p)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errSuperseded) {
			<-ctx.Done() // another worker takes over, or none
			return
		}
		if errors.Is(err, oslc.Gone) {
			w.disable(fmt.Errorf("events from its place on are not kept any more: resume it from now, and read the tracked resource set: %w", err))
			return
		}
		w.e.logger.WarnContext(ctx, "events for a subscription cannot be read", "subscription", w.s.ID, "topic", p.topic.Topic, "err", err)
		if bus.Sleep(ctx, w.e.cfg.Webhooks.Retry.policy().Pause(attempts, err)) != nil {
			return
		}
	}
}

func (w *worker) follow(ctx context.Context, p *provider) error {
	_, at, err := w.get(w.s.ID)
	if err != nil {
		return err
	}
	topic := p.topic.Topic
	rd, err := w.e.log.Open(ctx, topic, bus.From{Offsets: at.Place[topic]})
	if err != nil {
		return err
	}
	defer rd.Close()
	passer, _ := rd.(bus.Passer)
	for {
		look, cancel := context.WithTimeout(ctx, hookQuiet)
		d, err := rd.Next(look)
		cancel()
		if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			if passer != nil {
				for i, n := range passer.Passed() {
					w.moved(topic, i, n)
				}
			}
			continue
		}
		if err != nil {
			return err
		}
		m, wanted := w.message(p, d)
		if wanted {
			if err := w.deliver(ctx, m); err != nil {
				return err
			}
		}
		w.moved(topic, int(d.Partition), d.Offset+1)
	}
}

// moved notes that everything before an offset is done.
func (w *worker) moved(topic string, partition int, next int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.states[w.s.ID]
	if d.Place == nil {
		return // it was deleted
	}
	at := d.Place[topic]
	for len(at) <= partition {
		at = append(at, 0)
	}
	if next > at[partition] {
		at = slices.Clone(at) // who has a copy of the state keeps it
		at[partition] = next
		d.Place = maps.Clone(d.Place)
		d.Place[topic] = at
		w.states[w.s.ID] = d
	}
}

// message returns what the subscriber gets of a record, if it wants it: the event as it
// is on the log, with its place in the tracked resource set.
func (w *worker) message(p *provider, d bus.Delivery) (bus.Message, bool) {
	if bus.IsMarker(d.Message) || int(d.Partition) >= len(p.sets) {
		return bus.Message{}, false
	}
	m, err := cloudevents.ToBinary(d.Message)
	if err != nil {
		return bus.Message{}, false // the views count it
	}
	ev, err := bus.Decode(m, w.e.parser)
	if err != nil {
		return bus.Message{}, false
	}
	order := d.Offset + 1
	if len(w.s.where) > 0 {
		g := rdf.NewGraph()
		n := g.Node(ev.Subject).A(ev.Change.IRI()).A(ev.Types...).Link(vocab.TRSChanged, ev.Subject).Int(vocab.TRSOrder, order).Time(vocab.DCTermsCreated, ev.Time)
		if ev.Resource != nil {
			g.AddGraph(ev.Resource)
		}
		if !w.s.where.Match(g, n.Term()) {
			return bus.Message{}, false
		}
	}
	m.Header = slices.Clone(m.Header)
	m.Header.Set("ce_trsset", trs.SetURI(w.e.cfg.BaseURL, p.sets[d.Partition]))
	m.Header.Set("ce_trsorder", strconv.FormatInt(order, 10))
	m.Header = slices.DeleteFunc(m.Header, func(f bus.Field) bool {
		return f.Name != bus.HeaderContentType && !strings.HasPrefix(f.Name, "ce_") // what the bus notes for itself
	})
	return m, true
}

var (
	errDisabled   = errors.New("the subscriber is left alone")
	errSuperseded = errors.New("the subscription was changed")
)

// deliver sends a message until the subscriber has taken it. It fails when ctx ends or
// the subscriber is left alone: it said that it wants nothing more, or failed for too
// long. Others of the same subscription wait meanwhile.
func (w *worker) deliver(ctx context.Context, m bus.Message) error {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		kept, before, err := w.get(w.s.ID)
		if err != nil || kept.Version != w.s.Version {
			return errSuperseded // who paused it is told nothing more after the answer
		}
		sent, err := w.send(ctx, &w.s, m, before.Attempts+1)
		if ctx.Err() != nil {
			return ctx.Err() // what became of it is not known: it is sent again
		}
		now := time.Now().UTC()
		if err == nil {
			w.update(w.s.ID, func(d *delivery) {
				d.Delivered++
				d.LastDelivered, d.LastError, d.Failing, d.Attempts = now, "", time.Time{}, 0
			})
			return nil
		}
		var at delivery
		w.update(w.s.ID, func(d *delivery) {
			d.Attempts++
			d.LastError = fmt.Sprintf("event %s: %s", m.ID(), oslc.Message(err))
			if d.Failing.IsZero() {
				d.Failing = now
			}
			at = *d
		})
		w.e.logger.DebugContext(ctx, "delivery failed", "subscription", w.s.ID, "event", m.ID(), "status", sent.Status, "attempts", at.Attempts, "err", err)
		if errors.Is(err, oslc.NotFound) || now.Sub(at.Failing) >= w.e.cfg.Webhooks.DisableAfter {
			w.disable(errors.New(at.LastError))
			return errDisabled
		}
		if err := bus.Sleep(ctx, w.e.cfg.Webhooks.Retry.policy().Pause(at.Attempts, err)); err != nil {
			return err
		}
	}
}

// disable leaves the subscriber alone until an operator resumes it.
func (w *worker) disable(reason error) {
	w.update(w.s.ID, func(d *delivery) { d.Disabled, d.LastError = time.Now().UTC(), reason.Error() })
	w.e.logger.WarnContext(context.Background(), "subscriber is left alone until it is resumed", "subscription", w.s.ID, "err", reason)
	w.cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell()
}

// send tries a delivery once; attempt counts from 1.
func (h *hooks) send(ctx context.Context, s *subscription, m bus.Message, attempt int) (webhook.Event, error) {
	const op = "oslcbus.webhook"
	if s.secret == nil {
		return webhook.Event{}, oslc.Errorf(op, oslc.Unavailable, "the secret is not known here: give webhooks.key_file, the same on every replica")
	}
	ctx, sp := h.e.tracer.deliver(ctx, s.ID, m, attempt)
	sent, err := h.sender.Send(ctx, s.URL, s.Mode == modeStructured, m, s.secrets(time.Now())...)
	sp.status(sent.Status)
	sp.end(err)
	if ctx.Err() == nil {
		outcome := "delivered"
		if err != nil {
			outcome = oslc.KindOf(err).String()
		}
		h.e.metrics.deliveries.WithLabelValues(outcome).Inc()
		h.e.metrics.deliverySeconds.Observe(sent.Took.Seconds())
	}
	return sent, err
}
