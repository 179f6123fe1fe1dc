package kafka_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

// ownerEnv makes TestOwnerProcess an owner: broker, source and topic.
const ownerEnv = "OSLCBUS_TEST_KAFKA_OWNER"

// TestOwnerProcess is run in a process of its own by TestFrozenOwner and
// TestKilledOwner. It owns a source, says where it goes on, and appends changes
// until it is shut out.
func TestOwnerProcess(t *testing.T) {
	args := strings.Fields(os.Getenv(ownerEnv))
	if len(args) != 3 {
		t.Skip("run by TestFrozenOwner in a process of its own")
	}
	addr, source, topic := args[0], args[1], args[2]
	l := open(t, kafka.Config{Brokers: []string{addr}}, kafka.Options{})
	p := own(t, l, source, topic)
	fmt.Println("owner from", after(t, p))
	for n, i := 1, after(t, p); ; n, i = n+1, i+3 {
		if err := p.Append(within(t), changes(source, topic, i, i+3)...); err != nil {
			fmt.Println("owner ended:", oslc.KindOf(err))
			return
		}
		if n%10 == 0 {
			fmt.Println("owner at", i)
		}
	}
}

// ownerProcess starts this test binary as an owner.
type ownerProcess struct {
	cmd   *exec.Cmd
	lines chan string
}

func startOwner(t *testing.T, addr, source, topic string) *ownerProcess {
	t.Helper()
	o := &ownerProcess{
		cmd:   exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOwnerProcess$", "-test.timeout=120s"),
		lines: make(chan string, 1000),
	}
	o.cmd.Env = append(os.Environ(), ownerEnv+"="+strings.Join([]string{addr, source, topic}, " "))
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(o.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			o.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = o.cmd.Process.Kill()
		<-done
		_ = o.cmd.Wait()
	})
	return o
}

// until waits for a line that begins with prefix.
func (o *ownerProcess) until(t *testing.T, prefix string) string {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case line, ok := <-o.lines:
			if !ok {
				t.Fatalf("the owner ended without %q", prefix)
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-deadline:
			t.Fatalf("the owner does not say %q", prefix)
		}
	}
}

// An owner is frozen in the middle of its work, another takes over, and then the
// first one goes on.
func TestFrozenOwner(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes: run without -short")
	}
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		l := open(t, kafka.Config{Brokers: []string{addr}}, kafka.Options{})
		source, topic := name+"-frozen", name+"-frozen"
		total := 0
		for range 3 {
			o := startOwner(t, addr, source, topic)
			o.until(t, "owner at")
			if err := testkit.PauseProcess(o.cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			p := own(t, l, source, topic)
			at := after(t, p)
			if at <= total {
				t.Errorf("the new owner goes on with %d after %d", at, total)
			}
			if err := p.Append(within(t), changes(source, topic, at, at+7)...); err != nil {
				t.Fatal(err)
			}
			if err := testkit.ResumeProcess(o.cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			if line := o.until(t, "owner ended"); line != "owner ended: conflict" {
				t.Errorf("the frozen owner says %q, want conflict", line)
			}
			total = at + 9
			if err := p.Append(within(t), changes(source, topic, at+7, total)...); err != nil {
				t.Fatal(err)
			}
		}
		wantOnce(t, l, source, topic, total, 1)
	})
}

// Owners are killed at random moments, one after the other.
func TestKilledOwner(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes: run without -short")
	}
	t.Parallel()
	each(t, func(t *testing.T, addr, name string) {
		l := open(t, kafka.Config{Brokers: []string{addr}, Partitions: 3}, kafka.Options{})
		source, topic := name+"-killed", name+"-killed"
		own(t, l, source, topic) // makes the topic
		for i := range 4 {
			o := startOwner(t, addr, source, topic)
			o.until(t, "owner at")
			<-time.After(time.Duration(i*i) * 7 * time.Millisecond)
			if err := o.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		p := own(t, l, source, topic)
		total := after(t, p) + 5
		if err := p.Append(within(t), changes(source, topic, total-5, total)...); err != nil {
			t.Fatal(err)
		}
		wantOnce(t, l, source, topic, total, 3)
	})
}

// clock is a time that tests move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// An owner that was silent for long asks whether it still is the owner before it
// writes: the partitions may have forgotten that it was shut out.
func TestLongSilence(t *testing.T) {
	t.Parallel()
	b := testkit.Kafka(t)
	var c clock
	l := open(t, kafka.Config{Brokers: []string{b.Addr}}, kafka.Options{Now: c.now})
	source, topic := b.Name+"-silent", b.Name+"-silent"
	p := own(t, l, source, topic)
	total := 0
	write := func(p bus.Publisher) error {
		err := p.Append(within(t), changes(source, topic, total, total+2)...)
		if err == nil {
			total += 2
		}
		return err
	}
	for range 3 {
		if err := write(p); err != nil {
			t.Fatal(err)
		}
		c.advance(13 * time.Hour)
	}
	p2 := own(t, l, source, topic)
	c.advance(13 * time.Hour)
	if err := write(p); !errors.Is(err, oslc.Conflict) {
		t.Errorf("append of the old owner after a long silence: got %v, want kind conflict", err)
	}
	if err := write(p2); err != nil {
		t.Errorf("append of the owner after a long silence: %v", err)
	}
	if err := write(p2); err != nil {
		t.Error(err)
	}
	wantOnce(t, l, source, topic, total, 1)
}

