package trs

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// A ChangeQuery asks for changes of a set. The zero value, but for Limit, asks for
// all of them.
type ChangeQuery struct {
	// Changed are the resources, any of which it may be; nil means all.
	Changed []string
	// After and UpTo bound the order; an UpTo of 0 means Newest.
	After, UpTo int64
	// From and To bound the time, both included; zero means no bound.
	From, To time.Time
	// Types are groups of classes: a change must be of one of each group, by its kind
	// or by its Types.
	Types [][]string
	// OldestFirst turns the order round.
	OldestFirst bool
	Limit       int
}

// A History is a Store that finds changes by what they are.
type History interface {
	History(ctx context.Context, set string, q ChangeQuery) ([]Change, error)
}

const (
	changesOnPage = 100
	mostChanges   = 1000
)

// Changes answers a query over the changes of a set (OSLC Query 3.0): oslc.where on
// trs:changed, trs:order, dcterms:created and rdf:type, oslc.orderBy on trs:order,
// oslc.select and pages. What is asked for below the oldest change is kind Gone.
func (s *Server) Changes(w http.ResponseWriter, r *http.Request, set string) error {
	const op = "trs.history"
	store, ok := s.cfg.Store.(History)
	if !ok {
		return oslc.Errorf(op, oslc.Unsupported, "changes cannot be queried here")
	}
	b, err := s.cfg.Store.Bounds(r.Context(), set, Newest)
	if err != nil {
		return err
	}
	q, err := query.Parse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	ask, err := s.changeQuery(q, b)
	if err != nil {
		return oslc.E(op, err)
	}
	size := ask.Limit
	ask.Limit++
	changes, err := store.History(r.Context(), set, ask)
	if err != nil {
		return err
	}
	base := s.uri(set) + "/changes"
	g := rdf.NewGraph()
	list := g.Node(base).A(vocab.LDPBasicContainer).String(vocab.DCTermsTitle, "Changes of "+set)
	at := base
	if r.URL.RawQuery != "" {
		at += "?" + r.URL.RawQuery
	}
	info := g.Node(at).A(vocab.OSLCResponseInfo)
	if len(changes) > size {
		changes = changes[:size]
		v := r.URL.Query()
		v.Set(query.ParamPage, strconv.FormatInt(changes[size-1].Order, 10))
		info.Link(vocab.OSLCNextPage, base+"?"+v.Encode())
	}
	for _, c := range changes {
		one := rdf.NewGraph()
		uri := s.describe(one, set, c)
		list.Link(vocab.RDFSMember, uri).Link(vocab.LDPMember, uri)
		if q.Select == nil {
			g.AddGraph(one)
		} else {
			q.Select.Apply(g, one, rdf.NewIRI(uri), nil)
		}
	}
	return server.Reply{Graph: server.Graph(g)}.Write(w, r)
}

// Change answers with one change, by its order.
func (s *Server) Change(w http.ResponseWriter, r *http.Request, set, order string) error {
	const op = "trs.change"
	b, err := s.cfg.Store.Bounds(r.Context(), set, Newest)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(order, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != order {
		return oslc.Errorf(op, oslc.NotFound, "%q is no order of a change", order)
	}
	if n <= b.Cut {
		return goneOrder(b, n)
	}
	store, ok := s.cfg.Store.(History)
	if !ok {
		return oslc.Errorf(op, oslc.Unsupported, "changes cannot be read here")
	}
	found, err := store.History(r.Context(), set, ChangeQuery{After: n - 1, UpTo: n, Limit: 1})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return oslc.Errorf(op, oslc.NotFound, "no change has order %d", n)
	}
	g := rdf.NewGraph()
	s.describe(g, set, found[0])
	return server.Reply{Graph: server.Graph(g), Tag: found[0].Event}.Write(w, r)
}

// describe adds what is known of a change, and returns its address.
func (s *Server) describe(g *rdf.Graph, set string, c Change) string {
	uri := fmt.Sprintf("%s/changes/%d", s.uri(set), c.Order)
	g.Node(uri).A(c.Kind.IRI()).A(c.Types...).
		Link(vocab.TRSChanged, c.Changed).
		Int(vocab.TRSOrder, c.Order).
		Time(vocab.DCTermsCreated, c.Time).
		String(vocab.DCTermsIdentifier, c.Event).
		Link(vocab.BusEvent, "urn:uuid:"+c.Event)
	return uri
}

