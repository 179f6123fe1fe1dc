package ntriples

import (
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// Parse reads a document. Errors are *rdf.SyntaxError. Blank nodes are renamed.
func Parse(data []byte, lim rdf.Limits) (*rdf.Graph, error) {
	lim = lim.WithDefaults(rdf.DefaultMaxDepth)
	if len(data) > lim.MaxBytes {
		return nil, rdf.TooLarge(format, data, lim.MaxBytes)
	}
	g := new(rdf.Graph)
	g.Grow(min(len(data)/bytesPerTriple, 256) + 1)
	names := rdf.NewRenamer()
	s := scanner{src: strings.TrimPrefix(string(data), "\ufeff"), lim: lim}
	if at := chars.IllFormed(s.src); at >= 0 {
		return nil, s.fail(at, rdf.FaultEncoding, "not UTF-8")
	}
	for n := 0; ; n++ {
		s.skipLines()
		if s.done() {
			return g, nil
		}
		if n >= lim.MaxTriples {
			return nil, s.fail(s.pos, rdf.LimitTriples, "too many triples")
		}
		t, err := s.triple()
		if err != nil {
			return nil, err
		}
		if t.S.Kind == rdf.Blank {
			t.S = names.Rename(t.S.Value)
		}
		if t.O.Kind == rdf.Blank {
			t.O = names.Rename(t.O.Value)
		}
		g.Expect(s.pos, len(s.src))
		g.AddTriple(t)
	}
}

// bytesPerTriple is what a triple of an event takes at least, as a rule.
const bytesPerTriple = 100

type scanner struct {
	src string
	pos int
	lim rdf.Limits
}

func (s *scanner) done() bool { return s.pos >= len(s.src) }

func (s *scanner) fail(at int, kind rdf.Fault, msg string) error {
	return rdf.ErrorAt(format, s.src, at, kind, msg)
}

// space skips any of the given ASCII characters.
func (s *scanner) space(set string) {
	for s.pos < len(s.src) && strings.IndexByte(set, s.src[s.pos]) >= 0 {
		s.pos++
	}
}

func (s *scanner) skipLines() {
	for {
		s.space(" \t\r\n")
		if s.done() || s.src[s.pos] != '#' {
			return
		}
		for !s.done() && s.src[s.pos] != '\n' && s.src[s.pos] != '\r' {
			s.pos++
		}
	}
}

// peek returns the next byte without taking it, or 0 at the end.
func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.src[s.pos]
}

// error returns a syntax error at the present place.
func (s *scanner) error(msg string) error { return s.fail(s.pos, rdf.FaultSyntax, msg) }

// triple reads three terms, the full stop behind them, and the end of the line.
func (s *scanner) triple() (t rdf.Triple, err error) {
	if t.S, err = s.term(); err != nil {
		return t, err
	}
	if t.S.Kind == rdf.Literal {
		return t, s.error("a literal as subject")
	}
	s.space(" \t")
	if s.peek() != '<' {
		return t, s.error("expected an IRI as predicate")
	}
	if t.P, err = s.term(); err != nil {
		return t, err
	}
	s.space(" \t")
	if t.O, err = s.term(); err != nil {
		return t, err
	}
	s.space(" \t")
	if s.peek() != '.' {
		return t, s.error("expected a full stop")
	}
	s.pos++
	s.space(" \t")
	if !s.done() && strings.IndexByte("\n\r#", s.src[s.pos]) < 0 {
		return t, s.error("text after the full stop")
	}
	return t, nil
}

// term reads an IRI, a blank node or a literal.
func (s *scanner) term() (rdf.Term, error) {
	switch s.peek() {
	case '<':
		iri, err := s.iri()
		return rdf.NewIRI(iri), err
	case '_':
		end := blankEnd(s.src, s.pos)
		if end == s.pos {
			return rdf.Term{}, s.error("not a blank node label")
		}
		label := s.src[s.pos+2 : end]
		s.pos = end
		return rdf.NewBlank(label), nil
	case '"':
		return s.literal()
	}
	return rdf.Term{}, s.error("expected a term")
}

func (s *scanner) iri() (string, error) {
	start := s.pos + 1
	end := start
	for ; ; end++ {
		if end >= len(s.src) {
			return "", s.fail(s.pos, rdf.FaultSyntax, "IRI without an end")
		}
		if c := s.src[end]; c == '>' {
			break
		} else if chars.IRIBad(c) && c != '\\' {
			return "", s.fail(end, rdf.FaultIRI, "character not allowed in an IRI")
		}
	}
	v := s.src[start:end]
	escaped := strings.IndexByte(v, '\\') >= 0
	if escaped {
		var problem string
		if v, problem = chars.Unescape(v, true); problem != "" {
			return "", s.fail(start, rdf.FaultIRI, problem)
		}
	}
	if len(v) > s.lim.MaxIRI {
		return "", s.fail(start, rdf.LimitIRI, "IRI too long")
	}
	// Without an escape its characters have been looked at.
	if !rdf.IsAbsolute(v) || escaped && !rdf.ValidIRI(v) {
		return "", s.fail(start, rdf.FaultIRI, "not an absolute IRI")
	}
	s.pos = end + 1
	return v, nil
}

func (s *scanner) literal() (rdf.Term, error) {
	start := s.pos + 1
	end, escaped := start, false
	for ; ; end++ {
		if end >= len(s.src) {
			return rdf.Term{}, s.fail(s.pos, rdf.FaultSyntax, "string without an end")
		}
		c := s.src[end]
		if c == '"' {
			break
		}
		switch c {
		case '\\':
			escaped = true
			end++
		case '\n', '\r':
			return rdf.Term{}, s.fail(end, rdf.FaultSyntax, "line end in a string")
		}
	}
	t := rdf.String(s.src[start:end])
	if escaped {
		var problem string
		if t.Value, problem = chars.Unescape(t.Value, false); problem != "" {
			return t, s.fail(start, rdf.FaultSyntax, problem)
		}
	}
	if len(t.Value) > s.lim.MaxLiteral {
		return t, s.fail(start, rdf.LimitLiteral, "literal too long")
	}
	s.pos = end + 1
	switch {
	case s.peek() == '@':
		end := chars.LangTag(s.src, s.pos+1)
		if end == s.pos+1 {
			return t, s.error("not a language tag")
		}
		t.Lang = s.src[s.pos+1 : end]
		s.pos = end
	case strings.HasPrefix(s.src[s.pos:], "^^"):
		s.pos += 2
		if s.peek() != '<' {
			return t, s.error("expected the IRI of a datatype")
		}
		iri, err := s.iri()
		if err != nil {
			return t, err
		}
		t = rdf.Typed(t.Value, iri)
	}
	return t, nil
}

// blankEnd returns the end of the blank node label that starts at i, or i.
func blankEnd(s string, i int) int {
	if !strings.HasPrefix(s[i:], "_:") {
		return i
	}
	start := i + 2
	j := start
	for j < len(s) {
		r, w := utf8.DecodeRuneInString(s[j:])
		if !chars.NameChar(r) || j == start && (r == '-' || r == '.' || r == 0xB7 || r >= 0x300 && !chars.NameStart(r)) {
			break
		}
		j += w
	}
	for j > start && s[j-1] == '.' {
		j--
	}
	if j == start {
		return i
	}
	return j
}
