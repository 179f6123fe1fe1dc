package sqlite

import (
	"context"
	"database/sql"
	"html"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Indexing texts takes longer than everything else a fold does, so a fold only notes
// whose texts are stale. They are indexed when nothing was folded for a moment, a few
// at a time while folding goes on, and before a search is answered.
const (
	textsAtOnce = 500                   // resources in one transaction: others wait for it
	textsFirst  = 2000                  // indexed at most before a search is answered
	textsQuiet  = 50 * time.Millisecond // without a fold until all are indexed
	textsBusy   = time.Second           // from one transaction to the next while there are folds
)

// texts keeps the full-text index up to the facts.
type texts struct {
	db   *DB
	wake chan struct{} // holds one element
	stop context.CancelFunc
	done sync.WaitGroup
}

func (t *texts) start(db *DB) {
	ctx, cancel := context.WithCancel(context.Background())
	t.db, t.wake, t.stop = db, make(chan struct{}, 1), cancel
	t.done.Go(func() { t.run(ctx) })
	t.poke() // what the process before has left
}

// poke says that something is stale.
func (t *texts) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *texts) run(ctx context.Context) {
	quiet := time.NewTimer(0)
	defer quiet.Stop()
	var last time.Time
	for stale := false; ; {
		wait := quiet.C
		if !stale {
			wait = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
			stale = true
			quiet.Reset(textsQuiet)
			if time.Since(last) < textsBusy {
				continue
			}
		case <-wait:
			quiet.Reset(0)
		}
		n, err := t.db.indexTexts(ctx, textsAtOnce)
		last = time.Now()
		// What could not be written now is tried again with the next fold.
		stale = err == nil && n == textsAtOnce
	}
}

// catchUpTexts indexes stale texts for a search, if not too many.
func (db *DB) catchUpTexts(ctx context.Context) error {
	var stale bool
	if err := db.r.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM view_stale)`).Scan(&stale); err != nil || !stale {
		return db.readError(err)
	}
	_, err := db.indexTexts(ctx, textsFirst)
	return err
}

// indexTexts indexes the texts of up to limit resources that are stale, and returns
// of how many it has.
func (db *DB) indexTexts(ctx context.Context, limit int) (n int, err error) {
	err = db.writeViews(ctx, func(ctx context.Context, tx *sql.Tx) error {
		list, err := staleTexts(ctx, tx, limit)
		if err != nil {
			return err
		}
		n = len(list)
		for _, r := range list {
			if _, err := tx.StmtContext(ctx, db.fold.untext).ExecContext(ctx, r.id); err != nil {
				return err
			}
			if !r.deleted {
				if err := db.indexText(ctx, tx, r); err != nil {
					return indexError(r, err)
				}
			}
			if _, err := tx.StmtContext(ctx, db.fold.unstale).ExecContext(ctx, r.id); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

func staleTexts(ctx context.Context, tx *sql.Tx, limit int) ([]*row, error) {
	rows, err := tx.QueryContext(ctx, `SELECT s.resource, coalesce(r.uri, ''), coalesce(r.deleted, 1), coalesce(r.graph, x'')
		FROM view_stale s LEFT JOIN view_resource r ON r.id = s.resource LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*row
	for rows.Next() {
		r := &row{}
		if err := rows.Scan(&r.id, &r.uri, &r.deleted, &r.stored); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// maxText is how many bytes of a resource's texts can be searched for.
const maxText = 256 << 10

func (db *DB) indexText(ctx context.Context, tx *sql.Tx, r *row) error {
	g, err := (format.Parser{}).Parse(r.stored, format.NTriples, "", rdf.Limits{})
	if err != nil {
		return err
	}
	var title, body strings.Builder
	for t := range g.All() {
		if !isText(t.O) {
			continue
		}
		to := &body
		if t.S.Kind == rdf.IRI && t.S.Value == r.uri {
			switch t.P.Value {
			case vocab.DCTermsTitle, vocab.RDFSLabel, vocab.OSLCShortTitle:
				to = &title
			}
		}
		text := t.O.Value
		if t.O.Datatype == rdf.XMLLiteral {
			text = plainText(text)
		}
		if room := maxText - title.Len() - body.Len(); len(text) > room {
			text = text[:max(room, 0)]
		}
		to.WriteString(text)
		to.WriteByte('\n')
	}
	if title.Len() == 0 && body.Len() == 0 {
		return nil
	}
	_, err = tx.StmtContext(ctx, db.fold.text).ExecContext(ctx, r.id, title.String(), body.String())
	return err
}

// isText reports whether a search looks into t.
func isText(t rdf.Term) bool {
	return t.Kind == rdf.Literal && (t.Datatype == "" || t.Datatype == rdf.XMLLiteral)
}

// plainText is the text of an XMLLiteral without its tags.
func plainText(s string) string {
	if strings.IndexByte(s, '<') >= 0 {
		var b strings.Builder
		for s != "" {
			before, rest, tagged := strings.Cut(s, "<")
			b.WriteString(before)
			if !tagged {
				break
			}
			_, after, closed := strings.Cut(rest, ">")
			if !closed {
				b.WriteString(rest)
				break
			}
			b.WriteByte(' ')
			s = after
		}
		s = b.String()
	}
	return html.UnescapeString(s)
}

// StaleTexts returns of how many resources a search may not see the newest texts.
func (v *Views) StaleTexts(ctx context.Context) (n int64, err error) {
	err = v.db.r.QueryRowContext(ctx, `SELECT count(*) FROM view_stale`).Scan(&n)
	return n, oslc.E("sqlite.stale", v.db.readError(err))
}
