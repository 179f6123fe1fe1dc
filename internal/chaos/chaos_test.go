package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

// TestKillSQLite kills a bus on the embedded log.
func TestKillSQLite(t *testing.T) {
	s := newScene(onSQLite(t))
	s.run(kills(t) * 6 / 10)
	s.check()
}

// TestKillKafka kills two replicas on one Kafka in turn.
func TestKillKafka(t *testing.T) {
	s := newScene(onKafka(t))
	s.run(kills(t) * 4 / 10)
	s.check()
	s.checkReplicas()
}

// scene is a MongoDB under load, a Jira, a subscriber, and the replicas between them.
type scene struct {
	*fleet
	load  *load
	jira  *sandbox.Jira
	hook  *subscriber
	topic string
	took  time.Duration
}

func newScene(f *fleet) *scene {
	t := f.t
	t.Helper()
	mongo := testkit.Mongo(t)
	s := &scene{fleet: f, topic: f.prefix + "st2_event", hook: newSubscriber(t)}
	s.load = &load{db: mongotest.Connect(t, mongo.URI, mongo.Database), history: map[string][]state{}}
	var err error
	if s.jira, err = sandbox.NewJira("", "DEMO"); err != nil {
		t.Fatal(err)
	}
	s.jira.IndexDelay = 100 * time.Millisecond
	jira := httptest.NewServer(s.jira)
	t.Cleanup(jira.Close)
	f.configure(fmt.Sprintf(`
connections:
  st2: {type: stackstorm, topic: %q, mongodb: {uri: %q, database: %q}}
  jira: {type: jira, url: %q, user: %q, token: %q, settle: 150ms, retry: {attempts: 30, min: 20ms, max: 500ms}}
rules:
  - name: rule-disabled-ticket
    on: {provider: st2, events: ["st2:RuleDisabled"]}
    do:
      tool: jira
      action: create-issue
      with: {project: DEMO, type: Task, summary: '${resource["st2:ruleRef"]} ${resource.description}'}
webhooks:
  allow: [127.0.0.0/8]
  retry: {min: 20ms, max: 200ms}
  subscriptions: [{name: chaos, url: %q, secret: %q, provider: st2}]
`, s.topic, mongo.URI, mongo.Database, jira.URL, sandbox.User, sandbox.Token, s.hook.URL, subscriberSecret))
	return s
}

// run kills replicas so many times under load, and then lets them work it all off.
func (s *scene) run(kills int) {
	s.t.Helper()
	started := time.Now()
	s.start()
	s.subscribed()
	// What was there before the bus first looked is one creation, not its history:
	// once the first rule is in the set, it has looked.
	if err := s.load.change(s.t.Context(), s.rand, 0); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
	ctx, stop := context.WithCancel(s.t.Context())
	loaded := make(chan struct{})
	random := rand.New(rand.NewPCG(s.rand.Uint64(), 2))
	go func() {
		defer close(loaded)
		s.load.run(ctx, s.t, random)
	}()
	s.kill(kills)
	stop()
	<-loaded
	s.settle()
	s.stop()
	s.took = time.Since(started)
}

// settle waits until the set has every change and every ticket is made; then
// nothing more can come.
func (s *scene) settle() {
	s.t.Helper()
	changes, tickets := s.load.totals()
	best, deadline := -1, time.Now().Add(time.Minute)
	for {
		n, err := s.newest(s.replicas[0].url)
		results, rerr := s.results(s.replicas[0].url)
		told := s.hook.distinct()
		if err == nil && rerr == nil && n >= changes && results >= tickets && told >= changes {
			return
		}
		if n+results+told > best { // as long as it goes on
			best, deadline = n+results+told, time.Now().Add(time.Minute)
		}
		if time.Now().After(deadline) {
			s.t.Errorf("after %d kills %d of %d changes are in the set, %d at the subscriber, and %d of %d requests ended (%v, %v)", s.killed, n, changes, told, results, tickets, err, rerr)
			return
		}
		<-after(100)
	}
}

// newest counts the changes in the set: markers take orders too, so the newest
// order alone says too much.
func (s *scene) newest(url string) (int, error) {
	n, page := 0, url+"/trs/st2"
	for page != "" {
		g, err := graph(page)
		if err != nil {
			return 0, err
		}
		page = ""
		for t := range g.All() {
			switch t.P.Value {
			case vocab.TRSChange:
				n++
			case vocab.TRSPrevious:
				_, rest, _ := strings.Cut(t.O.Value, "/trs/")
				page = url + "/trs/" + rest
			}
		}
	}
	return n, nil
}

