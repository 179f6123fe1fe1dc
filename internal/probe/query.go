package probe

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

var queryChecks = []spec{
	{"C09", Must, "CORE-27, 28", "a page says with the request URI that it is one, once", checkResponseInfo},
	{"C10", Should, "CORE-37", "pages lead to each other, end, and repeat and lose nothing", checkPages},
	{"C23", Must, "QUERY-5 to 14", "a query is answered with the container that was advertised", checkContainer},
	{"C24", Must, "QUERY-24 to 41", "oslc.where knows every operator that a type must have", checkWhere},
	{"C25", Must, "QUERY-63, 67", "what cannot be queried is refused with an oslc:Error", checkRefusedQueries},
	{"C26", Should, "QUERY-6", "a query as a form gives the same answer", checkPost},
	{"C27", Must, "QUERY-45, 46", "what is searched for comes by score", checkSearch},
	{"C28", Must, "QUERY-50", "oslc:order grows over the pages", checkOrder},
	{"C32", Must, "QUERY-8", "a query is answered with 200, also when its answer is paged", checkQueryStatus},
}

const noQuery = "there is no query capability"

// nextPage returns where a page leads to. It counts on a ResponseInfo alone.
func nextPage(e *exchange) string {
	if e.graph == nil {
		return ""
	}
	for _, n := range e.graph.OfType(vocab.OSLCResponseInfo) {
		if o := e.graph.Object(n, vocab.OSLCNextPage); !o.IsZero() {
			return o.Value
		}
	}
	return ""
}

// sameURI compares as far as percent-encoding allows two spellings.
func sameURI(a, b string) bool {
	if a == b {
		return true
	}
	x, err1 := url.Parse(a)
	y, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && x.Scheme == y.Scheme && x.Host == y.Host && x.Path == y.Path && x.Query().Encode() == y.Query().Encode()
}

func checkResponseInfo(ctx context.Context, p *prober, c *check) {
	for _, q := range p.queries() {
		if len(q.members) == 0 {
			continue
		}
		e := p.get(ctx, with(q.url, "oslc.paging", "true", "oslc.pageSize", "1"), anyRDF)
		if !c.want(e.ok() && e.graph != nil, e.asked, "%s", e.says()) {
			continue
		}
		infos := e.graph.OfType(vocab.OSLCResponseInfo)
		if c.want(len(infos) == 1, e.asked, "%d nodes of type oslc:ResponseInfo, want 1", len(infos)) {
			c.want(sameURI(infos[0].Value, e.url), e.asked, "the oslc:ResponseInfo is <%s>, want the URI of the request", infos[0].Value)
		}
		conform(c, e, coreCardinalities)
	}
	if len(p.queries()) == 0 {
		c.skip(noQuery)
	}
}

// maxPages bounds how far a probe reads on.
const maxPages = 60

func checkPages(ctx context.Context, p *prober, c *check) {
	for _, q := range p.queries() {
		total := int64(-1)
		if all := len(p.members(ctx, q, q.container)); all == 0 || all > maxPages {
			continue
		}
		seen := map[string]int{}
		e := p.get(ctx, with(q.url, "oslc.paging", "true", "oslc.pageSize", "2"), anyRDF)
		pages := 0
		for ; ; pages++ {
			if !c.want(e.ok() && e.graph != nil, e.asked, "page %d: %s", pages+1, e.says()) {
				break
			}
			for _, m := range p.members(ctx, q, e) {
				seen[m]++
			}
			for _, n := range e.graph.OfType(vocab.OSLCResponseInfo) {
				if t, ok := e.graph.Object(n, vocab.OSLCTotalCount).Int(); ok {
					total = t
				}
			}
			next := nextPage(e)
			c.want(next != rdf.Nil, e.asked, "the last page has oslc:nextPage rdf:nil, which clients follow: leave it out")
			if next == "" || next == rdf.Nil || !c.want(pages < maxPages, e.asked, "after %d pages there is still another one", pages) {
				break
			}
			e = p.get(ctx, next, anyRDF)
		}
		for m, n := range seen {
			c.want(n == 1, q.url, "<%s> is on %d pages", m, n)
		}
		if total >= 0 {
			c.want(int64(len(seen)) == total, q.url, "the pages have %d members, oslc:totalCount is %d", len(seen), total)
		}
		for _, m := range p.members(ctx, q, q.container) {
			c.want(seen[m] > 0, q.url, "<%s> is on no page", m)
		}
	}
	if len(p.queries()) == 0 {
		c.skip(noQuery)
	}
}

