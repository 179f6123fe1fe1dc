package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// A set is what one partition of a provider's topic folds into. A resource keeps
// its row when it is deleted: its URI is never given to another one, and asking
// for it is answered with 410.
const viewSchema = `
CREATE TABLE view_place (
	topic     TEXT NOT NULL,
	partition INTEGER NOT NULL,
	next      INTEGER NOT NULL,
	skipped   INTEGER NOT NULL DEFAULT 0,
	last      TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE view_set (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
);
CREATE TABLE view_resource (
	id         INTEGER PRIMARY KEY,
	uri        TEXT NOT NULL UNIQUE,
	"set"      INTEGER NOT NULL,
	collection TEXT NOT NULL,
	since      INTEGER NOT NULL,
	modified   INTEGER NOT NULL,
	deleted    INTEGER NOT NULL,
	event      TEXT NOT NULL,
	graph      BLOB
);
CREATE INDEX view_resource_listed ON view_resource("set", collection, id) WHERE NOT deleted;
CREATE TABLE view_member (
	"set"    INTEGER NOT NULL,
	since    INTEGER NOT NULL,
	until    INTEGER,
	resource INTEGER NOT NULL,
	PRIMARY KEY ("set", since)
) WITHOUT ROWID;
CREATE TABLE view_change (
	"set"    INTEGER NOT NULL,
	"order"  INTEGER NOT NULL,
	event    TEXT NOT NULL,
	kind     INTEGER NOT NULL,
	resource INTEGER NOT NULL,
	time     INTEGER NOT NULL,
	PRIMARY KEY ("set", "order")
) WITHOUT ROWID;
`

// A Place names one partition of a topic and the set it folds into.
type Place struct {
	Topic     string
	Partition int32
	Set       string
}

// A Step is one record of a place. A nil Event is a record that is no event; it
// is passed over, and counted when Damaged is set.
type Step struct {
	Offset  int64
	Event   *oslc.Event
	Damaged bool
}

// Views returns the views kept in db.
func (db *DB) Views() *Views { return &Views{db: db, fewest: fewest, most: most, scanned: scanned} }

// Views are folds over the log: the current resources, the members and the
// change log of each set.
type Views struct {
	db     *DB
	parser format.Parser

	fewest, most int64 // see queryRun.find
	scanned      int
}

// Next returns, per partition of topic, the offset to go on folding at; a
// partition that was never folded is 0. last holds the id of the event before
// it, by which a topic that was made anew is recognised.
func (v *Views) Next(ctx context.Context, topic string) (next []int64, last []string, err error) {
	rows, err := v.db.r.QueryContext(ctx, `SELECT partition, next, last FROM view_place WHERE topic=? ORDER BY partition`, topic)
	if err != nil {
		return nil, nil, oslc.E("sqlite.views", classify(err))
	}
	defer rows.Close()
	for rows.Next() {
		var p int
		var n int64
		var l string
		if err := rows.Scan(&p, &n, &l); err != nil {
			return nil, nil, oslc.E("sqlite.views", classify(err))
		}
		for len(next) <= p {
			next, last = append(next, 0), append(last, "")
		}
		next[p], last[p] = n, l
	}
	return next, last, oslc.E("sqlite.views", classify(rows.Err()))
}

// Apply folds steps, which follow each other in place, into the views. All of
// them become visible at once. Steps before the place's offset were folded
// already and change nothing.
func (v *Views) Apply(ctx context.Context, place Place, steps []Step) error {
	if len(steps) == 0 {
		return nil
	}
	var learned *names
	stale := false
	return oslc.E("sqlite.apply", v.db.writeViews(ctx, func(ctx context.Context, tx *sql.Tx) error {
		f := fold{
			ctx: ctx, tx: tx, on: v.db.fold.in(ctx, tx), touched: make(map[string]*row, len(steps)),
			names: v.db.names,
		}
		v.db.names = &names{} // what a transaction that fails has learned is not so
		if err := f.begin(place); err != nil {
			return err
		}
		if err := f.load(steps); err != nil {
			return err
		}
		for i := range steps {
			if err := f.step(&steps[i]); err != nil {
				return fmt.Errorf("%s at offset %d: %w", place.Topic, steps[i].Offset, err)
			}
		}
		err := f.end(place)
		learned, stale = f.names, f.texts
		return err
	}, func() {
		v.db.bounds.changed()
		v.db.names = learned
		if stale {
			v.db.texts.poke()
		}
	}))
}

// fold is one Apply. A resource that several steps touch is read and written
// once.
type fold struct {
	ctx           context.Context
	tx            *sql.Tx
	on            foldStatements
	set           int64
	next, skipped int64
	last          string
	touched       map[string]*row
	order         []*row
	changes       []changeRow
	names         *names
	texts         bool   // some are stale now
	room, keys    []byte // for graphs and for keys
	args          []any
}

