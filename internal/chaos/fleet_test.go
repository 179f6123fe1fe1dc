package chaos

import (
	"context"
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

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
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

// fleet is the replicas of one bus, which are killed, on one log.
type fleet struct {
	t        *testing.T
	rand     *rand.Rand
	prefix   string // of topics
	config   string // what the log asks of the configuration
	replicas []*replica
	killed   int

	// log opens the log, which on SQLite wants the replica stopped.
	log func() bus.Log
}

// onSQLite is one replica on the embedded log.
func onSQLite(t *testing.T) *fleet {
	t.Helper()
	f := newFleet(t, 1)
	f.log = func() bus.Log {
		db, err := sqlite.Open(t.Context(), filepath.Join(f.replicas[0].dir, "log.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db.Log()
	}
	return f
}

// onKafka is two replicas on one Kafka.
func onKafka(t *testing.T) *fleet {
	t.Helper()
	broker := testkit.Kafka(t)
	f := newFleet(t, 2)
	f.prefix = broker.Name
	f.config = fmt.Sprintf("kafka: {brokers: [%q], prefix: %q, session_timeout: 1s}\nrequests: {topic: %q}\n", broker.Addr, broker.Name, broker.Name+"bus_event")
	f.log = func() bus.Log {
		log, err := kafka.New(kafka.Config{Brokers: []string{broker.Addr}, Prefix: broker.Name + "check"}, kafka.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		return log
	}
	return f
}

func newFleet(t *testing.T, replicas int) *fleet {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "oslcbus")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/oslcbus").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := &fleet{t: t, rand: rand.New(rand.NewPCG(seed, 1))}
	for range replicas {
		// The ports are those of servers that were closed just now: children
		// cannot be given a listener by a flag, and they come back many times.
		probe := httptest.NewServer(nil)
		defer probe.Close()
		f.replicas = append(f.replicas, &replica{t: t, binary: binary, dir: t.TempDir(), url: probe.URL})
	}
	return f
}

// configure gives every replica what the text says beside its address, its data and
// the log. The base URL is that of the first.
func (f *fleet) configure(text string) {
	f.t.Helper()
	for _, r := range f.replicas {
		config := fmt.Sprintf("listen: %s\nbase_url: %s\ndata: %s\n", strings.TrimPrefix(r.url, "http://"), f.replicas[0].url, r.dir) + text + f.config
		r.config = filepath.Join(r.dir, "config.yml")
		if err := os.WriteFile(r.config, []byte(config), 0o600); err != nil {
			f.t.Fatal(err)
		}
		var err error
		if r.log, err = os.Create(filepath.Join(r.dir, "log")); err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(r.end)
	}
}

func (f *fleet) start() {
	f.t.Helper()
	for _, r := range f.replicas {
		r.start()
	}
}

// kill kills replicas so many times, one after the other, and starts each again.
func (f *fleet) kill(times int) {
	f.t.Helper()
	for range times {
		r := f.replicas[f.rand.IntN(len(f.replicas))]
		// Long enough now and then that all parts run, short enough that many
		// kills meet a start.
		<-after(20 + f.rand.IntN(f.rand.IntN(8)*200+100))
		if err := r.stop(syscall.SIGKILL); err == nil || !strings.Contains(err.Error(), "killed") {
			f.t.Fatalf("replica %s ended by itself before kill %d: %v", r.url, f.killed+1, err)
		}
		f.killed++
		r.start()
	}
}

// stop ends the replicas in order.
func (f *fleet) stop() {
	f.t.Helper()
	for _, r := range f.replicas {
		if err := r.stop(syscall.SIGTERM); err != nil {
			f.t.Errorf("replica %s after SIGTERM: %v", r.url, err)
		}
	}
}

// events reads so many events of a topic in their order, and counts those that are
// there twice.
func (f *fleet) events(topic string, want int) (events []*oslc.Event, twice int) {
	t := f.t
	t.Helper()
	rd, err := f.log().Open(t.Context(), topic, bus.From{})
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen, last := map[string]bool{}, int64(-1)
	for len(events) < want {
		d, err := rd.Next(ctx)
		if err != nil {
			t.Errorf("after %d of %d events: %v", len(events), want, err)
			break
		}
		if d.Offset <= last {
			t.Errorf("offset %d after %d", d.Offset, last)
		}
		last = d.Offset
		if bus.IsMarker(d.Message) {
			continue
		}
		e, err := bus.Decode(d.Message, format.Parser{})
		if err != nil {
			t.Fatal(err)
		}
		if seen[e.ID] {
			twice++
			t.Errorf("event %s is on the topic again", e.ID)
		}
		seen[e.ID] = true
		events = append(events, e)
	}
	return events, twice
}

// tail is the last part of the URI of an event's resource.
func tail(e *oslc.Event) string { return e.Subject[strings.LastIndexByte(e.Subject, '/')+1:] }

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
