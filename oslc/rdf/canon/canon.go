// Package canon brings graphs into a canonical form, so that they can be
// compared and fingerprinted whatever their blank nodes are called. It follows
// W3C RDF Dataset Canonicalization (RDFC-1.0) with SHA-256, within a budget of
// work: a small graph can be made that would keep that algorithm busy for years.
package canon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// ErrBudget says that a graph takes more work than the budget allows. Only
// graphs with many blank nodes that look alike do.
var ErrBudget = errors.New("canon: the blank nodes take more work than the budget allows")

// DefaultBudget is how many times the neighbourhood of a blank node is looked
// at, in one order of its neighbours, before ErrBudget. Documents of OSLC tools
// stay far below a hundred.
const DefaultBudget = 20_000

// NQuads returns the canonical form of g: sorted lines of N-Triples in which
// blank nodes are called c14n0, c14n1 and so on. Two graphs are isomorphic
// exactly when their canonical forms are equal.
func NQuads(g *rdf.Graph) ([]byte, error) { return NQuadsWithin(g, DefaultBudget) }

// NQuadsWithin is NQuads with a budget of the caller's choice.
func NQuadsWithin(g *rdf.Graph, budget int) ([]byte, error) {
	labels, err := labels(g, budget)
	if err != nil {
		return nil, err
	}
	lines := make([]string, 0, g.Len())
	var b []byte
	for _, t := range g.Triples() {
		b = appendTriple(b[:0], &t, func(label string) string { return labels[label] })
		lines = append(lines, string(b))
	}
	slices.Sort(lines)
	b = b[:0]
	for _, l := range lines {
		b = append(b, l...)
	}
	return b, nil
}

// Hash returns the SHA-256 of the canonical form of g in hexadecimal digits.
func Hash(g *rdf.Graph) (string, error) {
	b, err := NQuads(g)
	if err != nil {
		return "", err
	}
	return Sum(b), nil
}

// Sum returns the SHA-256 of a canonical form in hexadecimal digits.
func Sum(canonical []byte) string { return digest(canonical) }

// Isomorphic reports whether a and b are the same graph but for the labels of
// their blank nodes.
func Isomorphic(a, b *rdf.Graph) (bool, error) {
	if a.Len() != b.Len() {
		return false, nil
	}
	blanks := false
	for _, t := range a.Triples() {
		if t.S.Kind == rdf.Blank || t.O.Kind == rdf.Blank {
			blanks = true
		} else if !b.Has(t) {
			return false, nil
		}
	}
	if !blanks {
		return true, nil
	}
	if same, decided := match(a, b); decided {
		return same, nil
	}
	x, err := NQuads(a)
	if err != nil {
		return false, err
	}
	y, err := NQuads(b)
	return err == nil && string(x) == string(y), err
}

// Canonical returns g with its blank nodes renamed to their canonical labels
// and its triples in canonical order.
func Canonical(g *rdf.Graph) (*rdf.Graph, error) {
	labels, err := labels(g, DefaultBudget)
	if err != nil {
		return nil, err
	}
	type line struct {
		text   string
		triple rdf.Triple
	}
	lines := make([]line, 0, g.Len())
	for _, t := range g.Triples() {
		text := string(appendTriple(nil, &t, func(label string) string { return labels[label] }))
		if t.S.Kind == rdf.Blank {
			t.S = rdf.NewBlank(labels[t.S.Value])
		}
		if t.O.Kind == rdf.Blank {
			t.O = rdf.NewBlank(labels[t.O.Value])
		}
		lines = append(lines, line{text, t})
	}
	slices.SortFunc(lines, func(a, b line) int {
		if a.text < b.text {
			return -1
		}
		return 1
	})
	out := rdf.NewGraph()
	for i := range lines {
		out.AddTriple(lines[i].triple)
	}
	return out, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func appendTriple(b []byte, t *rdf.Triple, label func(string) string) []byte {
	b = appendTerm(b, &t.S, label)
	b = append(b, ' ')
	b = appendTerm(b, &t.P, label)
	b = append(b, ' ')
	b = appendTerm(b, &t.O, label)
	return append(b, " .\n"...)
}

func appendTerm(b []byte, t *rdf.Term, label func(string) string) []byte {
	switch t.Kind {
	case rdf.Blank:
		return append(append(b, "_:"...), label(t.Value)...)
	case rdf.IRI:
		return append(append(append(b, '<'), t.Value...), '>')
	case rdf.Literal:
	}
	b = append(b, '"')
	for i := range len(t.Value) {
		// The canonical escapes of RDFC-1.0, section 5.
		switch c := t.Value[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\t':
			b = append(b, `\t`...)
		case '\n':
			b = append(b, `\n`...)
		case '\f':
			b = append(b, `\f`...)
		case '\r':
			b = append(b, `\r`...)
		default:
			if c < 0x20 || c == 0x7F {
				const digits = "0123456789ABCDEF"
				b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
				continue
			}
			b = append(b, c)
		}
	}
	b = append(b, '"')
	switch {
	case t.Lang != "":
		b = append(append(b, '@'), t.Lang...)
	case t.Datatype != "" && t.Datatype != rdf.XSDString:
		b = append(append(append(b, "^^<"...), t.Datatype...), '>')
	}
	return b
}

// An issuer gives blank nodes identifiers in the order they are asked for.
type issuer struct {
	prefix string
	ids    map[string]string
	order  []string
}

func newIssuer(prefix string) *issuer { return &issuer{prefix: prefix, ids: map[string]string{}} }

func (s *issuer) clone() *issuer {
	c := &issuer{prefix: s.prefix, ids: make(map[string]string, len(s.ids)+1), order: slices.Clone(s.order)}
	maps.Copy(c.ids, s.ids)
	return c
}

func (s *issuer) issue(label string) string {
	if id, ok := s.ids[label]; ok {
		return id
	}
	id := s.prefix + strconv.Itoa(len(s.order))
	s.ids[label] = id
	s.order = append(s.order, label)
	return id
}
