package probe

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Bounds of what is looked at: a probe samples.
const (
	maxProviders = 10
	maxSample    = 3
)

// found is what discovery leads to.
type found struct {
	root      string // scheme and host
	catalogs  []*exchange
	providers []*exchange
	services  []service
}

type service struct {
	provider  *exchange
	node      rdf.Term
	domain    string
	factories []capability
	queries   []capability
	dialogs   []dialog
}

// capability is a creation factory or a query capability.
type capability struct {
	service   *service
	url       string
	types     []string
	shapes    []string
	container *exchange   // the answer without a condition, of a query
	members   []*exchange // some of its members
}

type dialog struct {
	service  *service
	creation bool
	url      string
	node     rdf.Term
	types    []string
	usage    []string
}

func itoa(n int) string { return strconv.Itoa(n) }

// crawl finds the catalog and everything that it leads to.
func (p *prober) crawl(ctx context.Context) error {
	const op = "probe"
	u, err := url.Parse(p.cfg.URL)
	if err != nil || u.Host == "" {
		return oslc.Errorf(op, oslc.Invalid, "%q is no address such as https://bus.example", p.cfg.URL)
	}
	p.root = u.Scheme + "://" + u.Host
	base := strings.TrimRight(p.cfg.URL, "/")
	var last *exchange
	for _, candidate := range []string{p.cfg.URL, base + "/.well-known/oslc/sp-catalog", base + "/rootservices", p.root + "/.well-known/oslc/sp-catalog", p.root + "/rootservices"} {
		last = p.get(ctx, candidate, anyRDF)
		if last.err != nil {
			return last.err
		}
		if last.graph != nil {
			p.look(ctx, last)
		}
		if len(p.providers) > 0 {
			break
		}
	}
	if len(p.providers) == 0 {
		return oslc.Errorf(op, oslc.Unavailable, "%s leads to no OSLC service provider; the last answer was: %s", p.cfg.URL, last.says())
	}
	if refused := p.providers[0]; !slices.ContainsFunc(p.providers, func(e *exchange) bool { return !e.refused() }) {
		return oslc.Errorf(op, oslc.Denied, "%s: %s: say who is asking", refused.url, refused.says())
	}
	for _, e := range p.providers {
		p.provider(e)
	}
	for i := range p.services {
		for j := range p.services[i].queries {
			p.sample(ctx, &p.services[i].queries[j])
		}
	}
	return nil
}

// look takes a document for what it is: a provider, a catalog, or rootservices.
func (p *prober) look(ctx context.Context, e *exchange) {
	g := e.graph
	if len(g.OfType(vocab.OSLCServiceProviderCatalogClass)) > 0 {
		p.catalog(ctx, e, 0)
		return
	}
	for _, n := range g.OfType(vocab.OSLCServiceProviderClass) {
		if len(g.Objects(n, vocab.OSLCService)) > 0 {
			p.providers = append(p.providers, e)
			return
		}
	}
	for t := range g.All() {
		if strings.HasSuffix(t.P.Value, "ServiceProviders") && t.O.Kind == rdf.IRI {
			if c := p.get(ctx, t.O.Value, anyRDF); c.graph != nil && !p.knows(c) {
				p.catalog(ctx, c, 0)
			}
		}
	}
}

func (p *prober) knows(e *exchange) bool {
	return slices.ContainsFunc(p.catalogs, func(c *exchange) bool { return c.url == e.url })
}

func (p *prober) catalog(ctx context.Context, e *exchange, depth int) {
	if p.knows(e) || depth > 3 {
		return
	}
	p.catalogs = append(p.catalogs, e)
	for _, n := range e.graph.OfType(vocab.OSLCServiceProviderCatalogClass) {
		for _, o := range e.graph.Objects(n, vocab.OSLCServiceProvider) {
			if len(p.providers) < maxProviders && o.Kind == rdf.IRI {
				if sp := p.get(ctx, o.Value, anyRDF); !slices.Contains(p.providers, sp) {
					p.providers = append(p.providers, sp)
				}
			}
		}
		for _, o := range e.graph.Objects(n, vocab.OSLCServiceProviderCatalog) {
			if c := p.get(ctx, o.Value, anyRDF); c.graph != nil {
				p.catalog(ctx, c, depth+1)
			}
		}
	}
}

func values(g *rdf.Graph, s rdf.Term, property string) []string {
	var out []string
	for _, o := range g.Objects(s, property) {
		out = append(out, o.Value)
	}
	return out
}

