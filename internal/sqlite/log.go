package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// A record's rowid is topic<<topicBits | offset: one B-tree in the order of the
// log, appended to at one place per topic.
const (
	topicBits   = 40
	maxOffset   = 1<<topicBits - 1
	readerChunk = 256 // records fetched at once: about 400 KB of events
)

const logSchema = `
CREATE TABLE log_topic (
	id     INTEGER PRIMARY KEY,
	name   TEXT NOT NULL UNIQUE,
	oldest INTEGER NOT NULL DEFAULT 0,
	next   INTEGER NOT NULL DEFAULT 0 -- not kept any more: the records say it
);
CREATE TABLE log_record (
	id     INTEGER PRIMARY KEY,
	time   INTEGER NOT NULL,
	key    TEXT NOT NULL,
	header BLOB NOT NULL,
	value  BLOB
);
CREATE TABLE log_source (
	name   TEXT PRIMARY KEY,
	epoch  INTEGER NOT NULL,
	cursor BLOB
) WITHOUT ROWID;
CREATE TABLE log_group (
	topic INTEGER NOT NULL REFERENCES log_topic(id),
	name  TEXT NOT NULL,
	next  INTEGER NOT NULL,
	PRIMARY KEY (topic, name)
) WITHOUT ROWID;
`

// topic is what is known in memory of a row of log_topic.
type topic struct {
	id int64

	mu           sync.Mutex
	oldest, next int64
	wake         chan struct{} // closed and replaced when next moves
	recent       recent        // up to next
}

func (t *topic) bounds() (oldest, next int64, wake <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.oldest, t.next, t.wake
}

// moveTo makes records readable, which are those before next.
func (t *topic) moveTo(next int64, records []bus.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recent.add(next-int64(len(records)), records)
	t.next = next
	close(t.wake)
	t.wake = make(chan struct{})
}

func (t *topic) wakeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.wake)
	t.wake = make(chan struct{})
}

// first is the id of the topic's record at offset 0.
func (t *topic) first() int64 { return t.id << topicBits }

// newestRecord selects the id after the newest one in a range, or its beginning.
const newestRecord = `SELECT coalesce((SELECT id+1 FROM log_record WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1), ?1)`

// after returns the offset after the topic's newest record, given newestRecord of its
// ids.
func (t *topic) after(row *sql.Row) (next int64, err error) {
	if err := row.Scan(&next); err != nil {
		return 0, err
	}
	return max(next-t.first(), t.oldest), nil
}

func (db *DB) loadTopics(ctx context.Context) error {
	rows, err := db.w.QueryContext(ctx, `SELECT id, name, oldest FROM log_topic`)
	if err != nil {
		return classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		t := &topic{wake: make(chan struct{})}
		var name string
		if err := rows.Scan(&t.id, &name, &t.oldest); err != nil {
			return classify(err)
		}
		db.topics[name] = t
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return classify(err)
	}
	for _, t := range db.topics {
		if t.next, err = t.after(db.w.QueryRowContext(ctx, newestRecord, t.first(), t.first()|maxOffset)); err != nil {
			return classify(err)
		}
	}
	return nil
}

