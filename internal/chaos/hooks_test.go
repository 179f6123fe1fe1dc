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
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestKillHooksSQLite kills a bus that tools send deliveries to.
func TestKillHooksSQLite(t *testing.T) {
	s := newSenders(onSQLite(t))
	s.run(max(2, kills(t)*15/100))
	s.check()
}

// TestKillHooksKafka kills two replicas, to each of which tools send.
func TestKillHooksKafka(t *testing.T) {
	s := newSenders(onKafka(t))
	s.run(max(2, kills(t)*10/100))
	s.check()
}

// senders are tools that send deliveries to any replica until one says that it has it.
type senders struct {
	*fleet
	topic  string
	client *http.Client

	mu      sync.Mutex
	history map[string][]string // ticket -> what each delivery told, in order
	sent    int
	again   int // how often a delivery had to be sent again
}

const hookSecret = "not-a-real-secret"

func newSenders(f *fleet) *senders {
	f.t.Helper()
	s := &senders{
		fleet: f, topic: f.prefix + "tracker_event", history: map[string][]string{},
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	f.configure(fmt.Sprintf(`
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
`, s.topic, hookSecret))
	return s
}

// run kills replicas so many times while tools send, and stops them in order then.
func (s *senders) run(kills int) {
	s.t.Helper()
	s.start()
	ctx, stop := context.WithCancel(s.t.Context())
	var work sync.WaitGroup
	for i := range 4 {
		r := rand.New(rand.NewPCG(s.rand.Uint64(), uint64(i)))
		work.Go(func() { s.send(ctx, i, r) })
	}
	s.kill(kills)
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
	s.stop()
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
func (s *senders) check() {
	t := s.t
	t.Helper()
	events, twice := s.events(s.topic, s.sent)
	got := map[string][]string{}
	for _, e := range events {
		told := e.Resource.Value(rdf.NewIRI(e.Subject), vocab.DCTermsTitle)
		if e.Change.IRI() == vocab.TRSDeletion {
			told = "gone"
		}
		got[tail(e)] = append(got[tail(e)], told)
	}
	wrong := 0
	for id, want := range s.history {
		if fmt.Sprint(got[id]) != fmt.Sprint(want) {
			wrong++
			t.Errorf("ticket %s: the log has\n%v\nand what was sent is\n%v", id, got[id], want)
		}
	}
	t.Logf("%d deliveries, %d sent again; %d events, %d tickets wrong, %d events twice", s.sent, s.again, len(events), wrong, twice)
}
