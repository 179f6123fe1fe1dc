package query

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// Prefixes finds the namespace of a prefix.
type Prefixes func(prefix string) (iri string, ok bool)

// What a request may ask for. More than this is refused, so that nobody's query can
// keep the server busy by its size alone.
const (
	MaxText   = 64 << 10 // bytes of one parameter
	MaxDepth  = 16       // how deep scopes and selections nest
	MaxTerms  = 64       // conditions, scopes included
	MaxValues = 1000     // values of all conditions
	MaxSelect = 256      // properties of a selection
	MaxSort   = 8        // keys to sort by
	MaxSearch = 16       // search strings
)

// A SyntaxError says where a query is wrong.
type SyntaxError struct {
	Offset int // in bytes from the start, 0-based
	Msg    string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("at %d: %s", e.Offset+1, e.Msg) }

// ParseWhere reads an oslc.where (OSLC Query 3.0, section 5.1). White space is
// allowed between any two tokens. It fails with kind Invalid.
func ParseWhere(text string, prefixes Prefixes) (Where, error) {
	return parse(text, prefixes, func(p *parser) Where { return p.compound(0) })
}

// parse reads the whole of text.
func parse[T any](text string, prefixes Prefixes, read func(p *parser) T) (T, error) {
	var none T
	p := &parser{s: text, prefixes: prefixes}
	if len(text) > MaxText {
		p.fail("longer than %d bytes", MaxText)
		return none, oslc.E("query.parse", p.err, oslc.Invalid)
	}
	if !utf8.ValidString(text) {
		p.fail("not UTF-8")
		return none, oslc.E("query.parse", p.err, oslc.Invalid)
	}
	v := read(p)
	if p.space(); p.err == nil && p.i < len(p.s) {
		p.fail("unexpected %q", p.rest())
	}
	if p.err != nil {
		return none, oslc.E("query.parse", p.err, oslc.Invalid)
	}
	return v, nil
}

type parser struct {
	s             string
	i             int
	prefixes      Prefixes
	terms, values int // read so far
	err           error
}

// count fails when there are more than most of something.
func (p *parser) count(n *int, most int, what string) {
	if *n++; *n > most {
		p.fail("more than %d %s", most, what)
	}
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = &SyntaxError{p.i, fmt.Sprintf(format, args...)}
	}
}

func (p *parser) rest() string {
	r := p.s[p.i:]
	if len(r) > 20 {
		r = r[:20] + "…"
	}
	return r
}

func (p *parser) space() {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *parser) take(tok string) bool {
	p.space()
	if !strings.HasPrefix(p.s[p.i:], tok) {
		return false
	}
	p.i += len(tok)
	return true
}

// word takes a keyword that no name character follows.
func (p *parser) word(w string) bool {
	p.space()
	r := p.s[p.i:]
	if !strings.HasPrefix(r, w) {
		return false
	}
	if next, _ := utf8.DecodeRuneInString(r[len(w):]); len(r) > len(w) && (nameChar(next) || next == ':') {
		return false
	}
	p.i += len(w)
	return true
}

func (p *parser) compound(depth int) Where {
	if depth > MaxDepth {
		p.fail("scopes nest deeper than %d", MaxDepth)
	}
	var w Where
	for p.err == nil {
		p.count(&p.terms, MaxTerms, "conditions")
		w = append(w, p.term(depth))
		if !p.word("and") {
			break
		}
	}
	return w
}

func (p *parser) term(depth int) Term {
	var t Term
	p.space()
	if p.take("*") {
		t.Property = "*"
	} else {
		t.Property = p.name()
	}
	switch {
	case p.err != nil:
	case p.take("{"):
		t.Scope = p.compound(depth + 1)
		if p.err == nil && !p.take("}") {
			p.fail("expected }")
		}
	case p.word("in"):
		t.Op = In
		if !p.take("[") {
			p.fail("expected [ after in")
		}
		for p.err == nil {
			t.Values = append(t.Values, p.value())
			if !p.take(",") {
				break
			}
		}
		if p.err == nil && !p.take("]") {
			p.fail("expected ]")
		}
	default:
		for _, o := range operators {
			if p.take(o.tok) {
				t.Op = o.op
				t.Values = []Value{p.value()}
				return t
			}
		}
		p.fail("expected a comparison, in or {")
	}
	return t
}

// operators in the order in which they are tried: the longest first.
var operators = []struct {
	tok string
	op  Op
}{{"!=", NotEqual}, {"<=", LessOrEqual}, {">=", GreaterOrEqual}, {"=", Equal}, {"<", Less}, {">", Greater}}