// foldStatements are what a fold does for each step, prepared once: preparing
// takes longer than running.
type foldStatements struct {
	find, insert, update, move, join, leave, change *sql.Stmt
	fact, facts, unfact, unindex                    *sql.Stmt
	stale, unstale, text, untext                    *sql.Stmt
}

// findAtOnce is how many resources are looked up with one statement.
const findAtOnce = 50

func (s *foldStatements) prepare(ctx context.Context, on interface {
	PrepareContext(ctx context.Context, text string) (*sql.Stmt, error)
},
) error {
	for to, text := range map[**sql.Stmt]string{
		&s.find: `SELECT id, uri, since, deleted, event, coalesce(graph, x'') FROM view_resource WHERE uri IN (?` + strings.Repeat(`,?`, findAtOnce-1) + `)`,
		&s.insert: `INSERT INTO view_resource(id, uri, "set", container, since, modified, deleted, event, graph)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		// What an index depends on is left out where it stays: SQLite would write
		// the index too.
		&s.update: `UPDATE view_resource SET modified=?, event=?, graph=? WHERE id=?`,
		&s.move: `UPDATE view_resource SET since=?, modified=?, deleted=?, event=?,
			graph=coalesce(?, graph) WHERE id=?`,
		&s.join:   `INSERT INTO view_member("set", since, resource) VALUES (?, ?, ?)`,
		&s.leave:  `UPDATE view_member SET until=? WHERE "set"=? AND since=?`,
		&s.change: `INSERT INTO view_change("set", "order", event, kind, resource, time, mark, edit) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		&s.fact:   `INSERT OR IGNORE INTO view_fact(resource, node, property, key) VALUES (?, ?, ?, ?)`,
		&s.facts: `INSERT OR IGNORE INTO view_fact(resource, node, property, key) VALUES (?, ?, ?, ?)` +
			strings.Repeat(`, (?, ?, ?, ?)`, factsAtOnce-1),
		&s.stale:   `INSERT OR IGNORE INTO view_stale(resource) VALUES (?)`,
		&s.unstale: `DELETE FROM view_stale WHERE resource=?`,
		&s.unfact:  `DELETE FROM view_fact WHERE resource=? AND node=? AND property=? AND key=?`,
		&s.unindex: `DELETE FROM view_fact WHERE resource=?`,
		&s.text:    `INSERT INTO view_text(rowid, title, body) VALUES (?, ?, ?)`,
		&s.untext:  `DELETE FROM view_text WHERE rowid=?`,
	} {
		var err error
		if *to, err = on.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// in returns the statements for use in a transaction, which closes them.
func (s *foldStatements) in(ctx context.Context, tx *sql.Tx) foldStatements {
	of := func(st *sql.Stmt) *sql.Stmt { return tx.StmtContext(ctx, st) }
	return foldStatements{
		of(s.find), of(s.insert), of(s.update), of(s.move), of(s.join), of(s.leave), of(s.change),
		of(s.fact), of(s.facts), of(s.unfact), of(s.unindex), of(s.stale), nil, nil, nil,
	}
}

type row struct {
	id       int64
	uri      string
	isNew    bool
	dirty    bool
	since    int64 // order of the change that made it a member
	was      int64 // since before this batch
	modified int64
	deleted  bool
	event    string
	graph    *rdf.Graph // nil with dirty: keep what is stored
	stored   []byte     // the graph before this batch

	wasDeleted bool // before this batch

	joined []int64 // orders at which it became a member, in this batch
	left   []int64 // orders at which it ceased to be one
	told   []int   // changes of this batch that left a state, by their index in fold.changes
}

type changeRow struct {
	order int64
	event string
	kind  oslc.Change
	r     *row
	time  int64
	types []string

	before string     // the event that left the state before a modification
	graph  *rdf.Graph // the state that it left
	patch  *patchRow
}

func (f *fold) begin(p Place) error {
	err := f.tx.QueryRowContext(f.ctx, `SELECT next, skipped, last FROM view_place WHERE topic=? AND partition=?`,
		p.Topic, p.Partition).Scan(&f.next, &f.skipped, &f.last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	f.set, err = setID(f.ctx, f.tx, p.Set)
	return err
}

func setID(ctx context.Context, tx *sql.Tx, name string) (id int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT id FROM view_set WHERE name=?`, name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRowContext(ctx, `INSERT INTO view_set(name) VALUES (?) RETURNING id`, name).Scan(&id)
	}
	return id, err
}

func (f *fold) step(s *Step) error {
	if s.Offset < f.next {
		return nil
	}
	f.next = s.Offset + 1
	if s.Event == nil {
		if s.Damaged {
			f.skipped++
		}
		f.last = ""
		return nil
	}
	e, order := s.Event, s.Offset+1
	f.last = e.ID
	r := f.row(e.Subject, order)
	if r.event == e.ID {
		return nil // the same event twice in a row
	}
	r.dirty = true
	c := changeRow{order: order, event: e.ID, kind: e.Change, r: r, time: e.Time.UnixMilli(), types: e.Types}
	if e.Change == oslc.Modification && r.since > 0 && !r.deleted {
		c.before = r.event
	}
	r.event, r.modified = e.ID, c.time
	switch e.Change {
	case oslc.Deletion:
		if r.since > 0 && !r.deleted {
			r.left = append(r.left, order)
		}
		r.deleted = true
		if e.Resource != nil {
			r.graph = e.Resource
			r.told = append(r.told, len(f.changes))
		}
	case oslc.Creation, oslc.Modification:
		if r.deleted || r.since == 0 {
			r.since = order
			r.joined = append(r.joined, order)
		}
		r.deleted = false
		if r.graph = e.Resource; r.graph == nil {
			r.graph = rdf.NewGraph()
		}
		r.told = append(r.told, len(f.changes))
	}
	c.graph = r.graph
	f.changes = append(f.changes, c)
	return nil
}

// load reads the rows that the steps touch.
func (f *fold) load(steps []Step) error {
	var uris []any
	for i := range steps {
		e := steps[i].Event
		if e == nil || steps[i].Offset < f.next {
			continue
		}
		if _, ok := f.touched[e.Subject]; !ok {
			f.touched[e.Subject] = nil
			uris = append(uris, e.Subject)
		}
	}
	for len(uris) > 0 {
		n := min(len(uris), findAtOnce)
		args := uris[:n:n]
		for len(args) < findAtOnce {
			args = append(args, nil)
		}
		uris = uris[n:]
		if err := f.find(args); err != nil {
			return err
		}
	}
	return nil
}

func (f *fold) find(args []any) error {
	rows, err := f.on.find.QueryContext(f.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r := &row{}
		if err := rows.Scan(&r.id, &r.uri, &r.since, &r.deleted, &r.event, &r.stored); err != nil {
			return err
		}
		r.was, r.wasDeleted = r.since, r.deleted
		f.touched[r.uri] = r
		f.order = append(f.order, r)
	}
	return rows.Err()
}

// row returns the row that load has found, or a new one that came up at order.
func (f *fold) row(uri string, order int64) *row {
	r := f.touched[uri]
	if r == nil {
		r = &row{uri: uri, id: number(f.set, order), isNew: true}
		f.touched[uri] = r
		f.order = append(f.order, r)
	}
	return r
}

func (f *fold) end(p Place) error {
	for _, r := range f.order {
		if !r.dirty {
			continue
		}
		if err := f.write(r); err != nil {
			return err
		}
	}
	if err := f.addChanges(); err != nil {
		return err
	}
	if err := f.saveMembers(); err != nil {
		return err
	}
	_, err := f.tx.ExecContext(f.ctx, `INSERT INTO view_place(topic, partition, next, skipped, last) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET next=excluded.next, skipped=excluded.skipped, last=excluded.last`,
		p.Topic, p.Partition, f.next, f.skipped, f.last)
	return err
}

func (f *fold) write(r *row) error {
	var graph []byte
	if r.graph != nil {
		var err error
		if graph, err = format.Append(f.room[:0], r.graph, format.NTriples); err != nil {
			return err
		}
		if graph == nil {
			graph = []byte{} // nothing is said of it; NULL would keep what was said
		}
		f.room = graph // the driver has its own copy when it has written
	}
	var err error
	switch {
	case r.isNew:
		var c *container
		if c, err = f.container(r.uri); err != nil {
			return err
		}
		_, err = f.on.insert.ExecContext(f.ctx, r.id, r.uri, f.set, c.id, r.since, r.modified, r.deleted, r.event, graph)
	case r.graph != nil && r.since == r.was && r.deleted == r.wasDeleted:
		_, err = f.on.update.ExecContext(f.ctx, r.modified, r.event, graph, r.id)
	default:
		_, err = f.on.move.ExecContext(f.ctx, r.since, r.modified, r.deleted, r.event, graph, r.id)
	}
	if err != nil {
		return err
	}
	if err := f.index(r, graph); err != nil {
		return indexError(r, err)
	}
	if err := f.patch(r, graph); err != nil {
		return err
	}
	for _, at := range r.joined {
		if _, err := f.on.join.ExecContext(f.ctx, f.set, at, r.id); err != nil {
			return err
		}
	}
	return f.leave(r)
}

// leave closes the intervals that ended: each is the last one that was opened
// before its end.
func (f *fold) leave(r *row) error {
	for _, at := range r.left {
		since := r.was
		for _, j := range r.joined {
			if j < at {
				since = j
			}
		}
		if _, err := f.on.leave.ExecContext(f.ctx, at, f.set, since); err != nil {
			return err
		}
	}
	return nil
}

func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
