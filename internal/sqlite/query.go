package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
)

const (
	defaultSize = 100
	// queryTime is how long a query may take, so that one cannot keep the others
	// waiting.
	queryTime = 20 * time.Second
	// fewest and most are between how many resources a condition has to leave for
	// them to be collected and sorted; see queryRun.estimate.
	fewest, most = 1_000, 20_000
	// countedUpTo is how many resources are looked at to count those of a query.
	countedUpTo = 5_000
	// maxSortPath is how many properties a sort key may lead through.
	maxSortPath = 4
)

// scores of the tiers of a search; see queryRun.tiers.
var scores = [...]int{100, 75, 50}

// Query implements server.Store. It finds the resources in the property index:
// conditions hold of exactly those that query.Where.MatchIn says they hold of, with
// all resources that are there for links.
//
// The order is that of q.OrderBy, and among equals, or without, that in which the
// resources came up. A page goes on after the last member of the one before it, by
// value: what is created, changed or deleted meanwhile moves nothing else, so no
// resource comes twice or is left out because of another one.
func (v *Views) Query(ctx context.Context, provider, collection string, q *query.Query) (query.Page, error) {
	const op = "sqlite.query"
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	if len(q.Search) > 0 {
		if _, err := v.db.indexTexts(ctx, textsFirst); err != nil {
			return query.Page{}, oslc.E(op, err)
		}
	}
	// One transaction, so that the total and the members are of one state.
	tx, err := v.db.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return query.Page{}, oslc.E(op, v.db.readError(err))
	}
	defer func() { _ = tx.Rollback() }() // it has read only
	r := queryRun{ctx: ctx, tx: tx, q: q, views: v, name: containerName(provider, collection)}
	page, err := r.run()
	if err != nil && ctx.Err() != nil {
		err = oslc.Errorf(op, oslc.Unavailable, "the query takes more than %s: make its conditions narrower", queryTime)
	}
	return page, oslc.E(op, v.db.readError(err))
}

// queryRun is one Query.
type queryRun struct {
	ctx   context.Context
	tx    *sql.Tx
	q     *query.Query
	views *Views

	name      string
	container int64
	members   int64
	at        mark // where the page begins
	size      int
	search    []string // FTS5 expressions, one for each tier

	fewer  *query.Term // the condition that leaves the fewest, if that is few
	fewest int64       // how many that are
	page   query.Page
	last   mark
	filled bool // there are more than size
}

func (r *queryRun) run() (query.Page, error) {
	if err := r.prepare(); err != nil {
		return query.Page{}, err
	}
	err := r.tx.QueryRowContext(r.ctx, `SELECT id, members FROM view_container WHERE name=?`, r.name).Scan(&r.container, &r.members)
	if errors.Is(err, sql.ErrNoRows) {
		return query.Page{Size: r.size}, nil // no resource yet
	}
	if err != nil {
		return query.Page{}, err
	}
	if r.at.begun {
		var set int64
		err := r.tx.QueryRowContext(r.ctx, `SELECT id FROM view_set WHERE name=?`, r.at.set).Scan(&set)
		if errors.Is(err, sql.ErrNoRows) {
			err = oslc.E("sqlite.query", errToken, oslc.Invalid)
		}
		if err != nil {
			return query.Page{}, err
		}
		r.at.id = number(set, r.at.id)
	}
	if err := r.estimate(); err != nil {
		return query.Page{}, err
	}
	for tier := r.at.tier; tier < max(1, len(r.search)) && !r.filled; tier++ {
		if tier > r.at.tier {
			r.at = mark{tier: tier, total: r.at.total}
		}
		if err := r.tier(); err != nil {
			return query.Page{}, err
		}
	}
	r.page.Size, r.page.Total = r.size, r.at.total
	if r.q.Page == "" {
		if r.page.Total, err = r.total(); err != nil {
			return query.Page{}, err
		}
	}
	if r.filled {
		r.last.total, r.last.size = r.page.Total, r.size
		err := r.tx.QueryRowContext(r.ctx, `SELECT name FROM view_set WHERE id=?`, r.last.id>>orderBits).Scan(&r.last.set)
		if err != nil {
			return query.Page{}, err
		}
		r.page.Next = r.last.token(r.binding())
	}
	return r.page, nil
}

// prepare reads the key of the page and what can be refused without data.
func (r *queryRun) prepare() error {
	r.size = r.q.PageSize
	if r.q.Page != "" {
		var err error
		if r.at, err = parseToken(r.q.Page, r.binding(), len(r.q.OrderBy)); err != nil {
			return oslc.E("sqlite.query", err, oslc.Invalid)
		}
		if r.size <= 0 {
			r.size = r.at.size
		}
	}
	if r.size <= 0 {
		r.size = defaultSize
	}
	for _, s := range r.q.OrderBy {
		if len(s.Path) > maxSortPath {
			return oslc.Errorf("sqlite.query", oslc.Unsupported, "oslc.orderBy: a key leads through at most %d properties", maxSortPath)
		}
	}
	for _, s := range r.q.Search {
		if !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }) {
			return oslc.Errorf("sqlite.query", oslc.Invalid, "oslc.searchTerms: %q has no word to search for", s)
		}
	}
	r.search = searchTiers(r.q.Search)
	return answerable(r.q.Where)
}

// answerable refuses what the index has no answer to.
func answerable(w query.Where) error {
	for i := range w {
		if _, _, ok := w[i].Ranges(); !ok {
			return oslc.Errorf("sqlite.query", oslc.Unsupported,
				"oslc.where: strings of more than %d bytes are compared by = and != only", query.MaxOrdered)
		}
		if err := answerable(w[i].Scope); err != nil {
			return err
		}
	}
	return nil
}

