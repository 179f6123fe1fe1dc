package oslcbus_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

// listener reads a stream of server-sent events.
type listener struct {
	mu     sync.Mutex
	id     string
	events []struct {
		Set, Event, Kind, Changed string
		Order                     int64
	}
	names []string
	done  chan struct{}
	stop  func()
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}

func (l *listener) place() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id
}

// listen follows /events until the test ends; last is the id to go on after.
func (r *rig) listen(params, last string) *listener {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/events"+params, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := testkit.HTTP.Transport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || ct != "text/event-stream" {
		r.t.Fatalf("%s of type %q", resp.Status, ct)
	}
	l := &listener{done: make(chan struct{})}
	l.stop = sync.OnceFunc(func() { cancel(); <-l.done })
	r.t.Cleanup(l.stop)
	go func() {
		defer close(l.done)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		name := ""
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			l.mu.Lock()
			switch field {
			case "id":
				l.id = value
			case "event":
				name = value
				l.names = append(l.names, value)
			case "data":
				if name == "change" {
					l.events = append(l.events, struct {
						Set, Event, Kind, Changed string
						Order                     int64
					}{})
					if err := json.Unmarshal([]byte(value), &l.events[len(l.events)-1]); err != nil {
						r.t.Error(err)
					}
				}
			}
			l.mu.Unlock()
		}
	}()
	r.eventually("the stream to begin", func() bool { return l.place() != "" })
	return l
}

// TestEvents: changes are pushed, also those that came while a client was away, with
// conditions and by provider; streams end when the server stops.
func TestEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, ruleTicket).start()
	all, st2 := r.listen("", ""), r.listen("?provider=st2", "")
	disabled := r.listen("?provider=st2&oslc.where="+url.QueryEscape("rdf:type=st2:RuleDisabled")+"&oslc.prefix="+url.QueryEscape("st2=<https://oslcbus.github.io/ns/st2#>"), "")
	rule, uri := r.create("a")
	r.eventually("the creation", func() bool { return st2.count() >= 1 })
	began := st2.place()
	r.setEnabled(rule, false)
	r.eventually("the change", func() bool { return st2.count() >= 2 && disabled.count() >= 1 })
	r.eventually("the request and its result", func() bool { return all.count() >= 4 })
	if e := disabled.events[0]; disabled.count() != 1 || e.Changed != uri || e.Kind != oslc.Modification.String() || e.Event != r.seenOf(uri)[1].URI() {
		t.Errorf("of the rules that are disabled came %+v", disabled.events)
	}
	again := r.listen("?provider=st2", began)
	r.eventually("what came after", func() bool { return again.count() >= 1 })
	if again.events[0] != st2.events[1] {
		t.Errorf("after %s came %+v, want %+v", began, again.events[0], st2.events[1])
	}
	for path, want := range map[string]int{
		"/events?provider=none": 404, "/events?provider=jira": 404, "/events?oslc.where=x": 400,
	} {
		if resp, body := r.get(path); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d: %s", path, resp.Status, want, body)
		}
	}
	for last, want := range map[string]int{"x": 400, "st2=-1": 400, "st2": 400, "none=1": 400, "st2=1,": 400, "st2=99": 410} {
		if resp, body := r.get("/events", "Last-Event-ID", last); resp.StatusCode != want {
			t.Errorf("Last-Event-ID %q: %s, want %d: %s", last, resp.Status, want, body)
		}
	}
	r.halt()
	<-all.done
	if n := len(all.names); n == 0 || all.names[n-1] != "end" {
		t.Errorf("when the server stopped the stream had said %v", all.names)
	}
}

// TestEvents_aThousand: a thousand clients each get an event, beside some that take
// nothing, and none keeps the server from stopping.
func TestEvents_aThousand(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	const clients, stuck = 1000, 20
	var begun, got atomic.Int32
	var reading sync.WaitGroup
	for i := range clients + stuck {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET /events HTTP/1.1\r\nHost: %s\r\n\r\n", r.addr); err != nil {
			t.Fatal(err)
		}
		if i >= clients {
			continue
		}
		reading.Go(func() {
			lines, events := bufio.NewScanner(conn), 0
			for lines.Scan() {
				switch {
				case strings.HasPrefix(lines.Text(), "retry:"):
					begun.Add(1)
				case lines.Text() == "event: change":
					if events++; events == 1 {
						got.Add(1)
					}
				}
			}
		})
	}
	r.eventually("all streams", func() bool { return begun.Load() >= clients })
	r.create("a")
	r.eventually("everyone to have the event", func() bool { return got.Load() >= clients })
	r.halt()
	reading.Wait()
}
