package server

import (
	"net/http"
	"slices"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// wantsCancel reports whether a node wants to reach the state canceled.
func wantsCancel(g *rdf.Graph, node rdf.Term) bool {
	return slices.Contains(g.Objects(node, vocab.AutoDesiredState), rdf.NewIRI(vocab.AutoCanceled))
}

// cancel takes what is put to a request. The only thing that a client can change there
// is the state that it desires, and the only state to desire is canceled (OSLC
// Automation 2.1, oslc_auto:desiredState); the rest of the body is what the client has
// read, and does not count. If-Match is looked at where it is sent: a request gets on by
// itself, so the tag that a client knows may be old while its wish is as good as before.
func (s *Server) cancel(w http.ResponseWriter, r *http.Request, c *collection, uri string) error {
	if _, ok := negotiate(r); !ok {
		return errNotAcceptable
	}
	q, err := query.Parse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if q.Properties != nil {
		only, plain := properties(q.Properties)
		if !plain || len(only) != 1 || !only[vocab.AutoDesiredState] {
			return oslc.Errorf("server.cancel", oslc.Invalid, "of a request only oslc_auto:desiredState can be changed")
		}
	}
	g, err := s.body(w, r, uri)
	if err != nil {
		return err
	}
	node := rdf.NewIRI(uri)
	if m := rdf.NewIRI(s.cfg.BaseURL + r.URL.EscapedPath()); len(g.Objects(node, vocab.AutoDesiredState)) == 0 {
		node = m // under an alias of its URI
	}
	if !wantsCancel(g, node) {
		return oslc.Errorf("server.cancel", oslc.Invalid,
			"nothing to do: of a request only oslc_auto:desiredState can be changed, and only to oslc_auto:canceled")
	}
	res, err := s.present(r, uri)
	if err != nil {
		return err
	}
	if err := s.precondition(r, res, false); err != nil {
		return err
	}
	req, done, err := s.cfg.Asker.Cancel(r.Context(), uri, s.cfg.User(r.Context()), preferred(r))
	if err != nil {
		return err
	}
	status := http.StatusAccepted
	if done {
		status = http.StatusOK
	}
	w.Header().Set("Location", uri)
	return Reply{Graph: Graph(c.decorate(req.Graph(), uri)), Status: status, CacheControl: "no-store"}.Write(w, r)
}
