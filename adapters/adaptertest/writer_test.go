package adaptertest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// A shelf is a tool of notes with a title, which is unique, a text and a secret that
// no graph shows. Its writer's faults are those that the suite must find.
type shelf struct {
	mu    sync.Mutex
	n     int
	notes map[string]note // by URI
}

type note struct{ title, text, secret string }

type librarian struct {
	fault string
	shelf *shelf
	log   *slog.Logger
}

const (
	notesKind = "notes"
	notesBase = "https://bus.example/services/shelf/notes/"
)

func noteGraph(s rdf.Term, title, text string) *rdf.Graph {
	g := rdf.NewGraph()
	g.NodeOf(s).String(vocab.DCTermsTitle, title).String(vocab.DCTermsDescription, text)
	return g
}

func (l *librarian) is(ctx context.Context, op string, ask oslc.Write) error {
	if l.fault == "secret in a log" && l.log != nil {
		l.log.Debug("call", "password", listSecret)
	}
	if ctx.Err() != nil && l.fault != "ignores its context" {
		return ctx.Err()
	}
	if ask.Collection != notesKind && l.fault != "takes every collection" {
		return oslc.Errorf(op, oslc.Unsupported, "no collection %s", ask.Collection)
	}
	return nil
}

func (l *librarian) answer(uri string) oslc.Written {
	n := l.shelf.notes[uri]
	if l.fault == "secret in a graph" {
		n.text += n.secret
	}
	if l.fault == "answers nothing" {
		n.title, n.text = "", ""
	}
	return oslc.Written{URI: uri, Graph: noteGraph(rdf.NewIRI(uri), n.title, n.text)}
}

func (l *librarian) Create(ctx context.Context, ask oslc.Write) (oslc.Written, error) {
	const op = "shelf.create"
	if err := l.is(ctx, op, ask); err != nil {
		return oslc.Written{}, err
	}
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	title := ask.After.Value(ask.Subject, vocab.DCTermsTitle)
	if title == "" && l.fault != "takes anything" {
		kind := oslc.Invalid
		if l.fault == "every failure is internal" {
			kind = oslc.Internal
		}
		return oslc.Written{}, oslc.Errorf(op, kind, "no title")
	}
	for _, n := range l.shelf.notes {
		if n.title == title && l.fault != "makes another" {
			return oslc.Written{}, oslc.Errorf(op, oslc.Conflict, "%q is there", title)
		}
	}
	l.shelf.n++
	uri := fmt.Sprintf("%s1%04d", notesBase, l.shelf.n)
	l.shelf.notes[uri] = note{title, ask.After.Value(ask.Subject, vocab.DCTermsDescription), listSecret}
	return l.answer(uri), nil
}

// find returns the note, if it is as the client knows it; done says that it is as it
// shall be.
func (l *librarian) find(op string, ask oslc.Write) (n note, done bool, err error) {
	n, ok := l.shelf.notes[ask.URI]
	if !ok {
		kind := oslc.NotFound
		if l.fault == "every failure is internal" {
			kind = oslc.Internal
		}
		return n, false, oslc.Errorf(op, kind, "no note <%s>", ask.URI)
	}
	is := func(g *rdf.Graph) bool {
		return g.Value(ask.Subject, vocab.DCTermsTitle) == n.title && g.Value(ask.Subject, vocab.DCTermsDescription) == n.text
	}
	if ask.Before != nil && !is(ask.Before) && l.fault != "does not look" {
		if ask.After != nil && is(ask.After) && l.fault != "repeat is a conflict" {
			return n, true, nil
		}
		return n, false, oslc.E(op, oslc.ErrChanged)
	}
	return n, false, nil
}

func (l *librarian) Update(ctx context.Context, ask oslc.Write) (oslc.Written, error) {
	const op = "shelf.update"
	if err := l.is(ctx, op, ask); err != nil {
		return oslc.Written{}, err
	}
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	n, done, err := l.find(op, ask)
	if err != nil {
		return oslc.Written{}, err
	}
	if !done && l.fault != "writes nothing" {
		n.title, n.text = ask.After.Value(ask.Subject, vocab.DCTermsTitle), ask.After.Value(ask.Subject, vocab.DCTermsDescription)
		if l.fault == "loses the hidden" {
			n.secret = ""
		}
		l.shelf.notes[ask.URI] = n
	}
	return l.answer(ask.URI), nil
}

func (l *librarian) Delete(ctx context.Context, ask oslc.Write) error {
	const op = "shelf.delete"
	if err := l.is(ctx, op, ask); err != nil {
		return err
	}
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	if l.fault == "deletes only what it knows" && ask.Before == nil {
		return oslc.Errorf(op, oslc.Invalid, "say what it was")
	}
	if _, _, err := l.find(op, ask); err != nil {
		return err
	}
	if l.fault != "keeps it" {
		delete(l.shelf.notes, ask.URI)
	}
	return nil
}

func shelfConfig(fault string) WriterConfig {
	s := rdf.NewBlank("n")
	return WriterConfig{
		Collection: notesKind, Subject: s, New: noteGraph(s, "one", "a text"), Property: vocab.DCTermsDescription,
		Other: rdf.String("another text"), Refused: noteGraph(s, "", "a text"), Unique: true, Secrets: []string{listSecret},
		Tool: func(context.Context) (WriterTool, error) {
			tool := &shelf{notes: map[string]note{}}
			return WriterTool{
				Open: func(log *slog.Logger) (adapters.Writer, error) { return &librarian{fault, tool, log}, nil },
				State: func() map[string]string {
					tool.mu.Lock()
					defer tool.mu.Unlock()
					out := map[string]string{}
					for uri, n := range maps.All(tool.notes) {
						out[uri] = strings.Join([]string{n.title, n.text, n.secret}, "\x00")
					}
					return out
				},
				Change: func(uri string) error {
					tool.mu.Lock()
					defer tool.mu.Unlock()
					n := tool.notes[uri]
					n.text += " by somebody else"
					tool.notes[uri] = n
					return nil
				},
			}, nil
		},
	}
}

func TestWriter_passesAGoodWriter(t *testing.T) {
	t.Parallel()
	Writer(t, shelfConfig(""))
}

func TestWriter_findsFaults(t *testing.T) {
	t.Parallel()
	for fault, check := range map[string]string{
		"answers nothing":            "CreatesOne",
		"makes another":              "CreatesTwo",
		"takes anything":             "RefusalHasItsKind",
		"every failure is internal":  "UnknownIsNotFound",
		"writes nothing":             "UpdateChangesWhatDiffers",
		"loses the hidden":           "UpdateChangesWhatDiffers",
		"repeat is a conflict":       "UpdateAgain",
		"does not look":              "UpdateOfAnotherState",
		"keeps it":                   "Deletes",
		"deletes only what it knows": "DeletesWhateverItIs",
		"takes every collection":     "OtherCollectionIsUnsupported",
		"ignores its context":        "EndedContextWrites",
		"secret in a graph":          "WritesTellNoSecrets",
		"secret in a log":            "WritesTellNoSecrets",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			for _, c := range writerChecks {
				if c.name != check {
					continue
				}
				err := c.run(t.Context(), shelfConfig(fault))
				if err == nil {
					t.Errorf("%s does not find it", check)
				}
				t.Log(err)
			}
		})
	}
	if err := checkDeleteStale(t.Context(), shelfConfig("does not look")); err == nil {
		t.Error("DeletionOfAnotherState does not find a deletion that does not look")
	}
}