func (s *scene) results(url string) (int, error) {
	g, err := graph(url + "/services/bus/results?oslc.pageSize=1")
	if err != nil {
		return 0, err
	}
	for t := range g.All() {
		if t.P.Value == vocab.OSLCTotalCount {
			n, _ := t.O.Int()
			return int(n), nil
		}
	}
	return 0, errors.New("no oslc:totalCount")
}

// check compares the log, the tickets and what the subscriber got with what was done.
func (s *scene) check() {
	t := s.t
	t.Helper()
	changes, tickets := s.load.totals()
	events, twice := s.events(s.topic, changes)
	got, disabled := map[string][]state{}, 0
	var order []string // of the ids on the topic
	for _, e := range events {
		order = append(order, e.ID)
		subject := rdf.NewIRI(e.Subject)
		number, _ := strconv.Atoi(e.Resource.Value(subject, vocab.DCTermsDescription))
		got[tail(e)] = append(got[tail(e)], state{
			strings.TrimPrefix(e.Change.IRI(), vocab.TRS), number, e.Resource.Value(subject, vocab.St2RuleStatus) == "true",
		})
		if len(e.Types) == 1 && e.Types[0] == vocab.St2RuleDisabled {
			disabled++
		}
	}
	lost, wrong := 0, 0
	for id, want := range s.load.history {
		have := got[id]
		if fmt.Sprint(have) == fmt.Sprint(want) {
			continue
		}
		if len(have) < len(want) {
			lost += len(want) - len(have)
		} else {
			wrong++
		}
		t.Errorf("rule %s: the log has\n%v\nand what was done is\n%v", id, have, want)
	}
	if disabled != tickets {
		t.Errorf("%d events tell of a disabling, %d were made", disabled, tickets)
	}
	s.hook.check(order)
	doubles := s.checkTickets(tickets)
	t.Logf("%d kills in %v: %d changes on the log, %d lost, %d twice, %d rules in a wrong order; %d tickets, %d double",
		s.killed, s.took.Round(time.Second), len(events), lost, twice, wrong, tickets, doubles)
}

func (s *scene) checkTickets(want int) (doubles int) {
	s.t.Helper()
	by := map[string]int{}
	for _, is := range s.jira.Issues() {
		var p struct{ ID string }
		if err := json.Unmarshal(is.Properties["org.oslcbus.request"], &p); err != nil {
			s.t.Error(err)
		}
		by[p.ID]++
		doubles += min(1, by[p.ID]-1)
	}
	if len(by) != want || doubles > 0 {
		s.t.Errorf("%d tickets for %d requests, want %d once each", len(s.jira.Issues()), len(by), want)
	}
	return doubles
}

// checkReplicas starts a replica from an empty folder beside one that went through
// it all: both must serve the same set, to the byte.
func (s *scene) checkReplicas() {
	t := s.t
	t.Helper()
	fresh := *s.replicas[1]
	fresh.dir = t.TempDir()
	b, err := os.ReadFile(fresh.config)
	if err != nil {
		t.Fatal(err)
	}
	fresh.config = filepath.Join(fresh.dir, "config.yml")
	text := strings.Replace(string(b), "data: "+s.replicas[1].dir, "data: "+fresh.dir, 1)
	if err := os.WriteFile(fresh.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.replicas[0].start()
	fresh.start()
	defer func() { _ = fresh.stop(syscall.SIGTERM) }()
	changes, _ := s.load.totals()
	deadline := time.Now().Add(time.Minute)
	for _, r := range []*replica{s.replicas[0], &fresh} {
		for {
			if n, err := s.newest(r.url); err == nil && n >= changes {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("%s has %d of %d changes: %v", r.url, n, changes, err)
			}
			<-after(50)
		}
	}
	// Both say the base URL of the first: the walker goes to each by its own
	// address.
	old := trstest.NewWalker(&http.Client{}, s.replicas[0].url+"/trs/st2").Walk(t)
	client := &http.Client{Transport: redirect{from: s.replicas[0].url, to: fresh.url}}
	anew := trstest.NewWalker(client, s.replicas[0].url+"/trs/st2").Walk(t)
	if fmt.Sprint(old.Changes) != fmt.Sprint(anew.Changes) || fmt.Sprint(old.Members) != fmt.Sprint(anew.Members) {
		t.Error("the replica that started from nothing serves another set")
	}
	for uri, body := range old.Immutable {
		if strings.Contains(uri, "/log/") && anew.Immutable[uri] != body {
			t.Errorf("%s differs between the replicas", uri)
		}
	}
}

// redirect sends requests for one address to another.
type redirect struct{ from, to string }

func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	again, err := http.NewRequestWithContext(req.Context(), req.Method, strings.Replace(req.URL.String(), r.from, r.to, 1), nil)
	if err != nil {
		return nil, err
	}
	again.Header = req.Header
	return http.DefaultTransport.RoundTrip(again)
}
