package rdfxml

import (
	"encoding/binary"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

var declared = regexp.MustCompile(`^<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']`)

// text returns the document as UTF-8. XML 1.0, appendix F: a byte order mark or
// the shape of the first bytes tells UTF-16; otherwise the declaration decides.
func text(data []byte) (string, error) {
	switch {
	case has(data, 0xFE, 0xFF), has(data, 0, '<', 0, '?'):
		return fromUTF16(data, binary.BigEndian)
	case has(data, 0xFF, 0xFE), has(data, '<', 0, '?', 0):
		return fromUTF16(data, binary.LittleEndian)
	}
	doc := strings.TrimPrefix(string(data), "\ufeff")
	if m := declared.FindStringSubmatch(doc[:min(len(doc), 256)]); m != nil {
		switch strings.ToLower(m[1]) {
		case "utf-8", "utf8", "us-ascii", "ascii":
		case "iso-8859-1", "latin1", "iso_8859-1", "l1":
			return fromLatin1(doc), nil
		default:
			return "", fault(rdf.FaultEncoding, "encoding "+m[1]+" is not read here")
		}
	}
	if !utf8.ValidString(doc) {
		return "", fault(rdf.FaultEncoding, "not UTF-8")
	}
	return doc, nil
}

func fault(kind rdf.Fault, msg string) error {
	return &rdf.SyntaxError{Format: format, Kind: kind, Msg: msg}
}

func has(data []byte, prefix ...byte) bool {
	return len(data) >= len(prefix) && string(data[:len(prefix)]) == string(prefix)
}

func fromUTF16(data []byte, order binary.ByteOrder) (string, error) {
	if len(data)%2 != 0 {
		return "", fault(rdf.FaultEncoding, "UTF-16 with an odd number of bytes")
	}
	b := make([]byte, 0, len(data))
	for i := 0; i < len(data); i += 2 {
		r := rune(order.Uint16(data[i:]))
		if i == 0 && r == 0xFEFF {
			continue
		}
		if utf16.IsSurrogate(r) {
			if i += 2; i >= len(data) {
				return "", fault(rdf.FaultEncoding, "UTF-16 ends within a pair")
			}
			if r = utf16.DecodeRune(r, rune(order.Uint16(data[i:]))); r == utf8.RuneError {
				return "", fault(rdf.FaultEncoding, "UTF-16 with a lone surrogate")
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b), nil
}

func fromLatin1(s string) string {
	b := make([]byte, 0, len(s)+len(s)/8)
	for i := range len(s) {
		b = utf8.AppendRune(b, rune(s[i]))
	}
	return string(b)
}
