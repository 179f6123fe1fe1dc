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
	fewest, most = 500, 65_536
	// scanned is how many resources are gone through in order before estimates are
	// worth their time.
	scanned = 2_000
	// countedUpTo is how many members a collection may have for those of a query to
	// be counted that are not collected.
	countedUpTo = 2_000
	// maxSortPath is how many properties a sort key may lead through.
	maxSortPath = 4
)

// scores of the tiers of a search; see queryRun.tiers.
var scores = [...]int{100, 50}

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
		if err := v.db.catchUpTexts(ctx); err != nil {
			return query.Page{}, oslc.E(op, err)
		}
	}
	// One transaction, so that the total and the members are of one state.
	tx, err := v.db.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return query.Page{}, oslc.E(op, v.db.readError(err))
	}
	defer func() { _ = tx.Rollback() }() // it has read only
	r := queryRun{ctx: ctx, tx: tx, q: q, views: v, name: containerName(provider, collection), parsing: &parsing{views: v}}
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

	fewer   *query.Term // the condition that leaves few, if one does
	along   *query.Term // else the condition of few values that leaves the fewest
	known   map[*query.Term]termValues
	reach   int64 // how far there are about as many resources along it as were asked for
	until   int64 // collect no resources after this one, unless it is 0
	limit   int   // of resources to go through, or 0
	rest    bool  // there were more than limit
	page    query.Page
	found   []mark // members, perhaps before their resources are read
	filled  bool   // there are more than size
	parsing *parsing
}

func (r *queryRun) run() (query.Page, error) {
	if err := r.prepare(); err != nil {
		return query.Page{}, err
	}
	err := r.one(`SELECT id, members FROM view_container WHERE name=?`, []any{r.name}, &r.container, &r.members)
	if errors.Is(err, sql.ErrNoRows) {
		return query.Page{Size: r.size}, nil // no resource yet
	}
	if err != nil {
		return query.Page{}, err
	}
	if r.at.begun {
		var set int64
		err := r.one(`SELECT id FROM view_set WHERE name=?`, []any{r.at.set}, &set)
		if errors.Is(err, sql.ErrNoRows) {
			err = oslc.E("sqlite.query", errToken, oslc.Invalid)
		}
		if err != nil {
			return query.Page{}, err
		}
		r.at.id = number(set, r.at.id)
	}
	r.page.Size, r.page.Total, r.page.Before = r.size, r.at.total, r.at.shown
	if !r.at.begun {
		r.page.Total = -1
	}
	if err := r.find(); err != nil {
		return query.Page{}, err
	}
	if r.page.Total < 0 && !r.at.begun {
		if r.page.Total, err = r.total(); err != nil {
			return query.Page{}, err
		}
	}
	if err := r.read(); err != nil {
		return query.Page{}, err
	}
	if r.filled {
		last := r.found[len(r.found)-1]
		last.total, last.size, last.shown = r.page.Total, r.size, r.page.Before+int64(len(r.found))
		if err := r.one(`SELECT name FROM view_set WHERE id=?`, []any{last.id >> orderBits}, &last.set); err != nil {
			return query.Page{}, err
		}
		r.page.Next = last.token(r.binding())
	}
	return r.page, nil
}

// find finds the members of the page. When no condition leaves only a few, some
// resources are gone through in order first, which is mostly enough; when it was
// not, a condition that leaves more than a few is looked for, and in the end all
// are gone through.
func (r *queryRun) find() error {
	if err := r.estimate(r.views.fewest); err != nil {
		return err
	}
	if r.fewer != nil || len(r.search) > 0 {
		return r.tiers()
	}
	ordered, choosy := len(r.q.OrderBy) > 0, len(r.q.Where) > 0 && r.members > int64(r.views.scanned)
	switch {
	case !ordered && choosy:
		return r.inOrder()
	case !ordered:
		return r.walk()
	case !choosy:
		return r.tiers()
	}
	if len(r.q.OrderBy[0].Path) == 1 {
		r.limit = r.views.scanned
		err := r.tiers()
		r.limit = 0
		if err != nil || r.filled || !r.rest {
			return err
		}
		r.found = nil
	}
	// To collect resources costs as much as there are; to go through all in
	// order until a page is full costs the more, the fewer there are. The two
	// are equal where they are the square root of page size times resources.
	if err := r.estimate(r.between(math.Sqrt(float64(r.size) * float64(r.members)))); err != nil {
		return err
	}
	return r.tiers()
}

