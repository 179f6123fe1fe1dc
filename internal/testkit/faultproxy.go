package testkit

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A FaultProxy is a TCP proxy that can break the line between a client and a
// server in the ways in which real lines break. It assumes a protocol of requests
// and answers with one request at a time on a connection, as HTTP/1.1 and kafka-go
// have it.
type FaultProxy struct {
	listener net.Listener

	mu     sync.Mutex
	target string
	state  lineState
	rules  []*rule
	conns  map[net.Conn]bool
	wg     sync.WaitGroup
}

type lineState uint8

const (
	lineUp     lineState = iota
	lineCut              // connections are closed at once
	lineSilent           // requests pass, nothing comes back, nothing is closed
)

// A rule is a fault for some requests.
type rule struct {
	match func(request []byte) bool
	left  int
	hits  *atomic.Int64
	drop  bool
	delay time.Duration
}

// NewFaultProxy starts a proxy to the server at target that ends with the test.
func NewFaultProxy(tb testing.TB, target string) *FaultProxy {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &FaultProxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	tb.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// Addr is the address to connect to.
func (p *FaultProxy) Addr() string { return p.listener.Addr().String() }

// SetTarget changes the server for connections that are made from now on.
func (p *FaultProxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Dial connects through the proxy, whatever the address: for clients that are
// told by their server where to connect.
func (p *FaultProxy) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, p.Addr())
}

// Cut closes every connection, and new ones at once, until Heal.
func (p *FaultProxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = lineCut
	for c := range p.conns {
		_ = c.Close()
	}
}

// HalfClose lets requests pass and keeps every answer back, without closing
// anything, until Heal: what a lost route looks like. Connections that were made
// before Heal stay silent.
func (p *FaultProxy) HalfClose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = lineSilent
}

// Heal lets new connections work again and forgets all faults.
func (p *FaultProxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = lineUp
	p.rules = nil
}

// DropResponse lets the next n requests that match reach the server, swallows
// their answers and closes their connections. It returns how often it did.
func (p *FaultProxy) DropResponse(n int, match func(request []byte) bool) *atomic.Int64 {
	return p.add(&rule{match: match, left: n, drop: true})
}

// DelayRequest holds the next n requests that match back for d. They reach the
// server even when the client has given up meanwhile. It returns how often it did.
func (p *FaultProxy) DelayRequest(n int, d time.Duration, match func(request []byte) bool) *atomic.Int64 {
	return p.add(&rule{match: match, left: n, delay: d})
}

func (p *FaultProxy) add(r *rule) *atomic.Int64 {
	r.hits = new(atomic.Int64)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, r)
	return r.hits
}

// fault takes the first rule that fits a request.
func (p *FaultProxy) fault(request []byte) (rule, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rules {
		if r.left > 0 && r.match(request) {
			r.left--
			r.hits.Add(1)
			return *r, true
		}
	}
	return rule{}, false
}

func (p *FaultProxy) current() lineState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// keep remembers a connection so that Cut can close it; it closes it now while
// the line is cut.
func (p *FaultProxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == lineCut {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *FaultProxy) forget(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *FaultProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if !p.keep(client) {
			continue
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *FaultProxy) serve(client net.Conn) {
	defer p.forget(client)
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	d := net.Dialer{Timeout: 5 * time.Second}
	server, err := d.DialContext(context.Background(), "tcp", target)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.forget(server)

	var drop, silent, waiting atomic.Bool
	var answers sync.WaitGroup
	answers.Go(func() {
		// A silent line does not tell that its server has gone.
		defer func() {
			if !silent.Load() {
				_ = client.Close()
			}
		}()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if n > 0 {
				waiting.Store(false)
				if p.current() == lineSilent {
					silent.Store(true)
				}
				switch {
				case silent.Load():
				case drop.Load():
					return
				default:
					if _, err := client.Write(buf[:n]); err != nil {
						return
					}
				}
			}
			if err != nil {
				return
			}
		}
	})
	defer answers.Wait()
	defer func() { _ = server.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if n > 0 {
			// Only the first piece of a request is shown to the rules.
			if !waiting.Swap(true) {
				if r, ok := p.fault(buf[:n]); ok {
					drop.Store(r.drop)
					if r.delay > 0 {
						<-time.After(r.delay)
					}
				}
			}
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
