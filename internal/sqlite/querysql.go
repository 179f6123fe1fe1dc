package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/query"
)

// sqlText is SQL in the making, with its arguments in the order of their question
// marks.
type sqlText struct {
	r    *queryRun
	b    strings.Builder
	args []any
	n    int // aliases given

	scattered bool // resources do not come in order
}

func (r *queryRun) compile() *sqlText { return &sqlText{r: r} }

func (c *sqlText) add(text string, args ...any) {
	c.b.WriteString(text)
	c.args = append(c.args, args...)
}

// properties returns the numbers of a property: in our container, or in all of
// them. Without one, no resource has the property.
func (c *sqlText) properties(iri string, everywhere bool) (string, error) {
	known := &c.r.views.db.properties
	name := columnName{iri, c.r.container}
	if ids, ok := known.Load(name); ok && !everywhere {
		return ids.(string), nil
	}
	text, args := `SELECT id FROM view_property WHERE iri=?`, []any{iri}
	if !everywhere {
		text, args = text+` AND container=?`, append(args, c.r.container)
	}
	rows, err := c.r.rows(text, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return "", err
		}
		list = append(list, id)
	}
	ids := strings.Join(list, ",")
	if ids != "" && !everywhere {
		known.Store(name, ids)
	}
	return ids, rows.Err()
}

// columnName is what the number of a property in a container is remembered by.
// Numbers never change.
type columnName struct {
	iri       string
	container int64
}

// terms adds " AND term" for each condition on a node of a resource. Only the
// resource itself is known to be of our container: what it links to may be anywhere.
func (c *sqlText) terms(w query.Where, resource, node string, own bool, but *query.Term) error {
	for i := range w {
		if &w[i] == but {
			continue
		}
		if err := c.term(&w[i], resource, node, own); err != nil {
			return err
		}
	}
	return nil
}

func (c *sqlText) term(t *query.Term, resource, node string, own bool) error {
	c.n++
	f, index := fmt.Sprintf("f%d", c.n), ""
	ranges, not, _ := t.Ranges()
	if own {
		keys, few, err := c.r.values(t)
		if err != nil {
			return err
		}
		// What has one of these values stands together in the index by value, in the
		// order of resources, while what is known of one resource is at another place
		// for each. Out of order that is near only for a value that few have, as those
		// mostly are that are asked for exactly.
		near := !c.scattered || !slices.ContainsFunc(ranges, func(r query.Range) bool { return !single(r) })
		if few {
			ranges = only(keys)
		}
		if few && len(keys) > 0 && near {
			index = ` INDEXED BY view_fact_value`
		}
	}
	c.add(fmt.Sprintf(` AND EXISTS (SELECT 1 FROM view_fact %[1]s%[4]s WHERE %[1]s.resource=%[2]s AND %[1]s.node=%[3]s`, f, resource, node, index))
	if t.Property != "*" {
		ids, err := c.properties(t.Property, !own)
		if err != nil {
			return err
		}
		if index != "" {
			c.add(fmt.Sprintf(` AND %s.property=%s`, f, or0(ids)))
		} else {
			c.add(fmt.Sprintf(` AND %s.property IN (%s)`, f, ids))
		}
	}
	if t.Op != query.Scoped {
		c.add(` AND `)
		c.compare(ranges, not, f+".key")
		c.add(`)`)
		return nil
	}
	// Where a fact leads: to a node of the same resource, and to another resource.
	s := fmt.Sprintf("s%d", c.n)
	c.add(fmt.Sprintf(` AND EXISTS (SELECT 1 FROM (SELECT %[1]s.resource AS resource, %[1]s.key AS node UNION ALL %[2]s) %[3]s WHERE 1`,
		f, linked(f), s))
	if err := c.terms(t.Scope, s+".resource", s+".node", false, nil); err != nil {
		return err
	}
	c.add(`))`)
	return nil
}

// linked selects the resource that a fact links to, and its own node.
func linked(f string) string {
	return fmt.Sprintf(`SELECT l.id, x'' FROM view_resource l
		WHERE substr(%[1]s.key, 1, 1)=x'%02[2]x' AND length(%[1]s.key)<=%[3]d AND l.uri=CAST(substr(%[1]s.key, 2) AS TEXT) AND NOT l.deleted`,
		f, query.LinkClass, query.MaxLink+1)
}

