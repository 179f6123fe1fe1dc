package oslcbus

import (
	"errors"
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/web"
)

// maxBody bounds a request body before a handler looks at it.
const maxBody = 4 << 20

// routes is the whole HTTP surface, one line a path. It is the only place that
// knows the router.
func (e *Engine) routes() http.Handler {
	r := mux.NewRouter().UseEncodedPath().SkipClean(true)
	s, t := e.oslcServer(), e.trsServer()
	metrics := promhttp.HandlerFor(e.opts.Gatherer, promhttp.HandlerOpts{})

	open := func(path string, h server.HandlerFunc) { e.get(r, path, h) }
	read := func(path string, h server.HandlerFunc) { e.get(r, path, e.guard.need(Reader, h)) }

	open("/healthz", e.healthz)
	open("/readyz", e.readyz)
	open("/rootservices", s.RootServices)
	open("/.well-known/oslc/rootservices.xml", s.RootServices)
	open("/.well-known/oslc/sp-catalog", s.Catalog)
	read("/metrics", func(w http.ResponseWriter, r *http.Request) error { metrics.ServeHTTP(w, r); return nil })
	admin := func(path string, h http.HandlerFunc) {
		e.get(r, path, e.guard.need(Admin, func(w http.ResponseWriter, r *http.Request) error { h(w, r); return nil }))
	}
	admin("/debug/pprof/profile", pprof.Profile)
	admin("/debug/pprof/trace", pprof.Trace)
	admin("/debug/pprof/cmdline", pprof.Cmdline)
	admin("/debug/pprof/symbol", pprof.Symbol)
	admin("/debug/pprof/{profile:[a-z]*}", pprof.Index)
	open("/web/style.css", web.Style)
	read("/", e.start())
	read("/services/catalog", s.Catalog)
	read("/services/{provider}", func(w http.ResponseWriter, r *http.Request) error {
		return s.Provider(w, r, param(r, "provider"))
	})
	read("/services/{provider}/{collection}", func(w http.ResponseWriter, r *http.Request) error {
		return s.Collection(w, r, param(r, "provider"), param(r, "collection"))
	})
	read("/services/{provider}/{collection}/{id}", func(w http.ResponseWriter, r *http.Request) error {
		return s.Resource(w, r, e.cfg.BaseURL+r.URL.EscapedPath())
	})
	read("/trs/{set}", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error { return t.Set(w, r, set) }))
	read("/trs/{set}/log/before/{order}", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error {
		return t.Segment(w, r, set, param(r, "order"))
	}))
	read("/trs/{set}/base", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error { return t.Base(w, r, set) }))
	read("/trs/{set}/base/{cutoff}/{after}", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error {
		return t.BasePage(w, r, set, param(r, "cutoff"), param(r, "after"))
	}))
	r.NotFoundHandler = server.Handler(e.logger, func(_ http.ResponseWriter, r *http.Request) error {
		return oslc.Errorf("http", oslc.NotFound, "nothing is at %s", r.URL.Path)
	})
	return e.around(r)
}

func param(r *http.Request, name string) string { return mux.Vars(r)[name] }

// inSet refuses names that are no tracked resource set.
func (e *Engine) inSet(h func(http.ResponseWriter, *http.Request, string) error) server.HandlerFunc {
	sets := e.sets()
	return func(w http.ResponseWriter, r *http.Request) error {
		set := param(r, "set")
		if !slices.Contains(sets, set) {
			return oslc.Errorf("http", oslc.NotFound, "no tracked resource set %q; there are: %s", set, strings.Join(sets, ", "))
		}
		return h(w, r, set)
	}
}

// get registers a path that can only be read. The router itself would answer
// HEAD and OPTIONS with 405 and say nothing of what is allowed.
func (e *Engine) get(r *mux.Router, path string, h server.HandlerFunc) {
	const allow = "GET, HEAD, OPTIONS"
	handler := server.Handler(e.logger, func(w http.ResponseWriter, r *http.Request) error {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			return h(w, r)
		case http.MethodOptions:
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		w.Header().Set("Allow", allow)
		return server.Statusf(http.StatusMethodNotAllowed, r.Method+" is not possible here; allowed are "+allow)
	})
	r.Path(path).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec, ok := w.(*recorder); ok {
			rec.route = path
		}
		handler.ServeHTTP(w, r)
	})
}

// recorder notes what was answered, for the metrics.
type recorder struct {
	http.ResponseWriter
	route string
	code  int
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// around is what applies to every request, also to those that no route takes.
func (e *Engine) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		rec := &recorder{ResponseWriter: w, route: "none"}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Server", "oslcbus")
		r.Body = http.MaxBytesReader(rec, r.Body, maxBody)
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				e.logger.ErrorContext(r.Context(), "handler panicked", "path", r.URL.Path, "err", p)
				if rec.code == 0 {
					server.WriteError(rec, r, oslc.Errorf("http", oslc.Internal, "panic"))
				}
			}
			e.metrics.http.WithLabelValues(rec.route, strconv.Itoa(rec.code)).Inc()
			e.metrics.httpSeconds.WithLabelValues(rec.route).Observe(time.Since(started).Seconds())
		}()
		next.ServeHTTP(rec, r)
	})
}
