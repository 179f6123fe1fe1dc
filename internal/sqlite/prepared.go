package sqlite

import (
	"context"
	"database/sql"
	"sync"
)

// keptStatements is how many statements of queries are kept prepared. Parsing one
// takes as long as finding some dozen resources.
const keptStatements = 256

// prepared holds statements for reading by their text.
type prepared struct {
	mu sync.Mutex
	of map[string]*sql.Stmt
}

// get returns the statement of a text, or nil where there are enough others.
func (p *prepared) get(ctx context.Context, db *sql.DB, text string) (*sql.Stmt, error) {
	p.mu.Lock()
	s, full := p.of[text], len(p.of) >= keptStatements
	p.mu.Unlock()
	if s != nil || full {
		return s, nil
	}
	// Without the lock: to prepare may wait for a connection.
	s, err := db.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.of[text]; other != nil {
		return other, s.Close()
	}
	if p.of == nil {
		p.of = map[string]*sql.Stmt{}
	}
	p.of[text] = s
	return s, nil
}

// rows asks in the transaction of the query.
func (r *queryRun) rows(text string, args ...any) (*sql.Rows, error) {
	return r.rowsIn(r.ctx, text, args...)
}

func (r *queryRun) rowsIn(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	s, err := r.views.db.prepared.get(ctx, r.views.db.r, text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return r.tx.QueryContext(ctx, text, args...)
	}
	return r.tx.StmtContext(ctx, s).QueryContext(ctx, args...)
}

// one is rows for what has one row, or none, and does not take long: it does not end
// with the time of the query, for to watch it takes as long as many a statement.
func (r *queryRun) one(text string, args []any, to ...any) error {
	rows, err := r.rowsIn(context.WithoutCancel(r.ctx), text, args...)
	if err != nil {
		return err
	}
	return scanOne(rows, to...)
}

// scanOne reads what has one row, or none.
func scanOne(rows *sql.Rows, to ...any) error {
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := rows.Scan(to...); err != nil {
		return err
	}
	return rows.Close()
}