// compare adds the condition that a key is in one of the ranges, or in none of them.
func (c *sqlText) compare(ranges []query.Range, not bool, key string) {
	if not {
		c.add(`NOT `)
	}
	var singles []any
	between := `(`
	for _, r := range ranges {
		if single(r) {
			singles = append(singles, r.From)
			continue
		}
		c.add(between+fmt.Sprintf(`(%[1]s>=? AND %[1]s<?)`, key), r.From, r.To)
		between = ` OR `
	}
	switch {
	case len(singles) > 0:
		c.add(between+fmt.Sprintf(`%s IN (?%s)`, key, strings.Repeat(`,?`, len(singles)-1)), singles...)
	case len(ranges) == 0:
		c.add(`(0`)
	}
	c.add(`)`)
}

// ownNode is the condition that a statement is about the resource itself.
const ownNode = ` AND node=x''`

// driver adds a select of the numbers of the resources that fulfil t, along the
// index by value; inOrder says that they come in order, but for few values twice where
// they have two of them. ok is false for a condition that the index is no help for. of
// is whose statements count: ownNode is those about the resource itself; without it,
// which is sooner seen, those about nodes within it count too.
func (c *sqlText) driver(t *query.Term, of string) (text string, inOrder, ok bool, err error) {
	ranges, not, _ := t.Ranges()
	if t.Op == query.Scoped || t.Property == "*" || not {
		return "", false, false, nil
	}
	keys, inOrder, err := c.r.values(t)
	if err != nil {
		return "", false, false, err
	}
	if inOrder {
		ranges = only(keys)
	}
	ids, err := c.properties(t.Property, false)
	if err != nil {
		return "", false, false, err
	}
	if ids == "" {
		ranges = nil // nothing here has the property
	}
	var parts []string
	for _, r := range ranges {
		cond := `key>=? AND key<?`
		if single(r) {
			cond = `key=?`
			c.args = append(c.args, r.From)
		} else {
			c.args = append(c.args, r.From, r.To)
		}
		// One property of our container has one number.
		parts = append(parts, fmt.Sprintf(`SELECT resource FROM view_fact INDEXED BY view_fact_value WHERE property=%s AND %s%s`, ids, cond, of))
	}
	switch len(parts) {
	case 0:
		return `SELECT 0 AS resource WHERE 0`, true, true, nil
	case 1:
		return parts[0], inOrder, true, nil
	}
	text = strings.Join(parts, ` UNION ALL `)
	if inOrder {
		text += ` ORDER BY resource`
	}
	return text, inOrder, true, nil
}

// from adds the FROM clause of a way, which has the number of a resource and for
// byValue its key, and the start of the WHERE clause. It returns what the number is
// called, and the term that needs no condition any more.
func (c *sqlText) from(w way, tier int) (id string, done *query.Term, err error) {
	r := c.r
	switch {
	case w == byValue:
		return "d.resource", nil, c.values()
	case r.fewer != nil:
		in := r.compile()
		text, _, _, err := in.driver(r.fewer, ownNode)
		if err != nil {
			return "", nil, err
		}
		// In the order of resources, in which they stand together in the indexes.
		c.add(` FROM (SELECT resource FROM (`+text+`)`, in.args...)
		if r.until > 0 {
			c.add(` WHERE resource>? AND resource<=?`, r.at.id, r.until)
		}
		c.add(` GROUP BY resource) d WHERE 1`)
		if len(r.search) > 0 {
			c.add(` AND EXISTS (SELECT 1 FROM view_text WHERE view_text MATCH ? AND rowid=d.resource)`, r.search[tier])
		}
		return "d.resource", r.fewer, nil
	case len(r.search) > 0:
		c.add(` FROM view_text t WHERE view_text MATCH ? AND `, r.search[tier])
		c.listed("t.rowid")
		if w == byNumber && r.at.begun {
			c.add(` AND t.rowid>?`, r.at.id)
		}
		return "t.rowid", nil, nil
	}
	in := r.compile()
	in.add(`SELECT id AS resource FROM view_resource INDEXED BY view_resource_listed WHERE container=? AND NOT deleted`, r.container)
	c.add(` FROM (`+in.b.String()+`) d WHERE 1`, in.args...)
	return "d.resource", nil, nil
}