// A source that wrote long ago is found behind the records of others, and the next
// look is short.
func TestCursorFarBack(t *testing.T) {
	t.Parallel()
	c := fake(t)
	l := open(t, kafka.Config{Brokers: c.ListenAddrs(), Partitions: 2}, kafka.Options{})
	quiet := own(t, l, "quiet", "t")
	if err := quiet.Append(within(t), changes("quiet", "t", 0, 3)...); err != nil {
		t.Fatal(err)
	}
	busy := own(t, l, "busy", "t")
	const others = 12_000
	for i := 0; i < others; i += 500 {
		if err := busy.Append(within(t), changes("busy", "t", i, i+500)...); err != nil {
			t.Fatal(err)
		}
	}
	fetched := func(fn func()) int {
		var n atomic.Int64
		h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Count: -1, Observe: true, When: func(kmsg.Request) bool {
			n.Add(1)
			return true
		}})
		defer h.Remove()
		fn()
		return int(n.Load())
	}
	look := func() {
		t.Helper()
		if got := after(t, own(t, l, "quiet", "t")); got != 3 {
			t.Errorf("the quiet source goes on with %d, want 3", got)
		}
	}
	far, near := fetched(look), fetched(look)
	if far <= near {
		t.Errorf("the first look took %d fetches, the next one %d", far, near)
	}
	if near > 4 {
		t.Errorf("a cursor near the end took %d fetches", near)
	}
	// A source that never wrote looks once at everything.
	for i, want := range []bool{true, false} {
		n := fetched(func() {
			if got := own(t, l, "new", "t").Cursor(); got != nil {
				t.Errorf("cursor of a new source is %q", got)
			}
		})
		if (n > 4) != want {
			t.Errorf("look %d of a new source took %d fetches", i, n)
		}
	}
	wantOnce(t, l, "busy", "t", others, 2)
}

// A cursor that moves alone is written once an hour.
func TestQuietCursor(t *testing.T) {
	t.Parallel()
	c := fake(t)
	var now clock
	l := open(t, kafka.Config{Brokers: c.ListenAddrs()}, kafka.Options{Now: now.now})
	p := own(t, l, "s", "t")
	end := func() int64 { return c.PartitionInfo("t", 0).HighWatermark }
	move := func(cursor string) {
		t.Helper()
		if err := p.Append(within(t), bus.Record{Cursor: []byte(cursor)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Append(within(t), change("s", "t", 0)); err != nil {
		t.Fatal(err)
	}
	before := end()
	for i := range 100 {
		move(fmt.Sprint("a", i))
	}
	if got := end(); got != before {
		t.Errorf("%d records were written for cursors alone, want none within the hour", got-before)
	}
	now.advance(time.Hour)
	move("b")
	move("c")
	if got := end(); got != before+1 {
		t.Errorf("%d records were written for cursors alone, want 1 after an hour", got-before)
	}
	if got := string(own(t, l, "s", "t").Cursor()); got != "b" {
		t.Errorf("cursor of the next owner is %q, want the b that was written", got)
	}
}

// Nothing listens yet. Calls wait, the outage is logged once, and all goes on when
// the broker comes.
func TestBrokerComesLate(t *testing.T) {
	t.Parallel()
	proxy := testkit.NewFaultProxy(t, "")
	proxy.Cut()
	var lines countingHandler
	l := open(t, kafka.Config{Brokers: []string{proxy.Addr()}}, kafka.Options{Dial: proxy.Dial, Logger: lines.logger()})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := l.Ping(ctx); !errors.Is(err, oslc.Unavailable) {
		t.Errorf("ping: got %v, want kind unavailable", err)
	}
	if _, err := l.Own(ctx, "s", "t"); !errors.Is(err, oslc.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("own: got %v, want kind unavailable and the end of the context", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		p := own(t, l, "s", "t")
		if err := p.Append(within(t), changes("s", "t", 0, 5)...); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		r, err := l.Open(within(t), "t", bus.From{Group: "g"})
		if err != nil {
			t.Error(err)
			return
		}
		for range 5 {
			if _, err := r.Next(within(t)); err != nil {
				t.Error(err)
			}
		}
	})
	for deadline := time.Now().Add(20 * time.Second); lines.count("kafka is away") == 0; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is logged")
		}
	}
	proxy.SetTarget(fake(t).ListenAddrs()[0])
	proxy.Heal()
	wg.Wait()
	if err := l.Ping(within(t)); err != nil {
		t.Errorf("ping: %v", err)
	}
	if away, back := lines.count("kafka is away"), lines.count("kafka is back"); away > 2 || back > 2 || back == 0 {
		t.Errorf("one outage: logged %d times that it began, %d that it ended", away, back)
	}
}