func checkContainer(ctx context.Context, p *prober, c *check) {
	for _, q := range p.queries() {
		e := q.container
		if !c.want(e.ok() && e.graph != nil, q.url, "%s", e.says()) {
			continue
		}
		described := false
		for range e.graph.About(rdf.NewIRI(q.url)) {
			described = true
			break
		}
		c.want(described, q.url, "nothing is said about the container <%s>, as it is advertised", q.url)
		for _, n := range e.graph.OfType(vocab.OSLCResponseInfo) {
			if t, ok := e.graph.Object(n, vocab.OSLCTotalCount).Int(); ok && t > 0 {
				c.want(len(p.members(ctx, q, e)) > 0, q.url, "there are %d resources, and none is a %s of the container", t, short(p.membership(ctx, q)))
			}
		}
	}
	if len(p.queries()) == 0 {
		c.skip(noQuery)
	}
}

func checkQueryStatus(_ context.Context, p *prober, c *check) {
	for _, q := range p.queries() {
		c.want(q.container.status == http.StatusOK && len(q.container.redirects) == 0, q.url, "%s after %d redirects", q.container.says(), len(q.container.redirects))
	}
	if len(p.queries()) == 0 {
		c.skip(noQuery)
	}
}

// name is a property as a query writes it, with the prefix that it declares.
func name(iri string) (prefixed, prefix string, ok bool) {
	cut := 1 + strings.LastIndexAny(iri, "#/")
	local := iri[cut:]
	if cut == 0 || local == "" || strings.ContainsFunc(local, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "", "", false
	}
	return "p:" + local, "p=<" + iri[:cut] + ">", true
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// literal is a value as a query writes it; ordered says that it has more operators.
func literal(o rdf.Term) (text string, ordered, ok bool) {
	switch {
	case o.Kind == rdf.IRI:
		return "<" + strings.NewReplacer(`\`, `\\`, `>`, `\>`).Replace(o.Value) + ">", false, true
	case o.Kind != rdf.Literal || len(o.Value) > 200 || o.Lang != "":
		return "", false, false
	}
	switch o.Datatype {
	case "":
		return quote(o.Value), false, true
	case rdf.XMLLiteral:
		return quote(o.Value) + "^^rdf:XMLLiteral", false, !strings.ContainsAny(o.Value, "<&")
	case rdf.XSDBoolean:
		v, ok := o.Bool()
		return strconv.FormatBool(v), false, ok
	case rdf.XSDInteger:
		return o.Value, true, true
	case rdf.XSDDateTime:
		return quote(o.Value) + "^^xsd:dateTime", true, true
	}
	return "", false, false
}

// hidden are the properties that a shape of the resources calls not queryable.
func (p *prober) hidden(ctx context.Context, e *exchange) []string {
	var out []string
	for _, n := range e.graph.Objects(rdf.NewIRI(e.asked), vocab.OSLCInstanceShape) {
		sh := p.get(ctx, n.Value, anyRDF)
		if sh.graph == nil {
			continue
		}
		for _, prop := range sh.graph.Subjects(vocab.OSLCQueryable, rdf.Bool(false)) {
			out = append(out, sh.graph.Value(prop, vocab.OSLCPropertyDefinition))
		}
	}
	return out
}

func checkWhere(ctx context.Context, p *prober, c *check) {
	for _, q := range p.queries() {
		if len(q.members) == 0 {
			continue
		}
		m := q.members[0]
		s := rdf.NewIRI(m.asked)
		id := m.graph.Object(s, vocab.DCTermsIdentifier)
		skip := p.hidden(ctx, m)
		tried := map[string]bool{}
		for t := range m.graph.About(s) {
			prop, prefix, named := name(t.P.Value)
			value, ordered, written := literal(t.O)
			if !named || !written || tried[t.P.Value] || slices.Contains(skip, t.P.Value) || len(m.graph.Objects(s, t.P.Value)) > 1 ||
				slices.Contains([]string{vocab.OSLCInstanceShape, vocab.OSLCServiceProvider, vocab.DCTermsModified}, t.P.Value) {
				// The server adds the first two to what a tool has, and the last may
				// change while we look.
				continue
			}
			tried[t.P.Value] = true
			conditions := map[string]bool{"=" + value: true, "!=" + value: false, " in [" + value + "]": true}
			if ordered {
				conditions["<="+value], conditions[">="+value], conditions["<"+value], conditions[">"+value] = true, true, false, false
			}
			for condition, holds := range conditions {
				where := prop + condition
				if id.Kind == rdf.Literal {
					where = "dcterms:identifier=" + quote(id.Value) + " and " + where // so that one page has the answer
				}
				e := p.get(ctx, with(q.url, "oslc.where", where, "oslc.prefix", prefix), anyRDF)
				if !c.want(e.ok() && e.graph != nil, e.asked, "oslc.where=%s: %s", where, e.says()) {
					continue
				}
				has := slices.Contains(p.members(ctx, q, e), m.asked)
				if holds || id.Kind == rdf.Literal {
					c.want(has == holds || holds && nextPage(e) != "", e.asked, "oslc.where=%s: <%s> is among the members: %v, want %v", where, m.asked, has, holds)
				}
			}
		}
	}
	if len(p.queries()) == 0 {
		c.skip(noQuery)
	}
}

// isError checks that a refusal is told as an oslc:Error.
func isError(c *check, e *exchange, what string, statuses ...int) {
	if !c.want(slices.Contains(statuses, e.status), e.asked, "%s: %s", what, e.says()) {
		return
	}
	nodes := 0
	if e.graph != nil {
		nodes = len(e.graph.OfType(vocab.OSLCErrorClass))
	}
	if c.want(nodes > 0, e.asked, "%s: the answer has no oslc:Error: %s", what, e.says()) {
		conform(c, e, []cardinality{{vocab.OSLCErrorClass, vocab.OSLCStatusCode, 1, 1, rdf.Literal, ""}, {vocab.OSLCErrorClass, vocab.OSLCMessage, 1, 1, rdf.Literal, ""}})
	}
}

func checkRefusedQueries(ctx context.Context, p *prober, c *check) {
	for _, q := range p.queries() {
		for what, where := range map[string]string{
			"a condition that is none": `dcterms:title=`, "a prefix that is not known": `zzzz:title="x"`, "a quote that does not end": `dcterms:title="x`,
		} {
			isError(c, p.get(ctx, with(q.url, "oslc.where", where), turtle), what, http.StatusBadRequest, http.StatusNotImplemented)
		}
		for _, m := range q.members {
			for _, iri := range p.hidden(ctx, m) {
				if prop, prefix, ok := name(iri); ok {
					isError(c, p.get(ctx, with(q.url, "oslc.where", prop+`="x"`, "oslc.prefix", prefix), turtle), "a property that is not queryable", http.StatusBadRequest)
				}
			}
		}
	}
	if len(p.queries()) == 0 {
		c.skip(noQuery)
	}
}

func checkPost(ctx context.Context, p *prober, c *check) {
	for _, q := range p.queries() {
		get := p.get(ctx, with(q.url, "oslc.paging", "true", "oslc.pageSize", "3", "oslc.select", "dcterms:title"), turtle)
		post := p.do(ctx, http.MethodPost, q.url, []byte("oslc.paging=true&oslc.pageSize=3&oslc.select=dcterms%3Atitle"),
			"Content-Type", "application/x-www-form-urlencoded", "Accept", turtle)
		if !c.want(post.ok() && post.graph != nil, q.url, "POST of a form: %s", post.says()) {
			continue
		}
		a, b := p.members(ctx, q, get), p.members(ctx, q, post)
		slices.Sort(a)
		slices.Sort(b)
		c.want(slices.Equal(a, b), q.url, "GET has the members %v, POST %v", a, b)
		if nextPage(post) != "" {
			post := post.graph.OfType(vocab.OSLCResponseInfo)
			c.want(len(post) == 1, q.url, "POST has %d nodes of type oslc:ResponseInfo", len(post))
		}
	}
	if len(p.queries()) == 0 {
		c.skip(noQuery)
	}
}

// word finds a word in the title of a member that a search must find.
func word(m *exchange) string {
	for w := range strings.FieldsFuncSeq(m.graph.Value(rdf.NewIRI(m.asked), vocab.DCTermsTitle), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		if len(w) > 2 {
			return w
		}
	}
	return ""
}

func checkSearch(ctx context.Context, p *prober, c *check) {
	c.skip("no resource has a title with a word in it")
	for _, q := range p.queries() {
		if len(q.members) == 0 || word(q.members[0]) == "" {
			continue
		}
		e := p.get(ctx, with(q.url, "oslc.searchTerms", quote(word(q.members[0])), "oslc.paging", "true", "oslc.pageSize", "2"), turtle)
		if e.status == http.StatusNotImplemented {
			c.skip("oslc.searchTerms is not supported, which is allowed")
			continue
		}
		last := int64(1 << 62)
		found := false
		for range maxPages {
			if !c.want(e.ok() && e.graph != nil, e.asked, "%s", e.says()) {
				break
			}
			least, most := int64(1<<62), int64(-1)
			for _, m := range p.members(ctx, q, e) {
				found = found || m == q.members[0].asked
				for _, o := range e.graph.Objects(rdf.NewIRI(m), vocab.OSLCScore) {
					score, err := strconv.ParseFloat(o.Value, 64)
					c.want(err == nil && score >= 0, e.asked, "oslc:score of <%s> is %q", m, o.Value)
					least, most = min(least, int64(score)), max(most, int64(score))
				}
			}
			c.want(most <= last, e.asked, "a page has a score of %d, the one before it ended with %d", most, last)
			last = min(last, least)
			if nextPage(e) == "" || found {
				break
			}
			e = p.get(ctx, nextPage(e), turtle)
		}
		c.want(found, e.asked, "<%s> is not found by a word of its title", q.members[0].asked)
	}
}

func checkOrder(ctx context.Context, p *prober, c *check) {
	c.skip("no answer has oslc:order, which is allowed")
	for _, q := range p.queries() {
		e := p.get(ctx, with(q.url, "oslc.orderBy", "-dcterms:identifier", "oslc.paging", "true", "oslc.pageSize", "2"), turtle)
		last := int64(0)
		for range maxPages {
			if e.graph == nil {
				break
			}
			most := last
			for _, m := range p.members(ctx, q, e) {
				if o := e.graph.Object(rdf.NewIRI(m), vocab.OSLCOrder); !o.IsZero() {
					n, ok := o.Int()
					c.want(ok && n > last, e.asked, "oslc:order of <%s> is %q, the page before ended with %d", m, o.Value, last)
					most = max(most, n)
				}
			}
			last = most
			if nextPage(e) == "" {
				break
			}
			e = p.get(ctx, nextPage(e), turtle)
		}
	}
}