// between returns a limit for estimate that is not far from n.
func (r *queryRun) between(n float64) int64 {
	few := int64(upTo(int(min(n, float64(r.views.most)))))
	return min(max(few, r.views.fewest), r.views.most)
}

// inOrder finds the members of a page in the order in which they came up.
func (r *queryRun) inOrder() error {
	begin := r.at
	defer func() { r.at = begin }()
	gone := (r.views.scanned + 3) / 4
	r.limit = gone
	err := r.walk()
	r.limit = 0
	if err != nil || r.filled || !r.rest {
		return err
	}
	// At this rate, it takes so many more. To go through one takes as long as to see
	// for sixteen whether a condition leaves them.
	need, had := int64(r.size-len(r.found)+1), int64(max(len(r.found), 1))
	few := r.between(16 * float64(need) * float64(gone) / float64(had))
	if had*r.members/int64(gone) < few { // else the other conditions leave more, as it seems
		if err := r.estimate(few); err != nil {
			return err
		}
	}
	if r.fewer == nil {
		return r.walk()
	}
	// They are collected as far as the page should reach, and then a few times farther.
	first := begin.id
	if !begin.begun {
		first = r.at.id &^ maxOrder
	}
	r.at.begun = true
	width := 2 * float64(need) * float64(r.at.id-first) / float64(had)
	for more := 3; !r.filled && err == nil && r.at.id < math.MaxInt64; more-- {
		r.until = math.MaxInt64
		if end := float64(r.at.id) + width; more > 0 && end < maxSets {
			r.until = int64(end)
		}
		err = r.fetch(byNumber)
		r.at.id, width = r.until, 4*width
	}
	return err
}

// maxSets is more than the number of any resource.
const maxSets = 1 << 62

func (r *queryRun) tiers() error {
	begin := r.at
	defer func() { r.at = begin }()
	for tier := begin.tier; tier < max(1, len(r.search)) && !r.filled; tier++ {
		if tier > begin.tier {
			r.at = mark{tier: tier}
		}
		if err := r.tier(); err != nil {
			return err
		}
	}
	return nil
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
	r.size = min(r.size, maxSize)
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

// searchTiers returns the FTS5 expressions for resources that have every string in
// their titles, and for those that have some of them elsewhere. How many other
// resources have them does not count: a score that changed with those would move
// resources from page to page. A star at the end of a string stands for the rest of
// its last word.
func searchTiers(search []string) []string {
	if len(search) == 0 {
		return nil
	}
	phrases := make([]string, len(search))
	for i, s := range search {
		words, beginning := strings.CutSuffix(s, "*")
		phrases[i] = `"` + strings.ReplaceAll(strings.ReplaceAll(words, `"`, `""`), "\x00", " ") + `"`
		if beginning {
			phrases[i] += " *"
		}
	}
	all := strings.Join(phrases, " AND ")
	return []string{
		fmt.Sprintf("{title} : (%s)", all),
		fmt.Sprintf("(%s) NOT {title} : (%[1]s)", all),
	}
}

// estimate finds a condition that leaves fewer than few, and rather one that leaves far
// fewer than another one; and the one of few values along which resources are the
// farthest apart.
func (r *queryRun) estimate(few int64) error {
	farthest := int64(-1)
	for i := range r.q.Where {
		t := &r.q.Where[i]
		c := r.compile()
		text, inOrder, ok, err := c.driver(t, ``)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		var last int64 // whether there are so many is sooner seen than how many there are
		err = r.one(fmt.Sprintf(`%s LIMIT 1 OFFSET %d`, text, max(few-1, 0)), c.args, &last)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			r.fewer, few = t, few/4
		case err != nil:
			return err
		case inOrder && last > farthest:
			farthest, r.along, r.reach = last, t, last
		}
	}
	return nil
}

