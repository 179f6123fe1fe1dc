package trs

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Config is what a Server needs to know.
type Config struct {
	// BaseURL is the public address of the bus, without a slash at its end.
	BaseURL string
	Store   Store
	// PageSize is how many orders a segment and how many members a page of the
	// base has; 0 means DefaultPageSize.
	PageSize int64
}

// Server answers for the tracked resource sets. Its methods are handlers; the
// host's router calls them with the parts of the path.
type Server struct {
	cfg  Config
	size int64
}

// NewServer returns a Server. It does no I/O.
func NewServer(cfg Config) *Server {
	s := &Server{cfg: cfg, size: cfg.PageSize}
	if s.size <= 0 {
		s.size = DefaultPageSize
	}
	return s
}

const immutable = "private, max-age=31536000, immutable"

// SetURI returns the URI of a set under base.
func SetURI(base, set string) string { return base + "/trs/" + set }

func (s *Server) uri(set string) string { return SetURI(s.cfg.BaseURL, set) }

func (s *Server) segmentURI(set string, before int64) string {
	return fmt.Sprintf("%s/log/before/%d", s.uri(set), before)
}

func (s *Server) pageURI(set string, at, after int64) string {
	return fmt.Sprintf("%s/base/%d/%d", s.uri(set), at, after)
}

// inlineAfter returns the order after which the inline segment begins: it covers
// the page being filled and the one before it, so that a poll right after a cut
// still finds the latest changes inline.
func (s *Server) inlineAfter(newest int64) int64 {
	return max(0, (newest-1)/s.size-1) * s.size
}

// Set answers with the TrackedResourceSet and its newest segment (checks S01 to
// S04 of the tests).
func (s *Server) Set(w http.ResponseWriter, r *http.Request, set string) error {
	b, err := s.cfg.Store.Bounds(r.Context(), set)
	if err != nil {
		return err
	}
	after := s.inlineAfter(b.Newest)
	return server.Reply{
		Tag: fmt.Sprintf("%d.%d.%s", b.Newest, b.Oldest, short(b.Event)),
		Graph: func() (*rdf.Graph, error) {
			changes, err := s.cfg.Store.Changes(r.Context(), set, after, b.Newest)
			if err != nil {
				return nil, err
			}
			g := rdf.NewGraph()
			log := rdf.NewBlank("log")
			g.Node(s.uri(set)).A(vocab.TRSTrackedResourceSetClass).
				Link(vocab.TRSBase, s.uri(set)+"/base").
				Add(vocab.TRSChangeLog, log)
			s.segment(g, log, set, changes, after, b)
			return g, nil
		},
	}.Write(w, r)
}

// short is enough of an event's id to tell two logs with equal orders apart.
func short(id string) string { return id[:min(8, len(id))] }

func (s *Server) segment(g *rdf.Graph, log rdf.Term, set string, changes []Change, after int64, b Bounds) {
	n := g.NodeOf(log).A(vocab.TRSChangeLogClass)
	for _, c := range changes {
		n.Link(vocab.TRSChange, "urn:uuid:"+c.Event)
		g.Node("urn:uuid:"+c.Event).A(c.Kind.IRI()).
			Link(vocab.TRSChanged, c.Changed).
			Int(vocab.TRSOrder, c.Order).
			Time(vocab.DCTermsCreated, c.Time)
	}
	if after >= b.Oldest && b.Oldest > 0 {
		n.Link(vocab.TRSPrevious, s.segmentURI(set, after+1))
	}
}

