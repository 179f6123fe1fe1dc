package oslcserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/oslcserver"
	"github.com/oslcbus/oslcbus/oslc"
)

// TestCancel: a request that another server carries out is stopped there; what is not
// asked for yet never is, and a single message cannot be stopped.
func TestCancel(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	state, put := "auto:inProgress", ""
	looked := make(chan struct{}, 1000)
	f.docs["/r/1"] = bound(later)
	f.does["POST /requests"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/requests/1")
		w.WriteHeader(http.StatusCreated)
	}
	f.does["GET /requests/1"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"7"`)
		turtle(w, 200, `<> a auto:AutomationRequest ; dcterms:title "Build" ; auto:state `+state+` ; auto:desiredState auto:complete .`)
		select {
		case looked <- struct{}{}:
		default: // nobody waits for so many
		}
	}
	f.does["PUT /requests/1"] = func(w http.ResponseWriter, r *http.Request) {
		state, put = "auto:canceled", r.Header.Get("If-Match")
		w.WriteHeader(http.StatusOK)
	}
	x := open(t, f.config(), adapters.Options{})
	r := f.ask("x", ns+"Do", nil)
	if begun, err := x.Cancel(t.Context(), r); begun || err != nil {
		t.Errorf("before anything: %v, %v", begun, err)
	}
	type outcome struct {
		res oslc.Result
		err error
	}
	ended := make(chan outcome, 1)
	go func() {
		res, err := x.Execute(t.Context(), r)
		ended <- outcome{res, err}
	}()
	<-looked
	if begun, err := x.Cancel(t.Context(), r); !begun || err != nil {
		t.Errorf("in work: %v, %v", begun, err)
	}
	got := <-ended
	if got.err != nil || got.res.State != oslc.Canceled || got.res.Verdict != oslc.NoVerdict {
		t.Errorf("%+v, %v", got.res, got.err)
	}
	f.mu.Lock()
	last := f.calls[len(f.calls)-1]
	f.mu.Unlock()
	if put != `"7"` || !strings.Contains(last.body, "auto#canceled") || strings.Contains(last.body, "desiredState> <http://open-services.net/ns/auto#complete") || !strings.Contains(last.body, "Build") {
		t.Errorf("put with If-Match %s:\n%s", put, last.body)
	}
	// A server that refuses.
	f.mu.Lock()
	state = "auto:inProgress"
	f.does["PUT /requests/1"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }
	f.mu.Unlock()
	again := f.ask("again", ns+"Do", nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		res, err := x.Execute(ctx, again)
		ended <- outcome{res, err}
	}()
	for len(looked) > 0 {
		<-looked
	}
	<-looked
	if begun, err := x.Cancel(t.Context(), again); !begun || oslc.KindOf(err) != oslc.Unsupported {
		t.Errorf("where it is refused: %v, %v", begun, err)
	}
	cancel()
	<-ended
	// A single message that is on its way.
	hold := make(chan struct{})
	arrived := make(chan struct{})
	f.mu.Lock()
	f.docs["/r/1"] = bound(strings.Replace(empty, "/do", "/slow", 1))
	f.mu.Unlock()
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(arrived); <-hold }))
	t.Cleanup(slow.Close)
	f.mu.Lock()
	f.docs["/r/1"] = bound(strings.Replace(empty, "</do>", "<"+slow.URL+"/do>", 1))
	f.mu.Unlock()
	cfg := f.config()
	cfg.Servers = append(cfg.Servers, oslcserver.ServerConfig{URL: slow.URL})
	y := open(t, cfg, adapters.Options{})
	single := f.ask("single", ns+"Do", nil)
	go func() {
		res, err := y.Execute(t.Context(), single)
		ended <- outcome{res, err}
	}()
	<-arrived
	if begun, err := y.Cancel(t.Context(), single); !begun || oslc.KindOf(err) != oslc.Unsupported {
		t.Errorf("a single message: %v, %v", begun, err)
	}
	close(hold)
	if got := <-ended; got.err != nil || got.res.Verdict != oslc.Passed {
		t.Errorf("%+v, %v", got.res, got.err)
	}
}
