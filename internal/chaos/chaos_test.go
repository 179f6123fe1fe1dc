package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

// killsInCI is how many kills a plain test run makes, on both logs together.
const killsInCI = 100

func kills(t *testing.T) int {
	t.Helper()
	if v := os.Getenv("OSLCBUS_CHAOS_KILLS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("OSLCBUS_CHAOS_KILLS is %q", v)
		}
		return n
	}
	if testing.Short() {
		return 6
	}
	return killsInCI
}

func after(ms int) <-chan time.Time { return time.After(time.Duration(ms) * time.Millisecond) }

// TestKillSQLite kills a bus on the embedded log.
func TestKillSQLite(t *testing.T) {
	s := newScene(t, "")
	s.run(kills(t) * 6 / 10)
	db, err := sqlite.Open(t.Context(), filepath.Join(s.replicas[0].dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s.check(db.Log())
}

// TestKillKafka kills two replicas on one Kafka in turn.
func TestKillKafka(t *testing.T) {
	broker := testkit.Kafka(t)
	s := newScene(t, broker.Addr, broker.Name)
	s.run(kills(t) * 4 / 10)
	log, err := kafka.New(kafka.Config{Brokers: []string{broker.Addr}, Prefix: broker.Name + "check"}, kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.check(log)
}

// scene is a MongoDB under load, a Jira, and the replicas that are killed.
type scene struct {
	t        *testing.T
	rand     *rand.Rand
	load     *load
	jira     *sandbox.Jira
	hook     *subscriber
	topic    string
	replicas []*replica
	killed   int
	took     time.Duration
}

// replica is one child process with its own data folder.
type replica struct {
	t      *testing.T
	binary string
	dir    string
	config string
	url    string
	cmd    *exec.Cmd
	log    *os.File
}

func newScene(t *testing.T, kafkaAddr string, name ...string) *scene {
	t.Helper()
	mongo := testkit.Mongo(t)
	binary := filepath.Join(t.TempDir(), "oslcbus")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/oslcbus").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &scene{t: t, rand: rand.New(rand.NewPCG(seed, 1)), topic: strings.Join(name, "") + "st2_event"}
	s.load = &load{db: mongotest.Connect(t, mongo.URI, mongo.Database), history: map[string][]state{}}
	var err error
	if s.jira, err = sandbox.NewJira("", "DEMO"); err != nil {
		t.Fatal(err)
	}
	s.jira.IndexDelay = 100 * time.Millisecond
	jira := httptest.NewServer(s.jira)
	t.Cleanup(jira.Close)
	s.hook = newSubscriber(t)
	replicas := 1
	if kafkaAddr != "" {
		replicas = 2
	}
	base := ""
	for i := range replicas {
		r := &replica{t: t, binary: binary, dir: t.TempDir()}
		// The ports are those of servers that were closed just now: children
		// cannot be given a listener by a flag, and they come back many times.
		probe := httptest.NewServer(nil)
		r.url = probe.URL
		probe.Close()
		if i == 0 {
			base = r.url
		}
		config := fmt.Sprintf(`
listen: %s
base_url: %s
data: %s
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
`, strings.TrimPrefix(r.url, "http://"), base, r.dir, s.topic, mongo.URI, mongo.Database, jira.URL, sandbox.User, sandbox.Token, s.hook.URL, subscriberSecret)
		if kafkaAddr != "" {
			config += fmt.Sprintf("kafka: {brokers: [%q], prefix: %q, session_timeout: 1s}\nrequests: {topic: %q}\n",
				kafkaAddr, name[0], name[0]+"bus_event")
		}
		r.config = filepath.Join(r.dir, "config.yml")
		if err := os.WriteFile(r.config, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if r.log, err = os.Create(filepath.Join(r.dir, "log")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.end)
		s.replicas = append(s.replicas, r)
	}
	return s
}

func (r *replica) start() {
	r.t.Helper()
	r.cmd = exec.CommandContext(context.WithoutCancel(r.t.Context()), r.binary, "serve", "-config", r.config)
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	testkit.EndWithTest(r.cmd)
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// stop ends the child by a signal and waits for it.
func (r *replica) stop(sig syscall.Signal) error {
	if r.cmd == nil {
		return nil
	}
	_ = r.cmd.Process.Signal(sig) // it may be gone already, which Wait tells
	err := r.cmd.Wait()
	r.cmd = nil
	return err
}

func (r *replica) end() {
	_ = r.stop(syscall.SIGKILL)
	if r.t.Failed() {
		if b, err := os.ReadFile(r.log.Name()); err == nil {
			r.t.Logf("end of the log of %s:\n%s", r.url, b[max(0, len(b)-6000):])
		}
	}
	_ = r.log.Close()
}

// run kills replicas so many times under load, and then lets them work it all off.
func (s *scene) run(kills int) {
	s.t.Helper()
	started := time.Now()
	for _, r := range s.replicas {
		r.start()
	}
	s.subscribed()
	// What was there before the bus first looked is one creation, not its history:
	// once the first rule is in the set, it has looked.
	if err := s.load.change(s.t.Context(), s.rand, 0); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
	ctx, stop := context.WithCancel(s.t.Context())
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		s.load.run(ctx, s.t, rand.New(rand.NewPCG(s.rand.Uint64(), 2)))
	}()
	for s.killed < kills {
		r := s.replicas[s.rand.IntN(len(s.replicas))]
		// Long enough now and then that all parts run, short enough that many
		// kills meet a start.
		<-after(20 + s.rand.IntN(s.rand.IntN(8)*200+100))
		if err := r.stop(syscall.SIGKILL); err == nil || !strings.Contains(err.Error(), "killed") {
			s.t.Fatalf("replica %s ended by itself before kill %d: %v", r.url, s.killed+1, err)
		}
		s.killed++
		r.start()
	}
	stop()
	<-loaded
	s.settle()
	for _, r := range s.replicas {
		if err := r.stop(syscall.SIGTERM); err != nil {
			s.t.Errorf("replica %s after SIGTERM: %v", r.url, err)
		}
	}
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

func fetch(uri string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/n-triples, text/plain")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", uri, resp.Status, b)
	}
	return b, err
}

func graph(uri string) (*rdf.Graph, error) {
	b, err := fetch(uri)
	if err != nil {
		return nil, err
	}
	return format.Parse(b, format.NTriples, "", rdf.Limits{})
}

// check compares the log, the tickets and a replica that starts from nothing with
// what was done.
func (s *scene) check(log bus.Log) {
	t := s.t
	t.Helper()
	changes, tickets := s.load.totals()
	got, ids, disabled := map[string][]state{}, map[string]int{}, 0
	rd, err := log.Open(t.Context(), s.topic, bus.From{})
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	total, lastOffset := 0, int64(-1)
	var order []string // of the ids on the topic
	for total < changes {
		d, err := rd.Next(ctx)
		if err != nil {
			t.Errorf("after %d of %d events: %v", total, changes, err)
			break
		}
		if d.Offset <= lastOffset {
			t.Errorf("offset %d after %d", d.Offset, lastOffset)
		}
		lastOffset = d.Offset
		if bus.IsMarker(d.Message) {
			continue
		}
		e, err := bus.Decode(d.Message, format.Parser{})
		if err != nil {
			t.Fatal(err)
		}
		total++
		ids[e.ID]++
		order = append(order, e.ID)
		id := e.Subject[strings.LastIndexByte(e.Subject, '/')+1:]
		subject := rdf.NewIRI(e.Subject)
		number, _ := strconv.Atoi(e.Resource.Value(subject, vocab.DCTermsDescription))
		got[id] = append(got[id], state{
			strings.TrimPrefix(e.Change.IRI(), vocab.TRS), number, e.Resource.Value(subject, vocab.St2RuleStatus) == "true",
		})
		if len(e.Types) == 1 && e.Types[0] == vocab.St2RuleDisabled {
			disabled++
		}
	}
	lost, twice, wrong := 0, 0, 0
	for _, n := range ids {
		twice += n - 1
	}
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
		s.killed, s.took.Round(time.Second), total, lost, twice, wrong, tickets, doubles)
	if twice > 0 {
		t.Errorf("%d events are on the topic twice", twice)
	}
	if len(s.replicas) > 1 {
		s.checkReplicas()
	}
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
