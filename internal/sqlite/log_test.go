package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/bustest"
	"github.com/oslcbus/oslcbus/internal/sqlite"
)

func open(tb testing.TB, dir string) *sqlite.DB {
	tb.Helper()
	db, err := sqlite.Open(tb.Context(), filepath.Join(dir, "oslcbus.db"))
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// TestLog is not parallel: it looks for goroutines that are left, and the databases
// of other tests have some.
func TestLog(t *testing.T) {
	bustest.Run(t, bustest.Config{Open: func(t testing.TB, dir string) bus.Log { return open(t, dir).Log() }})
}
