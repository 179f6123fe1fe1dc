package sqlite

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/query"
)

// SetVersion makes the file look like one of another release.
func (db *DB) SetVersion(ctx context.Context, v int) error {
	_, err := db.w.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", v))
	return err
}

// LimitPages bounds how many pages the file may have; one that has more already
// can't grow.
func (db *DB) LimitPages(ctx context.Context, n int) error {
	_, err := db.w.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count=%d", max(n, 1)))
	return err
}

// Collect sets between how many resources a condition has to leave for them to be
// collected, and how many are gone through before that is found out.
func (v *Views) Collect(fewest, most int64, scanned int) {
	v.fewest, v.most, v.scanned = fewest, most, scanned
}

// HoldWrites lets no write begin until release is called.
func (db *DB) HoldWrites() (release func()) {
	db.writing.Lock()
	return db.writing.Unlock
}

// Waiting returns how many writes wait for a transaction.
func (db *DB) Waiting() int {
	db.queue.mu.Lock()
	defer db.queue.mu.Unlock()
	return len(db.queue.wait)
}

// WriteSchema1 makes a file of the first schema and runs statements in it.
func WriteSchema1(ctx context.Context, path, statements string) error {
	db, err := open(path, "FULL")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, migrations[0].text+";PRAGMA user_version=1;"+statements)
	return err
}

// TokenAgain reads the key of a page and writes it again.
func TokenAgain(token, binding string, keys int) (string, error) {
	m, err := parseToken(token, binding, keys)
	if err != nil {
		return "", err
	}
	return m.token(binding), nil
}

// SomeToken is the key of a page of the binding, with two sort keys.
func SomeToken(binding string) string {
	return mark{tier: 1, keys: [][]byte{nil, []byte("key")}, id: 1 << 40, set: "st2", size: 100, total: -1, shown: 7}.token(binding)
}

// Sorts reports whether SQLite sorts what it goes through in order for the first page of
// a query whose conditions leave many.
func (v *Views) Sorts(ctx context.Context, provider, collection string, q *query.Query) (bool, error) {
	tx, err := v.db.r.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	r := queryRun{ctx: ctx, tx: tx, q: q, views: v, name: containerName(provider, collection), limit: v.scanned, parsing: &parsing{views: v}}
	if err := r.prepare(); err != nil {
		return false, err
	}
	if err := r.one(`SELECT id, members FROM view_container WHERE name=?`, []any{r.name}, &r.container, &r.members); err != nil {
		return false, err
	}
	if err := r.estimate(v.fewest); err != nil {
		return false, err
	}
	c := r.compile()
	text := ""
	if len(q.OrderBy) > 0 {
		text, err = c.members(byValue)
	} else {
		_, err = c.walk(math.MaxInt64)
		text = c.b.String()
	}
	if err != nil {
		return false, err
	}
	rows, err := tx.QueryContext(ctx, `EXPLAIN QUERY PLAN `+text, c.args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	sorts := false
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return false, err
		}
		sorts = sorts || strings.Contains(detail, "B-TREE FOR ORDER BY")
	}
	return sorts, rows.Err()
}

// StoredValue returns what the file has of the value of a record of the topic "topic".
func (db *DB) StoredValue(ctx context.Context, offset int64) (b []byte, err error) {
	err = db.w.QueryRowContext(ctx, `SELECT value FROM log_record WHERE id=?`, db.topics["topic"].first()|offset).Scan(&b)
	return b, err
}

// StoreValue changes what StoredValue returns.
func (db *DB) StoreValue(ctx context.Context, offset int64, b []byte) error {
	_, err := db.w.ExecContext(ctx, `UPDATE log_record SET value=? WHERE id=?`, b, db.topics["topic"].first()|offset)
	return err
}
