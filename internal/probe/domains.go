package probe

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

var domainChecks = []spec{
	{"CM01", Must, "CM-16 to 26", "change requests come in Turtle and JSON-LD, and are taken in both", cmFormats},
	{"CM02", Must, "CM-25", "query answers come in Turtle and JSON-LD", cmQueryFormats},
	{"CM03", Must, "CM-9, 42", "what can be created has a factory in its provider", cmFactory},
	{"CM04", Must, "CM-6, 29", "oslc.properties selects, and without it everything comes", cmProperties},
	{"CM05", Must, "CM-10, 11, 44", "a query takes oslc.select and oslc.prefix", cmSelect},
	{"CM06", Must, "CM-12, 46", "there are dialogs to create and to select", cmDialogs},
	{"CM07", Must, "CM-40", "the domain is named", cmDomain},
	{"CM08", Must, "CM-34", "state predicates can be queried", cmStates},
	{"CM09", Must, "CM-31, 32", "a partial PUT changes what it names, and refuses what it does not know with 409", cmPartial},
	{"CM10", May, "CM-7, 30", "PATCH, where it is allowed, names its formats", cmPatch},
	{"CM11", May, "CM-5", "a single resource is not paged without being asked to", cmUnpaged},
	{"CM12", Should, "CM-13 to 43", "factories and queries have shapes", cmShapes},
	{"CM13", May, "CM-41", "actions are complete where a resource has some", cmActions},
	{"CM14", Must, "CM-45", "without a shape of the container its members are under rdfs:member", cmMember},
	{"AU01", Must, "AUTO-1, 2", "plans, requests and results come in RDF/XML", auFormats},
	{"AU02", Must, "AUTO-4, 8", "queries take oslc.where and oslc.select, and answer in RDF/XML", auQueries},
	{"AU03", Must, "AUTO-6, 7", "what can be created has a factory", auFactory},
	{"AU04", Should, "Query", "results can be queried", auResults},
	{"AU05", Must, "AUTO-14, shapes", "plans, requests and results have what they must, with states and verdicts of the vocabulary", auShapes},
	{"AU06", Must, "shapes", "a request without a plan is refused", auNoPlan},
	{"AU07", Should, "tables", "plans and results can be selected, requests created in a dialog", auDialogs},
	{"AU08", Must, "AUTO-9, 10", "dialogs for now and for later tell which they are", auUsage},
	{"AU09", Must, "AUTO-12", "a dialog for later has a binding", auBinding},
	{"AU10", Must, "Auto-3, 4", "a request that is known to be wrong is refused", auInvalid},
	{"AU11", Should, "Deferred", "a deferred request stays readable", auDeferred},
	{"AU12", Should, "methods", "what can be created can be deleted", auDelete},
}

// of yields the query capabilities of a domain.
func (p *prober) of(domain string) []*capability {
	var out []*capability
	for _, q := range p.queries() {
		for i := range p.services {
			s := &p.services[i]
			if s.domain == domain && slices.ContainsFunc(s.queries, func(x capability) bool { return x.url == q.url }) && !slices.Contains(out, q) {
				out = append(out, q)
			}
		}
	}
	return out
}

// typed yields the members of a class that were read.
func (p *prober) typed(class string) []*exchange {
	var out []*exchange
	for _, e := range p.resources() {
		if e.graph.IsA(rdf.NewIRI(e.asked), class) {
			out = append(out, e)
		}
	}
	return out
}

func (p *prober) has(domain string) bool {
	return slices.ContainsFunc(p.services, func(s service) bool { return s.domain == domain })
}

const (
	noCM   = "there is no service of Change Management"
	noAuto = "there is no service of Automation"
)

func formats(ctx context.Context, p *prober, c *check, list []*exchange, kinds ...string) {
	for _, e := range list {
		for _, kind := range kinds {
			got := p.get(ctx, e.asked, kind)
			c.want(got.ok() && got.mediaType() == kind && got.graph != nil, e.asked, "asked for %s: %s", kind, got.says())
		}
	}
}

