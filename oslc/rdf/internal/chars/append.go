package chars

import (
	"unicode/utf8"
)

const hex = "0123456789ABCDEF"

var quoted = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = c != '\t'
	}
	t['"'], t['\\'], t[0x7F] = true, true, true
	for c := 0x80; c < 0x100; c++ {
		t[c] = true
	}
	return t
}()

// AppendQuoted appends s as a double-quoted string of N-Triples and Turtle.
// Ill-formed UTF-8 becomes U+FFFD.
func AppendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		if !quoted[c] {
			i++
			continue
		}
		if c >= 0x80 {
			r, w := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && w == 1 {
				b = append(append(b, s[last:i]...), "\uFFFD"...)
				last = i + 1
			}
			i += w
			continue
		}
		b = append(append(b, s[last:i]...), '\\')
		switch c {
		case '"', '\\':
			b = append(b, c)
		case '\n':
			b = append(b, 'n')
		case '\r':
			b = append(b, 'r')
		default:
			b = append(b, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		last = i
	}
	b = append(b, s[last:]...)
	return append(b, '"')
}

// AppendIRI appends s in angle brackets. ok is false if it holds a character
// that would end or break the reference.
func AppendIRI(b []byte, s string) (out []byte, ok bool) {
	if !CleanIRI(s) {
		return b, false
	}
	b = append(append(b, '<'), s...)
	return append(b, '>'), true
}

// CleanIRI reports whether s has none of the characters that IRIs exclude, and
// is well-formed UTF-8.
func CleanIRI(s string) bool {
	var high byte
	for i := PlainIRI(s); i < len(s); i++ {
		c := s[i]
		if class[c]&iriBad != 0 {
			return false
		}
		high |= c
	}
	return high < 0x80 || utf8.ValidString(s)
}

// IsLangTag reports whether s is a language tag.
func IsLangTag(s string) bool { return s != "" && LangTag(s, 0) == len(s) }
