package mongodb

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/oslcbus/oslcbus/adapters"
)

// A bookmark is what a cursor says.
type bookmark struct {
	// comparing is true for a full comparison that began at the place and has not
	// ended.
	comparing bool
	// set is the deployment's Identity.Set, and shape a sum over everything that
	// decides which changes the stream brings and what they map to.
	set, shape string
	at         Place
	// epoch is the number of the comparison; see run.epoch.
	epoch string
}

// The text of a cursor: version, kind, shape, set, time, token and epoch with a
// blank between. A field that is empty is "-".
const (
	cursorVersion   = "m1"
	cursorLive      = "live"
	cursorComparing = "comparing"
	cursorFields    = 7
)

func (b bookmark) cursor() adapters.Cursor {
	return b.appendPlace(b.prefix(), b.at)
}

// prefix returns the part of the cursor before its place.
func (b bookmark) prefix() []byte {
	kind := cursorLive
	if b.comparing {
		kind = cursorComparing
	}
	return []byte(strings.Join([]string{cursorVersion, kind, orDash(b.shape), orDash(b.set), ""}, " "))
}

// appendPlace ends the cursor that begins with prefix, in memory of its own.
func (b bookmark) appendPlace(prefix []byte, at Place) adapters.Cursor {
	const timeDigits = 16
	c := make([]byte, 0, len(prefix)+timeDigits+len(at.Token)+len(b.epoch)+4)
	c = append(c, prefix...)
	var t [8]byte
	for i := range t {
		t[i] = byte(at.Time >> (56 - 8*i))
	}
	c = append(hex.AppendEncode(c, t[:]), ' ')
	c = append(append(c, orDash(at.Token)...), ' ')
	return append(c, orDash(b.epoch)...)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

var errCursor = errors.New("the cursor is not one of this watcher's")

func parseCursor(c adapters.Cursor) (bookmark, error) {
	parts := strings.Split(string(c), " ")
	if len(parts) != cursorFields || parts[0] != cursorVersion {
		return bookmark{}, errCursor
	}
	for i, p := range parts {
		if p == "-" {
			parts[i] = ""
		}
	}
	b := bookmark{shape: parts[2], set: parts[3], epoch: parts[6]}
	switch parts[1] {
	case cursorLive:
	case cursorComparing:
		b.comparing = true
	default:
		return bookmark{}, errCursor
	}
	t, err := strconv.ParseUint(parts[4], 16, 64)
	if err != nil || parts[5] == "" {
		return bookmark{}, errCursor
	}
	b.at = Place{Time: ClusterTime(t), Token: parts[5]}
	return b, nil
}
