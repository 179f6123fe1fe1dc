package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/cloudevents"
	"github.com/oslcbus/oslcbus/oslc"
)

// Config says where a Sender may send.
type Config struct {
	// Allow are the hosts and networks of loopback and private addresses that may be
	// called, such as hooks.internal and 10.1.0.0/16. What is public may be called always.
	Allow []string
	// Within is how long a subscriber may take for its answer; 0 means 15 s.
	Within time.Duration
	// UserAgent is what the sender calls itself.
	UserAgent string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Sender delivers events.
type Sender struct {
	cfg   Config
	hosts []string
	nets  []netip.Prefix
	http  *http.Client
}

// New checks the configuration. It does no I/O.
func New(cfg Config) (*Sender, error) {
	s := &Sender{cfg: cfg}
	if s.cfg.Within <= 0 {
		s.cfg.Within = 15 * time.Second
	}
	if s.cfg.Now == nil {
		s.cfg.Now = time.Now
	}
	for _, a := range cfg.Allow {
		if p, err := netip.ParsePrefix(a); err == nil {
			s.nets = append(s.nets, p.Masked())
		} else if ip, err := netip.ParseAddr(a); err == nil {
			s.nets = append(s.nets, netip.PrefixFrom(ip, ip.BitLen()))
		} else if a == "" || strings.ContainsAny(a, "/: @*") {
			return nil, oslc.Errorf("webhook.allow", oslc.Invalid, "%q is neither a host, an address nor a network such as 10.1.0.0/16", a)
		} else {
			s.hosts = append(s.hosts, strings.ToLower(a))
		}
	}
	tr := &http.Transport{
		DialContext: s.dial, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 2,
		IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
	}
	s.http = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s, nil
}

// Close closes connections that are idle.
func (s *Sender) Close() { s.http.CloseIdleConnections() }

// CheckURL refuses with kind Invalid what no subscriber can have as its address. Where
// its name leads is seen when it is called.
func (s *Sender) CheckURL(text string) error {
	const op = "webhook.url"
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(text) > 2000 {
		return oslc.Errorf(op, oslc.Invalid, "the url must be an http or https address of at most 2000 bytes, without credentials and fragment")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !s.allowedIP(ip) {
		return oslc.Errorf(op, oslc.Invalid, "%s is not public and not among webhooks.allow", ip)
	}
	if name := strings.ToLower(u.Hostname()); (name == "localhost" || strings.HasSuffix(name, ".localhost")) && !s.loopbackAllowed(name) {
		return oslc.Errorf(op, oslc.Invalid, "%s is not public and not among webhooks.allow", name)
	}
	return nil
}

func (s *Sender) loopbackAllowed(name string) bool {
	return slices.Contains(s.hosts, name) || s.allowedIP(netip.MustParseAddr("127.0.0.1")) || s.allowedIP(netip.IPv6Loopback())
}

// notPublic are networks that IsPrivate and its like do not name: carrier NAT, the
// zero network, tests and documentation, translation, multicast and what is reserved.
var notPublic = func() (out []netip.Prefix) {
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}()

func (s *Sender) allowedIP(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	in := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	if in(s.nets) {
		return true
	}
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !in(notPublic)
}

var errNotAllowed = errors.New("the address is not public and not among webhooks.allow")

// dial connects to addresses that may be called. The check is made on the address that
// is connected to: a name that is looked up twice may lead to two.
func (s *Sender) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	if !slices.Contains(s.hosts, strings.ToLower(host)) {
		d.Control = func(_, to string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(to)
			if err != nil || !s.allowedIP(at.Addr()) {
				return fmt.Errorf("%s: %w", to, errNotAllowed)
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, address)
}

// Event tells about a delivery that was tried.
type Event struct {
	// Status is the answer's, 0 without one.
	Status int
	Took   time.Duration
}

// longestPause bounds what a subscriber can ask for with Retry-After.
const longestPause = time.Hour

// Send delivers a message once, signed with each of the secrets. An error has the kind
// NotFound when the subscriber wants nothing any more (410), Denied when its address
// must not be called, Limited when it asks for a pause, and else Unavailable. Every
// answer but 2xx is one, also a redirect, which is not followed.
func (s *Sender) Send(ctx context.Context, url string, structured bool, m bus.Message, secrets ...Secret) (Event, error) {
	const op = "webhook.send"
	if err := s.CheckURL(url); err != nil {
		return Event{}, oslc.E(op, err, oslc.Denied)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Within)
	defer cancel()
	r, body, err := cloudevents.Request(ctx, m, url, structured)
	if err != nil {
		return Event{}, err
	}
	r.Header.Set("User-Agent", s.cfg.UserAgent)
	oslc.SetTrace(r)
	begun := s.cfg.Now()
	if len(secrets) > 0 {
		Sign(r.Header, m.ID(), begun, body, secrets...)
	}
	resp, err := s.http.Do(r)
	out := Event{Took: s.cfg.Now().Sub(begun)}
	if err != nil {
		if errors.Is(err, errNotAllowed) {
			return out, oslc.E(op, errNotAllowed, oslc.Denied)
		}
		return out, oslc.E(op, err, oslc.Unavailable)
	}
	// Some of the body is read, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
	out.Status, out.Took = resp.StatusCode, s.cfg.Now().Sub(begun)
	if resp.StatusCode/100 == 2 {
		return out, nil
	}
	e := &oslc.Error{Op: op, Kind: oslc.Unavailable, Err: fmt.Errorf("the subscriber answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}
	switch resp.StatusCode {
	case http.StatusGone:
		e.Kind = oslc.NotFound
	case http.StatusTooManyRequests:
		e.Kind = oslc.Limited
	}
	e.RetryAfter = s.retryAfter(resp.Header.Get("Retry-After"))
	return out, e
}

func (s *Sender) retryAfter(text string) time.Duration {
	seconds, err := strconv.Atoi(text)
	d := time.Duration(min(max(seconds, 0), int(longestPause/time.Second))) * time.Second
	if at, fail := http.ParseTime(text); err != nil && fail == nil {
		d = at.Sub(s.cfg.Now())
	}
	return min(max(d, 0), longestPause)
}
