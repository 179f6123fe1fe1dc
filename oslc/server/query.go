package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	// wantedPage is how many members a page has for a client that asks for pages
	// and not for a size. One that says nothing gets maxPage.
	wantedPage = 100
	// maxUnpaged is how many members one answer has for a client that refuses pages.
	maxUnpaged = 10_000
	// maxForm bounds the body of a query, in bytes.
	maxForm = 1 << 20
	// maxFollowed is how many other resources one answer selects properties of.
	maxFollowed = 5_000
	// maxNextURI is how long the address of a next page may be that holds all
	// conditions; those of a longer one are in oslc:postBody alone.
	maxNextURI = 4_000
)

// list answers a query (OSLC Query 3.0) with a page of members. The container is the
// query base as it is advertised, whatever the request's parameters, and the members
// hang on it by rdfs:member.
func (s *Server) list(w http.ResponseWriter, r *http.Request, c *collection) error {
	form := ""
	if r.Method == http.MethodPost {
		body := *r
		body.Body = http.MaxBytesReader(w, r.Body, maxForm)
		data, err := readAll(w, &body)
		if err != nil {
			return err
		}
		form = string(data)
	}
	q, err := query.Parse(joined(r.URL.RawQuery, form))
	if err != nil {
		return err
	}
	page, err := s.ask(r.Context(), c, q)
	if err != nil {
		return err
	}
	g := rdf.NewGraph()
	n := g.Node(c.uri).A(vocab.LDPBasicContainer).String(vocab.DCTermsTitle, c.Title)
	info := g.Node(s.requestURI(r)).A(vocab.OSLCResponseInfo)
	if page.Total >= 0 {
		info.Int(vocab.OSLCTotalCount, page.Total)
	}
	if page.Next != "" {
		next := nextURI(c.uri, page.Next, joined(r.URL.RawQuery, form))
		if len(next) > maxNextURI && form != "" {
			next = nextURI(c.uri, page.Next, r.URL.RawQuery)
		}
		info.Link(vocab.OSLCNextPage, next)
		n.Link(vocab.OSLCNextPage, next) // some clients look for it here
		if form != "" {
			info.String(vocab.OSLCPostBody, conditions(form))
		}
	}
	if err := s.addMembers(r.Context(), g, n, c, q, page); err != nil {
		return err
	}
	if wantsOldVersion(r) {
		g = expressible(g)
	}
	c.inlineDialogs(w, r, g)
	return Reply{Graph: Graph(g)}.Write(w, r)
}

// ask puts the question to the store.
func (s *Server) ask(ctx context.Context, c *collection, q *query.Query) (query.Page, error) {
	const op = "server.query"
	for i := range q.Where {
		if p := c.known[q.Where[i].Property]; p != nil && !p.Queryable {
			return query.Page{}, oslc.Errorf(op, oslc.Invalid, "oslc.where: %s is not queryable, as its shape says", short(p.Definition))
		}
	}
	where, none := c.reduce(q.Where)
	if none {
		return query.Page{}, nil
	}
	ask := query.Query{Where: where, Search: q.Search, OrderBy: q.OrderBy, Prefixes: q.Prefixes, Page: q.Page}
	switch {
	case q.Paged == query.PagingRefused:
		ask.PageSize = maxUnpaged
	case q.PageSize > 0:
		ask.PageSize = min(q.PageSize, maxPage)
	case q.Page != "": // as large as the one before
	case q.Paged == query.PagingWanted:
		ask.PageSize = wantedPage
	default:
		ask.PageSize = maxPage
	}
	return s.cfg.Store.Query(ctx, c.provider.Name, c.Kind, &ask)
}

// reduce takes out the conditions on what the server adds to every resource of the
// collection, which the store knows nothing of. none reports that one does not hold.
func (c *collection) reduce(w query.Where) (out query.Where, none bool) {
	added := c.decorate(rdf.NewGraph(), c.uri)
	for i := range w {
		if w[i].Op == query.Scoped || added.Object(rdf.NewIRI(c.uri), w[i].Property).IsZero() {
			out = append(out, w[i])
		} else if !w[i].Match(added, rdf.NewIRI(c.uri)) {
			return nil, true
		}
	}
	return out, false
}

// addMembers adds the members with what was selected of them.
func (s *Server) addMembers(ctx context.Context, g *rdf.Graph, n rdf.Node, c *collection, q *query.Query, page query.Page) error {
	selected := q.Select
	for _, one := range q.Properties {
		// oslc.properties speaks of the container; what it says of members is a
		// selection too.
		if selected == nil && one.Nested != nil && (one.Property == vocab.RDFSMember || one.Property == "*") {
			selected = one.Nested
		}
	}
	for _, m := range page.Members {
		n.Link(vocab.RDFSMember, m.URI)
	}
	var failed error
	known := map[string]*rdf.Graph{}
	lookup := func(iri string) *rdf.Graph {
		other, ok := known[iri]
		if ok || failed != nil {
			return other
		}
		if len(known) > len(page.Members)+maxFollowed {
			failed = oslc.Errorf("server.query", oslc.Invalid, "oslc.select leads to more than %d other resources: ask for smaller pages", maxFollowed)
			return nil
		}
		res, err := s.cfg.Store.Resource(ctx, iri)
		if err != nil && !errors.Is(err, oslc.NotFound) {
			failed = err
		}
		if err == nil && !res.Deleted {
			other = res.Graph.Relabel(res.Revision + ".")
		}
		known[iri] = other
		return other
	}
	for i := range page.Members {
		m := &page.Members[i]
		graph := c.decorate(m.Graph.Relabel(m.Revision+"."), m.URI)
		known[m.URI] = graph
		selected.Apply(g, graph, rdf.NewIRI(m.URI), lookup)
		if failed != nil {
			return failed
		}
	}
	for i, m := range page.Members {
		if len(q.Search) > 0 {
			g.Node(m.URI).Int(vocab.OSLCScore, int64(m.Score))
		}
		if len(q.OrderBy) > 0 || len(q.Search) > 0 {
			// A graph has no order: this is how clients get it back.
			g.Node(m.URI).Int(vocab.OSLCOrder, page.Before+int64(i)+1)
		}
	}
	return nil
}

// supported adds what the query base understands, for programs to read.
func (c *collection) supported(g *rdf.Graph) {
	n := g.Node(c.uri).
		String(vocab.BusQueryParameter, query.Params()...).
		String(vocab.BusQueryOperator, query.Operators()...).
		Int(vocab.BusPageSize, maxPage).Int(vocab.BusMaxPageSize, maxPage)
	for _, p := range query.WellKnown() {
		b := rdf.NewBlank("prefix." + p.Name)
		n.Add(vocab.OSLCPrefixDefinition, b)
		g.NodeOf(b).A(vocab.OSLCPrefixDefinitionClass).String(vocab.OSLCPrefix, p.Name).Link(vocab.OSLCPrefixBase, p.IRI)
	}
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "&" + b
}

// nextURI is where the page with the key is, under the conditions that a request
// had.
func nextURI(base, page, raw string) string {
	return base + "?" + joined(cleanQuery(conditions(raw)), query.ParamPage+"="+url.QueryEscape(page))
}

// conditions returns the parameters of a request, those that we do not know too,
// without the ones about pages: clients add these again to the address of the next
// page, where they must not be there twice.
func conditions(raw string) string {
	var out []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		switch name {
		case query.ParamPaging, query.ParamPageSize, query.ParamPage, "":
			continue
		}
		if !slices.Contains(out, pair) {
			out = append(out, pair)
		}
	}
	return strings.Join(out, "&")
}