// topic returns the topic of that name, made when it is not there.
func (db *DB) topic(ctx context.Context, name string) (*topic, error) {
	db.mu.Lock()
	t, closed := db.topics[name], db.closed
	db.mu.Unlock()
	switch {
	case closed:
		return nil, oslc.E("sqlite.topic", errClosed, oslc.Unavailable)
	case t != nil:
		return t, nil
	case name == "":
		return nil, oslc.Errorf("sqlite.topic", oslc.Invalid, "a topic needs a name")
	}
	t = &topic{wake: make(chan struct{})}
	err := db.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO log_topic(name) VALUES (?) ON CONFLICT DO NOTHING`, name); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT id, oldest FROM log_topic WHERE name=?`, name).Scan(&t.id, &t.oldest); err != nil {
			return err
		}
		var err error
		t.next, err = t.after(tx.QueryRowContext(ctx, newestRecord, t.first(), t.first()|maxOffset))
		return err
	})
	if err != nil {
		return nil, oslc.E("sqlite.topic", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if other := db.topics[name]; other != nil {
		return other, nil
	}
	db.topics[name] = t
	return t, nil
}

// Log returns the embedded log that is kept in db. It shares the fate of db:
// closing the one closes the other.
func (db *DB) Log() *Log { return &Log{db} }

// Log is the embedded bus.Log. Each topic has one partition.
type Log struct{ db *DB }

var _ bus.Log = (*Log)(nil)

// Close implements bus.Log.
func (l *Log) Close() error { return l.db.Close() }

// Own implements bus.Log.
func (l *Log) Own(ctx context.Context, source string, topics ...string) (bus.Publisher, error) {
	p := &publisher{db: l.db, source: source, topics: map[string]*topic{}}
	for _, name := range topics {
		t, err := l.db.topic(ctx, name)
		if err != nil {
			return nil, oslc.E("sqlite.own", err)
		}
		p.topics[name] = t
	}
	err := l.db.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `INSERT INTO log_source(name, epoch) VALUES (?, 1)
			ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1 RETURNING epoch, cursor`, source).
			Scan(&p.epoch, &p.cursor)
	})
	if err != nil {
		return nil, oslc.E("sqlite.own", err)
	}
	return p, nil
}

// appendStatements are what an append does, prepared once.
type appendStatements struct {
	epoch, next, insert, cursor *sql.Stmt
}

func (s *appendStatements) prepare(ctx context.Context, db *sql.DB) error {
	for to, text := range map[**sql.Stmt]string{
		&s.epoch:  `SELECT epoch FROM log_source WHERE name=?`,
		&s.next:   newestRecord,
		&s.insert: `INSERT INTO log_record(id, time, key, header, value, packed) VALUES (?, ?, ?, ?, ?, ?)`,
		&s.cursor: `UPDATE log_source SET cursor=? WHERE name=?`,
	} {
		var err error
		if *to, err = db.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// in returns the statements for use in a transaction, which closes them.
func (s *appendStatements) in(ctx context.Context, tx *sql.Tx) appendStatements {
	of := func(st *sql.Stmt) *sql.Stmt { return tx.StmtContext(ctx, st) }
	return appendStatements{of(s.epoch), of(s.next), of(s.insert), of(s.cursor)}
}

type publisher struct {
	db     *DB
	source string
	epoch  int64
	cursor []byte
	topics map[string]*topic
}

func (p *publisher) Cursor() []byte { return p.cursor }

// Close does nothing: Append keeps nothing back.
func (p *publisher) Close() error { return nil }

func (p *publisher) Append(ctx context.Context, batch ...bus.Record) error {
	const op = "sqlite.append"
	if len(batch) == 0 {
		return ctx.Err()
	}
	rows := make([]recordRow, len(batch)) // made before others wait for this write
	for i := range batch {
		if batch[i].Topic != "" {
			rows[i] = rowOf(&batch[i].Message)
		}
	}
	next := map[*topic]int64{}
	var cursor []byte
	err := p.db.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		clear(next)
		cursor = nil
		on := p.db.appends.in(ctx, tx)
		var epoch int64
		err := on.epoch.QueryRowContext(ctx, p.source).Scan(&epoch)
		if err != nil {
			return err
		}
		if epoch != p.epoch {
			return oslc.Errorf(op, oslc.Conflict, "source %q has a newer owner", p.source)
		}
		now := time.Now().UnixMilli()
		for i := range batch {
			r := &batch[i]
			if r.Cursor != nil {
				cursor = r.Cursor
			}
			if r.Topic == "" {
				continue
			}
			t := p.topics[r.Topic]
			if t == nil {
				return oslc.Errorf(op, oslc.Invalid, "source %q does not own topic %q", p.source, r.Topic)
			}
			at, ok := next[t]
			if !ok {
				// Not what is known in memory: a write before this one may share the
				// transaction.
				if at, err = t.after(on.next.QueryRowContext(ctx, t.first(), t.first()|maxOffset)); err != nil {
					return err
				}
			}
			if at > maxOffset {
				return oslc.Errorf(op, oslc.Unavailable, "topic %q is full", r.Topic)
			}
			row := &rows[i]
			if _, err := on.insert.ExecContext(ctx, t.first()|at, now, r.Key, row.header, row.value, row.packed); err != nil {
				return err
			}
			next[t] = at + 1
		}
		if cursor != nil {
			_, err := on.cursor.ExecContext(ctx, cursor, p.source)
			return err
		}
		return nil
	}, func() {
		for t, n := range next {
			t.moveTo(n, messages(batch, t, p.topics))
		}
		if cursor != nil {
			p.cursor = cursor
		}
	})
	return oslc.E(op, err)
}

