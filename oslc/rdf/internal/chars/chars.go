// Package chars holds the character classes and escapes that the RDF syntaxes
// share: XML names, IRI characters and the escapes of N-Triples.
package chars

import (
	"strings"
	"unicode/utf8"
)

const (
	nameStart = 1 << iota
	nameChar
	iriBad
	space
	textLook // a reader of XML has to look at it in text
	attrLook // and in the value of an attribute
	asciiName
)

var class = func() (t [256]uint8) {
	for c := range t {
		b := byte(c)
		switch {
		case b|0x20 >= 'a' && b|0x20 <= 'z', b == '_':
			t[c] = nameStart | nameChar
		case b >= '0' && b <= '9', b == '-', b == '.':
			t[c] = nameChar
		}
		if b <= 0x20 || b == 0x7F || strings.IndexByte("<>\"{}|^`\\", b) >= 0 {
			t[c] |= iriBad
		}
		if b == ' ' || b == '\t' || b == '\n' || b == '\r' {
			t[c] |= space
		}
		if t[c]&nameChar != 0 || b == ':' {
			t[c] |= asciiName
		}
		if b < 0x20 || b == '&' || b == 0xEF { // U+FFFE and U+FFFF begin with 0xEF
			t[c] |= attrLook
			if b != '\n' && b != '\t' {
				t[c] |= textLook
			}
		}
		if b == ']' { // "]]>"
			t[c] |= textLook
		}
	}
	return t
}()

// IsSpace reports whether c is white space in XML, Turtle and JSON alike.
func IsSpace(c byte) bool { return class[c]&space != 0 }

// IsASCIIName reports whether c may stand in a qualified name, and is ASCII.
func IsASCIIName(c byte) bool { return class[c]&asciiName != 0 }

// IRIBad reports whether c may not stand in an IRI.
func IRIBad(c byte) bool { return class[c]&iriBad != 0 }

// IsDigit reports whether c is an ASCII digit.
func IsDigit(c byte) bool { return c >= '0' && c <= '9' }

// IsAlpha reports whether c is an ASCII letter.
func IsAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// NameStart is NameStartChar of "Namespaces in XML 1.0" without the colon.
func NameStart(r rune) bool {
	if r < 0x80 {
		return r >= 0 && class[r]&nameStart != 0
	}
	return r >= 0xC0 && r <= 0xD6 || r >= 0xD8 && r <= 0xF6 || r >= 0xF8 && r <= 0x2FF ||
		r >= 0x370 && r <= 0x37D || r >= 0x37F && r <= 0x1FFF || r >= 0x200C && r <= 0x200D ||
		r >= 0x2070 && r <= 0x218F || r >= 0x2C00 && r <= 0x2FEF || r >= 0x3001 && r <= 0xD7FF ||
		r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFFD ||
		r >= 0x10000 && r <= 0xEFFFF
}

// NameChar is NameChar of "Namespaces in XML 1.0" without the colon.
func NameChar(r rune) bool {
	if r < 0x80 {
		return r >= 0 && class[r]&nameChar != 0
	}
	return NameStart(r) || r == 0xB7 || r >= 0x300 && r <= 0x36F || r >= 0x203F && r <= 0x2040
}

// NCName returns the end of the NCName that starts at i, or i if there is none.
func NCName(s string, i int) int {
	start := i
	for i < len(s) {
		c := s[i]
		if c < 0x80 {
			k := class[c]
			if k&nameChar == 0 || i == start && k&nameStart == 0 {
				return i
			}
			i++
			continue
		}
		r, w := utf8.DecodeRuneInString(s[i:])
		if i == start && !NameStart(r) || !NameChar(r) {
			return i
		}
		i += w
	}
	return i
}

// IsNCName reports whether all of s is one NCName.
func IsNCName(s string) bool { return s != "" && NCName(s, 0) == len(s) }

// SplitName returns where the longest NCName at the end of iri starts, or -1.
func SplitName(iri string) int {
	i, best := len(iri), -1
	for i > 0 {
		r, w := utf8.DecodeLastRuneInString(iri[:i])
		if !NameChar(r) {
			break
		}
		if i -= w; NameStart(r) {
			best = i
		}
	}
	return best
}

