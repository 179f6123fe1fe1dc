package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/oslc"
)

// A scene is a watcher that is live on a scripted server with one document.
type scene struct {
	*rig
	history
	server *mongotest.Server
	host   *adaptertest.Host
	counts *adaptertest.Counts
	opts   adapters.Options
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{history: history{tb: t}, server: mongotest.New(), host: &adaptertest.Host{}, counts: &adaptertest.Counts{}}
	s.server.Seed("app", "tickets", doc(t, `{"_id":"a","title":"A"}`))
	s.opts = adapters.Options{State: s.host, Cache: &adaptertest.Cache{}, Metrics: s.counts}
	s.rig = start(t, open(t, s.server, s.opts), s.host, nil)
	s.waitLive()
	return s
}

// restart stops the watcher, lets between happen, and starts it again.
func (s *scene) restart(t *testing.T, between func()) {
	t.Helper()
	if err := s.stop(); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run returned %v", err)
	}
	between()
	s.rig = start(t, open(t, s.server, s.opts), s.host, s.host.Cursor())
}

const seeded = "creation a title=A"

func TestWatcher_goesOnBehindAnInvalidate(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.server.Append(s.change(mongodb.OpDropDatabase, "", "", "", "", ""), s.change(mongodb.OpInvalidate, "", "", "", "", ""), s.insert("b", `"title":"B"`))
	s.waitEvents(3)
	wantLines(t, s.host.Events(), seeded, "deletion a title=A", "creation b title=B")
}

func TestWatcher_readsWhatIsTooLargeByItself(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	body := strings.Repeat("x", 17<<20)
	large := s.change(mongodb.OpUpdate, "tickets", "a", "", fmt.Sprintf(`"title":"A1","body":%q`, body), "")
	s.server.Append(large, s.set("a", `"title":"A2"`), s.remove("a"))
	s.waitEvents(4)
	wantLines(t, s.host.Events(), seeded, "modification a title=A1 ~title", "modification a title=A2 ~title", "deletion a title=A2")
	if s.counts.Of("large_change") != 1 || s.counts.Of("lookup") != 1 {
		t.Errorf("%d large changes and %d look-ups are counted", s.counts.Of("large_change"), s.counts.Of("lookup"))
	}
}

func TestWatcher_unknownToken(t *testing.T) {
	t.Parallel()
	t.Run("goes on by time", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.server.Append(s.remove("x"))
		s.waitEvents(2)
		s.restart(t, func() {
			s.server.Append(s.set("a", `"title":"A2"`))
			s.server.WatchErrors = []error{oslc.E("x", mongodb.ErrTokenNotFound, oslc.Gone)}
		})
		s.waitEvents(3)
		// What has the time of the cursor comes again, and is not told again.
		wantLines(t, s.host.Events(), seeded, "deletion x", "modification a title=A2 ~title")
		if all := s.server.Watched(); !all[len(all)-1].ByTime {
			t.Error("the stream was not opened by time")
		}
	})
	t.Run("while it runs", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.server.Append(s.remove("x"))
		s.waitEvents(2)
		s.server.Fail(oslc.E("x", mongodb.ErrTokenNotFound, oslc.Gone))
		s.server.Append(s.set("a", `"title":"A2"`))
		s.waitEvents(3)
		wantLines(t, s.host.Events(), seeded, "deletion x", "modification a title=A2 ~title")
	})
	t.Run("nor its time", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		lost := oslc.E("x", mongodb.ErrTokenNotFound, oslc.Gone)
		s.restart(t, func() { s.server.WatchErrors = []error{lost, lost} })
		if err := s.end(); !errors.Is(err, oslc.Gone) {
			t.Errorf("Run returned %v, want kind gone", err)
		}
	})
}

func TestWatcher_historyIsLost(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.restart(t, func() {
		s.server.Append(s.set("a", `"title":"A1"`), s.insert("b", `"title":"B"`))
		s.server.Oldest = s.server.Now().Time
	})
	if err := s.end(); !errors.Is(err, oslc.Gone) {
		t.Fatalf("Run returned %v, want kind gone", err)
	}
	if s.counts.Of("history_lost") != 1 {
		t.Error("lost history is not counted")
	}
	s.rig = start(t, open(t, s.server, s.opts), s.host, nil)
	s.waitEvents(3)
	wantLines(t, s.host.Events(), seeded, "modification a title=A1 ~title", "creation b title=B")
}

func TestWatcher_anotherDeployment(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.restart(t, func() { s.server.Set = "other" })
	if err := s.end(); !errors.Is(err, oslc.Gone) {
		t.Errorf("Run returned %v, want kind gone", err)
	}
}

