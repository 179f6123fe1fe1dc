package trsfeed_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/trsfeed"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "not-a-real-secret"

func open(f *trstest.Feed, host adapters.State, counts adapters.Metrics, log *slog.Logger) (*trsfeed.Source, error) {
	return trsfeed.New(trsfeed.Config{URL: f.URI(), User: "bus", Password: secret, Poll: time.Millisecond}, adapters.Options{
		Name: "feed", BaseURL: "https://bus.example", State: host, Logger: log, Client: f.Client(), Metrics: counts,
	})
}

// named gives a feed an address that every run has.
func named(t *testing.T, f *trstest.Feed) {
	addr := f.Listener.Addr().String()
	tr := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	f.Client().Transport = tr
	f.URL = "http://tool.example"
}

func TestSource(t *testing.T) {
	t.Parallel()
	adaptertest.Source(t, adaptertest.SourceConfig{
		Tool: func(context.Context) (adaptertest.Tool, error) {
			f := trstest.NewFeed(t, 6)
			named(t, f)
			return adaptertest.Tool{
				Open: func(state adapters.State, _ adapters.Cache, log *slog.Logger) (adapters.Source, error) {
					return open(f, state, nil, log)
				},
				Change: func(context.Context) error {
					f.Happen(oslc.Modification, "/r/0")
					f.Happen(oslc.Creation, "/r/a")
					f.Happen(oslc.Creation, "/r/b")
					return nil
				},
			}, nil
		},
		Events:  8, // five members, a modification, two creations
		Secrets: []string{secret},
	})
}

// following is a source that runs on a host.
type following struct {
	*adaptertest.Host
	t      *testing.T
	src    *trsfeed.Source
	counts *adaptertest.Counts
	stop   func() error
	ended  chan error
}

// follow runs the source of a feed from a cursor, nil for the beginning.
func follow(t *testing.T, f *trstest.Feed, h *adaptertest.Host, from adapters.Cursor) *following {
	t.Helper()
	r := &following{Host: h, t: t, counts: &adaptertest.Counts{}, ended: make(chan error, 1)}
	var err error
	if r.src, err = open(f, h, r.counts, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { r.ended <- r.src.Run(ctx, from, h.Emit) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-r.ended })
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// state returns the remote URIs of what the host has, with their titles.
func (r *following) state() []string {
	var out []string
	for uri, err := range r.Resources(r.t.Context()) {
		if err != nil {
			r.t.Fatal(err)
		}
		g, _, _ := r.Resource(r.t.Context(), uri)
		s := rdf.NewIRI(uri)
		remote := g.Value(s, vocab.DCTermsSource)
		out = append(out, remote[strings.LastIndex(remote, "/r/"):]+": "+g.Value(s, vocab.DCTermsTitle))
	}
	slices.Sort(out)
	return out
}

func (r *following) until(what string, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	if err := r.Wait(ctx, ok); err != nil {
		r.t.Fatalf("waited in vain for %s; the state is\n%s", what, strings.Join(r.state(), "\n"))
	}
}

func (r *following) has(want ...string) {
	r.t.Helper()
	r.until(fmt.Sprint(want), func() bool { return slices.Equal(r.state(), want) })
}

func kinds(events []*oslc.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Change.String())
	}
	return strings.Join(out, " ")
}

