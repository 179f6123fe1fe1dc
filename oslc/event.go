package oslc

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Change says what happened to a resource, in the words of TRS 3.0 Part 2.
type Change uint8

// The changes. There is no fourth: a run that changed state is a Modification of
// its request.
const (
	Creation Change = 1 + iota
	Modification
	Deletion
)

// IRI returns the TRS class of c.
func (c Change) IRI() string {
	switch c {
	case Creation:
		return vocab.TRSCreation
	case Modification:
		return vocab.TRSModification
	case Deletion:
		return vocab.TRSDeletion
	}
	return ""
}

// String returns "creation", "modification" or "deletion".
func (c Change) String() string {
	switch c {
	case Creation:
		return "creation"
	case Modification:
		return "modification"
	case Deletion:
		return "deletion"
	}
	return "unknown"
}

// ChangeOf returns the change that a TRS class stands for, or 0.
func ChangeOf(iri string) Change {
	for c := Creation; c <= Deletion; c++ {
		if c.IRI() == iri {
			return c
		}
	}
	return 0
}

// An Event says that a resource of some tool was created, modified or deleted.
type Event struct {
	// ID is a UUID derived from the provider and the change's own identity: the
	// same change always has the same ID. The event's URI is URI().
	ID     string
	Change Change
	// Types are classes beside the change's own, such as st2:RuleDisabled.
	Types []string
	// Subject is the URI of the resource that changed; also the ordering key.
	Subject string
	// Listener is the URI of what noticed the change (oslc_events:generatedBy).
	Listener string
	// Time is when the tool made the change.
	Time time.Time
	// Changed lists the predicates whose values differ, for a Modification.
	Changed []string
	// CausedBy is the URI of our own request that made the tool change, or empty.
	CausedBy string
	// Hops counts the requests of ours that led here, one after the other.
	Hops int
	// Via are the names of the connections whose changes led here, the first one
	// first: a rule does not act on a tool where the chain began or came through.
	Via []string
	// Sequence orders the events of one source as text, where the source has such
	// a mark; it travels beside the graph, not in it.
	Sequence string
	// Trace is the chain of causes that the event belongs to. It travels beside the
	// graph; where it is zero, the trace is that of the event itself, TraceOf(ID).
	Trace Trace
	// Resource is the resource exactly as this change left it; for a Deletion, as
	// it was before. It may be nil where nothing is known.
	Resource *rdf.Graph
}

const urnUUID = "urn:uuid:"

// URI returns the event's URI, "urn:uuid:" and its ID.
func (e *Event) URI() string { return urnUUID + e.ID }

// Graph returns the event graph: one node for the event, then the resource.
func (e *Event) Graph() *rdf.Graph {
	g := &rdf.Graph{}
	e.AddTo(g)
	return g
}

// AddTo adds the triples of the event graph to g.
func (e *Event) AddTo(g *rdf.Graph) {
	g.Grow(8 + len(e.Types) + len(e.Changed) + e.Resource.Len())
	n := g.Node(e.URI()).
		A(vocab.EventsEvent, e.Change.IRI()).
		A(e.Types...).
		String(vocab.DCTermsIdentifier, e.ID).
		Time(vocab.DCTermsCreated, e.Time).
		Link(vocab.TRSChanged, e.Subject).
		Link(vocab.EventsGeneratedBy, e.Listener).
		Link(vocab.BusChangedProperty, e.Changed...).
		Link(vocab.BusCausedBy, e.CausedBy)
	if e.Hops > 0 {
		n.Int(vocab.BusHops, int64(e.Hops))
	}
	n.String(vocab.BusVia, e.Via...)
	if e.Resource != nil {
		g.AddGraph(e.Resource)
	}
}

// ParseEvent reads an event graph. It fails with kind Invalid unless the graph
// has exactly one oslc_events:Event that is an IRI and says what changed how.
func ParseEvent(g *rdf.Graph) (*Event, error) {
	const op = "oslc.parse_event"
	nodes := g.OfType(vocab.EventsEvent)
	if len(nodes) != 1 {
		return nil, Errorf(op, Invalid, "%d nodes of type oslc_events:Event, want 1", len(nodes))
	}
	n := nodes[0]
	id, ok := strings.CutPrefix(n.Value, urnUUID)
	if n.Kind != rdf.IRI || !ok {
		return nil, Errorf(op, Invalid, "the event is %q, want a urn:uuid", n.Value)
	}
	e := &Event{ID: id}
	for t := range g.About(n) {
		switch t.P.Value {
		case rdf.Type:
			if c := ChangeOf(t.O.Value); c != 0 {
				if e.Change != 0 {
					return nil, Errorf(op, Invalid, "event %s is of two kinds of change", id)
				}
				e.Change = c
			} else if t.O.Value != vocab.EventsEvent {
				e.Types = append(e.Types, t.O.Value)
			}
		case vocab.DCTermsCreated:
			e.Time, _ = t.O.Time()
		case vocab.TRSChanged:
			if e.Subject != "" {
				return nil, Errorf(op, Invalid, "event %s has two values of trs:changed", id)
			}
			e.Subject = t.O.Value
		case vocab.EventsGeneratedBy:
			e.Listener = t.O.Value
		case vocab.BusChangedProperty:
			e.Changed = append(e.Changed, t.O.Value)
		case vocab.BusCausedBy:
			e.CausedBy = t.O.Value
		case vocab.BusHops:
			hops, _ := t.O.Int()
			e.Hops = int(hops)
		case vocab.BusVia:
			e.Via = append(e.Via, t.O.Value)
		}
	}
	var missing []error
	if e.Change == 0 {
		missing = append(missing, errors.New("no kind of change"))
	}
	if e.Subject == "" {
		missing = append(missing, errors.New("no trs:changed"))
	}
	if e.Time.IsZero() {
		missing = append(missing, errors.New("no dcterms:created"))
	}
	if err := errors.Join(missing...); err != nil {
		return nil, E(op, fmt.Errorf("event %s: %w", id, err), Invalid)
	}
	rest := g.Without(func(t rdf.Triple) bool { return t.S == n })
	if rest.Len() > 0 {
		e.Resource = rest
	}
	return e, nil
}
