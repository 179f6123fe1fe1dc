package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	var out bytes.Buffer
	b := &progress{w: &out, name: "big.nt", total: 4_000_000, now: func() time.Time { return now }, next: now.Add(progressAfter)}
	r := b.reader(strings.NewReader(strings.Repeat("x", 4_000_000)))
	read := func(n int64) string {
		t.Helper()
		out.Reset()
		if _, err := io.CopyN(io.Discard, r, n); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := read(1_000_000); got != "" {
		t.Errorf("what takes no time shows %q", got)
	}
	b.done() // nothing to take away
	now = now.Add(time.Second)
	if got := read(32 << 10); !strings.HasPrefix(got, "\r\x1b[Kbig.nt [=") {
		t.Errorf("after a second it shows %q", got)
	}
	if got := read(32 << 10); got != "" {
		t.Errorf("at once after that it shows %q", got)
	}
	for range 2_500_000 {
		b.count()
	}
	if got, want := b.String(), "big.nt [=======                       ]  27% 1.1 MB, 2.5 million triples"; got != want {
		t.Errorf("the line is %q, want %q", got, want)
	}
	out.Reset()
	b.done()
	b.done()
	if got := out.String(); got != "\r\x1b[K" {
		t.Errorf("taking it away writes %q", got)
	}
	unknown := &progress{name: "stdin", read: 5_250_000, total: -1}
	if got := unknown.String(); got != "stdin 5.2 MB" {
		t.Errorf("without a size the line is %q", got)
	}
}

// Without a terminal there is none.
func TestProgress_noTerminal(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/err")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []io.Writer{file, io.Discard} {
		b := newProgress(&program{nil, io.Discard, w}, "x", 1)
		if b != nil {
			t.Fatalf("%T counts as a terminal", w)
		}
		b.count()
		b.done()
		if r := strings.NewReader(""); b.reader(r) != io.Reader(r) {
			t.Error("it looks at what is read")
		}
	}
}
