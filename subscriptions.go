package oslcbus

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/internal/webhook"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// WebhooksConfig says to whom events are sent, and where they may be sent.
type WebhooksConfig struct {
	// KeyFile holds what the secrets of subscriptions are derived from that are made over
	// HTTP; every replica has the same. Without Kafka a key is made in the data folder.
	KeyFile string `yaml:"key_file"`
	// Allow are the hosts, addresses and networks that may be called though they are
	// not public.
	Allow []string `yaml:"allow"`
	// Limit is how many subscriptions there may be; default 100.
	Limit int `yaml:"limit"`
	// DisableAfter is how long a subscriber may fail until it is left alone; default
	// 72h.
	DisableAfter time.Duration `yaml:"disable_after"`
	// Retry says how soon a delivery that failed is tried again: after min, then twice as
	// long each time, up to max; default 1s and 5m.
	Retry WebhookRetryConfig `yaml:"retry"`
	// Subscriptions are those that the configuration has.
	Subscriptions []SubscriptionConfig `yaml:"subscriptions"`
}

// SubscriptionConfig is a subscription of the configuration.
type SubscriptionConfig struct {
	// Name is its id.
	Name       string          `yaml:"name"`
	URL        string          `yaml:"url"`
	Secret     adapters.Secret `yaml:"secret"`
	SecretFile string          `yaml:"secret_file"`
	// Provider and Where say which events; all without them. Mode is binary (the
	// default) or structured.
	Provider string `yaml:"provider"`
	Where    string `yaml:"where"`
	Mode     string `yaml:"mode"`
}

// WebhookRetryConfig says how soon a delivery is tried again.
type WebhookRetryConfig struct {
	Min time.Duration `yaml:"min"`
	Max time.Duration `yaml:"max"`
}

func (r WebhookRetryConfig) policy() bus.Retry { return bus.Retry{Min: r.Min, Max: r.Max} }

// Defaults of WebhooksConfig.
const (
	DefaultWebhookLimit   = 100
	DefaultDisableAfter   = 72 * time.Hour
	DefaultWebhookPause   = time.Second
	LongestWebhookPause   = 5 * time.Minute
	leastDisableAfter     = time.Second
	leastWebhookKey       = 32
	webhookKeyFile        = "webhook.key"
	modeBinary            = "binary"
	modeStructured        = "structured"
	subscriptionTopicTail = ".webhooks"
)

func (c *WebhooksConfig) complete(fail func(string, string, ...any) error) error {
	if c.Limit == 0 {
		c.Limit = DefaultWebhookLimit
	}
	if c.DisableAfter == 0 {
		c.DisableAfter = DefaultDisableAfter
	}
	if c.Retry.Min == 0 {
		c.Retry.Min = DefaultWebhookPause
	}
	if c.Retry.Max == 0 {
		c.Retry.Max = max(LongestWebhookPause, c.Retry.Min)
	}
	switch {
	case c.Retry.Min < time.Millisecond || c.Retry.Max < c.Retry.Min:
		return fail("webhooks.retry", "min %v and max %v: min must be at least 1ms, and max not less than min", c.Retry.Min, c.Retry.Max)
	case c.Limit < 0 || c.Limit > 1000:
		return fail("webhooks.limit", "%d is not between 1 and 1000", c.Limit)
	case c.DisableAfter < leastDisableAfter:
		return fail("webhooks.disable_after", "%v is less than %v", c.DisableAfter, leastDisableAfter)
	case len(c.Subscriptions) > c.Limit:
		return fail("webhooks.subscriptions", "there are %d, and the limit is %d", len(c.Subscriptions), c.Limit)
	}
	sender, err := webhook.New(webhook.Config{Allow: c.Allow})
	if err != nil {
		return fail("webhooks.allow", "%v", err)
	}
	names := map[string]bool{}
	for i := range c.Subscriptions {
		s := &c.Subscriptions[i]
		key := fmt.Sprintf("webhooks.subscriptions[%d]", i)
		switch {
		case !nameRule.MatchString(s.Name):
			return fail(key+".name", "%q cannot be the name of a subscription: a small letter, then letters, digits, _ and -", s.Name)
		case names[s.Name]:
			return fail(key+".name", "there are two subscriptions called %q", s.Name)
		case s.Secret == "" && s.SecretFile == "":
			return fail(key, "a subscription needs a secret or a secret_file")
		}
		names[s.Name] = true
		if err := sender.CheckURL(s.URL); err != nil {
			return fail(key+".url", "%v", err)
		}
		if s.Mode != "" && s.Mode != modeBinary && s.Mode != modeStructured {
			return fail(key+".mode", "%q is neither binary nor structured", s.Mode)
		}
		if _, err := eventFilter(s.Where); err != nil {
			return fail(key+".where", "%v", err)
		}
	}
	return nil
}

