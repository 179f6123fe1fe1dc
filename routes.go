package oslcbus

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/web"
)

// routes is the whole HTTP surface, one line a path. It is the only place that
// knows the router.
func (e *Engine) routes() (http.Handler, error) {
	r := mux.NewRouter().UseEncodedPath().SkipClean(true)
	s, err := e.oslcServer()
	if err != nil {
		return nil, err
	}
	t := e.trsServer(s)
	metrics := promhttp.HandlerFor(e.opts.Gatherer, promhttp.HandlerOpts{})

	open := func(path string, h server.HandlerFunc) { e.get(r, path, h) }
	read := func(path string, h server.HandlerFunc) { e.get(r, path, e.guard.need(Reader, h)) }
	// write is for paths that answer to other methods too and say themselves to which.
	write := func(path string, h server.HandlerFunc) { e.handle(r, path, e.reading(readOnly, h)) }

	open("/healthz", e.healthz)
	open("/readyz", e.readyz)
	open("/rootservices", s.RootServices)
	open("/.well-known/oslc/rootservices.xml", s.RootServices)
	open("/.well-known/oslc/sp-catalog", s.Catalog)
	e.handle(r, "/oauth/{endpoint}", s.OAuth)
	e.handle(r, "/hooks/{connection}", e.hook) // their senders sign what they send
	read("/metrics", func(w http.ResponseWriter, r *http.Request) error { metrics.ServeHTTP(w, r); return nil })
	admin := func(path string, h http.HandlerFunc) {
		e.get(r, path, e.guard.need(Admin, func(w http.ResponseWriter, r *http.Request) error { h(w, r); return nil }))
	}
	admin("/debug/pprof/profile", pprof.Profile)
	admin("/debug/pprof/trace", pprof.Trace)
	admin("/debug/pprof/cmdline", pprof.Cmdline)
	admin("/debug/pprof/symbol", pprof.Symbol)
	admin("/debug/pprof/{profile:[a-z]*}", pprof.Index)
	for path, h := range map[string]server.HandlerFunc{
		"/dlq":                              e.letters.list,
		"/dlq/{topic}/{partition}/{offset}": e.letters.one,
		"/dlq/{topic}/{partition}/{offset}/retry": e.letters.again,
	} {
		e.handle(r, path, e.guard.need(Admin, h))
	}
	read("/connections", e.listConnections)
	e.handle(r, "/connections/{name}/pause", e.guard.need(Admin, e.pauseConnection(true)))
	e.handle(r, "/connections/{name}/resume", e.guard.need(Admin, e.pauseConnection(false)))
	open("/web/style.css", web.Style)
	open("/web/{file}", func(w http.ResponseWriter, r *http.Request) error { return s.Static(w, r, param(r, "file")) })
	read("/", e.start())
	read("/services/catalog", s.Catalog)

	provider := func(w http.ResponseWriter, r *http.Request) error { return s.Provider(w, r, param(r, "provider")) }
	collection := func(w http.ResponseWriter, r *http.Request) error {
		return s.Collection(w, r, param(r, "provider"), param(r, "collection"))
	}
	resource := func(w http.ResponseWriter, r *http.Request) error {
		return s.Resource(w, r, param(r, "provider"), param(r, "collection"), param(r, "id"))
	}
	read("/services/{provider}", provider)
	read("/services/{provider}/shapes/{collection}", func(w http.ResponseWriter, r *http.Request) error {
		return s.Shape(w, r, param(r, "provider"), param(r, "collection"), false)
	})
	read("/services/{provider}/shapes/{collection}/query", func(w http.ResponseWriter, r *http.Request) error {
		return s.Shape(w, r, param(r, "provider"), param(r, "collection"), true)
	})
	write("/services/{provider}/dialogs/{collection}/{dialog}", func(w http.ResponseWriter, r *http.Request) error {
		return s.Dialog(w, r, param(r, "provider"), param(r, "collection"), param(r, "dialog"))
	})
	write("/services/{provider}/dialogs/{collection}/{dialog}/page", func(w http.ResponseWriter, r *http.Request) error {
		return s.DialogPage(w, r, param(r, "provider"), param(r, "collection"), param(r, "dialog"))
	})
	e.handle(r, "/services/{provider}/{collection}", e.reading(server.IsQuery, collection))
	write("/services/{provider}/{collection}/{id}", resource)
	write("/services/{provider}/{collection}/{id}/actions/{action}", func(w http.ResponseWriter, r *http.Request) error {
		return s.Act(w, r, param(r, "provider"), param(r, "collection"), param(r, "id"), param(r, "action"))
	})
	write("/services/{provider}/{collection}/{id}/compact", func(w http.ResponseWriter, r *http.Request) error {
		return s.Compact(w, r, param(r, "provider"), param(r, "collection"), param(r, "id"))
	})
	write("/services/{provider}/{collection}/{id}/preview/{size}", func(w http.ResponseWriter, r *http.Request) error {
		return s.Preview(w, r, param(r, "provider"), param(r, "collection"), param(r, "id"), param(r, "size"))
	})

	read("/skipped", e.skipped)
	read("/events", e.events)
	for path, h := range map[string]server.HandlerFunc{
		"/events/subscriptions":             e.hooks.all,
		"/events/subscriptions/{id}":        e.hooks.one,
		"/events/subscriptions/{id}/{what}": e.hooks.act,
	} {
		e.handle(r, path, e.guard.need(Admin, h))
	}
	read("/trs/{set}", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error { return t.Set(w, r, set) }))
	read("/trs/{set}/log/before/{order}", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error {
		return t.Segment(w, r, set, param(r, "order"))
	}))
	e.handle(r, "/trs/{set}/repair", e.guard.need(Admin, e.inSet(e.repair)))
	read("/trs/{set}/changes", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error { return t.Changes(w, r, set) }))
	read("/trs/{set}/changes/{order}", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error {
		return t.Change(w, r, set, param(r, "order"))
	}))
	read("/trs/{set}/base", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error { return t.Base(w, r, set) }))
	read("/trs/{set}/base/{cutoff}/{after}", e.inSet(func(w http.ResponseWriter, r *http.Request, set string) error {
		return t.BasePage(w, r, set, param(r, "cutoff"), param(r, "after"))
	}))

	// The paths of the StackStorm adapter that came before the bus.
	read("/service/serviceProviders/catalog", s.Catalog)
	read("/service/serviceProviders/{provider}", e.numbered(provider))
	e.handle(r, "/service/serviceProviders/{provider}/{collection}", e.reading(server.IsQuery, e.numbered(collection)))
	write("/service/serviceProviders/{provider}/{collection}/{id}", e.numbered(resource))
	read("/service/trackedResourceSet", e.moved(func(set string) string { return "/trs/" + set }))
	read("/service/baseResources", e.moved(func(set string) string { return "/trs/" + set + "/base" }))
	read("/service/changeLog/1", e.moved(func(set string) string { return "/trs/" + set }))
	write("/service/action", e.actions(s))
	write("/service/action/{id}", e.action)
	write("/actions", e.actions(s))
	write("/actions/{id}", e.action)

	r.NotFoundHandler = server.Handler(e.logger, func(_ http.ResponseWriter, r *http.Request) error {
		return oslc.Errorf("http", oslc.NotFound, "nothing is at %s", r.URL.Path)
	})
	return e.around(r), nil
}