func cmFormats(ctx context.Context, p *prober, c *check) {
	c.skip(noCM)
	formats(ctx, p, c, p.typed(vocab.CMChangeRequest), turtle, jsonLD)
	if p.made.uri == "" || !p.has(vocab.CM) {
		return
	}
	// It was posted as Turtle; C06 and C08 put JSON-LD.
	before := p.now(ctx, turtle)
	if before.graph == nil {
		return
	}
	e := p.put(ctx, before.graph, before.header.Get("ETag"), "")
	c.want(e.status/100 == 2 || e.status == http.StatusMethodNotAllowed, p.made.uri, "PUT of JSON-LD: %s", e.says())
}

func cmQueryFormats(ctx context.Context, p *prober, c *check) {
	c.skip(noCM)
	for _, q := range p.of(vocab.CM) {
		formats(ctx, p, c, []*exchange{q.container}, turtle, jsonLD)
	}
}

// creating are the containers that say that they take new resources.
func (p *prober) creating(ctx context.Context, domain string, c *check) {
	for _, q := range p.of(domain) {
		e := p.do(ctx, http.MethodOptions, q.url, nil)
		if e.header.Get("Accept-Post") == "" {
			continue
		}
		listed := slices.ContainsFunc(p.factories(), func(f *capability) bool { return f.url == q.url })
		c.want(listed, q.url, "it takes new resources, and no creation factory of the provider says so")
	}
}

func cmFactory(ctx context.Context, p *prober, c *check) {
	if !p.has(vocab.CM) {
		c.skip(noCM)
		return
	}
	c.skip("nothing can be created")
	p.creating(ctx, vocab.CM, c)
	for _, f := range p.factories() {
		if f.service.domain == vocab.CM {
			c.want(len(f.types) > 0, f.url, "the creation factory names no type")
		}
	}
}

func cmProperties(ctx context.Context, p *prober, c *check) {
	c.skip(noCM)
	for _, e := range p.typed(vocab.CMChangeRequest) {
		s := rdf.NewIRI(e.asked)
		got := p.get(ctx, with(e.asked, "oslc.properties", "x:title", "oslc.prefix", "x=<http://purl.org/dc/terms/>"), turtle)
		if !c.want(got.ok() && got.graph != nil, got.asked, "%s", got.says()) {
			continue
		}
		c.want(!got.graph.Object(s, vocab.DCTermsTitle).IsZero(), got.asked, "the property that was asked for is missing")
		c.want(e.graph.Len() < 4 || got.graph.Len() < e.graph.Len(), got.asked, "all %d triples come, and one property was asked for", got.graph.Len())
	}
}

func cmSelect(ctx context.Context, p *prober, c *check) {
	c.skip(noCM)
	for _, q := range p.of(vocab.CM) {
		if len(q.members) == 0 {
			continue
		}
		e := p.get(ctx, with(q.url, "oslc.select", "x:title", "oslc.prefix", "x=<http://purl.org/dc/terms/>"), turtle)
		if !c.want(e.ok() && e.graph != nil, e.asked, "%s", e.says()) {
			continue
		}
		for _, m := range p.members(ctx, q, e) {
			c.want(!e.graph.Object(rdf.NewIRI(m), vocab.DCTermsTitle).IsZero(), e.asked, "<%s> comes without the title that was asked for", m)
		}
	}
}

func cmDialogs(_ context.Context, p *prober, c *check) {
	c.skip(noCM)
	for i := range p.services {
		s := &p.services[i]
		if s.domain != vocab.CM || len(s.queries) == 0 {
			continue
		}
		c.want(slices.ContainsFunc(s.dialogs, func(d dialog) bool { return !d.creation }), s.provider.asked, "there is no selection dialog")
		if len(s.factories) > 0 {
			c.want(slices.ContainsFunc(s.dialogs, func(d dialog) bool { return d.creation }), s.provider.asked, "there is no creation dialog")
		}
	}
}

func cmDomain(ctx context.Context, p *prober, c *check) {
	c.skip("there are no change requests")
	if len(p.typed(vocab.CMChangeRequest)) > 0 {
		c.want(p.has(vocab.CM), p.cfg.URL, "there are change requests, and no service has the domain <%s>", vocab.CM)
	}
	_ = ctx
}

