package probe

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

var coreChecks = []spec{
	{"C01", Must, "CORE-44 to 46", "every RDF answer names a version of OSLC Core from 2.0 on", checkVersion},
	{"C02", Must, "CORE-6, 14", "what is advertised can be read as RDF", checkReadable},
	{"C03", Should, "CORE-7, 8", "Turtle, JSON-LD and RDF/XML say the same", checkFormats},
	{"C04", Should, "CORE-10", "another RDF syntax is answered with one that there is, another type with 406", checkUnknownTypes},
	{"C05", Should, "CORE-11 to 13", "a page of another origin may send Content-Type and OSLC-Core-Version", checkCORS},
	{"C11", Must, "CORE-40", "what is not a query is paged only after a redirect that says so", checkUnasked},
	{"C12", Should, "CORE-47", "a version before 2.0 is refused with 400", checkOldVersion},
	{"C13", Should, "DIS-4", "the catalog is at /.well-known/oslc/sp-catalog", checkWellKnown},
	{"C14", Must, "Core shapes", "catalog, providers and what is in them have the properties that they must", checkCardinalities},
	{"C15", Should, "DIS-9 to 14", "OPTIONS of a creation factory says what it takes", checkOptions},
	{"C18", Must, "RP-2, 9, 12, 17", "previews are found, in JSON and Turtle", checkPreview},
	{"C19", Must, "RP-13", "a preference for a preview does not hide that a resource is missing", checkMissingPreview},
	{"C20", Must, "DD-1 to 5", "dialogs are found from the container, with sizes in CSS", checkDialogs},
	{"C21", Must, "DD-13, 16", "dialogs answer by postMessage", checkDialogPages},
	{"C29", Must, "Shape, QUERY-2", "shapes can be read, and their properties are complete", checkShapes},
	{"C30", Should, "RP-3, DD-6", "Vary names what changes the answer", checkVary},
	{"C31", Must, "Part 5", "attachments keep to LDP", checkAttachments},
}

var version = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

func checkVersion(_ context.Context, p *prober, c *check) {
	for _, e := range p.all {
		if e.graph == nil {
			continue
		}
		v := e.header.Get("OSLC-Core-Version")
		c.want(version.MatchString(v) && v[0] >= '2', e.url, "%s answers with OSLC-Core-Version %q", e.method, v)
	}
}

func checkReadable(ctx context.Context, p *prober, c *check) {
	for _, e := range p.documents() {
		c.want(e.ok() && e.graph != nil, e.asked, "it cannot be read as RDF: %s", e.says())
	}
	for _, q := range p.queries() {
		c.want(q.container.ok() && q.container.graph != nil, q.url, "it cannot be read as RDF: %s", q.container.says())
		for i, m := range p.members(ctx, q, q.container) {
			if i == maxSample {
				break
			}
			e := p.get(ctx, m, anyRDF)
			c.want(e.ok() && e.graph != nil, m, "a member cannot be read as RDF: %s", e.says())
		}
	}
}

func checkFormats(ctx context.Context, p *prober, c *check) {
	for _, list := range [][]*exchange{p.catalogs, p.providers, p.resources()} {
		if len(list) == 0 {
			continue
		}
		url := list[0].asked
		var first *exchange
		for _, kind := range []string{turtle, jsonLD, rdfXML} {
			e := p.get(ctx, url, kind)
			if !c.want(e.ok() && e.mediaType() == kind && e.graph != nil, url, "asked for %s: %s", kind, e.says()) {
				continue
			}
			if first == nil {
				first = e
				continue
			}
			same, err := canon.Isomorphic(first.graph, e.graph)
			c.want(err == nil && same, url, "%s and %s are different graphs, of %d and %d triples", first.mediaType(), kind, first.graph.Len(), e.graph.Len())
		}
	}
}