// recordRow is what is stored of a message beside its key.
type recordRow struct {
	header, value []byte
	packed        int // the number of the dictionary that value was compressed with, with the header in it
}

func rowOf(m *bus.Message) recordRow {
	header := appendHeader(make([]byte, 0, 768), m.Header)
	if packed := packRecord(header, m.Value); packed != nil {
		return recordRow{header: []byte{}, value: packed, packed: packedBy}
	}
	return recordRow{header: header, value: m.Value}
}

// messages returns copies of what a batch has for a topic: the caller of Append may
// use its memory again.
func messages(batch []bus.Record, of *topic, topics map[string]*topic) []bus.Message {
	out := make([]bus.Message, 0, len(batch))
	for i := range batch {
		if r := &batch[i]; r.Topic != "" && topics[r.Topic] == of {
			out = append(out, clone(r.Message))
		}
	}
	return out
}

type groupKey struct {
	topic int64
	group string
}

// Open implements bus.Log.
func (l *Log) Open(ctx context.Context, name string, from bus.From) (bus.Reader, error) {
	t, err := l.db.topic(ctx, name)
	if err != nil {
		return nil, oslc.E("sqlite.open_topic", err)
	}
	r := &reader{db: l.db, name: name, topic: t, group: from.Group}
	if from.Group == "" {
		oldest, next, _ := t.bounds()
		r.next = oldest
		if len(from.Offsets) > 0 {
			r.next = from.Offsets[0]
		}
		if r.next < oldest || r.next > next {
			return nil, goneError(name, r.next, oldest, next)
		}
	}
	return r, nil
}

func goneError(topic string, at, oldest, next int64) error {
	return oslc.Errorf("sqlite.read", oslc.Gone,
		"topic %q has no offset %d: it holds %d to %d", topic, at, oldest, next)
}

type reader struct {
	db    *DB
	name  string
	topic *topic
	group string
	next  int64
	buf   []bus.Delivery

	mu    sync.Mutex
	lease chan struct{} // the group's token while this reader has it
	done  bool
}

func (r *reader) held() (lease chan struct{}, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lease, r.done
}

// Next implements bus.Reader.
func (r *reader) Next(ctx context.Context) (bus.Delivery, error) {
	const op = "sqlite.next"
	if err := r.join(ctx); err != nil {
		return bus.Delivery{}, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return bus.Delivery{}, err
		}
		if len(r.buf) > 0 {
			d := r.buf[0]
			r.buf = r.buf[1:]
			r.next = d.Offset + 1
			return d, nil
		}
		oldest, next, wake := r.topic.bounds()
		r.db.mu.Lock()
		closed := r.db.closed
		r.db.mu.Unlock()
		switch {
		case closed:
			return bus.Delivery{}, oslc.E(op, errClosed, oslc.Unavailable)
		case r.next < oldest:
			return bus.Delivery{}, goneError(r.name, r.next, oldest, next)
		case r.next < next:
			if err := r.fetch(ctx, next); err != nil {
				return bus.Delivery{}, oslc.E(op, err)
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-wake:
		}
	}
}

