package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

// Python returns a python that has kafka-python and rdflib: the one that
// OSLCBUS_TEST_PYTHON names, else the one among the parts. Without either the test
// is skipped, or fails in CI.
func Python(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv("OSLCBUS_TEST_PYTHON"); path != "" {
		return path
	}
	path := filepath.Join(Root(tb), ".parts", "python", "bin", "python")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	const hint = "no Python with kafka-python and rdflib: run `make parts`, or set OSLCBUS_TEST_PYTHON to one"
	if InCI() {
		tb.Fatal(hint)
	}
	tb.Skip(hint)
	return ""
}
