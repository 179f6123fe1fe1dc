package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/trs"
)

// What a modification did to a resource, where the states before and after it are on
// the log. It is a function of the log alone, so that every replica has the same,
// however its batches were cut and whatever its configuration. before is the event
// that left the state before. types are the classes that stayed, of which there are few
// combinations; kept are those about the resource by a predicate that the
// change touches, which stayed too.
//
// It is a column of the change: a row of its own would cost as much again as the change.
const patchSchema = `
ALTER TABLE view_change ADD COLUMN edit BLOB;
CREATE TABLE view_types (
	id   INTEGER PRIMARY KEY,
	text TEXT NOT NULL UNIQUE
);
`

// largestPatch is how many bytes the statements of a patch may have: beyond it the
// resource itself is read as fast.
const largestPatch = 4 << 10

// patchRow is what is kept of an edit.
type patchRow struct {
	before, types, kept, text string
}

// patchBetween returns what leads from one stored form of a resource to another, nil
// where a patch cannot say that or is too long.
func patchBetween(uri string, before, after []byte) *patchRow {
	blank := []byte("_:")
	if bytes.Contains(before, blank) || bytes.Contains(after, blank) {
		return patchOverBlanks(uri, before, after)
	}
	gone, come := differentLines(before, after)
	if len(gone)+len(come) > largestPatch {
		return nil
	}
	return patchOf(uri, after, sortedLines(gone), sortedLines(come))
}

// patchOverBlanks is patchBetween where blank nodes must be told apart by what is said
// about them: those that stayed need no mention.
func patchOverBlanks(uri string, before, after []byte) *patchRow {
	old, err := format.Parser{}.Parse(before, format.NTriples, "", rdf.Limits{})
	if err != nil {
		return nil
	}
	now, err := format.Parser{}.Parse(after, format.NTriples, "", rdf.Limits{})
	if err != nil {
		return nil
	}
	d := diff.Between(old, now)
	lines := func(list []rdf.Triple) ([][]byte, bool) {
		g := rdf.NewGraph()
		for _, t := range list {
			if t.S.Kind == rdf.Blank || t.O.Kind == rdf.Blank {
				return nil, false
			}
			g.AddTriple(t)
		}
		b, err := format.Append(nil, g, format.NTriples)
		return sortedLines(b), err == nil && len(b) <= largestPatch
	}
	gone, ok := lines(d.Deleted)
	come, fine := lines(d.Added)
	if !ok || !fine {
		return nil
	}
	return patchOf(uri, after, gone, come)
}

func patchOf(uri string, after []byte, gone, come [][]byte) *patchRow {
	if len(gone)+len(come) == 0 {
		return nil
	}
	size := 0
	var touched [][]byte // predicates
	subject := append(append(make([]byte, 0, len(uri)+3), '<'), uri...)
	subject = append(subject, '>', ' ')
	for _, list := range [2][][]byte{gone, come} {
		for _, l := range list {
			size += len(l) + 3
			if p, ok := predicate(l, subject); ok && !contains(touched, p) {
				touched = append(touched, p)
			}
		}
	}
	if size > largestPatch {
		return nil
	}
	text := make([]byte, 0, size)
	for i, list := range [2][][]byte{gone, come} {
		for _, l := range list {
			if len(text) > 0 {
				text = append(text, '\n')
			}
			text = append(append(text, "DA"[i], ' '), l...)
		}
	}
	typed := []byte("<" + rdf.Type + ">")
	var types, kept [][]byte
	for l := range bytes.Lines(after) {
		l = bytes.TrimSuffix(l, []byte("\n"))
		p, ok := predicate(l, subject)
		is := ok && bytes.Equal(p, typed)
		if !is && (!ok || !contains(touched, p)) || contains(come, l) {
			continue
		}
		if is {
			types = append(types, l[len(subject)+len(p)+1:])
		} else {
			kept = append(kept, l)
		}
	}
	row := &patchRow{types: joined(types), kept: joined(kept), text: string(text)}
	if len(row.kept) > largestPatch {
		return nil
	}
	return row
}

// predicate returns that of a statement about a subject.
func predicate(line, subject []byte) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, subject)
	if !ok {
		return nil, false
	}
	p, _, ok := bytes.Cut(rest, []byte(" "))
	return p, ok
}

func contains(list [][]byte, b []byte) bool {
	return slices.ContainsFunc(list, func(x []byte) bool { return bytes.Equal(x, b) })
}

// joined returns lines in order.
func joined(lines [][]byte) string {
	if len(lines) == 0 {
		return ""
	}
	slices.SortFunc(lines, bytes.Compare)
	return string(bytes.Join(lines, []byte("\n"))) + "\n"
}

