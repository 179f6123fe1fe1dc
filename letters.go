package oslcbus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
)

// A letter is a message that was set aside, as operators see it.
type letter struct {
	// ID is where it lies: topic, partition and offset.
	ID        string `json:"id"`
	Topic     string `json:"topic"` // that it was read from
	Partition string `json:"partition"`
	Offset    string `json:"offset"`
	Event     string `json:"event,omitempty"`
	Key       string `json:"key,omitempty"`
	Reason    string `json:"reason"`
	Attempts  string `json:"attempts"`
	Time      string `json:"time"`
	Bytes     int    `json:"bytes"`
	// Header and Body are the message as it was; Body is base64 where it is no text.
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
	Base64 []byte            `json:"base64,omitempty"`

	message bus.Message
}

// letters looks after what was set aside. What was dealt with is noted on the topic
// of the letters itself, so that every replica knows.
type letters struct {
	e   *Engine
	mu  sync.Mutex
	pub bus.Publisher
}

// doneType is the ce_type of such a note; readers pass it over as a driver's own.
const doneType = "oslcbus.letter.done"

// topics are those that have letters.
func (l *letters) topics() []string {
	var out []string
	for _, p := range l.e.providers {
		if p.adapter.Source != nil || p == l.e.self() {
			out = append(out, bus.DeadLetterTopic(p.topic.Topic))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// read returns the letters of a topic that nobody has dealt with, oldest first.
func (l *letters) read(ctx context.Context, topic string) ([]letter, error) {
	const op = "oslcbus.letters"
	if !slices.Contains(l.topics(), topic) {
		return nil, oslc.Errorf(op, oslc.NotFound, "no topic %q has dead letters; there are: %s", topic, strings.Join(l.topics(), ", "))
	}
	ender, ok := l.e.log.(bus.Ender)
	if !ok {
		return nil, oslc.Errorf(op, oslc.Unsupported, "the log does not tell where it ends")
	}
	rd, err := l.e.log.Open(ctx, topic, bus.From{})
	if err != nil {
		return nil, oslc.E(op, err)
	}
	defer rd.Close()
	end, err := ender.End(ctx, topic)
	if err != nil {
		return nil, oslc.E(op, err)
	}
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	var out []letter
	done := map[string]bool{}
	next := make([]int64, len(end))
	passer, _ := rd.(bus.Passer)
	for {
		if passer != nil { // records that the driver keeps to itself count too
			for i, n := range passer.Passed() {
				if i < len(next) {
					next[i] = max(next[i], n)
				}
			}
		}
		behind := false
		for i := range end {
			behind = behind || next[i] < end[i]
		}
		if !behind {
			break
		}
		look, stop := context.WithTimeout(ctx, quietLetters)
		d, err := rd.Next(look)
		stop()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			break // what is left are records that nobody is shown
		}
		if err != nil {
			return nil, oslc.E(op, err)
		}
		if int(d.Partition) < len(next) {
			next[d.Partition] = d.Offset + 1
		}
		h := d.Header
		if h.Get(bus.HeaderType) == doneType {
			done[h.Get(bus.HeaderPartition)+"/"+h.Get(bus.HeaderOffset)] = true
			continue
		}
		if bus.IsMarker(d.Message) && h.Get(bus.HeaderReason) == "" {
			continue
		}
		out = append(out, letter{
			ID:    fmt.Sprintf("%s/%d/%d", topic, d.Partition, d.Offset),
			Topic: h.Get(bus.HeaderTopic), Partition: h.Get(bus.HeaderPartition), Offset: h.Get(bus.HeaderOffset),
			Event: d.ID(), Key: d.Key, Reason: h.Get(bus.HeaderReason), Attempts: h.Get(bus.HeaderAttempts),
			Time: h.Get(bus.HeaderDeadTime), Bytes: len(d.Value), message: d.Message,
		})
	}
	return slices.DeleteFunc(out, func(x letter) bool { return done[strings.TrimPrefix(x.ID, topic+"/")] }), nil
}

const (
	// readWithin bounds how long the letters of one topic may take to be read.
	readWithin = 30 * time.Second
	// quietLetters is how long a topic is given to bring what it said it has.
	quietLetters = 2 * time.Second
)

// find returns one letter.
func (l *letters) find(ctx context.Context, id string) (letter, error) {
	topic, rest, _ := strings.Cut(id, "/")
	all, err := l.read(ctx, topic)
	if err != nil {
		return letter{}, err
	}
	for _, x := range all {
		if x.ID == id {
			return x, nil
		}
	}
	return letter{}, oslc.Errorf("oslcbus.letters", oslc.NotFound, "%s has no letter %s, or it was dealt with", topic, rest)
}

// retry has the work of a letter done again: a request is asked for anew, an event
// is put to the rules again. It returns the URIs of the requests.
func (l *letters) retry(ctx context.Context, id string) ([]string, error) {
	const op = "oslcbus.retry"
	l.mu.Lock()
	defer l.mu.Unlock()
	x, err := l.find(ctx, id)
	if err != nil {
		return nil, err
	}
	var uris []string
	if x.Topic == l.e.self().topic.Topic {
		uris, err = l.askAgain(ctx, x)
	} else {
		uris, err = l.ruleAgain(ctx, x)
	}
	if err != nil {
		return nil, oslc.E(op, err)
	}
	return uris, oslc.E(op, l.note(ctx, x, "tried again: "+strings.Join(uris, " ")))
}

func (l *letters) askAgain(ctx context.Context, x letter) ([]string, error) {
	ev, err := l.e.decode(x.message)
	if err != nil {
		return nil, err
	}
	r, err := oslc.ParseRequest(ev.Resource, ev.Subject)
	if err != nil {
		return nil, err
	}
	// The same letter always leads to the same request.
	r.ID = oslc.NewID("again", x.ID, r.ID)
	r.URI = oslc.ResourceURI(l.e.cfg.BaseURL, automation.BusProvider, "requests", r.ID)
	r.State, r.Created = oslc.New, time.Now()
	return []string{r.URI}, l.e.asker.publish(ctx, r)
}

func (l *letters) ruleAgain(ctx context.Context, x letter) ([]string, error) {
	ev, err := l.e.decode(x.message)
	if err != nil {
		return nil, err
	}
	var uris []string
	for _, p := range l.e.connections() {
		if p.topic.Topic != x.Topic {
			continue
		}
		matches, looped := l.e.rules.Load().Match(ev, p.name)
		if looped {
			return nil, oslc.Errorf("oslcbus.rules", oslc.Conflict, "too many requests led to this event")
		}
		for _, m := range matches {
			if m.Err != nil {
				return uris, m.Err
			}
			r := m.Request
			r.Created = time.Now()
			if err := l.e.asker.publish(ctx, r); err != nil {
				return uris, err
			}
			uris = append(uris, r.URI)
		}
	}
	return uris, nil
}

// drop notes that a letter needs nothing more.
func (l *letters) drop(ctx context.Context, id, by string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	x, err := l.find(ctx, id)
	if err != nil {
		return err
	}
	return oslc.E("oslcbus.drop", l.note(ctx, x, "dropped by "+by))
}

// note writes down that a letter was dealt with. The caller holds l.mu.
func (l *letters) note(ctx context.Context, x letter, what string) error {
	topic, rest, _ := strings.Cut(x.ID, "/")
	partition, offset, _ := strings.Cut(rest, "/")
	m := bus.Message{Key: x.Key, Value: []byte("{}")}
	for _, f := range []bus.Field{
		{Name: bus.HeaderSpecVersion, Value: "1.0"},
		{Name: bus.HeaderID, Value: oslc.NewID("letter", x.ID)},
		{Name: bus.HeaderSource, Value: l.e.self().uri},
		{Name: bus.HeaderType, Value: doneType},
		{Name: bus.HeaderTime, Value: rdf.FormatTime(time.Now())},
		{Name: bus.HeaderContentType, Value: "application/json"},
		{Name: bus.HeaderPartition, Value: partition},
		{Name: bus.HeaderOffset, Value: offset},
		{Name: bus.HeaderReason, Value: what},
	} {
		m.Header.Set(f.Name, f.Value)
	}
	if l.pub == nil {
		pub, err := l.e.log.Own(ctx, "letters."+l.e.asker.instance, l.topics()...)
		if err != nil {
			return err
		}
		l.pub = pub
	}
	if err := l.pub.Append(ctx, bus.Record{Topic: topic, Message: m}); err != nil {
		pub := l.pub
		l.pub = nil
		return errors.Join(err, pub.Close())
	}
	return nil
}

func (l *letters) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pub == nil {
		return nil
	}
	pub := l.pub
	l.pub = nil
	return pub.Close()
}

// list answers with the letters that nobody has dealt with.
func (l *letters) list(w http.ResponseWriter, r *http.Request) error {
	if answered, err := server.Allow(w, r, http.MethodGet); answered || err != nil {
		return err
	}
	topics := l.topics()
	if t := r.URL.Query().Get("topic"); t != "" {
		topics = []string{t}
	}
	all := []letter{}
	for _, t := range topics {
		some, err := l.read(r.Context(), t)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	return writeJSON(w, map[string]any{"letters": all})
}

// one answers for a letter: GET shows it, DELETE drops it.
func (l *letters) one(w http.ResponseWriter, r *http.Request) error {
	if answered, err := server.Allow(w, r, http.MethodGet, http.MethodDelete); answered || err != nil {
		return err
	}
	id := letterID(r)
	if r.Method == http.MethodDelete {
		if err := l.drop(r.Context(), id, UserOf(r.Context())); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	x, err := l.find(r.Context(), id)
	if err != nil {
		return err
	}
	x.Header = map[string]string{}
	for _, f := range x.message.Header {
		if !strings.HasPrefix(f.Name, "oslcbus_") {
			x.Header[f.Name] = f.Value
		}
	}
	if utf8.Valid(x.message.Value) {
		x.Body = string(x.message.Value)
	} else {
		x.Base64 = x.message.Value
	}
	return writeJSON(w, x)
}

// again has a letter tried again.
func (l *letters) again(w http.ResponseWriter, r *http.Request) error {
	if answered, err := server.Allow(w, r, http.MethodPost); answered || err != nil {
		return err
	}
	uris, err := l.retry(r.Context(), letterID(r))
	if err != nil {
		return err
	}
	if uris == nil {
		uris = []string{}
	}
	return writeJSON(w, map[string]any{"requests": uris})
}

func letterID(r *http.Request) string {
	return param(r, "topic") + "/" + param(r, "partition") + "/" + param(r, "offset")
}
