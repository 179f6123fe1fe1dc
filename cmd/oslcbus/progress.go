package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress is a line on the terminal that says how far a document was read. It
// shows on a terminal alone, and only where no output goes to the same one. A nil
// progress shows nothing.
type progress struct {
	w           io.Writer
	name        string
	read, total int64 // in bytes; total is -1 where it is not known
	triples     int64
	now         func() time.Time
	shown, next time.Time
}

const (
	progressAfter = 500 * time.Millisecond // what is done by then shows nothing
	progressEvery = 100 * time.Millisecond
	progressWidth = 30
)

// newProgress returns a line for an input of total bytes, or nil.
func newProgress(p *program, name string, total int64) *progress {
	if !terminal(p.err) || terminal(p.out) {
		return nil
	}
	return &progress{w: p.err, name: name, total: total, now: time.Now, next: time.Now().Add(progressAfter)}
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

func (b *progress) reader(r io.Reader) io.Reader {
	if b == nil {
		return r
	}
	return &progressReader{r, b}
}

type progressReader struct {
	r io.Reader
	b *progress
}

func (r *progressReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.b.read += int64(n)
	r.b.show()
	return n, err
}

// count counts a triple.
func (b *progress) count() {
	if b != nil {
		b.triples++
	}
}

func (b *progress) show() {
	t := b.now()
	if t.Before(b.next) {
		return
	}
	b.shown, b.next = t, t.Add(progressEvery)
	fmt.Fprintf(b.w, "\r\x1b[K%s", b)
}

// String is the line without what moves the cursor.
func (b *progress) String() string {
	s := b.name
	if b.total > 0 {
		part := min(1, float64(b.read)/float64(b.total))
		full := int(part * progressWidth)
		s += fmt.Sprintf(" [%s%s] %3.0f%%", strings.Repeat("=", full), strings.Repeat(" ", progressWidth-full), 100*part)
	}
	s += fmt.Sprintf(" %.1f MB", float64(b.read)/1e6)
	if b.triples > 0 {
		s += fmt.Sprintf(", %.1f million triples", float64(b.triples)/1e6)
	}
	return s
}

// done takes the line away.
func (b *progress) done() {
	if b != nil && !b.shown.IsZero() {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.shown = time.Time{}
	}
}
