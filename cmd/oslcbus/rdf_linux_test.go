package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Documents that are longer than the memory they may take: the most memory the
// command had (VmHWM) is looked at when all but the end of its input is read.
func TestConvertTakesBoundedMemory(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const (
		documentMB = 160
		allowedMB  = 150
	)
	triple := func(w io.Writer, i int) (int, error) {
		return fmt.Fprintf(w, "<http://ex.org/bugs/%d> <http://purl.org/dc/terms/title> \"%s %d\" .\n", i/8, strings.Repeat("x", 200), i)
	}
	for _, c := range []struct{ from, to, first string }{
		{"ntriples", "ntriples", "<http://ex.org/bugs/0> <http://purl.org/dc/terms/title> "},
		{"ntriples", "turtle", "@prefix rdf: "},
		{"turtle", "ntriples", "<http://ex.org/bugs/0> <http://purl.org/dc/terms/title> "},
	} {
		t.Run(c.from+" to "+c.to, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(exe, "rdf", "convert", "-from", c.from, "-to", c.to, "-") //nolint:noctx // it ends with its input
			cmd.Args[0] = "oslcbus"                                                       // TestMain makes it the program
			cmd.Env = append(os.Environ(), "GOMEMLIMIT=off", "GOGC=100")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait() //nolint:errcheck // for the case that the test has failed
			defer in.Close()
			type result struct {
				first string
				n     int64
				err   error
			}
			read := make(chan result, 1)
			go func() {
				r := bufio.NewReader(out)
				first, _ := r.Peek(len(c.first))
				res := result{first: string(first)}
				res.n, res.err = io.Copy(io.Discard, r)
				read <- res
			}()
			w := bufio.NewWriterSize(in, 1<<20)
			for i, n := 0, 0; n < documentMB<<20; i++ {
				k, err := triple(w, i)
				if err != nil {
					t.Fatalf("%v\n%s", err, stderr.Bytes())
				}
				n += k
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			most := highWater(t, cmd.Process.Pid)
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			res := <-read
			if err := cmd.Wait(); err != nil || res.err != nil || stderr.Len() > 0 {
				t.Fatalf("%v, %v\n%s", err, res.err, stderr.Bytes())
			}
			if res.first != c.first || res.n < documentMB<<19 {
				t.Errorf("%d bytes that start with %q", res.n, res.first)
			}
			if !raceEnabled && most > allowedMB<<10 {
				t.Errorf("it took %d KiB of memory", most)
			}
			t.Logf("%d MB of input, %d KiB of memory", documentMB, most)
		})
	}
}

var vmHWM = regexp.MustCompile(`VmHWM:\s+([0-9]+) kB`)

func highWater(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := vmHWM.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in\n%s", status)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
