package sqlite

import (
	"fmt"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/query"
)

// fewValues is how many values a condition may leave for resources to be looked up by
// each of them.
const fewValues = 4

// termValues are the keys of the values that fulfil a condition, if they are few.
type termValues struct {
	keys [][]byte
	few  bool
}

// values returns the keys that fulfil t and that something in our container has, if they
// are few. A condition mostly asks for more than that: "1" may be a string in any
// language and a number, true may be written 1, and what is >= 3 may be 3 or 4 only.
func (r *queryRun) values(t *query.Term) (keys [][]byte, few bool, err error) {
	if v, ok := r.known[t]; ok {
		return v.keys, v.few, nil
	}
	v, err := r.findValues(t)
	if err != nil {
		return nil, false, err
	}
	if r.known == nil {
		r.known = map[*query.Term]termValues{}
	}
	r.known[t] = v
	return v.keys, v.few, nil
}

func (r *queryRun) findValues(t *query.Term) (v termValues, err error) {
	ranges, not, _ := t.Ranges()
	if t.Op == query.Scoped || t.Property == "*" || not {
		return v, nil
	}
	c := r.compile()
	id, err := c.properties(t.Property, false)
	if err != nil || id == "" {
		return termValues{few: true}, err
	}
	for _, in := range ranges {
		if single(in) {
			v.keys = append(v.keys, in.From)
			continue
		}
		c.args = append(c.args, in.From, in.To)
	}
	if len(c.args) > 0 && len(v.keys) <= fewValues {
		// From each key to the next one, past what has it.
		next := `(SELECT key FROM view_fact INDEXED BY view_fact_value WHERE property=` + id + ` AND key%s AND key<%s ORDER BY key LIMIT 1)`
		rows, err := r.rows(fmt.Sprintf(`WITH RECURSIVE range(low, high) AS (VALUES (?, ?)%s), found(key, high) AS (
			SELECT `+next+`, high FROM range UNION ALL
			SELECT `+next+`, high FROM found WHERE key IS NOT NULL
		) SELECT key FROM found WHERE key IS NOT NULL LIMIT %d`, strings.Repeat(`, (?, ?)`, len(c.args)/2-1),
			`>=low`, `high`, `>found.key`, `high`, fewValues+1), c.args...)
		if err != nil {
			return v, err
		}
		defer rows.Close()
		for rows.Next() {
			var key []byte
			if err := rows.Scan(&key); err != nil {
				return v, err
			}
			v.keys = append(v.keys, key)
		}
		if err := rows.Err(); err != nil {
			return v, err
		}
	}
	if len(v.keys) > fewValues {
		return termValues{}, nil
	}
	v.few = true
	return v, nil
}
