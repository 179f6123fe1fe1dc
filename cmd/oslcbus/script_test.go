package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"oslcbus": main})
}

// TestScripts runs the program as a shell would; see testdata/script.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "freeport": freePort, "occupy": occupy, "ready": awaitReady, "awaits": awaits, "everyhelp": everyHelp,
		},
	})
}

// exits CODE COMMAND... runs a command that must end with an exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("the exit code is %d, want %d", got, want)
	}
}

// everyhelp asks each command for its help, which must begin with a line that names
// the command and every flag of those that it lists.
func everyHelp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: everyhelp")
	}
	flagLine := regexp.MustCompile(`(?m)^  (-[a-z-]+)`)
	for _, c := range slices.Concat(commands(), below()) {
		exits(ts, false, slices.Concat([]string{"0", "oslcbus"}, strings.Fields(c.name), []string{"-h"}))
		said := ts.ReadFile("stdout")
		if !strings.ContainsAny(c.usage, "[ ") { // there are commands below it
			for name := range strings.SplitSeq(c.usage, "|") {
				if !strings.Contains(said, "oslcbus "+c.name+" "+name) {
					ts.Fatalf("the help of %s says nothing of %s:\n%s", c.name, name, said)
				}
			}
			continue
		}
		usage, rest, _ := strings.Cut(said, "\n")
		if !strings.HasPrefix(usage, "usage: oslcbus "+c.name) {
			ts.Fatalf("the help of %s begins with %q", c.name, usage)
		}
		for _, m := range flagLine.FindAllStringSubmatch(rest, -1) {
			if !strings.Contains(usage, m[1]+" ") && !strings.Contains(usage, m[1]+"]") {
				ts.Fatalf("the usage of %s leaves out %s: %s", c.name, m[1], usage)
			}
		}
	}
}

// freeport VAR sets a variable to a port of the loopback address that is free.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport var")
	}
	ln := listen(ts)
	ts.Setenv(args[0], port(ln))
	ts.Check(ln.Close())
}

// occupy VAR is freeport, but the port stays taken until the script ends.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy var")
	}
	ln := listen(ts)
	ts.Defer(func() { _ = ln.Close() })
	ts.Setenv(args[0], port(ln))
}

func listen(ts *testscript.TestScript) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	ts.Check(err)
	return ln
}

func port(ln net.Listener) string { return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port) }

// ready URL waits until a bus that was started says that all of it works.
func awaitReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready url")
	}
	client := &http.Client{Timeout: 5 * time.Second}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		resp, err := client.Get(args[0] + "/readyz") //nolint:noctx // the client has a time-out
		if err != nil {
			continue
		}
		ok := resp.StatusCode == http.StatusOK
		ts.Check(resp.Body.Close())
		if ok {
			return
		}
	}
	ts.Fatalf("%s is not ready", args[0])
}

// awaits URL PATTERN gets a page until it has a line that the pattern fits.
func awaits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: awaits url pattern")
	}
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	client := &http.Client{Timeout: 5 * time.Second}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		resp, err := client.Get(args[0]) //nolint:noctx // the client has a time-out
		if err != nil {
			continue
		}
		b, err := io.ReadAll(resp.Body)
		ts.Check(errors.Join(err, resp.Body.Close()))
		if last = string(b); want.MatchString(last) {
			return
		}
	}
	ts.Fatalf("%s never had a line like %s; at last it was\n%s", args[0], args[1], last)
}
