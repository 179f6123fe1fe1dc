// Package window holds the part of a long text that a decoder is looking at, so
// that a document of any length is read in bounded memory.
package window

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// DefaultStep is how much is read at once, in bytes.
const DefaultStep = 16 << 10

// A Window is a stretch of UTF-8 text that moves forward over an io.Reader.
type Window struct {
	// Text is what is held. Pieces of it stay good after the window has moved on,
	// and keep all of that Text in memory: clone what is kept.
	Text string
	// Last says that the text ends where Text ends.
	Last bool
	// Step is how much More reads at least.
	Step int

	r            io.Reader
	format       string
	max          int
	line, column int    // of the start of Text, from 0
	buf          []byte // what was read last
	cut          int    // how much of the end of buf waits for the rest of a character
	started      bool
}

// New returns an empty Window at the start of r. most is the length of the text
// that More holds; format is for errors.
func New(r io.Reader, format string, most int) *Window {
	return &Window{Step: DefaultStep, r: r, format: format, max: most}
}

// More drops the first n bytes of Text and reads on: as much again as is left,
// at least Step. why is the error that reading the rest of Text led to, or nil; it
// is returned if the window is full and the fault is not near its end. Other errors
// are a *rdf.SyntaxError for a full window and for text that is not UTF-8, and what
// r returns.
func (w *Window) More(n int, why error) error {
	if rest := w.Text[n:]; len(rest) >= w.max {
		half := rdf.ErrorAt(w.format, w.Text, len(w.Text)/2, rdf.LimitBytes, "")
		var e *rdf.SyntaxError
		if errors.As(why, &e) && (e.Line < half.Line || e.Line == half.Line && e.Column < half.Column) {
			return w.Place(why)
		}
		return w.Place(rdf.ErrorAt(w.format, w.Text, n, rdf.LimitBytes, "statement too long"))
	}
	w.skip(w.Text[:n])
	rest := w.Text[n:]
	held := w.cut
	want := held + max(w.Step, len(rest))
	if tail := w.buf[len(w.buf)-held:]; cap(w.buf) < want {
		w.buf = append(make([]byte, 0, want), tail...)
	} else {
		copy(w.buf, tail)
	}
	got, err := io.ReadFull(w.r, w.buf[held:want])
	w.buf = w.buf[:held+got]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		w.Last = true
	} else if err != nil {
		return err
	}
	w.cut = 0
	if !w.Last {
		w.cut = unfinished(w.buf)
	}
	fresh := w.buf[:len(w.buf)-w.cut]
	if !w.started && len(fresh) > 0 {
		w.started = true
		fresh = bytes.TrimPrefix(fresh, []byte("\ufeff"))
	}
	var b strings.Builder
	b.Grow(len(rest) + len(fresh))
	b.WriteString(rest)
	b.Write(fresh)
	w.Text = b.String()
	if at := chars.IllFormed(w.Text[len(rest):]); at >= 0 {
		return w.Place(rdf.ErrorAt(w.format, w.Text, len(rest)+at, rdf.FaultEncoding, "not UTF-8"))
	}
	return nil
}

// unfinished returns how many bytes at the end of b are the start of a character.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

func (w *Window) skip(s string) {
	if k := strings.LastIndexByte(s, '\n'); k >= 0 {
		w.line += strings.Count(s, "\n")
		w.column = len(s) - k - 1
	} else {
		w.column += len(s)
	}
}

// Place moves the place of a *rdf.SyntaxError in Text to where that is in the
// whole document.
func (w *Window) Place(err error) error {
	var e *rdf.SyntaxError
	if !errors.As(err, &e) || e.Line == 0 {
		return err
	}
	moved := *e
	if moved.Line == 1 {
		moved.Column += w.column
	}
	moved.Line += w.line
	return &moved
}

// Settled reports whether more text could not change how the token that ends at
// i was read: it is followed by white space, or nothing is to come.
func (w *Window) Settled(i int) bool {
	for ; i < len(w.Text); i++ {
		if chars.IsSpace(w.Text[i]) {
			return true
		}
	}
	return w.Last
}