func checkUnknownTypes(ctx context.Context, p *prober, c *check) {
	for _, e := range slices.Concat(p.catalogs[:min(1, len(p.catalogs))], p.providers[:1]) {
		trig := p.get(ctx, e.asked, "application/trig")
		c.want(trig.ok() && trig.graph != nil, e.asked, "asked for application/trig: %s", trig.says())
		image := p.get(ctx, e.asked, "image/png")
		c.want(image.status == http.StatusNotAcceptable, e.asked, "asked for image/png: %s", image.says())
	}
}

func checkCORS(ctx context.Context, p *prober, c *check) {
	e := p.do(ctx, http.MethodOptions, p.providers[0].asked, nil, "Origin", p.root,
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type, oslc-core-version")
	for _, name := range []string{"Content-Type", "OSLC-Core-Version"} {
		c.want(e.lists("Access-Control-Allow-Headers", name) || e.lists("Access-Control-Allow-Headers", "*"), e.url,
			"a page may not send %s: Access-Control-Allow-Headers is %q", name, e.header.Get("Access-Control-Allow-Headers"))
	}
	c.want(e.header.Get("Access-Control-Allow-Origin") != "", e.url, "there is no Access-Control-Allow-Origin")
}

func checkUnasked(ctx context.Context, p *prober, c *check) {
	for _, e := range p.documents() {
		if e.graph == nil || strings.Contains(e.asked, "oslc.pag") || slices.ContainsFunc(p.queries(), func(q *capability) bool { return q.url == e.asked }) {
			continue
		}
		paged := false
		for _, n := range e.graph.OfType(vocab.OSLCResponseInfo) {
			paged = paged || !e.graph.Object(n, vocab.OSLCNextPage).IsZero()
		}
		if !paged {
			c.want(true, e.asked, "")
			continue
		}
		to := ""
		if len(e.redirects) > 0 {
			to = e.redirects[len(e.redirects)-1]
		}
		c.want(strings.Contains(to, "oslc.paging") || strings.Contains(to, "oslc.pageSize"), e.asked, "it is paged without being asked to, and without a redirect to an address that says so")
	}
	_ = ctx
}

func checkOldVersion(ctx context.Context, p *prober, c *check) {
	e := p.get(ctx, p.providers[0].asked, rdfXML, "OSLC-Core-Version", "1.0")
	c.want(e.status == http.StatusBadRequest, e.asked, "asked for OSLC-Core-Version 1.0: %s", e.says())
}

func checkWellKnown(ctx context.Context, p *prober, c *check) {
	e := p.get(ctx, p.root+"/.well-known/oslc/sp-catalog", anyRDF)
	c.want(e.ok() && e.graph != nil && len(e.graph.OfType(vocab.OSLCServiceProviderCatalogClass)) > 0, e.asked, "there is no catalog: %s", e.says())
}

// A rule of cardinality: class, property, least and most; most 0 is any number.
type cardinality struct {
	class, property string
	least, most     int
	kind            rdf.Kind // of the values; 0 is any
	datatype        string   // of literals, where it matters
}

var coreCardinalities = []cardinality{
	{vocab.OSLCServiceProviderCatalogClass, vocab.DCTermsTitle, 0, 1, rdf.Literal, ""},
	{vocab.OSLCServiceProviderCatalogClass, vocab.DCTermsDescription, 0, 1, rdf.Literal, ""},
	{vocab.OSLCServiceProviderCatalogClass, vocab.DCTermsPublisher, 0, 1, 0, ""},
	{vocab.OSLCServiceProviderCatalogClass, vocab.OSLCDomain, 0, 0, rdf.IRI, ""},
	{vocab.OSLCServiceProviderClass, vocab.DCTermsTitle, 0, 1, rdf.Literal, ""},
	{vocab.OSLCServiceProviderClass, vocab.DCTermsDescription, 0, 1, rdf.Literal, ""},
	{vocab.OSLCServiceProviderClass, vocab.DCTermsPublisher, 0, 1, 0, ""},
	{vocab.OSLCServiceProviderClass, vocab.OSLCDetails, 0, 0, rdf.IRI, ""},
	{vocab.OSLCServiceClass, vocab.OSLCDomain, 1, 1, rdf.IRI, ""},
	{vocab.OSLCServiceClass, vocab.OSLCUsage, 0, 0, rdf.IRI, ""},
	{vocab.OSLCCreationFactoryClass, vocab.DCTermsTitle, 1, 1, rdf.Literal, ""},
	{vocab.OSLCCreationFactoryClass, vocab.OSLCCreation, 1, 1, rdf.IRI, ""},
	{vocab.OSLCCreationFactoryClass, vocab.OSLCLabel, 0, 1, rdf.Literal, ""},
	{vocab.OSLCCreationFactoryClass, vocab.OSLCResourceShape, 0, 0, rdf.IRI, ""},
	{vocab.OSLCCreationFactoryClass, vocab.OSLCResourceType, 0, 0, rdf.IRI, ""},
	{vocab.OSLCQueryCapabilityClass, vocab.DCTermsTitle, 1, 1, rdf.Literal, ""},
	{vocab.OSLCQueryCapabilityClass, vocab.OSLCQueryBase, 1, 1, rdf.IRI, ""},
	{vocab.OSLCQueryCapabilityClass, vocab.OSLCLabel, 0, 1, rdf.Literal, ""},
	{vocab.OSLCQueryCapabilityClass, vocab.OSLCResourceShape, 0, 1, rdf.IRI, ""},
	{vocab.OSLCQueryCapabilityClass, vocab.OSLCResourceType, 0, 0, rdf.IRI, ""},
	{vocab.OSLCDialogClass, vocab.DCTermsTitle, 1, 1, rdf.Literal, ""},
	{vocab.OSLCDialogClass, vocab.OSLCDialog, 1, 1, rdf.IRI, ""},
	{vocab.OSLCDialogClass, vocab.OSLCLabel, 0, 1, rdf.Literal, ""},
	{vocab.OSLCDialogClass, vocab.OSLCHintWidth, 0, 1, rdf.Literal, ""},
	{vocab.OSLCDialogClass, vocab.OSLCHintHeight, 0, 1, rdf.Literal, ""},
	{vocab.OSLCPublisherClass, vocab.DCTermsTitle, 1, 1, rdf.Literal, ""},
	{vocab.OSLCPublisherClass, vocab.DCTermsIdentifier, 1, 1, rdf.Literal, ""},
	{vocab.OSLCPrefixDefinitionClass, vocab.OSLCPrefix, 1, 1, rdf.Literal, ""},
	{vocab.OSLCPrefixDefinitionClass, vocab.OSLCPrefixBase, 1, 1, rdf.IRI, ""},
	{vocab.OSLCResponseInfo, vocab.OSLCTotalCount, 0, 1, rdf.Literal, rdf.XSDInteger},
	{vocab.OSLCResponseInfo, vocab.OSLCNextPage, 0, 1, rdf.IRI, ""},
}

// conform checks the nodes of a graph against rules.
func conform(c *check, e *exchange, rules []cardinality) {
	if e.graph == nil {
		return
	}
	for _, r := range rules {
		for _, n := range e.graph.OfType(r.class) {
			all := e.graph.Objects(n, r.property)
			c.want(len(all) >= r.least && (r.most == 0 || len(all) <= r.most), e.asked, "%s has %d values of %s", short(r.class), len(all), short(r.property))
			for _, o := range all {
				c.want(r.kind == 0 || o.Kind == r.kind, e.asked, "%s of %s is %q, which is of the wrong kind", short(r.property), short(r.class), o.Value)
				c.want(r.datatype == "" || o.Datatype == r.datatype, e.asked, "%s of %s is %q of type <%s>", short(r.property), short(r.class), o.Value, o.Datatype)
			}
		}
	}
}

func short(iri string) string {
	if s, ok := rdf.Compact(iri); ok {
		return s
	}
	return "<" + iri + ">"
}

func checkCardinalities(_ context.Context, p *prober, c *check) {
	for _, e := range slices.Concat(p.catalogs, p.providers) {
		conform(c, e, coreCardinalities)
	}
	for _, e := range p.providers {
		if e.graph == nil {
			continue
		}
		for _, n := range e.graph.OfType(vocab.OSLCServiceProviderClass) {
			c.want(len(e.graph.Objects(n, vocab.OSLCService)) > 0, e.asked, "the service provider has no service")
		}
		// What is to be inlined is described in the same document.
		for _, property := range []string{vocab.OSLCService, vocab.OSLCCreationFactory, vocab.OSLCQueryCapability, vocab.OSLCSelectionDialog, vocab.OSLCCreationDialog, vocab.OSLCPrefixDefinition, vocab.DCTermsPublisher} {
			for t := range e.graph.All() {
				if t.P.Value == property {
					described := false
					for range e.graph.About(t.O) {
						described = true
						break
					}
					c.want(described, e.asked, "the value of %s is not described in the same document", short(property))
				}
			}
		}
	}
}

func checkOptions(ctx context.Context, p *prober, c *check) {
	for _, f := range p.factories() {
		e := p.do(ctx, http.MethodOptions, f.url, nil)
		if !c.want(e.err == nil && e.status/100 == 2, f.url, "OPTIONS: %s", e.says()) {
			continue
		}
		c.want(e.lists("Allow", "POST"), f.url, "Allow is %q", e.header.Get("Allow"))
		c.want(e.header.Get("Accept-Post") != "", f.url, "there is no Accept-Post")
		c.want(len(e.links("type")) > 0, f.url, "no Link says what type of container it is")
		c.want(len(e.links(vocab.OSLCResourceType)) > 0, f.url, "no Link names a type that can be created")
		if len(f.shapes) > 0 {
			c.want(len(e.links("http://www.w3.org/ns/ldp#constrainedBy")) > 0, f.url, "no Link names the shape")
		}
	}
	if len(p.factories()) == 0 {
		c.skip("there is no creation factory")
	}
}

const preferCompact = `return=representation; include="http://open-services.net/ns/core#PreferCompact"`

func checkPreview(ctx context.Context, p *prober, c *check) {
	c.skip("no resource has a preview")
	for _, e := range p.resources() {
		links := e.links(vocab.OSLCCompact)
		old := p.get(ctx, e.asked, "application/x-oslc-compact+xml")
		if len(links) == 0 && old.mediaType() != "application/x-oslc-compact+xml" {
			continue
		}
		options := p.do(ctx, http.MethodOptions, e.url, nil)
		c.want(options.status/100 == 2, e.url, "OPTIONS: %s", options.says())
		if !c.want(len(links) == 1, e.url, "%d Link headers to a Compact", len(links)) {
			continue
		}
		compact, err := resolve(e.url, links[0])
		if !c.want(err == nil, e.url, "the Link to the Compact is %q", links[0]) {
			continue
		}
		js := p.get(ctx, compact, "application/json")
		c.want(js.ok() && js.mediaType() == "application/json", compact, "asked for application/json: %s", js.says())
		ttl := p.get(ctx, compact, turtle)
		if c.want(ttl.ok() && ttl.graph != nil, compact, "asked for Turtle: %s", ttl.says()) {
			c.want(len(ttl.graph.OfType(vocab.OSLCCompact)) > 0, compact, "the graph has no oslc:Compact")
			conform(c, ttl, []cardinality{{vocab.OSLCPreview, vocab.OSLCDocument, 1, 1, rdf.IRI, ""}, {vocab.OSLCCompact, vocab.DCTermsTitle, 0, 1, rdf.Literal, ""}})
			for _, n := range ttl.graph.OfType(vocab.OSLCPreview) {
				doc := p.get(ctx, ttl.graph.Value(n, vocab.OSLCDocument), "text/html")
				c.want(doc.ok() && doc.mediaType() == "text/html", doc.asked, "the preview cannot be read: %s", doc.says())
				lengths(c, ttl, n)
			}
		}
		with := p.get(ctx, e.asked, turtle, "Prefer", preferCompact)
		if c.want(with.ok() && with.graph != nil, e.asked, "with a preference for a preview: %s", with.says()) {
			c.want(len(with.graph.OfType(vocab.OSLCCompact)) > 0, e.asked, "a preference for a preview is not honoured")
		}
	}
}

var cssLength = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(em|ex|in|cm|mm|pt|pc|px)$`)

func lengths(c *check, e *exchange, n rdf.Term) {
	for _, property := range []string{vocab.OSLCHintWidth, vocab.OSLCHintHeight} {
		if v := e.graph.Value(n, property); v != "" {
			c.want(cssLength.MatchString(v), e.asked, "%s is %q, which is no length of CSS", short(property), v)
		}
	}
}

func checkMissingPreview(ctx context.Context, p *prober, c *check) {
	for _, e := range p.resources() {
		missing := e.asked + "-that-is-not-there"
		plain := p.get(ctx, missing, turtle)
		if plain.status/100 != 4 {
			continue
		}
		preferred := p.get(ctx, missing, turtle, "Prefer", preferCompact)
		c.want(preferred.status == plain.status, missing, "without the preference %d, with it %d", plain.status, preferred.status)
		return
	}
	c.skip("no address of a missing resource was found")
}

const preferDialog = `return=representation; include="http://open-services.net/ns/core#PreferDialog"`

func checkDialogs(ctx context.Context, p *prober, c *check) {
	for _, d := range p.dialogs() {
		lengths(c, d.service.provider, d.node)
	}
	for _, q := range p.queries() {
		relation, property := "", ""
		for _, d := range q.service.dialogs {
			if !d.creation && slices.Equal(d.types, q.types) {
				relation, property = vocab.OSLCSelectionDialog, vocab.OSLCSelectionDialog
			}
		}
		if relation == "" {
			continue
		}
		e := p.do(ctx, http.MethodHead, q.url, nil, "Accept", turtle)
		links := e.links(relation)
		if c.want(len(links) > 0, q.url, "no Link leads from the container to its selection dialog") {
			to, err := resolve(q.url, links[0])
			descriptor := p.get(ctx, to, turtle)
			c.want(err == nil && descriptor.ok() && descriptor.graph != nil && len(descriptor.graph.OfType(vocab.OSLCDialogClass)) > 0, links[0], "the Link leads to no descriptor: %s", descriptor.says())
		}
		preferred := p.get(ctx, q.url, turtle, "Prefer", preferDialog)
		c.want(preferred.graph != nil && len(preferred.graph.OfType(vocab.OSLCDialogClass)) > 0 && len(preferred.graph.Objects(rdf.NewIRI(q.url), property)) > 0,
			q.url, "a preference for dialogs is not honoured: %s", preferred.says())
	}
	if len(p.dialogs()) == 0 {
		c.skip("there is no dialog")
	}
}

var script = regexp.MustCompile(`<script[^>]+src="([^"]+)"`)