// name reads a prefixed name and returns its IRI.
func (p *parser) name() string {
	p.space()
	start := p.i
	for p.i < len(p.s) {
		r, w := utf8.DecodeRuneInString(p.s[p.i:])
		if !nameChar(r) && r != ':' {
			break
		}
		p.i += w
	}
	for p.i > start && p.s[p.i-1] == '.' {
		p.i--
	}
	prefix, local, ok := strings.Cut(p.s[start:p.i], ":")
	if !ok {
		p.i = start
		p.fail("expected a prefixed name, not %q", p.rest())
		return ""
	}
	ns, known := "", false
	if p.prefixes != nil {
		ns, known = p.prefixes(prefix)
	}
	if !known {
		p.i = start
		p.fail("unknown prefix %q", prefix)
	}
	return ns + local
}

func nameChar(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.', r == 0xB7:
		return true
	case r < 0xC0, r == 0xD7, r == 0xF7, r == 0x37E, r == utf8.RuneError:
		return false
	case r >= 0x2000 && r < 0x200C, r > 0x200D && r < 0x203F, r > 0x2040 && r < 0x2070, r > 0x218F && r < 0x2C00,
		r > 0x2FEF && r < 0x3001, r >= 0xD800 && r < 0xF900, r > 0xFDCF && r < 0xFDF0, r > 0xFFFD && r < 0x10000, r > 0xEFFFF:
		return false
	}
	return true
}

func (p *parser) value() Value {
	p.count(&p.values, MaxValues, "values")
	p.space()
	if p.i >= len(p.s) {
		p.fail("expected a value")
		return Value{}
	}
	switch c := p.s[p.i]; {
	case c == '"':
		return p.literal()
	case c == '<':
		iri := p.quoted('>')
		if p.err == nil && !rdf.ValidIRI(iri) {
			p.fail("<%s> is no absolute IRI", iri)
		}
		return Value{Term: rdf.NewIRI(iri)}
	case p.word("true"):
		return Value{Term: rdf.Bool(true)}
	case p.word("false"):
		return Value{Term: rdf.Bool(false)}
	case c >= '0' && c <= '9', c == '+', c == '-', c == '.':
		return p.decimal()
	}
	return Value{Term: rdf.NewIRI(p.name())}
}

// quoted reads up to the closing quote; a backslash keeps it or itself.
func (p *parser) quoted(end byte) string {
	start := p.i
	p.i++
	var b strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == end:
			return b.String()
		case c == '\\' && p.i < len(p.s):
			c = p.s[p.i]
			p.i++
			if c != end && c != '\\' {
				p.i -= 2
				p.fail(`a backslash can only keep %q or itself`, end)
				return ""
			}
		}
		b.WriteByte(c)
	}
	p.i = start
	p.fail("no closing %q", end)
	return ""
}

func (p *parser) literal() Value {
	v := Value{Term: rdf.String(p.quoted('"')), Bare: true}
	switch {
	case p.err != nil:
	case strings.HasPrefix(p.s[p.i:], "^^"):
		p.i += 2
		v.Bare = false
		if p.i < len(p.s) && p.s[p.i] == '<' {
			datatype := p.quoted('>')
			if p.err == nil && !rdf.ValidIRI(datatype) {
				p.fail("<%s> is no absolute IRI", datatype)
			}
			v.Term = rdf.Typed(v.Term.Value, datatype)
		} else {
			v.Term = rdf.Typed(v.Term.Value, p.name())
		}
		if v.Term.Datatype == "" || v.Term.Datatype == rdf.XMLLiteral {
			v.Bare = true // xsd:string and XMLLiteral mean the text (QUERY-24)
			v.Term.Datatype = ""
		}
	case strings.HasPrefix(p.s[p.i:], "@"):
		p.i++
		start := p.i
		for p.i < len(p.s) && (p.s[p.i] == '-' || nameChar(rune(p.s[p.i])) && p.s[p.i] < 0x80) {
			p.i++
		}
		if start == p.i {
			p.fail("expected a language tag")
		}
		v.Term.Lang, v.Bare = p.s[start:p.i], false
	}
	return v
}

func (p *parser) decimal() Value {
	start := p.i
	if p.s[p.i] == '+' || p.s[p.i] == '-' {
		p.i++
	}
	digits, point := 0, false
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c == '.' && !point {
			point = true
			p.i++
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		digits++
		p.i++
	}
	if digits == 0 {
		p.i = start
		p.fail("expected a value, not %q", p.rest())
		return Value{}
	}
	datatype := rdf.XSDInteger
	if point {
		datatype = rdf.XSDDecimal
	}
	return Value{Term: rdf.Typed(p.s[start:p.i], datatype)}
}
