package server

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// CatalogURI is where the catalog of an installation is.
func CatalogURI(base string) string { return base + "/services/catalog" }

// catalogPage is how many providers the catalog shows at once, unless the client
// asks for another number or for no pages.
const catalogPage = 200

// Catalog answers with the ServiceProviderCatalog (OSLC Core 3.0 Discovery). One of
// more than catalogPage providers leads to its first page (CORE-40).
func (s *Server) Catalog(w http.ResponseWriter, r *http.Request) error {
	q, err := query.Parse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	all := len(s.cfg.Providers)
	size := catalogPage
	if q.PageSize > 0 {
		size = min(q.PageSize, maxPage)
	}
	page := 0
	if q.Page != "" {
		if page, err = strconv.Atoi(q.Page); err != nil || page < 1 || page > all/size {
			return oslc.Errorf("server.catalog", oslc.NotFound, "the catalog has no page %q", q.Page)
		}
	}
	from, to := 0, all
	paged := q.Paged == query.PagingWanted || q.Paged == query.PagingUnsaid && (q.PageSize > 0 || page > 0)
	switch {
	case paged:
		from = min(all, page*size)
		to = min(all, from+size)
	case q.Paged == query.PagingUnsaid && all > catalogPage:
		http.Redirect(w, r, fmt.Sprintf("%s?oslc.paging=true&oslc.pageSize=%d", CatalogURI(s.cfg.BaseURL), catalogPage), http.StatusFound)
		return nil
	}
	g := rdf.NewGraph()
	n := g.Node(CatalogURI(s.cfg.BaseURL)).
		A(vocab.OSLCServiceProviderCatalogClass).
		Add(vocab.DCTermsTitle, xmlText(s.cfg.Title)).
		Add(vocab.DCTermsDescription, xmlText("The tools that "+s.cfg.Title+" connects"))
	s.publisher(g, n)
	domains := map[string]bool{}
	for i := range s.cfg.Providers {
		for _, svc := range s.cfg.Providers[i].Services {
			if !domains[svc.Domain] {
				domains[svc.Domain] = true
				n.Link(vocab.OSLCDomain, svc.Domain)
			}
		}
	}
	for _, p := range s.cfg.Providers[from:to] {
		n.Link(vocab.OSLCServiceProvider, oslc.ProviderURI(s.cfg.BaseURL, p.Name))
	}
	for i := range s.cfg.Providers[from:to] {
		// By name alone: clients look up titles here (Lyo) and follow the link for
		// the rest.
		s.name(g, &s.cfg.Providers[from+i])
	}
	if paged {
		info := g.Node(s.requestURI(r)).A(vocab.OSLCResponseInfo).Int(vocab.OSLCTotalCount, int64(all))
		if to < all {
			info.Link(vocab.OSLCNextPage, fmt.Sprintf("%s?oslc.paging=true&oslc.pageSize=%d&page=%d", CatalogURI(s.cfg.BaseURL), size, page+1))
		}
	}
	return Reply{Graph: Graph(g)}.Write(w, r)
}

// requestURI is the URI under which the client asked, on the public address.
func (s *Server) requestURI(r *http.Request) string {
	uri := s.cfg.BaseURL + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		uri += "?" + cleanQuery(r.URL.RawQuery)
	}
	return uri
}