// searchTiers returns the expressions for resources that have every string in a
// title, some in a title and the others elsewhere, all of them elsewhere. How many
// other resources have them does not count: a score that changed with those would
// move resources from page to page.
func searchTiers(search []string) []string {
	if len(search) == 0 {
		return nil
	}
	phrases := make([]string, len(search))
	for i, s := range search {
		phrases[i] = `"` + strings.ReplaceAll(strings.ReplaceAll(s, `"`, `""`), "\x00", " ") + `"`
	}
	all, some := strings.Join(phrases, " AND "), strings.Join(phrases, " OR ")
	tiers := []string{
		fmt.Sprintf("{title} : (%s)", all),
		fmt.Sprintf("((%s) AND {title} : (%s)) NOT {title} : (%s)", all, some, all),
		fmt.Sprintf("(%s) NOT {title} : (%s)", all, some),
	}
	if len(search) == 1 {
		tiers[1] = "" // no string is both
	}
	return tiers
}

// estimate finds the condition that leaves the fewest resources. To collect them
// costs as much as there are of them; to go through all resources in order until a
// page is full costs the more, the fewer there are. The two are equal where they are
// the square root of page size times resources.
func (r *queryRun) estimate() error {
	few := int64(math.Sqrt(float64(r.size) * float64(r.members)))
	few = min(max(few, r.views.fewest), r.views.most)
	best := few
	for i := range r.q.Where {
		t := &r.q.Where[i]
		c := r.compile()
		cond, ok, err := c.driver(t)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		var n int64
		if err := r.tx.QueryRowContext(r.ctx, `SELECT count(*) FROM (`+cond+` LIMIT ?)`, append(c.args, best)...).Scan(&n); err != nil {
			return err
		}
		if n < best {
			best, r.fewer, r.fewest = n, t, n
		}
	}
	return nil
}

// tier adds the members of one tier of a search, or of all without a search.
func (r *queryRun) tier() error {
	if len(r.search) > 0 && r.search[r.at.tier] == "" {
		return nil
	}
	switch {
	case len(r.q.OrderBy) == 0:
		return r.fetch(byNumber)
	case r.fewer != nil, len(r.search) > 0, len(r.q.OrderBy[0].Path) > 1:
		return r.fetch(collected)
	}
	// The values of the first key are gone through in order, and then come the
	// resources that have none.
	if !r.at.begun || r.at.keys[0] != nil {
		if err := r.fetch(byValue); err != nil || r.filled {
			return err
		}
		r.at = mark{tier: r.at.tier, total: r.at.total}
	}
	return r.fetch(withoutValue)
}

// The ways to go through resources.
type way uint8

const (
	byNumber     way = iota // in the order in which they came up
	collected               // all that fulfil the query, to be sorted
	byValue                 // by the first key, along the index
	withoutValue            // those that lack the first key
)

// fetch adds members up to a full page, and finds out whether there are more.
func (r *queryRun) fetch(w way) error {
	c := r.compile()
	text, err := c.members(w)
	if err != nil {
		return err
	}
	rows, err := r.tx.QueryContext(r.ctx, text, c.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if len(r.page.Members) == r.size {
			r.filled = true
			return rows.Close()
		}
		m, at, err := r.scan(rows)
		if err != nil {
			return err
		}
		r.page.Members, r.last = append(r.page.Members, m), at
	}
	return rows.Err()
}

func (r *queryRun) scan(rows *sql.Rows) (query.Member, mark, error) {
	var m query.Member
	at := mark{tier: r.at.tier, begun: true, keys: make([][]byte, len(r.q.OrderBy))}
	var ms int64
	var graph []byte
	to := []any{&at.id, &m.URI, &m.Revision, &ms, &graph}
	for i := range at.keys {
		to = append(to, &at.keys[i])
	}
	if err := rows.Scan(to...); err != nil {
		return m, at, err
	}
	var err error
	if m.Graph, err = r.views.parse(graph); err != nil {
		return m, at, err
	}
	m.Modified = milli(ms)
	if len(r.search) > 0 {
		m.Score = scores[r.at.tier]
	}
	return m, at, nil
}

// total counts what the query finds, or returns -1.
func (r *queryRun) total() (int64, error) {
	if len(r.q.Where) == 0 && len(r.search) == 0 {
		return r.members, nil
	}
	if !r.filled {
		return int64(len(r.page.Members)), nil
	}
	switch {
	case r.fewer != nil && r.fewest <= countedUpTo:
	case len(r.search) > 0:
	case r.members <= countedUpTo:
	default:
		return -1, nil
	}
	var sum, looked int64
	for tier := range max(1, len(r.search)) {
		if len(r.search) > 0 && r.search[tier] == "" {
			continue
		}
		c := r.compile()
		text, err := c.count(tier)
		if err != nil {
			return 0, err
		}
		var n, of int64
		if err := r.tx.QueryRowContext(r.ctx, text, c.args...).Scan(&n, &of); err != nil {
			return 0, err
		}
		if sum, looked = sum+n, looked+of; looked > countedUpTo {
			return -1, nil
		}
	}
	return sum, nil
}

// binding names the query, so that the key of a page is good for no other one.
func (r *queryRun) binding() string {
	only := query.Query{Where: r.q.Where, Search: r.q.Search, OrderBy: r.q.OrderBy, Prefixes: r.q.Prefixes}
	return r.name + "?" + only.Values().Encode()
}

// single reports whether the range is a single key.
func single(r query.Range) bool {
	return len(r.To) == len(r.From)+1 && r.To[len(r.From)] == 0 && bytes.HasPrefix(r.To, r.From)
}
