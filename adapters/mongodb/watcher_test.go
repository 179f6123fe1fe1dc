package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/oslc"
)

const base = "https://bus.example"

// history makes changes at one place after the other.
type history struct {
	tb testing.TB
	n  uint32
}

func (h *history) change(op, collection, id, full, set, unset string) mongodb.Change {
	h.tb.Helper()
	h.n++
	c := mongodb.Change{
		Op: op, Database: "app", Collection: collection,
		At:   mongodb.Place{Time: mongodb.NewClusterTime(1000+h.n, 1), Token: fmt.Sprintf("%08X", h.n)},
		Wall: time.Date(2026, 11, 21, 9, 0, int(h.n), 0, time.UTC),
	}
	if id != "" {
		c.ID = doc(h.tb, `{"_id":%q}`, id).Lookup("_id")
	}
	if full != "" {
		c.Full = doc(h.tb, "%s", full)
	}
	if set != "" || unset != "" {
		c.Update = mongodb.Delta{Set: doc(h.tb, "%s", "{"+set+"}"), Unset: doc(h.tb, `{"a":[%s]}`, unset).Lookup("a").Doc()}
	}
	return c
}

func (h *history) insert(id, rest string) mongodb.Change {
	return h.change(mongodb.OpInsert, "tickets", id, fmt.Sprintf(`{"_id":%q,%s}`, id, rest), "", "")
}

func (h *history) replace(id, rest string) mongodb.Change {
	return h.change(mongodb.OpReplace, "tickets", id, fmt.Sprintf(`{"_id":%q,%s}`, id, rest), "", "")
}

func (h *history) set(id, set string) mongodb.Change {
	return h.change(mongodb.OpUpdate, "tickets", id, "", set, "")
}

func (h *history) unset(id, unset string) mongodb.Change {
	return h.change(mongodb.OpUpdate, "tickets", id, "", "", unset)
}

func (h *history) remove(id string) mongodb.Change {
	return h.change(mongodb.OpDelete, "tickets", id, "", "", "")
}

