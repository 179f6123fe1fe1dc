package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/adapters/webhook"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// FuzzHook: whatever is sent, it is answered with one of the statuses there are, and what
// is kept can be read by the source.
func FuzzHook(f *testing.F) {
	for _, s := range []string{
		`{"event": "new", "id": 7, "title": "x"}`, `[]`, `null`, `{`, `[{"specversion": "1.0", "id": "1", "source": "/", "type": "t"}]`,
		`{"specversion": "1.0", "id": "1", "source": "/tool", "type": "t", "data": {"event": "new", "id": 1, "title": "x"}}`,
		`{"specversion": "1.0", "id": "1", "source": "/tool", "type": "t", "data_base64": "eyJldmVudCI6ICJuZXcifQ=="}`,
		`{"event": {"deep": []}, "id": [1], "title": {"a": 1}}`, "\xff\xfe", `{"event": "new", "id": "../..", "title": "\u0000"}`,
	} {
		for _, kind := range []string{"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"} {
			f.Add([]byte(s), kind, "1.0", "id", "type")
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, kind, version, id, typ string) {
		inbox, h := &adaptertest.Inbox{}, &adaptertest.Host{}
		k := ticket()
		k.Properties = append(k.Properties, mapping.Property{Path: "a.*.b", Predicate: "dcterms:relation", Datatype: "iri"})
		a := build(t, webhook.ReceiveConfig{Resources: []webhook.ResourceConfig{k}}, adapters.Options{Inbox: inbox, State: h})
		w := send(a, body, "Content-Type", kind, "Ce-Specversion", version, "Ce-Id", id, "Ce-Source", "/tool", "Ce-Type", typ)
		if !slices.Contains([]int{http.StatusAccepted, http.StatusBadRequest, http.StatusUnsupportedMediaType}, w.Code) {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		if w = send(a, says("new", "99", "end", 59), "Content-Type", "application/json"); w.Code != http.StatusAccepted {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		for _, e := range run(t, a, h, "end") {
			if _, err := oslc.ParseEvent(e.Graph()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// state is what a model knows of a ticket.
type state struct {
	title   string
	at      int
	deleted bool
}

// TestSource_model: deliveries that come late, come again and come while the source is
// started anew leave the state that a model of a few lines has, and the events add up to
// it.
func TestSource_model(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		inbox, h, cache := &adaptertest.Inbox{}, &adaptertest.Host{}, &adaptertest.Cache{}
		model := map[string]state{}
		seen := map[string]bool{}
		a := build(t, webhook.ReceiveConfig{}, adapters.Options{Inbox: inbox, State: h, Cache: cache})
		for range rapid.IntRange(1, 25).Draw(rt, "deliveries") {
			id := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "ticket")
			event := rapid.SampledFrom([]string{"new", "change", "change", "gone"}).Draw(rt, "event")
			at := rapid.IntRange(0, 9).Draw(rt, "at")
			title := rapid.SampledFrom([]string{"A", "B"}).Draw(rt, "title")
			name := fmt.Sprint(rapid.IntRange(0, 30).Draw(rt, "name"))
			if w := send(a, says(event, id, title, at), "Content-Type", "application/json", "Idempotency-Key", name); w.Code != http.StatusAccepted {
				rt.Fatalf("%d: %s", w.Code, w.Body)
			}
			if !seen[name] {
				seen[name] = true
				apply(model, id, event, title, at)
			}
			if rapid.IntRange(0, 5).Draw(rt, "restart") == 0 {
				catchUp(rt, t, a, h)
				a = build(t, webhook.ReceiveConfig{}, adapters.Options{Inbox: inbox, State: h, Cache: cache})
			}
		}
		catchUp(rt, t, a, h)
		for _, id := range []string{"1", "2", "3"} {
			uri := base + "/services/tool/tickets/" + id
			g, there, _ := h.Resource(t.Context(), uri) // a Host has no errors
			want, known := model[id]
			if there != (known && !want.deleted) || there && g.Value(rdf.NewIRI(uri), vocab.DCTermsTitle) != want.title {
				rt.Fatalf("ticket %s is there: %v, %v; want %+v", id, there, g.Triples(), want)
			}
			sound(rt, h.Events(), uri)
		}
	})
}

func apply(model map[string]state, id, event, title string, at int) {
	s, known := model[id]
	switch {
	case known && s.deleted && event != "gone" && at <= s.at, known && at < s.at:
	case event == "gone" && (!known || s.deleted):
	case event == "gone":
		model[id] = state{deleted: true, at: at}
	case known && !s.deleted && s.title == title:
		// Nothing but the time is different: no event, so the state keeps its time.
	default:
		model[id] = state{title: title, at: at}
	}
}

// sound checks that the events of a ticket can follow one another, each with its own
// name.
func sound(rt *rapid.T, events []*oslc.Event, uri string) {
	there, ids := false, []string{}
	for _, e := range events {
		if e.Subject != uri {
			continue
		}
		if slices.Contains(ids, e.ID) || (e.Change == oslc.Creation) == there {
			rt.Fatalf("event %s is %s, and the ticket is there: %v", e.ID, e.Change, there)
		}
		ids = append(ids, e.ID)
		there = e.Change != oslc.Deletion
	}
}

// catchUp runs the source until it has read the inbox.
func catchUp(rt *rapid.T, t *testing.T, a adapters.Adapter, h *adaptertest.Host) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := errors.New("done")
	err := a.Source.Run(ctx, h.Cursor(), func(ctx context.Context, batch ...adapters.Emission) error {
		if len(batch) == 0 {
			return done
		}
		return h.Emit(ctx, batch...)
	})
	if err != done { //nolint:errorlint // as it came
		rt.Fatalf("Run returned %v", err)
	}
}
