package sqlite

import (
	"context"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
)

var _ trs.History = (*Views)(nil)

// History implements trs.History.
func (v *Views) History(ctx context.Context, set string, q trs.ChangeQuery) ([]trs.Change, error) {
	const op = "sqlite.history"
	id, err := v.setID(ctx, set)
	if err != nil {
		return nil, err
	}
	upTo := q.UpTo
	if upTo == 0 {
		upTo = trs.Newest
	}
	where := []string{`c."set"=?`, `c."order">?`, `c."order"<=?`}
	args := []any{id, q.After, upTo}
	list := func(values []string) string {
		for _, s := range values {
			args = append(args, s)
		}
		return "(?" + strings.Repeat(", ?", len(values)-1) + ")"
	}
	if len(q.Changed) > 0 {
		where = append(where, `c.resource IN (SELECT id FROM view_resource WHERE uri IN `+list(q.Changed)+`)`)
	}
	if !q.From.IsZero() {
		where = append(where, `c.time>=?`)
		args = append(args, q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		where = append(where, `c.time<=?`)
		args = append(args, q.To.UnixMilli())
	}
	for _, group := range q.Types {
		var either []string
		var types []string
		for _, iri := range group {
			if k := oslc.ChangeOf(iri); k != 0 {
				either = append(either, `c.kind=?`)
				args = append(args, int(k))
			} else {
				types = append(types, iri)
			}
		}
		if len(types) > 0 {
			args = append(args, id)
			either = append(either, `c."order" IN (SELECT x."order" FROM view_type t JOIN view_change_type x ON x.type=t.id AND x."set"=? WHERE t.iri IN `+list(types)+`)`)
		}
		where = append(where, "("+strings.Join(either, " OR ")+")")
	}
	direction := "DESC"
	if q.OldestFirst {
		direction = "ASC"
	}
	rows, err := v.db.r.QueryContext(ctx, `SELECT `+changeColumns+`, coalesce((
			SELECT group_concat(t.iri, ' ') FROM view_type t JOIN view_change_type x ON x.type=t.id AND x."set"=c."set" AND x."order"=c."order"), '')
		FROM view_change c JOIN view_resource r ON r.id = c.resource
		WHERE `+strings.Join(where, " AND ")+` ORDER BY c."order" `+direction+` LIMIT ?`, append(args, q.Limit)...)
	if err != nil {
		return nil, oslc.E(op, classify(err))
	}
	out, err := scanChanges(rows)
	return out, oslc.E(op, classify(err))
}
