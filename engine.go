package oslcbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
)

// Options are what a Go program gives an Engine.
type Options struct {
	// Adapters are the kinds of connections there are; adapters/all has those that
	// ship.
	Adapters adapters.Registry
	// Logger gets the log; nil discards it.
	Logger *slog.Logger
	// Registerer and Gatherer take and give the metrics; nil means a registry of
	// the engine's own.
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	// Listener serves HTTP; nil means a new one on Config.Listen.
	Listener net.Listener
	// Observe, when set, is called for every event that was folded into the views
	// since the start, in the order of each topic.
	Observe func(provider string, e *oslc.Event)
	// Version is what the server calls itself.
	Version string
	// TracerProvider makes spans of what the engine does, in the traces that the records
	// are in; nil makes none. One of the SDK should have SpanIDs as its generator of ids.
	TracerProvider trace.TracerProvider
	// Now is the clock for what is kept for a time, and for how old a base is; nil means
	// time.Now.
	Now func() time.Time
}

// An Engine is the assembled program.
type Engine struct {
	cfg       Config
	opts      Options
	logger    *slog.Logger
	providers []*provider // the last one is the bus itself
	rules     atomic.Pointer[automation.Rules]
	scope     automation.Scope // of the rules
	first     firstRules
	watch     *ruleWatch
	reload    reload
	guard     *guard
	metrics   *metrics
	tracer    *tracer // nil when nobody wants spans
	status    *status
	parser    format.Parser
	kafka     kafka.Config

	ready chan struct{}
	addr  string

	db      *sqlite.DB
	views   *sqlite.Views
	cache   *sqlite.Cache
	log     bus.Log
	asker   *asker
	push    *pusher
	letters *letters
	hooks   *hooks
	works   works

	spoil func(bus.Log) bus.Log // tests let the log fail
}

// provider is a connection, or the bus itself, with its place on the log.
type provider struct {
	name    string
	topic   TopicConfig
	limits  Connection
	retry   bus.Retry
	gate    *gate // nil for the bus itself
	adapter adapters.Adapter
	inbox   *inbox // of a connection that is sent things
	uri     string
	sets    []string     // per partition
	burst   atomic.Int64 // when the source last had more than fits one append, in Unix ms
	// interrupt ends the run of the source that is in progress here; nil without one.
	interrupt atomic.Pointer[context.CancelCauseFunc]
}

// New checks the configuration and assembles the engine. It does no I/O but
// reading the files of secrets and rules; an error has kind Invalid.
func New(cfg Config, opts Options) (*Engine, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, opts: opts, logger: opts.Logger, ready: make(chan struct{}), status: newStatus(), push: newPusher()}
	if e.logger == nil {
		e.logger = slog.New(slog.DiscardHandler)
	}
	e.logger = slog.New(oslc.TraceHandler{Handler: e.logger.Handler()})
	if opts.Registerer == nil || opts.Gatherer == nil {
		reg := prometheus.NewRegistry()
		e.opts.Registerer, e.opts.Gatherer = reg, reg
	}
	e.metrics = newMetrics(e.opts.Registerer)
	e.tracer = newTracer(opts.TracerProvider, opts.Version)
	var err error
	if e.guard, err = newGuard(cfg.Access); err != nil {
		return nil, cfg.errorAt("access", err)
	}
	if len(cfg.Kafka.Brokers) > 0 {
		if e.kafka, err = cfg.Kafka.driver(); err == nil {
			_, err = kafka.New(e.kafka, kafka.Options{}) // it checks, and does no I/O
		}
		if fe, ok := errors.AsType[*kafka.FieldError](err); ok {
			return nil, cfg.errorAt("kafka."+fe.Field, fe.Err)
		}
		if err != nil {
			return nil, cfg.errorAt("kafka", err)
		}
	}
	for _, name := range cfg.names() {
		p, err := e.connect(name)
		if err != nil {
			return nil, err
		}
		e.providers = append(e.providers, p)
	}
	self := e.place(automation.BusProvider, cfg.Requests)
	self.adapter.Provider = busProvider(cfg.Title)
	self.describe(cfg.BaseURL)
	e.providers = append(e.providers, self)
	if e.hooks, err = newHooks(e); err != nil {
		return nil, err
	}
	if _, err := e.oslcServer(); err != nil { // what adapters describe themselves with
		return nil, err
	}
	return e, e.compileRules()
}