func TestWatcher_anotherConfiguration(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	_ = s.stop()
	opts := s.opts
	opts.Name, opts.BaseURL = "app", base
	w, err := mongodb.New(mongodb.Watch{Mappings: []mongodb.Mapping{ticketMapping(t, opts)}, Dial: s.server.Dial, Options: opts, Shape: "new"})
	if err != nil {
		t.Fatal(err)
	}
	if err := start(t, w, s.host, s.host.Cursor()).end(); !errors.Is(err, oslc.Gone) {
		t.Errorf("Run returned %v, want kind gone", err)
	}
}

// A document that was too long ago to be read as it was is read as it is. What
// happened in between is then not told, and not told wrongly.
func TestWatcher_readsThePresentWhereThePastIsGone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.opts.Cache = &adaptertest.Cache{} // lost
	s.restart(t, func() {
		s.server.ReadsNow = true
		s.server.Append(s.set("a", `"title":"A1"`), s.set("a", `"title":"A2"`), s.set("a", `"tags":["x"]`))
	})
	s.waitEvents(2)
	s.server.Append(s.set("a", `"title":"A3"`))
	s.waitEvents(3)
	wantLines(t, s.host.Events(), seeded, "modification a title=A2 +x ~title ~subject", "modification a title=A3 +x ~title")
}

func TestWatcher_documentsThatDoNotFit(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.server.Append(
		s.insert("bad", `"x":1`),
		s.set("bad", `"x":2`),
		s.unset("a", `"title"`), // what is told of a stays as it was
		s.set("a", `"title":"A again"`),
		s.set("bad", `"title":"good"`), // appears
		s.insert("bad2", `"x":1`),
		s.remove("bad2"), // never was a resource
	)
	s.server.Append(s.change("surprise", "tickets", "", "", "", ""), s.insert("z", `"title":"Z"`))
	s.waitEvents(4)
	wantLines(t, s.host.Events(), seeded, "modification a title=A again ~title", "creation bad title=good", "creation z title=Z")
	if n := s.counts.Of("skipped_document"); n != 4 {
		t.Errorf("%d documents are counted as left out, want 4", n)
	}
	if n := s.counts.Of("unknown_change"); n != 1 {
		t.Errorf("%d changes are counted as unknown, want 1", n)
	}
}

// On a quiet stream the cursor alone moves, now and then.
func TestWatcher_movesTheCursorOnQuietStreams(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	_ = s.stop()
	now := time.Now()
	opts := s.opts
	opts.Name, opts.BaseURL = "app", base
	opts.Now = func() time.Time { now = now.Add(time.Second); return now }
	w, err := mongodb.New(mongodb.Watch{Mappings: []mongodb.Mapping{ticketMapping(t, opts)}, Dial: s.server.Dial, Options: opts, Quiet: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	before := string(s.host.Cursor())
	r := start(t, w, s.host, s.host.Cursor())
	s.server.Append(s.set("a", `"noise":1`))
	r.wait("a cursor", func() bool { return string(s.host.Cursor()) != before })
	if n := len(s.host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

// What a document was is not told anew when it is restored after a comparison saw
// it gone: its creation is another one.
func TestWatcher_restoredDocumentIsCreatedAnew(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	gone := func() {
		t.Helper()
		s.restart(t, func() { s.server.Oldest = s.server.Now().Time + 1 })
		if err := s.end(); !errors.Is(err, oslc.Gone) {
			t.Fatalf("Run returned %v", err)
		}
		s.server.Oldest = 0
		s.rig = start(t, open(t, s.server, s.opts), s.host, nil)
	}
	s.server.Append(s.remove("a"))
	s.waitEvents(2)
	_ = s.stop()
	s.server.Append(s.insert("a", `"title":"A"`))
	s.rig = start(t, open(t, s.server, s.opts), s.host, nil)
	s.waitEvents(3)
	gone()
	s.server.Append(s.insert("b", `"title":"B"`))
	s.waitEvents(4)
	wantLines(t, s.host.Events(), seeded, "deletion a title=A", seeded, "creation b title=B")
	if len(s.host.Distinct()) != 4 {
		t.Error("the creations have the same identifier")
	}
}

// The cache may fail at any time: events go on.
func TestWatcher_cacheFails(t *testing.T) {
	t.Parallel()
	h := history{tb: t}
	server, host, counts := mongotest.New(), &adaptertest.Host{}, &adaptertest.Counts{}
	server.Seed("app", "tickets", doc(t, `{"_id":"a","title":"A"}`))
	now := time.Now()
	cache := &failingCache{Cache: &adaptertest.Cache{}}
	opts := adapters.Options{State: host, Cache: cache, Metrics: counts, Now: func() time.Time { now = now.Add(time.Minute); return now }}
	r := start(t, open(t, server, opts), host, nil)
	r.waitLive()
	cache.fail()
	var want []string
	for i := range 5 {
		server.Append(h.set("a", fmt.Sprintf(`"title":"%d"`, i)))
		r.waitEvents(2 + i)
		want = append(want, fmt.Sprintf("modification a title=%d ~title", i))
	}
	wantLines(t, host.Events(), append([]string{seeded}, want...)...)
	_ = r.stop()
	if counts.Of("cache_error") == 0 {
		t.Error("no error of the cache is counted")
	}
}

func TestNew_refusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	opts := adapters.Options{Name: "app", BaseURL: base}
	for name, watch := range map[string]mongodb.Watch{
		"nothing": {Options: opts},
		"twice":   {Options: opts, Mappings: []mongodb.Mapping{ticketMapping(t, opts), ticketMapping(t, opts)}},
	} {
		if _, err := mongodb.New(watch); !errors.Is(err, oslc.Invalid) {
			t.Errorf("%s: got %v, want kind invalid", name, err)
		}
	}
}

// A comparison that breaks off goes on where the log is, whatever is in a batch.
func TestWatcher_interruptedComparison(t *testing.T) {
	t.Parallel()
	const documents = 1200
	for _, limit := range []int{1, 499, 500, 501, 750, 1199, 1200} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			server := mongotest.New()
			for i := range documents {
				server.Seed("app", "tickets", doc(t, `{"_id":"%d","title":"T"}`, i))
			}
			host := &adaptertest.Host{Limit: limit}
			opts := adapters.Options{State: host, Cache: &adaptertest.Cache{}}
			if err := start(t, open(t, server, opts), host, nil).end(); !errors.Is(err, adaptertest.ErrFull) {
				t.Fatalf("Run returned %v", err)
			}
			h := history{tb: t}
			server.Append(h.set("7", `"title":"T7"`))
			host.Lift()
			r := start(t, open(t, server, opts), host, host.Cursor())
			r.waitEvents(documents + 1)
			_ = r.stop()
			if n := len(host.Distinct()); n != documents+1 || n != len(host.Events()) {
				t.Errorf("%d events, %d different ones, want %d", len(host.Events()), n, documents+1)
			}
			wantLines(t, host.Events()[documents:], "modification 7 title=T7 ~title")
		})
	}
}