// TestSource_events: creations, modifications and deletions come through, what
// changes nothing does not.
func TestSource_events(t *testing.T) {
	t.Parallel()
	f := trstest.NewFeed(t, 1)
	r := follow(t, f, &adaptertest.Host{}, nil)
	r.has("/r/0: /r/0 version 1")
	f.Happen(oslc.Modification, "/r/0")
	r.has("/r/0: /r/0 version 2")
	e := r.Events()[1]
	if e.Change != oslc.Modification || !slices.Equal(e.Changed, []string{vocab.DCTermsTitle}) {
		t.Errorf("the event is a %v of %v", e.Change, e.Changed)
	}
	if e.Subject != r.src.URI(f.URL+"/r/0") || !strings.HasPrefix(e.Subject, "https://bus.example/services/feed/resources/") {
		t.Errorf("the subject is %s", e.Subject)
	}
	f.Happen(oslc.Deletion, "/r/never")
	f.Happen(oslc.Creation, "/r/brief")
	f.Happen(oslc.Deletion, "/r/brief")
	f.Happen(oslc.Deletion, "/r/0")
	f.Happen(oslc.Modification, "/r/unknown")
	r.has("/r/unknown: /r/unknown version 1")
	events := r.Events()
	// Whether /r/brief was seen depends on when it was looked for.
	events = slices.DeleteFunc(events, func(e *oslc.Event) bool { return e.Subject == r.src.URI(f.URL+"/r/brief") })
	if got, want := kinds(events), "creation modification deletion creation"; got != want {
		t.Errorf("events: %s, want %s", got, want)
	}
	if before := events[2].Resource.Value(rdf.NewIRI(events[2].Subject), vocab.DCTermsTitle); before != "/r/0 version 2" {
		t.Errorf("the deletion holds the title %q", before)
	}
}

// TestSource_gone: a place that is lost is kind gone; from the beginning only
// differences are told, deletions among them.
func TestSource_gone(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(f *trstest.Feed){
		"truncated": func(f *trstest.Feed) {
			f.Happen(oslc.Deletion, "/r/2")
			f.Happen(oslc.Modification, "/r/3")
			for range 8 {
				f.Happen(oslc.Modification, "/r/4")
			}
			f.Truncate(3)
		},
		"restored": func(f *trstest.Feed) {
			f.RollBack(1)
			f.Happen(oslc.Deletion, "/r/2")
			f.Happen(oslc.Modification, "/r/3")
		},
		"made anew": func(f *trstest.Feed) { f.Vanish("/r/2"); f.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, h := trstest.NewFeed(t, 5), &adaptertest.Host{}
			r := follow(t, f, h, nil)
			r.has("/r/0: /r/0 version 3", "/r/2: /r/2 version 1", "/r/3: /r/3 version 1", "/r/4: /r/4 version 1")
			_ = r.stop()
			before := len(h.Events())
			lose(f)
			r = follow(t, f, h, h.Cursor())
			if err := <-r.ended; !errors.Is(err, oslc.Gone) {
				t.Fatalf("Run returned %v, want kind gone", err)
			}
			r.ended <- nil
			want := len(f.Truth())
			r = follow(t, f, h, nil)
			r.until("the differences", func() bool { return len(r.state()) == want && kinds(h.Events()[before:]) != "" })
			_ = r.stop()
			deleted := 0
			for _, e := range h.Events()[before:] {
				if e.Change == oslc.Creation {
					t.Errorf("<%s> was known and is told as new", e.Subject)
				}
				if e.Change == oslc.Deletion {
					deleted++
				}
			}
			if deleted != 1 {
				t.Errorf("%d deletions, want 1", deleted)
			}
		})
	}
}