// checkDialogPages reads a dialog and its scripts. Whether they work only a browser
// can tell; that they speak the protocol is in their text.
func checkDialogPages(ctx context.Context, p *prober, c *check) {
	for _, d := range p.dialogs() {
		e := p.get(ctx, d.url, "text/html")
		if !c.want(e.ok() && e.mediaType() == "text/html", d.url, "the dialog is no page: %s", e.says()) {
			continue
		}
		text := string(e.body)
		for _, m := range script.FindAllStringSubmatch(text, -1) {
			if to, err := resolve(e.url, m[1]); err == nil {
				text += string(p.get(ctx, to, "*/*").body)
			}
		}
		c.want(strings.Contains(text, "postMessage") && strings.Contains(text, "oslc-response:"), d.url, "neither the page nor its scripts answer with postMessage and oslc-response")
		c.want(strings.Contains(text, "oslc:results"), d.url, "neither the page nor its scripts know oslc:results")
	}
	if len(p.dialogs()) == 0 {
		c.skip("there is no dialog")
	}
}

var shapeCardinalities = []cardinality{
	{vocab.OSLCPropertyClass, vocab.OSLCName, 1, 1, rdf.Literal, ""},
	{vocab.OSLCPropertyClass, vocab.OSLCPropertyDefinition, 1, 1, rdf.IRI, ""},
	{vocab.OSLCPropertyClass, vocab.OSLCOccurs, 1, 1, rdf.IRI, ""},
	{vocab.OSLCPropertyClass, vocab.OSLCReadOnly, 0, 1, rdf.Literal, rdf.XSDBoolean},
	{vocab.OSLCPropertyClass, vocab.OSLCQueryable, 0, 1, rdf.Literal, rdf.XSDBoolean},
	{vocab.OSLCPropertyClass, vocab.OSLCRepresentation, 0, 1, rdf.IRI, ""},
	{vocab.OSLCPropertyClass, vocab.OSLCMaxSize, 0, 1, rdf.Literal, ""},
}

