package probe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

var writeChecks = []spec{
	{"C06", Must, "CORE-17, 18", "PUT needs If-Match: 400 without it, 412 for an older state", checkPreconditions},
	{"C07", Must, "CORE-20", "an unknown property is kept, or refused", checkUnknownProperty},
	{"C08", Must, "Shape, readOnly", "what was read can be sent back", checkEcho},
	{"C16", Should, "DIS-15", "a bad body is refused with an oslc:Error and the shape", checkBadBody},
	{"C17", Must, "Core, LDP", "what was created is at the Location, with the posted type", checkCreated},
	{"C22", Must, "DD-24 to 27", "a creation dialog can be filled in advance", checkPrefill},
}

const notAsked = "nothing is written unless the probe is asked to"

// made is the resource that the probe has created.
type made struct {
	factory *capability
	posted  *rdf.Graph
	node    rdf.Term
	answer  *exchange // to the POST
	uri     string
	reason  string // why there is none
}

// create posts to the factories until one of them takes it.
func (p *prober) create(ctx context.Context) {
	if !p.cfg.Write {
		p.made.reason = notAsked
		return
	}
	p.made.reason = "there is no creation factory"
	for _, f := range p.factories() {
		g, node := p.draft(ctx, f)
		if g == nil {
			continue
		}
		body, err := format.Append(nil, g, format.Turtle)
		if err != nil {
			continue
		}
		e := p.do(ctx, http.MethodPost, f.url, body, "Content-Type", turtle, "Accept", turtle)
		if e.status/100 != 2 {
			p.made.reason = fmt.Sprintf("%s does not take what its shape asks for (%s): say in a file what to post", f.url, e.says())
			if p.cfg.Body != "" {
				p.made.reason = fmt.Sprintf("%s does not take what the file says (%s)", f.url, e.says())
			}
			continue
		}
		uri, err := resolve(f.url, e.header.Get("Location"))
		if err != nil {
			uri = ""
		}
		p.made = made{factory: f, posted: g, node: node, answer: e, uri: uri}
		return
	}
}

func (p *prober) remove(ctx context.Context) {
	if p.made.uri != "" {
		p.do(ctx, http.MethodDelete, p.made.uri, nil)
	}
}

// draft is a resource for a factory: what the caller says, or what the shape asks for.
func (p *prober) draft(ctx context.Context, f *capability) (*rdf.Graph, rdf.Term) {
	node := rdf.NewIRI(f.url)
	if p.cfg.Body != "" {
		text := strings.ReplaceAll(p.cfg.Body, "%d", fmt.Sprint(time.Now().UnixNano()))
		g, err := p.parser.Parse([]byte(text), format.Turtle, f.url, rdf.Limits{})
		if err != nil || g.Len() == 0 {
			return nil, node
		}
		return g, node
	}
	g := rdf.NewGraph()
	for _, t := range f.types {
		g.Add(node, rdf.Type, rdf.NewIRI(t))
	}
	for _, url := range f.shapes {
		e := p.get(ctx, url, anyRDF)
		if e.graph == nil {
			continue
		}
		set, err := shape.Load(e.graph)
		if err != nil || set.Shape(url) == nil {
			continue
		}
		for _, prop := range set.Shape(url).Properties {
			if prop.ReadOnly || prop.Occurs != shape.ExactlyOne && prop.Occurs != shape.OneOrMany {
				continue
			}
			if v := example(&prop); !v.IsZero() {
				g.Add(node, prop.Definition, v)
			}
		}
	}
	return g, node
}

// example is a value that a property may have.
func example(p *shape.Property) rdf.Term {
	if len(p.Allowed) > 0 {
		return p.Allowed[0]
	}
	kind := ""
	if len(p.ValueTypes) > 0 {
		kind = p.ValueTypes[0]
	}
	switch kind {
	case "", rdf.XSDString, rdf.XMLLiteral:
		return rdf.String(fmt.Sprintf("probe %d", time.Now().UnixNano()))
	case rdf.XSDBoolean:
		return rdf.Bool(true)
	case rdf.XSDInteger:
		return rdf.Int(1)
	case rdf.XSDDateTime:
		return rdf.Time(time.Now())
	}
	return rdf.Term{}
}

// ready reports whether there is a resource to write to.
func (p *prober) ready(c *check) bool {
	if p.made.uri == "" {
		c.skip(p.made.reason)
		return false
	}
	return true
}

