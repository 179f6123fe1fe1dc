// Package mapping is how a configuration says what becomes of a tool's data:
// which value is the title, which the identifier, and which property each of the
// others is. Adapters bring the values, whatever they are written in.
package mapping

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Resource says what a kind of things becomes. IRIs are written in full or with one
// of the well-known prefixes; values are named by paths, whose parts are joined by
// dots.
type Resource struct {
	// Kind is the collection's segment in URIs.
	Kind string `yaml:"kind"`
	// Types are the classes; the first is the main one.
	Types []string `yaml:"types"`
	// Domain is the namespace of the OSLC domain that they belong to; empty means
	// that of the main type.
	Domain string `yaml:"domain"`
	// Title is required of everything that is mapped.
	Title       string `yaml:"title"`
	Identifier  string `yaml:"identifier"`
	Description string `yaml:"description"`
	Created     string `yaml:"created"`
	// Properties are further values. What is not listed is not shown.
	Properties []Property `yaml:"properties"`
}

// Property says what a value becomes.
type Property struct {
	Path      string `yaml:"path"`
	Predicate string `yaml:"predicate"`
	// Datatype is that of the literal; "iri" makes a link of a string; empty
	// takes what the value's own type suggests.
	Datatype string `yaml:"datatype"`
	// Values translates: the value that is written on the left becomes the one on
	// the right, "*" stands for those that are not listed. Without it those are
	// left out.
	Values map[string]string `yaml:"values" json:",omitempty"`
}

// DatatypeIRI is the Datatype of a link.
const DatatypeIRI = "iri"

// Compile checks r and returns it with every IRI in full and with its domain. It
// fails with kind Invalid.
func (r Resource) Compile() (Resource, error) {
	const op = "mapping.compile"
	if len(r.Types) == 0 || r.Title == "" {
		return r, oslc.Errorf(op, oslc.Invalid, "there is no mapping: types and title are required")
	}
	if r.Kind == "" || strings.Trim(r.Kind, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") != "" {
		return r, oslc.Errorf(op, oslc.Invalid, "kind %q does not fit into a URI; letters, digits and -._~ do", r.Kind)
	}
	r.Types, r.Properties = slices.Clone(r.Types), slices.Clone(r.Properties)
	for i, t := range r.Types {
		iri, err := Expand(t)
		if err != nil {
			return r, oslc.Errorf(op, oslc.Invalid, "type: %v", err)
		}
		r.Types[i] = iri
	}
	if r.Domain == "" {
		r.Domain = r.Types[0][:1+strings.LastIndexAny(r.Types[0], "#/")]
	} else if iri, err := Expand(r.Domain); err == nil {
		r.Domain = iri
	}
	for i := range r.Properties {
		if err := r.Properties[i].compile(); err != nil {
			return r, oslc.E(op, err, oslc.Invalid)
		}
	}
	return r, nil
}

// ofTheBus are set by whoever maps, from what the tool says of itself.
var ofTheBus = []string{rdf.Type, vocab.DCTermsModified, vocab.DCTermsIdentifier, vocab.OSLCServiceProvider}

func (p *Property) compile() (err error) {
	if p.Path == "" {
		return fmt.Errorf("a property has no path")
	}
	if p.Predicate, err = Expand(p.Predicate); err != nil {
		return fmt.Errorf("predicate of %q: %w", p.Path, err)
	}
	if slices.Contains(ofTheBus, p.Predicate) {
		return fmt.Errorf("predicate of %q: <%s> is set by the bus", p.Path, p.Predicate)
	}
	if p.Datatype != "" && p.Datatype != DatatypeIRI {
		if p.Datatype, err = Expand(p.Datatype); err != nil {
			return fmt.Errorf("datatype of %q: %w", p.Path, err)
		}
	}
	for from, to := range p.Values {
		if to != "" && !Add(rdf.NewGraph().Node("urn:x"), Property{Predicate: p.Predicate, Datatype: p.Datatype}, text(to)) {
			return fmt.Errorf("values of %q: %s becomes %q, which is no %s", p.Path, from, to, p.Datatype)
		}
	}
	return nil
}

