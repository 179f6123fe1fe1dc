package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A WriterConfig is a writer under test, on a tool of its own.
type WriterConfig struct {
	// Tool returns a new, empty tool and how to open writers on it.
	Tool func(ctx context.Context) (WriterTool, error)
	// Collection is the one that is written.
	Collection string
	// New is a resource that the tool takes; Subject is its node.
	New     *rdf.Graph
	Subject rdf.Term
	// Property is one that New has once and that can be changed, to Other.
	Property string
	Other    rdf.Term
	// Refused, about Subject, is a resource that the tool does not take.
	Refused *rdf.Graph
	// Unique says that the tool refuses New a second time.
	Unique bool
	// Secrets must not appear in what a writer says.
	Secrets []string
}

// A WriterTool is a tool that a writer changes in a test.
type WriterTool struct {
	// Open returns the writer as a program that starts would make it.
	Open func(log *slog.Logger) (adapters.Writer, error)
	// State tells what is in the tool: by URI, everything of each resource that is
	// the user's, hidden values too, in a text that is equal for equal states.
	State func() map[string]string
	// Change does what somebody else would do to the resource in the tool itself.
	Change func(uri string) error
}

// Writer checks that a writer keeps the contract of adapters.Writer.
func Writer(t *testing.T, cfg WriterConfig) {
	t.Helper()
	for _, c := range writerChecks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		})
	}
}

type writerCheck struct {
	name string
	run  func(context.Context, WriterConfig) error
}

var writerChecks = []writerCheck{
	{"CreatesOne", checkCreates},
	{"CreatesTwo", checkUnique},
	{"RefusalHasItsKind", checkRefused},
	{"UpdateChangesWhatDiffers", checkUpdate},
	{"UpdateAgain", checkUpdateAgain},
	{"UpdateOfAnotherState", checkUpdateStale},
	{"Deletes", checkDelete},
	{"DeletesWhateverItIs", checkDeleteAny},
	{"DeletionOfAnotherState", checkDeleteStale},
	{"UnknownIsNotFound", checkUnknown},
	{"OtherCollectionIsUnsupported", checkOtherCollection},
	{"EndedContextWrites", checkWriterContext},
	{"WritesTellNoSecrets", checkWriterSecrets},
}

// written is a tool with one resource in it.
type written struct {
	tool WriterTool
	w    adapters.Writer
	oslc.Written
}

func (cfg WriterConfig) made(ctx context.Context, log *slog.Logger) (written, error) {
	var m written
	var err error
	if m.tool, err = cfg.Tool(ctx); err != nil {
		return m, err
	}
	if m.w, err = m.tool.Open(log); err != nil {
		return m, err
	}
	if m.Written, err = m.w.Create(ctx, cfg.create(cfg.New)); err != nil {
		return m, fmt.Errorf("Create fails: %w", err)
	}
	return m, nil
}

func (cfg WriterConfig) create(g *rdf.Graph) oslc.Write {
	return oslc.Write{Collection: cfg.Collection, After: g, Subject: cfg.Subject}
}

// change asks for another value of the property.
func (cfg WriterConfig) change(m written, to rdf.Term) oslc.Write {
	s := rdf.NewIRI(m.URI)
	after := m.Graph.Without(func(t rdf.Triple) bool { return t.S == s && t.P.Value == cfg.Property })
	after.Add(s, cfg.Property, to)
	return oslc.Write{Collection: cfg.Collection, URI: m.URI, Before: m.Graph, After: after, Subject: s}
}

func checkCreates(ctx context.Context, cfg WriterConfig) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	if state := m.tool.State(); len(state) != 1 || state[m.URI] == "" {
		return fmt.Errorf("the tool has %v, want <%s> alone", state, m.URI)
	}
	have := m.Graph.Objects(rdf.NewIRI(m.URI), cfg.Property)
	want := cfg.New.Objects(cfg.Subject, cfg.Property)
	if len(have) != 1 || len(want) != 1 || have[0].Value != want[0].Value {
		return fmt.Errorf("the answer says %v of <%s>, want %v", have, cfg.Property, want)
	}
	return nil
}

