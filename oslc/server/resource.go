package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// target finds the collection of a resource and its URI; id is the last segment as
// the request has it, percent-encoded.
func (s *Server) target(name, kind, id string) (*collection, string, error) {
	c, err := s.collection(name, kind)
	if err != nil {
		return nil, "", err
	}
	// The URIs on the log are encoded in one way; a client may have another.
	plain, err := url.PathUnescape(id)
	if err != nil {
		return nil, "", oslc.Errorf("server.resource", oslc.NotFound, "%q is not percent-encoded as it should be", id)
	}
	return c, oslc.ResourceURI(s.cfg.BaseURL, name, kind, plain), nil
}

// Resource answers for one resource: GET, PUT and DELETE, and OPTIONS with what of
// that there is.
func (s *Server) Resource(w http.ResponseWriter, r *http.Request, name, kind, id string) error {
	c, uri, err := s.target(name, kind, id)
	if err != nil {
		return err
	}
	methods := []string{http.MethodGet}
	if c.writer != nil {
		methods = append(methods, http.MethodPut, http.MethodDelete)
	}
	if c.asks {
		methods = append(methods, http.MethodPut)
	}
	if answered, err := Allow(w, r, methods...); answered || err != nil {
		return err
	}
	switch {
	case r.Method == http.MethodPut && c.asks:
		return s.cancel(w, r, c, uri)
	case r.Method == http.MethodPut:
		return s.update(w, r, c, uri)
	case r.Method == http.MethodDelete:
		return s.remove(w, r, c, uri)
	}
	res, err := s.present(r, uri)
	if err != nil {
		return err
	}
	vary(w.Header(), "Prefer")
	if wantsCompactXML(r) {
		return s.compact(w, r, c, res)
	}
	s.headers(w.Header(), c, res)
	if prefers(r, preferCompact) {
		w.Header().Set("Preference-Applied", "return=representation")
		if wantsJSON(r) {
			return s.compactJSON(w, r, c, res, true)
		}
	}
	q, err := query.Parse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	old := wantsOldVersion(r)
	reply := Reply{Tag: res.Revision, Graph: func() (*rdf.Graph, error) {
		g := c.decorate(res.Graph, uri)
		s.offer(g, c, uri, !old)
		if old {
			g = expressible(g)
		}
		if q.Properties != nil {
			g = selected(g, rdf.NewIRI(uri), q.Properties)
		}
		if prefers(r, preferCompact) {
			g.Node(uri).Link(vocab.OSLCCompact, uri+"/compact")
			s.addCompact(g, rdf.NewIRI(uri+"/compact"), c, res)
		}
		return g, nil
	}}
	reply.Tag += s.variant(q.Properties, prefers(r, preferCompact), old)
	return reply.Write(w, r)
}

// present returns a resource that is there. It fails with kind Gone for one that
// was deleted.
func (s *Server) present(r *http.Request, uri string) (Resource, error) {
	res, err := s.current(r.Context(), uri)
	if err == nil && res.Deleted {
		err = oslc.Errorf("server.resource", oslc.Gone, "<%s> was deleted on %s", uri, res.Modified.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	return res, err
}

// headers are those of every good answer about a resource.
func (s *Server) headers(h http.Header, c *collection, res Resource) {
	h.Add("Link", link(vocab.LDP+"Resource", "type"))
	h.Add("Link", link(res.URI+"/compact", vocab.OSLCCompact))
	c.constrained(h)
	if !res.Modified.IsZero() {
		h.Set("Last-Modified", res.Modified.UTC().Format(http.TimeFormat))
	}
}

// variant is the part of an entity tag that tells selections of one state apart; the
// part before the plus sign stays the state's, so that what was read in part can be
// changed with the same tag. What actions there are decides on what clients of version
// 2.0 get.
func (s *Server) variant(properties query.Selection, compact, old bool) string {
	if properties == nil && !compact && !old {
		return ""
	}
	sum := sha256.Sum256(fmt.Append(nil, properties, compact, old, s.offersSum))
	return "+" + hex.EncodeToString(sum[:4])
}

// revisionOf returns the revision that an entity tag of ours stands for, whatever
// the syntax and the selection it was given out with. A weak tag stands for none:
// If-Match compares strongly (RFC 9110, 13.1.1).
func revisionOf(tag string) string {
	tag = strings.TrimSpace(tag)
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return ""
	}
	tag = tag[1 : len(tag)-1]
	if i := strings.LastIndexByte(tag, '-'); i >= 0 {
		tag = tag[:i]
	}
	rev, _, _ := strings.Cut(tag, "+")
	return rev
}

// precondition holds If-Match against the current state. required refuses a request
// without it (CORE-17); a stale one is status 412 (CORE-18).
func (s *Server) precondition(r *http.Request, res Resource, required bool) error {
	header := strings.Join(r.Header.Values("If-Match"), ",")
	if header == "" {
		if required {
			return oslc.Errorf("server.precondition", oslc.Invalid, "If-Match is missing: send the ETag of the state that you change")
		}
		return nil
	}
	for tag := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(tag) == "*" {
			return nil
		}
		rev := revisionOf(tag)
		if rev != "" && (rev == res.Revision || s.recent.names(res.URI, rev, res.Revision)) {
			return nil
		}
	}
	return &StatusError{http.StatusPreconditionFailed, oslc.Errorf("server.precondition", oslc.Conflict,
		"the resource is not what it was when you read it; fetch it again")}
}