// eventFilter reads the conditions of a subscription, in the words of /events.
func eventFilter(where string) (query.Where, error) {
	q, err := query.Parse(url.Values{"oslc.where": {where}}.Encode())
	if err != nil || where == "" {
		return nil, err
	}
	return q.Where, nil
}

// A subscription says to whom which events are sent. It is a record on a topic of its
// own, so that every replica knows it, without its secret.
type subscription struct {
	ID       string    `json:"id"`
	Name     string    `json:"name,omitempty"`
	URL      string    `json:"url"`
	Provider string    `json:"provider,omitempty"`
	Where    string    `json:"where,omitempty"`
	Mode     string    `json:"mode"`
	By       string    `json:"by,omitempty"`
	Created  time.Time `json:"created"`

	// Version grows with each change. Paused holds deliveries up; Resumed is when an
	// operator had them begin again.
	Version int       `json:"version"`
	Paused  bool      `json:"paused,omitempty"`
	Resumed time.Time `json:"resumed,omitzero"`
	Deleted bool      `json:"deleted,omitempty"`
	// From is where deliveries begin, per topic and partition, as of version Begun.
	From  map[string][]int64 `json:"from,omitempty"`
	Begun int                `json:"begun"`
	// Key counts the secrets that it has had; the one before the newest signs too for a
	// while after Rotated.
	Key     int       `json:"key,omitempty"`
	Rotated time.Time `json:"rotated,omitzero"`
	// Overlay says that the rest is in the configuration.
	Overlay bool `json:"overlay,omitempty"`

	configured bool
	secret     webhook.Secret
	former     webhook.Secret // nil without one
	where      query.Where
}

// formerSecret is how long deliveries are signed with the former secret too.
const formerSecret = 24 * time.Hour

// derive returns a secret of a subscription; a nil one where no key is known.
func (h *hooks) derive(id string, n int) webhook.Secret {
	if h.key == nil {
		return nil
	}
	if n > 0 {
		id = fmt.Sprintf("%s %d", id, n)
	}
	return webhook.Derive(h.key, id)
}

// secrets are those that deliveries are signed with.
func (s *subscription) secrets(now time.Time) []webhook.Secret {
	if s.former != nil && now.Sub(s.Rotated) < formerSecret {
		return []webhook.Secret{s.secret, s.former}
	}
	return []webhook.Secret{s.secret}
}

// delivery is how far a subscription has come.
type delivery struct {
	// Place is the offset of the next event, per topic and partition; what lies before
	// was delivered, or does not concern the subscriber. Begun is the version of the
	// subscription that it began with.
	Place map[string][]int64 `json:"place"`
	Begun int                `json:"begun"`

	Delivered     int64     `json:"delivered"`
	LastDelivered time.Time `json:"lastDelivered,omitzero"`
	LastError     string    `json:"lastError,omitempty"`
	// Attempts counts those of the event that is tried now, Failing is since when.
	Attempts int       `json:"attempts,omitempty"`
	Failing  time.Time `json:"failing,omitzero"`
	// Disabled is when the subscriber was left alone.
	Disabled time.Time `json:"disabled,omitzero"`
}