func checkUnique(ctx context.Context, cfg WriterConfig) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	again, err := m.w.Create(ctx, cfg.create(cfg.New))
	if !cfg.Unique {
		if err != nil || again.URI == m.URI || len(m.tool.State()) != 2 {
			return fmt.Errorf("a second one is <%s>, and the tool has %d: %w", again.URI, len(m.tool.State()), err)
		}
		return nil
	}
	if !errors.Is(err, oslc.Conflict) || len(m.tool.State()) != 1 {
		return fmt.Errorf("the same again gives %w and the tool has %d, want kind conflict and 1", err, len(m.tool.State()))
	}
	return nil
}

func checkRefused(ctx context.Context, cfg WriterConfig) error {
	tool, err := cfg.Tool(ctx)
	if err != nil {
		return err
	}
	w, err := tool.Open(nil)
	if err != nil {
		return err
	}
	if _, err := w.Create(ctx, cfg.create(cfg.Refused)); !errors.Is(err, oslc.Invalid) {
		return fmt.Errorf("what the tool refuses gives %w, want kind invalid", err)
	}
	if n := len(tool.State()); n != 0 {
		return fmt.Errorf("what the tool refuses made %d resources", n)
	}
	return nil
}

func checkUpdate(ctx context.Context, cfg WriterConfig) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	before := m.tool.State()[m.URI]
	done, err := m.w.Update(ctx, cfg.change(m, cfg.Other))
	if err != nil {
		return fmt.Errorf("Update fails: %w", err)
	}
	if got := done.Graph.Value(rdf.NewIRI(m.URI), cfg.Property); done.URI != m.URI || got != cfg.Other.Value {
		return fmt.Errorf("the answer is about <%s> and says %q, want <%s> and %q", done.URI, got, m.URI, cfg.Other.Value)
	}
	if m.tool.State()[m.URI] == before {
		return errors.New("the tool has the state from before")
	}
	// Back again: what the graph does not show is there as it was.
	m.Written = done
	was := cfg.New.Object(cfg.Subject, cfg.Property)
	if _, err := m.w.Update(ctx, cfg.change(m, was)); err != nil {
		return fmt.Errorf("Update back fails: %w", err)
	}
	if after := m.tool.State(); len(after) != 1 || after[m.URI] != before {
		return fmt.Errorf("changed and changed back, the tool has\n%v\nwant\n%s", after, before)
	}
	return nil
}

func checkUpdateAgain(ctx context.Context, cfg WriterConfig) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	var state map[string]string
	for i := range 2 {
		if _, err := m.w.Update(ctx, cfg.change(m, cfg.Other)); err != nil {
			return fmt.Errorf("Update number %d fails: %w", i+1, err)
		}
		if i == 0 {
			state = m.tool.State()
		}
	}
	if !maps.Equal(state, m.tool.State()) {
		return errors.New("the same update again changes something")
	}
	return nil
}

func checkUpdateStale(ctx context.Context, cfg WriterConfig) error {
	return stale(ctx, cfg, func(m written) error {
		_, err := m.w.Update(ctx, cfg.change(m, cfg.Other))
		return err
	})
}

// stale checks that fn, on a resource that somebody else has changed, does nothing.
func stale(ctx context.Context, cfg WriterConfig, fn func(written) error) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	if err := m.tool.Change(m.URI); err != nil {
		return err
	}
	state := m.tool.State()
	if err := fn(m); !errors.Is(err, oslc.ErrChanged) {
		return fmt.Errorf("with a state that is not the tool's any more: %w, want oslc.ErrChanged", err)
	}
	if !maps.Equal(state, m.tool.State()) {
		return errors.New("it wrote all the same")
	}
	return nil
}

func checkDelete(ctx context.Context, cfg WriterConfig) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	ask := oslc.Write{Collection: cfg.Collection, URI: m.URI, Subject: rdf.NewIRI(m.URI), Before: m.Graph}
	if err := m.w.Delete(ctx, ask); err != nil {
		return fmt.Errorf("Delete fails: %w", err)
	}
	if n := len(m.tool.State()); n != 0 {
		return fmt.Errorf("after the deletion the tool has %d resources", n)
	}
	if err := m.w.Delete(ctx, ask); !errors.Is(err, oslc.NotFound) {
		return fmt.Errorf("a second deletion gives %w, want kind not_found", err)
	}
	return nil
}

