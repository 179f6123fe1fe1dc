// Package sqlitetest fills views for benchmarks, faster than folding can.
package sqlitetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the driver

	"github.com/oslcbus/oslcbus/internal/sqlite"
)

// Fill says what a file gets.
type Fill struct {
	// Set is the name of the set, and of the provider that the resources are of.
	Set string
	// Base is the address of the bus.
	Base string
	// Members are created first, each by a change; what is left of Changes modifies them in
	// turn.
	Members, Changes int64
}

// URI returns that of a member, counted from 1.
func (f Fill) URI(i int64) string { return fmt.Sprintf("%s%024x", f.prefix(), i) }

func (f Fill) prefix() string { return f.Base + "/services/" + f.Set + "/changeRequests/" }

// Views makes a file of views at path with the change log, the members and the resources
// that folding as many events leaves; facts and texts for queries it has none. Nothing
// else may have the file open.
func Views(ctx context.Context, path string, fill Fill) (err error) {
	made, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	if err := errors.Join(made.Views().AddSet(ctx, fill.Set), made.Close()); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=cache_size(-256000)&_pragma=temp_store(FILE)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	// An index is made faster when all rows are there.
	indexes, err := drop(ctx, db)
	if err != nil {
		return err
	}
	const (
		event = `printf('%08x-0000-5000-8000-%012x', n, n)`
		time  = `1700000000000 + n`
	)
	up := func(to string) string {
		return `WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c WHERE n < ` + to + `)`
	}
	steps := []struct {
		text string
		args []any
	}{
		{`INSERT INTO view_container(name, members) VALUES (?1 || '/changeRequests', ?2)`, []any{fill.Set, fill.Members}},
		{`INSERT INTO view_resource(id, uri, "set", container, since, modified, deleted, event, graph) ` + up("?3") + `
			SELECT (s.id << 40) | n, ?1 || printf('%024x', n), s.id, k.id, n, ` + time + `, 0, ` + event + `,
				CAST('<' || ?1 || printf('%024x', n) || '> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://open-services.net/ns/cm#ChangeRequest> .' || char(10) ||
				'<' || ?1 || printf('%024x', n) || '> <http://purl.org/dc/terms/title> "resource ' || n || '" .' || char(10) AS BLOB)
			FROM c, view_set s, view_container k WHERE s.name = ?2 AND k.name = ?2 || '/changeRequests'`, []any{fill.prefix(), fill.Set, fill.Members}},
		{`INSERT INTO view_member("set", since, resource) ` + up("?2") + ` SELECT s.id, n, (s.id << 40) | n FROM c, view_set s WHERE s.name = ?1`, []any{fill.Set, fill.Members}},
		{`INSERT INTO view_change("set", "order", event, kind, resource, time, mark) ` + up("?3") + `
			SELECT s.id, n, ` + event + `, CASE WHEN n <= ?2 THEN 1 ELSE 2 END, (s.id << 40) | (1 + (n-1) % ?2), ` + time + `, n * 2654435761
			FROM c, view_set s WHERE s.name = ?1`, []any{fill.Set, fill.Members, fill.Changes}},
		{`UPDATE view_set SET mark = ?2 * 2654435761, epoch = '00000001-0000-5000-8000-000000000001' WHERE name = ?1`, []any{fill.Set, fill.Changes}},
	}
	for _, s := range steps {
		if _, err := db.ExecContext(ctx, s.text, s.args...); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(strings.Fields(s.text)[:3], " "), err)
		}
	}
	for _, text := range indexes {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// drop removes the indexes of changes, and returns what makes them again.
func drop(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT name, sql FROM sqlite_master WHERE type='index' AND tbl_name='view_change' AND sql IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names, out []string
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		names, out = append(names, name), append(out, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := db.ExecContext(ctx, `DROP INDEX `+name); err != nil {
			return nil, err
		}
	}
	return out, nil
}