func cmStates(ctx context.Context, p *prober, c *check) {
	c.skip("no change request has a state predicate")
	for _, q := range p.of(vocab.CM) {
		for _, m := range q.members {
			s := rdf.NewIRI(m.asked)
			for _, predicate := range []string{vocab.CMClosed, vocab.CMInProgress, vocab.CMFixed, vocab.CM + "approved", vocab.CM + "reviewed", vocab.CM + "verified"} {
				all := m.graph.Objects(s, predicate)
				if len(all) == 0 {
					continue
				}
				v, ok := all[0].Bool()
				c.want(len(all) == 1 && ok, m.asked, "%s is no single boolean", short(predicate))
				where := "x:" + strings.TrimPrefix(predicate, vocab.CM) + "=" + map[bool]string{true: "true", false: "false"}[v]
				e := p.get(ctx, with(q.url, "oslc.where", where, "oslc.prefix", "x=<"+vocab.CM+">", "oslc.select", "dcterms:title"), turtle)
				c.want(e.ok(), e.asked, "oslc.where=%s: %s", where, e.says())
			}
			in, _ := m.graph.Object(s, vocab.CMInProgress).Bool()
			closed, _ := m.graph.Object(s, vocab.CMClosed).Bool()
			fixed, _ := m.graph.Object(s, vocab.CMFixed).Bool()
			c.want(!in || !closed && !fixed, m.asked, "it is in progress, and closed or fixed as well")
		}
	}
}

func cmPartial(ctx context.Context, p *prober, c *check) {
	if !p.has(vocab.CM) {
		c.skip(noCM)
		return
	}
	if !p.ready(c) {
		return
	}
	before := p.now(ctx, turtle)
	s := rdf.NewIRI(p.made.uri)
	if before.graph == nil {
		return
	}
	g := rdf.NewGraph()
	g.Add(s, vocab.DCTermsTitle, rdf.String(before.graph.Value(s, vocab.DCTermsTitle)+" in part"))
	e := p.put(ctx, g, before.header.Get("ETag"), "?oslc.properties=dcterms%3Atitle")
	if e.status == http.StatusMethodNotAllowed {
		c.skip("resources cannot be changed")
		return
	}
	if c.want(e.status/100 == 2, p.made.uri, "a partial PUT: %s", e.says()) {
		after := p.now(ctx, turtle)
		if after.graph != nil {
			c.want(strings.HasSuffix(after.graph.Value(s, vocab.DCTermsTitle), " in part"), p.made.uri, "a partial PUT did not change what it names")
			for t := range before.graph.About(s) {
				if t.P.Value != vocab.DCTermsTitle && t.P.Value != vocab.DCTermsModified && strings.HasPrefix(t.P.Value, vocab.DCTerms) {
					c.want(after.graph.Has(t), p.made.uri, "a partial PUT of the title lost or changed %s", short(t.P.Value))
				}
			}
		}
		before = after
	}
	e = p.put(ctx, g, before.header.Get("ETag"), "?oslc.properties=dcterms%3AnoSuchProperty")
	isError(c, e, "a partial PUT of an unknown property", http.StatusConflict)
}

func cmPatch(ctx context.Context, p *prober, c *check) {
	c.skip("PATCH is not offered, which is allowed")
	for _, e := range p.typed(vocab.CMChangeRequest) {
		if o := p.do(ctx, http.MethodOptions, e.url, nil); o.lists("Allow", "PATCH") {
			c.want(o.header.Get("Accept-Patch") != "", e.url, "PATCH is allowed, and no Accept-Patch says in which formats")
		}
	}
}

func cmUnpaged(_ context.Context, p *prober, c *check) {
	c.skip(noCM)
	for _, e := range p.typed(vocab.CMChangeRequest) {
		c.want(nextPage(e) == "", e.asked, "it is paged without being asked to")
	}
}

func cmShapes(_ context.Context, p *prober, c *check) {
	c.skip(noCM)
	for i := range p.services {
		s := &p.services[i]
		if s.domain != vocab.CM {
			continue
		}
		for _, x := range slices.Concat(s.factories, s.queries) {
			c.want(len(x.shapes) > 0, x.url, "no shape is named")
		}
	}
}

