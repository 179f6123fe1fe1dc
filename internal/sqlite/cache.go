package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// Cache is a file of its own for what sources can get again. After a power cut it
// may lack the latest writes, but never part of one. A file that is damaged or of
// a newer schema is made anew.
type Cache struct {
	db *sql.DB
	mu sync.Mutex
}

const cacheVersion = 1

const cacheSchema = `
CREATE TABLE IF NOT EXISTS entry (
	source TEXT NOT NULL,
	key    TEXT NOT NULL,
	value  BLOB NOT NULL,
	PRIMARY KEY (source, key)
);
PRAGMA user_version=1`

// OpenCache opens the cache file, and makes it and its folder when they are not
// there.
func OpenCache(ctx context.Context, path string) (*Cache, error) {
	const op = "sqlite.open_cache"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, oslc.E(op, err, oslc.Unavailable)
	}
	c, err := openCache(ctx, path)
	if errors.Is(err, oslc.Invalid) {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(path + suffix)
		}
		c, err = openCache(ctx, path)
	}
	return c, oslc.E(op, err)
}

func openCache(ctx context.Context, path string) (*Cache, error) {
	db, err := open(path, "NORMAL")
	if err != nil {
		return nil, err
	}
	var version int
	err = db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version)
	if err == nil && version > cacheVersion {
		err = oslc.Errorf("sqlite.cache", oslc.Invalid, "schema %d", version)
	}
	if err == nil {
		_, err = db.ExecContext(ctx, cacheSchema+";"+pageSchema)
	}
	if err != nil {
		return nil, classify(errors.Join(err, db.Close()))
	}
	return &Cache{db: db}, nil
}

// Close closes the file.
func (c *Cache) Close() error { return c.db.Close() }

// Of returns the part of one source.
func (c *Cache) Of(source string) *SourceCache { return &SourceCache{c, source} }

// SourceCache implements adapters.Cache.
type SourceCache struct {
	c      *Cache
	source string
}

var _ adapters.Cache = (*SourceCache)(nil)

// Get implements adapters.Cache.
func (s *SourceCache) Get(ctx context.Context, key string) ([]byte, error) {
	var v []byte
	err := s.c.db.QueryRowContext(ctx, `SELECT value FROM entry WHERE source=? AND key=?`, s.source, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return v, oslc.E("sqlite.cache_get", classify(err))
}

// Put implements adapters.Cache.
func (s *SourceCache) Put(ctx context.Context, writes map[string][]byte) error {
	const op = "sqlite.cache_put"
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	tx, err := s.c.db.BeginTx(ctx, nil)
	if err != nil {
		return oslc.E(op, classify(err))
	}
	if err := s.write(ctx, tx, writes); err != nil {
		return oslc.E(op, classify(errors.Join(err, ignoreDone(tx.Rollback()))))
	}
	return oslc.E(op, classify(tx.Commit()))
}

func (s *SourceCache) write(ctx context.Context, tx *sql.Tx, writes map[string][]byte) error {
	put, err := tx.PrepareContext(ctx, `INSERT INTO entry(source, key, value) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET value=excluded.value`)
	if err != nil {
		return err
	}
	defer put.Close()
	// In the order of the keys, pages are written once.
	for _, k := range slices.Sorted(maps.Keys(writes)) {
		if v := writes[k]; v == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM entry WHERE source=? AND key=?`, s.source, k)
		} else {
			_, err = put.ExecContext(ctx, s.source, k, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// All implements adapters.Cache. It reads in chunks, so writes may go on.
func (s *SourceCache) All(ctx context.Context) iter.Seq2[adapters.Entry, error] {
	return func(yield func(adapters.Entry, error) bool) {
		after, chunk := "", []adapters.Entry(nil)
		for first := true; ; first = false {
			var err error
			if chunk, err = s.chunk(ctx, after, first, chunk[:0]); err != nil {
				yield(adapters.Entry{}, oslc.E("sqlite.cache_all", classify(err)))
				return
			}
			for _, e := range chunk {
				if !yield(e, nil) {
					return
				}
				after = e.Key
			}
			if len(chunk) < readerChunk {
				return
			}
		}
	}
}

func (s *SourceCache) chunk(ctx context.Context, after string, first bool, out []adapters.Entry) ([]adapters.Entry, error) {
	rows, err := s.c.db.QueryContext(ctx, `SELECT key, value FROM entry WHERE source=? AND (key>? OR ?) ORDER BY key LIMIT ?`,
		s.source, after, first, readerChunk)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e adapters.Entry
		if err := rows.Scan(&e.Key, &e.Value); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}
