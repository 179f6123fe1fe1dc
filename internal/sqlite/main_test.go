package sqlite_test

import (
	"flag"
	"os"
	"testing"
)

// Each check of a property makes a file of its own and waits for the disk, so
// fewer are run by default than in memory. -rapid.checks overrides it.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}
