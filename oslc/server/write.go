package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// writeWithin bounds what a tool may take for a write. It goes on when the client
// gives up: nobody would know otherwise what became of it.
const writeWithin = 60 * time.Second

func writing(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), writeWithin)
}

// locks keep two writes of one resource apart in this process, so that the
// comparison with the state that the client knows and the write are one.
type locks [64]chan struct{}

func newLocks() *locks {
	var l locks
	for i := range l {
		l[i] = make(chan struct{}, 1)
	}
	return &l
}

func (l *locks) lock(ctx context.Context, uri string) (unlock func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uri)) // cannot fail
	c := l[h.Sum32()%uint32(len(l))]
	select {
	case c <- struct{}{}:
		return func() { <-c }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// create makes a resource of what is posted to a creation factory.
func (s *Server) create(w http.ResponseWriter, r *http.Request, c *collection) error {
	if _, ok := negotiate(r); !ok {
		return errNotAcceptable
	}
	g, err := s.body(w, r, c.uri)
	if err != nil {
		return err
	}
	node, err := posted(g, c.uri, c.ResourceTypes)
	if err != nil {
		return err
	}
	res, m, err := s.make(r, c, g, node)
	if err != nil {
		return err
	}
	h := w.Header()
	m.warn(w)
	for _, name := range []string{"Link", "Accept-Post"} {
		h.Del(name) // they were about the collection
	}
	h.Set("Location", res.URI)
	h.Add("Link", link(res.URI+"/compact", vocab.OSLCCompact)+`; anchor="`+res.URI+`"`)
	c.constrained(h)
	return Reply{Tag: res.Revision, Status: http.StatusCreated, Graph: Graph(c.decorate(res.Graph, res.URI))}.Write(w, r)
}

// make has a tool create the resource that node of g stands for.
func (s *Server) make(r *http.Request, c *collection, g *rdf.Graph, node rdf.Term) (Resource, *merge, error) {
	m := &merge{c: c, body: g, node: node, subject: node}
	if err := m.run(); err != nil {
		return Resource{}, nil, err
	}
	for _, class := range c.ResourceTypes {
		m.after.Add(node, rdf.Type, rdf.NewIRI(class))
	}
	c.defaults(m.after, node)
	if err := m.check(); err != nil {
		return Resource{}, nil, err
	}
	ctx, cancel := writing(r)
	defer cancel()
	at := s.cfg.Now()
	done, err := c.writer.Create(ctx, oslc.Write{
		Collection: c.Kind, After: m.after, Subject: node, User: s.cfg.User(r.Context()),
	})
	if err != nil {
		return Resource{}, nil, err
	}
	return s.wrote(c, done, nil, m.changed, at), m, nil
}

// defaults gives a new resource the values that its shape has for what is left out.
func (c *collection) defaults(g *rdf.Graph, node rdf.Term) {
	if c.Shape == nil {
		return
	}
	for i := range c.Shape.Properties {
		p := &c.Shape.Properties[i]
		if !p.Default.IsZero() && !p.ReadOnly && g.Object(node, p.Definition).IsZero() {
			g.Add(node, p.Definition, p.Default)
		}
	}
}

// update changes a resource to what is put (PUT, or the 2.0 way of a partial one
// with oslc.properties).
func (s *Server) update(w http.ResponseWriter, r *http.Request, c *collection, uri string) error {
	if _, ok := negotiate(r); !ok {
		return errNotAcceptable
	}
	q, err := query.Parse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	var only map[string]bool
	if q.Properties != nil {
		var ok bool
		if only, ok = properties(q.Properties); !ok {
			return oslc.Errorf("server.update", oslc.Unsupported, "a partial update names properties of the resource itself, one by one")
		}
	}
	g, err := s.body(w, r, uri)
	if err != nil {
		return err
	}
	node := rdf.NewIRI(uri)
	if m := s.cfg.BaseURL + r.URL.EscapedPath(); m != uri {
		for range g.About(rdf.NewIRI(m)) {
			node = rdf.NewIRI(m) // under an alias of its URI
			break
		}
	}
	described := only != nil // a partial update may clear all that it names
	for range g.About(node) {
		described = true
		break
	}
	if !described {
		return oslc.Errorf("server.update", oslc.Invalid, "the body says nothing about <%s>", uri)
	}
	unlock, err := s.locks.lock(r.Context(), uri)
	if err != nil {
		return err
	}
	defer unlock()
	res, err := s.present(r, uri)
	if err != nil {
		return err
	}
	if err := s.precondition(r, res, true); err != nil {
		return err
	}
	m := &merge{c: c, before: c.decorate(res.Graph, uri), body: g, node: node, subject: rdf.NewIRI(uri), only: only}
	c.constrained(w.Header())
	if err := m.run(); err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return err
	}
	if len(m.changed) > 0 {
		ctx, cancel := writing(r)
		defer cancel()
		at := s.cfg.Now()
		done, err := c.writer.Update(ctx, oslc.Write{
			Collection: c.Kind, URI: uri, Before: m.before, After: m.after, Subject: m.subject, User: s.cfg.User(r.Context()),
		})
		if err != nil {
			return err
		}
		res = s.wrote(c, done, &res, m.changed, at)
	}
	m.warn(w)
	w.Header().Del("Link")
	s.headers(w.Header(), c, res)
	return Reply{Tag: res.Revision, Graph: Graph(c.decorate(res.Graph, uri))}.Write(w, r)
}

// remove deletes a resource. If-Match is looked at where it is sent: Lyo's client
// has no way to send it.
func (s *Server) remove(w http.ResponseWriter, r *http.Request, c *collection, uri string) error {
	unlock, err := s.locks.lock(r.Context(), uri)
	if err != nil {
		return err
	}
	defer unlock()
	res, err := s.present(r, uri)
	if err != nil {
		return err
	}
	if err := s.precondition(r, res, false); err != nil {
		return err
	}
	ask := oslc.Write{Collection: c.Kind, URI: uri, Subject: rdf.NewIRI(uri), User: s.cfg.User(r.Context())}
	if r.Header.Get("If-Match") != "" {
		ask.Before = c.decorate(res.Graph, uri)
	}
	ctx, cancel := writing(r)
	defer cancel()
	at := s.cfg.Now()
	if err := c.writer.Delete(ctx, ask); err != nil {
		return err
	}
	s.recent.add(&written{collection: c, uri: uri, graph: res.Graph, deleted: true, tag: newTag(), at: at, modified: at, before: res.Revision})
	w.Header().Set(versionHeader, coreVersion(r))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// wrote notes what a tool has made, for those who read before the store knows it.
func (s *Server) wrote(c *collection, done oslc.Written, was *Resource, changed []string, at time.Time) Resource {
	wr := &written{collection: c, uri: done.URI, graph: done.Graph, tag: newTag(), at: at, changed: changed}
	if was != nil {
		wr.before = was.Revision
		if !at.After(was.Modified) { // of another clock
			at = was.Modified.Add(time.Millisecond)
		}
	}
	n := rdf.NewIRI(done.URI)
	if done.Graph.Object(n, vocab.DCTermsModified).IsZero() {
		wr.graph = rdf.NewGraph()
		wr.graph.AddGraph(done.Graph)
		wr.graph.Node(done.URI).Time(vocab.DCTermsModified, at)
	}
	wr.modified = at
	s.recent.add(wr)
	return wr.resource()
}

// newTag names a state that only this process knows so far.
func newTag() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "w" + strings.ToLower(hex.EncodeToString(b[:]))
}
