package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const secret = "not-a-real-secret-of-a-hook"

func newStackStorm(tb testing.TB) *sandbox.StackStorm {
	tb.Helper()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// rest calls the stand-in and returns the rule in its answer.
func rest(s http.Handler, method, path string, in map[string]any) (map[string]any, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r := httptest.NewRequestWithContext(context.Background(), method, "/v1/rules"+path, strings.NewReader(string(b)))
	r.Header.Set("St2-Api-Key", sandbox.Token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		return nil, errors.New(w.Body.String())
	}
	var out map[string]any
	if w.Body.Len() > 0 {
		err = json.Unmarshal(w.Body.Bytes(), &out)
	}
	return out, err
}

func hook(name string) map[string]any {
	return map[string]any{
		"name": name, "pack": "demo", "enabled": true, "description": "A rule",
		"trigger":  map[string]any{"type": "core.st2.webhook", "parameters": map[string]any{"url": "hook"}},
		"criteria": map[string]any{"trigger.body": map[string]any{"type": "eq", "pattern": "a.b"}},
		"action":   map[string]any{"ref": "core.http", "parameters": map[string]any{"url": "http://x.example", "password": secret}},
	}
}

// TestSource runs the suite of sources on the stand-in: with two rules at first and
// a creation, four modifications and a deletion after.
func TestSource(t *testing.T) {
	t.Parallel()
	adaptertest.Source(t, adaptertest.SourceConfig{
		Events: 2 + 6,
		Tool: func(context.Context) (adaptertest.Tool, error) {
			s, err := sandbox.NewStackStorm("")
			if err != nil {
				return adaptertest.Tool{}, err
			}
			// The same content in every tool: ids and times are part of it.
			s.Rand = rand.NewChaCha8([32]byte{})
			s.Now = func() time.Time { return time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC) }
			one, err := rest(s, http.MethodPost, "", hook("one"))
			if err != nil {
				return adaptertest.Tool{}, err
			}
			two, err := rest(s, http.MethodPost, "", hook("two"))
			if err != nil {
				return adaptertest.Tool{}, err
			}
			return adaptertest.Tool{
				Open: func(state adapters.State, cache adapters.Cache, log *slog.Logger) (adapters.Source, error) {
					a, err := sandbox.Adapter(s, "https://st2.example", adapters.Options{
						Name: "st2", BaseURL: "https://bus.example", State: state, Cache: cache, Logger: log,
					})
					return a.Source, err
				},
				Change: func(context.Context) error { return changeAll(s, one, two) },
			}, nil
		},
		Secrets: []string{secret},
	})
}

func changeAll(s *sandbox.StackStorm, one, two map[string]any) error {
	id := "/" + one["id"].(string)
	for _, change := range []func(){
		func() { one["enabled"] = false },
		func() { one["enabled"] = true },
		func() { one["description"] = "Another text" },
		func() { delete(one, "criteria") },
		func() {}, // the same again, which is no change
	} {
		change()
		if _, err := rest(s, http.MethodPut, id, one); err != nil {
			return err
		}
	}
	if _, err := rest(s, http.MethodDelete, "/"+two["id"].(string), nil); err != nil {
		return err
	}
	_, err := rest(s, http.MethodPost, "", hook("two"))
	return err
}