// XMLChar reports whether r may stand in an XML 1.0 document.
func XMLChar(r rune) bool {
	return r == 9 || r == 10 || r == 13 || r >= 0x20 && r <= 0xD7FF ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// XMLText returns the position of the first character of s that XML 1.0
// cannot carry, or -1. Ill-formed UTF-8 counts as such a character.
func XMLText(s string) int {
	for i := 0; i < len(s); {
		c := s[i]
		if c < 0x80 {
			if c < 0x20 && class[c]&space == 0 {
				return i
			}
			i++
			continue
		}
		r, w := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && w == 1 || !XMLChar(r) {
			return i
		}
		i += w
	}
	return -1
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// word returns the eight bytes of s at i.
func word(s string, i int) uint64 {
	t := s[i : i+8]
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
}

// below marks bytes of x less than n, of those up to the first byte that is marked.
func below(x, n uint64) uint64 { return (x - n*eachByte) &^ x & highBits }

// has is below for the bytes that are c.
func has(x uint64, c byte) uint64 { return below(x^uint64(c)*eachByte, 1) }

// PlainXML returns where s has its first character that a reader of XML cannot take
// as it is in text, or in the value of an attribute; or len(s).
func PlainXML(s string, attr bool) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := word(s, i)
		if below(x, 0x20)|has(x, '&')|has(x, ']')|has(x, 0xEF) != 0 {
			break
		}
	}
	look := uint8(textLook)
	if attr {
		look = attrLook
	}
	for i < len(s) && class[s[i]]&look == 0 {
		i++
	}
	return i
}

// PlainText returns how many bytes at the start of s XML takes as text as they
// are, or somewhat fewer.
func PlainText(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := word(s, i)
		// One bit is between '<' and '>'.
		if x&highBits|below(x, 0x20)|has(x, '&')|has(x|2*eachByte, '>') != 0 {
			break
		}
	}
	return i
}

// PlainIRI returns how many bytes at the start of s may stand in an IRI, and in an
// XML attribute as they are, or somewhat fewer.
func PlainIRI(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := word(s, i)
		// One bit is between '<' and '>', '\\' and '^', '"' and '&'; from '{' on there
		// is nothing but '~' that is allowed.
		if (x|(x+0x05*eachByte))&highBits|below(x, 0x21)|has(x|2*eachByte, '>')|has(x|2*eachByte, '^')|
			has(x|4*eachByte, '&')|has(x, '`') != 0 {
			break
		}
	}
	return i
}

// IllFormed returns the position of the first byte of s that is not part of a
// character in UTF-8, or -1.
func IllFormed(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i := 0; i < len(s); {
		r, w := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && w == 1 {
			return i
		}
		i += w
	}
	return -1
}

// LangTag returns the end of the language tag that starts at i, or i.
func LangTag(s string, i int) int {
	j := i
	for j < len(s) && IsAlpha(s[j]) {
		j++
	}
	for j > i && j+1 < len(s) && s[j] == '-' && (IsAlpha(s[j+1]) || IsDigit(s[j+1])) {
		j++
		for j < len(s) && (IsAlpha(s[j]) || IsDigit(s[j])) {
			j++
		}
	}
	return j
}

// Unescape undoes the escapes of N-Triples and Turtle: \uXXXX and \UXXXXXXXX
// everywhere, and in strings also \t \b \n \r \f \" \' \\. It returns a message
// rather than an error because only the caller knows the place.
func Unescape(s string, iri bool) (out, problem string) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		if i++; i >= len(s) {
			return "", "incomplete escape"
		}
		n := 0
		switch s[i] {
		case 'u':
			n = 4
		case 'U':
			n = 8
		}
		if n == 0 {
			k := strings.IndexByte(`tbnrf"'\`, s[i])
			if iri || k < 0 {
				return "", "unknown escape"
			}
			b = append(b, "\t\b\n\r\f\"'\\"[k])
			continue
		}
		if i+n >= len(s) {
			return "", "incomplete escape"
		}
		var r rune
		for _, c := range []byte(s[i+1 : i+1+n]) {
			switch {
			case IsDigit(c):
				r = r<<4 | rune(c-'0')
			case c|0x20 >= 'a' && c|0x20 <= 'f':
				r = r<<4 | rune(c|0x20-'a'+10)
			default:
				return "", "bad digit in an escape"
			}
			if r > utf8.MaxRune {
				return "", "escape beyond U+10FFFF"
			}
		}
		if r >= 0xD800 && r < 0xE000 {
			return "", "escape of a surrogate"
		}
		if iri && r < 0x80 && IRIBad(byte(r)) {
			return "", "escape of a character that an IRI cannot hold"
		}
		b = utf8.AppendRune(b, r)
		i += n
	}
	return string(b), ""
}
