package mongodb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// Defaults of a Watch.
const (
	// DefaultMemory holds about 20,000 documents of 1 KB with their graphs.
	DefaultMemory = 128 << 20
	// DefaultQuiet is how often the cursor is written although no event was: rarely
	// enough that an idle tool does not fill the log, often enough that the place
	// stays within any history.
	DefaultQuiet = time.Minute
)

// A Watch says what a Watcher watches.
type Watch struct {
	// Mappings are the collections whose documents become resources, References
	// those that the mappings look things up in.
	Mappings   []Mapping
	References []Reference
	// Dial returns the server and a function that lets it go. It may leave
	// connecting to the server's first use.
	Dial func(ctx context.Context) (Server, func(), error)
	// Memory is how many bytes copies of documents may take, about; 0 means
	// DefaultMemory. Collections whose mapping uses references are held whole.
	Memory int
	// Quiet is how often the cursor moves without an event; 0 means DefaultQuiet.
	Quiet time.Duration
	// Shape is part of every cursor. When it changes, as it must when documents
	// map to something else, everything is compared once.
	Shape string
	// Options are the host's.
	Options adapters.Options
}

// A Watcher is a Source that follows MongoDB collections.
type Watcher struct {
	Watch

	shape   string
	log     *slog.Logger
	spaces  map[namespace]space
	listen  string
	service string
}

// A space is what a namespace is to the watcher; -1 stands for nothing.
type space struct{ mapping, reference int }

var _ adapters.Source = (*Watcher)(nil)

// New returns a watcher. It does not dial.
func New(w Watch) (*Watcher, error) {
	const op = "mongodb.new"
	if len(w.Mappings) == 0 {
		return nil, oslc.Errorf(op, oslc.Invalid, "no collections to watch")
	}
	if w.Memory <= 0 {
		w.Memory = DefaultMemory
	}
	if w.Quiet <= 0 {
		w.Quiet = DefaultQuiet
	}
	if w.Options.Now == nil {
		w.Options.Now = time.Now
	}
	out := &Watcher{
		Watch:   w,
		log:     w.Options.Logger,
		spaces:  map[namespace]space{},
		listen:  oslc.ProviderURI(w.Options.BaseURL, w.Options.Name) + "#watcher",
		service: w.Options.Name,
	}
	if out.log == nil {
		out.log = slog.New(slog.DiscardHandler)
	}
	sum := sha256.New()
	kinds := map[string]bool{}
	for i, m := range w.Mappings {
		c := m.Collection()
		if c.Database == "" || c.Name == "" || c.Kind == "" {
			return nil, oslc.Errorf(op, oslc.Invalid, "collection %q of database %q needs a name, a database and a kind", c.Name, c.Database)
		}
		ns := namespace{c.Database, c.Name}
		if _, twice := out.spaces[ns]; twice {
			return nil, oslc.Errorf(op, oslc.Invalid, "collection %s.%s is there twice", c.Database, c.Name)
		}
		if kinds[c.Kind] {
			return nil, oslc.Errorf(op, oslc.Invalid, "two collections are of kind %q", c.Kind)
		}
		kinds[c.Kind] = true
		out.spaces[ns] = space{mapping: i, reference: -1}
		fmt.Fprintf(sum, "%q %q %q\n", c.Database, c.Name, c.Kind)
	}
	for i, r := range w.References {
		ns := namespace{r.Database, r.Name}
		if s, twice := out.spaces[ns]; !twice {
			out.spaces[ns] = space{mapping: -1, reference: i}
		} else if s.reference < 0 {
			s.reference = i
			out.spaces[ns] = s
		} else {
			return nil, oslc.Errorf(op, oslc.Invalid, "reference %s.%s is there twice", r.Database, r.Name)
		}
		fmt.Fprintf(sum, "%q %q %q %q\n", r.Database, r.Name, r.Key, r.Fields)
	}
	// Documents map to URIs below these, so they are part of the shape.
	fmt.Fprintf(sum, "%q %q %q\n", w.Options.BaseURL, w.Options.Name, w.Shape)
	const digits = 8 // bytes of the sum: it tells shapes apart, it does not guard
	out.shape = hex.EncodeToString(sum.Sum(nil)[:digits])
	return out, nil
}

