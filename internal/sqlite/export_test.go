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