// TestSource_unreadable: what cannot be read does not hold up the rest, and comes
// when it can be.
func TestSource_unreadable(t *testing.T) {
	t.Parallel()
	f := trstest.NewFeed(t, 5)
	var mu sync.Mutex
	status := map[string]int{"/r/2": 500, "/r/3": 403, "/r/4": 404}
	f.Before = func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if status[r.URL.Path] == 0 {
			return false
		}
		w.WriteHeader(status[r.URL.Path])
		return true
	}
	heal := func(path string) {
		mu.Lock()
		defer mu.Unlock()
		delete(status, path)
	}
	h := &adaptertest.Host{}
	r := follow(t, f, h, nil)
	r.has("/r/0: /r/0 version 3")
	f.Happen(oslc.Creation, "/r/x")
	r.has("/r/0: /r/0 version 3", "/r/x: /r/x version 1")
	if r.counts.Of("denied_resource") == 0 || r.counts.Of("missing_resource") == 0 || r.counts.Of("unread_resource") == 0 {
		t.Errorf("denied %d, missing %d, unread %d; want each counted", r.counts.Of("denied_resource"), r.counts.Of("missing_resource"), r.counts.Of("unread_resource"))
	}
	list := func() string {
		var out []string
		for _, s := range r.src.Skipped() {
			if s.Reason == "" || s.Since.IsZero() || s.Tries == 0 {
				t.Errorf("it says too little: %+v", s)
			}
			out = append(out, s.Resource[strings.LastIndex(s.Resource, "/r/"):]+" "+s.Kind)
		}
		return strings.Join(out, ", ")
	}
	if got, want := list(), "/r/2 unavailable, /r/3 denied, /r/4 not_found"; got != want {
		t.Errorf("what is skipped is %s, want %s", got, want)
	}
	_ = r.stop()
	r = follow(t, f, h, h.Cursor()) // it remembers what to try again
	r.until("what was skipped before", func() bool { return strings.Contains(list(), "/r/2 unavailable") })
	heal("/r/2")
	r.has("/r/0: /r/0 version 3", "/r/2: /r/2 version 1", "/r/x: /r/x version 1")
	heal("/r/3")
	heal("/r/4")
	f.Happen(oslc.Modification, "/r/3")
	f.Happen(oslc.Modification, "/r/4")
	r.has("/r/0: /r/0 version 3", "/r/2: /r/2 version 1", "/r/3: /r/3 version 2", "/r/4: /r/4 version 2", "/r/x: /r/x version 1")
	if got := list(); got != "" {
		t.Errorf("what is skipped is %s, want nothing", got)
	}
}

// TestSource_away: a server of which nothing can be read is away, and says so.
func TestSource_away(t *testing.T) {
	t.Parallel()
	for path, status := range map[string]int{"/trs": 503, "/base": 500, "/r/": 500} {
		f := trstest.NewFeed(t, 5)
		f.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, path) {
				return false
			}
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(status)
			return true
		}
		r := follow(t, f, &adaptertest.Host{}, nil)
		err := <-r.ended
		r.ended <- nil
		if !errors.Is(err, oslc.Unavailable) {
			t.Errorf("%s is %d: Run returned %v, want kind unavailable", path, status, err)
		}
	}
	f := trstest.NewFeed(t, 2)
	f.Before = func(w http.ResponseWriter, r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		if user != "bus" || password != secret {
			t.Errorf("logged in as %q", user)
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	r := follow(t, f, &adaptertest.Host{}, nil)
	err := <-r.ended
	r.ended <- nil
	if !errors.Is(err, oslc.Denied) {
		t.Errorf("refused credentials: Run returned %v, want kind denied", err)
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  trsfeed.Config
		want string
	}{
		"no address":         {trsfeed.Config{}, "url"},
		"a secret in it":     {trsfeed.Config{URL: "https://a:" + secret + "@h/trs"}, "without credentials"},
		"user alone":         {trsfeed.Config{URL: "https://h/trs", User: "a"}, "belong together"},
		"two kinds":          {trsfeed.Config{URL: "https://h/trs", User: "a", Password: "b", Token: "c"}, "not both"},
		"negative poll":      {trsfeed.Config{URL: "https://h/trs", Poll: -1}, "negative"},
		"no file":            {trsfeed.Config{URL: "https://h/trs", TokenFile: "/no/such/file"}, "token_file"},
		"a foreign protocol": {trsfeed.Config{URL: "file:///etc/passwd"}, "http or https"},
	} {
		_, err := trsfeed.Build(func(v any) error { *v.(*trsfeed.Config) = c.cfg; return nil }, adapters.Options{Name: "f", BaseURL: "https://bus.example"})
		if !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v, want kind invalid with %q", name, err, c.want)
		}
	}
	a, err := trsfeed.Build(func(v any) error {
		*v.(*trsfeed.Config) = trsfeed.Config{URL: "https://h/trs", Types: []string{vocab.CMChangeRequest}}
		return nil
	}, adapters.Options{Name: "f", BaseURL: "https://bus.example"})
	if err != nil || a.Source == nil || a.Provider.Services[0].Collections[0].ResourceTypes[0] != vocab.CMChangeRequest {
		t.Errorf("got %+v, %v", a.Provider, err)
	}
}
