package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// The property index: a row for each statement of a resource that is there, so that
// a query is answered without looking into graphs. A container is one collection of
// a provider. The node of a fact is empty for the resource itself, else the key of
// what the statement is about, so that a scope goes from a fact's key to the facts of
// that node. Keys are query.Key's.
//
// The number of a resource is the set's and the order in which it first came up, so
// that it is the same wherever the log is folded.
const indexSchema = `
CREATE TABLE view_container (
	id      INTEGER PRIMARY KEY,
	name    TEXT NOT NULL UNIQUE,
	members INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE view_property (
	id        INTEGER PRIMARY KEY,
	iri       TEXT NOT NULL,
	container INTEGER NOT NULL,
	UNIQUE (iri, container)
);
CREATE TABLE view_fact (
	resource INTEGER NOT NULL,
	node     BLOB NOT NULL,
	property INTEGER NOT NULL,
	key      BLOB NOT NULL,
	PRIMARY KEY (resource, node, property, key)
) WITHOUT ROWID;
CREATE INDEX view_fact_value ON view_fact(property, key, resource, node);
CREATE VIRTUAL TABLE view_text USING fts5(
	title, body, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2'
);
CREATE TABLE view_stale (resource INTEGER PRIMARY KEY);

CREATE TEMP TABLE renumbered (old INTEGER PRIMARY KEY, id INTEGER NOT NULL);
INSERT INTO renumbered SELECT c.resource, (r."set" << 40) | min(c."order")
	FROM view_change c JOIN view_resource r ON r.id = c.resource GROUP BY c.resource;
UPDATE view_change SET resource=(SELECT id FROM renumbered WHERE old=resource);
UPDATE view_member SET resource=(SELECT id FROM renumbered WHERE old=resource);
ALTER TABLE view_resource RENAME TO view_resource_1;
CREATE TABLE view_resource (
	id        INTEGER PRIMARY KEY,
	uri       TEXT NOT NULL UNIQUE,
	"set"     INTEGER NOT NULL,
	container INTEGER NOT NULL,
	since     INTEGER NOT NULL,
	modified  INTEGER NOT NULL,
	deleted   INTEGER NOT NULL,
	event     TEXT NOT NULL,
	graph     BLOB
);
INSERT INTO view_resource SELECT n.id, r.uri, r."set", 0, r.since, r.modified, r.deleted, r.event, r.graph
	FROM view_resource_1 r JOIN renumbered n ON n.old = r.id;
DROP TABLE view_resource_1;
DROP TABLE renumbered;
CREATE INDEX view_resource_listed ON view_resource(container, id) WHERE NOT deleted;
`

// orderBits is how many bits of a resource's number are the order.
const (
	orderBits = 40
	maxOrder  = 1<<orderBits - 1
)

// number returns the number of a resource that first came up at the order in the
// set.
func number(set, order int64) int64 { return set<<orderBits | order }

