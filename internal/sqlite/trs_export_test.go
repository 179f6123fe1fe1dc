package sqlite

import (
	"context"
	"errors"
)

// WriteSchema2 makes a file of the second schema with the sets, changes and
// resources of another file.
func WriteSchema2(ctx context.Context, path string, from *DB) (err error) {
	db, err := open(path, "FULL")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, migrations[0].text+";"+migrations[1].text+";PRAGMA user_version=2"); err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `ATTACH DATABASE ? AS made`, from.path); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, `
		INSERT INTO view_set(id, name) SELECT id, name FROM made.view_set;
		INSERT INTO view_resource SELECT * FROM made.view_resource;
		INSERT INTO view_change("set", "order", event, kind, resource, time)
			SELECT "set", "order", event, kind, resource, time FROM made.view_change;
		DETACH DATABASE made`)
	return err
}

// Rows counts the rows of tables.
func (db *DB) Rows(ctx context.Context, tables ...string) ([]int, error) {
	out := make([]int, len(tables))
	for i, name := range tables {
		if err := db.r.QueryRowContext(ctx, `SELECT count(*) FROM `+name).Scan(&out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PagesOf returns the pages of c with another limit.
func PagesOf(c *Cache, limit int64) *Pages {
	p := c.Pages()
	p.limit = limit
	return p
}

// Exec changes the file behind the back of the views.
func (db *DB) Exec(ctx context.Context, text string) error {
	_, err := db.w.ExecContext(ctx, text)
	return err
}