// Segment answers with the older segment of the changes with an order less than
// before, which must be one more than a multiple of the page size.
func (s *Server) Segment(w http.ResponseWriter, r *http.Request, set, before string) error {
	b, err := s.cfg.Store.Bounds(r.Context(), set)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(before, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != before || n <= 1 || (n-1)%s.size != 0 ||
		n-1 > s.inlineAfter(b.Newest) {
		return oslc.Errorf("trs.segment", oslc.NotFound, "no segment before order %q in this change log", before)
	}
	upTo := n - 1
	after := upTo - s.size
	switch {
	case b.Cut >= upTo:
		return oslc.Errorf("trs.segment", oslc.Gone, "the changes before order %d are not kept any more; the oldest is %d", n, b.Oldest)
	case b.Oldest > upTo:
		return oslc.Errorf("trs.segment", oslc.NotFound, "no change has an order below %d", n)
	}
	return server.Reply{
		// A segment is complete when it appears and changes only if its tail, or
		// the one before it, is cut off.
		Tag:          fmt.Sprintf("%d.%d.%t", n, max(b.Oldest, after+1), after >= b.Oldest),
		CacheControl: immutable,
		Graph: func() (*rdf.Graph, error) {
			changes, err := s.cfg.Store.Changes(r.Context(), set, after, upTo)
			if err != nil {
				return nil, err
			}
			g := rdf.NewGraph()
			s.segment(g, rdf.NewIRI(s.segmentURI(set, n)), set, changes, after, b)
			return g, nil
		},
	}.Write(w, r)
}

// Base redirects to the first page of a base that is cut off at the newest
// change (TRS 3.0, TRS-28).
func (s *Server) Base(w http.ResponseWriter, r *http.Request, set string) error {
	b, err := s.cfg.Store.Bounds(r.Context(), set)
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.pageURI(set, b.Newest, 0))
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// BasePage answers with the members after one page's last, of the base that is
// cut off at an order. It says the same in the terms of TRS 3.0 (Link headers,
// ldp:member) and in those that older readers look for (ldp:Page with
// ldp:nextPage, rdfs:member, ldp:Container).
func (s *Server) BasePage(w http.ResponseWriter, r *http.Request, set, cutoff, page string) error {
	const op = "trs.base"
	ctx := r.Context()
	b, err := s.cfg.Store.Bounds(ctx, set)
	if err != nil {
		return err
	}
	at, err1 := strconv.ParseInt(cutoff, 10, 64)
	after, err2 := strconv.ParseInt(page, 10, 64)
	if err1 != nil || err2 != nil || at < 0 || after < 0 || at > b.Newest || (after >= at && after > 0) {
		return oslc.Errorf(op, oslc.NotFound, "no page %q of a base cut off at %q", page, cutoff)
	}
	cutoffEvent, err := s.cutoff(r, set, at, b)
	if err != nil {
		return err
	}
	members, err := s.cfg.Store.Members(ctx, set, at, after, int(s.size)+1)
	if err != nil {
		return err
	}
	if after > 0 && len(members) == 0 {
		return oslc.Errorf(op, oslc.NotFound, "the base cut off at %d has no page after %d", at, after)
	}
	next := rdf.Nil
	if len(members) > int(s.size) {
		members = members[:s.size]
		next = s.pageURI(set, at, members[len(members)-1].Since)
		w.Header().Add("Link", "<"+next+`>; rel="next"`)
	}
	w.Header().Add("Link", "<"+vocab.LDPPage+`>; rel="type"`)
	g := rdf.NewGraph()
	n := g.Node(s.uri(set)+"/base").
		A(vocab.TRSBaseClass, vocab.LDPDirectContainer, vocab.LDPContainer).
		Link(vocab.TRSCutoffEvent, cutoffEvent).
		Link(vocab.LDPMembershipResource, s.uri(set)+"/base").
		Link(vocab.LDPHasMemberRelation, vocab.LDPMember)
	for _, m := range members {
		n.Link(vocab.LDPMember, m.URI).Link(vocab.RDFSMember, m.URI)
	}
	g.Node(s.pageURI(set, at, after)).A(vocab.LDPPage).
		Link(vocab.LDPPageOf, s.uri(set)+"/base").
		Link(vocab.LDPNextPage, next)
	return server.Reply{
		Tag:          fmt.Sprintf("%d.%d.%s", at, after, short(cutoffEvent[len(cutoffEvent)-12:])),
		CacheControl: immutable,
		Graph:        server.Graph(g),
	}.Write(w, r)
}

// cutoff returns the URI of the change at the order, rdf:nil for order 0. A base
// whose cutoff is not in the log any more is of no use to a client (S11).
func (s *Server) cutoff(r *http.Request, set string, at int64, b Bounds) (string, error) {
	if at == 0 {
		if b.Cut > 0 {
			return "", oslc.Errorf("trs.base", oslc.Gone, "the change log does not reach back to the beginning any more")
		}
		return rdf.Nil, nil
	}
	changes, err := s.cfg.Store.Changes(r.Context(), set, at-1, at)
	if err != nil {
		return "", err
	}
	switch {
	case len(changes) == 1:
		return "urn:uuid:" + changes[0].Event, nil
	case at <= b.Cut:
		return "", oslc.Errorf("trs.base", oslc.Gone, "the base cut off at %d has expired; ask for %s/base again", at, s.uri(set))
	}
	return "", oslc.Errorf("trs.base", oslc.NotFound, "no change has order %d", at)
}