// TestFindThePast: what is read at a moment is what was there then.
func TestFindThePast(t *testing.T) {
	t.Parallel()
	s := newStackStorm(t)
	one, err := rest(s, http.MethodPost, "", hook("one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := rest(s, http.MethodPost, "", hook("two"))
	if err != nil {
		t.Fatal(err)
	}
	if err := changeAll(s, one, two); err != nil {
		t.Fatal(err)
	}
	at := mongodb.Position{ByTime: true, Place: mongodb.Place{Time: mongodb.NewClusterTime(1, 1)}}
	past := map[string]string{} // id -> rule, as the changes so far add up to it
	steps := 0
	for _, c := range since(t, s, at) {
		if c.Collection != "rule_d_b" {
			continue
		}
		steps++
		id := c.ID.Text()
		if c.Op == mongodb.OpDelete {
			delete(past, id)
		} else {
			past[id] = "there"
		}
		got := map[string]string{}
		for f, err := range s.Server().Find(t.Context(), mongodb.Query{Collection: "rule_d_b", At: c.At.Time}) {
			if err != nil {
				t.Fatal(err)
			}
			if f.At != c.At.Time {
				t.Errorf("a document of %v says that it was read at %v", c.At.Time, f.At)
			}
			got[f.Doc.Lookup("_id").Text()] = "there"
		}
		if d := cmp.Diff(past, got); d != "" {
			t.Errorf("after change %d, %s %s (-want +got):\n%s", steps, c.Op, id, d)
		}
	}
	if steps != 2+6 {
		t.Errorf("%d changes of rules, want 8", steps)
	}
}

// present is a server that reads only what is there now, as one whose history was
// cut does.
type present struct{ mongodb.Server }

func (p present) Find(ctx context.Context, q mongodb.Query) iter.Seq2[mongodb.Found, error] {
	q.At = 0
	return p.Server.Find(ctx, q)
}

// TestOvertaken: the copies are lost, the cursor is from before several changes, and
// only the present can be read. What the log then lacks is the present state, which
// is told once.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	s := newStackStorm(t)
	one, err := rest(s, http.MethodPost, "", hook("one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := rest(s, http.MethodPost, "", hook("two"))
	if err != nil {
		t.Fatal(err)
	}
	host := &adaptertest.Host{}
	follow(t, s, host, nil, func() bool { return len(host.Events()) == 2 })
	cut := host.Cursor()

	for _, text := range []string{"A first text", "A second text", "A third text"} {
		one["description"] = text
		if _, err := rest(s, http.MethodPut, "/"+one["id"].(string), one); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rest(s, http.MethodDelete, "/"+two["id"].(string), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := rest(s, http.MethodPost, "", hook("three")); err != nil {
		t.Fatal(err)
	}
	told := func() (said []string) {
		for _, e := range host.Events()[2:] {
			name := ""
			if e.Resource != nil {
				name = e.Resource.Value(rdf.NewIRI(e.Subject), vocab.DCTermsTitle) + ": " +
					e.Resource.Value(rdf.NewIRI(e.Subject), vocab.DCTermsDescription)
			}
			said = append(said, e.Change.String()+" "+name)
		}
		slices.Sort(said)
		return said
	}
	follow(t, s, host, cut, func() bool { return len(host.Events()) >= 5 })
	want := []string{"creation three: A rule", "deletion two: A rule", "modification one: A third text"}
	if d := cmp.Diff(want, told()); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
	// Nothing is left to tell: the next change is the next event.
	if _, err := rest(s, http.MethodPost, "", hook("four")); err != nil {
		t.Fatal(err)
	}
	follow(t, s, host, host.Cursor(), func() bool { return len(host.Events()) >= 6 })
	want = append(want, "creation four: A rule")
	slices.Sort(want)
	if d := cmp.Diff(want, told()); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
}

// follow runs the watcher, with copies of its own, on a server that knows only the
// present, until done says true.
func follow(t *testing.T, s *sandbox.StackStorm, host *adaptertest.Host, from adapters.Cursor, done func() bool) {
	t.Helper()
	w := stackstorm.Watch(sandbox.Database, "https://st2.example/api", adapters.Options{
		Name: "st2", BaseURL: "https://bus.example", State: host, Cache: &adaptertest.Cache{},
	})
	w.Dial = func(context.Context) (mongodb.Server, func(), error) { return present{s.Server()}, func() {}, nil }
	source, err := mongodb.New(w)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx, from, host.Emit) }()
	waited := make(chan error, 1)
	go func() { waited <- host.Wait(ctx, done) }()
	select {
	case err := <-ended:
		t.Fatalf("the watcher ended: %v of kind %s", err, oslc.KindOf(err))
	case err := <-waited:
		if err != nil {
			t.Logf("the watcher ended: %v", <-ended)
			t.Fatalf("waited in vain, with %d events on the log", len(host.Events()))
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
}
