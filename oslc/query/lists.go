package query

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// score is the pseudo-property of a search; it can't be sorted by, since the
// answer to a search is sorted by it anyway (OSLC Query 3.0, 5.5).
const score = "http://open-services.net/ns/core#score"

// ParseSelect reads an oslc.select or oslc.properties (OSLC Query 3.0, 5.2). It
// fails with kind Invalid.
func ParseSelect(text string, prefixes Prefixes) (Selection, error) {
	return parse(text, prefixes, func(p *parser) Selection {
		s := p.selection(0)
		if len(s) == 1 && s[0].Property == rdf.Nil && s[0].Nested == nil {
			return Selection{}
		}
		return s
	})
}

func (p *parser) selection(depth int) Selection {
	if depth > MaxDepth {
		p.fail("selections nest deeper than %d", MaxDepth)
	}
	var s Selection
	for p.err == nil {
		p.count(&p.terms, MaxSelect, "properties")
		var one Selected
		if p.take("*") {
			one.Property = "*"
		} else {
			one.Property = p.name()
		}
		if p.err == nil && p.take("{") {
			one.Nested = p.selection(depth + 1)
			if p.err == nil && !p.take("}") {
				p.fail("expected , or }")
			}
		}
		s = append(s, one)
		if !p.take(",") {
			break
		}
	}
	if p.err == nil && (len(s) > 1 || depth > 0) &&
		slices.ContainsFunc(s, func(one Selected) bool { return one.Property == rdf.Nil }) {
		p.fail("rdf:nil selects nothing, so nothing can stand beside it")
	}
	return s
}

// ParseOrderBy reads an oslc.orderBy (OSLC Query 3.0, 5.3). A key without a sign
// is ascending: a + that was not encoded arrives as a space. It fails with kind
// Invalid.
func ParseOrderBy(text string, prefixes Prefixes) ([]Sort, error) {
	return parse(text, prefixes, func(p *parser) []Sort { return p.order(nil) })
}

func (p *parser) order(path []string) []Sort {
	if len(path) > MaxDepth {
		p.fail("keys nest deeper than %d", MaxDepth)
	}
	var out []Sort
	for p.err == nil {
		down := p.take("-")
		sign := down || p.take("+")
		at := p.i
		property := p.name()
		if property == score {
			p.i = at
			p.fail("oslc:score can't be sorted by")
		}
		full := append(slices.Clone(path), property)
		switch {
		case p.err != nil:
		case p.take("{"):
			if sign {
				p.i = at
				p.fail("the sign belongs to the innermost property")
			}
			out = append(out, p.order(full)...)
			if p.err == nil && !p.take("}") {
				p.fail("expected , or }")
			}
		default:
			p.count(&p.terms, MaxSort, "keys")
			out = append(out, Sort{Path: full, Descending: down})
		}
		if !p.take(",") {
			break
		}
	}
	return out
}

// ParseSearch reads an oslc.searchTerms (OSLC Query 3.0, 5.5). It fails with kind
// Invalid.
func ParseSearch(text string) ([]string, error) {
	return parse(text, nil, func(p *parser) []string {
		var out []string
		for p.err == nil {
			p.count(&p.terms, MaxSearch, "search strings")
			if p.space(); p.i >= len(p.s) || p.s[p.i] != '"' {
				p.fail(`expected "`)
				break
			}
			out = append(out, p.quoted('"'))
			if !p.take(",") {
				break
			}
		}
		return out
	})
}

// ParsePrefixes reads an oslc.prefix (OSLC Query 3.0, 5.6). It fails with kind
// Invalid, also for a prefix that is declared twice.
func ParsePrefixes(text string) ([]rdf.Prefix, error) {
	return parse(text, nil, func(p *parser) []rdf.Prefix {
		var out []rdf.Prefix
		for p.err == nil {
			p.count(&p.terms, MaxTerms, "prefixes")
			p.space()
			at := p.i
			name := p.prefixName()
			if slices.ContainsFunc(out, func(o rdf.Prefix) bool { return o.Name == name }) {
				p.i = at
				p.fail("prefix %q is declared twice", name)
			}
			if p.err == nil && !p.take("=") {
				p.fail("expected =")
			}
			if p.space(); p.err == nil && (p.i >= len(p.s) || p.s[p.i] != '<') {
				p.fail("expected <")
			}
			if p.err != nil {
				break
			}
			iri := p.quoted('>')
			if p.err == nil && !rdf.ValidIRI(iri) {
				p.fail("<%s> is no absolute IRI", iri)
			}
			out = append(out, rdf.Prefix{Name: name, IRI: iri})
			if !p.take(",") {
				break
			}
		}
		return out
	})
}

func (p *parser) prefixName() string {
	start := p.i
	for p.i < len(p.s) {
		r, w := utf8.DecodeRuneInString(p.s[p.i:])
		if !nameChar(r) {
			break
		}
		p.i += w
	}
	name := p.s[start:p.i]
	if first, _ := utf8.DecodeRuneInString(name); name == "" || !startChar(first) || strings.HasSuffix(name, ".") {
		p.i = start
		p.fail("expected a prefix, not %q", p.rest())
	}
	return name
}

// startChar reports whether r can begin a prefix (PN_CHARS_BASE of SPARQL).
func startChar(r rune) bool {
	switch {
	case r >= 0x300 && r <= 0x36F, r == 0x203F, r == 0x2040, r == 0xB7:
		return false
	case r >= '0' && r <= '9', r == '_', r == '-', r == '.':
		return false
	}
	return nameChar(r)
}