func (e *Engine) place(name string, topic TopicConfig) *provider {
	p := &provider{name: name, topic: topic, uri: oslc.ProviderURI(e.cfg.BaseURL, name)}
	partitions := 1
	if len(e.cfg.Kafka.Brokers) > 0 {
		partitions = e.cfg.Kafka.Partitions
	}
	for i := range partitions {
		set := name
		if partitions > 1 {
			set = fmt.Sprintf("%s.%d", name, i)
		}
		p.sets = append(p.sets, set)
	}
	return p
}

// describe adds the tracked resource sets to the provider's description.
func (p *provider) describe(base string) {
	for _, set := range p.sets {
		p.adapter.Provider.Sets = append(p.adapter.Provider.Sets, trs.SetURI(base, set))
	}
}

func (e *Engine) connect(name string) (*provider, error) {
	conn := e.cfg.Connections[name]
	p := e.place(name, conn.TopicConfig)
	p.limits, p.retry = conn, conn.Retry.policy().WithDefaults()
	p.gate = newGate(conn, e.metrics.throttled.WithLabelValues(name))
	p.inbox = &inbox{e: e, name: name, topic: InboxTopic(p.topic.Topic)}
	var err error
	p.adapter, err = e.cfg.build(name, e.opts.Adapters, adapters.Options{
		Name:    name,
		BaseURL: e.cfg.BaseURL,
		State:   &lazyState{e: e, prefix: p.uri + "/"},
		Cache:   &lazyCache{e: e, source: name},
		Inbox:   p.inbox,
		Public:  e.cfg.public(),
		Logger:  e.logger.With("adapter", name),
		Metrics: counter{e.metrics, name},
	})
	if err != nil {
		return nil, err
	}
	if s, ok := p.adapter.Source.(adapters.Skipper); ok {
		skips(e.opts.Registerer, name, s)
	}
	p.adapter.Provider.Name = name
	if p.adapter.Source == nil {
		p.sets = nil // nothing of it is on the log
	}
	p.describe(e.cfg.BaseURL)
	if p.adapter.Provider.Title == "" {
		p.adapter.Provider.Title = name
	}
	return p, nil
}

// busProvider describes the provider that has the requests and results.
func busProvider(title string) oslc.ServiceProvider {
	return oslc.ServiceProvider{
		Name:        automation.BusProvider,
		Title:       title + " requests",
		Description: "What the bus asked tools to do, and how that ended",
		Services: []oslc.Service{{Domain: vocab.Auto, Collections: []oslc.Collection{
			{Kind: "requests", Title: "Requests", ResourceTypes: []string{vocab.AutoAutomationRequest}, Shape: requestShape()},
			{Kind: "results", Title: "Results", ResourceTypes: []string{vocab.AutoAutomationResult}, Shape: resultShape()},
			{Kind: connectionsKind, Title: "Connections that were paused or resumed", ResourceTypes: []string{vocab.BusConnectionClass}, Shape: connectionShape()},
		}}},
	}
}

func (e *Engine) compileRules() error {
	scope := automation.Scope{
		BaseURL:  e.cfg.BaseURL,
		Tools:    map[string][]automation.Action{},
		Prefixes: namespace,
		Prefixed: shorten,
		Known:    vocab.Known,
		Names:    vocab.Names,
	}
	for _, p := range e.connections() {
		if p.adapter.Source != nil {
			scope.Providers = append(scope.Providers, p.name)
		}
		if p.adapter.Executor == nil {
			continue
		}
		var actions []automation.Action
		for _, a := range p.adapter.Actions {
			params := map[string]bool{}
			for _, x := range a.Parameters {
				params[x.Name] = x.Required
			}
			actions = append(actions, automation.Action{Name: a.Name, IRI: a.IRI, Parameters: params})
		}
		scope.Tools[p.name] = actions
	}
	e.scope = scope
	e.watch = newRuleWatch(e) // first: what changes while it is read counts as changed
	set, err := e.cfg.ruleSet()
	if err != nil {
		return err
	}
	rules, err := automation.Compile(set.rules, scope)
	if err != nil {
		return set.errorOf(err)
	}
	e.rules.Store(rules)
	e.metrics.rules.Set(float64(len(set.rules)))
	return nil
}

// namespace and shorten are the well-known prefixes, as rules write them.
func namespace(prefix string) (string, bool) { return rdf.Expand(prefix + ":") }

func shorten(iri string) string {
	if name, ok := rdf.Compact(iri); ok {
		return name
	}
	return iri
}

