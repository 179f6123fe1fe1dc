package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
)

// What a tracked resource set has beside its changes: how far its log is cut off,
// the mark of its newest change, and the event it began with. A change's mark is a
// digest of it and of all before it in the set: two logs that agree up to an order
// have the same mark there, and those that differ anywhere before have not, also
// after a restore. The types of a change are those beside the kind of change.
const trsSchema = `
ALTER TABLE view_set ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;
ALTER TABLE view_set ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
ALTER TABLE view_set ADD COLUMN epoch TEXT NOT NULL DEFAULT '';
ALTER TABLE view_change ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
CREATE INDEX view_member_until ON view_member("set", until) WHERE until IS NOT NULL;
CREATE INDEX view_change_resource ON view_change(resource, "order");
CREATE INDEX view_change_time ON view_change("set", time, "order");
CREATE TABLE view_type (
	id  INTEGER PRIMARY KEY,
	iri TEXT NOT NULL UNIQUE
);
CREATE TABLE view_change_type (
	type    INTEGER NOT NULL,
	"set"   INTEGER NOT NULL,
	"order" INTEGER NOT NULL,
	PRIMARY KEY (type, "set", "order")
) WITHOUT ROWID;
`

// nextMark returns the mark of a change that follows one with the mark before.
func nextMark(before int64, order int64, event string, kind oslc.Change, uri string, time int64) int64 {
	b := make([]byte, 0, 256)
	b = binary.BigEndian.AppendUint64(b, uint64(before))
	b = binary.BigEndian.AppendUint64(b, uint64(order))
	b = binary.BigEndian.AppendUint64(b, uint64(time))
	b = append(b, byte(kind))
	b = append(append(b, event...), 0)
	b = append(b, uri...)
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// markAll gives marks to the changes that a file of the schema before holds.
func markAll(ctx context.Context, tx *sql.Tx) error {
	type key struct {
		set, order int64
	}
	marks := map[int64]int64{}
	for at := (key{-1, 0}); ; {
		rows, err := tx.QueryContext(ctx, `SELECT c."set", c."order", c.event, c.kind, r.uri, c.time
			FROM view_change c JOIN view_resource r ON r.id = c.resource
			WHERE (c."set", c."order") > (?, ?) ORDER BY c."set", c."order" LIMIT ?`, at.set, at.order, readerChunk)
		if err != nil {
			return err
		}
		var found []key
		var of []int64
		for rows.Next() {
			var k key
			var event, uri string
			var kind oslc.Change
			var time int64
			if err := rows.Scan(&k.set, &k.order, &event, &kind, &uri, &time); err != nil {
				return errors.Join(err, rows.Close())
			}
			if _, ok := marks[k.set]; !ok {
				if _, err := tx.ExecContext(ctx, `UPDATE view_set SET epoch=? WHERE id=?`, event, k.set); err != nil {
					return errors.Join(err, rows.Close())
				}
			}
			marks[k.set] = nextMark(marks[k.set], k.order, event, kind, uri, time)
			found, of = append(found, k), append(of, marks[k.set])
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for i, k := range found {
			if _, err := tx.ExecContext(ctx, `UPDATE view_change SET mark=? WHERE "set"=? AND "order"=?`, of[i], k.set, k.order); err != nil {
				return err
			}
			at = k
		}
		if len(found) < readerChunk {
			break
		}
	}
	for set, mark := range marks {
		if _, err := tx.ExecContext(ctx, `UPDATE view_set SET mark=? WHERE id=?`, mark, set); err != nil {
			return err
		}
	}
	return nil
}

// addChanges writes the changes of a fold with their marks and types.
func (f *fold) addChanges() error {
	if len(f.changes) == 0 {
		return nil
	}
	mark, epoch := int64(0), ""
	if err := f.tx.QueryRowContext(f.ctx, `SELECT mark, epoch FROM view_set WHERE id=?`, f.set).Scan(&mark, &epoch); err != nil {
		return err
	}
	if epoch == "" {
		epoch = f.changes[0].event
	}
	types := map[string]int64{}
	for i := range f.changes {
		c := &f.changes[i]
		mark = nextMark(mark, c.order, c.event, c.kind, c.r.uri, c.time)
		edit, err := f.edit(c.patch)
		if err != nil {
			return err
		}
		if _, err := f.on.change.ExecContext(f.ctx, f.set, c.order, c.event, int(c.kind), c.r.id, c.time, mark, edit); err != nil {
			return err
		}
		for _, iri := range c.types {
			if err := f.addType(types, iri, c.order); err != nil {
				return err
			}
		}
	}
	_, err := f.tx.ExecContext(f.ctx, `UPDATE view_set SET mark=?, epoch=? WHERE id=?`, mark, epoch, f.set)
	return err
}

func (f *fold) addType(known map[string]int64, iri string, order int64) error {
	id, ok := known[iri]
	if !ok {
		err := f.tx.QueryRowContext(f.ctx, `SELECT id FROM view_type WHERE iri=?`, iri).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			err = f.tx.QueryRowContext(f.ctx, `INSERT INTO view_type(iri) VALUES (?) RETURNING id`, iri).Scan(&id)
		}
		if err != nil {
			return err
		}
		known[iri] = id
	}
	_, err := f.tx.ExecContext(f.ctx, `INSERT OR IGNORE INTO view_change_type(type, "set", "order") VALUES (?, ?, ?)`, id, f.set, order)
	return err
}

// bounds remembers what Bounds has found, until the next write to the views.
type bounds struct {
	writes atomic.Int64
	known  atomic.Pointer[map[string]knownBounds]
}

type knownBounds struct {
	at int64 // writes when it was looked up
	trs.Bounds
}

// changed is called after each commit to the views.
func (b *bounds) changed() { b.writes.Add(1) }

func (b *bounds) get(set string) (trs.Bounds, bool) {
	m := b.known.Load()
	if m == nil {
		return trs.Bounds{}, false
	}
	k, ok := (*m)[set]
	return k.Bounds, ok && k.at == b.writes.Load()
}

// put keeps what was found after at writes; a write since then makes it useless.
func (b *bounds) put(set string, at int64, found trs.Bounds) {
	for {
		old := b.known.Load()
		next := map[string]knownBounds{set: {at, found}}
		if old != nil {
			for name, k := range *old {
				if name != set {
					next[name] = k
				}
			}
		}
		if b.known.CompareAndSwap(old, &next) {
			return
		}
	}
}

// Bounds implements trs.Store.
func (v *Views) Bounds(ctx context.Context, set string, upTo int64) (trs.Bounds, error) {
	const op = "sqlite.bounds"
	if upTo == trs.Newest {
		if b, ok := v.db.bounds.get(set); ok {
			return b, nil
		}
	}
	at := v.db.bounds.writes.Load()
	var b trs.Bounds
	var id, mark int64
	// One statement, so that all of it is of one moment.
	err := v.db.r.QueryRowContext(ctx, `SELECT s.id, s.cut, s.epoch,
			coalesce((SELECT min("order") FROM view_change WHERE "set"=s.id), 0),
			coalesce((SELECT "order" FROM view_change WHERE "set"=s.id AND "order"<=?2 ORDER BY "order" DESC LIMIT 1), 0)
		FROM view_set s WHERE s.name=?1`, set, upTo).Scan(&id, &b.Cut, &b.Epoch, &b.Oldest, &b.Newest)
	if errors.Is(err, sql.ErrNoRows) {
		return b, oslc.Errorf("sqlite.set", oslc.NotFound, "no tracked resource set %q", set)
	}
	if err == nil && b.Newest > 0 {
		err = v.db.r.QueryRowContext(ctx, `SELECT event, mark FROM view_change WHERE "set"=? AND "order"=?`, id, b.Newest).Scan(&b.Event, &mark)
		if errors.Is(err, sql.ErrNoRows) { // cut off meanwhile
			return v.Bounds(ctx, set, upTo)
		}
	}
	if err != nil {
		return b, oslc.E(op, classify(err))
	}
	b.Mark = uint64(mark)
	if upTo == trs.Newest {
		v.db.bounds.put(set, at, b)
	}
	return b, nil
}

// truncateChunk is how many changes are dropped in one transaction.
const truncateChunk = 5_000

// Truncate drops the changes of a set up to an order, and what only bases need that
// were cut off before it. The newest change stays.
func (v *Views) Truncate(ctx context.Context, set string, upTo int64) error {
	const op = "sqlite.truncate"
	id, err := v.setID(ctx, set)
	if err != nil {
		return err
	}
	for {
		more := false
		err := v.db.writeViews(ctx, func(ctx context.Context, tx *sql.Tx) error {
			var err error
			more, err = truncate(ctx, tx, id, upTo)
			return err
		}, v.db.bounds.changed)
		if err != nil || !more {
			return oslc.E(op, err)
		}
	}
}

func truncate(ctx context.Context, tx *sql.Tx, set, upTo int64) (more bool, err error) {
	var newest, last sql.NullInt64
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT max("order") FROM view_change WHERE "set"=?`, set).Scan(&newest); err != nil {
		return false, err
	}
	if upTo = min(upTo, newest.Int64-1); upTo <= 0 {
		return false, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT count(*), max("order") FROM (
		SELECT "order" FROM view_change WHERE "set"=? AND "order"<=? ORDER BY "order" LIMIT ?)`, set, upTo, truncateChunk).Scan(&n, &last)
	if err != nil {
		return false, err
	}
	more = n == truncateChunk
	if more {
		upTo = last.Int64
	}
	for _, text := range []string{
		`DELETE FROM view_change WHERE "set"=? AND "order"<=?`,
		`DELETE FROM view_member WHERE "set"=? AND until<=?`,
	} {
		if _, err := tx.ExecContext(ctx, text, set, upTo); err != nil {
			return false, err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM view_change_type WHERE "set"=? AND "order"<=? AND type IN (SELECT id FROM view_type)`, set, upTo); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE view_set SET cut=max(cut, ?) WHERE id=?`, upTo, set)
	return more, err
}

// Contradictions returns resources of a set that exist and are no members of its newest
// base, or are members and do not exist, as many as limit. There are none unless the file
// was changed by something else.
func (v *Views) Contradictions(ctx context.Context, set string, limit int) ([]string, error) {
	const op = "sqlite.contradictions"
	id, err := v.setID(ctx, set)
	if err != nil {
		return nil, err
	}
	rows, err := v.db.r.QueryContext(ctx, `
		SELECT uri FROM view_resource r WHERE "set"=?1 AND NOT deleted AND since>0
			AND NOT EXISTS (SELECT 1 FROM view_member m WHERE m."set"=?1 AND m.since=r.since AND m.resource=r.id AND m.until IS NULL)
		UNION ALL
		SELECT r.uri FROM view_member m JOIN view_resource r ON r.id=m.resource
			WHERE m."set"=?1 AND m.until IS NULL AND (r.deleted OR r.since<>m.since)
		ORDER BY 1 LIMIT ?2`, id, limit)
	if err != nil {
		return nil, oslc.E(op, classify(err))
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var uri string
		if err := rows.Scan(&uri); err != nil {
			return nil, oslc.E(op, classify(err))
		}
		out = append(out, uri)
	}
	return out, oslc.E(op, classify(rows.Err()))
}

// Changes implements trs.Store.
func (v *Views) Changes(ctx context.Context, set string, after, upTo int64) ([]trs.Change, error) {
	const op = "sqlite.changes"
	id, err := v.setID(ctx, set)
	if err != nil {
		return nil, err
	}
	rows, err := v.db.r.QueryContext(ctx, `SELECT `+changeColumns+`, ''
		FROM view_change c JOIN view_resource r ON r.id = c.resource
		WHERE c."set"=? AND c."order">? AND c."order"<=? ORDER BY c."order" DESC`, id, after, upTo)
	if err != nil {
		return nil, oslc.E(op, classify(err))
	}
	out, err := scanChanges(rows)
	return out, oslc.E(op, classify(err))
}

// changeColumns are those that scanChanges reads, but for the types.
const changeColumns = `c."order", c.event, c.kind, r.uri, c.time`

func scanChanges(rows *sql.Rows) ([]trs.Change, error) {
	defer rows.Close()
	var out []trs.Change
	for rows.Next() {
		var c trs.Change
		var ms int64
		var types string
		if err := rows.Scan(&c.Order, &c.Event, &c.Kind, &c.Changed, &ms, &types); err != nil {
			return nil, err
		}
		c.Time, c.Types = milli(ms), strings.Fields(types)
		out = append(out, c)
	}
	return out, rows.Err()
}
