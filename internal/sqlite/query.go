package sqlite

import (
	"context"
	"strconv"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

const (
	scanAtOnce  = 500
	defaultSize = 100
)

// Query implements server.Store. It looks at each resource of the collection.
func (v *Views) Query(ctx context.Context, provider, collection string, q *query.Query) (query.Page, error) {
	page := query.Page{Size: q.PageSize}
	if len(q.Search) > 0 || len(q.OrderBy) > 0 {
		return page, oslc.Errorf("sqlite.query", oslc.Unsupported, "oslc.searchTerms and oslc.orderBy are not supported")
	}
	if page.Size == 0 {
		page.Size = defaultSize
	}
	var from int64
	if q.Page != "" {
		var err error
		if from, err = strconv.ParseInt(q.Page, 10, 64); err != nil {
			return page, oslc.Errorf("sqlite.query", oslc.Invalid, "%q is no page", q.Page)
		}
	}
	lookup := func(iri string) *rdf.Graph {
		r, err := v.Resource(ctx, iri)
		if err != nil || r.Deleted {
			return nil
		}
		return r.Graph
	}
	for after := int64(0); ; {
		list, next, err := v.Resources(ctx, provider, collection, after, scanAtOnce)
		if err != nil {
			return page, err
		}
		for i := range list {
			r := &list[i]
			if !q.Where.MatchIn(r.Graph, rdf.NewIRI(r.URI), lookup) {
				continue
			}
			if page.Total++; page.Total > from && len(page.Members) < page.Size {
				page.Members = append(page.Members, query.Member{URI: r.URI, Graph: r.Graph, Revision: r.Revision, Modified: r.Modified})
			}
		}
		if after = next; next == 0 {
			break
		}
	}
	if shown := from + int64(len(page.Members)); shown < page.Total {
		page.Next = strconv.FormatInt(shown, 10)
	}
	return page, nil
}