func (e *Engine) now() time.Time {
	if e.opts.Now != nil {
		return e.opts.Now()
	}
	return time.Now()
}

func (e *Engine) connections() []*provider { return e.providers[:len(e.providers)-1] }

// connection returns the connection of that name, nil when there is none.
func (e *Engine) connection(name string) *provider {
	for _, p := range e.connections() {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (e *Engine) self() *provider { return e.providers[len(e.providers)-1] }

// Ready is closed once Run listens.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Addr returns the address that the server listens on, once Ready is closed.
func (e *Engine) Addr() string { return e.addr }

// stopWithin is how long Run goes on after its context ended.
const stopWithin = 10 * time.Second

// Run works until ctx ends, then finishes what is in work within ten seconds and
// returns ctx.Err(). It returns earlier only when it cannot start: a busy
// address, a data folder in use by another process, a file of a newer schema.
// Tools and brokers that are away keep it waiting, not from starting.
func (e *Engine) Run(ctx context.Context) (err error) {
	if err := e.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	ln := e.opts.Listener
	if ln == nil {
		if ln, err = (&net.ListenConfig{}).Listen(ctx, "tcp", e.cfg.Listen); err != nil {
			return oslc.E("oslcbus.listen", err, oslc.Unavailable)
		}
	}
	e.addr = ln.Addr().String()
	routes, err := e.routes()
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	srv.RegisterOnShutdown(e.push.stop)

	// What runs is stopped in this order: nothing new comes in, then what came in
	// is worked off, then what that led to is folded.
	sources, stages, folds := newCrew(ctx), newCrew(ctx), newCrew(ctx)
	var serving sync.WaitGroup
	failed := make(chan error, 1)
	e.logger.InfoContext(ctx, "serving", "address", e.addr, "base_url", e.cfg.BaseURL, "version", e.opts.Version)

	start := func(c *crew, name string, run func(context.Context) error) {
		e.status.set(name, errStarting)
		c.start(func(ctx context.Context) { e.supervise(ctx, name, run) })
	}
	for _, p := range e.providers {
		if len(p.sets) == 0 {
			continue
		}
		start(folds, "views "+p.name, func(ctx context.Context) error { return e.fold(ctx, p) })
	}
	// Without a rule too: the first one that is written does not judge the past.
	if e.hasEvents() {
		start(stages, "rules", e.runRules)
		sources.start(e.watchRules)
	}
	for _, p := range e.connections() {
		if p.adapter.Executor != nil {
			start(stages, "executor "+p.name, func(ctx context.Context) error { return e.runExecutor(ctx, p) })
		}
		if p.adapter.Source != nil {
			start(sources, "source "+p.name, func(ctx context.Context) error { return e.runSource(ctx, p) })
		}
	}
	start(folds, "subscriptions", e.hooks.follow)
	start(stages, "webhooks", e.hooks.run)
	serving.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			failed <- oslc.E("oslcbus.serve", err)
		}
	})
	close(e.ready)
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-failed:
	}
	e.logger.InfoContext(context.WithoutCancel(ctx), "stopping")
	e.asker.stop()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin/2)
	defer cancel()
	serving.Go(func() {
		if srv.Shutdown(last) != nil {
			_ = srv.Close()
		}
	})
	sources.stop()
	stages.stop()
	folds.stop()
	serving.Wait()
	return err
}

// crew is a group of components that are stopped together.
type crew struct {
	ctx  context.Context
	end  context.CancelFunc
	work sync.WaitGroup
}

// newCrew returns a crew that outlives parent: the order of stopping is the
// engine's.
func newCrew(parent context.Context) *crew {
	ctx, end := context.WithCancel(context.WithoutCancel(parent))
	return &crew{ctx: ctx, end: end}
}

func (c *crew) start(fn func(context.Context)) { c.work.Go(func() { fn(c.ctx) }) }

func (c *crew) stop() {
	c.end()
	c.work.Wait()
}

