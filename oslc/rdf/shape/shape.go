// Package shape checks graphs against OSLC Resource Shapes (OSLC Core 3.0,
// part 6): how often a property occurs, what its values are, whether they may be
// changed. Properties that a shape does not mention are allowed.
package shape

import (
	"fmt"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

const (
	oslc    = "http://open-services.net/ns/core#"
	dcterms = "http://purl.org/dc/terms/"
	rdfs    = "http://www.w3.org/2000/01/rdf-schema#"
)

// The permitted values of oslc:occurs.
const (
	ExactlyOne = oslc + "Exactly-one"
	ZeroOrOne  = oslc + "Zero-or-one"
	ZeroOrMany = oslc + "Zero-or-many"
	OneOrMany  = oslc + "One-or-many"
)

// The permitted values of oslc:representation.
const (
	Reference = oslc + "Reference"
	Inline    = oslc + "Inline"
	Either    = oslc + "Either"
)

// The value types of properties whose values are resources.
const (
	Resource      = oslc + "Resource"
	AnyResource   = oslc + "AnyResource"
	LocalResource = oslc + "LocalResource"
)

// A Shape is one oslc:ResourceShape.
type Shape struct {
	// Term is the shape's IRI or blank node.
	Term  rdf.Term
	Title string
	// Describes lists the classes that the shape is for; none means any.
	Describes  []string
	Properties []Property
}

// A Property is one oslc:Property of a shape.
type Property struct {
	// Name is oslc:name, the local name of the property.
	Name string
	// Definition is the IRI of the property.
	Definition  string
	Description string
	// Occurs is one of the four values of oslc:occurs, or empty if the shape
	// leaves it out, which binds nothing.
	Occurs         string
	ValueTypes     []string
	Representation string
	Range          []string
	ValueShape     rdf.Term
	// Allowed is the union of oslc:allowedValue and oslc:allowedValues; none
	// means that any value is allowed.
	Allowed []rdf.Term
	Default rdf.Term
	// MaxSize is in characters; 0 means no limit.
	MaxSize  int64
	ReadOnly bool
	Hidden   bool
	// Queryable is true unless the shape says otherwise.
	Queryable bool
	// Member marks the property whose values are the members of a container
	// (oslc:isMemberProperty).
	Member bool
}

// A Set is shapes that may refer to each other.
type Set struct {
	shapes map[rdf.Term]*Shape
	order  []*Shape
}

// Load reads every oslc:ResourceShape of the graphs. Blank nodes must have
// different labels in different graphs. A property without a definition is an
// error, and so is a value that the clause does not permit.
func Load(graphs ...*rdf.Graph) (*Set, error) {
	g := rdf.NewGraph()
	for _, more := range graphs {
		g.AddGraph(more)
	}
	s := &Set{shapes: map[rdf.Term]*Shape{}}
	for _, term := range g.OfType(oslc + "ResourceShape") {
		if s.shapes[term] != nil {
			continue
		}
		sh, err := load(g, term)
		if err != nil {
			return nil, err
		}
		s.shapes[term] = sh
		s.order = append(s.order, sh)
	}
	return s, nil
}

func load(g *rdf.Graph, term rdf.Term) (*Shape, error) {
	sh := &Shape{Term: term, Title: g.Value(term, dcterms+"title"), Describes: iris(g, term, oslc+"describes")}
	for _, p := range g.Objects(term, oslc+"property") {
		prop, err := loadProperty(g, p)
		if err != nil {
			return nil, fmt.Errorf("shape %s: %w", name(term), err)
		}
		sh.Properties = append(sh.Properties, prop)
	}
	slices.SortStableFunc(sh.Properties, func(a, b Property) int { return strings.Compare(a.Definition, b.Definition) })
	return sh, nil
}

func loadProperty(g *rdf.Graph, term rdf.Term) (Property, error) {
	p := Property{
		Name:           g.Value(term, oslc+"name"),
		Definition:     g.Value(term, oslc+"propertyDefinition"),
		Description:    g.Value(term, dcterms+"description"),
		Occurs:         g.Value(term, oslc+"occurs"),
		ValueTypes:     iris(g, term, oslc+"valueType"),
		Representation: g.Value(term, oslc+"representation"),
		Range:          iris(g, term, oslc+"range"),
		ValueShape:     g.Object(term, oslc+"valueShape"),
		Allowed:        g.Objects(term, oslc+"allowedValue"),
		Default:        g.Object(term, oslc+"defaultValue"),
		Queryable:      true,
	}
	if p.Definition == "" {
		return p, fmt.Errorf("property %q has no oslc:propertyDefinition", p.Name)
	}
	switch p.Occurs {
	case "", ExactlyOne, ZeroOrOne, ZeroOrMany, OneOrMany:
	default:
		return p, fmt.Errorf("property %q: oslc:occurs %q is not permitted", p.Name, p.Occurs)
	}
	switch p.Representation {
	case "", Reference, Inline, Either:
	default:
		return p, fmt.Errorf("property %q: oslc:representation %q is not permitted", p.Name, p.Representation)
	}
	for _, list := range g.Objects(term, oslc+"allowedValues") {
		p.Allowed = append(p.Allowed, g.Objects(list, oslc+"allowedValue")...)
	}
	if size := g.Object(term, oslc+"maxSize"); !size.IsZero() {
		n, ok := size.Int()
		if !ok || n <= 0 {
			return p, fmt.Errorf("property %q: oslc:maxSize %q is no positive integer", p.Name, size.Value)
		}
		p.MaxSize = n
	}
	for _, flag := range []struct {
		clause string
		to     *bool
	}{{"readOnly", &p.ReadOnly}, {"hidden", &p.Hidden}, {"queryable", &p.Queryable}, {"isMemberProperty", &p.Member}} {
		if o := g.Object(term, oslc+flag.clause); !o.IsZero() {
			v, ok := o.Bool()
			if !ok {
				return p, fmt.Errorf("property %q: oslc:%s %q is no boolean", p.Name, flag.clause, o.Value)
			}
			*flag.to = v
		}
	}
	return p, nil
}

func iris(g *rdf.Graph, s rdf.Term, p string) []string {
	var out []string
	for _, o := range g.Objects(s, p) {
		if o.Kind == rdf.IRI {
			out = append(out, o.Value)
		}
	}
	return out
}

// name returns a short form of a term for messages.
func name(t rdf.Term) string {
	switch t.Kind {
	case rdf.IRI:
		if s, ok := rdf.Compact(t.Value); ok {
			return s
		}
		return "<" + t.Value + ">"
	case rdf.Blank:
		return "_:" + t.Value
	case rdf.Literal:
	}
	return fmt.Sprintf("%.60q", t.Value)
}

// All returns the shapes in the order in which they stand in the graphs.
func (s *Set) All() []*Shape { return slices.Clone(s.order) }

// Shape returns the shape with the given IRI, or nil.
func (s *Set) Shape(iri string) *Shape { return s.shapes[rdf.NewIRI(iri)] }

// For returns the shapes that describe one of the classes.
func (s *Set) For(classes ...string) []*Shape {
	var out []*Shape
	for _, sh := range s.order {
		if slices.ContainsFunc(classes, func(c string) bool { return slices.Contains(sh.Describes, c) }) {
			out = append(out, sh)
		}
	}
	return out
}

// Property returns the property with the given IRI, or nil.
func (sh *Shape) Property(iri string) *Property {
	for i := range sh.Properties {
		if sh.Properties[i].Definition == iri {
			return &sh.Properties[i]
		}
	}
	return nil
}

// Applies reports whether the shape is for a resource with the given classes.
func (sh *Shape) Applies(classes ...string) bool {
	return len(sh.Describes) == 0 ||
		slices.ContainsFunc(classes, func(c string) bool { return slices.Contains(sh.Describes, c) })
}
