package oslcbus_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/testkit"
)

// TestS6_GoSubscriber runs examples/subscriber in a process of its own.
func TestS6_GoSubscriber(t *testing.T) {
	t.Parallel()
	checkSubscriber(t, func(r *realRig) []string {
		return []string{build(t, "./examples/subscriber"), "-brokers", r.broker.Addr, "-topic", r.topic}
	}, "-group")
}

// TestS6_PythonSubscriber: a subscriber that shares nothing with the bus but
// Apache Kafka, CloudEvents and RDF prints the same.
func TestS6_PythonSubscriber(t *testing.T) {
	t.Parallel()
	python := testkit.Python(t)
	checkSubscriber(t, func(r *realRig) []string {
		return []string{python, "examples/subscriber/subscriber.py", "--brokers", r.broker.Addr, "--topic", r.topic}
	}, "--group")
}

// checkSubscriber runs a subscriber as two groups and restarts it.
func checkSubscriber(t *testing.T, command func(*realRig) []string, groupFlag string) {
	r := newRealRig(t, testkit.Kafka(t), ", partitions: 2")
	r.start()
	argv := command(r)
	run := func(group string) *child {
		return startChild(t, append(slices.Clone(argv), groupFlag, r.broker.Name+group)...)
	}
	id, _ := r.insert("plain")
	r.set(id, `{"enabled": false}`)
	r.set(id, `{"name": "née <Müller> & \"Söhne\""}`)
	r.set(id, `{"enabled": true}`)
	if err := r.db.Delete(t.Context(), rules, byID(id)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"creation\tplain\ttrue",
		"modification\tplain\tfalse",
		"modification\tnée <Müller> & \"Söhne\"\tfalse",
		"modification\tnée <Müller> & \"Söhne\"\ttrue",
		"deletion\tnée <Müller> & \"Söhne\"\ttrue",
	}
	first := run("one")
	if got := first.lines(len(want)); !slices.Equal(got, want) {
		t.Errorf("the subscriber printed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	first.interrupt()
	// The same group goes on: the next line is about what happened since.
	id, _ = r.insert("later")
	again := run("one")
	if got := again.lines(1); got[0] != "creation\tlater\ttrue" {
		t.Errorf("started again, the subscriber printed %q", got)
	}
	again.interrupt()
	// Another group gets each event too, those of one rule in order.
	r.set(id, `{"enabled": false}`)
	other := run("two")
	got := other.lines(len(want) + 2)
	byRule := slices.DeleteFunc(slices.Clone(got), func(l string) bool { return strings.Contains(l, "\tlater\t") })
	if !slices.Equal(byRule, want) {
		t.Errorf("another group printed\n%s", strings.Join(got, "\n"))
	}
	other.interrupt()
}

// build compiles a command of this module.
func build(t testing.TB, pkg string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return binary
}

// child is a process that prints lines.
type child struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    chan string
	stderr lockedBuffer
}

func startChild(t testing.TB, argv ...string) *child {
	t.Helper()
	s := &child{t: t, cmd: exec.CommandContext(t.Context(), argv[0], argv[1:]...), out: make(chan string, 100)}
	s.cmd.Stderr = &s.stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.out)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			s.out <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			for range s.out { // until its end
			}
			_ = s.cmd.Wait()
		}
	})
	return s
}

// lines waits for n lines.
func (s *child) lines(n int) []string {
	s.t.Helper()
	deadline := time.After(90 * time.Second)
	var got []string
	for len(got) < n {
		select {
		case line, ok := <-s.out:
			if !ok {
				s.t.Fatalf("it ended after %q:\n%s", got, &s.stderr)
			}
			got = append(got, line)
		case <-deadline:
			s.t.Fatalf("waited in vain for line %d after %q:\n%s", len(got)+1, got, &s.stderr)
		}
	}
	return got
}

// interrupt stops it as Ctrl-C does; it must have nothing more to say.
func (s *child) interrupt() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		s.t.Fatal(err)
	}
	var more []string
	for line := range s.out {
		more = append(more, line)
	}
	if err := s.cmd.Wait(); err != nil || len(more) > 0 {
		s.t.Errorf("interrupted, it ended with %v and printed %q:\n%s", err, more, &s.stderr)
	}
}
