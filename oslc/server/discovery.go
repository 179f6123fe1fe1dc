package server

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// CatalogURI is where the catalog of an installation is.
func CatalogURI(base string) string { return base + "/services/catalog" }

func (s *Server) provider(name string) (*oslc.ServiceProvider, error) {
	if p := s.providers[name]; p != nil {
		return p, nil
	}
	return nil, oslc.Errorf("server.provider", oslc.NotFound, "no service provider %q", name)
}

func (s *Server) uri(p *oslc.ServiceProvider) string { return oslc.ProviderURI(s.cfg.BaseURL, p.Name) }

// Catalog answers with the ServiceProviderCatalog (OSLC Core 3.0 Discovery).
func (s *Server) Catalog(w http.ResponseWriter, r *http.Request) error {
	g := rdf.NewGraph()
	n := g.Node(CatalogURI(s.cfg.BaseURL)).
		A(vocab.OSLCServiceProviderCatalogClass).
		Add(vocab.DCTermsTitle, xmlText(s.cfg.Title))
	domains := map[string]bool{}
	for i := range s.cfg.Providers {
		p := &s.cfg.Providers[i]
		n.Link(vocab.OSLCServiceProvider, s.uri(p))
		for _, svc := range p.Services {
			if !domains[svc.Domain] {
				domains[svc.Domain] = true
				n.Link(vocab.OSLCDomain, svc.Domain)
			}
		}
	}
	for i := range s.cfg.Providers {
		s.describe(g, &s.cfg.Providers[i])
	}
	return Reply{Graph: Graph(g)}.Write(w, r)
}

// Provider answers with one ServiceProvider.
func (s *Server) Provider(w http.ResponseWriter, r *http.Request, name string) error {
	p, err := s.provider(name)
	if err != nil {
		return err
	}
	g := rdf.NewGraph()
	s.describe(g, p)
	return Reply{Graph: Graph(g)}.Write(w, r)
}

