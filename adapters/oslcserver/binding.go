package oslcserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Terms in the namespace of the draft of the vocabulary of actions, which some servers
// use in place of that of its text.
const (
	draftAction  = vocab.Actions + "action"
	draftBinding = vocab.Actions + "binding"
	draftClass   = vocab.Actions + "Action"

	httpHeaders = vocab.HTTP + "headers"
	httpMethods = "http://www.w3.org/2011/http-methods#"
	oslcUsage   = vocab.OSLCUsage
)

// A pattern is how a binding is followed (OSLC Actions, interaction patterns).
type pattern string

const (
	emptyBody  pattern = "http-empty-body"
	fixedBody  pattern = "http-fixed-body"
	shapeBody  pattern = "http-resource-shape"
	automation pattern = "automation-request"
)

// A binding is one way to have an action carried out.
type binding struct {
	pattern     pattern
	preferred   bool
	method, uri string
	body        rdf.Term
	graph       *rdf.Graph // that describes it
	document    *document
}

// either returns the objects of two predicates that mean the same.
func either(g *rdf.Graph, s rdf.Term, a, b string) []rdf.Term {
	out := g.Objects(s, a)
	for _, t := range g.Objects(s, b) {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// described returns the graph that says something of a node: the one it was met in, or
// the document that its URI leads to.
func (c *call) described(ctx context.Context, d *document, node rdf.Term) (*document, error) {
	for range d.graph.About(node) {
		return d, nil
	}
	if node.Kind != rdf.IRI {
		return d, nil
	}
	if uri, _, _ := strings.Cut(node.Value, "#"); uri == d.uri {
		return d, nil // it would be read again
	}
	return c.get(ctx, node.Value)
}

// actions returns what the resource offers now, with the documents that describe it.
func (c *call) actions(ctx context.Context, d *document, resource rdf.Term) (map[rdf.Term]*document, []rdf.Term, error) {
	found := map[rdf.Term]*document{}
	nodes := either(d.graph, resource, vocab.OSLCAction, draftAction)
	for _, node := range nodes {
		in, err := c.described(ctx, d, node)
		if err != nil {
			return nil, nil, err
		}
		found[node] = in
	}
	return found, nodes, nil
}

// isAction reports whether a node is an action of the class, or the one of that URI.
func isAction(g *rdf.Graph, node rdf.Term, class string) bool {
	if node.Kind == rdf.IRI && node.Value == class {
		return true
	}
	generic := g.IsA(node, vocab.OSLCActionClass) || g.IsA(node, draftClass)
	return generic && class != vocab.OSLCActionClass && class != draftClass && g.IsA(node, class)
}

// bindings returns the bindings of an action that can be followed, and why others
// cannot.
func (c *call) bindings(ctx context.Context, d *document, action rdf.Term) (usable []binding, reasons []string) {
	for i, node := range either(d.graph, action, vocab.OSLCBinding, draftBinding) {
		b, err := c.binding(ctx, d, node)
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("binding %d: %v", i+1, err))
			continue
		}
		usable = append(usable, b)
	}
	return usable, reasons
}

// binding recognises the pattern of a binding.
func (c *call) binding(ctx context.Context, d *document, node rdf.Term) (b binding, err error) {
	if d, err = c.described(ctx, d, node); err != nil {
		return b, err
	}
	g := d.graph
	b = binding{graph: g, document: d, preferred: slices.Contains(g.Objects(node, oslcUsage), rdf.NewIRI(vocab.OSLCDefault))}
	one := func(p string) (rdf.Term, error) {
		all := g.Objects(node, p)
		if len(all) != 1 {
			return rdf.Term{}, fmt.Errorf("it has %d values of %s, want one", len(all), name(p))
		}
		return all[0], nil
	}
	if !g.IsA(node, vocab.HTTPRequest) {
		return b, errors.New("it is no http:Request, which is all that a program can follow")
	}
	status, err := one(vocab.OSLCFinalStatusLocation)
	if err != nil {
		return b, err
	}
	uri, err := one(vocab.HTTPRequestURI)
	if err != nil {
		return b, err
	}
	method, err := one(vocab.HTTPMthd)
	if err != nil {
		return b, err
	}
	version, err := one(vocab.HTTPHttpVersion)
	if err != nil {
		return b, err
	}
	if b.body, err = one(vocab.HTTPBody); err != nil {
		return b, err
	}
	verb, known := strings.CutPrefix(method.Value, httpMethods)
	switch {
	case len(g.Objects(node, httpHeaders)) > 0:
		return b, errors.New("it asks for header fields of its own")
	case version.Value != "1.1":
		return b, fmt.Errorf("it asks for HTTP %q", version.Value)
	case !known || !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, verb):
		return b, fmt.Errorf("it asks for the method <%s>", method.Value)
	case uri.Kind != rdf.IRI:
		return b, errors.New("its address is no IRI")
	case !c.allowed(uri.Value):
		return b, fmt.Errorf("<%s> %w", uri.Value, errNotAllowed)
	}
	b.method, b.uri = verb, uri.Value
	b.pattern, err = c.recognise(ctx, &b, status)
	return b, err
}