// The namespaces of actions: Core's, and that of the drafts (both are read).
func actions(e *exchange) []rdf.Term {
	s := rdf.NewIRI(e.asked)
	return slices.Concat(e.graph.Objects(s, vocab.OSLC+"action"), e.graph.Objects(s, vocab.Actions+"action"))
}

func cmActions(ctx context.Context, p *prober, c *check) {
	c.skip("no resource has actions, which is allowed")
	for _, e := range p.resources() {
		for _, a := range actions(e) {
			in := e
			if described := slices.Collect(func(yield func(rdf.Triple) bool) {
				for t := range e.graph.About(a) {
					if !yield(t) {
						return
					}
				}
			}); len(described) == 0 && a.Kind == rdf.IRI {
				in = p.get(ctx, a.Value, turtle)
			}
			if !c.want(in.graph != nil, a.Value, "the action cannot be read: %s", in.says()) {
				continue
			}
			c.want(in.graph.IsA(a, vocab.OSLC+"Action") || in.graph.IsA(a, vocab.Actions+"Action"), in.asked, "an action has not the type oslc:Action")
			c.want(len(in.graph.Objects(a, vocab.DCTermsTitle)) == 1, in.asked, "an action has %d titles", len(in.graph.Objects(a, vocab.DCTermsTitle)))
			bindings := slices.Concat(in.graph.Objects(a, vocab.OSLC+"binding"), in.graph.Objects(a, vocab.Actions+"binding"))
			c.want(len(bindings) > 0, in.asked, "an action has no binding")
			for _, b := range bindings {
				c.want(len(in.graph.Objects(b, vocab.OSLC+"finalStatusLocation")) == 1, in.asked, "a binding has not one finalStatusLocation")
			}
		}
	}
}

func cmMember(_ context.Context, p *prober, c *check) {
	c.skip("every container has a shape")
	if !p.has(vocab.CM) {
		c.skip(noCM)
	}
	for _, q := range p.of(vocab.CM) {
		if len(q.shapes) > 0 || q.container.graph == nil {
			continue
		}
		for _, n := range q.container.graph.OfType(vocab.OSLCResponseInfo) {
			if t, ok := q.container.graph.Object(n, vocab.OSLCTotalCount).Int(); ok && t > 0 {
				c.want(len(q.container.graph.Objects(rdf.NewIRI(q.url), vocab.RDFSMember)) > 0, q.url, "there are %d resources, and none under rdfs:member", t)
			}
		}
	}
}

// automation are the plans, requests and results that were read.
func (p *prober) automation() []*exchange {
	return slices.Concat(p.typed(vocab.AutoAutomationPlan), p.typed(vocab.AutoAutomationRequest), p.typed(vocab.AutoAutomationResult))
}

func auFormats(ctx context.Context, p *prober, c *check) {
	c.skip("there is no plan, request or result")
	formats(ctx, p, c, p.automation(), rdfXML)
}

func auQueries(ctx context.Context, p *prober, c *check) {
	c.skip(noAuto)
	for _, q := range p.of(vocab.Auto) {
		e := p.get(ctx, with(q.url, "oslc.where", `dcterms:identifier="no such one"`, "oslc.select", "dcterms:title"), rdfXML)
		if c.want(e.ok() && e.mediaType() == rdfXML && e.graph != nil, e.asked, "%s", e.says()) {
			c.want(len(p.members(ctx, q, e)) == 0, e.asked, "a condition that nothing fulfils has %d members", len(p.members(ctx, q, e)))
		}
		if len(q.members) > 0 {
			id := q.members[0].graph.Value(rdf.NewIRI(q.members[0].asked), vocab.DCTermsIdentifier)
			e := p.get(ctx, with(q.url, "oslc.where", "dcterms:identifier="+quote(id), "oslc.select", "dcterms:title"), rdfXML)
			c.want(e.ok() && slices.Contains(p.members(ctx, q, e), q.members[0].asked), e.asked, "<%s> is not found by its identifier: %s", q.members[0].asked, e.says())
		}
	}
}

func auFactory(ctx context.Context, p *prober, c *check) {
	c.skip(noAuto)
	if !p.has(vocab.Auto) {
		return
	}
	c.want(len(p.providers) > 0, p.cfg.URL, "there is no service provider")
	p.creating(ctx, vocab.Auto, c)
}

