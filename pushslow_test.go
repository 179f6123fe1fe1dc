package oslcbus_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus"
)

// narrow gives connections as little room as there can be, so that a client which takes
// nothing is noticed soon.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		err = tcp.SetWriteBuffer(1)
	}
	return c, err
}

// dialEvents asks for the stream and reads nothing of it.
func (r *rig) dialEvents() *net.TCPConn {
	r.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(r.t.Context(), "tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	tcp := conn.(*net.TCPConn)
	if err := tcp.SetReadBuffer(1); err != nil {
		r.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(tcp, "GET /events HTTP/1.1\r\nHost: %s\r\n\r\n", r.addr); err != nil {
		r.t.Fatal(err)
	}
	return tcp
}

func (r *rig) metric(line string) func() bool {
	return func() bool {
		_, body := r.get("/metrics")
		return strings.Contains(body, "\n"+line+"\n")
	}
}

// flood has so many changes happen that no buffer takes them.
func (r *rig) flood(rule map[string]any, uri string, n int) {
	r.t.Helper()
	before := len(r.seenOf(uri))
	for i := range n {
		rule["description"] = fmt.Sprint(before, " ", i)
		r.rest(http.MethodPut, "/"+fmt.Sprint(rule["id"]), rule)
	}
	r.eventually("the changes", func() bool { return len(r.seenOf(uri)) >= before+n })
}

// TestEvents_stalled: clients that take nothing, and one that takes a byte now and then,
// are dropped when they have room for nothing more; meanwhile others get everything.
func TestEvents_stalled(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.listener = func(ln net.Listener) net.Listener { return narrow{ln} }
	r.prepare = func(e *oslcbus.Engine) { oslcbus.PushWithin(e, time.Second) }
	r.start()
	const stuck = 8
	for range stuck {
		r.dialEvents()
	}
	slow := r.dialEvents()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 1)
		for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
			if _, err := slow.Read(b); err != nil {
				return
			}
		}
	}()
	good := r.listen("", "")
	r.eventually("all streams", r.metric(fmt.Sprintf("oslcbus_event_streams %d", stuck+2)))
	rule, uri := r.create("r")
	r.flood(rule, uri, 400)
	r.eventually("the good client to have everything", func() bool { return good.count() >= 401 })
	r.eventually("the others to be dropped", r.metric(fmt.Sprintf(`oslcbus_event_streams_dropped_total{reason="stalled"} %d`, stuck+1)))
	r.eventually("the good client alone", r.metric("oslcbus_event_streams 1"))
	_ = slow.Close()
	<-ended
}

// TestEvents_tooSlow: a client that falls behind what is kept is told so when it reads on.
func TestEvents_tooSlow(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5, keep_changes: 10}")
	r.prepare = func(e *oslcbus.Engine) { oslcbus.PushWithin(e, time.Hour) }
	r.listener = func(ln net.Listener) net.Listener { return narrow{ln} }
	r.start()
	slow := r.dialEvents()
	r.eventually("the stream", r.metric("oslcbus_event_streams 1"))
	rule, uri := r.create("r")
	r.flood(rule, uri, 400)
	r.eventually("the older changes to go", func() bool {
		resp, _ := r.get("/trs/st2/changes/300")
		return resp.StatusCode == http.StatusGone
	})
	lines, last := bufio.NewScanner(slow), ""
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			last = text
		}
		if strings.Contains(last, `"kind":"gone"`) {
			break
		}
	}
	if !strings.Contains(last, "too slow: the changes of st2 up to order") {
		t.Errorf("the stream ends with %q, %v", last, lines.Err())
	}
	r.eventually("it to be counted", r.metric(`oslcbus_event_streams_dropped_total{reason="behind"} 1`))
}