func (d delivery) clone() delivery {
	if d.Place == nil {
		return d
	}
	place := map[string][]int64{}
	for topic, at := range d.Place {
		place[topic] = slices.Clone(at)
	}
	d.Place = place
	return d
}

// state names what goes on.
func (s *subscription) state(d delivery) string {
	switch {
	case s.Paused:
		return "paused"
	case s.disabled(d):
		return "disabled"
	case !d.Failing.IsZero():
		return "failing"
	}
	return "active"
}

func (s *subscription) disabled(d delivery) bool {
	return !d.Disabled.IsZero() && !s.Resumed.After(d.Disabled)
}

// Types of the records on the topic of subscriptions; readers of events pass over them.
const (
	subscriptionType = "oslcbus.subscription"
	hookPlaceType    = "oslcbus.subscription.delivery"
)

// hooks knows the subscriptions and how far they have come, and sends.
type hooks struct {
	e      *Engine
	sender *webhook.Sender
	key    []byte // nil: subscriptions cannot be made over HTTP
	topic  string

	mu      sync.Mutex
	known   map[string]*subscription
	states  map[string]delivery
	changed chan struct{} // closed and replaced with each change of known
	next    []int64       // of the topic
	sending bool          // this replica knows the states best

	writing sync.Mutex // guards pub
	pub     bus.Publisher
}

// newHooks reads the files of secrets. It does no other I/O.
func newHooks(e *Engine) (*hooks, error) {
	cfg := e.cfg.Webhooks
	h := &hooks{
		e: e, topic: e.cfg.Requests.Topic + subscriptionTopicTail,
		known: map[string]*subscription{}, states: map[string]delivery{}, changed: make(chan struct{}),
	}
	var err error
	if h.sender, err = webhook.New(webhook.Config{Allow: cfg.Allow, UserAgent: "oslcbus " + cmp.Or(e.opts.Version, "dev")}); err != nil {
		return nil, err
	}
	if cfg.KeyFile != "" {
		b, err := os.ReadFile(cfg.KeyFile)
		if h.key = []byte(strings.TrimSpace(string(b))); err != nil || len(h.key) < leastWebhookKey {
			return nil, e.cfg.errorAt("webhooks.key_file", cmp.Or(err, fmt.Errorf("it has %d bytes, want %d or more", len(h.key), leastWebhookKey)))
		}
	}
	for i, c := range cfg.Subscriptions {
		key := fmt.Sprintf("webhooks.subscriptions[%d]", i)
		secret, err := c.Secret.OrFile("secret", c.SecretFile)
		if err != nil {
			return nil, e.cfg.errorAt(key, err)
		}
		s := &subscription{ID: c.Name, Name: c.Name, URL: c.URL, Provider: c.Provider, Where: c.Where, Mode: cmp.Or(c.Mode, modeBinary), configured: true}
		if s.secret, err = webhook.ParseSecret(string(secret)); err != nil {
			return nil, e.cfg.errorAt(key, err)
		}
		if s.where, err = eventFilter(c.Where); err != nil {
			return nil, e.cfg.errorAt(key+".where", err)
		}
		if _, err := h.topics(s); err != nil {
			return nil, e.cfg.errorAt(key+".provider", err)
		}
		h.known[s.ID] = s
	}
	return h, nil
}

// open makes a key where there is none, and none is needed elsewhere.
func (h *hooks) open() error {
	if h.key != nil || len(h.e.cfg.Kafka.Brokers) > 0 {
		return nil
	}
	path := filepath.Join(h.e.cfg.Data, webhookKeyFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		var key [leastWebhookKey]byte
		_, _ = rand.Read(key[:]) // never fails (crypto/rand)
		b = []byte(hex.EncodeToString(key[:]))
		err = WriteSecret(path, string(b))
	}
	if err != nil {
		return oslc.E("oslcbus.webhook_key", err, oslc.Unavailable)
	}
	h.key = []byte(strings.TrimSpace(string(b)))
	return nil
}