// namespaces returns the collections that the stream has to bring, as pairs of
// database and collection.
func (w *Watcher) namespaces() []namespace {
	var out []namespace
	for _, m := range w.Mappings {
		c := m.Collection()
		out = append(out, namespace{c.Database, c.Name})
	}
	for _, r := range w.References {
		if ns := (namespace{r.Database, r.Name}); w.spaces[ns].mapping < 0 {
			out = append(out, ns)
		}
	}
	return out
}

// count counts something noticed. The names are a closed list: those below, and
// the warnings of mappings.
func (w *Watcher) count(what string) {
	if w.Options.Metrics != nil {
		w.Options.Metrics.Count(what, 1)
	}
}

// What the watcher counts.
const (
	countSkippedDocument = "skipped_document" // a document that does not map
	countUnknownChange   = "unknown_change"   // a kind of change that is not known
	countLargeChange     = "large_change"     // a change that was too large to be sent
	countLookup          = "lookup"           // a document that had to be read
	countComparison      = "full_comparison"
	countHistoryLost     = "history_lost"
	countCacheError      = "cache_error"
)

// Run watches until ctx ends. See adapters.Source.
func (w *Watcher) Run(ctx context.Context, from adapters.Cursor, emit adapters.Emit) error {
	const op = "mongodb.run"
	var mark bookmark
	if from != nil {
		var err error
		if mark, err = parseCursor(from); err != nil {
			return oslc.E(op, err, oslc.Gone)
		}
		if mark.shape != w.shape {
			return oslc.Errorf(op, oslc.Gone, "the cursor is of another configuration")
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	server, hangUp, err := w.Dial(ctx)
	if err != nil {
		return w.result(ctx, op, err)
	}
	defer hangUp()
	identity, err := server.Identify(ctx)
	if err != nil {
		return w.result(ctx, op, err)
	}
	if from != nil && mark.set != "" && identity.Set != "" && mark.set != identity.Set {
		// A token of another deployment would be taken without an error, and what
		// happened since would be lost in silence.
		w.count(countHistoryLost)
		return oslc.Errorf(op, oslc.Gone, "the cursor is of replica set %s, this is %s", mark.set, identity.Set)
	}
	r := newRun(w, server, identity, emit)
	if from == nil || mark.comparing {
		err = r.fromComparison(ctx, mark)
	} else {
		err = r.fromPlace(ctx, mark.at)
	}
	return w.result(ctx, op, err)
}

// emitError marks what emit returned, which goes back as it is.
type emitError struct{ err error }

func (e emitError) Error() string { return e.err.Error() }
func (e emitError) Unwrap() error { return e.err }

// result turns what ended a run into what Run returns.
func (w *Watcher) result(ctx context.Context, op string, err error) error {
	if e, ok := err.(emitError); ok { //nolint:errorlint // only one that is not wrapped
		return e.err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if oslc.KindOf(err) == oslc.Gone {
		w.log.Warn("the history does not reach back to the cursor", "err", err)
	}
	return oslc.E(op, err)
}

// documentURI returns the URI of a document's resource.
func (w *Watcher) documentURI(mapping int, id Value) string {
	return w.Options.ResourceURI(w.Mappings[mapping].Collection().Kind, id.Text())
}

// compareID identifies an event that a comparison found.
func (w *Watcher) compareID(epoch, uri string, c oslc.Change, before, after string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(before)) + before + after))
	return oslc.NewID(w.service, "compare", epoch, uri, c.String(), hex.EncodeToString(sum[:]))
}