func checkShapes(ctx context.Context, p *prober, c *check) {
	for _, url := range p.shapes() {
		e := p.get(ctx, url, anyRDF)
		if !c.want(e.ok() && e.graph != nil && e.graph.IsA(rdf.NewIRI(url), vocab.OSLCResourceShapeClass), url, "there is no shape: %s", e.says()) {
			continue
		}
		conform(c, e, shapeCardinalities)
		for _, n := range e.graph.Objects(rdf.NewIRI(url), vocab.OSLCProperty) {
			c.want(slices.Contains([]string{vocab.OSLCExactlyOne, vocab.OSLCZeroOrOne, vocab.OSLCZeroOrMany, vocab.OSLC + "One-or-many"}, e.graph.Value(n, vocab.OSLCOccurs)),
				url, "oslc:occurs of %s is <%s>", e.graph.Value(n, vocab.OSLCName), e.graph.Value(n, vocab.OSLCOccurs))
		}
	}
	for _, q := range p.queries() {
		for _, url := range q.shapes {
			e := p.get(ctx, url, anyRDF)
			if e.graph != nil {
				c.want(len(e.graph.Subjects(vocab.OSLCIsMemberProperty, rdf.Bool(true))) > 0, url, "the shape of a container has no property with oslc:isMemberProperty true")
			}
		}
	}
	if len(p.shapes()) == 0 {
		c.skip("there is no shape")
	}
}

