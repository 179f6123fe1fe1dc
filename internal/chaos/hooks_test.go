package chaos

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestKillHooksSQLite kills a bus that tools send deliveries to.
func TestKillHooksSQLite(t *testing.T) {
	s := newSenders(t, "")
	s.run(max(2, kills(t)*15/100))
	db, err := sqlite.Open(t.Context(), filepath.Join(s.replicas[0].dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s.check(db.Log())
}

// TestKillHooksKafka kills two replicas, to each of which tools send.
func TestKillHooksKafka(t *testing.T) {
	broker := testkit.Kafka(t)
	s := newSenders(t, broker.Addr, broker.Name)
	s.run(max(2, kills(t)*10/100))
	log, err := kafka.New(kafka.Config{Brokers: []string{broker.Addr}, Prefix: broker.Name + "check"}, kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.check(log)
}

// senders are tools that send deliveries to any replica until one says that it has it.
type senders struct {
	t        *testing.T
	rand     *rand.Rand
	topic    string
	replicas []*replica
	client   *http.Client

	mu      sync.Mutex
	history map[string][]string // ticket -> what each delivery told, in order
	sent    int
	again   int // how often a delivery had to be sent again
}

const hookSecret = "not-a-real-secret"

func newSenders(t *testing.T, kafkaAddr string, name ...string) *senders {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "oslcbus")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/oslcbus").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &senders{
		t: t, rand: rand.New(rand.NewPCG(seed, 3)), topic: strings.Join(name, "") + "tracker_event", history: map[string][]string{},
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	replicas, base := 1, ""
	if kafkaAddr != "" {
		replicas = 2
	}
	for i := range replicas {
		r := &replica{t: t, binary: binary, dir: t.TempDir()}
		probe := httptest.NewServer(nil) // for a port, as in newScene
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
  tracker:
    type: webhook
    topic: %q
    receive:
      secret: %s
      resources:
        - kind: tickets
          types: ["oslc_cm:ChangeRequest"]
          change: {path: event, modified: [change], deleted: [gone]}
          key: id
          title: title
`, strings.TrimPrefix(r.url, "http://"), base, r.dir, s.topic, hookSecret)
		if kafkaAddr != "" {
			config += fmt.Sprintf("kafka: {brokers: [%q], prefix: %q, session_timeout: 1s}\nrequests: {topic: %q}\n", kafkaAddr, name[0], name[0]+"bus_event")
		}
		r.config = filepath.Join(r.dir, "config.yml")
		if err := os.WriteFile(r.config, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if r.log, err = os.Create(filepath.Join(r.dir, "log")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.end)
		s.replicas = append(s.replicas, r)
	}
	return s
}

// run kills replicas so many times while tools send, and stops them in order then.
func (s *senders) run(kills int) {
	s.t.Helper()
	for _, r := range s.replicas {
		r.start()
	}
	ctx, stop := context.WithCancel(s.t.Context())
	var work sync.WaitGroup
	for i := range 4 {
		r := rand.New(rand.NewPCG(s.rand.Uint64(), uint64(i)))
		work.Go(func() { s.send(ctx, i, r) })
	}
	for range kills {
		r := s.replicas[s.rand.IntN(len(s.replicas))]
		<-after(20 + s.rand.IntN(s.rand.IntN(8)*200+100))
		if err := r.stop(syscall.SIGKILL); err == nil || !strings.Contains(err.Error(), "killed") {
			s.t.Fatalf("replica %s ended by itself: %v", r.url, err)
		}
		r.start()
	}
	stop()
	work.Wait()
	// The last delivery of all is told after those before it.
	deadline := time.Now().Add(time.Minute)
	if err := s.deliver(s.t.Context(), s.rand, "last", `{"event": "change", "id": "last", "title": "last"}`); err != nil {
		s.t.Error(err)
	}
	s.note("last", "last")
	for {
		if _, err := fetch(s.replicas[0].url + "/services/tracker/tickets/last"); err == nil {
			break
		} else if time.Now().After(deadline) {
			s.t.Errorf("the last delivery is not told: %v", err)
			break
		}
		<-after(50)
	}
	for _, r := range s.replicas {
		if err := r.stop(syscall.SIGTERM); err != nil {
			s.t.Errorf("replica %s after SIGTERM: %v", r.url, err)
		}
	}
}

// send sends one delivery after the other about tickets of its own.
func (s *senders) send(ctx context.Context, sender int, r *rand.Rand) {
	alive := map[string]bool{}
	for n := 1; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("t%d-%d", sender, r.IntN(6))
		event, told := "change", fmt.Sprint(n)
		if alive[id] && r.IntN(8) == 0 {
			event, told = "gone", "gone"
		}
		body := fmt.Sprintf(`{"event": %q, "id": %q, "title": "%d"}`, event, id, n)
		if err := s.deliver(context.WithoutCancel(ctx), r, fmt.Sprintf("%d-%d", sender, n), body); err != nil {
			s.t.Error(err)
			return
		}
		alive[id] = event == "change"
		s.note(id, told)
	}
}

func (s *senders) note(id, told string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history[id] = append(s.history[id], told)
	s.sent++
}

// deliver sends a delivery, under one name, to one replica after the other until one has
// it.
func (s *senders) deliver(ctx context.Context, r *rand.Rand, name, body string) error {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(body))
	deadline := time.Now().Add(time.Minute)
	for {
		to := s.replicas[r.IntN(len(s.replicas))].url
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to+"/hooks/tracker", bytes.NewReader([]byte(body)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", name)
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		resp, err := s.client.Do(req)
		said := ""
		if err == nil {
			b, _ := io.ReadAll(resp.Body) // for the message alone
			resp.Body.Close()
			if resp.StatusCode == http.StatusAccepted {
				return nil
			}
			said = resp.Status + " " + string(b)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("delivery %s is not taken: %w %s", name, err, said)
		}
		s.mu.Lock()
		s.again++
		s.mu.Unlock()
		<-after(5)
	}
}

// check compares the events on the log with what was sent.
func (s *senders) check(log bus.Log) {
	t := s.t
	t.Helper()
	rd, err := log.Open(t.Context(), s.topic, bus.From{})
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, ids, total := map[string][]string{}, map[string]int{}, 0
	for total < s.sent {
		d, err := rd.Next(ctx)
		if err != nil {
			t.Errorf("after %d of %d events: %v", total, s.sent, err)
			break
		}
		if bus.IsMarker(d.Message) {
			continue
		}
		e, err := bus.Decode(d.Message, format.Parser{})
		if err != nil {
			t.Fatal(err)
		}
		total++
		ids[e.ID]++
		id := e.Subject[strings.LastIndexByte(e.Subject, '/')+1:]
		told := e.Resource.Value(rdf.NewIRI(e.Subject), vocab.DCTermsTitle)
		if e.Change.IRI() == vocab.TRSDeletion {
			told = "gone"
		}
		got[id] = append(got[id], told)
	}
	wrong, twice := 0, 0
	for id, want := range s.history {
		if fmt.Sprint(got[id]) != fmt.Sprint(want) {
			wrong++
			t.Errorf("ticket %s: the log has\n%v\nand what was sent is\n%v", id, got[id], want)
		}
	}
	for id, n := range ids {
		if twice += n - 1; n > 1 {
			t.Errorf("event %s is on the topic %d times", id, n)
		}
	}
	t.Logf("%d deliveries, %d sent again; %d events, %d tickets wrong, %d events twice", s.sent, s.again, total, wrong, twice)
}