// recognise finds the pattern by the body and where the final status is.
func (c *call) recognise(ctx context.Context, b *binding, status rdf.Term) (pattern, error) {
	const single, multi = vocab.HTTPStatusCode, vocab.AutoAutomationResult
	if b.body.Kind == rdf.IRI && b.body.Value == rdf.Nil {
		if status.Value != single {
			return "", fmt.Errorf("its final status is in <%s>", status.Value)
		}
		return emptyBody, nil
	}
	d, err := c.described(ctx, b.document, b.body)
	if err != nil {
		return "", fmt.Errorf("its body: %w", err)
	}
	if uri, _, _ := strings.Cut(b.body.Value, "#"); b.body.Kind == rdf.IRI && d.graph.IsA(b.body, vocab.OSLCResourceShapeClass) &&
		uri != d.uri && len(d.graph.Objects(b.body, vocab.OSLCProperty)) == 0 {
		// It is only called a shape here; what is in it is at its own address.
		if d, err = c.get(ctx, b.body.Value); err != nil {
			return "", fmt.Errorf("its shape: %w", err)
		}
	}
	b.graph, b.document = d.graph, d
	is := func(class string) bool { return d.graph.IsA(b.body, class) }
	switch {
	case is(vocab.AutoAutomationRequest):
		switch {
		case status.Value != multi:
			return "", fmt.Errorf("its final status is in <%s>", status.Value)
		case b.method != http.MethodPost:
			return "", fmt.Errorf("an AutomationRequest is posted, not sent by %s", b.method)
		case len(d.graph.Objects(b.body, vocab.AutoExecutesAutomationPlan)) == 0:
			return "", errors.New("its AutomationRequest names no plan")
		}
		return automation, nil
	case status.Value != single:
		return "", fmt.Errorf("its final status is in <%s>", status.Value)
	case is(vocab.OSLCResourceShapeClass):
		return shapeBody, nil
	case is(vocab.AutoParameterInstance):
		if n := len(d.graph.Objects(b.body, rdf.NS+"value")); n != 1 {
			return "", fmt.Errorf("its fixed body has %d values, want one", n)
		}
		return fixedBody, nil
	}
	return "", errors.New("its body is of no pattern that is known")
}

// choose takes the binding that the values fit: the one that the server prefers, else the
// one that takes the least.
func choose(all []binding, parameters map[string]any) (binding, error) {
	fits := func(b binding) bool {
		if len(parameters) > 0 {
			return b.pattern == shapeBody || b.pattern == automation
		}
		return true
	}
	var best *binding
	order := []pattern{emptyBody, fixedBody, shapeBody, automation}
	for i := range all {
		b := &all[i]
		if !fits(*b) {
			continue
		}
		if best == nil || b.preferred && !best.preferred ||
			b.preferred == best.preferred && slices.Index(order, b.pattern) < slices.Index(order, best.pattern) {
			best = b
		}
	}
	if best == nil {
		return binding{}, oslc.Errorf("oslcserver.choose", oslc.Invalid, "the action takes no parameters")
	}
	return *best, nil
}

// name is how messages write an IRI.
func name(iri string) string {
	if short, ok := rdf.Compact(iri); ok {
		return short
	}
	return "<" + iri + ">"
}