func checkCreated(ctx context.Context, p *prober, c *check) {
	e := p.made.answer
	if e == nil {
		c.skip(p.made.reason)
		return
	}
	c.want(e.status == http.StatusCreated, e.asked, "POST: %s", e.says())
	location := e.header.Get("Location")
	c.want(strings.Contains(location, "://"), e.asked, "Location is %q, which is not absolute", location)
	c.want(e.header.Get("ETag") != "", e.asked, "the answer to POST has no ETag")
	c.want(e.graph != nil && e.graph.Len() > 0, e.asked, "the answer to POST has no RDF: %s", e.says())
	if p.made.uri == "" {
		return
	}
	got := p.get(ctx, p.made.uri, turtle, "Cache-Control", "no-cache")
	if !c.want(got.ok() && got.graph != nil, p.made.uri, "what was created cannot be read: %s", got.says()) {
		return
	}
	for _, o := range p.made.posted.Objects(p.made.node, rdf.Type) {
		c.want(got.graph.IsA(rdf.NewIRI(p.made.uri), o.Value), p.made.uri, "it was posted with the type %s, and has it no more", short(o.Value))
	}
}

// now reads the resource as it is at the moment.
func (p *prober) now(ctx context.Context, accept string) *exchange {
	return p.do(ctx, http.MethodGet, p.made.uri, nil, "Accept", accept)
}

func (p *prober) put(ctx context.Context, g *rdf.Graph, tag, query string) *exchange {
	body, err := format.Append(nil, g, format.JSONLD)
	if err != nil {
		return &exchange{asked: p.made.uri, url: p.made.uri, header: http.Header{}, err: err}
	}
	header := []string{"Content-Type", jsonLD, "Accept", turtle}
	if tag != "" {
		header = append(header, "If-Match", tag)
	}
	return p.do(ctx, http.MethodPut, p.made.uri+query, body, header...)
}

// retitled is the state with another title.
func (p *prober) retitled(e *exchange) *rdf.Graph {
	s := rdf.NewIRI(p.made.uri)
	g := e.graph.Without(func(t rdf.Triple) bool { return t.S == s && t.P.Value == vocab.DCTermsTitle })
	g.Add(s, vocab.DCTermsTitle, rdf.String(e.graph.Value(s, vocab.DCTermsTitle)+" changed"))
	return g
}

func checkPreconditions(ctx context.Context, p *prober, c *check) {
	if !p.ready(c) {
		return
	}
	before := p.now(ctx, turtle)
	if !c.want(before.ok() && before.graph != nil, p.made.uri, "it cannot be read: %s", before.says()) {
		return
	}
	if !before.lists("Allow", "PUT") && p.do(ctx, http.MethodOptions, p.made.uri, nil).status/100 == 2 &&
		!p.do(ctx, http.MethodOptions, p.made.uri, nil).lists("Allow", "PUT") {
		c.Findings, c.seen = nil, 0
		c.skip("resources cannot be changed")
		return
	}
	tag := before.header.Get("ETag")
	c.want(tag != "" && !strings.HasPrefix(tag, "W/"), p.made.uri, "the ETag is %q: only a strong one can be matched", tag)
	changed := p.retitled(before)
	isError(c, p.put(ctx, changed, "", ""), "PUT without If-Match", http.StatusBadRequest)
	isError(c, p.put(ctx, changed, `"of another state"`, ""), "PUT with another If-Match", http.StatusPreconditionFailed)
	if after := p.now(ctx, turtle); after.graph != nil {
		c.want(after.header.Get("ETag") == tag, p.made.uri, "a refused PUT changed the resource")
	}
	done := p.put(ctx, changed, tag, "")
	if c.want(done.status/100 == 2, p.made.uri, "PUT with the right If-Match: %s", done.says()) {
		isError(c, p.put(ctx, before.graph, tag, ""), "PUT with the If-Match from before a change", http.StatusPreconditionFailed)
		after := p.now(ctx, turtle)
		s := rdf.NewIRI(p.made.uri)
		if after.graph != nil {
			c.want(strings.Contains(after.graph.Value(s, vocab.DCTermsTitle), " changed"), p.made.uri, "a read right after a PUT shows the older state")
			was, ok1 := before.graph.Object(s, vocab.DCTermsModified).Time()
			is, ok2 := after.graph.Object(s, vocab.DCTermsModified).Time()
			c.want(!ok1 || ok2 && !is.Before(was), p.made.uri, "dcterms:modified was %v and is %v", was, is)
		}
	}
}

