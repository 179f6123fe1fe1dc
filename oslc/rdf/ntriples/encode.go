package ntriples

import (
	"io"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// An Encoder writes triples one by one as they come: nothing is sorted, and blank
// nodes keep their labels. Errors of the io.Writer come back as they are.
type Encoder struct {
	w    io.Writer
	b    []byte
	last rdf.Term // subject of the last triple
	text []byte   // how it was written
	err  error
}

// flushAt is how much is written at once, in bytes.
const flushAt = 64 << 10

// NewEncoder returns an Encoder that writes to w. End it with Flush.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{w: w, b: make([]byte, 0, flushAt+flushAt/4)} }

// Encode writes a triple. The error is a *rdf.WriteError if a term cannot be
// written; the triple is then left out.
func (e *Encoder) Encode(t rdf.Triple) error {
	if t.S != e.last || e.text == nil { // triples about a subject mostly follow each other
		text, err := AppendTerm(e.text[:0], t.S)
		if err != nil {
			e.text = nil // it may have been written over
			return err
		}
		text = append(text, ' ')
		e.last, e.text = t.S, text
	}
	b, err := AppendTerm(append(e.b, e.text...), t.P)
	if err == nil {
		b, err = AppendTerm(append(b, ' '), t.O)
	}
	if err != nil {
		return err
	}
	b = append(b, " .\n"...)
	e.b = b
	if len(e.b) >= flushAt {
		return e.Flush()
	}
	return e.err
}

// Flush writes what is still held back.
func (e *Encoder) Flush() error {
	if e.err == nil && len(e.b) > 0 {
		_, e.err = e.w.Write(e.b)
	}
	e.b = e.b[:0]
	return e.err
}
