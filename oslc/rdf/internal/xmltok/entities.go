package xmltok

import (
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

const (
	maxEntities    = 256
	maxEntityDepth = 8
	maxReference   = 64 // bytes between '&' and ';'
)

// expand replaces references and normalises line ends, in attributes also
// other white space (XML 1.0, sections 2.11, 3.3.3 and 4.4).
func (x *Tokenizer) expand(s string, attr bool, depth int) (string, error) {
	plain := chars.PlainXML(s, attr)
	if plain == len(s) {
		return s, nil
	}
	same := true
	for i := plain; i < len(s); i++ {
		switch c := s[i]; {
		case c == '&', c == '\r', attr && (c == '\n' || c == '\t'):
			same = false
		case c < 0x20 && c != '\n' && c != '\t':
			return "", x.syntax("character that XML does not allow: %#x", c)
		case c == 0xEF && i+2 < len(s) && s[i+1] == 0xBF && s[i+2] >= 0xBE:
			return "", x.syntax("character that XML does not allow: U+FFFE or U+FFFF")
		}
	}
	if same {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for {
		b.WriteString(s[:plain])
		if s = s[plain:]; s == "" {
			return b.String(), nil
		}
		n := 1
		switch c := s[0]; {
		case c == '\r':
			switch {
			case len(s) > 1 && s[1] == '\n':
			case attr:
				b.WriteByte(' ')
			default:
				b.WriteByte('\n')
			}
		case attr && (c == '\n' || c == '\t'):
			b.WriteByte(' ')
		case c == '&':
			if n = strings.IndexByte(s, ';'); n < 2 || n > maxReference {
				return "", x.syntax("malformed reference")
			}
			if err := x.reference(&b, s[1:n], attr, depth); err != nil {
				return "", err
			}
			n++
		default:
			b.WriteByte(c)
		}
		s = s[n:]
		plain = chars.PlainXML(s, attr)
	}
}

// predefined are the entities of XML 1.0, section 4.6.
func predefined(name string) byte {
	switch name {
	case "amp":
		return '&'
	case "lt":
		return '<'
	case "gt":
		return '>'
	case "quot":
		return '"'
	case "apos":
		return '\''
	}
	return 0
}

func (x *Tokenizer) reference(b *strings.Builder, name string, attr bool, depth int) error {
	if c := predefined(name); c != 0 {
		return b.WriteByte(c)
	}
	if name[0] == '#' {
		r, ok := charRef(name[1:])
		if !ok {
			return x.syntax("malformed character reference &%s;", name)
		}
		b.WriteRune(r)
		return nil
	}
	e, ok := x.entities[name]
	if !ok {
		return x.syntax("entity %q is not declared", name)
	}
	if e.markup {
		return x.Errorf(rdf.FaultUnsupported, "entity %q holds markup", name)
	}
	if x.spent += len(e.text) + 1; x.spent > x.lim.MaxEntityBytes || depth >= maxEntityDepth {
		return x.Errorf(rdf.LimitEntities, "entities expand too far")
	}
	text, err := x.expand(e.text, attr, depth+1)
	b.WriteString(text)
	return err
}

func charRef(digits string) (rune, bool) {
	base := rune(10)
	if strings.HasPrefix(digits, "x") {
		digits, base = digits[1:], 16
	}
	var r rune
	for _, c := range []byte(digits) {
		v := rune(99)
		switch {
		case chars.IsDigit(c):
			v = rune(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = rune(c|0x20-'a') + 10
		}
		if v >= base {
			return 0, false
		}
		if r = r*base + v; r > utf8.MaxRune {
			return 0, false
		}
	}
	return r, digits != "" && chars.XMLChar(r)
}

// doctype reads a document type declaration from behind its keyword.
func (x *Tokenizer) doctype() error {
	for x.pos < len(x.src) {
		switch c := x.src[x.pos]; c {
		case '>':
			x.pos++
			return nil
		case '"', '\'':
			if err := x.skipQuoted(); err != nil {
				return err
			}
		case '[':
			x.pos++
			if err := x.subset(); err != nil {
				return err
			}
		case '<':
			return x.syntax("malformed DOCTYPE")
		default:
			x.pos++
		}
	}
	return x.syntax("DOCTYPE without an end")
}

func (x *Tokenizer) skipQuoted() error {
	n := strings.IndexByte(x.src[x.pos+1:], x.src[x.pos])
	if n < 0 {
		return x.syntax("quoted text without an end")
	}
	x.pos += n + 2
	return nil
}

// subset reads the internal subset. Only entity declarations mean anything to
// us; the others are passed over.
func (x *Tokenizer) subset() error {
	skip := func(prefix, end string) error {
		n := strings.Index(x.src[x.pos+len(prefix):], end)
		if n < 0 {
			return x.syntax("declaration without an end")
		}
		x.pos += len(prefix) + n + len(end)
		return nil
	}
	for {
		x.space()
		rest := x.src[x.pos:]
		var err error
		switch {
		case rest == "":
			return x.syntax("DOCTYPE without an end")
		case rest[0] == ']':
			x.pos++
			return nil
		case rest[0] == '%':
			return x.Errorf(rdf.FaultUnsupported, "parameter entities are refused")
		case strings.HasPrefix(rest, "<!--"):
			err = skip("<!--", "-->")
		case strings.HasPrefix(rest, "<?"):
			err = skip("<?", "?>")
		case strings.HasPrefix(rest, "<!ENTITY"):
			err = x.entityDecl()
		case strings.HasPrefix(rest, "<!"):
			err = x.skipDecl()
		default:
			return x.syntax("malformed internal subset")
		}
		if err != nil {
			return err
		}
	}
}

func (x *Tokenizer) skipDecl() error {
	for x.pos += 2; x.pos < len(x.src); {
		switch x.src[x.pos] {
		case '>':
			x.pos++
			return nil
		case '"', '\'':
			if err := x.skipQuoted(); err != nil {
				return err
			}
		default:
			x.pos++
		}
	}
	return x.syntax("declaration without an end")
}

func (x *Tokenizer) entityDecl() error {
	if x.lim.NoEntities {
		return x.Errorf(rdf.FaultUnsupported, "entities are refused")
	}
	x.pos += len("<!ENTITY")
	x.space()
	if strings.HasPrefix(x.src[x.pos:], "%") {
		return x.Errorf(rdf.FaultUnsupported, "parameter entities are refused")
	}
	from := x.pos
	x.pos = chars.NCName(x.src, from)
	name := x.src[from:x.pos]
	if name == "" || !x.space() || x.pos >= len(x.src) {
		return x.syntax("malformed entity declaration")
	}
	if q := x.src[x.pos]; q != '"' && q != '\'' {
		return x.Errorf(rdf.FaultUnsupported, "external entities are refused")
	}
	at := x.pos + 1
	if err := x.skipQuoted(); err != nil {
		return err
	}
	value := x.src[at : x.pos-1]
	x.space()
	if x.pos >= len(x.src) || x.src[x.pos] != '>' {
		return x.syntax("malformed entity declaration")
	}
	x.pos++
	if len(x.entities) >= maxEntities {
		return x.Errorf(rdf.LimitEntities, "more than %d entities", maxEntities)
	}
	if _, ok := x.entities[name]; ok {
		return nil // the first declaration binds
	}
	e, err := x.replacement(value)
	if err != nil {
		return err
	}
	x.entities[name] = e
	return nil
}

// replacement makes the replacement text of an entity: character references
// are expanded when it is declared, the others when it is used (XML 1.0, 4.5).
func (x *Tokenizer) replacement(value string) (entity, error) {
	if strings.IndexByte(value, '%') >= 0 {
		return entity{}, x.Errorf(rdf.FaultUnsupported, "'%%' in an entity")
	}
	if !strings.Contains(value, "&#") {
		return entity{value, strings.IndexByte(value, '<') >= 0}, nil
	}
	var b []byte
	for i := 0; i < len(value); i++ {
		if !strings.HasPrefix(value[i:], "&#") {
			b = append(b, value[i])
			continue
		}
		n := strings.IndexByte(value[i:], ';')
		if n < 3 || n > maxReference {
			return entity{}, x.syntax("malformed character reference")
		}
		r, ok := charRef(value[i+2 : i+n])
		if !ok {
			return entity{}, x.syntax("malformed character reference")
		}
		b = utf8.AppendRune(b, r)
		i += n
	}
	return entity{string(b), strings.IndexByte(string(b), '<') >= 0}, nil
}
