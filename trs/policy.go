package trs

import (
	"context"
	"strconv"
	"time"
)

// A Policy says what part of a change log is kept. The zero Policy keeps
// everything.
type Policy struct {
	// PageSize is that of the Server.
	PageSize int64
	// Keep is how long a change is kept at least, 0 for ever. The TRS primer has 21
	// days.
	Keep time.Duration
	// KeepChanges is how many changes are kept at least, counted in orders. Alone it
	// drops all older ones; with Keep a change goes when both allow it.
	KeepChanges int64
}

// Cut returns the order up to which the changes of a set may be dropped, 0 for
// none. It lies between two segments and never in the inline one, so that what is
// left are whole pages and the cutoff of every base that is offered is among them
// (TRS-8, 40).
func (p Policy) Cut(ctx context.Context, store Store, set string, now time.Time) (int64, error) {
	if p.Keep <= 0 && p.KeepChanges <= 0 {
		return 0, nil
	}
	b, err := store.Bounds(ctx, set, Newest)
	if err != nil {
		return 0, err
	}
	size := pageSize(p.PageSize)
	most := min(inlineAfter(b.Newest, size), b.Newest-p.KeepChanges) / size * size
	if p.Keep <= 0 {
		return max(0, most), nil
	}
	cut := b.Cut
	for at := b.Cut/size*size + size; at <= most; at += size {
		changes, err := store.Changes(ctx, set, at-size, at)
		if err != nil {
			return 0, err
		}
		for _, c := range changes {
			if now.Sub(c.Time) < p.Keep {
				return cut, nil
			}
		}
		cut = at
	}
	return cut, nil
}

// duration writes d as an xsd:duration.
func duration(d time.Duration) string {
	if d%(24*time.Hour) == 0 && d > 0 {
		return "P" + strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "D"
	}
	return "PT" + strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "S"
}