// join waits until no other reader of the group is there, and takes its place.
func (r *reader) join(ctx context.Context) error {
	held, done := r.held()
	if done {
		return oslc.Errorf("sqlite.next", oslc.Unavailable, "the reader is closed")
	}
	if r.group == "" || held != nil {
		return nil
	}
	k := groupKey{r.topic.id, r.group}
	r.db.mu.Lock()
	lease := r.db.groups[k]
	if lease == nil {
		lease = make(chan struct{}, 1)
		lease <- struct{}{}
		r.db.groups[k] = lease
	}
	r.db.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-lease:
	}
	oldest, _, _ := r.topic.bounds()
	err := r.db.r.QueryRowContext(ctx, `SELECT next FROM log_group WHERE topic=? AND name=?`, k.topic, k.group).Scan(&r.next)
	if errors.Is(err, sql.ErrNoRows) {
		r.next, err = oldest, nil
	}
	if err != nil {
		lease <- struct{}{}
		return oslc.E("sqlite.join", r.db.readError(err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lease = lease
	return nil
}

func (r *reader) fetch(ctx context.Context, end int64) error {
	if r.buf = r.topic.newest(r.buf[:0], r.next); len(r.buf) > 0 {
		return nil
	}
	base := r.topic.first()
	rows, err := r.db.r.QueryContext(ctx, `SELECT id, key, header, value, packed FROM log_record
		WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`, base|r.next, base|end, readerChunk)
	if err != nil {
		return r.db.readError(err)
	}
	defer rows.Close()
	r.buf = r.buf[:0]
	for rows.Next() {
		var id int64
		var header []byte
		d := bus.Delivery{End: end}
		var packed int
		if err := rows.Scan(&id, &d.Key, &header, &d.Value, &packed); err != nil {
			return classify(err)
		}
		d.Offset = id & maxOffset
		if packed != 0 {
			header, d.Value, err = unpackRecord(d.Value)
		}
		if err == nil {
			d.Header, err = parseHeader(header)
		}
		if err != nil {
			return oslc.E("sqlite.fetch", fmt.Errorf("%s at offset %d: %w", r.name, d.Offset, err), oslc.Invalid)
		}
		r.buf = append(r.buf, d)
	}
	if err := rows.Err(); err != nil {
		return r.db.readError(err)
	}
	if len(r.buf) == 0 || r.buf[0].Offset != r.next {
		oldest, next, _ := r.topic.bounds()
		return goneError(r.name, r.next, oldest, next)
	}
	return nil
}

// Commit implements bus.Reader.
func (r *reader) Commit(ctx context.Context, d bus.Delivery) error {
	const op = "sqlite.commit"
	if r.group == "" {
		return nil
	}
	if lease, _ := r.held(); lease == nil {
		return oslc.Errorf(op, oslc.Conflict, "the reader does not hold group %q", r.group)
	}
	return oslc.E(op, r.db.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO log_group(topic, name, next) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET next = max(next, excluded.next)`, r.topic.id, r.group, d.Offset+1)
		return err
	}))
}

// Close implements bus.Reader.
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = true
	if r.lease != nil {
		r.lease <- struct{}{}
		r.lease = nil
	}
	return nil
}

func appendHeader(b []byte, h bus.Header) []byte {
	for _, f := range h {
		b = binary.AppendUvarint(b, uint64(len(f.Name)))
		b = append(b, f.Name...)
		b = binary.AppendUvarint(b, uint64(len(f.Value)))
		b = append(b, f.Value...)
	}
	return b
}

var errHeader = errors.New("the header is damaged")

func parseHeader(b []byte) (bus.Header, error) {
	var h bus.Header
	text := func() (string, bool) {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return "", false
		}
		s := string(b[w : w+int(n)])
		b = b[w+int(n):]
		return s, true
	}
	for len(b) > 0 {
		name, ok := text()
		if !ok {
			return nil, errHeader
		}
		value, ok := text()
		if !ok {
			return nil, errHeader
		}
		h = append(h, bus.Field{Name: name, Value: value})
	}
	return h, nil
}

// End returns the offset after the newest record of a topic's one partition.
func (l *Log) End(ctx context.Context, name string) ([]int64, error) {
	t, err := l.db.topic(ctx, name)
	if err != nil {
		return nil, oslc.E("sqlite.end", err)
	}
	_, next, _ := t.bounds()
	return []int64{next}, nil
}
