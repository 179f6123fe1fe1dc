package trs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Config is what a Server needs to know.
type Config struct {
	// BaseURL is the public address of the bus, without a slash at its end.
	BaseURL string
	Store   Store
	// Policy says how large pages are and what is kept; the sets tell it (S29).
	Policy
	// BaseAge is how old a base may be that does not have the newest change; 0 means
	// that every base that is asked for has it. Clients that come within that time
	// share pages.
	BaseAge time.Duration
	// Latency is how soon a change is to be in the change log, as the sets tell it; 0
	// says nothing.
	Latency time.Duration
	// Patches says how resources are answered, and has modifications tell what they did
	// where the Store is a Patcher; nil means that they do not.
	Patches Representation
	// Pages keeps rendered pages on disk; nil means in memory alone.
	Pages Pages
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server answers for the tracked resource sets. Its methods are handlers; the
// host's router calls them with the parts of the path.
type Server struct {
	cfg   Config
	size  int64
	kind  uint64 // of pages: the same orders make others with another
	shelf shelf

	mu    sync.Mutex
	bases map[string]generation
}

// generation is the base that is offered now.
type generation struct {
	at   int64
	mark uint64
	made time.Time
}

// NewServer returns a Server. It does no I/O.
func NewServer(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, size: pageSize(cfg.PageSize), shelf: shelf{disk: cfg.Pages}, bases: map[string]generation{}}
	s.kind = uint64(s.size) * 0x9e3779b97f4a7c15
	if cfg.Patches != nil {
		s.kind ^= cfg.Patches.Version()
	}
	return s
}

func pageSize(n int64) int64 {
	if n <= 0 {
		return DefaultPageSize
	}
	return n
}

const immutable = "private, max-age=31536000, immutable"

// SetURI returns the URI of a set under base.
func SetURI(base, set string) string { return base + "/trs/" + set }

func (s *Server) uri(set string) string { return SetURI(s.cfg.BaseURL, set) }

// name is an order with a mark of the log up to it: it is never given to anything
// else. Pages of another size, and with other patches, are other pages.
func (s *Server) name(order int64, mark uint64) string {
	return fmt.Sprintf("%d.%016x", order, mark^s.kind)
}

// order reads what name wrote; the mark is checked by comparing names.
func order(name string) (int64, bool) {
	text, _, ok := strings.Cut(name, ".")
	n, err := strconv.ParseInt(text, 10, 64)
	return n, ok && err == nil && n >= 0
}

func (s *Server) segmentURI(set, name string) string { return s.uri(set) + "/log/before/" + name }

func (s *Server) pageURI(set, name string, after int64) string {
	return fmt.Sprintf("%s/base/%s/%d", s.uri(set), name, after)
}

// inlineAfter returns the order after which the inline segment begins: it covers
// the page being filled and the one before it, so that a poll right after a cut
// still finds the latest changes inline.
func inlineAfter(newest, size int64) int64 { return max(0, (newest-1)/size-1) * size }

// reply answers with a page that is rendered once. keep says that it is immutable.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, path, tag string, keep bool, build func(format.Format) (g *rdf.Graph, next string, err error)) error {
	reply := server.Reply{Tag: tag}
	if keep {
		reply.CacheControl = immutable
	}
	reply.Rendered = func(f format.Format, gz bool) ([]byte, error) {
		p, err := s.shelf.page(r.Context(), s.key(path, tag, f), keep, func() (*rendered, error) {
			g, next, err := build(f)
			if err != nil {
				return nil, err
			}
			body, err := format.Append(nil, g, f)
			return &rendered{next: next, plain: body}, err
		})
		if err != nil {
			return nil, err
		}
		if p.next != "" {
			w.Header().Add("Link", "<"+p.next+`>; rel="next"`)
		}
		if gz && p.zip != nil {
			return p.zip, nil
		}
		return p.plain, nil
	}
	return reply.Write(w, r)
}

// renderVersion is raised when pages are written in another way.
const renderVersion = "3"