func checkVary(ctx context.Context, p *prober, c *check) {
	for _, e := range slices.Concat(p.catalogs, p.providers, p.resources()) {
		if e.graph != nil {
			c.want(e.lists("Vary", "Accept") || e.lists("Vary", "*"), e.asked, "Vary is %q", strings.Join(e.header.Values("Vary"), ", "))
		}
	}
	for _, e := range p.resources() {
		if with := p.get(ctx, e.asked, turtle, "Prefer", preferCompact); with.graph != nil && len(with.graph.OfType(vocab.OSLCCompact)) > 0 {
			c.want(with.lists("Vary", "Prefer") || with.lists("Vary", "*") || strings.Contains(with.header.Get("Cache-Control"), "no-store"), e.asked,
				"the answer depends on Prefer, and Vary is %q", strings.Join(with.header.Values("Vary"), ", "))
		}
	}
}

func checkAttachments(ctx context.Context, p *prober, c *check) {
	c.skip("no resource has attachments")
	for _, e := range p.resources() {
		for _, l := range e.links(vocab.OSLCAttachmentContainer) {
			to, err := resolve(e.url, l)
			if !c.want(err == nil, e.url, "the Link to the attachments is %q", l) {
				continue
			}
			box := p.get(ctx, to, turtle)
			c.want(box.ok() && len(box.links("type")) > 0, to, "the container of attachments: %s", box.says())
			options := p.do(ctx, http.MethodOptions, to, nil)
			c.want(!options.lists("Allow", "DELETE"), to, "the container of attachments can be deleted")
		}
	}
}