// Copies that do not fit into memory are read again, as they were.
func TestWatcher_littleMemory(t *testing.T) {
	t.Parallel()
	h := history{tb: t}
	server, host, counts := mongotest.New(), &adaptertest.Host{}, &adaptertest.Counts{}
	opts := adapters.Options{Name: "app", BaseURL: base, State: host, Metrics: counts}
	w, err := mongodb.New(mongodb.Watch{Mappings: []mongodb.Mapping{ticketMapping(t, opts)}, Dial: server.Dial, Options: opts, Memory: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	const documents = 50
	for i := range documents {
		server.Seed("app", "tickets", doc(t, `{"_id":"%d","title":"0"}`, i))
	}
	r := start(t, w, host, nil)
	r.waitLive()
	var changes []mongodb.Change
	var want []string
	for round := 1; round <= 3; round++ {
		for i := range documents {
			changes = append(changes, h.set(fmt.Sprint(i), fmt.Sprintf(`"title":"%d"`, round)))
			want = append(want, fmt.Sprintf("modification %d title=%d ~title", i, round))
		}
	}
	server.Append(changes...)
	r.waitEvents(documents + len(changes))
	wantLines(t, host.Events()[documents:], want...)
	if counts.Of("lookup") == 0 {
		t.Error("nothing was read, so nothing did not fit")
	}
}

// A comparison that can only read the present sees changes that the stream brings
// afterwards. They are told once.
func TestWatcher_comparisonOfThePresent(t *testing.T) {
	t.Parallel()
	for _, memory := range []int{0, 1} {
		t.Run(fmt.Sprint(memory), func(t *testing.T) {
			t.Parallel()
			h := history{tb: t}
			server, host := mongotest.New(), &adaptertest.Host{}
			server.Seed("app", "tickets", doc(t, `{"_id":"a","title":"A"}`))
			server.Seed("app", "tickets", doc(t, `{"_id":"b","title":"B"}`))
			server.ReadsNow = true
			server.OnFind = func() {
				server.Append(h.set("a", `"title":"A1"`), h.set("a", `"title":"A2"`), h.insert("c", `"title":"C"`), h.remove("b"))
			}
			opts := adapters.Options{Name: "app", BaseURL: base, State: host}
			w, err := mongodb.New(mongodb.Watch{Mappings: []mongodb.Mapping{ticketMapping(t, opts)}, Dial: server.Dial, Options: opts, Memory: memory})
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, w, host, nil)
			r.waitLive()
			server.Append(h.insert("d", `"title":"D"`))
			r.waitEvents(4)
			wantLines(t, host.Events(), "creation a title=A2", "creation c title=C", "deletion b", "creation d title=D")
		})
	}
}
