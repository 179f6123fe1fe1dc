// Package sqlite has the databases of the program: the embedded log, and the views
// that are folded from whichever log is in use. It is the only importer of the
// SQLite driver.
//
// The log is the truth; the views can be deleted at any time and come back the
// same. All writes of a file go through one connection, so that a reader of a topic
// never sees offset n before n-1; reads have connections of their own and never
// wait for a write (WAL).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/oslcbus/oslcbus/oslc"
)

// schemaVersion is the PRAGMA user_version of a file this program writes. A file
// with a higher one is refused; one with a lower one is migrated in place.
const schemaVersion = 5

// DB is an open database file. Its methods may be called concurrently.
type DB struct {
	path string
	lock *os.File
	w    *sql.DB // one connection
	r    *sql.DB
	fold foldStatements // on w

	names      *names   // of containers and properties; guarded by writing
	properties sync.Map // columnName to number, for reading
	prepared   prepared // on r
	texts      texts
	bounds     bounds

	appends appendStatements // on w

	checkpoints *checkpointer

	writing sync.Mutex // held by the one write transaction
	relaxed bool       // w does not wait for the disk; guarded by writing
	queue   writeQueue
	mu      sync.Mutex
	closed  bool
	topics  map[string]*topic
	groups  map[groupKey]chan struct{} // a token each: who reads for the group
}

// Open opens the database file, and makes it and its folder when they are not
// there. The file belongs to one process at a time: for a second one Open fails
// with kind Conflict.
func Open(ctx context.Context, path string) (*DB, error) {
	const op = "sqlite.open"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, oslc.E(op, err, oslc.Unavailable)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, oslc.E(op, err)
	}
	db := &DB{path: path, lock: lock, topics: map[string]*topic{}, groups: map[groupKey]chan struct{}{}, names: &names{}}
	if err := db.open(ctx); err != nil {
		return nil, errors.Join(oslc.E(op, err), db.release())
	}
	db.texts.start(db)
	return db, nil
}

func (db *DB) open(ctx context.Context) error {
	var err error
	// FULL, not NORMAL: an appended event must survive a power cut.
	if db.w, err = open(db.path, "FULL"); err != nil {
		return err
	}
	db.w.SetMaxOpenConns(1)
	// A batch of a fold changes pages all over the index; those that do not fit are
	// written to the disk before the commit, and read again.
	if _, err := db.w.ExecContext(ctx, `PRAGMA cache_size=-64000`); err != nil {
		return classify(fmt.Errorf("%s: %w", db.path, err))
	}
	var version int
	if err := db.w.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return classify(fmt.Errorf("%s: %w", db.path, err))
	}
	if version > schemaVersion {
		return oslc.Errorf("sqlite.schema", oslc.Invalid,
			"%s was written by a newer release (schema %d, this one knows %d): use that release, or another data folder",
			db.path, version, schemaVersion)
	}
	for v := version; v < schemaVersion; v++ {
		tx, err := db.w.BeginTx(ctx, nil)
		if err != nil {
			return classify(err)
		}
		_, err = tx.ExecContext(ctx, migrations[v].text+fmt.Sprintf(";PRAGMA user_version=%d", v+1))
		if err == nil && migrations[v].then != nil {
			err = migrations[v].then(ctx, tx)
		}
		if err == nil {
			err = tx.Commit()
		}
		if err != nil {
			return classify(errors.Join(err, ignoreDone(tx.Rollback())))
		}
	}
	if db.r, err = open(db.path, "FULL"); err != nil {
		return err
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	db.r.SetMaxOpenConns(readers)
	// A connection that is closed takes what it has read of the file with it. It is kept
	// while there is use for it.
	db.r.SetMaxIdleConns(readers)
	db.r.SetConnMaxIdleTime(time.Minute)
	if err := errors.Join(db.fold.prepare(ctx, db.w), db.appends.prepare(ctx, db.w)); err != nil {
		return classify(err)
	}
	if err := db.loadTopics(ctx); err != nil {
		return err
	}
	db.checkpoints, err = startCheckpointer(db.path, &db.writing)
	return classify(err)
}

func open(path, synchronous string) (*sql.DB, error) {
	q := url.Values{"_pragma": {
		"journal_mode(WAL)", "synchronous(" + synchronous + ")", "busy_timeout(10000)",
		"foreign_keys(ON)", "temp_store(MEMORY)", "cache_size(-16000)",
		"wal_autocheckpoint(0)", // see checkpointer
	}, "_txlock": {"immediate"}}
	return sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
}

// migrations[v] takes a file from schema v to v+1: by SQL, and by what SQL can't do.
var migrations = []struct {
	text string
	then func(context.Context, *sql.Tx) error
}{
	{text: logSchema + viewSchema},
	{text: indexSchema, then: indexAll},
	{text: trsSchema, then: markAll},
	{text: patchSchema},
	{text: packSchema},
}

// Path returns the file's name.
func (db *DB) Path() string { return db.path }

// Close waits for the write in progress. Closing twice is fine.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	for _, t := range db.topics {
		t.wakeAll()
	}
	db.mu.Unlock()
	db.texts.stop()
	db.texts.done.Wait()
	err := db.checkpoints.close()
	db.writing.Lock()
	defer db.writing.Unlock()
	return errors.Join(err, db.release())
}

func (db *DB) release() error {
	var errs []error
	if db.r != nil {
		errs = append(errs, db.r.Close())
	}
	if db.w != nil {
		errs = append(errs, db.w.Close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

var errClosed = errors.New("the database is closed")

// readError classifies an error of a query; one after Close says so.
func (db *DB) readError(err error) error {
	if err == nil {
		return nil
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return oslc.E("sqlite.read", errClosed, oslc.Unavailable)
	}
	return classify(err)
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// classify gives an error of the driver its kind: what an operator can mend (a
// full disk, a lock held too long) is Unavailable and tried again.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*oslc.Error](err); ok && e != nil {
		return err
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY,
			sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
			return oslc.E("sqlite", err, oslc.Unavailable)
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return oslc.E("sqlite", err, oslc.Invalid)
		}
	}
	return err
}
