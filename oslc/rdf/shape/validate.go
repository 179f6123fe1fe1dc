package shape

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A Clause is the part of a shape that a resource breaks.
type Clause string

// The clauses, by the local names that the OSLC vocabulary has for them.
const (
	ClauseDescribes      Clause = "describes"
	ClauseOccurs         Clause = "occurs"
	ClauseValueType      Clause = "valueType"
	ClauseRepresentation Clause = "representation"
	ClauseRange          Clause = "range"
	ClauseAllowedValue   Clause = "allowedValue"
	ClauseMaxSize        Clause = "maxSize"
	ClauseReadOnly       Clause = "readOnly"
	// ClauseValueShape is broken by values that nest beyond MaxDepth.
	ClauseValueShape Clause = "valueShape"
)

// A Violation is one way in which a resource breaks a shape.
type Violation struct {
	Subject rdf.Term
	// Property is the IRI of the property; empty for ClauseDescribes.
	Property string
	Clause   Clause
	Shape    rdf.Term
	Msg      string
}

func (v Violation) String() string {
	p := ""
	if v.Property != "" {
		p = " " + name(rdf.NewIRI(v.Property))
	}
	return fmt.Sprintf("%s%s: oslc:%s: %s", name(v.Subject), p, v.Clause, v.Msg)
}

// An Error is the violations of a resource.
type Error struct{ Violations []Violation }

// longest is how many violations an error text shows.
const longest = 5

