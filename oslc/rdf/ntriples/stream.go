package ntriples

import (
	"io"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/window"
)

// A Decoder reads a document of any length triple by triple, in bounded memory.
// Triples that are stated twice are returned twice, and blank nodes keep their
// labels.
type Decoder struct {
	s   scanner
	w   *window.Window
	err error
}

// NewDecoder returns a Decoder that reads from r. Of lim, MaxBytes holds for one
// line and not for the document, and MaxTriples does not count.
func NewDecoder(r io.Reader, lim rdf.Limits) *Decoder {
	lim = lim.WithDefaults(rdf.DefaultMaxDepth)
	return &Decoder{s: scanner{lim: lim}, w: window.New(r, format, lim.MaxBytes)}
}

// Next returns the next triple; io.EOF after the last one. Errors in the
// document are *rdf.SyntaxError. After an error Next returns that error again.
func (d *Decoder) Next() (rdf.Triple, error) {
	if d.err != nil {
		return rdf.Triple{}, d.err
	}
	t, err := d.triple()
	d.err = err
	return t, err
}

// triple reads a line. One that cannot be read is looked at again once there is
// more of it.
func (d *Decoder) triple() (rdf.Triple, error) {
	s := &d.s
	for {
		var why error
		from := s.pos
		s.skipLines()
		if s.done() && d.w.Last {
			return rdf.Triple{}, io.EOF
		}
		if !s.done() {
			from = s.pos
			t, err := s.triple()
			if err == nil && (s.pos < len(s.src) || d.w.Last) {
				return t, nil
			}
			if d.w.Last {
				return rdf.Triple{}, d.w.Place(err)
			}
			why = err
		} else if k := lineStart(s.src, from); s.src[k:] == "" || s.src[k] != '#' {
			from = len(s.src)
		} else {
			from = k
		}
		err := d.w.More(from, why)
		s.src, s.pos = d.w.Text, 0
		if err != nil {
			return rdf.Triple{}, err
		}
	}
}

// lineStart returns where the text of the last line of s starts, at or after i.
func lineStart(s string, i int) int {
	for k := len(s) - 1; k >= i; k-- {
		if s[k] == '\n' || s[k] == '\r' {
			i = k + 1
			break
		}
	}
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return i
}
