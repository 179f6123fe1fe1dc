// Package testkit starts the real parts that tests run on, and finds test data.
//
// Nothing here is shipped with the program.
package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// InCI reports whether a missing part is a failure rather than a skip.
func InCI() bool { return os.Getenv("CI") == "true" }

// Root returns the folder that holds go.mod.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			tb.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}

// Shared returns the path of reference data that lies beside the checkout, in
// ../shared. It is not part of the project: where it is absent the test is
// skipped with a line that says so.
func Shared(tb testing.TB, elem ...string) string {
	tb.Helper()
	path := filepath.Join(append([]string{Root(tb), "..", "shared"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("reference data %s is absent: put it beside the checkout to run this test",
			filepath.Join(append([]string{"../shared"}, elem...)...))
	}
	return path
}