func checkDeleteAny(ctx context.Context, cfg WriterConfig) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	if err := m.tool.Change(m.URI); err != nil {
		return err
	}
	if err := m.w.Delete(ctx, oslc.Write{Collection: cfg.Collection, URI: m.URI, Subject: rdf.NewIRI(m.URI)}); err != nil {
		return fmt.Errorf("Delete without a state fails: %w", err)
	}
	if n := len(m.tool.State()); n != 0 {
		return fmt.Errorf("after the deletion the tool has %d resources", n)
	}
	return nil
}

func checkDeleteStale(ctx context.Context, cfg WriterConfig) error {
	return stale(ctx, cfg, func(m written) error {
		return m.w.Delete(ctx, oslc.Write{Collection: cfg.Collection, URI: m.URI, Subject: rdf.NewIRI(m.URI), Before: m.Graph})
	})
}

func checkUnknown(ctx context.Context, cfg WriterConfig) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	state := m.tool.State()
	for _, uri := range []string{m.URI[:len(m.URI)-4] + "0000", "https://elsewhere.example/1"} {
		if uri == m.URI {
			continue
		}
		ask := cfg.change(m, cfg.Other)
		ask.URI = uri
		if _, err := m.w.Update(ctx, ask); !errors.Is(err, oslc.NotFound) {
			return fmt.Errorf("an update of <%s> gives %w, want kind not_found", uri, err)
		}
		if err := m.w.Delete(ctx, oslc.Write{Collection: cfg.Collection, URI: uri, Subject: rdf.NewIRI(uri)}); !errors.Is(err, oslc.NotFound) {
			return fmt.Errorf("a deletion of <%s> gives %w, want kind not_found", uri, err)
		}
	}
	if !maps.Equal(state, m.tool.State()) {
		return errors.New("it wrote all the same")
	}
	return nil
}

func checkOtherCollection(ctx context.Context, cfg WriterConfig) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	cfg.Collection = "noSuchCollection"
	_, err1 := m.w.Create(ctx, cfg.create(cfg.New))
	_, err2 := m.w.Update(ctx, cfg.change(m, cfg.Other))
	err3 := m.w.Delete(ctx, oslc.Write{Collection: cfg.Collection, URI: m.URI, Subject: rdf.NewIRI(m.URI)})
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, oslc.Unsupported) {
			return fmt.Errorf("a collection that is not there gives %w, want kind unsupported", err)
		}
	}
	return nil
}

func checkWriterContext(ctx context.Context, cfg WriterConfig) error {
	m, err := cfg.made(ctx, nil)
	if err != nil {
		return err
	}
	state := m.tool.State()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.w.Update(ended, cfg.change(m, cfg.Other)); err == nil {
		return errors.New("a context that ended does not stop an update")
	}
	if err := m.w.Delete(ended, oslc.Write{Collection: cfg.Collection, URI: m.URI, Subject: rdf.NewIRI(m.URI)}); err == nil {
		return errors.New("a context that ended does not stop a deletion")
	}
	if !maps.Equal(state, m.tool.State()) {
		return errors.New("it wrote all the same")
	}
	return nil
}

func checkWriterSecrets(ctx context.Context, cfg WriterConfig) error {
	var log lockedBuffer
	m, err := cfg.made(ctx, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		return err
	}
	var said strings.Builder
	done, err := m.w.Update(ctx, cfg.change(m, cfg.Other))
	fmt.Fprintf(&said, "%v %v %v", m.Graph.Triples(), done.Graph.Triples(), err)
	_, err = m.w.Create(ctx, cfg.create(cfg.Refused))
	fmt.Fprintf(&said, "%v %s", err, log.String())
	for _, secret := range cfg.Secrets {
		if strings.Contains(said.String(), secret) {
			return fmt.Errorf("a secret of %d characters appears in what the writer says", len(secret))
		}
	}
	return nil
}
