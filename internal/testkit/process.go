package testkit

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const pollEvery = 50 * time.Millisecond

// A process is a server under a shell that ends it when this process closes the
// shell's standard input, by intent or by dying.
type process struct {
	log string // the file that it writes to
	pid int

	shell *exec.Cmd
	stdin io.Closer
}

// supervise runs the command line and prints its pid; it ends the command when
// standard input ends.
const supervise = `"$@" >>"$OSLCBUS_LOG" 2>&1 </dev/null & pid=$!; echo $pid; read _; kill -9 $pid; wait $pid`

// run starts a command line and waits until ready has no error to tell. When that
// takes longer than patience, or the process ends, the error has the end of its log.
func (p *process) run(argv []string, ready func() error, patience time.Duration) error {
	// It outlives the call and ends with stdin, not with a context.
	p.shell = exec.CommandContext(context.Background(), "/bin/sh", append([]string{"-c", supervise, "sh"}, argv...)...)
	p.shell.Env = append(os.Environ(), "OSLCBUS_LOG="+p.log)
	stdin, err := p.shell.StdinPipe()
	if err != nil {
		return err
	}
	p.stdin = stdin
	stdout, err := p.shell.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.shell.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return err
	}
	if p.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(pollEvery) {
		if err = ready(); err == nil {
			return nil
		}
		if !alive(p.pid) {
			break
		}
	}
	return fmt.Errorf("%s did not start: %w\n%s", argv[0], err, p.logTail(2000))
}

// stop ends the process and waits for it; a second call does nothing.
func (p *process) stop() {
	if p.stdin == nil {
		return
	}
	_ = p.stdin.Close()
	// The shell reports the signal that it sent itself.
	_ = p.shell.Wait()
	p.stdin = nil
}

func (p *process) logTail(n int) []byte {
	log, _ := os.ReadFile(p.log)
	return log[max(0, len(log)-n):]
}

// onFreePort runs start with ports that were free, a few times: one may be taken
// before the server binds it.
func onFreePort(n int, start func(ports []string) error, stop func()) error {
	var err error
	for range 5 {
		ports := make([]string, n)
		for i := range ports {
			if ports[i], err = freePort(); err != nil {
				return err
			}
		}
		if err = start(ports); err == nil {
			return nil
		}
		stop()
	}
	return err
}

func freePort() (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// removeAtExit removes dir soon after what it returns is closed or this process is
// gone, however it ends.
func removeAtExit(dir string) (io.Closer, error) {
	janitor := exec.CommandContext(context.Background(), "/bin/sh", "-c",
		`read _; sleep 1; rm -rf "$1"; sleep 2; rm -rf "$1"`, "sh", dir)
	stdin, err := janitor.StdinPipe()
	if err != nil {
		return nil, err
	}
	return stdin, janitor.Start()
}
