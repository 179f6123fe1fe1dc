package turtle

import (
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// Parse reads a document. base is the IRI that relative references are resolved
// against; with an empty base they are errors unless the document sets one.
// Errors are *rdf.SyntaxError. Blank nodes are renamed.
func Parse(data []byte, base string, lim rdf.Limits) (*rdf.Graph, error) {
	lim = lim.WithDefaults(rdf.DefaultMaxDepth)
	if len(data) > lim.MaxBytes {
		return nil, rdf.TooLarge(format, data, lim.MaxBytes)
	}
	d := decoder{
		what:     format,
		src:      strings.TrimPrefix(string(data), "\ufeff"),
		base:     base,
		lim:      lim,
		g:        new(rdf.Graph),
		nodes:    rdf.NewRenamer(),
		prefixes: map[string]string{},
		names:    nameMaps.Get().(map[string]rdf.Term),
	}
	defer d.release()
	if at := chars.IllFormed(d.src); at >= 0 {
		return nil, d.fail(at, rdf.FaultEncoding, "not UTF-8")
	}
	d.g.Grow(min(len(data)/bytesPerTriple, 256) + 1)
	for {
		d.space()
		if d.done() {
			return d.g, nil
		}
		if err := d.statement(); err != nil {
			return nil, err
		}
	}
}

// bytesPerTriple is what a triple of an event takes at least, as a rule.
const bytesPerTriple = 50

// nameMaps are kept for the next document, emptied: their growth would be much of
// what reading a small one costs.
var nameMaps = sync.Pool{New: func() any { return make(map[string]rdf.Term, 64) }}

func (d *decoder) release() {
	if len(d.names) <= 256 {
		clear(d.names)
		nameMaps.Put(d.names)
	}
}

var (
	rdfType  = rdf.NewIRI(rdf.Type)
	rdfNil   = rdf.NewIRI(rdf.Nil)
	rdfFirst = rdf.NewIRI(rdf.First)
	rdfRest  = rdf.NewIRI(rdf.Rest)
)

// Prefixed names repeat; those met so far are kept, up to this many.
const keepNames = 4096

type decoder struct {
	what     string // format in errors
	src      string
	pos      int
	base     string
	prefixes map[string]string
	names    map[string]rdf.Term
	nodes    *rdf.Renamer
	g        *rdf.Graph
	lim      rdf.Limits
	depth    int
	count    int

	// A Decoder has neither graph nor Renamer, which grow with the document.
	out  []rdf.Triple
	next int // number of the next blank node without a label
}

func (d *decoder) done() bool { return d.pos >= len(d.src) }

func (d *decoder) fail(at int, kind rdf.Fault, msg string) error {
	return rdf.ErrorAt(d.what, d.src, at, kind, msg)
}

func (d *decoder) syntax(msg string) error { return d.fail(d.pos, rdf.FaultSyntax, msg) }

// peek returns the next byte, or 0 at the end.
func (d *decoder) peek() byte {
	if d.done() {
		return 0
	}
	return d.src[d.pos]
}

func (d *decoder) at(s string) bool { return strings.HasPrefix(d.src[d.pos:], s) }

// space skips white space and comments.
func (d *decoder) space() {
	for d.pos < len(d.src) {
		c := d.src[d.pos]
		if chars.IsSpace(c) {
			d.pos++
			continue
		}
		if c != '#' {
			return
		}
		for d.pos < len(d.src) && d.src[d.pos] != '\n' && d.src[d.pos] != '\r' {
			d.pos++
		}
	}
}

func (d *decoder) expect(c byte) error {
	d.space()
	if d.peek() != c {
		return d.syntax("expected '" + string(c) + "'")
	}
	d.pos++
	return nil
}

func (d *decoder) emit(s, p, o rdf.Term) error {
	if d.count++; d.count > d.lim.MaxTriples {
		return d.fail(d.pos, rdf.LimitTriples, "too many triples")
	}
	if d.g == nil {
		d.out = append(d.out, rdf.Triple{S: s, P: p, O: o})
	} else {
		d.g.Expect(d.pos, len(d.src))
		d.g.AddTriple(rdf.Triple{S: s, P: p, O: o})
	}
	return nil
}

// fresh returns a blank node that no label stands for.
func (d *decoder) fresh() rdf.Term {
	if d.nodes != nil {
		return d.nodes.Fresh()
	}
	t := rdf.NewBlank("b" + strconv.Itoa(d.next))
	d.next++
	return t
}

// enter goes one bracket deeper; leave comes back.
func (d *decoder) enter() error {
	if d.depth++; d.depth > d.lim.MaxDepth {
		return d.fail(d.pos, rdf.LimitDepth, "brackets nest too deep")
	}
	return nil
}

func (d *decoder) leave() { d.depth-- }

// keyword takes a keyword in any case if it stands alone at this place.
func (d *decoder) keyword(word string) bool {
	end := d.pos + len(word)
	if end > len(d.src) || !strings.EqualFold(d.src[d.pos:end], word) {
		return false
	}
	if end < len(d.src) && !chars.IsSpace(d.src[end]) && d.src[end] != '<' && d.src[end] != '#' {
		return false
	}
	d.pos = end
	return true
}

func (d *decoder) statement() error {
	switch {
	case d.at("@prefix"):
		d.pos += len("@prefix")
		if err := d.prefix(); err != nil {
			return err
		}
		return d.expect('.')
	case d.at("@base"):
		d.pos += len("@base")
		if err := d.setBase(); err != nil {
			return err
		}
		return d.expect('.')
	case d.keyword("prefix"):
		return d.prefix()
	case d.keyword("base"):
		return d.setBase()
	}
	return d.triples()
}

func (d *decoder) prefix() error {
	d.space()
	from := d.pos
	name, ok := d.prefixName()
	if !ok {
		return d.fail(from, rdf.FaultSyntax, "expected a prefix and a colon")
	}
	d.space()
	if d.peek() != '<' {
		return d.syntax("expected an IRI")
	}
	iri, err := d.reference()
	if err != nil {
		return err
	}
	if _, ok := d.prefixes[name]; ok {
		clear(d.names)
	} else if len(d.prefixes) >= d.lim.MaxNamespaces {
		return d.fail(from, rdf.LimitNamespaces, "too many prefixes")
	}
	d.prefixes[strings.Clone(name)] = strings.Clone(iri)
	return nil
}

// prefixName reads PNAME_NS: a prefix, which may be empty, and its colon.
func (d *decoder) prefixName() (string, bool) {
	from := d.pos
	end := chars.NCName(d.src, from)
	if end < len(d.src) && d.src[end] == ':' && (end == from || d.src[from] != '_' && d.src[end-1] != '.') {
		d.pos = end + 1
		return d.src[from:end], true
	}
	return "", false
}

func (d *decoder) setBase() error {
	d.space()
	if d.peek() != '<' {
		return d.syntax("expected an IRI")
	}
	iri, err := d.reference()
	if err == nil {
		d.base = iri
	}
	return err
}

func (d *decoder) triples() error {
	var s rdf.Term
	var err error
	optional := false
	switch d.peek() {
	case '[':
		before := d.count
		if s, err = d.bracket(); err != nil {
			return err
		}
		// Only "[ p o ] ." may go without predicates; "[] ." may not.
		optional = d.count > before
	case '(':
		s, err = d.collection()
	case '_':
		s, err = d.label()
	default:
		s, err = d.iri()
	}
	if err != nil {
		return err
	}
	d.space()
	if !optional || d.peek() != '.' {
		if err := d.predicates(s); err != nil {
			return err
		}
	}
	return d.expect('.')
}

// predicates reads a predicateObjectList.
func (d *decoder) predicates(s rdf.Term) error {
	for {
		d.space()
		p, err := d.verb()
		if err != nil {
			return err
		}
		for {
			d.space()
			o, err := d.object()
			if err != nil {
				return err
			}
			if err := d.emit(s, p, o); err != nil {
				return err
			}
			d.space()
			if d.peek() != ',' {
				break
			}
			d.pos++
		}
		if d.peek() != ';' {
			return nil
		}
		for d.peek() == ';' {
			d.pos++
			d.space()
		}
		if c := d.peek(); c == '.' || c == ']' {
			return nil
		}
	}
}

func (d *decoder) verb() (rdf.Term, error) {
	if d.peek() == 'a' {
		next := byte(' ')
		if d.pos+1 < len(d.src) {
			next = d.src[d.pos+1]
		}
		if chars.IsSpace(next) || strings.IndexByte("<[(\"'#", next) >= 0 {
			d.pos++
			return rdfType, nil
		}
	}
	return d.iri()
}

func (d *decoder) object() (rdf.Term, error) {
	switch c := d.peek(); {
	case c == '[':
		return d.bracket()
	case c == '(':
		return d.collection()
	case c == '_':
		return d.label()
	case c == '"' || c == '\'':
		return d.literal()
	case chars.IsDigit(c) || c == '+' || c == '-' || c == '.':
		return d.number()
	case c == 't' || c == 'f':
		for _, word := range [2]string{"true", "false"} {
			if d.at(word) && !nameGoesOn(d.src, d.pos+len(word)) {
				d.pos += len(word)
				return rdf.Typed(word, rdf.XSDBoolean), nil
			}
		}
	}
	return d.iri()
}

// nameGoesOn reports whether the name that ends at i is the start of a longer
// one, or of a prefixed name.
func nameGoesOn(s string, i int) bool {
	if i < len(s) && s[i] == '.' {
		// A full stop belongs to the name only if more of it follows.
		r, _ := utf8.DecodeRuneInString(s[i+1:])
		return i+1 < len(s) && (chars.NameChar(r) && r != '.' || r == ':')
	}
	r, _ := utf8.DecodeRuneInString(s[min(i, len(s)):])
	return i < len(s) && (chars.NameChar(r) || r == ':')
}

func (d *decoder) bracket() (rdf.Term, error) {
	if err := d.enter(); err != nil {
		return rdf.Term{}, err
	}
	defer d.leave()
	d.pos++
	s := d.fresh()
	d.space()
	if d.peek() != ']' {
		if err := d.predicates(s); err != nil {
			return s, err
		}
	}
	return s, d.expect(']')
}

func (d *decoder) collection() (rdf.Term, error) {
	if err := d.enter(); err != nil {
		return rdf.Term{}, err
	}
	defer d.leave()
	d.pos++
	head, tail := rdfNil, rdf.Term{}
	for {
		d.space()
		if d.peek() == ')' {
			d.pos++
			if tail.IsZero() {
				return head, nil
			}
			return head, d.emit(tail, rdfRest, rdfNil)
		}
		cell := d.fresh()
		if tail.IsZero() {
			head = cell
		} else if err := d.emit(tail, rdfRest, cell); err != nil {
			return head, err
		}
		tail = cell
		o, err := d.object()
		if err != nil {
			return head, err
		}
		if err := d.emit(cell, rdfFirst, o); err != nil {
			return head, err
		}
	}
}