func (e *Engine) open(ctx context.Context) error {
	var err error
	if e.db, err = sqlite.Open(ctx, filepath.Join(e.cfg.Data, "oslcbus.db")); err != nil {
		return err
	}
	if e.cache, err = sqlite.OpenCache(ctx, filepath.Join(e.cfg.Data, "cache.db")); err != nil {
		return errors.Join(err, e.db.Close())
	}
	e.views = e.db.Views()
	for _, p := range e.providers {
		for _, set := range p.sets {
			if err := e.views.AddSet(ctx, set); err != nil {
				return errors.Join(err, e.cache.Close(), e.db.Close())
			}
		}
	}
	if e.asker, err = newAsker(e); err != nil {
		return errors.Join(err, e.cache.Close(), e.db.Close())
	}
	e.letters = &letters{e: e}
	if err := e.hooks.open(); err != nil {
		return errors.Join(err, e.cache.Close(), e.db.Close())
	}
	if e.log, err = e.openLog(ctx); err == nil && e.spoil != nil {
		e.log = e.spoil(e.log)
	}
	if err != nil {
		return errors.Join(err, e.cache.Close(), e.db.Close())
	}
	return nil
}

func (e *Engine) close() error {
	var inboxes []error
	for _, p := range e.connections() {
		inboxes = append(inboxes, p.inbox.close())
	}
	return errors.Join(errors.Join(inboxes...), e.asker.close(), e.letters.close(), e.hooks.close(), e.log.Close(), e.cache.Close(), e.db.Close())
}

// supervise runs a component until ctx ends, again and again: whatever it needs
// may be away for a while. Each new reason is logged once.
func (e *Engine) supervise(ctx context.Context, name string, run func(context.Context) error) {
	retry := bus.Retry{Min: 250 * time.Millisecond, Max: 15 * time.Second}.WithDefaults()
	reason, attempts := "", 0
	starting := errStarting
	for ctx.Err() == nil {
		e.status.set(name, starting)
		started := time.Now()
		err := run(ctx)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			err = errors.New("it ended")
		}
		if time.Since(started) > retry.Max {
			attempts = 0
		}
		attempts++
		e.status.set(name, err)
		// An attempt to reach what is away takes its time: till then the reason stays.
		starting = fmt.Errorf("%w again: %w", errStarting, err)
		if text := err.Error(); text != reason {
			reason = text
			e.logger.WarnContext(ctx, "component stopped, will be started again", "component", name, "kind", oslc.KindOf(err), "err", err)
		}
		if bus.Sleep(ctx, retry.Pause(attempts, err)) != nil {
			break
		}
	}
	e.status.drop(name)
}

var errStarting = errors.New("starting")

// hold runs fn where this replica is the one to do it.
func (e *Engine) hold(ctx context.Context, name string, fn func(context.Context) error) error {
	h, ok := e.log.(bus.Holder)
	if !ok {
		return fn(ctx)
	}
	// Nobody says whether another replica does it. Where nobody does, the turn comes
	// soon; later than that, waiting is what a healthy standby does.
	standby := time.AfterFunc(standbyAfter, func() { e.status.set(name, nil) })
	defer standby.Stop()
	return h.Hold(ctx, name, func(ctx context.Context) error {
		standby.Stop()
		if !errors.Is(e.status.of(name), errStarting) {
			e.status.set(name, errStarting)
		}
		return fn(ctx)
	})
}

// standbyAfter is longer than a group needs to hand something over.
const standbyAfter = 15 * time.Second

// sets returns the names of all tracked resource sets.
func (e *Engine) sets() []string {
	var out []string
	for _, p := range e.providers {
		out = append(out, p.sets...)
	}
	return out
}

func (e *Engine) oslcServer() (*server.Server, error) {
	cfg := server.Config{
		BaseURL: e.cfg.BaseURL, Title: e.cfg.Title, Store: e.views, Writers: map[string]server.Writer{},
		Actions: map[string][]oslc.Action{}, Asker: e.asker, Requests: automation.BusProvider,
		Folded: e.status.folded, Parser: format.Parser{JSONLD: processor.Parse}, Origins: e.frameSources(), User: UserOf,
	}
	for _, p := range e.providers {
		cfg.Providers = append(cfg.Providers, p.adapter.Provider)
		if p.adapter.Writer != nil {
			cfg.Writers[p.name] = p.adapter.Writer
		}
		if p.adapter.Executor != nil {
			cfg.Actions[p.name] = p.adapter.Actions
		}
	}
	return server.New(cfg)
}

func (e *Engine) trsServer(s *server.Server) *trs.Server {
	cfg := trs.Config{
		BaseURL: e.cfg.BaseURL, Store: e.views, Policy: e.cfg.TRS.policy(),
		BaseAge: e.cfg.TRS.BaseAge, Latency: e.cfg.TRS.Latency, Pages: e.cache.Pages(), Now: e.now,
	}
	if *e.cfg.TRS.Patches {
		cfg.Patches = s.Tracked()
	}
	return trs.NewServer(cfg)
}