// cleanQuery percent-encodes what an IRI must not hold and a client sent all the
// same, such as braces.
func cleanQuery(raw string) string {
	const hexDigits = "0123456789ABCDEF"
	var b []byte
	for i := range len(raw) {
		switch c := raw[i]; {
		case c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' || c == '`' ||
			c == '{' || c == '|' || c == '}' || c == '[' || c == ']' || c == '#' || c == '%' && !escaped(raw[i:]):
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// escaped reports whether s begins with a percent sign and two hex digits.
func escaped(s string) bool {
	if len(s) < 3 {
		return false
	}
	_, err := strconv.ParseUint(s[1:3], 16, 8)
	return err == nil
}

// publisher adds who made the server, to a catalog or a provider.
func (s *Server) publisher(g *rdf.Graph, n rdf.Node) {
	b := rdf.NewBlank("publisher")
	n.Add(vocab.DCTermsPublisher, b)
	g.NodeOf(b).A(vocab.OSLCPublisherClass).
		Add(vocab.DCTermsTitle, xmlText("oslcbus")).
		String(vocab.DCTermsIdentifier, "https://oslcbus.github.io/")
}

func (s *Server) name(g *rdf.Graph, p *oslc.ServiceProvider) rdf.Node {
	n := g.Node(oslc.ProviderURI(s.cfg.BaseURL, p.Name)).
		A(vocab.OSLCServiceProviderClass).
		String(vocab.DCTermsIdentifier, p.Name).
		Add(vocab.DCTermsTitle, xmlText(p.Title)).
		Link(vocab.OSLCDetails, p.Details)
	if p.Description != "" {
		n.Add(vocab.DCTermsDescription, xmlText(p.Description))
	}
	return n
}

// Provider answers with one ServiceProvider.
func (s *Server) Provider(w http.ResponseWriter, r *http.Request, name string) error {
	p, err := s.provider(name)
	if err != nil {
		return err
	}
	g := rdf.NewGraph()
	n := s.name(g, p.ServiceProvider)
	s.publisher(g, n)
	for i, svc := range p.Services {
		b := rdf.NewBlank(fmt.Sprintf("s%d", i))
		n.Add(vocab.OSLCService, b)
		sn := g.NodeOf(b).A(vocab.OSLCServiceClass).Link(vocab.OSLCDomain, svc.Domain)
		for j := range svc.Collections {
			oc := &svc.Collections[j]
			c, err := s.collection(name, oc.Kind)
			if err != nil {
				return err
			}
			// The same collection may be shown in two domains, under other titles.
			shown := *c
			shown.Title, shown.ResourceTypes, shown.Usage = oc.Title, oc.ResourceTypes, oc.Usage
			if !oc.Writable {
				shown.writer = nil
			}
			shown.describe(g, sn, fmt.Sprintf("s%dc%d", i, j), j == 0)
		}
	}
	for i, prefix := range rdf.Prefixes() {
		b := rdf.NewBlank(fmt.Sprintf("x%d", i))
		n.Add(vocab.OSLCPrefixDefinition, b)
		g.NodeOf(b).A(vocab.OSLCPrefixDefinitionClass).
			String(vocab.OSLCPrefix, prefix.Name).
			Link(vocab.OSLCPrefixBase, prefix.IRI)
	}
	n.Link(vocab.TRSTrackedResourceSet, p.Sets...)
	return Reply{Graph: Graph(g)}.Write(w, r)
}

// describe adds what can be done with a collection to the service that has it;
// first marks it as the service's most important one.
func (c *collection) describe(g *rdf.Graph, service rdf.Node, label string, first bool) {
	usage := c.Usage
	if first {
		usage = append([]string{vocab.OSLCDefault}, usage...)
	}
	q := rdf.NewBlank(label + "q")
	service.Add(vocab.OSLCQueryCapability, q)
	n := g.NodeOf(q).A(vocab.OSLCQueryCapabilityClass).
		Add(vocab.DCTermsTitle, xmlText(c.Title)).
		String(vocab.OSLCLabel, c.Title).
		Link(vocab.OSLCQueryBase, c.uri).
		Link(vocab.OSLCResourceType, c.ResourceTypes...).
		Link(vocab.OSLCUsage, usage...)
	if c.Shape != nil {
		n.Link(vocab.OSLCResourceShape, c.queryShapeURI())
	}
	d := rdf.NewBlank(label + "s")
	service.Add(vocab.OSLCSelectionDialog, d)
	c.dialog(g.NodeOf(d), selection, usage)
	if c.writer == nil && !c.asks {
		return
	}
	f := rdf.NewBlank(label + "f")
	service.Add(vocab.OSLCCreationFactory, f)
	n = g.NodeOf(f).A(vocab.OSLCCreationFactoryClass).
		Add(vocab.DCTermsTitle, xmlText("New in "+c.Title)).
		String(vocab.OSLCLabel, "New in "+c.Title).
		Link(vocab.OSLCCreation, c.uri).
		Link(vocab.OSLCResourceType, c.ResourceTypes...).
		Link(vocab.OSLCUsage, usage...)
	if c.Shape == nil {
		return
	}
	if c.writer != nil {
		n.Link(vocab.OSLCResourceShape, c.shapeURI())
	}
	d = rdf.NewBlank(label + "d")
	service.Add(vocab.OSLCCreationDialog, d)
	c.dialog(g.NodeOf(d), creation, usage)
}

// xmlText is text as the XMLLiteral that OSLC wants titles to be.
func xmlText(s string) rdf.Term { return rdf.Typed(escapeXML(s), rdf.XMLLiteral) }

func escapeXML(s string) string {
	var out []byte
	for i := range len(s) {
		switch s[i] {
		case '&':
			out = append(out, "&amp;"...)
		case '<':
			out = append(out, "&lt;"...)
		case '>':
			out = append(out, "&gt;"...)
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}