// topics returns those that a subscription is about.
func (h *hooks) topics(s *subscription) ([]*provider, error) {
	var out []*provider
	for _, p := range h.e.providers {
		if len(p.sets) > 0 && (s.Provider == "" || s.Provider == p.name) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, oslc.Errorf("oslcbus.subscriptions", oslc.Invalid, "no provider %q has events", s.Provider)
	}
	return out, nil
}

// get returns a subscription and how far it has come.
func (h *hooks) get(id string) (subscription, delivery, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.known[id]
	if s == nil {
		return subscription{}, delivery{}, oslc.Errorf("oslcbus.subscriptions", oslc.NotFound, "no subscription %q", id)
	}
	return *s, h.states[id].clone(), nil
}

// list returns all subscriptions in the order of their ids.
func (h *hooks) list() []subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]subscription, 0, len(h.known))
	for _, id := range slices.Sorted(maps.Keys(h.known)) {
		out = append(out, *h.known[id])
	}
	return out
}

// wake returns what is closed when subscriptions change.
func (h *hooks) wake() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// tell wakes who waits. The caller holds h.mu.
func (h *hooks) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// hookQuiet is how often a reader that waits looks at what it has passed over.
const hookQuiet = 200 * time.Millisecond

// follow keeps the table of subscriptions up to their topic.
func (h *hooks) follow(ctx context.Context) error {
	h.mu.Lock()
	next := slices.Clone(h.next)
	h.mu.Unlock()
	rd, err := h.e.log.Open(ctx, h.topic, bus.From{Offsets: next})
	if err != nil {
		return err
	}
	defer rd.Close()
	passer, _ := rd.(bus.Passer)
	h.e.status.set("subscriptions", nil)
	for {
		look, cancel := context.WithTimeout(ctx, hookQuiet)
		d, err := rd.Next(look)
		cancel()
		quiet := err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded)
		if err != nil && !quiet {
			return err
		}
		h.mu.Lock()
		if quiet && passer != nil {
			for i, n := range passer.Passed() {
				h.passed(i, n)
			}
		}
		if !quiet {
			h.apply(ctx, d)
			h.passed(int(d.Partition), d.Offset+1)
		}
		h.mu.Unlock()
	}
}

// passed notes how far the table is. The caller holds h.mu.
func (h *hooks) passed(partition int, next int64) {
	for len(h.next) <= partition {
		h.next = append(h.next, 0)
	}
	if next > h.next[partition] {
		h.next[partition] = next
		h.tell()
	}
}

// apply takes a record into the table. The caller holds h.mu.
func (h *hooks) apply(ctx context.Context, d bus.Delivery) {
	switch d.Header.Get(bus.HeaderType) {
	case subscriptionType:
		s := &subscription{}
		err := json.Unmarshal(d.Value, s)
		if err == nil {
			s.where, err = eventFilter(s.Where)
		}
		if err != nil {
			h.e.logger.WarnContext(ctx, "record is no subscription", "topic", h.topic, "offset", d.Offset, "err", err)
			return
		}
		if was := h.known[s.ID]; was != nil && was.configured {
			now := *was
			now.Version, now.Paused, now.Resumed, now.From, now.Begun = s.Version, s.Paused, s.Resumed, s.From, s.Begun
			h.known[s.ID] = &now
			return
		}
		if s.Overlay {
			return // it was taken out of the configuration
		}
		if s.Deleted {
			delete(h.known, s.ID)
			delete(h.states, s.ID)
			return
		}
		s.secret = h.derive(s.ID, s.Key)
		if s.Key > 0 {
			s.former = h.derive(s.ID, s.Key-1)
		}
		h.known[s.ID] = s
	case hookPlaceType:
		if h.sending {
			return
		}
		var state delivery
		if err := json.Unmarshal(d.Value, &state); err == nil && h.known[d.Key] != nil {
			h.states[d.Key] = state
		}
	}
}