// tier adds the members of one tier of a search, or of all without a search.
func (r *queryRun) tier() error {
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
		r.at = mark{tier: r.at.tier}
	}
	if r.limit > 0 && r.rest {
		return nil // there may be more values
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

// fetch finds members up to a full page, and whether there are more.
func (r *queryRun) fetch(w way) error {
	c := r.compile()
	text, err := c.members(w)
	if err != nil {
		return err
	}
	rows, err := r.rows(text, c.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if len(r.found) == r.size {
			r.filled = true
			return rows.Close()
		}
		m := mark{tier: r.at.tier, begun: true, keys: make([][]byte, len(r.q.OrderBy))}
		to := []any{&m.id, &m.total}
		for i := range m.keys {
			to = append(to, &m.keys[i])
		}
		if err := rows.Scan(to...); err != nil {
			return err
		}
		if r.found = append(r.found, m); m.total >= 0 {
			r.page.Total = m.total
		}
	}
	return rows.Err()
}

// read reads the resources of the members that have been found, but not yet been read.
func (r *queryRun) read() (err error) {
	for from := r.parsing.n; from < len(r.found); from += readAtOnce {
		if err := r.readSome(from, r.found[from:min(from+readAtOnce, len(r.found))]); err != nil {
			return err
		}
	}
	r.page.Members, err = r.parsing.end()
	for i := range r.page.Members {
		if len(r.search) > 0 {
			r.page.Members[i].Score = scores[r.found[i].tier]
		}
	}
	return err
}

// readAtOnce is how many resources are read with one statement.
const readAtOnce = 500

func (r *queryRun) readSome(from int, found []mark) error {
	at := make(map[int64]int, len(found))
	ids := make([]any, upTo(len(found))) // few lengths, so that the statement is a known one
	for i := range ids {
		ids[i] = found[0].id
	}
	for i := range found {
		ids[i], at[found[i].id] = found[i].id, from+i
	}
	rows, err := r.rows(`SELECT v.id, `+memberColumns+` FROM view_resource v WHERE id IN (?`+strings.Repeat(`,?`, len(ids)-1)+`)`, ids...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		id, m, graph, err := scanMember(rows)
		if err != nil {
			return err
		}
		r.parsing.add(at[id], m, graph)
	}
	return rows.Err()
}

// total counts what the query finds, or returns -1.
func (r *queryRun) total() (int64, error) {
	switch {
	case len(r.q.Where) == 0 && len(r.search) == 0:
		return r.members, nil
	case !r.filled:
		return int64(len(r.found)), nil
	case r.members > countedUpTo:
		return -1, nil
	}
	var sum int64
	for tier := range max(1, len(r.search)) {
		c := r.compile()
		text, err := c.count(tier)
		if err != nil {
			return 0, err
		}
		var n int64
		rows, err := r.rows(text, c.args...)
		if err == nil {
			err = scanOne(rows, &n)
		}
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// binding names the query, so that the key of a page is good for no other one.
func (r *queryRun) binding() string {
	only := query.Query{Where: r.q.Where, Search: r.q.Search, OrderBy: r.q.OrderBy, Prefixes: r.q.Prefixes}
	return r.name + "?" + only.Values().Encode()
}

// only returns the ranges of single keys.
func only(keys [][]byte) []query.Range {
	out := make([]query.Range, len(keys))
	for i, k := range keys {
		out[i] = query.Range{From: k, To: append(bytes.Clone(k), 0)}
	}
	return out
}

// single reports whether the range is a single key.
func single(r query.Range) bool {
	return len(r.To) == len(r.From)+1 && r.To[len(r.From)] == 0 && bytes.HasPrefix(r.To, r.From)
}