// Expand returns the IRI of a prefixed name or of an IRI.
func Expand(name string) (string, error) {
	// http is a well-known prefix too; http://example.org/ns# is in full.
	if _, local, _ := strings.Cut(name, ":"); !strings.HasPrefix(local, "//") {
		if iri, ok := rdf.Expand(name); ok {
			return iri, nil
		}
	}
	u, err := url.Parse(name)
	if err != nil || !u.IsAbs() || u.Host == "" && u.Opaque == "" {
		return "", fmt.Errorf("%q is neither an IRI nor a name with a well-known prefix", name)
	}
	return name, nil
}

// A Value is one value of a tool's data. The zero Value of an implementation stands
// for one that is not there.
type Value interface {
	// IsEmpty reports whether it says nothing: absent, null, an empty list.
	IsEmpty() bool
	// Text is a scalar as people write it, JSON for the rest.
	Text() string
	// Bool and Int report whether it is one.
	Bool() (value, ok bool)
	Int() (int64, bool)
	// Time is an instant, or the zero time.
	Time() time.Time
	// Term is the literal that its own type suggests.
	Term() rdf.Term
}

// Add adds a value to what is said of n; an empty one adds nothing. It reports false
// for a value that does not fit the datatype, which is left out. p is compiled.
func Add[V Value](n rdf.Node, p Property, v V) bool {
	if v.IsEmpty() {
		return true
	}
	if p.Values != nil {
		to, ok := p.Values[v.Text()]
		if !ok {
			to = p.Values["*"]
		}
		p.Values = nil
		return Add(n, p, text(to))
	}
	switch p.Datatype {
	case "":
		n.Add(p.Predicate, v.Term())
	case DatatypeIRI:
		iri, err := Expand(v.Text())
		if err != nil {
			return false
		}
		n.Link(p.Predicate, iri)
	case rdf.XSDDateTime:
		t := v.Time()
		if t.IsZero() {
			var ok bool
			if t, ok = rdf.String(v.Text()).Time(); !ok {
				return false
			}
		}
		n.Time(p.Predicate, t)
	case rdf.XSDBoolean:
		b, ok := v.Bool()
		if !ok {
			return false
		}
		n.Bool(p.Predicate, b)
	case rdf.XSDInteger:
		i, ok := v.Int()
		if !ok {
			return false
		}
		n.Int(p.Predicate, i)
	case rdf.XSDDecimal:
		if !IsDecimal(v.Text()) {
			return false
		}
		n.Add(p.Predicate, rdf.Typed(v.Text(), p.Datatype))
	case rdf.XSDDouble:
		f, err := strconv.ParseFloat(v.Text(), 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return false
		}
		n.Add(p.Predicate, rdf.Typed(strconv.FormatFloat(f, 'g', -1, 64), p.Datatype))
	default:
		n.Add(p.Predicate, rdf.Typed(v.Text(), p.Datatype))
	}
	return true
}

// IsDecimal reports whether s is an xsd:decimal, which has no exponent.
func IsDecimal(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return strings.Trim(s, "0123456789.") == "" && strings.Trim(s, ".") != "" && strings.Count(s, ".") <= 1
}

// text is a Value that a configuration wrote.
type text string

func (t text) IsEmpty() bool          { return t == "" }
func (t text) Text() string           { return string(t) }
func (t text) Bool() (value, ok bool) { return t == "true", t == "true" || t == "false" }
func (t text) Time() time.Time        { return time.Time{} }
func (t text) Term() rdf.Term         { return rdf.String(string(t)) }
func (t text) Int() (n int64, ok bool) {
	n, err := strconv.ParseInt(string(t), 10, 64)
	return n, err == nil
}
