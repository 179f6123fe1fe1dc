package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

const (
	// checkpointAfter is how many commits bring a checkpoint. They are few: while much is
	// made durable at once, commits to other files of the disk wait for it.
	checkpointAfter = 10
	// checkpointEvery is how long a checkpoint is at least after the one before.
	checkpointEvery = 100 * time.Millisecond
	// walPages is how many pages the write-ahead log may have before it is begun
	// anew, of 4 KB each.
	walPages = 4_096
)

// A checkpointer moves what is in the write-ahead log into the database file on a
// connection of its own. SQLite would do that in every thousandth page's commit,
// which then takes as long as the disk does, and everything behind it waits.
type checkpointer struct {
	db   *sql.DB
	due  chan struct{}
	stop chan struct{}
	done chan struct{}

	commits int // since it was last due; guarded by DB.writing
}

// startCheckpointer starts one beside the writer that holds writing while it
// writes.
func startCheckpointer(path string, writing *sync.Mutex) (*checkpointer, error) {
	conn, err := open(path, "FULL")
	if err != nil {
		return nil, err
	}
	conn.SetMaxOpenConns(1)
	c := &checkpointer{db: conn, due: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		for wait(c, c.due) {
			if pages := c.run(); pages > walPages {
				// SQLite begins the log anew only when all of it is in the file, which
				// takes a moment without writes: the little that came meanwhile.
				writing.Lock()
				c.run()
				writing.Unlock()
			}
			if !wait(c, time.After(checkpointEvery)) {
				return
			}
		}
	}()
	return c, nil
}

// wait returns true once ch has something, false when it is time to stop.
func wait[T any](c *checkpointer, ch <-chan T) bool {
	select {
	case <-c.stop:
		return false
	case <-ch:
		return true
	}
}

// run moves what no reader stands before, and returns how many pages the log has.
// What cannot be moved, for a full disk, is moved by a later run.
func (c *checkpointer) run() (pages int) {
	var busy, moved int
	row := c.db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
	if row.Scan(&busy, &pages, &moved) != nil {
		return 0
	}
	return pages
}

// committed counts a commit. The caller holds DB.writing.
func (c *checkpointer) committed() {
	if c.commits++; c.commits < checkpointAfter {
		return
	}
	c.commits = 0
	select {
	case c.due <- struct{}{}:
	default:
	}
}

func (c *checkpointer) close() error {
	if c == nil { // the database did not open
		return nil
	}
	close(c.stop)
	<-c.done
	return c.db.Close()
}