// indexAll indexes what a file of the schema before holds.
func indexAll(ctx context.Context, tx *sql.Tx) error {
	f := fold{ctx: ctx, tx: tx, names: &names{}}
	// Not all that a fold does: the other tables are still of an older schema.
	for to, text := range f.on.indexing() {
		var err error
		if *to, err = tx.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	for after := int64(0); ; {
		list, err := f.unindexed(after)
		if err != nil {
			return err
		}
		for _, r := range list {
			after = r.id
			c, err := f.container(r.uri)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE view_resource SET container=? WHERE id=?`, c.id, r.id); err != nil {
				return err
			}
			if r.deleted {
				continue
			}
			if r.graph, err = (format.Parser{}).Parse(r.stored, format.NTriples, "", rdf.Limits{}); err != nil {
				return err
			}
			r.stored, r.isNew = nil, true
			if err := f.index(r, nil); err != nil {
				return err
			}
		}
		if len(list) < readerChunk {
			return f.saveMembers()
		}
	}
}

// indexing returns the statements that add to the index.
func (s *foldStatements) indexing() map[**sql.Stmt]string {
	const fact = `INSERT OR IGNORE INTO view_fact(resource, node, property, key) VALUES (?, ?, ?, ?)`
	return map[**sql.Stmt]string{
		&s.fact:  fact,
		&s.facts: fact + strings.Repeat(`, (?, ?, ?, ?)`, factsAtOnce-1),
		&s.stale: `INSERT OR IGNORE INTO view_stale(resource) VALUES (?)`,
	}
}

func (f *fold) unindexed(after int64) ([]*row, error) {
	rows, err := f.tx.QueryContext(f.ctx, `SELECT id, uri, since, deleted, coalesce(graph, x'') FROM view_resource WHERE id>? ORDER BY id LIMIT ?`, after, readerChunk)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*row
	for rows.Next() {
		r := &row{}
		if err := rows.Scan(&r.id, &r.uri, &r.since, &r.deleted, &r.stored); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// containerOf returns the provider and the collection of a resource's URI, which are
// the two segments before the last one.
func containerOf(uri string) string {
	end := strings.LastIndexByte(uri, '/')
	if end < 0 {
		return ""
	}
	middle := strings.LastIndexByte(uri[:end], '/')
	return uri[strings.LastIndexByte(uri[:max(middle, 0)], '/')+1 : end]
}

// names holds the numbers of containers, properties and types that were looked up. It is
// guarded by DB.writing.
type names struct {
	containers map[string]*container
	types      map[string]int64 // of changes, see view_types
}

type container struct {
	id         int64
	properties map[string]int64
	members    int64 // since the last save
}

func (f *fold) container(uri string) (*container, error) {
	name := containerOf(uri)
	if c := f.names.containers[name]; c != nil {
		return c, nil
	}
	c := &container{properties: map[string]int64{}}
	err := f.tx.QueryRowContext(f.ctx, `SELECT id FROM view_container WHERE name=?`, name).Scan(&c.id)
	if errors.Is(err, sql.ErrNoRows) {
		err = f.tx.QueryRowContext(f.ctx, `INSERT INTO view_container(name) VALUES (?) RETURNING id`, name).Scan(&c.id)
	}
	if err != nil {
		return nil, err
	}
	if f.names.containers == nil {
		f.names.containers = map[string]*container{}
	}
	f.names.containers[name] = c
	return c, nil
}

func (f *fold) property(c *container, iri string) (int64, error) {
	if id := c.properties[iri]; id != 0 {
		return id, nil
	}
	var id int64
	err := f.tx.QueryRowContext(f.ctx, `SELECT id FROM view_property WHERE iri=? AND container=?`, iri, c.id).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = f.tx.QueryRowContext(f.ctx, `INSERT INTO view_property(iri, container) VALUES (?, ?) RETURNING id`, iri, c.id).Scan(&id)
	}
	if err != nil {
		return 0, err
	}
	c.properties[iri] = id
	return id, nil
}

// saveMembers writes how many members each container has now.
func (f *fold) saveMembers() error {
	for _, c := range f.names.containers {
		if c.members == 0 {
			continue
		}
		if _, err := f.tx.ExecContext(f.ctx, `UPDATE view_container SET members=members+? WHERE id=?`, c.members, c.id); err != nil {
			return err
		}
		c.members = 0
	}
	return nil
}

// index brings the facts of r from what r.stored says to what the graph says, of
// which text is the stored form; it is not needed for a resource without one.
func (f *fold) index(r *row, text []byte) error {
	was := !r.isNew && !r.wasDeleted
	is := !r.deleted
	if !was && !is {
		return nil
	}
	c, err := f.container(r.uri)
	if err != nil {
		return err
	}
	switch {
	case !is:
		c.members--
		if _, err := f.on.unindex.ExecContext(f.ctx, r.id); err != nil {
			return err
		}
		return f.stale(r)
	case !was:
		c.members++
		return f.indexNew(r, c, text)
	}
	return f.indexChanged(r, c, text)
}

func (f *fold) indexNew(r *row, c *container, text []byte) error {
	g, err := labelled(r.graph, text)
	if err != nil {
		return err
	}
	if err := f.addFacts(r, c, g.Triples()); err != nil {
		return err
	}
	for t := range g.All() {
		if isText(t.O) {
			return f.stale(r)
		}
	}
	return nil
}

// stale notes that the texts of r are to be indexed anew.
func (f *fold) stale(r *row) error {
	f.texts = true
	_, err := f.on.stale.ExecContext(f.ctx, r.id)
	return err
}

// labelled returns g with the labels that blank nodes get when its stored form is
// read.
func labelled(g *rdf.Graph, text []byte) (*rdf.Graph, error) {
	if text == nil {
		return g, nil
	}
	for t := range g.All() {
		if t.S.Kind == rdf.Blank || t.O.Kind == rdf.Blank {
			return format.Parser{}.Parse(text, format.NTriples, "", rdf.Limits{})
		}
	}
	return g, nil
}

func (f *fold) indexChanged(r *row, c *container, text []byte) error {
	lost, won, err := difference(r.stored, text)
	if err != nil || lost.Len()+won.Len() == 0 {
		return err
	}
	g, err := labelled(r.graph, text)
	if err != nil {
		return err
	}
	texts := false
	for _, t := range lost.Triples() {
		texts = texts || isText(t.O)
		f.keys = f.keys[:0]
		fact, err := f.fact(r, c, t)
		if err != nil {
			return err
		}
		if !query.Exact(fact.key) && sharesKey(g, t, fact.key) {
			continue
		}
		if _, err := f.on.unfact.ExecContext(f.ctx, r.id, fact.node, fact.property, fact.key); err != nil {
			return err
		}
	}
	if err := f.addFacts(r, c, won.Triples()); err != nil {
		return err
	}
	for _, t := range won.Triples() {
		texts = texts || isText(t.O)
	}
	if !texts {
		return nil
	}
	return f.stale(r)
}

// sharesKey reports whether g has a statement like t whose object has the key in
// another spelling.
func sharesKey(g *rdf.Graph, t rdf.Triple, key []byte) bool {
	for u := range g.About(t.S) {
		if u.P == t.P && bytes.Equal(query.Key(nil, u.O), key) {
			return true
		}
	}
	return false
}

// difference returns the statements that only one of two stored graphs has.
func difference(before, after []byte) (lost, won *rdf.Graph, err error) {
	parse := func(b []byte) *rdf.Graph {
		g, fail := format.Parser{}.Parse(b, format.NTriples, "", rdf.Limits{})
		err = errors.Join(err, fail)
		return g
	}
	blank := []byte("_:")
	if !bytes.Contains(before, blank) && !bytes.Contains(after, blank) {
		gone, come := differentLines(before, after)
		return parse(gone), parse(come), err
	}
	// The names of blank nodes depend on the whole document.
	old, now := parse(before), parse(after)
	if err != nil {
		return nil, nil, err
	}
	return old.Without(now.Has), now.Without(old.Has), nil
}

// differentLines returns the lines that only one of two texts has.
func differentLines(before, after []byte) (gone, come []byte) {
	line := func(b []byte) int { return bytes.IndexByte(b, '\n') + 1 }
	for len(before) > 0 && len(after) > 0 {
		n := line(before)
		if n == 0 || !bytes.HasPrefix(after, before[:n]) {
			break
		}
		before, after = before[n:], after[n:]
	}
	only := map[string]bool{}
	for rest := before; len(rest) > 0; {
		n := line(rest)
		if n == 0 {
			n = len(rest)
		}
		only[string(rest[:n])] = true
		rest = rest[n:]
	}
	for rest := after; len(rest) > 0; {
		n := line(rest)
		if n == 0 {
			n = len(rest)
		}
		if l := rest[:n]; only[string(l)] {
			delete(only, string(l))
		} else {
			come = append(come, l...)
		}
		rest = rest[n:]
	}
	for l := range only {
		gone = append(gone, l...)
	}
	return gone, come
}

type factRow struct {
	node, key []byte
	property  int64
}

// fact returns the row of a statement, with its keys at the end of f.keys.
func (f *fold) fact(r *row, c *container, t rdf.Triple) (factRow, error) {
	id, err := f.property(c, t.P.Value)
	if err != nil {
		return factRow{}, err
	}
	from := len(f.keys)
	f.keys = query.Key(f.keys, t.O)
	n := len(f.keys)
	if t.S.Kind != rdf.IRI || t.S.Value != r.uri {
		f.keys = query.Key(f.keys, t.S)
	}
	return factRow{key: f.keys[from:n:n], node: f.keys[n:len(f.keys):len(f.keys)], property: id}, nil
}

// factsAtOnce is how many rows are inserted with one statement.
const factsAtOnce = 8

// addFacts inserts the rows of statements.
func (f *fold) addFacts(r *row, c *container, triples []rdf.Triple) error {
	f.keys, f.args = f.keys[:0], f.args[:0]
	for i := range triples {
		fact, err := f.fact(r, c, triples[i])
		if err != nil {
			return err
		}
		if f.args = append(f.args, r.id, fact.node, fact.property, fact.key); len(f.args) == 4*factsAtOnce {
			if _, err := f.on.facts.ExecContext(f.ctx, f.args...); err != nil {
				return err
			}
			f.keys, f.args = f.keys[:0], f.args[:0]
		}
	}
	for args := f.args; len(args) > 0; args = args[4:] {
		if _, err := f.on.fact.ExecContext(f.ctx, args[:4]...); err != nil {
			return err
		}
	}
	return nil
}

func indexError(r *row, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("index of <%s>: %w", r.uri, err)
}

// containerName is what containerOf returns for the resources of a collection.
func containerName(provider, collection string) string {
	return url.PathEscape(provider) + "/" + collection
}