func param(r *http.Request, name string) string { return mux.Vars(r)[name] }

// numbered lets a path name a provider by its place among those that have change
// requests, counted from 1, as the adapter that came before did. What is answered
// names everything as it is called here.
func (e *Engine) numbered(h server.HandlerFunc) server.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		vars := mux.Vars(r)
		if n, err := strconv.Atoi(vars["provider"]); err == nil {
			names := e.tracking()
			if n < 1 || n > len(names) {
				return oslc.Errorf("http", oslc.NotFound, "there is no service provider %d", n)
			}
			vars["provider"] = names[n-1]
		}
		return h(w, mux.SetURLVars(r, vars))
	}
}

// tracking returns the names of the connections that have change requests.
func (e *Engine) tracking() []string {
	var out []string
	for _, p := range e.connections() {
		for _, svc := range p.adapter.Provider.Services {
			if slices.ContainsFunc(svc.Collections, func(c oslc.Collection) bool { return c.Kind == "changeRequests" }) && !slices.Contains(out, p.name) {
				out = append(out, p.name)
			}
		}
	}
	return out
}

// moved leads to where something is now; to finds that from the name of the first
// tracked resource set. The documents there name themselves by that address.
func (e *Engine) moved(to func(set string) string) server.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		for _, p := range e.connections() {
			if slices.Contains(e.tracking(), p.name) && len(p.sets) > 0 {
				http.Redirect(w, r, e.cfg.BaseURL+to(p.sets[0]), http.StatusFound)
				return nil
			}
		}
		return oslc.Errorf("http", oslc.NotFound, "no connection has change requests")
	}
}

