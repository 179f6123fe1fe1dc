package oslcbus

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
)

// subscriptionView is a subscription as operators see it.
type subscriptionView struct {
	ID       string    `json:"id"`
	URI      string    `json:"uri"`
	Name     string    `json:"name,omitempty"`
	URL      string    `json:"url"`
	Provider string    `json:"provider,omitempty"`
	Where    string    `json:"where,omitempty"`
	Mode     string    `json:"mode"`
	By       string    `json:"by,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	// Configured says that the configuration has it: it cannot be changed here.
	Configured bool `json:"configured,omitempty"`
	// State is active, failing, paused or disabled.
	State string `json:"state"`
	// Lag is how many records the subscription is behind; -1 when the log does not say.
	Lag int64 `json:"lag"`
	delivery
	// Secret is told once, to who made the subscription.
	Secret string `json:"secret,omitempty"`
}

func (h *hooks) view(ctx context.Context, s *subscription, at delivery) subscriptionView {
	v := subscriptionView{
		ID: s.ID, URI: h.uri(s.ID), Name: s.Name, URL: s.URL, Provider: s.Provider, Where: s.Where, Mode: s.Mode, By: s.By,
		Created: s.Created, Configured: s.configured, State: s.state(at), delivery: at,
	}
	if at.Place == nil {
		v.Place = s.From
	}
	ends, err := h.ends(ctx, s)
	if err != nil || v.Place == nil {
		v.Lag = -1
		return v
	}
	for topic, end := range ends {
		for i, n := range end {
			if at := v.Place[topic]; i < len(at) {
				n -= at[i]
			}
			v.Lag += max(0, n)
		}
	}
	return v
}

// subscriptionInput is what a client may say of a subscription.
type subscriptionInput struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	Provider string `json:"provider"`
	Where    string `json:"where"`
	Mode     string `json:"mode"`
	// From is now (the default) or beginning: the oldest event that is kept.
	From string `json:"from"`
}

const (
	fromNow       = "now"
	fromBeginning = "beginning"
)

// all answers for the list: GET shows it, POST makes a subscription.
func (h *hooks) all(w http.ResponseWriter, r *http.Request) error {
	if answered, err := server.Allow(w, r, http.MethodGet, http.MethodPost); answered || err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		return h.create(w, r)
	}
	h.current(r.Context())
	out := []subscriptionView{}
	for _, s := range h.list() {
		_, at, _ := h.get(s.ID)
		out = append(out, h.view(r.Context(), &s, at))
	}
	return writeJSON(w, map[string]any{"subscriptions": out})
}

func (h *hooks) create(w http.ResponseWriter, r *http.Request) error {
	const op = "oslcbus.subscribe"
	in := subscriptionInput{Mode: modeBinary, From: fromNow}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	s := subscription{
		ID: oslc.NewID("subscription", h.e.asker.instance, time.Now().String(), in.URL), Name: in.Name, URL: in.URL, Provider: in.Provider, Where: in.Where,
		Mode: in.Mode, By: UserOf(r.Context()), Created: time.Now().UTC(), Version: 1, Begun: 1,
	}
	switch {
	case len(in.Name) > 200 || len(in.Where) > 4000:
		return oslc.Errorf(op, oslc.Invalid, "name and where have 200 and 4000 bytes at most")
	case in.Mode != modeBinary && in.Mode != modeStructured:
		return oslc.Errorf(op, oslc.Invalid, "mode %q is neither binary nor structured", in.Mode)
	case in.From != fromNow && in.From != fromBeginning:
		return oslc.Errorf(op, oslc.Invalid, "from %q is neither now nor beginning", in.From)
	case h.key == nil:
		return oslc.Errorf(op, oslc.Unsupported, "on Kafka subscriptions cannot be made without webhooks.key_file, the same on every replica: their secrets are derived from it")
	}
	if err := h.sender.CheckURL(in.URL); err != nil {
		return err
	}
	if _, err := eventFilter(in.Where); err != nil {
		return err
	}
	var err error
	if in.From == fromNow {
		s.From, err = h.ends(r.Context(), &s)
	} else {
		_, err = h.topics(&s)
	}
	if err != nil {
		return err
	}
	if s.From == nil {
		s.From = map[string][]int64{}
	}
	if err := h.caughtUp(r.Context()); err != nil {
		return err
	}
	if n := len(h.list()); n >= h.e.cfg.Webhooks.Limit {
		return oslc.Errorf(op, oslc.Conflict, "there are %d subscriptions, and webhooks.limit is %d", n, h.e.cfg.Webhooks.Limit)
	}
	if err := h.put(r.Context(), s); err != nil {
		return err
	}
	v := h.view(r.Context(), &s, delivery{})
	v.Secret = h.derive(s.ID, 0).Text()
	w.Header().Set("Location", h.uri(s.ID))
	return writeJSONStatus(w, http.StatusCreated, v)
}

// one answers for a subscription: GET shows it, DELETE ends it.
func (h *hooks) one(w http.ResponseWriter, r *http.Request) error {
	if answered, err := server.Allow(w, r, http.MethodGet, http.MethodDelete); answered || err != nil {
		return err
	}
	if r.Method == http.MethodDelete {
		if err := h.change(r.Context(), param(r, "id"), func(s *subscription) error { s.Deleted = true; return nil }); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	h.current(r.Context())
	s, at, err := h.get(param(r, "id"))
	if err != nil {
		return err
	}
	return writeJSON(w, h.view(r.Context(), &s, at))
}

// current waits a moment for the table to have what is on its topic. Without the log
// what is known is answered.
func (h *hooks) current(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	_ = h.caughtUp(ctx)
}

// change makes a new version of a subscription.
func (h *hooks) change(ctx context.Context, id string, change func(*subscription) error) error {
	if err := h.caughtUp(ctx); err != nil {
		return err
	}
	s, _, err := h.get(id)
	if err != nil {
		return err
	}
	s.Version++
	s.Overlay = s.configured
	if err := change(&s); err != nil {
		return err
	}
	if s.configured && s.Deleted {
		return oslc.Errorf("oslcbus.subscriptions", oslc.Conflict, "subscription %q is in the configuration: remove it there", id)
	}
	return h.put(ctx, s)
}

// act pauses, resumes and tests a subscription, and gives it another secret.
func (h *hooks) act(w http.ResponseWriter, r *http.Request) error {
	const op = "oslcbus.subscriptions"
	if answered, err := server.Allow(w, r, http.MethodPost); answered || err != nil {
		return err
	}
	id := param(r, "id")
	var in struct {
		From string `json:"from"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	what := param(r, "what")
	if in.From != "" && (what != "resume" || in.From != fromNow) {
		return oslc.Errorf(op, oslc.Invalid, "from can be now, to resume without what was missed")
	}
	switch what {
	case "test":
		return h.test(w, r, id)
	case "pause":
		if err := h.change(r.Context(), id, func(s *subscription) error { s.Paused = true; return nil }); err != nil {
			return err
		}
	case "rotate":
		return h.rotate(w, r, id)
	case "resume":
		if err := h.resume(r.Context(), id, in.From == fromNow); err != nil {
			return err
		}
	default:
		return oslc.Errorf(op, oslc.NotFound, "a subscription can be paused, resumed, tested and given another secret, not %q", what)
	}
	s, at, err := h.get(id)
	if err != nil {
		return err
	}
	return writeJSON(w, h.view(r.Context(), &s, at))
}

