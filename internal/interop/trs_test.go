package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// follower is the TRS client of Eclipse Lyo with a handler of its own for each way
// that it has of following a set.
type follower struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

func follow(t *testing.T, set string) *follower {
	t.Helper()
	dir, java := part(t, "lyo", "java")
	// The context of a test ends before the client is told to.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 3*patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, java, "-cp", filepath.Join(dir, "lib", "*"), filepath.Join("lyo", "Follow.java"), set)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the client ended with %v\n%s", err, errs.String())
		}
	})
	return &follower{t, in, bufio.NewReader(out)}
}

// update has a handler update once. It returns how often the handler began anew, and
// what it has: titles by URI.
func (f *follower) update(handler string) (rebases int, has map[string]string) {
	f.t.Helper()
	if _, err := fmt.Fprintln(f.in, handler); err != nil {
		f.t.Fatal(err)
	}
	line, err := f.out.ReadString('\n')
	if err != nil {
		f.t.Fatal(err)
	}
	fields := strings.Fields(line)
	if rebases, err = strconv.Atoi(fields[0]); err != nil {
		f.t.Fatalf("the client said %q", line)
	}
	has = map[string]string{}
	for _, m := range fields[1:] {
		uri, title, _ := strings.Cut(m, "=")
		has[uri] = title
	}
	return rebases, has
}

// converge updates until the handler has what there is.
func (f *follower) converge(step, handler string, want map[string]string) (rebases int) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		rebases, has := f.update(handler)
		same := maps.Equal(has, want)
		if strings.HasSuffix(handler, concurrent) { // which tells no states of what changed
			same = slices.Equal(slices.Sorted(maps.Keys(has)), slices.Sorted(maps.Keys(want)))
		}
		if same {
			return rebases
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%s, %s: after %d times from the beginning it has %v, want %v", step, handler, rebases, has, want)
		}
		switch handler {
		case concurrent: // what it cannot fetch within three seconds it never fetches
			handler = anew + concurrent
		case anew + sequential:
			handler = sequential
		}
	}
}

// What the client is told.
const (
	sequential = "sequential"
	concurrent = "concurrent"
	anew       = "new "
)

// TestLyoTRS has both handlers of the TRS client of Eclipse Lyo follow a set through
// creation, update, deletion, a new base and a truncation that takes their place in
// the log.
func TestLyoTRS(t *testing.T) {
	t.Parallel()
	part(t, "lyo", "java")
	const some = 23
	base, tool := serve(t, "trs: {page_size: 5, keep_changes: 10}\n", some)
	collection := base + "/services/st2/changeRequests"
	set := base + "/trs/st2"
	truth := func() map[string]string {
		g, out := get(t, collection), map[string]string{}
		for _, m := range g.Objects(rdf.NewIRI(collection), vocab.RDFSMember) {
			out[m.Value] = strings.ReplaceAll(g.Value(m, vocab.DCTermsTitle), " ", "_")
		}
		return out
	}
	newest := func() (n int64) {
		for t := range get(t, set).All() {
			if o, ok := t.O.Int(); ok && t.P.Value == vocab.TRSOrder {
				n = max(n, o)
			}
		}
		return n
	}
	wait := func(order int64) {
		t.Helper()
		eventually(t, fmt.Sprintf("change %d", order), func() bool { return newest() >= order })
	}
	f := follow(t, set)
	both := func(step string, most int) {
		t.Helper()
		want := truth()
		if rebases := f.converge(step, sequential, want); rebases > most {
			t.Errorf("%s: the sequential handler began anew %d times, want %d at most", step, rebases, most)
		}
		f.converge(step, concurrent, want)
	}
	wait(some)
	both("load", 0)

	at := newest()
	made := create(t, tool, some)
	changed := create(t, tool, some+1)
	wait(at + 2)
	both("creation", 0)

	rule := tool + "/api/v1/rules/"
	changed["name"] = "another name"
	ask(t, http.MethodPut, rule+fmt.Sprint(changed["id"]), changed)
	wait(at + 3)
	both("update", 0)
	if !slices.Contains(slices.Collect(maps.Values(truth())), "another_name") {
		t.Fatalf("the update did not arrive: %v", truth())
	}

	ask(t, http.MethodDelete, rule+fmt.Sprint(made["id"]), nil)
	wait(at + 4)
	both("deletion", 0)
	// A handler that begins right after a deletion must not be held up by a base that
	// lists what is gone.
	f.converge("a new base", anew+sequential, truth())
	f.converge("a new base", anew+concurrent, truth())

	oldest := get(t, set)
	for i := range 30 {
		changed["description"] = fmt.Sprint("state ", i)
		ask(t, http.MethodPut, rule+fmt.Sprint(changed["id"]), changed)
	}
	create(t, tool, some+2)
	wait(at + 35)
	for t0 := range oldest.All() {
		if t0.P.Value != vocab.TRSPrevious {
			continue
		}
		eventually(t, t0.O.Value+" to be truncated", func() bool { return status(t, t0.O.Value) == http.StatusGone })
	}
	both("truncation", 1) // a handler whose place is gone begins anew, once
	both("afterwards", 1)
}

// status returns how a document is answered.
func status(t *testing.T, uri string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, uri, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/turtle")
	resp, err := testkit.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