// provider reads the services of a provider.
func (p *prober) provider(e *exchange) {
	if e.graph == nil {
		return
	}
	g := e.graph
	for _, n := range g.OfType(vocab.OSLCServiceProviderClass) {
		for _, s := range g.Objects(n, vocab.OSLCService) {
			p.services = append(p.services, service{provider: e, node: s, domain: g.Value(s, vocab.OSLCDomain)})
		}
	}
	for i := range p.services {
		s := &p.services[i]
		if s.provider != e {
			continue
		}
		for _, n := range g.Objects(s.node, vocab.OSLCCreationFactory) {
			s.factories = append(s.factories, capability{
				service: s, url: g.Value(n, vocab.OSLCCreation),
				types: values(g, n, vocab.OSLCResourceType), shapes: values(g, n, vocab.OSLCResourceShape),
			})
		}
		for _, n := range g.Objects(s.node, vocab.OSLCQueryCapability) {
			s.queries = append(s.queries, capability{
				service: s, url: g.Value(n, vocab.OSLCQueryBase),
				types: values(g, n, vocab.OSLCResourceType), shapes: values(g, n, vocab.OSLCResourceShape),
			})
		}
		for _, kind := range []string{vocab.OSLCSelectionDialog, vocab.OSLCCreationDialog} {
			for _, n := range g.Objects(s.node, kind) {
				s.dialogs = append(s.dialogs, dialog{
					service: s, creation: kind == vocab.OSLCCreationDialog, url: g.Value(n, vocab.OSLCDialog),
					node: n, types: values(g, n, vocab.OSLCResourceType), usage: values(g, n, vocab.OSLCUsage),
				})
			}
		}
	}
}

// sample reads a query base and some of its members.
func (p *prober) sample(ctx context.Context, q *capability) {
	if q.url == "" {
		return
	}
	q.container = p.get(ctx, q.url, anyRDF)
	if q.container.graph == nil {
		return
	}
	for _, m := range p.members(ctx, q, q.container) {
		if len(q.members) == maxSample {
			break
		}
		if e := p.get(ctx, m, anyRDF); e.ok() && e.graph != nil {
			q.members = append(q.members, e)
		}
	}
}

// membership returns the property that leads from a container to its members: what
// the shape of the container says, or rdfs:member (QUERY-13, 14).
func (p *prober) membership(ctx context.Context, q *capability) string {
	for _, url := range q.shapes {
		sh := p.get(ctx, url, anyRDF)
		if sh.graph == nil {
			continue
		}
		for _, n := range sh.graph.Subjects(vocab.OSLCIsMemberProperty, rdf.Bool(true)) {
			if d := sh.graph.Value(n, vocab.OSLCPropertyDefinition); d != "" {
				return d
			}
		}
	}
	return vocab.RDFSMember
}

func (p *prober) members(ctx context.Context, q *capability, answer *exchange) []string {
	if answer.graph == nil {
		return nil
	}
	return values(answer.graph, rdf.NewIRI(q.url), p.membership(ctx, q))
}

// queries yields every query capability once.
func (p *prober) queries() []*capability {
	var out []*capability
	seen := map[string]bool{}
	for i := range p.services {
		for j := range p.services[i].queries {
			if q := &p.services[i].queries[j]; q.url != "" && !seen[q.url] {
				seen[q.url] = true
				out = append(out, q)
			}
		}
	}
	return out
}

func (p *prober) factories() []*capability {
	var out []*capability
	seen := map[string]bool{}
	for i := range p.services {
		for j := range p.services[i].factories {
			if f := &p.services[i].factories[j]; f.url != "" && !seen[f.url] {
				seen[f.url] = true
				out = append(out, f)
			}
		}
	}
	return out
}

func (p *prober) dialogs() []*dialog {
	var out []*dialog
	for i := range p.services {
		for j := range p.services[i].dialogs {
			out = append(out, &p.services[i].dialogs[j])
		}
	}
	return out
}

// resources yields the members that were read.
func (p *prober) resources() []*exchange {
	var out []*exchange
	for _, q := range p.queries() {
		for _, m := range q.members {
			if !slices.Contains(out, m) {
				out = append(out, m)
			}
		}
	}
	return out
}

// documents are those of discovery, and some resources.
func (p *prober) documents() []*exchange {
	return slices.Concat(p.catalogs, p.providers, p.resources())
}

// shapes are all shapes that are advertised.
func (p *prober) shapes() []string {
	var out []string
	for _, list := range [][]*capability{p.queries(), p.factories()} {
		for _, c := range list {
			for _, s := range c.shapes {
				if !slices.Contains(out, s) {
					out = append(out, s)
				}
			}
		}
	}
	return out
}