func doc(tb testing.TB, format string, args ...any) mongodb.Doc {
	tb.Helper()
	d, err := mongodb.DocFromJSON(fmt.Appendf(nil, format, args...))
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func ticketMapping(tb testing.TB, opts adapters.Options) mongodb.Mapping {
	tb.Helper()
	m, err := mongodb.NewMapping(mongodb.CollectionConfig{
		Name: "tickets", Types: []string{"oslc_cm:ChangeRequest"}, Title: "title",
		Properties: []mongodb.PropertyConfig{
			{Path: "state.name", Predicate: "oslc_cm:status"},
			{Path: "tags", Predicate: "dcterms:subject"},
		},
	}, "app", opts)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func open(tb testing.TB, server mongodb.Server, opts adapters.Options) *mongodb.Watcher {
	tb.Helper()
	opts.Name, opts.BaseURL = "app", base
	w, err := mongodb.New(mongodb.Watch{
		Mappings: []mongodb.Mapping{ticketMapping(tb, opts)},
		Dial:     func(context.Context) (mongodb.Server, func(), error) { return server, func() {}, nil },
		Options:  opts,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// A rig runs a watcher on a host in the background.
type rig struct {
	tb     testing.TB
	host   *adaptertest.Host
	ended  chan error
	cancel context.CancelFunc
}

func start(tb testing.TB, src adapters.Source, host *adaptertest.Host, from adapters.Cursor) *rig {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	r := &rig{tb: tb, host: host, ended: make(chan error, 1), cancel: cancel}
	go func() { r.ended <- src.Run(ctx, from, host.Emit) }()
	tb.Cleanup(cancel)
	return r
}

// wait waits until done says true.
func (r *rig) wait(what string, done func() bool) {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(r.tb.Context(), 30*time.Second)
	defer cancel()
	enough := make(chan error, 1)
	go func() { enough <- r.host.Wait(ctx, done) }()
	select {
	case err := <-enough:
		if err != nil {
			r.tb.Fatalf("%s: not within 30 s; events:\n%s", what, lines(r.host.Events()))
		}
	case err := <-r.ended:
		r.tb.Fatalf("%s: Run returned %v; events:\n%s", what, err, lines(r.host.Events()))
	}
}

func (r *rig) waitEvents(n int) {
	r.tb.Helper()
	r.wait(fmt.Sprintf("%d events", n), func() bool { return len(r.host.Events()) >= n })
}

// waitCursor waits until the log has a cursor, as after the first comparison.
func (r *rig) waitLive() {
	r.tb.Helper()
	r.wait("live", func() bool { return strings.Contains(string(r.host.Cursor()), " live ") })
}

func (r *rig) stop() error {
	r.tb.Helper()
	r.cancel()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(5 * time.Second):
		r.tb.Fatal("Run does not return")
		return nil
	}
}

// end waits for Run to return by itself.
func (r *rig) end() error {
	r.tb.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(30 * time.Second):
		r.tb.Fatal("Run does not return")
		return nil
	}
}

// lines shows events: what happened to which document, its title, status and the
// names of what changed.
func lines(events []*oslc.Event) string {
	var b strings.Builder
	for _, e := range events {
		id := e.Subject[strings.LastIndexByte(e.Subject, '/')+1:]
		fmt.Fprintf(&b, "%s %s", e.Change, id)
		if e.Resource != nil {
			for t := range e.Resource.All() {
				switch name := t.P.Value[1+strings.LastIndexAny(t.P.Value, "/#"):]; name {
				case "title", "status":
					fmt.Fprintf(&b, " %s=%s", name, t.O.Value)
				case "subject":
					fmt.Fprintf(&b, " +%s", t.O.Value)
				}
			}
		}
		for _, p := range e.Changed {
			fmt.Fprintf(&b, " ~%s", p[1+strings.LastIndexAny(p, "/#"):])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func wantLines(t *testing.T, events []*oslc.Event, want ...string) {
	t.Helper()
	if diff := cmp.Diff(strings.Join(want, "\n")+"\n", lines(events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestWatcher_emitsEveryState(t *testing.T) {
	t.Parallel()
	h := history{tb: t}
	server := mongotest.New()
	server.Seed("app", "tickets", doc(t, `{"_id":"a","title":"A"}`))
	host := &adaptertest.Host{}
	r := start(t, open(t, server, adapters.Options{State: host}), host, nil)
	r.waitLive()
	server.Append(
		h.insert("b", `"title":"B","state":{"name":"new"}`),
		h.set("b", `"state.name":"off"`),
		h.set("b", `"state.name":"on"`),
		h.set("b", `"views":1`), // not shown: silent
		h.set("b", `"tags":[]`), // empty: silent
		h.unset("b", `"tags"`),  // empty: silent
		h.set("a", `"tags":["x","y"]`),
		h.replace("a", `"title":"A2","tags":["x"]`),
		h.remove("b"),
		h.remove("never-seen"),
	)
	r.waitEvents(8)
	if err := r.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	wantLines(t, host.Events(),
		"creation a title=A",
		"creation b title=B status=new",
		"modification b title=B status=off ~status",
		"modification b title=B status=on ~status",
		"modification a title=A +x +y ~subject",
		"modification a title=A2 +x ~title ~subject",
		"deletion b title=B status=on",
		"deletion never-seen",
	)
	for _, e := range host.Events() {
		if e.Change != oslc.Deletion && len(e.Resource.Objects(e.Resource.Triples()[0].S, "http://purl.org/dc/terms/modified")) != 1 {
			t.Errorf("%s %s does not have one dcterms:modified", e.Change, e.Subject)
		}
	}
}

func TestSource_scripted(t *testing.T) {
	t.Parallel()
	adaptertest.Source(t, adaptertest.SourceConfig{
		Events:  2 + 7,
		Secrets: []string{"not-a-real-secret"},
		Tool: func(context.Context) (adaptertest.Tool, error) {
			h := history{tb: t}
			server := mongotest.New()
			server.BatchSize = 3
			server.Seed("app", "tickets", doc(t, `{"_id":"a","title":"A"}`))
			server.Seed("app", "tickets", doc(t, `{"_id":"z","title":"Z","password":"not-a-real-secret"}`))
			return adaptertest.Tool{
				Open: func(s adapters.State, c adapters.Cache, log *slog.Logger) (adapters.Source, error) {
					return open(t, server, adapters.Options{State: s, Cache: c, Logger: log}), nil
				},
				Change: func(context.Context) error {
					server.Append(
						h.insert("b", `"title":"B"`),
						h.set("a", `"title":"A1"`),
						h.set("a", `"x":1`),
						h.set("b", `"state":{"name":"s"}`),
						h.set("b", `"state.name":"t"`),
						h.remove("a"),
						h.insert("a", `"title":"A again"`),
						h.replace("b", `"title":"B2"`),
					)
					return nil
				},
			}, nil
		},
	})
}

// One change with many events: a crash between two of them must not lose the rest.
func TestSource_droppedCollection(t *testing.T) {
	t.Parallel()
	adaptertest.Source(t, adaptertest.SourceConfig{
		Events: 4 + 4 + 1,
		Tool: func(context.Context) (adaptertest.Tool, error) {
			h := history{tb: t}
			server := mongotest.New()
			for _, id := range []string{"a", "b", "c", "d"} {
				server.Seed("app", "tickets", doc(t, `{"_id":%q,"title":"T"}`, id))
			}
			return adaptertest.Tool{
				Open: func(s adapters.State, c adapters.Cache, log *slog.Logger) (adapters.Source, error) {
					return open(t, server, adapters.Options{State: s, Cache: c, Logger: log}), nil
				},
				Change: func(context.Context) error {
					server.Append(h.change(mongodb.OpDrop, "tickets", "", "", "", ""), h.insert("e", `"title":"E"`))
					return nil
				},
			}, nil
		},
	})
}