// sortedLines returns the lines of a text in order.
func sortedLines(text []byte) [][]byte {
	var out [][]byte
	for l := range bytes.Lines(text) {
		out = append(out, bytes.TrimSuffix(l, []byte("\n")))
	}
	slices.SortFunc(out, bytes.Compare)
	return out
}

// patch finds out what the changes of r in this batch did, of which the last left
// text, and the others the graphs that they hold.
func (f *fold) patch(r *row, text []byte) error {
	at := r.stored
	for n, i := range r.told {
		c := &f.changes[i]
		now := text
		if n < len(r.told)-1 {
			var err error
			if now, err = format.Append(nil, c.graph, format.NTriples); err != nil {
				return err
			}
		}
		if c.before != "" {
			if c.patch = patchBetween(r.uri, at, now); c.patch != nil {
				c.patch.before = c.before
			}
		}
		at, c.graph = now, nil
	}
	return nil
}

// edit returns what is written of an edit: before, and the number of types, the length
// of kept, kept and text.
func (f *fold) edit(p *patchRow) ([]byte, error) {
	if p == nil {
		return nil, nil
	}
	id, known := f.names.types[p.types]
	if !known {
		err := f.tx.QueryRowContext(f.ctx, `SELECT id FROM view_types WHERE text=?`, p.types).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			err = f.tx.QueryRowContext(f.ctx, `INSERT INTO view_types(text) VALUES (?) RETURNING id`, p.types).Scan(&id)
		}
		if err != nil {
			return nil, err
		}
		if f.names.types == nil || len(f.names.types) > manyTypes {
			f.names.types = map[string]int64{}
		}
		f.names.types[p.types] = id
	}
	f.room = append(append(f.room[:0], p.before...), '\n')
	f.room = binary.AppendUvarint(f.room, uint64(id))
	f.room = binary.AppendUvarint(f.room, uint64(len(p.kept)))
	f.room = append(append(f.room, p.kept...), p.text...)
	return f.room, nil
}

// manyTypes is how many combinations of classes are remembered.
const manyTypes = 1000

// readEdit reads what edit wrote.
func readEdit(b []byte) (p patchRow, types int64, err error) {
	before, rest, ok := bytes.Cut(b, []byte("\n"))
	id, n := binary.Uvarint(rest)
	if !ok || n <= 0 {
		return p, 0, errDamaged
	}
	size, m := binary.Uvarint(rest[n:])
	rest = rest[n:]
	if m <= 0 || size > uint64(len(rest)-m) {
		return p, 0, errDamaged
	}
	rest = rest[m:]
	return patchRow{before: string(before), kept: string(rest[:size]), text: string(rest[size:])}, int64(id), nil
}

var errDamaged = oslc.Errorf("sqlite.edit", oslc.Internal, "the edit of a change is damaged")

var _ trs.Patcher = (*Views)(nil)

// Patches implements trs.Patcher.
func (v *Views) Patches(ctx context.Context, set string, after, upTo int64) (map[int64]trs.Edit, error) {
	const op = "sqlite.patches"
	id, err := v.setID(ctx, set)
	if err != nil {
		return nil, err
	}
	rows, err := v.db.r.QueryContext(ctx, `SELECT c."order", c.edit, r.uri
		FROM view_change c JOIN view_resource r ON r.id = c.resource
		WHERE c."set"=? AND c."order">? AND c."order"<=? AND c.edit IS NOT NULL`, id, after, upTo)
	if err != nil {
		return nil, oslc.E(op, classify(err))
	}
	type found struct {
		order, types int64
		uri          string
		patchRow
	}
	var list []found
	err = func() error {
		defer rows.Close()
		for rows.Next() {
			var one found
			var b []byte
			if err := rows.Scan(&one.order, &b, &one.uri); err != nil {
				return err
			}
			if one.patchRow, one.types, err = readEdit(b); err != nil {
				return err
			}
			list = append(list, one)
		}
		return rows.Err()
	}()
	if err != nil {
		return nil, oslc.E(op, classify(err))
	}
	// After the rows: a connection that waits for another one may wait for ever.
	out, classes := make(map[int64]trs.Edit, len(list)), map[int64]string{}
	for _, one := range list {
		types, known := classes[one.types]
		if !known {
			if err := v.db.r.QueryRowContext(ctx, `SELECT text FROM view_types WHERE id=?`, one.types).Scan(&types); err != nil {
				return nil, oslc.E(op, classify(err))
			}
			classes[one.types] = types
		}
		for class := range strings.Lines(types) {
			one.kept += "<" + one.uri + "> <" + rdf.Type + "> " + class
		}
		out[one.order] = trs.Edit{Before: one.before, Text: one.text, Kept: one.kept}
	}
	return out, nil
}
