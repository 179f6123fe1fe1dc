package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/ntriples"
)

// walk goes through resources in the order in which they came up, after those that it
// has gone through before, up to a full page or the limit. Conditions on a resource
// itself are held against its row, which is needed for the answer anyway, unless they
// leave one value: what has that stands together in the index.
func (r *queryRun) walk() error {
	to, err := r.bound()
	if err != nil {
		return err
	}
	c := r.compile()
	checks, err := c.walk(to)
	if err != nil || c.b.Len() == 0 {
		return err
	}
	rows, err := r.rows(c.b.String(), c.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		id, m, graph, err := scanMember(rows)
		if err != nil {
			return err
		}
		if id == r.at.id {
			continue // it has two of the values
		}
		r.at.id = id
		if ok, err := checks.hold(m.URI, graph); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if len(r.found) == r.size {
			r.filled = true
			return rows.Close()
		}
		r.found = append(r.found, mark{begun: true, id: id})
		r.parsing.add(len(r.found)-1, m, graph)
	}
	r.at.id, r.rest = to, to < math.MaxInt64
	return rows.Err()
}

// bound returns the resource up to which a walk goes: there are about as many as the
// limit until then. It is the highest number where there are no more.
func (r *queryRun) bound() (to int64, err error) {
	switch {
	case r.limit <= 0:
		return math.MaxInt64, nil
	case r.along != nil && r.reach > r.at.id:
		return r.reach, nil
	}
	c := r.compile()
	text := `SELECT id AS resource FROM view_resource INDEXED BY view_resource_listed WHERE container=? AND NOT deleted`
	if r.along == nil {
		c.args = append(c.args, r.container)
	} else if text, _, _, err = c.driver(r.along, ``); err != nil {
		return 0, err
	}
	text = fmt.Sprintf(`SELECT resource FROM (%s) WHERE resource>? LIMIT 1 OFFSET %d`, text, r.limit-1)
	if err = r.one(text, append(c.args, r.at.id), &to); errors.Is(err, sql.ErrNoRows) {
		return math.MaxInt64, nil
	}
	return to, err
}

// walk is the SELECT for the rows of the resources up to to that fulfil the conditions
// but those that it returns, in order. It is empty where no resource does.
func (c *sqlText) walk(to int64) (checks rowChecks, err error) {
	r := c.r
	var indexed []*query.Term
	for i := range r.q.Where {
		t := &r.q.Where[i]
		if t == r.along {
			continue
		}
		keys, few, err := r.values(t)
		if err != nil {
			return nil, err
		}
		if t.Op == query.Scoped || few && len(keys) == 1 {
			indexed = append(indexed, t)
			continue
		}
		check, err := newRowCheck(t)
		if err != nil {
			return nil, err
		}
		checks = append(checks, check)
	}
	if r.along == nil {
		c.add(`SELECT v.id, `+memberColumns+` FROM view_resource v INDEXED BY view_resource_listed
			WHERE v.container=? AND NOT v.deleted AND v.id>? AND v.id<=?`, r.container, r.at.id, to)
		for _, t := range indexed {
			if err := c.term(t, "v.id", "x''", true); err != nil {
				return nil, err
			}
		}
		c.add(` ORDER BY v.id`)
		return checks, nil
	}
	keys, _, err := r.values(r.along)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	property, err := c.properties(r.along.Property, false)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		if i > 0 {
			c.add(` UNION ALL `)
		}
		c.add(`SELECT d.resource AS id, `+memberColumns+` FROM view_fact d INDEXED BY view_fact_value CROSS JOIN view_resource v ON v.id=d.resource
			WHERE d.property=`+property+` AND d.key=? AND d.node=x'' AND d.resource>? AND d.resource<=?`, key, r.at.id, to)
		for _, t := range indexed {
			if err := c.term(t, "d.resource", "x''", true); err != nil {
				return nil, err
			}
		}
	}
	c.add(` ORDER BY id`)
	return checks, nil
}

// memberColumns are what scanMember reads of v, behind its number.
const memberColumns = `v.uri, v.event, v.modified, v.graph`

// scanMember reads a row. The graph, as it is stored, is good until the next one.
func scanMember(rows *sql.Rows) (id int64, m query.Member, graph []byte, err error) {
	var ms int64
	var raw sql.RawBytes
	err = rows.Scan(&id, &m.URI, &m.Revision, &ms, &raw)
	m.Modified = milli(ms)
	return id, m, raw, err
}

type rowChecks []rowCheck

// A rowCheck holds a condition on a resource against its graph as it is stored.
type rowCheck struct {
	predicate []byte // and the space after it; nil is any
	in        []query.Range
	not       bool
	known     map[string]bool // what it says of objects, by their text
}

// knownObjects is how many objects a rowCheck remembers: many resources have the same
// few, or each has another one.
const knownObjects = 32

func newRowCheck(t *query.Term) (k rowCheck, err error) {
	k.known = make(map[string]bool, knownObjects)
	k.in, k.not, _ = t.Ranges()
	if t.Property != "*" {
		k.predicate, err = ntriples.AppendTerm(nil, rdf.NewIRI(t.Property))
		k.predicate = append(k.predicate, ' ')
	}
	return k, err
}

// hold reports whether all of them hold for the resource.
func (list rowChecks) hold(uri string, graph []byte) (bool, error) {
	if len(list) == 0 {
		return true, nil
	}
	subject, err := ntriples.AppendTerm(make([]byte, 0, 256), rdf.NewIRI(uri))
	if err != nil {
		return false, err
	}
	subject = append(subject, ' ')
	for i := range list {
		if ok, err := list[i].holds(subject, graph); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (k *rowCheck) holds(subject, graph []byte) (bool, error) {
	for len(graph) > 0 {
		var line []byte
		line, graph, _ = bytes.Cut(graph, []byte("\n"))
		said, ok := bytes.CutPrefix(line, subject)
		if !ok || !bytes.HasPrefix(said, k.predicate) {
			continue
		}
		holds, ok := k.known[string(said)]
		if !ok {
			g, err := ntriples.Parse(line, rdf.Limits{})
			if err != nil {
				return false, fmt.Errorf("a stored statement: %w", err)
			}
			holds = k.has(query.Key(nil, g.Triples()[0].O)) != k.not
			if len(k.known) < knownObjects {
				k.known[string(said)] = holds
			}
		}
		if holds {
			return true, nil
		}
	}
	return false, nil
}

func (k *rowCheck) has(key []byte) bool {
	for _, r := range k.in {
		if bytes.Compare(key, r.From) >= 0 && bytes.Compare(key, r.To) < 0 {
			return true
		}
	}
	return false
}