func goneOrder(b Bounds, n int64) error {
	return oslc.Errorf("trs.history", oslc.Gone, "the changes up to order %d are not kept any more, and %d is among what is asked for; the oldest is %d", b.Cut, n, b.Oldest)
}

// changeQuery reads the conditions that a store can answer.
func (s *Server) changeQuery(q *query.Query, b Bounds) (ChangeQuery, error) {
	const op = "trs.history"
	out := ChangeQuery{UpTo: Newest, Limit: changesOnPage}
	if q.PageSize > 0 {
		out.Limit = min(q.PageSize, mostChanges)
	}
	if len(q.Search) > 0 {
		return out, oslc.Errorf(op, oslc.Unsupported, "changes have no text to search")
	}
	for i := range q.Where {
		if err := out.restrict(&q.Where[i]); err != nil {
			return out, err
		}
	}
	for _, n := range []int64{out.After + 1, out.UpTo} {
		if b.Cut > 0 && n <= b.Cut && (out.After > 0 || out.UpTo != Newest) {
			return out, goneOrder(b, n)
		}
	}
	for i, by := range q.OrderBy {
		if i > 0 || !slices.Equal(by.Path, []string{vocab.TRSOrder}) {
			return out, oslc.Errorf(op, oslc.Unsupported, "changes are sorted by trs:order alone")
		}
		out.OldestFirst = !by.Descending
	}
	if q.Page != "" {
		n, err := strconv.ParseInt(q.Page, 10, 64)
		if err != nil || n <= 0 {
			return out, oslc.Errorf(op, oslc.Invalid, "%q is no page of this query", q.Page)
		}
		if out.OldestFirst {
			out.After = max(out.After, n)
		} else {
			out.UpTo = min(out.UpTo, n-1)
		}
	}
	return out, nil
}

// restrict adds a condition.
func (q *ChangeQuery) restrict(t *query.Term) error {
	const op = "trs.history"
	unsupported := oslc.Errorf(op, oslc.Unsupported, "oslc.where: conditions are on trs:changed and rdf:type with = and in, trs:order and dcterms:created with = < <= > >=")
	var values []string
	for _, v := range t.Values {
		values = append(values, v.Term.Value)
	}
	switch t.Property {
	case vocab.TRSChanged:
		if t.Op != query.Equal && t.Op != query.In || len(q.Changed) > 0 {
			return unsupported
		}
		q.Changed = values
	case rdf.Type:
		if t.Op != query.Equal && t.Op != query.In {
			return unsupported
		}
		q.Types = append(q.Types, values)
	case vocab.TRSOrder:
		n, err := strconv.ParseInt(values[0], 10, 64)
		if t.Op == query.Scoped || err != nil || n < 0 || n == math.MaxInt64 {
			return oslc.Errorf(op, oslc.Invalid, "oslc.where: trs:order is compared with %q, want an order", values)
		}
		return q.bound(t.Op, unsupported,
			func(d int64) { q.After = max(q.After, n-1+d) }, func(d int64) { q.UpTo = min(q.UpTo, n-d) })
	case vocab.DCTermsCreated:
		at, err := time.Parse(time.RFC3339Nano, values[0])
		if t.Op == query.Scoped || err != nil {
			return oslc.Errorf(op, oslc.Invalid, "oslc.where: dcterms:created is compared with %q, want a time such as 2026-11-21T09:00:00Z", values)
		}
		return q.bound(t.Op, unsupported, func(d int64) {
			if from := at.Add(time.Duration(d) * time.Millisecond); from.After(q.From) {
				q.From = from
			}
		}, func(d int64) {
			if to := at.Add(-time.Duration(d) * time.Millisecond); q.To.IsZero() || to.Before(q.To) {
				q.To = to
			}
		})
	default:
		return unsupported
	}
	return nil
}

// bound sets the lower and the upper bound that a comparison means; they are told 1
// where the bound itself does not count.
func (q *ChangeQuery) bound(op query.Op, unsupported error, lower, upper func(int64)) error {
	switch op {
	case query.Equal:
		lower(0)
		upper(0)
	case query.Less:
		upper(1)
	case query.LessOrEqual:
		upper(0)
	case query.Greater:
		lower(1)
	case query.GreaterOrEqual:
		lower(0)
	case query.Scoped, query.NotEqual, query.In:
		return unsupported
	}
	return nil
}
