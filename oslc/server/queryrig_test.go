package server_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	toolNS    = "http://tool.example/ns#"
	queryBase = "http://bus.example/services/tool/things"
)

// queryRig serves a collection of things over HTTP.
type queryRig struct {
	t      testing.TB
	views  *sqlite.Views
	handle http.Handler
	url    string
	offset int64
}

func newQueryRig(t testing.TB, things int) *queryRig {
	t.Helper()
	db, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "oslcbus.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r := &queryRig{t: t, views: db.Views()}
	steps := make([]sqlite.Step, things)
	for i := range steps {
		steps[i] = r.step(i, thing(i))
	}
	r.fold(steps)
	sh := &shape.Shape{Title: "A thing", Properties: []shape.Property{
		{Name: "title", Definition: vocab.DCTermsTitle, Occurs: shape.ExactlyOne, Queryable: true},
		{Name: "hidden", Definition: toolNS + "hidden", Occurs: shape.ZeroOrOne},
	}}
	s := newServer(server.Config{
		BaseURL: "http://bus.example", Title: "Bus", Store: r.views,
		Providers: []oslc.ServiceProvider{{Name: "tool", Title: "Tool", Services: []oslc.Service{{
			Domain: vocab.CM, Collections: []oslc.Collection{{Kind: "things", Title: "Things", ResourceTypes: []string{vocab.CMChangeRequest}, Shape: sh}},
		}}}},
	})
	r.handle = server.Handler(nil, func(w http.ResponseWriter, req *http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/query") {
			return s.Shape(w, req, "tool", "things", true)
		}
		return s.Collection(w, req, "tool", "things")
	})
	web := httptest.NewServer(r.handle)
	t.Cleanup(web.Close)
	r.url = web.URL
	return r
}

func thingURI(i int) string { return fmt.Sprint(queryBase, "/", i) }

func thing(i int) *rdf.Graph {
	g := rdf.NewGraph()
	n := g.Node(thingURI(i)).A(vocab.CMChangeRequest).
		String(vocab.DCTermsTitle, fmt.Sprint("Thing ", i)).
		String(vocab.DCTermsDescription, fmt.Sprint("is number ", i%10, " of its ten")).
		Int(toolNS+"n", int64(i%7)).
		Bool(toolNS+"open", i%5 > 0).
		Link(toolNS+"next", thingURI(i+1))
	by := rdf.NewBlank("by")
	n.Add(vocab.DCTermsCreator, by)
	g.NodeOf(by).A(vocab.FOAFPerson).String(vocab.FOAFName, fmt.Sprint("Ann ", i%3))
	return g
}

// step is a change of thing i; no graph deletes it.
func (r *queryRig) step(i int, g *rdf.Graph) sqlite.Step {
	change := oslc.Modification
	if g == nil {
		change = oslc.Deletion
	}
	s := sqlite.Step{Offset: r.offset, Event: &oslc.Event{
		ID: oslc.NewID("query", fmt.Sprint(r.offset)), Change: change, Subject: thingURI(i),
		Time: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), Resource: g,
	}}
	r.offset++
	return s
}

func (r *queryRig) fold(steps []sqlite.Step) {
	r.t.Helper()
	place := sqlite.Place{Topic: "tool_event", Set: "tool"}
	if err := r.views.Apply(r.t.Context(), place, steps); err != nil {
		r.t.Fatal(err)
	}
}

func (r *queryRig) put(i int, g *rdf.Graph) {
	r.t.Helper()
	r.fold([]sqlite.Step{r.step(i, g)})
}

// send sends a request to a URI of the public address.
func (r *queryRig) send(method, uri, form string) (int, *rdf.Graph) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, strings.Replace(uri, "http://bus.example", r.url, 1), strings.NewReader(form))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/rdf+xml")
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	resp, err := testkit.HTTP.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	g, err := format.Parser{}.Parse(body, format.RDFXML, uri, rdf.Limits{})
	if err != nil {
		r.t.Fatalf("%s %s: %d %v\n%s", method, uri, resp.StatusCode, err, body)
	}
	return resp.StatusCode, g
}

func (r *queryRig) get(uri string) *rdf.Graph {
	r.t.Helper()
	code, g := r.send(http.MethodGet, uri, "")
	if code != http.StatusOK {
		r.t.Fatalf("GET %s: %d %s", uri, code, message(g))
	}
	return g
}

func ask(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return queryBase + "?" + v.Encode()
}

func message(g *rdf.Graph) string {
	for _, e := range g.OfType(vocab.OSLCErrorClass) {
		return g.Value(e, vocab.OSLCMessage)
	}
	return ""
}

// members returns the numbers of the members, in the order of oslc:order where there
// is one.
func members(t testing.TB, g *rdf.Graph) []int {
	t.Helper()
	list := g.Objects(rdf.NewIRI(queryBase), vocab.RDFSMember)
	slices.SortStableFunc(list, func(a, b rdf.Term) int {
		x, _ := g.Object(a, vocab.OSLCOrder).Int()
		y, _ := g.Object(b, vocab.OSLCOrder).Int()
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(len(a.Value), len(b.Value)), cmp.Compare(a.Value, b.Value))
	})
	out := []int{}
	for _, m := range list {
		i, err := strconv.Atoi(strings.TrimPrefix(m.Value, queryBase+"/"))
		if err != nil {
			t.Fatalf("%s is a member", m.Value)
		}
		out = append(out, i)
	}
	return out
}

// info returns the one ResponseInfo.
func info(t testing.TB, g *rdf.Graph) rdf.Term {
	t.Helper()
	list := g.OfType(vocab.OSLCResponseInfo)
	if len(list) != 1 {
		t.Fatalf("%d nodes are a ResponseInfo, want 1", len(list))
	}
	return list[0]
}

// walk follows the pages and returns the members of each; between is called between
// them.
func (r *queryRig) walk(uri string, between func(page int)) (pages [][]int) {
	r.t.Helper()
	for uri != "" {
		if len(pages) > 1000 {
			r.t.Fatal("the pages do not end")
		}
		g := r.get(uri)
		pages = append(pages, members(r.t, g))
		if between != nil {
			between(len(pages))
		}
		uri = g.Value(info(r.t, g), vocab.OSLCNextPage)
	}
	return pages
}

func flat(pages [][]int) []int { return slices.Concat(pages...) }

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