func auResults(_ context.Context, p *prober, c *check) {
	c.skip(noAuto)
	if !p.has(vocab.Auto) {
		return
	}
	c.want(slices.ContainsFunc(p.queries(), func(q *capability) bool { return slices.Contains(q.types, vocab.AutoAutomationResult) }),
		p.cfg.URL, "no query capability has the type oslc_auto:AutomationResult")
}

var (
	states   = []string{vocab.AutoNew, vocab.AutoQueued, vocab.AutoInProgress, vocab.AutoCanceling, vocab.AutoCanceled, vocab.AutoComplete}
	verdicts = []string{vocab.AutoUnavailable, vocab.AutoPassed, vocab.AutoWarning, vocab.AutoFailed, vocab.AutoError, vocab.Auto + "fail"}
)

var autoCardinalities = func() []cardinality {
	var out []cardinality
	for _, class := range []string{vocab.AutoAutomationPlan, vocab.AutoAutomationRequest, vocab.AutoAutomationResult} {
		out = append(out,
			cardinality{class, vocab.DCTermsTitle, 1, 1, rdf.Literal, ""},
			cardinality{class, vocab.DCTermsIdentifier, 1, 1, rdf.Literal, ""},
			cardinality{class, vocab.DCTermsDescription, 0, 1, rdf.Literal, ""},
			cardinality{class, vocab.DCTermsCreated, 0, 1, rdf.Literal, rdf.XSDDateTime},
			cardinality{class, vocab.DCTermsModified, 0, 1, rdf.Literal, rdf.XSDDateTime},
			cardinality{class, vocab.OSLCInstanceShape, 0, 1, rdf.IRI, ""})
	}
	return append(out,
		cardinality{vocab.AutoAutomationRequest, vocab.AutoExecutesAutomationPlan, 1, 1, rdf.IRI, ""},
		cardinality{vocab.AutoAutomationRequest, vocab.AutoState, 1, 0, 0, ""},
		cardinality{vocab.AutoAutomationRequest, vocab.AutoDesiredState, 0, 1, 0, ""},
		cardinality{vocab.AutoAutomationResult, vocab.AutoReportsOnAutomationPlan, 1, 1, rdf.IRI, ""},
		cardinality{vocab.AutoAutomationResult, vocab.AutoProducedByAutomationRequest, 0, 1, rdf.IRI, ""},
		cardinality{vocab.AutoAutomationResult, vocab.AutoState, 1, 0, 0, ""},
		cardinality{vocab.AutoAutomationResult, vocab.AutoVerdict, 1, 0, 0, ""},
		cardinality{vocab.AutoAutomationResult, vocab.AutoDesiredState, 0, 1, 0, ""},
		cardinality{vocab.AutoParameterInstance, vocab.OSLCName, 1, 1, rdf.Literal, ""},
		cardinality{vocab.AutoParameterInstance, rdf.NS + "value", 0, 1, 0, ""})
}()

func auShapes(_ context.Context, p *prober, c *check) {
	c.skip("there is no plan, request or result")
	for _, e := range p.automation() {
		s := rdf.NewIRI(e.asked)
		conform(c, e, autoCardinalities)
		one := func(property string, vocabulary []string) {
			c.want(slices.ContainsFunc(e.graph.Objects(s, property), func(o rdf.Term) bool { return slices.Contains(vocabulary, o.Value) }),
				e.asked, "no value of %s is of the vocabulary", short(property))
		}
		if e.graph.IsA(s, vocab.AutoAutomationRequest) {
			one(vocab.AutoState, states)
		}
		if e.graph.IsA(s, vocab.AutoAutomationResult) {
			one(vocab.AutoState, states)
			one(vocab.AutoVerdict, verdicts)
			final := slices.ContainsFunc(e.graph.Objects(s, vocab.AutoState), func(o rdf.Term) bool { return o.Value == vocab.AutoComplete })
			none := slices.ContainsFunc(e.graph.Objects(s, vocab.AutoVerdict), func(o rdf.Term) bool { return o.Value == vocab.AutoUnavailable })
			c.want(!final || !none, e.asked, "it is complete, and has no verdict")
		}
	}
}

