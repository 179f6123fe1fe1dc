package oslcbus

import (
	"strings"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// Bounds of what goes on the log. A document of a tool may hold any amount of
// text, a record on Kafka and a literal in a reader may not.
const (
	maxEvent   = 900_000 // bytes of a message's body; Kafka's own limit is 1,048,588 with headers
	maxLiteral = 64_000  // bytes of a value, where the event as a whole is too large
	cutMark    = "… (cut)"
)

// encodeWithin encodes an event. One that is larger than the limit is written with
// its long values cut, and if that is not enough with the identity of its resource
// alone; cut tells that.
func encodeWithin(enc *bus.Encoder, e *oslc.Event, limit int) (m bus.Message, cut bool, err error) {
	if m, err = enc.Encode(e); err != nil || len(m.Value) <= limit {
		return m, false, err
	}
	for _, most := range []int{min(maxLiteral, limit/4), 500} {
		short := *e
		short.Resource = cutLiterals(e.Resource, most)
		if m, err = enc.Encode(&short); err != nil || len(m.Value) <= limit {
			return m, true, err
		}
	}
	short := *e
	s := rdf.NewIRI(e.Subject)
	short.Resource = e.Resource.Without(func(t rdf.Triple) bool { return t.S != s || t.P.Value != rdf.Type })
	short.Changed = nil
	m, err = enc.Encode(&short)
	return m, true, err
}

// cutLiterals returns g with every literal cut to so many bytes.
func cutLiterals(g *rdf.Graph, most int) *rdf.Graph {
	out := rdf.NewGraph()
	for t := range g.All() {
		if t.O.Kind == rdf.Literal && len(t.O.Value) > most {
			// What is cut is no number, date or markup any more.
			t.O = rdf.String(strings.ToValidUTF8(t.O.Value[:most], "") + cutMark)
		}
		out.AddTriple(t)
	}
	return out
}
