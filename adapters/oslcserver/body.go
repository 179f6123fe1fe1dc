package oslcserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// make returns the body of a call and its media type, "" for none.
func (b *binding) make(action string, parameters map[string]any) (body []byte, mediaType string, err error) {
	const op = "oslcserver.body"
	var g *rdf.Graph
	switch b.pattern {
	case emptyBody:
		return nil, "", nil
	case fixedBody:
		value := b.graph.Object(b.body, rdf.NS+"value")
		if value.Kind == rdf.Literal {
			kind := map[string]string{rdf.NS + "XMLLiteral": "application/xml", mapping.JSONType: "application/json"}[value.Datatype]
			if kind == "" {
				kind = "text/plain; charset=utf-8"
			}
			return []byte(value.Value), kind, nil
		}
		g = closure(b.graph, value)
	case shapeBody:
		g, err = b.shaped(action, parameters)
	case automation:
		g, err = b.request(parameters)
	}
	if err != nil {
		return nil, "", oslc.E(op, err, oslc.Invalid)
	}
	body, err = format.Append(nil, g, b.document.format)
	return body, b.document.format.MediaType(), oslc.E(op, err, oslc.Invalid)
}

// closure returns what is said of a node, and of the blank nodes in that.
func closure(g *rdf.Graph, node rdf.Term) *rdf.Graph {
	out, seen := rdf.NewGraph(), map[rdf.Term]bool{}
	var add func(rdf.Term)
	add = func(n rdf.Term) {
		if seen[n] {
			return
		}
		seen[n] = true
		for t := range g.About(n) {
			out.AddTriple(t)
			if t.O.Kind == rdf.Blank {
				add(t.O)
			}
		}
	}
	add(node)
	return out
}

// shaped returns a resource with the values, checked against the shape.
func (b *binding) shaped(action string, parameters map[string]any) (*rdf.Graph, error) {
	set, err := shape.Load(b.graph)
	if err != nil {
		return nil, fmt.Errorf("the shape of the action: %w", err)
	}
	i := slices.IndexFunc(set.All(), func(s *shape.Shape) bool { return s.Term == b.body })
	if i < 0 {
		return nil, fmt.Errorf("the shape of the action is not at <%s>", b.body.Value)
	}
	sh := set.All()[i]
	g := rdf.NewGraph()
	n := g.Node(b.uri)
	if len(sh.Describes) > 0 {
		n.A(sh.Describes...)
	} else if action != "" {
		n.A(action)
	}
	for _, param := range slices.Sorted(maps.Keys(parameters)) {
		p := property(sh, param)
		if p == nil {
			var names []string
			for _, p := range sh.Properties {
				names = append(names, p.Name)
			}
			return nil, fmt.Errorf("the action has no parameter %q; there are: %s", param, strings.Join(names, ", "))
		}
		values, list := parameters[param].([]any)
		if !list {
			values = []any{parameters[param]}
		}
		for _, v := range values {
			t, err := term(v, p.ValueTypes)
			if err != nil {
				return nil, fmt.Errorf("the parameter %s: %w", param, err)
			}
			n.Add(p.Definition, t)
		}
	}
	check := shape.Check{}
	if sh.Term.Kind == rdf.IRI {
		check.Shapes = []string{sh.Term.Value}
	}
	return g, set.Check(g, rdf.NewIRI(b.uri), check)
}

// property finds a property by its name or IRI.
func property(sh *shape.Shape, param string) *shape.Property {
	for i := range sh.Properties {
		p := &sh.Properties[i]
		if iri, err := mapping.Expand(param); p.Name == param || err == nil && p.Definition == iri {
			return p
		}
	}
	return nil
}

// term is a value as a property of one of the types has it.
func term(v any, types []string) (rdf.Term, error) {
	has := func(iri string) bool { return slices.Contains(types, iri) }
	switch v := v.(type) {
	case nil:
		return rdf.Term{}, fmt.Errorf("there is no value")
	case bool:
		return rdf.Bool(v), nil
	case int:
		return term(int64(v), types)
	case int64:
		if len(types) > 0 && !has(rdf.XSDInteger) {
			return rdf.Typed(strconv.FormatInt(v, 10), types[0]), nil
		}
		return rdf.Int(v), nil
	case float64:
		if v == float64(int64(v)) && (len(types) == 0 || has(rdf.XSDInteger)) {
			return rdf.Int(int64(v)), nil
		}
		if has(rdf.XSDDecimal) {
			return rdf.Typed(strconv.FormatFloat(v, 'f', -1, 64), rdf.XSDDecimal), nil
		}
		return rdf.Typed(strconv.FormatFloat(v, 'g', -1, 64), rdf.XSDDouble), nil
	case string:
		switch {
		case has(shape.Resource) || has(shape.AnyResource):
			iri, err := mapping.Expand(v)
			return rdf.NewIRI(iri), err
		case len(types) == 0 || has(rdf.XSDString):
			return rdf.String(v), nil
		}
		return rdf.Typed(v, types[0]), nil
	}
	text, err := json.Marshal(v)
	return rdf.Typed(string(text), mapping.JSONType), err
}

// request returns the AutomationRequest that the binding has, with the values among its
// input parameters.
func (b *binding) request(parameters map[string]any) (*rdf.Graph, error) {
	given := closure(b.graph, b.body)
	replaced := map[rdf.Term]bool{}
	for _, p := range given.Objects(b.body, vocab.AutoInputParameter) {
		if _, ok := parameters[given.Value(p, vocab.OSLCName)]; ok {
			replaced[p] = true
		}
	}
	g := given.Without(func(t rdf.Triple) bool { return replaced[t.S] || replaced[t.O] })
	for i, param := range slices.Sorted(maps.Keys(parameters)) {
		t, err := term(parameters[param], nil)
		if err != nil {
			return nil, fmt.Errorf("the parameter %s: %w", param, err)
		}
		p := rdf.NewBlank("given" + strconv.Itoa(i))
		g.NodeOf(b.body).Add(vocab.AutoInputParameter, p)
		g.NodeOf(p).A(vocab.AutoParameterInstance).String(vocab.OSLCName, param).Add(rdf.NS+"value", t)
	}
	return g, nil
}
