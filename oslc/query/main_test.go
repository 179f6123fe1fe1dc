package query

import (
	"flag"
	"os"
	"testing"
)

// A check of a key takes microseconds, so there are many of them by default.
// -rapid.checks overrides it.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "5000"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}
