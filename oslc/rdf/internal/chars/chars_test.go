package chars

import (
	"strings"
	"testing"
)

// The functions that look at eight bytes at once stop at every byte that needs a
// look, wherever it stands, and at few others.
func TestPlain(t *testing.T) {
	t.Parallel()
	text := func(c byte) bool { return c >= 0x20 && c < 0x80 && !strings.ContainsRune("&<>", rune(c)) }
	iri := func(c byte) bool { return c < 0x80 && c != '&' && !IRIBad(c) }
	for _, f := range []struct {
		name  string
		plain func(string) int
		fine  func(byte) bool
		also  string // bytes that are fine and may be stopped at
	}{
		{"PlainText", PlainText, text, ""},
		{"PlainIRI", PlainIRI, iri, "~"},
	} {
		for at := range 24 {
			for c := range 256 {
				b := []byte("abcdefghijklmnopqrstuvwxyz012345")
				b[at] = byte(c)
				n := f.plain(string(b))
				switch {
				case !f.fine(byte(c)) && n > at, n > len(b):
					t.Fatalf("%s passes over %q at %d", f.name, rune(c), at)
				case f.fine(byte(c)) && n != len(b) && !strings.ContainsRune(f.also, rune(c)):
					t.Fatalf("%s stops at %d of %q", f.name, n, b)
				}
			}
		}
		if n := f.plain("short"); n != 0 {
			t.Errorf("%s says %d", f.name, n)
		}
	}
}
