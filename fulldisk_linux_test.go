package oslcbus_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

// TestC5_FullDisk: while no file of the bus can be written it stays up and says
// so, and what happened meanwhile is there once there is room. The disk is full
// by a limit on the size of the process's files.
func TestC5_FullDisk(t *testing.T) {
	t.Parallel()
	mongo := testkit.Mongo(t)
	binary, dir := build(t, "./cmd/oslcbus"), t.TempDir()
	probe := httptest.NewServer(nil)
	url := probe.URL
	probe.Close()
	config := filepath.Join(dir, "oslcbus.yml")
	text := fmt.Sprintf("listen: %s\ndata: %s\nconnections:\n  st2: {type: stackstorm, mongodb: {uri: %q, database: %q}}\n",
		strings.TrimPrefix(url, "http://"), filepath.Join(dir, "data"), mongo.URI, mongo.Database)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bus := start(t, nil, binary, "serve", "-config", config)
	r := &realRig{rig: &rig{t: t, url: url}, db: mongotest.Connect(t, mongo.URI, mongo.Database)}
	ready := func(want int, reason string) {
		t.Helper()
		within(t, 60*time.Second, fmt.Sprintf("readiness to be %d", want), func() error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/readyz", nil)
			if err != nil {
				return err
			}
			resp, err := testkit.HTTP.Transport.RoundTrip(req)
			if err != nil {
				return err // it does not listen yet
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			body := string(b)
			if resp.StatusCode != want || !strings.Contains(body, reason) {
				return fmt.Errorf("%s: %s", resp.Status, body)
			}
			return nil
		})
	}
	ready(http.StatusOK, "")
	changes := func(n int) {
		t.Helper()
		within(t, 60*time.Second, fmt.Sprint(n, " entries of the set"), func() error {
			if got := strings.Count(r.turtle("/trs/st2"), "trs:order"); got != n {
				return fmt.Errorf("there are %d", got)
			}
			return nil
		})
	}
	id, _ := r.insert("r")
	changes(1)
	limit := func(bytes uint64) {
		t.Helper()
		if err := unix.Prlimit(bus.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil); err != nil {
			t.Fatal(err)
		}
	}
	limit(0)
	r.set(id, `{"enabled": false}`)
	r.set(id, `{"description": "on a full disk"}`)
	r.insert("other")
	ready(http.StatusServiceUnavailable, "source st2")
	if resp, _ := r.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", resp.Status)
	}
	limit(unix.RLIM_INFINITY)
	changes(4)
	ready(http.StatusOK, "")
	walk := trstest.NewWalker(testkit.HTTP, url+"/trs/st2").Walk(t)
	if len(walk.Changes) != 4 || len(walk.Members) != 2 {
		t.Errorf("the set has %d entries and %d members, want 4 and 2", len(walk.Changes), len(walk.Members))
	}
	bus.interrupt()
}

// turtle returns an RDF answer as it is.
func (r *rig) turtle(path string) string {
	r.t.Helper()
	_, body := r.get(path, "Accept", "text/turtle")
	return body
}
