package turtle

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/ntriples"
)

// An Encoder writes triples one by one as they come, in bounded memory. Triples
// that follow each other share their subject and predicate; nothing is sorted or
// nested, and blank nodes keep their labels. Errors of the io.Writer come back as
// they are.
type Encoder struct {
	w       io.Writer
	b       []byte
	spaces  map[string]string // namespace -> prefix
	names   map[string]string // IRI -> how it is written
	last    rdf.Triple
	started bool
	err     error
}

// flushAt is how much is written at once, in bytes.
const flushAt = 64 << 10

// NewEncoder returns an Encoder that writes to w. End it with Close. The document
// starts with the well-known prefixes and with more, which is by name; of two
// prefixes for one namespace and of two namespaces for one prefix the well-known
// one stays.
func NewEncoder(w io.Writer, more map[string]string) *Encoder {
	e := &Encoder{
		w: w, b: make([]byte, 0, flushAt+flushAt/4),
		spaces: map[string]string{}, names: map[string]string{},
	}
	taken := map[string]bool{}
	declare := func(name, iri string) {
		if _, known := e.spaces[iri]; known || taken[name] || !chars.CleanIRI(iri) {
			return
		}
		e.spaces[iri], taken[name] = name, true
		e.b = append(append(append(append(append(e.b, "@prefix "...), name...), ": <"...), iri...), "> .\n"...)
	}
	for _, p := range rdf.Prefixes() {
		declare(p.Name, p.IRI)
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		if name == "" || chars.IsNCName(name) && name[0] != '_' && name[len(name)-1] != '.' {
			declare(name, more[name])
		}
	}
	return e
}

// Encode writes a triple. The error is a *rdf.WriteError if a term cannot be
// written; the triple is then left out.
func (e *Encoder) Encode(t rdf.Triple) error {
	b := e.b
	var err error
	switch {
	case e.started && t.S == e.last.S && t.P == e.last.P:
		b = append(b, " ,\n        "...)
	case e.started && t.S == e.last.S:
		b = append(b, " ;\n    "...)
		b, err = e.verb(b, t.P)
		b = append(b, ' ')
	default:
		if e.started {
			b = append(b, " .\n"...)
		} else {
			b = append(b, '\n')
		}
		if b, err = ntriples.AppendTerm(b, t.S); err != nil {
			return err
		}
		b = append(b, ' ')
		b, err = e.verb(b, t.P)
		b = append(b, ' ')
	}
	if err != nil {
		return err
	}
	if b, err = e.object(b, &t); err != nil {
		return err
	}
	e.b, e.started = b, true
	if t.S != e.last.S || t.P != e.last.P {
		// A copy: a term of a Decoder keeps all the text around it in memory, and
		// here one is kept at most.
		e.last = t
	}
	if len(b) >= flushAt {
		e.flush()
	}
	return e.err
}

func (e *Encoder) object(b []byte, t *rdf.Triple) ([]byte, error) {
	o := t.O
	switch {
	case o.Kind == rdf.IRI && t.P.Value == rdf.Type:
		return e.name(b, o)
	case o.Kind == rdf.Literal && bare(&o):
		return append(b, o.Value...), nil
	case o.Kind == rdf.Literal && o.Lang == "" && o.Datatype != "":
		return e.name(append(chars.AppendQuoted(b, o.Value), "^^"...), rdf.NewIRI(o.Datatype))
	}
	return ntriples.AppendTerm(b, o)
}

func (e *Encoder) verb(b []byte, t rdf.Term) ([]byte, error) {
	if t == rdfType {
		return append(b, 'a'), nil
	}
	return e.name(b, t)
}

// name appends the IRI of a predicate, a class or a datatype.
func (e *Encoder) name(b []byte, t rdf.Term) ([]byte, error) {
	if t.Kind != rdf.IRI {
		return b, &rdf.WriteError{Format: format, Term: t, Msg: "not an IRI"}
	}
	if n, ok := e.names[t.Value]; ok {
		return append(b, n...), nil
	}
	from := len(b)
	cut := 1 + strings.LastIndexAny(t.Value, "#/")
	prefix, ok := e.spaces[t.Value[:cut]]
	if local := t.Value[cut:]; ok && simple(local) {
		b = append(append(append(b, prefix...), ':'), local...)
	} else {
		var err error
		if b, err = ntriples.AppendTerm(b, t); err != nil {
			return b, err
		}
	}
	if len(e.names) < keepNames {
		e.names[strings.Clone(t.Value)] = string(b[from:])
	}
	return b, nil
}

// simple reports whether a local name needs no escape.
func simple(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !chars.IsAlpha(c) && !chars.IsDigit(c) && c != '_' && (c != '-' || i == 0) {
			return false
		}
	}
	return s != ""
}

// Close ends the document and writes what is still held back. It does not close
// the io.Writer.
func (e *Encoder) Close() error {
	if e.started {
		e.b = append(e.b, " .\n"...)
		e.started = false
	}
	e.flush()
	return e.err
}

func (e *Encoder) flush() {
	if e.err == nil && len(e.b) > 0 {
		_, e.err = e.w.Write(e.b)
	}
	e.b = e.b[:0]
}