func (e *Error) Error() string {
	var b strings.Builder
	for i, v := range e.Violations {
		if i == longest {
			fmt.Fprintf(&b, "; and %d more", len(e.Violations)-longest)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(v.String())
	}
	return b.String()
}

// DefaultMaxDepth is how deep values are followed through oslc:valueShape.
const DefaultMaxDepth = 8

// A Check says how to look at a resource. The zero value is for a resource on
// its own, as it comes in to be created.
type Check struct {
	// Shapes are the IRIs of the shapes to check against, such as the values of
	// oslc:instanceShape; all that apply to the resource's classes do, and it is
	// a violation if none does. None means every shape of the Set that describes
	// one of the classes, and then it is no violation if there is none.
	Shapes []string
	// Before is the resource as it was. Where it is set, read-only properties
	// must not have changed.
	Before *rdf.Graph
	// Strict refuses plain strings where a shape wants rdf:XMLLiteral. Many
	// tools send plain text there, so it is accepted without Strict.
	Strict bool
	// MaxDepth is how deep values are followed; 0 means DefaultMaxDepth.
	MaxDepth int
}

// Validate checks the resource subject of g with the zero Check. The error is an
// *Error, or nil if the resource keeps to every shape.
func (s *Set) Validate(g *rdf.Graph, subject string) error {
	return s.Check(g, rdf.NewIRI(subject), Check{})
}

// Check checks the resource subject of g. The error is an *Error with every
// violation, in the order of shapes and properties, or nil if there is none.
func (s *Set) Check(g *rdf.Graph, subject rdf.Term, c Check) error {
	if c.MaxDepth <= 0 {
		c.MaxDepth = DefaultMaxDepth
	}
	v := validator{set: s, g: g, check: c, seen: map[visit]bool{}}
	classes := iris(g, subject, rdf.Type)
	shapes := s.For(classes...)
	if len(c.Shapes) > 0 {
		shapes = nil
		for _, iri := range c.Shapes {
			if sh := s.Shape(iri); sh != nil && sh.Applies(classes...) {
				shapes = append(shapes, sh)
			}
		}
		if len(shapes) == 0 {
			v.add(subject, "", ClauseDescribes, rdf.NewIRI(c.Shapes[0]), "none of the shapes applies to a resource of these classes")
		}
	}
	for _, sh := range shapes {
		v.resource(subject, sh, 1)
	}
	if len(v.found) == 0 {
		return nil
	}
	return &Error{v.found}
}

type visit struct {
	subject rdf.Term
	shape   *Shape
}

type validator struct {
	set   *Set
	g     *rdf.Graph
	check Check
	seen  map[visit]bool
	found []Violation
}

func (v *validator) add(s rdf.Term, p string, c Clause, shape rdf.Term, f string, a ...any) {
	v.found = append(v.found, Violation{s, p, c, shape, fmt.Sprintf(f, a...)})
}

func (v *validator) resource(s rdf.Term, sh *Shape, depth int) {
	if v.seen[visit{s, sh}] {
		return
	}
	v.seen[visit{s, sh}] = true
	for i := range sh.Properties {
		p := &sh.Properties[i]
		values := v.g.Objects(s, p.Definition)
		v.occurs(s, sh, p, values)
		if v.check.Before != nil && p.ReadOnly {
			v.readOnly(s, sh, p, values)
		}
		for _, o := range values {
			v.value(s, sh, p, o, depth)
		}
	}
}

// occurs counts the values. Of strings, "one" means one per language.
func (v *validator) occurs(s rdf.Term, sh *Shape, p *Property, values []rdf.Term) {
	if len(values) == 0 {
		if p.Occurs == ExactlyOne || p.Occurs == OneOrMany {
			v.add(s, p.Definition, ClauseOccurs, sh.Term, "there is no value")
		}
		return
	}
	if p.Occurs != ExactlyOne && p.Occurs != ZeroOrOne {
		return
	}
	languages := map[string]int{}
	for _, o := range values {
		languages[strings.ToLower(o.Lang)]++
	}
	for _, o := range values {
		lang := strings.ToLower(o.Lang)
		if n := languages[lang]; n > 1 {
			in := ""
			if lang != "" {
				in = " in the language " + lang
			}
			v.add(s, p.Definition, ClauseOccurs, sh.Term, "there are %d values%s where one is allowed", n, in)
			languages[lang] = 0
		}
	}
}

// readOnly compares with the resource as it was. Blank nodes have no identity
// that would outlast a document, so only their number counts.
func (v *validator) readOnly(s rdf.Term, sh *Shape, p *Property, values []rdf.Term) {
	was := v.check.Before.Objects(s, p.Definition)
	same := len(was) == len(values)
	for _, o := range values {
		same = same && (o.Kind == rdf.Blank || slices.Contains(was, o))
	}
	if !same {
		v.add(s, p.Definition, ClauseReadOnly, sh.Term, "a read-only property was changed")
	}
}

func (v *validator) value(s rdf.Term, sh *Shape, p *Property, o rdf.Term, depth int) {
	if len(p.ValueTypes) > 0 && !slices.ContainsFunc(p.ValueTypes, func(t string) bool { return v.hasType(o, t) }) {
		v.add(s, p.Definition, ClauseValueType, sh.Term, "%s is not of type %s", describe(o), types(p.ValueTypes))
	}
	if p.MaxSize > 0 && o.Kind == rdf.Literal && int64(utf8.RuneCountInString(o.Value)) > p.MaxSize {
		v.add(s, p.Definition, ClauseMaxSize, sh.Term, "a value of %d characters where %d are allowed", utf8.RuneCountInString(o.Value), p.MaxSize)
	}
	if len(p.Allowed) > 0 && !slices.Contains(p.Allowed, o) {
		v.add(s, p.Definition, ClauseAllowedValue, sh.Term, "%s is not among the %d allowed values", describe(o), len(p.Allowed))
	}
	if o.Kind == rdf.Literal {
		return
	}
	described := false
	for range v.g.About(o) {
		described = true
		break
	}
	switch {
	case p.Representation == Reference && o.Kind == rdf.Blank:
		v.add(s, p.Definition, ClauseRepresentation, sh.Term, "a blank node where a reference must stand")
	case p.Representation == Inline && !described:
		v.add(s, p.Definition, ClauseRepresentation, sh.Term, "%s must be described in the same document", describe(o))
	}
	v.ranged(s, sh, p, o)
	if p.ValueShape.IsZero() || !described {
		return
	}
	if inner := v.set.shapes[p.ValueShape]; inner != nil {
		if depth >= v.check.MaxDepth {
			v.add(s, p.Definition, ClauseValueShape, sh.Term, "values nest deeper than %d", v.check.MaxDepth)
			return
		}
		v.resource(o, inner, depth+1)
	}
}

// ranged checks the classes of a value as far as the graph knows any: nothing
// is inferred, and a link to a resource elsewhere is not followed.
func (v *validator) ranged(s rdf.Term, sh *Shape, p *Property, o rdf.Term) {
	if len(p.Range) == 0 || slices.Contains(p.Range, oslc+"Any") || slices.Contains(p.Range, rdfs+"Resource") {
		return
	}
	classes := iris(v.g, o, rdf.Type)
	if len(classes) > 0 && !slices.ContainsFunc(classes, func(c string) bool { return slices.Contains(p.Range, c) }) {
		v.add(s, p.Definition, ClauseRange, sh.Term, "%s is none of %s", describe(o), types(p.Range))
	}
}

func describe(o rdf.Term) string {
	if o.Kind == rdf.Literal && o.Datatype != "" {
		return name(o) + "^^" + name(rdf.NewIRI(o.Datatype))
	}
	return name(o)
}

func types(list []string) string {
	short := make([]string, len(list))
	for i, t := range list {
		short[i] = name(rdf.NewIRI(t))
	}
	return strings.Join(short, ", ")
}