// requestFactories are those that take automation requests.
func (p *prober) requestFactories() []*capability {
	var out []*capability
	for _, f := range p.factories() {
		if slices.Contains(f.types, vocab.AutoAutomationRequest) {
			out = append(out, f)
		}
	}
	return out
}

const noRequests = "requests cannot be created"

// refusedRequest posts a request that must be refused.
func (p *prober) refusedRequest(ctx context.Context, c *check, what, body string) {
	c.skip(noRequests)
	if !p.cfg.Write && len(p.requestFactories()) > 0 {
		c.skip(notAsked)
		return
	}
	for _, f := range p.requestFactories() {
		e := p.do(ctx, http.MethodPost, f.url, []byte(body), "Content-Type", turtle, "Accept", turtle)
		isError(c, e, what, http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity)
	}
}

func auNoPlan(ctx context.Context, p *prober, c *check) {
	p.refusedRequest(ctx, c, "POST of a request without a plan", "<> a <"+vocab.AutoAutomationRequest+"> ; <"+vocab.DCTermsTitle+`> "probe" .`)
}

func auInvalid(ctx context.Context, p *prober, c *check) {
	p.refusedRequest(ctx, c, "POST of a request with a literal as plan",
		"<> a <"+vocab.AutoAutomationRequest+"> ; <"+vocab.DCTermsTitle+`> "probe" ; <`+vocab.AutoExecutesAutomationPlan+`> "no resource" .`)
}

func (p *prober) hasDialog(creation bool, class string) bool {
	return slices.ContainsFunc(p.dialogs(), func(d *dialog) bool { return d.creation == creation && slices.Contains(d.types, class) })
}

func auDialogs(_ context.Context, p *prober, c *check) {
	c.skip(noAuto)
	for _, class := range []string{vocab.AutoAutomationPlan, vocab.AutoAutomationResult} {
		if slices.ContainsFunc(p.queries(), func(q *capability) bool { return slices.Contains(q.types, class) }) {
			c.want(p.hasDialog(false, class), p.cfg.URL, "there is no dialog to select a %s", short(class))
		}
	}
	if len(p.requestFactories()) > 0 {
		c.want(p.hasDialog(true, vocab.AutoAutomationRequest), p.cfg.URL, "there is no dialog to create a request")
	}
}

const deferred = vocab.Auto + "DeferredExecution"

func auUsage(_ context.Context, p *prober, c *check) {
	c.skip("there are not two dialogs for requests")
	var requests []*dialog
	for _, d := range p.dialogs() {
		if d.creation && slices.Contains(d.types, vocab.AutoAutomationRequest) {
			requests = append(requests, d)
		}
	}
	if len(requests) < 2 {
		return
	}
	for _, d := range requests {
		c.want(slices.Contains(d.usage, deferred) || slices.Contains(d.usage, vocab.Auto+"ImmediateExecution"), d.url, "the dialog does not tell whether it is for now or for later")
	}
}

func auBinding(_ context.Context, p *prober, c *check) {
	c.skip("there is no dialog for later")
	for _, d := range p.dialogs() {
		if slices.Contains(d.usage, deferred) {
			g := d.service.provider.graph
			c.want(len(g.Objects(d.node, vocab.OSLC+"binding"))+len(g.Objects(d.node, vocab.AutoBinding)) > 0, d.url, "a dialog for later has no binding")
		}
	}
}

func auDeferred(_ context.Context, p *prober, c *check) {
	c.skip("that takes longer than a probe waits")
	_ = p
}

func auDelete(ctx context.Context, p *prober, c *check) {
	c.skip("nothing of Automation can be created")
	for _, f := range p.factories() {
		auto := slices.ContainsFunc(f.types, func(t string) bool { return strings.HasPrefix(t, vocab.Auto) })
		if !auto {
			continue
		}
		for _, q := range p.queries() {
			if q.url == f.url && len(q.members) > 0 {
				o := p.do(ctx, http.MethodOptions, q.members[0].url, nil)
				c.want(o.lists("Allow", "DELETE"), q.members[0].url, "what can be created cannot be deleted: Allow is %q", o.header.Get("Allow"))
			}
		}
	}
}