// describe adds a provider: the catalog inlines it too, for clients that look up
// providers by title there (Lyo).
func (s *Server) describe(g *rdf.Graph, p *oslc.ServiceProvider) {
	uri := s.uri(p)
	n := g.Node(uri).
		A(vocab.OSLCServiceProviderClass).
		String(vocab.DCTermsIdentifier, p.Name).
		Add(vocab.DCTermsTitle, xmlText(p.Title)).
		Link(vocab.OSLCDetails, p.Details)
	if p.Description != "" {
		n.Add(vocab.DCTermsDescription, xmlText(p.Description))
	}
	for i, svc := range p.Services {
		b := rdf.NewBlank(fmt.Sprintf("%s.s%d", p.Name, i))
		n.Add(vocab.OSLCService, b)
		sn := g.NodeOf(b).A(vocab.OSLCServiceClass).Link(vocab.OSLCDomain, svc.Domain)
		for j, c := range svc.Collections {
			q := rdf.NewBlank(fmt.Sprintf("%s.s%dq%d", p.Name, i, j))
			sn.Add(vocab.OSLCQueryCapability, q)
			g.NodeOf(q).A(vocab.OSLCQueryCapabilityClass).
				Add(vocab.DCTermsTitle, xmlText(c.Title)).
				Link(vocab.OSLCQueryBase, uri+"/"+c.Kind).
				Link(vocab.OSLCResourceType, c.ResourceTypes...)
		}
	}
	n.Link(vocab.TRSTrackedResourceSet, p.Sets...)
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

// RootServices answers with the Jazz root services document, which IBM's tools
// read first, without logging in (see the OSLC Core primer on rootservices).
func (s *Server) RootServices(w http.ResponseWriter, r *http.Request) error {
	const (
		cm1 = "http://open-services.net/xmlns/cm/1.0/cmServiceProviders"
		jfs = "http://jazz.net/xmlns/prod/jazz/jfs/1.0/"
	)
	catalog := CatalogURI(s.cfg.BaseURL)
	g := rdf.NewGraph()
	// The OAuth addresses must be there even for clients that use Basic: Lyo's
	// helper refuses the document otherwise.
	n := g.Node(s.cfg.BaseURL+"/rootservices").
		String(vocab.DCTermsTitle, s.cfg.Title).
		Link(cm1, catalog).
		Link(vocab.Auto+"autoServiceProviders", catalog).
		Link(jfs+"oauthRequestTokenUrl", s.cfg.BaseURL+"/oauth/request-token").
		Link(jfs+"oauthUserAuthorizationUrl", s.cfg.BaseURL+"/oauth/authorize").
		Link(jfs+"oauthAccessTokenUrl", s.cfg.BaseURL+"/oauth/access-token")
	for i := range s.cfg.Providers {
		p := &s.cfg.Providers[i]
		for j, set := range p.Sets {
			b := rdf.NewBlank(fmt.Sprintf("t%d.%d", i, j))
			n.Add(vocab.TRS+"trackedResourceSetProvider", b)
			t := g.NodeOf(b).A(vocab.TRSTrackedResourceSetClass, vocab.TRS+"TrackedResourceSetProvider").
				Link(vocab.TRSTrackedResourceSet, set).
				String(vocab.DCTermsTitle, p.Title).
				String(vocab.DCTermsDescription, "Changes of "+p.Title)
			for k, svc := range p.Services {
				if k == 0 {
					t.Link(vocab.DCTermsType, svc.Domain)
				}
				t.Link(vocab.OSLCDomain, svc.Domain)
			}
		}
	}
	if a := r.Header.Get("Accept"); a == "" || a == "*/*" {
		r = r.Clone(r.Context())
		r.Header.Set("Accept", "application/rdf+xml")
	}
	return Reply{Graph: Graph(g)}.Write(w, r)
}

// Resource answers with the current state of one resource, 410 with the last
// known state's identity for one that was deleted.
func (s *Server) Resource(w http.ResponseWriter, r *http.Request, uri string) error {
	res, err := s.cfg.Store.Resource(r.Context(), uri)
	if err != nil {
		return err
	}
	if res.Deleted {
		return oslc.Errorf("server.resource", oslc.Gone, "<%s> was deleted on %s", uri, res.Modified.Format("2006-01-02 15:04:05 MST"))
	}
	h := w.Header()
	h.Add("Link", `<http://www.w3.org/ns/ldp#Resource>; rel="type"`)
	h.Set("Last-Modified", res.Modified.UTC().Format(http.TimeFormat))
	return Reply{Tag: res.Revision, Graph: Graph(res.Graph)}.Write(w, r)
}

const (
	defaultPage = 100
	maxPage     = 1000
)

// Collection answers with a provider's resources of one kind, a page at a time,
// each inlined (OSLC Query 3.0, the answer without a condition).
func (s *Server) Collection(w http.ResponseWriter, r *http.Request, name, kind string) error {
	p, err := s.provider(name)
	if err != nil {
		return err
	}
	title := ""
	for _, svc := range p.Services {
		for _, c := range svc.Collections {
			if c.Kind == kind {
				title = c.Title
			}
		}
	}
	if title == "" {
		return oslc.Errorf("server.collection", oslc.NotFound, "%s has no collection %q", name, kind)
	}
	q := r.URL.Query()
	size, err := number(q.Get("oslc.pageSize"), defaultPage, 1, maxPage)
	if err != nil {
		return oslc.E("server.collection", fmt.Errorf("oslc.pageSize: %w", err), oslc.Invalid)
	}
	after, err := number(q.Get("page"), 0, 0, 1<<62)
	if err != nil {
		return oslc.E("server.collection", fmt.Errorf("page: %w", err), oslc.Invalid)
	}
	list, next, err := s.cfg.Store.Resources(r.Context(), name, kind, after, int(size))
	if err != nil {
		return err
	}
	total, err := s.cfg.Store.Count(r.Context(), name, kind)
	if err != nil {
		return err
	}
	base := s.uri(p) + "/" + kind
	g := rdf.NewGraph()
	n := g.Node(base).A(vocab.LDPBasicContainer).String(vocab.DCTermsTitle, title)
	info := g.Node(base+pageQuery(after, size)).A(vocab.OSLCResponseInfo).Int(vocab.OSLCTotalCount, total)
	if next > 0 {
		info.Link(vocab.OSLCNextPage, base+pageQuery(next, size))
		n.Link(vocab.OSLCNextPage, base+pageQuery(next, size))
	}
	for _, res := range list {
		n.Link(vocab.RDFSMember, res.URI)
	}
	for _, res := range list {
		g.AddGraph(relabel(res.Graph, res.Revision))
	}
	return Reply{Graph: Graph(g)}.Write(w, r)
}

func pageQuery(after, size int64) string {
	if after == 0 && size == defaultPage {
		return "?oslc.paging=true"
	}
	return fmt.Sprintf("?oslc.paging=true&oslc.pageSize=%d&page=%d", size, after)
}

func number(s string, def, least, most int64) (int64, error) {
	if s == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q is no number between %d and %d", s, least, most)
	}
	return n, nil
}

// relabel gives the blank nodes of g labels that no other resource in the same
// answer has.
func relabel(g *rdf.Graph, prefix string) *rdf.Graph {
	out := rdf.NewGraph()
	rename := func(t rdf.Term) rdf.Term {
		if t.Kind == rdf.Blank {
			t.Value = prefix + "." + t.Value
		}
		return t
	}
	for t := range g.All() {
		out.AddTriple(rdf.Triple{S: rename(t.S), P: t.P, O: rename(t.O)})
	}
	return out
}