// caughtUp waits until the table has what was on the topic when it was called.
func (h *hooks) caughtUp(ctx context.Context) error {
	log, ok := h.e.log.(bus.Ender)
	if !ok {
		return nil
	}
	end, err := log.End(ctx, h.topic)
	if err != nil {
		return err
	}
	for {
		wake := h.wake()
		h.mu.Lock()
		behind := false
		for i, n := range end {
			behind = behind || n > 0 && (i >= len(h.next) || h.next[i] < n)
		}
		h.mu.Unlock()
		if !behind {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
	}
}

// record is one on the topic of subscriptions.
func (h *hooks) record(kind, id string, v any) (bus.Record, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return bus.Record{}, err
	}
	m := bus.Message{Key: id, Value: body}
	for _, f := range []bus.Field{
		{Name: bus.HeaderSpecVersion, Value: "1.0"},
		{Name: bus.HeaderID, Value: oslc.NewID(kind, id, rand.Text())},
		{Name: bus.HeaderSource, Value: h.e.self().uri},
		{Name: bus.HeaderType, Value: kind},
		{Name: bus.HeaderSubject, Value: h.uri(id)},
		{Name: bus.HeaderTime, Value: rdf.FormatTime(time.Now())},
		{Name: bus.HeaderContentType, Value: "application/json"},
	} {
		m.Header.Set(f.Name, f.Value)
	}
	return bus.Record{Topic: h.topic, Message: m}, nil
}

func (h *hooks) uri(id string) string { return h.e.cfg.BaseURL + "/events/subscriptions/" + id }

// put makes a new version of a subscription durable, and waits until the table has it.
func (h *hooks) put(ctx context.Context, s subscription) error {
	rec, err := h.record(subscriptionType, s.ID, s)
	if err != nil {
		return err
	}
	// It goes on when the client gives up: nobody would know otherwise.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishWithin)
	defer cancel()
	if err := h.append(ctx, rec); err != nil {
		return err
	}
	for {
		wake := h.wake()
		h.mu.Lock()
		now := h.known[s.ID]
		h.mu.Unlock()
		if s.Deleted && now == nil || now != nil && now.Version >= s.Version {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil // it is on the log, which is what was asked for
		}
	}
}

func (h *hooks) append(ctx context.Context, rec bus.Record) error {
	h.writing.Lock()
	defer h.writing.Unlock()
	var err error
	if h.pub == nil {
		if h.pub, err = h.e.log.Own(ctx, "subscriptions."+h.e.asker.instance, h.topic); err != nil {
			h.pub = nil
			return err
		}
	}
	if err = h.pub.Append(ctx, rec); err != nil {
		pub := h.pub
		h.pub = nil
		return errors.Join(err, pub.Close())
	}
	return nil
}

func (h *hooks) close() error {
	h.sender.Close()
	h.writing.Lock()
	defer h.writing.Unlock()
	if h.pub == nil {
		return nil
	}
	pub := h.pub
	h.pub = nil
	return pub.Close()
}

// ends returns where the topics of a subscription end now.
func (h *hooks) ends(ctx context.Context, s *subscription) (map[string][]int64, error) {
	log, ok := h.e.log.(bus.Ender)
	if !ok {
		return nil, oslc.Errorf("oslcbus.subscriptions", oslc.Unsupported, "the log does not tell where it ends")
	}
	topics, err := h.topics(s)
	if err != nil {
		return nil, err
	}
	out := map[string][]int64{}
	for _, p := range topics {
		if out[p.topic.Topic], err = log.End(ctx, p.topic.Topic); err != nil {
			return nil, err
		}
	}
	return out, nil
}
