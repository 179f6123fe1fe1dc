package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
)

const pageSchema = `
CREATE TABLE IF NOT EXISTS page (
	id   INTEGER PRIMARY KEY AUTOINCREMENT,
	key  TEXT NOT NULL UNIQUE,
	body BLOB NOT NULL
)`

// pagesOnDisk is how many bytes of rendered pages are kept.
const pagesOnDisk = 256 << 20

// Pages keep rendered pages in the cache file: when they are more than their limit
// the oldest go.
type Pages struct {
	c     *Cache
	limit int64
	size  int64 // -1 until it is known; guarded by c.mu
}

var _ trs.Pages = (*Pages)(nil)

// Pages returns the rendered pages that are kept in c.
func (c *Cache) Pages() *Pages { return &Pages{c: c, limit: pagesOnDisk, size: -1} }

// Page implements trs.Pages.
func (p *Pages) Page(ctx context.Context, key string) ([]byte, error) {
	var body []byte
	err := p.c.db.QueryRowContext(ctx, `SELECT body FROM page WHERE key=?`, key).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return body, oslc.E("sqlite.page", classify(err))
}

// KeepPage implements trs.Pages.
func (p *Pages) KeepPage(ctx context.Context, key string, page []byte) error {
	const op = "sqlite.keep_page"
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if p.size < 0 {
		if err := p.c.db.QueryRowContext(ctx, `SELECT coalesce(sum(length(body)), 0) FROM page`).Scan(&p.size); err != nil {
			return oslc.E(op, classify(err))
		}
	}
	tx, err := p.c.db.BeginTx(ctx, nil)
	if err != nil {
		return oslc.E(op, classify(err))
	}
	size, err := p.keep(ctx, tx, key, page)
	if err != nil {
		return oslc.E(op, classify(errors.Join(err, ignoreDone(tx.Rollback()))))
	}
	if err := tx.Commit(); err != nil {
		return oslc.E(op, classify(err))
	}
	p.size = size
	return nil
}

func (p *Pages) keep(ctx context.Context, tx *sql.Tx, key string, page []byte) (size int64, err error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO page(key, body) VALUES (?, ?) ON CONFLICT DO NOTHING`, key, page)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	size = p.size + n*int64(len(page))
	for err == nil && size > p.limit {
		var gone int64
		err = tx.QueryRowContext(ctx, `DELETE FROM page WHERE id=(SELECT min(id) FROM page) RETURNING length(body)`).Scan(&gone)
		size -= gone
		if errors.Is(err, sql.ErrNoRows) {
			return 0, nil
		}
	}
	return size, err
}
