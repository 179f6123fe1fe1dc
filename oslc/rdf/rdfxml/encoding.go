package rdfxml

import (
	"encoding/binary"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

var declared = regexp.MustCompile(`^<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']`)

// text returns the document as UTF-8. XML 1.0, appendix F: a byte order mark or
// the shape of the first bytes tells UTF-16; otherwise the declaration decides.
func text(doc string) (string, error) {
	switch {
	case strings.HasPrefix(doc, "\xfe\xff"), strings.HasPrefix(doc, "\x00<\x00?"):
		return fromUTF16([]byte(doc), binary.BigEndian)
	case strings.HasPrefix(doc, "\xff\xfe"), strings.HasPrefix(doc, "<\x00?\x00"):
		return fromUTF16([]byte(doc), binary.LittleEndian)
	}
	doc = strings.TrimPrefix(doc, "\ufeff")
	const usual = `<?xml version="1.0" encoding="UTF-8"?>`
	var m []string
	if strings.HasPrefix(doc, usual[:len("<?xml")]) && !strings.HasPrefix(doc, usual) {
		m = declared.FindStringSubmatch(doc[:min(len(doc), 256)])
	}
	if m != nil {
		switch strings.ToLower(m[1]) {
		case "utf-8", "utf8", "us-ascii", "ascii":
		case "iso-8859-1", "latin1", "iso_8859-1", "l1":
			return fromLatin1(doc), nil
		default:
			return "", fault(rdf.FaultEncoding, "encoding "+m[1]+" is not read here")
		}
	}
	if at := chars.IllFormed(doc); at >= 0 {
		return "", rdf.ErrorAt(format, doc, at, rdf.FaultEncoding, "not UTF-8")
	}
	return doc, nil
}

func fault(kind rdf.Fault, msg string) error {
	return &rdf.SyntaxError{Format: format, Kind: kind, Msg: msg}
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
