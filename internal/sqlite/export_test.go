package sqlite

import (
	"context"
	"fmt"
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