func (s *Server) key(path, tag string, f format.Format) string {
	return renderVersion + " " + s.cfg.BaseURL + path + " " + tag + " " + f.String()
}

// Set answers with the TrackedResourceSet and its newest segment (checks S01 to
// S04 of docs/trs.md).
func (s *Server) Set(w http.ResponseWriter, r *http.Request, set string) error {
	b, err := s.cfg.Store.Bounds(r.Context(), set, Newest)
	if err != nil {
		return err
	}
	after := inlineAfter(b.Newest, s.size)
	tag := s.name(b.Newest, b.Mark) + "." + strconv.FormatInt(b.Oldest, 10) + "." + s.policyTag()
	return s.reply(w, r, "/"+set, tag, false, func(f format.Format) (*rdf.Graph, string, error) {
		changes, err := s.cfg.Store.Changes(r.Context(), set, after, b.Newest)
		if err != nil {
			return nil, "", err
		}
		g := rdf.NewGraph()
		log := rdf.NewBlank("log")
		n := g.Node(s.uri(set)).A(vocab.TRSTrackedResourceSetClass).
			Link(vocab.TRSBase, s.uri(set)+"/base").
			Add(vocab.TRSChangeLog, log)
		s.tell(n, b)
		return g, "", s.segment(r.Context(), g, log, f, set, changes, after, b)
	})
}

// policyTag changes with the figures that a set tells.
func (s *Server) policyTag() string {
	return fmt.Sprintf("%x.%x.%x.%x", s.cfg.BaseAge, s.cfg.Keep, s.cfg.KeepChanges, s.cfg.Latency)
}

const xsdDuration = "http://www.w3.org/2001/XMLSchema#duration"

// tell adds the quality of service (S29) and the epoch.
func (s *Server) tell(n rdf.Node, b Bounds) {
	n.Int(vocab.BusPageSize, s.size)
	for p, d := range map[string]time.Duration{vocab.BusBaseAge: s.cfg.BaseAge, vocab.BusKeepsFor: s.cfg.Keep, vocab.BusLatency: s.cfg.Latency} {
		if d > 0 || p == vocab.BusBaseAge {
			n.Add(p, rdf.Typed(duration(d), xsdDuration))
		}
	}
	if s.cfg.KeepChanges > 0 {
		n.Int(vocab.BusKeepsChanges, s.cfg.KeepChanges)
	}
	if b.Epoch != "" {
		n.Link(vocab.BusEpoch, "urn:uuid:"+b.Epoch)
	}
}

// segment adds a segment and its events, and the link to the one before.
func (s *Server) segment(ctx context.Context, g *rdf.Graph, log rdf.Term, f format.Format, set string, changes []Change, after int64, b Bounds) error {
	n := g.NodeOf(log).A(vocab.TRSChangeLogClass)
	edits, err := s.patches(ctx, set, after, after+2*s.size)
	if err != nil {
		return err
	}
	room := patchesInSegment
	for _, c := range changes {
		n.Link(vocab.TRSChange, "urn:uuid:"+c.Event)
		e := g.Node("urn:uuid:"+c.Event).A(c.Kind.IRI()).
			Link(vocab.TRSChanged, c.Changed).
			Int(vocab.TRSOrder, c.Order).
			Time(vocab.DCTermsCreated, c.Time)
		s.addPatch(e, c, edits[c.Order], f, &room)
	}
	if after < b.Oldest || b.Oldest == 0 {
		return nil
	}
	before, err := s.cfg.Store.Bounds(ctx, set, after)
	if err != nil || before.Newest == 0 { // cut off meanwhile
		return err
	}
	n.Link(vocab.TRSPrevious, s.segmentURI(set, s.name(after+1, before.Mark)))
	return nil
}

// Segment answers with the older segment of the changes with an order less than
// the one in name, which is one more than a multiple of the page size.
func (s *Server) Segment(w http.ResponseWriter, r *http.Request, set, name string) error {
	return whole(func() error { return s.older(w, r, set, name) })
}