// actions takes requests, and leads to those that were made.
func (e *Engine) actions(s *server.Server) server.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodPost {
			return s.Ask(w, r)
		}
		if answered, err := server.Allow(w, r, http.MethodGet, http.MethodPost); answered || err != nil {
			return err
		}
		http.Redirect(w, r, e.cfg.BaseURL+"/services/"+automation.BusProvider+"/requests", http.StatusFound)
		return nil
	}
}

// action leads to a request.
func (e *Engine) action(w http.ResponseWriter, r *http.Request) error {
	if answered, err := server.Allow(w, r, http.MethodGet); answered || err != nil {
		return err
	}
	http.Redirect(w, r, e.cfg.BaseURL+"/services/"+automation.BusProvider+"/requests/"+param(r, "id"), http.StatusFound)
	return nil
}

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
	e.handle(r, path, func(w http.ResponseWriter, r *http.Request) error {
		if answered, err := server.Allow(w, r, http.MethodGet); answered || err != nil {
			return err
		}
		return h(w, r)
	})
}

// handle registers a path for every method.
func (e *Engine) handle(r *mux.Router, path string, h server.HandlerFunc) {
	handler := server.Handler(e.logger, h)
	r.Path(path).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec, ok := w.(*recorder); ok {
			rec.route = path
		}
		handler.ServeHTTP(w, r)
	})
}

// reading lets readers do what only reads, and writers the rest.
func (e *Engine) reading(only func(*http.Request) bool, h server.HandlerFunc) server.HandlerFunc {
	read, write := e.guard.need(Reader, h), e.guard.need(Writer, h)
	return func(w http.ResponseWriter, r *http.Request) error {
		if only(r) {
			return read(w, r)
		}
		return write(w, r)
	}
}

func readOnly(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
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

// noRoute is the route of what no route takes.
const noRoute = "none"

// around is what applies to every request, also to those that no route takes.
func (e *Engine) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		rec := &recorder{ResponseWriter: w, route: noRoute}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Server", "oslcbus")
		r = r.WithContext(oslc.WithTrace(r.Context(), oslc.TraceFromHeader(r.Header)))
		r, sp := e.tracer.serve(r)
		id := requestID(r)
		h.Set("X-Request-Id", id)
		r.Body = http.MaxBytesReader(rec, r.Body, server.MaxBody)
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					sp.answered(r.Method, rec.route, rec.code)
					panic(p)
				}
				e.logger.ErrorContext(r.Context(), "handler panicked", "path", r.URL.Path, "request", id, "err", p)
				if rec.code == 0 {
					server.WriteError(rec, r, oslc.Errorf("http", oslc.Internal, "panic"))
				}
			}
			sp.answered(r.Method, rec.route, rec.code)
			e.metrics.http.WithLabelValues(rec.route, strconv.Itoa(rec.code)).Inc()
			e.metrics.httpSeconds.WithLabelValues(rec.route).Observe(time.Since(started).Seconds())
		}()
		if !e.cors(rec, r) {
			next.ServeHTTP(rec, r)
		}
	})
}

// requestID is the client's own name for the request where it has a fit one, and
// else a new one: it is in the answer and in what is logged.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	fit := len(id) > 0 && len(id) <= 128
	for i := range len(id) {
		c := id[i]
		fit = fit && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if fit {
		return id
	}
	return rand.Text()
}
