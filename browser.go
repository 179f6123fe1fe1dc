package oslcbus

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// WebConfig says what pages of other servers may do in a browser.
type WebConfig struct {
	// Origins are those of the pages that may read and write by script (CORS), and
	// show dialogs and previews in a frame, such as https://elm.example.com. The
	// bus's own origin is always one, and without access control every page of this
	// machine.
	Origins []string `yaml:"origins"`
}

func (w *WebConfig) check(fail func(string, string, ...any) error) error {
	for _, o := range w.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || o != u.Scheme+"://"+u.Host || strings.ContainsAny(o, " ;,'*") {
			return fail("web.origins", "%q is no origin such as https://elm.example.com", o)
		}
	}
	return nil
}

// frameSources are the origins as a Content-Security-Policy has them.
func (e *Engine) frameSources() []string {
	out := slices.Clone(e.cfg.Web.Origins)
	if e.guard.open {
		out = append(out, "http://localhost:*", "http://127.0.0.1:*", "https://localhost:*", "https://127.0.0.1:*")
	}
	return out
}

// mayScript reports whether pages of the origin may read answers.
func (e *Engine) mayScript(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if base, err := url.Parse(e.cfg.BaseURL); err == nil && u.Scheme == base.Scheme && u.Host == base.Host {
		return true
	}
	if slices.Contains(e.cfg.Web.Origins, origin) {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return e.guard.open && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// Headers of the exchange between origins (CORE-11 to 13).
const (
	corsMethods = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
	corsHeaders = "Accept, Accept-Language, Authorization, Configuration-Context, Content-Type, If-Match, If-None-Match, OSLC-Core-Version, Prefer, Slug, X-Request-Id"
	corsExposed = "Accept-Post, Allow, ETag, Link, Location, OSLC-Core-Version, Preference-Applied, Warning, WWW-Authenticate, X-Request-Id"
)

// cors says what the page of another origin may do. It reports whether the request
// was a question about that, which it has answered. Credentials of the browser are
// never let in: a script sends its own.
func (e *Engine) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !e.mayScript(origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", corsExposed)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", "600")
	h.Set("OSLC-Core-Version", "2.0")
	w.WriteHeader(http.StatusNoContent)
	return true
}
