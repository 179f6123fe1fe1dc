package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"

	"github.com/oslcbus/oslcbus/oslc"
)

// A writeFunc is a part of a transaction. It may run twice: what it leaves behind
// outside the transaction must not depend on how often.
type writeFunc func(context.Context, *sql.Tx) error

// A write waits for its transaction.
type write struct {
	ctx  context.Context
	fn   writeFunc
	then []func()
	done bool // err is the outcome; guarded by DB.writing, as is what follows
	err  error
}

// A writeQueue holds the writes that wait.
type writeQueue struct {
	mu   sync.Mutex
	wait []*write
}

// maxGroup bounds how many writes share a transaction.
const maxGroup = 64

func (q *writeQueue) add(w *write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wait = append(q.wait, w)
}

// take returns w and what waits beside it, in order.
func (q *writeQueue) take(w *write) []*write {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.wait), maxGroup)
	group := slices.Clone(q.wait[:n])
	q.wait = slices.Delete(q.wait, 0, n)
	if !slices.Contains(group, w) {
		q.wait = slices.DeleteFunc(q.wait, func(o *write) bool { return o == w })
		group = append(group, w)
	}
	return group
}

// write runs fn in the one write transaction, which it may share with other
// writes that wait: the disk takes as long for many as for one. Once fn has begun,
// the end of ctx does not stop it: whether a batch is on the log must never be
// open. The functions in then run after the commit and before the next
// transaction.
func (db *DB) write(ctx context.Context, fn writeFunc, then ...func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &write{ctx: ctx, fn: fn, then: then}
	db.queue.add(w)
	db.writing.Lock()
	defer db.writing.Unlock()
	if w.done { // another one's transaction had it
		return w.err
	}
	db.commit(db.queue.take(w))
	return w.err
}

// commit runs writes in one transaction; when one of them fails, each in one of
// its own. The caller holds db.writing.
func (db *DB) commit(group []*write) {
	var alive []*write
	for _, w := range group {
		if w.err = w.ctx.Err(); w.err != nil {
			w.done = true
			continue
		}
		alive = append(alive, w)
	}
	if len(alive) == 0 {
		return
	}
	ctx := context.WithoutCancel(alive[0].ctx)
	err := db.transact(ctx, false, func(ctx context.Context, tx *sql.Tx) error {
		for _, w := range alive {
			if err := w.fn(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && len(alive) > 1 {
		for _, w := range alive {
			db.commit([]*write{w})
		}
		return
	}
	for _, w := range alive {
		w.done, w.err = true, err
		if err == nil {
			for _, f := range w.then {
				f()
			}
		}
	}
}

// writeViews is write for what can be folded again. It does not wait for the disk:
// a power cut may undo the newest transactions, each as a whole and with its place
// in the log (https://www.sqlite.org/pragma.html#pragma_synchronous, NORMAL). A
// write after it makes it durable too. The functions in then run after the commit
// and before the next transaction.
func (db *DB) writeViews(ctx context.Context, fn writeFunc, then ...func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	db.writing.Lock()
	defer db.writing.Unlock()
	if err := db.transact(context.WithoutCancel(ctx), true, fn); err != nil {
		return err
	}
	for _, f := range then {
		f()
	}
	return nil
}

// transact runs fn in a transaction. The caller holds db.writing.
func (db *DB) transact(ctx context.Context, relaxed bool, fn writeFunc) error {
	db.mu.Lock()
	closed := db.closed
	db.mu.Unlock()
	if closed {
		return oslc.E("sqlite.write", errClosed, oslc.Unavailable)
	}
	if relaxed != db.relaxed {
		level := "FULL"
		if relaxed {
			level = "NORMAL"
		}
		if _, err := db.w.ExecContext(ctx, "PRAGMA synchronous="+level); err != nil {
			return classify(err)
		}
		db.relaxed = relaxed
	}
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return classify(err)
	}
	if err := fn(ctx, tx); err != nil {
		return classify(errors.Join(err, ignoreDone(tx.Rollback())))
	}
	if err := tx.Commit(); err != nil {
		return classify(err)
	}
	db.checkpoints.committed()
	return nil
}