func (s *Server) older(w http.ResponseWriter, r *http.Request, set, name string) error {
	const op = "trs.segment"
	b, err := s.cfg.Store.Bounds(r.Context(), set, Newest)
	if err != nil {
		return err
	}
	n, ok := order(name)
	if !ok || n <= 1 || (n-1)%s.size != 0 || n-1 > inlineAfter(b.Newest, s.size) {
		return oslc.Errorf(op, oslc.NotFound, "no segment before %q in this change log", name)
	}
	upTo := n - 1
	after := upTo - s.size
	if b.Cut >= upTo {
		return oslc.Errorf(op, oslc.Gone, "the changes before order %d are not kept any more; the oldest is %d", n, b.Oldest)
	}
	// A segment is complete when it appears and changes only when the one before it
	// is cut off.
	tag := fmt.Sprintf("%s.%d.%t", name, max(b.Oldest, after+1), after >= b.Oldest)
	path := "/" + set + "/log/" + name
	if err := s.known(path, tag, func() error { return s.checkMark(r.Context(), op, set, name, upTo, n) }); err != nil {
		return err
	}
	return s.reply(w, r, path, tag, true, func(f format.Format) (*rdf.Graph, string, error) {
		changes, err := s.cfg.Store.Changes(r.Context(), set, after, upTo)
		if err != nil {
			return nil, "", err
		}
		g := rdf.NewGraph()
		if err := s.segment(r.Context(), g, rdf.NewIRI(s.segmentURI(set, name)), f, set, changes, after, b); err != nil {
			return nil, "", err
		}
		return g, "", s.uncut(r.Context(), set, b)
	})
}

// uncut fails when the log was truncated since b was read: what was rendered
// meanwhile may lack what its tag promises.
func (s *Server) uncut(ctx context.Context, set string, b Bounds) error {
	now, err := s.cfg.Store.Bounds(ctx, set, Newest)
	if err == nil && now.Cut != b.Cut {
		err = oslc.E("trs.page", errCut, oslc.Unavailable)
	}
	return err
}

var errCut = errors.New("the change log was truncated meanwhile; ask again")

// whole answers again while the log is truncated in the middle of it.
func whole(answer func() error) error {
	for try := 1; ; try++ {
		if err := answer(); try == 5 || !errors.Is(err, errCut) {
			return err
		}
	}
}

// known runs check unless the page is in memory, and so was checked before.
func (s *Server) known(path, tag string, check func() error) error {
	for _, f := range format.All() {
		if s.shelf.get(s.key(path, tag, f)) != nil {
			return nil
		}
	}
	return check()
}

// checkMark refuses a name that has the mark of another history.
func (s *Server) checkMark(ctx context.Context, op, set, name string, upTo, n int64) error {
	at, err := s.cfg.Store.Bounds(ctx, set, upTo)
	if err != nil {
		return err
	}
	if at.Newest == 0 || s.name(n, at.Mark) != name {
		return oslc.Errorf(op, oslc.NotFound, "%q is of another history: the log was restored or made anew, or pages have another size; begin at %s", name, s.uri(set))
	}
	return nil
}

