package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/sqlite/sqlitetest"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

// program is the built program, running on a folder.
type program struct {
	b    *testing.B
	cmd  *exec.Cmd
	base string
	log  bytes.Buffer
	took time.Duration // until it was ready
}

// build makes the program, once for a benchmark.
func build(b *testing.B) string {
	b.Helper()
	bin := filepath.Join(b.TempDir(), "oslcbus")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./cmd/oslcbus")
	cmd.Dir, cmd.Env = testkit.Root(b), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// run starts the program with a configuration and waits until it is ready.
func run(b *testing.B, bin, base, config string) *program {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bus.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	p := &program{b: b, base: base}
	p.cmd = exec.CommandContext(b.Context(), bin, "serve", "-config", path)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	begun := time.Now()
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	for p.get("/readyz", nil) != http.StatusOK {
		if time.Since(begun) > patience {
			p.stop()
			b.Fatalf("it is not ready:\n%s", p.log.String())
		}
		time.Sleep(time.Millisecond)
	}
	p.took = time.Since(begun)
	return p
}

// freePort returns an address that nobody listens on.
func freePort(b *testing.B) string {
	b.Helper()
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (p *program) get(path string, body io.Writer) int {
	r, err := http.NewRequestWithContext(p.b.Context(), http.MethodGet, p.base+path, http.NoBody)
	if err != nil {
		p.b.Fatal(err)
	}
	r.Header.Set("Accept", "application/rdf+xml")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if body == nil {
		body = io.Discard
	}
	if _, err := io.Copy(body, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

// memory returns the resident memory of the program in MB, now and at most.
func (p *program) memory() (now, most float64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.b.Skip("there is no /proc")
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			now = kb / 1024
		case "VmHWM:":
			most = kb / 1024
		}
	}
	return now, most
}

func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// BenchmarkStart measures the built program on a data folder with 1,000,000 tracked
// resources, or as many as OSLCBUS_BENCH_MEMBERS says: how long it takes until it is
// ready, and its memory then and after a client has read the whole base.
func BenchmarkStart(b *testing.B) {
	members := benchSize("OSLCBUS_BENCH_MEMBERS", 1_000_000)
	bin, dir, addr := build(b), b.TempDir(), freePort(b)
	base := "http://" + addr
	if err := sqlitetest.Views(b.Context(), filepath.Join(dir, "oslcbus.db"), sqlitetest.Fill{Set: "bus", Base: base, Members: members, Changes: members}); err != nil {
		b.Fatal(err)
	}
	config := fmt.Sprintf("listen: %s\ndata: %q\n", addr, dir)
	for range b.N {
		p := run(b, bin, base, config)
		idle, _ := p.memory()
		begun, pages := time.Now(), 0
		for next := "/trs/bus/base"; next != ""; pages++ {
			var body bytes.Buffer
			if code := p.get(next, &body); code != http.StatusOK {
				b.Fatalf("%s: %d\n%s", next, code, p.log.String())
			}
			next = ""
			if _, rest, ok := strings.Cut(body.String(), `<ldp:nextPage rdf:resource="`+base); ok {
				next, _, _ = strings.Cut(rest, `"`)
			}
		}
		if want := int(members+499) / 500; pages != want {
			b.Fatalf("the base has %d pages, want %d", pages, want)
		}
		now, most := p.memory()
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(p.took.Seconds()*1000, "ms-to-ready")
		b.ReportMetric(idle, "MB-ready")
		b.ReportMetric(now, "MB-base-read")
		b.ReportMetric(most, "MB-most")
		b.ReportMetric(time.Since(begun).Seconds(), "s-base")
		p.stop()
	}
}

// waitFor polls a set until it has a change with an order.
func (p *program) waitFor(ctx context.Context, set string, order int64) {
	want := fmt.Sprintf(">%d</trs:order>", order)
	for {
		var body bytes.Buffer
		p.get("/trs/"+set, &body)
		if strings.Contains(body.String(), want) {
			return
		}
		select {
		case <-ctx.Done():
			p.b.Fatalf("order %d did not come:\n%s", order, p.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