// rotate gives a subscription another secret and tells it, once.
func (h *hooks) rotate(w http.ResponseWriter, r *http.Request, id string) error {
	const op = "oslcbus.subscriptions"
	err := h.change(r.Context(), id, func(s *subscription) error {
		switch {
		case s.configured:
			return oslc.Errorf(op, oslc.Conflict, "the secret of subscription %q is in the configuration: change it there", id)
		case h.key == nil:
			return oslc.Errorf(op, oslc.Unsupported, "there is no webhooks.key_file to derive a secret from")
		}
		s.Key++
		s.Rotated = time.Now().UTC()
		return nil
	})
	if err != nil {
		return err
	}
	s, at, err := h.get(id)
	if err != nil {
		return err
	}
	v := h.view(r.Context(), &s, at)
	v.Secret = h.derive(s.ID, s.Key).Text()
	return writeJSON(w, v)
}

// resume has deliveries begin again where they ended, or now.
func (h *hooks) resume(ctx context.Context, id string, now bool) error {
	return h.change(ctx, id, func(s *subscription) error {
		s.Paused, s.Resumed = false, time.Now().UTC()
		if !now {
			return nil
		}
		s.Begun = s.Version
		var err error
		s.From, err = h.ends(ctx, s)
		return err
	})
}

// testType is the ce_type of a test delivery.
const testType = "io.github.oslcbus.webhook.test"

// test sends an event that says nothing, once, and tells how it went.
func (h *hooks) test(w http.ResponseWriter, r *http.Request, id string) error {
	h.current(r.Context())
	s, _, err := h.get(id)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"subscription": h.uri(id)})
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	m := bus.Message{Key: id, Value: body}
	for _, f := range []bus.Field{
		{Name: bus.HeaderSpecVersion, Value: "1.0"},
		{Name: bus.HeaderID, Value: oslc.NewID("test", id, now.String())},
		{Name: bus.HeaderSource, Value: h.e.self().uri},
		{Name: bus.HeaderType, Value: testType},
		{Name: bus.HeaderSubject, Value: h.uri(id)},
		{Name: bus.HeaderTime, Value: rdf.FormatTime(now)},
		{Name: bus.HeaderContentType, Value: "application/json"},
	} {
		m.Header.Set(f.Name, f.Value)
	}
	sent, err := h.send(r.Context(), &s, m, 1)
	out := map[string]any{"event": m.ID(), "delivered": err == nil, "status": sent.Status, "milliseconds": sent.Took.Milliseconds()}
	if err != nil {
		out["error"] = oslc.Message(err)
	}
	return writeJSON(w, out)
}
