package turtle

import (
	"io"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/window"
)

// A Decoder reads a document of any length triple by triple, in bounded memory.
// Triples that are stated twice are returned twice. Blank node labels are kept
// but for those like b12, which get an x in front to tell them from the nodes
// that have none.
type Decoder struct {
	d   decoder
	w   *window.Window
	at  int // next of d.out
	err error
}

// NewDecoder returns a Decoder that reads from r. base is as for Parse. Of lim,
// MaxBytes and MaxTriples hold for one statement, from its subject to its full
// stop, and not for the document.
func NewDecoder(r io.Reader, base string, lim rdf.Limits) *Decoder {
	lim = lim.WithDefaults(rdf.DefaultMaxDepth)
	return &Decoder{
		d: decoder{what: format, base: base, lim: lim, prefixes: map[string]string{}, names: map[string]rdf.Term{}},
		w: window.New(r, format, lim.MaxBytes),
	}
}

// Next returns the next triple; io.EOF after the last one. Errors in the
// document are *rdf.SyntaxError. After an error Next returns that error again.
func (d *Decoder) Next() (rdf.Triple, error) {
	for d.at == len(d.d.out) {
		if d.err == nil {
			d.err = d.fill()
		}
		if d.err != nil {
			return rdf.Triple{}, d.err
		}
	}
	d.at++
	return d.d.out[d.at-1], nil
}

// fill reads a statement. A statement that cannot be read is looked at again
// once there is more of it.
func (d *Decoder) fill() error {
	x := &d.d
	for {
		d.at, x.out, x.count, x.depth = 0, x.out[:0], 0, 0
		from := x.pos
		x.space()
		if x.done() {
			if d.w.Last {
				return io.EOF
			}
			if err := d.more(openComment(x.src, from), nil); err != nil {
				return err
			}
			continue
		}
		from, next, base := x.pos, x.next, x.base
		err := x.statement()
		if d.w.Settled(x.pos) && err == nil {
			if len(x.out) == 0 {
				continue // a directive
			}
			return nil
		}
		if d.w.Last {
			x.out = x.out[:0]
			return d.w.Place(err)
		}
		x.next, x.base = next, base
		if err := d.more(from, err); err != nil {
			x.out = x.out[:0]
			return err
		}
	}
}

func (d *Decoder) more(keep int, why error) error {
	err := d.w.More(keep, why)
	d.d.src, d.d.pos = d.w.Text, 0
	return err
}

// openComment returns where a comment starts that goes on after the end of s, or
// the end of s. Nothing but space and comments follows i.
func openComment(s string, i int) int {
	line := i + 1 + strings.LastIndexAny(s[i:], "\r\n")
	if k := strings.IndexByte(s[line:], '#'); k >= 0 {
		return line + k
	}
	return len(s)
}

// Prefixes returns the prefixes that the document has declared so far, by name.
func (d *Decoder) Prefixes() map[string]string { return d.d.prefixes }

// keptLabel returns the label of a node in a document of which not all labels
// are known: x12 and the like for those that fresh could give out.
func keptLabel(label string) string {
	rest := strings.TrimLeft(label, "x")
	if len(rest) < 2 || rest[0] != 'b' {
		return label
	}
	for i := 1; i < len(rest); i++ {
		if !chars.IsDigit(rest[i]) {
			return label
		}
	}
	return "x" + label
}
