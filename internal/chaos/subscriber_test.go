package chaos

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/webhook"
)

const subscriberSecret = "not-a-real-secret-of-a-subscriber"

// subscriber takes the events that the bus sends, and refuses one now and then.
type subscriber struct {
	*httptest.Server
	t      *testing.T
	secret webhook.Secret

	mu    sync.Mutex
	first []string       // ids in the order in which they came first
	times map[string]int // how often each came
	asked int
}

func newSubscriber(t *testing.T) *subscriber {
	t.Helper()
	secret, err := webhook.ParseSecret(subscriberSecret)
	if err != nil {
		t.Fatal(err)
	}
	s := &subscriber{t: t, secret: secret, times: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *subscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	if err := s.secret.Verify(r.Header, body, time.Now(), time.Hour); err != nil {
		s.t.Errorf("a delivery: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked++; s.asked%17 == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	id := r.Header.Get("Ce-Id")
	if s.times[id]++; s.times[id] == 1 {
		s.first = append(s.first, id)
	}
}

// distinct counts the events that came.
func (s *subscriber) distinct() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.first)
}

// check compares what came with what is on the topic: everything came, in its order;
// after a kill some came again.
func (s *subscriber) check(order []string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	again := 0
	for _, n := range s.times {
		again += n - 1
	}
	if !slices.Equal(s.first, order) {
		s.t.Errorf("the subscriber got %d events, and %d are on the topic, or not in their order", len(s.first), len(order))
	}
	s.t.Logf("the subscriber got %d events, %d of them more than once", len(s.first), again)
}

// subscribed waits until the subscription has begun somewhere.
func (s *scene) subscribed() {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-after(20) {
		for _, r := range s.replicas {
			if b, err := fetch(r.url + "/events/subscriptions/chaos"); err == nil && bytes.Contains(b, []byte(`"`+s.topic+`": `)) {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the subscription does not begin")
		}
	}
}
