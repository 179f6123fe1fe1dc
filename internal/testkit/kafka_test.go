package testkit

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

func TestKafka(t *testing.T) {
	b := Kafka(t)
	if err := kafkaReady(b.Addr); err != nil {
		t.Errorf("the shared broker is not ready: %v", err)
	}
	if again := Kafka(t); again.Addr != b.Addr || again.Name == b.Name {
		t.Errorf("second call: got %s %s, want the same broker and another name", again.Addr, again.Name)
	}
}

func TestKafkaKillAndRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a broker of its own: run without -short")
	}
	t.Parallel()
	b, proxy := KafkaBehindProxy(t)
	if err := kafkaReady(b.Addr); err != nil {
		t.Errorf("through the proxy: %v", err)
	}
	b.Kill(t)
	if err := kafkaReady(b.Addr); err == nil {
		t.Error("a killed broker answers")
	}
	b.Restart(t)
	if err := kafkaReady(b.Addr); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	proxy.Cut()
	if err := kafkaReady(b.Addr); err == nil {
		t.Error("the broker answers through a cut line")
	}
}

// echo answers each 4-byte request with itself.
func echo(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

func call(t *testing.T, conn net.Conn, n uint32, patience time.Duration) error {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(binary.BigEndian.AppendUint32(nil, n)); err != nil {
		return err
	}
	var got [4]byte
	if _, err := io.ReadFull(conn, got[:]); err != nil {
		return err
	}
	if g := binary.BigEndian.Uint32(got[:]); g != n {
		t.Errorf("answer %d to request %d", g, n)
	}
	return nil
}

func TestFaultProxy(t *testing.T) {
	t.Parallel()
	proxy := NewFaultProxy(t, echo(t))
	dial := func() net.Conn {
		t.Helper()
		var d net.Dialer
		conn, err := d.DialContext(t.Context(), "tcp", proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	const long, short = 10 * time.Second, 100 * time.Millisecond
	ok := func(conn net.Conn, n uint32) {
		t.Helper()
		if err := call(t, conn, n, long); err != nil {
			t.Errorf("call %d: %v", n, err)
		}
	}
	bad := func(conn net.Conn, n uint32, patience time.Duration) {
		t.Helper()
		if err := call(t, conn, n, patience); err == nil {
			t.Errorf("call %d went through", n)
		}
	}

	conn := dial()
	ok(conn, 1)
	match := func(request []byte) bool { return bytes.Equal(request, []byte{0, 0, 0, 7}) }
	dropped := proxy.DropResponse(1, match)
	ok(conn, 2)
	bad(conn, 7, long)
	if dropped.Load() != 1 {
		t.Errorf("dropped %d answers, want 1", dropped.Load())
	}
	ok(dial(), 7)

	conn = dial()
	late := proxy.DelayRequest(1, 300*time.Millisecond, match)
	start := time.Now()
	ok(conn, 7)
	if took := time.Since(start); took < 300*time.Millisecond || late.Load() != 1 {
		t.Errorf("a delayed request took %v", took)
	}

	proxy.HalfClose()
	bad(conn, 3, short)
	proxy.Heal()
	ok(dial(), 4)

	conn = dial()
	ok(conn, 5)
	proxy.Cut()
	bad(conn, 6, long)
	bad(dial(), 6, long)
	proxy.Heal()
	ok(dial(), 6)
}
