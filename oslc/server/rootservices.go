package server

import (
	"fmt"
	"net/http"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// The namespaces of the Jazz root services document.
const (
	jfs     = "http://jazz.net/xmlns/prod/jazz/jfs/1.0/"
	cm1     = "http://open-services.net/xmlns/cm/1.0/"
	trsRoot = vocab.Bus + "trackedResourceSetProvider"
)

// RootServices answers with the Jazz root services document, which IBM's tools
// read first, without logging in. Without a wish of the client it is RDF/XML.
func (s *Server) RootServices(w http.ResponseWriter, r *http.Request) error {
	catalog := CatalogURI(s.cfg.BaseURL)
	g := rdf.NewGraph()
	// The OAuth addresses must be there even for clients that use Basic: Lyo's
	// helper refuses the document otherwise. Config is Change Management's newer
	// namespace, the other is what Jazz applications look for.
	n := g.Node(s.cfg.BaseURL+"/rootservices").
		String(vocab.DCTermsTitle, s.cfg.Title).
		Link(cm1+"cmServiceProviders", catalog).
		Link(vocab.CM+"cmServiceProviders", catalog).
		Link(vocab.Auto+"autoServiceProviders", catalog).
		String(jfs+"oauthRealmName", "oslcbus").
		String(jfs+"oauthDomain", s.cfg.BaseURL+"/").
		Link(jfs+"oauthRequestTokenUrl", s.cfg.BaseURL+"/oauth/request-token").
		Link(jfs+"oauthUserAuthorizationUrl", s.cfg.BaseURL+"/oauth/authorize").
		Link(jfs+"oauthAccessTokenUrl", s.cfg.BaseURL+"/oauth/access-token")
	for i := range s.cfg.Providers {
		p := &s.cfg.Providers[i]
		for j, set := range p.Sets {
			b := rdf.NewBlank(fmt.Sprintf("t%d.%d", i, j))
			n.Add(trsRoot, b)
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

// OAuth answers at the addresses that RootServices names: there is no OAuth 1.0a
// here, and a client that tries learns what there is.
func (s *Server) OAuth(http.ResponseWriter, *http.Request) error {
	return Statusf(http.StatusNotImplemented, "OAuth 1.0a is not offered; send Authorization: Basic with a user, or Bearer with an API token")
}