func checkUnknownProperty(ctx context.Context, p *prober, c *check) {
	if !p.ready(c) {
		return
	}
	const unknown = "https://oslcbus.github.io/ns/probe#unknown"
	before := p.now(ctx, turtle)
	if before.graph == nil {
		c.skip("it cannot be read")
		return
	}
	g := rdf.NewGraph(before.graph.Triples()...)
	g.Add(rdf.NewIRI(p.made.uri), unknown, rdf.String("kept"))
	e := p.put(ctx, g, before.header.Get("ETag"), "")
	switch {
	case e.status/100 == 2:
		after := p.now(ctx, turtle)
		c.want(after.graph != nil && after.graph.Value(rdf.NewIRI(p.made.uri), unknown) == "kept", p.made.uri, "PUT took an unknown property and lost it")
	case e.status == http.StatusMethodNotAllowed:
		c.skip("resources cannot be changed")
	default:
		isError(c, e, "PUT with an unknown property", http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity)
	}
}

func checkEcho(ctx context.Context, p *prober, c *check) {
	if !p.ready(c) {
		return
	}
	before := p.now(ctx, turtle)
	if before.graph == nil {
		c.skip("it cannot be read")
		return
	}
	e := p.put(ctx, before.graph, before.header.Get("ETag"), "")
	if e.status == http.StatusMethodNotAllowed {
		c.skip("resources cannot be changed")
		return
	}
	c.want(e.status/100 == 2, p.made.uri, "PUT of what was read: %s", e.says())
	c.want(e.status != http.StatusNoContent, p.made.uri, "PUT is answered with 204: clients expect 200 and the new state")
}

func checkBadBody(ctx context.Context, p *prober, c *check) {
	if !p.cfg.Write {
		c.skip(notAsked)
		return
	}
	for _, f := range p.factories() {
		e := p.do(ctx, http.MethodPost, f.url, []byte("<> <no end"), "Content-Type", turtle, "Accept", turtle)
		isError(c, e, "POST of what is no Turtle", http.StatusBadRequest)
		e = p.do(ctx, http.MethodPost, f.url, []byte("x"), "Content-Type", "image/png", "Accept", turtle)
		isError(c, e, "POST of an image", http.StatusUnsupportedMediaType)
		if len(f.types) == 0 || len(f.shapes) == 0 || !p.demands(ctx, f) {
			continue
		}
		e = p.do(ctx, http.MethodPost, f.url, []byte("<> a <"+f.types[0]+"> ."), "Content-Type", turtle, "Accept", turtle)
		isError(c, e, "POST without what the shape asks for", http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity)
		c.want(len(e.links("http://www.w3.org/ns/ldp#constrainedBy")) > 0, f.url, "the refusal does not name the shape")
	}
	if len(p.factories()) == 0 {
		c.skip("there is no creation factory")
	}
}

// demands reports whether the shape of a factory has a property that a client must
// give.
func (p *prober) demands(ctx context.Context, f *capability) bool {
	for _, url := range f.shapes {
		e := p.get(ctx, url, anyRDF)
		if e.graph == nil {
			continue
		}
		if set, err := shape.Load(e.graph); err == nil && set.Shape(url) != nil {
			return slices.ContainsFunc(set.Shape(url).Properties, func(q shape.Property) bool {
				return !q.ReadOnly && q.Default.IsZero() && (q.Occurs == shape.ExactlyOne || q.Occurs == shape.OneOrMany)
			})
		}
	}
	return false
}

func checkPrefill(ctx context.Context, p *prober, c *check) {
	c.skip("no creation dialog can be filled in advance")
	for _, f := range p.factories() {
		head := p.do(ctx, http.MethodHead, f.url, nil, "Accept", turtle)
		for _, l := range head.links(vocab.OSLCCreationDialog) {
			to, err := resolve(f.url, l)
			if err != nil || !p.do(ctx, http.MethodOptions, to, nil).lists("Allow", "POST") {
				continue
			}
			if !p.cfg.Write {
				c.skip(notAsked)
				continue
			}
			body := "<> "
			if len(f.types) > 0 {
				body += "a <" + f.types[0] + "> ; "
			}
			e := p.do(ctx, http.MethodPost, to, []byte(body+`<`+vocab.DCTermsTitle+`> "filled in by the probe" .`), "Content-Type", turtle, "Accept", turtle)
			if !c.want(e.status == http.StatusCreated, to, "POST to the descriptor: %s", e.says()) {
				continue
			}
			page, err := resolve(to, e.header.Get("Location"))
			if c.want(err == nil, to, "Location is %q", e.header.Get("Location")) {
				dialog := p.get(ctx, page, "text/html")
				c.want(dialog.ok() && dialog.mediaType() == "text/html", page, "the dialog that was filled in: %s", dialog.says())
			}
		}
	}
}
