package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/trs"
)

var (
	_ trs.Store    = (*Views)(nil)
	_ server.Store = (*Views)(nil)
)

func (v *Views) setID(ctx context.Context, name string) (id int64, err error) {
	err = v.db.r.QueryRowContext(ctx, `SELECT id FROM view_set WHERE name=?`, name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, oslc.Errorf("sqlite.set", oslc.NotFound, "no tracked resource set %q", name)
	}
	return id, classify(err)
}

// AddSet makes sure that a set is there, also before its first event.
func (v *Views) AddSet(ctx context.Context, name string) error {
	return oslc.E("sqlite.add_set", v.db.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := setID(ctx, tx, name)
		return err
	}))
}

// Members implements trs.Store.
func (v *Views) Members(ctx context.Context, set string, at, after int64, limit int) ([]trs.Member, error) {
	const op = "sqlite.members"
	id, err := v.setID(ctx, set)
	if err != nil {
		return nil, err
	}
	rows, err := v.db.r.QueryContext(ctx, `SELECT r.uri, m.since
		FROM view_member m JOIN view_resource r ON r.id = m.resource
		WHERE m."set"=? AND m.since>? AND m.since<=? AND (m.until IS NULL OR m.until>?)
		ORDER BY m.since LIMIT ?`, id, after, at, at, limit)
	if err != nil {
		return nil, oslc.E(op, classify(err))
	}
	defer rows.Close()
	var out []trs.Member
	for rows.Next() {
		var m trs.Member
		if err := rows.Scan(&m.URI, &m.Since); err != nil {
			return nil, oslc.E(op, classify(err))
		}
		out = append(out, m)
	}
	return out, oslc.E(op, classify(rows.Err()))
}

// Resource implements server.Store.
func (v *Views) Resource(ctx context.Context, uri string) (server.Resource, error) {
	r := server.Resource{URI: uri}
	var graph []byte
	var ms int64
	err := v.db.r.QueryRowContext(ctx, `SELECT event, modified, deleted, graph FROM view_resource WHERE uri=?`, uri).
		Scan(&r.Revision, &ms, &r.Deleted, &graph)
	if errors.Is(err, sql.ErrNoRows) {
		return r, oslc.Errorf("sqlite.resource", oslc.NotFound, "no resource <%s>", uri)
	}
	if err != nil {
		return r, oslc.E("sqlite.resource", classify(err))
	}
	r.Modified = milli(ms)
	r.Graph, err = v.parse(graph)
	return r, oslc.E("sqlite.resource", err)
}

func (v *Views) parse(b []byte) (*rdf.Graph, error) {
	if len(b) == 0 {
		return rdf.NewGraph(), nil
	}
	return v.parser.Parse(b, format.NTriples, "", rdf.Limits{})
}

// Resources implements server.Store.
func (v *Views) Resources(ctx context.Context, provider, collection string, after int64, limit int) ([]server.Resource, int64, error) {
	const op = "sqlite.resources"
	rows, err := v.db.r.QueryContext(ctx, `SELECT id, uri, event, modified, graph FROM view_resource
		WHERE container=(SELECT id FROM view_container WHERE name=?) AND id>? AND NOT deleted
		ORDER BY id LIMIT ?`, containerName(provider, collection), after, limit)
	if err != nil {
		return nil, 0, oslc.E(op, classify(err))
	}
	defer rows.Close()
	var out []server.Resource
	for rows.Next() {
		var r server.Resource
		var graph []byte
		var ms int64
		if err := rows.Scan(&after, &r.URI, &r.Revision, &ms, &graph); err != nil {
			return nil, 0, oslc.E(op, classify(err))
		}
		r.Modified = milli(ms)
		if r.Graph, err = v.parse(graph); err != nil {
			return nil, 0, oslc.E(op, err)
		}
		out = append(out, r)
	}
	if len(out) < limit {
		after = 0
	}
	return out, after, oslc.E(op, classify(rows.Err()))
}

// Count implements server.Store.
func (v *Views) Count(ctx context.Context, provider, collection string) (n int64, err error) {
	err = v.db.r.QueryRowContext(ctx, `SELECT members FROM view_container WHERE name=?`, containerName(provider, collection)).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, oslc.E("sqlite.count", classify(err))
}

// State is what the views say of the resources whose URI begins with prefix.
// It implements adapters.State.
func (v *Views) State(prefix string) *State { return &State{v, prefix} }

// State is a provider's part of the views, as its source sees it.
type State struct {
	v      *Views
	prefix string
}

// Resource implements adapters.State.
func (s *State) Resource(ctx context.Context, uri string) (*rdf.Graph, bool, error) {
	r, err := s.v.Resource(ctx, uri)
	if errors.Is(err, oslc.NotFound) || err == nil && r.Deleted {
		return nil, false, nil
	}
	return r.Graph, err == nil, err
}

// Resources implements adapters.State. It reads in chunks, so the caller may
// take its time and use the views meanwhile.
func (s *State) Resources(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		after := s.prefix
		for {
			uris, err := s.chunk(ctx, after)
			if err != nil {
				yield("", oslc.E("sqlite.state", classify(err)))
				return
			}
			for _, uri := range uris {
				if !yield(uri, nil) {
					return
				}
				after = uri
			}
			if len(uris) < readerChunk {
				return
			}
		}
	}
}

func (s *State) chunk(ctx context.Context, after string) ([]string, error) {
	rows, err := s.v.db.r.QueryContext(ctx, `SELECT uri FROM view_resource
		WHERE uri>? AND uri<? AND NOT deleted ORDER BY uri LIMIT ?`, after, s.prefix+"\U0010FFFF", readerChunk)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var uri string
		if err := rows.Scan(&uri); err != nil {
			return nil, err
		}
		out = append(out, uri)
	}
	return out, rows.Err()
}