// Base redirects to the first page of the base that is offered now (TRS 3.0,
// TRS-28): of the one before until BaseAge is over, or else of one that is cut off
// at the newest change.
func (s *Server) Base(w http.ResponseWriter, r *http.Request, set string) error {
	b, err := s.cfg.Store.Bounds(r.Context(), set, Newest)
	if err != nil {
		return err
	}
	s.mu.Lock()
	g, ok := s.bases[set]
	// The empty base names no cutoff, which some clients never get over.
	if !ok || g.at == 0 || g.at != b.Newest && (s.cfg.Now().Sub(g.made) >= s.cfg.BaseAge || g.at <= b.Cut) {
		g = generation{b.Newest, b.Mark, s.cfg.Now()}
		s.bases[set] = g
	}
	s.mu.Unlock()
	h := w.Header()
	h.Set("Location", s.pageURI(set, s.name(g.at, g.mark), 0))
	h.Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// BasePage answers with the members after one page's last, of the base that is
// cut off at the order in name. It says the same in the terms of TRS 3.0 (Link
// headers, ldp:member) and in those that older readers look for (ldp:Page with
// ldp:nextPage, rdfs:member, ldp:Container).
func (s *Server) BasePage(w http.ResponseWriter, r *http.Request, set, name, page string) error {
	return whole(func() error { return s.onePage(w, r, set, name, page) })
}

func (s *Server) onePage(w http.ResponseWriter, r *http.Request, set, name, page string) error {
	const op = "trs.base"
	b, err := s.cfg.Store.Bounds(r.Context(), set, Newest)
	if err != nil {
		return err
	}
	at, ok := order(name)
	after, err := strconv.ParseInt(page, 10, 64)
	if !ok || err != nil || after < 0 || at > b.Newest || after >= at && after > 0 || strconv.FormatInt(after, 10) != page {
		return oslc.Errorf(op, oslc.NotFound, "no page %q of a base cut off at %q", page, name)
	}
	if b.Cut > 0 && at <= b.Cut {
		return oslc.Errorf(op, oslc.Gone, "the base cut off at %d has expired; ask for %s/base again", at, s.uri(set))
	}
	path, tag := "/"+set+"/base/"+name+"/"+page, name+"."+page
	cutoff := rdf.Nil
	err = s.known(path, tag, func() error {
		if at == 0 {
			if s.name(0, 0) != name {
				return oslc.Errorf(op, oslc.NotFound, "no base is called %q", name)
			}
			return nil
		}
		is, err := s.cfg.Store.Bounds(r.Context(), set, at)
		switch {
		case err != nil:
			return err
		case is.Newest != at:
			return oslc.Errorf(op, oslc.NotFound, "no change has order %d", at)
		}
		cutoff = "urn:uuid:" + is.Event
		return s.checkMark(r.Context(), op, set, name, at, at)
	})
	if err != nil {
		return err
	}
	w.Header().Set("Link", "<"+vocab.LDPPage+`>; rel="type"`)
	return s.reply(w, r, path, tag, true, func(format.Format) (*rdf.Graph, string, error) {
		if at > 0 && cutoff == rdf.Nil { // known in another syntax
			is, err := s.cfg.Store.Bounds(r.Context(), set, at)
			if err != nil {
				return nil, "", err
			}
			cutoff = "urn:uuid:" + is.Event
		}
		g, next, err := s.basePage(r.Context(), set, name, cutoff, at, after)
		if err == nil {
			err = s.uncut(r.Context(), set, b)
		}
		return g, next, err
	})
}

func (s *Server) basePage(ctx context.Context, set, name, cutoff string, at, after int64) (g *rdf.Graph, next string, err error) {
	members, err := s.cfg.Store.Members(ctx, set, at, after, int(s.size)+1)
	if err != nil {
		return nil, "", err
	}
	if after > 0 && len(members) == 0 {
		return nil, "", oslc.Errorf("trs.base", oslc.NotFound, "the base cut off at %d has no page after %d", at, after)
	}
	if len(members) > int(s.size) {
		members = members[:s.size]
		next = s.pageURI(set, name, members[len(members)-1].Since)
	}
	base := s.uri(set) + "/base"
	g = rdf.NewGraph()
	n := g.Node(base).
		A(vocab.TRSBaseClass, vocab.LDPDirectContainer, vocab.LDPContainer).
		Link(vocab.TRSCutoffEvent, cutoff).
		Link(vocab.LDPMembershipResource, base).
		Link(vocab.LDPHasMemberRelation, vocab.LDPMember)
	for _, m := range members {
		n.Link(vocab.LDPMember, m.URI).Link(vocab.RDFSMember, m.URI)
	}
	page := g.Node(s.pageURI(set, name, after)).A(vocab.LDPPage).Link(vocab.LDPPageOf, base)
	if next == "" {
		page.Link(vocab.LDPNextPage, rdf.Nil)
	} else {
		page.Link(vocab.LDPNextPage, next)
	}
	return g, next, nil
}