// bounded leaves no more than the limit of a select, by a condition rather than by a
// LIMIT: around that SQLite would sort what is in order already, and look at all of it
// before the first row. The select begins with the columns that order it, in that order.
func (c *sqlText) bounded(order, columns, compare string) error {
	r := c.r
	if r.limit <= 0 {
		return nil
	}
	last := make([]any, 1+strings.Count(columns, ","))
	to := make([]any, len(last))
	for i := range last {
		to[i] = &last[i]
	}
	err := r.one(c.b.String()+order+fmt.Sprintf(` LIMIT 1 OFFSET %d`, r.limit-1), c.args, to...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	r.rest = true
	c.add(` AND (`+columns+`)`+compare+`(?`+strings.Repeat(`,?`, len(last)-1)+`)`, last...)
	return nil
}

// listed adds the condition that a number is of a resource of our container that is
// there.
func (c *sqlText) listed(id string) {
	c.add(`EXISTS (SELECT 1 FROM view_resource INDEXED BY view_resource_listed WHERE container=? AND id=`+id+` AND NOT deleted)`, c.r.container)
}

// values adds the FROM clause that goes through the values of the first key.
func (c *sqlText) values() error {
	r := c.r
	ids, err := c.properties(r.q.OrderBy[0].Path[0], false)
	if err != nil {
		return err
	}
	from, to, down := `>=`, `<=`, r.q.OrderBy[0].Descending
	if down {
		from, to = to, from
	}
	in := r.compile()
	in.add(fmt.Sprintf(`SELECT key, resource FROM view_fact INDEXED BY view_fact_value WHERE property=%s AND node=x''`, or0(ids)))
	if r.at.begun {
		in.add(` AND key`+from+`?`, r.at.keys[0])
	}
	if err := in.bounded(` ORDER BY key`+direction(down)+`, resource`+direction(down), `key, resource`, to); err != nil {
		return err
	}
	c.add(` FROM (`+in.b.String()+`) d WHERE 1`, in.args...)
	return nil
}

// firstValue adds the condition that d has the least value of its resource, or the
// greatest one when they descend.
func (c *sqlText) firstValue() error {
	s := &c.r.q.OrderBy[0]
	ids, err := c.properties(s.Path[0], false)
	if err != nil {
		return err
	}
	other := `<`
	if s.Descending {
		other = `>`
	}
	c.add(fmt.Sprintf(` AND NOT EXISTS (SELECT 1 FROM view_fact o
		WHERE o.resource=d.resource AND o.node=x'' AND o.property=%s AND o.key%sd.key)`, or0(ids), other))
	return nil
}

func or0(ids string) string {
	if ids == "" {
		return "0"
	}
	return ids
}

// members returns the SELECT for the numbers, the total or -1, and the values of
// the keys of the members of a page and the first one after it.
func (c *sqlText) members(w way) (string, error) {
	r := c.r
	in := r.compile() // the keys come before what they are keys of
	id, done, err := in.from(w, r.at.tier)
	if err != nil {
		return "", err
	}
	c.scattered = w == byValue
	c.add(`SELECT ` + id)
	if r.fewer != nil && len(r.search) == 0 && !r.at.begun {
		c.add(`, count(*) OVER ()`) // all are at hand
	} else {
		c.add(`, -1`)
	}
	keys := make([]string, len(r.q.OrderBy))
	for i := range r.q.OrderBy {
		keys[i] = fmt.Sprintf("k%d", i)
		c.add(`, `)
		switch {
		case i == 0 && w == byValue:
			c.add(`d.key`)
		case i == 0 && w == withoutValue:
			c.add(`NULL`)
		default:
			if err := c.sortKey(&r.q.OrderBy[i], id); err != nil {
				return "", err
			}
		}
		c.add(` AS ` + keys[i])
	}
	c.add(in.b.String(), in.args...)
	if w == withoutValue {
		ids, err := c.properties(r.q.OrderBy[0].Path[0], false)
		if err != nil {
			return "", err
		}
		c.add(fmt.Sprintf(` AND NOT EXISTS (SELECT 1 FROM view_fact o WHERE o.resource=%s AND o.node=x'' AND o.property IN (%s))`, id, ids))
	}
	if err := c.terms(r.q.Where, id, "x''", true, done); err != nil {
		return "", err
	}
	if w == byValue {
		if err := c.firstValue(); err != nil {
			return "", err
		}
	}
	down := len(r.q.OrderBy) > 0 && r.q.OrderBy[0].Descending
	if r.at.begun {
		c.add(` AND `)
		c.after(keys, id, down)
	}
	c.add(` ORDER BY `)
	for i, s := range r.q.OrderBy {
		switch {
		case i == 0 && w == withoutValue:
			continue
		case i > 0 || w != byValue:
			c.add(keys[i] + ` IS NULL, `)
		}
		c.add(keys[i] + direction(s.Descending) + `, `)
	}
	// A limit that is bound has the statement prepared anew for each other one.
	c.add(fmt.Sprintf(`%s%s LIMIT %d`, id, direction(down), upTo(r.size+1)))
	return c.b.String(), nil
}

// upTo returns the power of two that is not less than n, so that statements with a
// number in them are few.
func upTo(n int) int { return 1 << bits.Len(uint(n-1)) }

func direction(down bool) string {
	if down {
		return ` DESC`
	}
	return ``
}

// after adds the condition that a resource comes after the mark: a NULL comes after
// every value.
func (c *sqlText) after(keys []string, id string, down bool) {
	for i, key := range keys {
		v, compare := c.r.at.keys[i], `>`
		if c.r.q.OrderBy[i].Descending {
			compare = `<`
		}
		if v == nil {
			c.add(fmt.Sprintf(`(%s IS NULL AND `, key))
		} else {
			c.add(fmt.Sprintf(`(%[1]s%[2]s? OR %[1]s IS NULL OR %[1]s=? AND `, key, compare), v, v)
		}
	}
	compare := `>`
	if down {
		compare = `<`
	}
	c.add(id+compare+`?`+strings.Repeat(`)`, len(keys)), c.r.at.id)
}

// sortKey adds the value that a resource is sorted by: the least of several, or
// the greatest when they descend.
func (c *sqlText) sortKey(s *query.Sort, id string) error {
	least := `min`
	if s.Descending {
		least = `max`
	}
	ids, err := c.properties(s.Path[0], false)
	if err != nil {
		return err
	}
	if len(s.Path) == 1 {
		c.add(fmt.Sprintf(`(SELECT %s(o.key) FROM view_fact o WHERE o.resource=%s AND o.node=x'' AND o.property IN (%s))`, least, id, ids))
		return nil
	}
	nodes := `SELECT ` + id + ` AS resource, x'' AS node`
	for _, iri := range s.Path[1:] {
		facts := fmt.Sprintf(`FROM (%s) n JOIN view_fact f ON f.resource=n.resource AND f.node=n.node AND f.property IN (%s)`, nodes, ids)
		nodes = fmt.Sprintf(`SELECT f.resource AS resource, f.key AS node %[1]s UNION ALL SELECT l.id, x'' %[1]s JOIN view_resource l
			ON substr(f.key, 1, 1)=x'%02[2]x' AND length(f.key)<=%[3]d AND l.uri=CAST(substr(f.key, 2) AS TEXT) AND NOT l.deleted`,
			facts, query.LinkClass, query.MaxLink+1)
		if ids, err = c.properties(iri, true); err != nil {
			return err
		}
	}
	c.add(fmt.Sprintf(`(SELECT %s(f.key) FROM (%s) n JOIN view_fact f ON f.resource=n.resource AND f.node=n.node AND f.property IN (%s))`,
		least, nodes, ids))
	return nil
}

// count returns the SELECT that counts what a tier has.
func (c *sqlText) count(tier int) (string, error) {
	c.add(`SELECT count(*)`)
	id, done, err := c.from(collected, tier)
	if err != nil {
		return "", err
	}
	err = c.terms(c.r.q.Where, id, "x''", true, done)
	return c.b.String(), err
}
