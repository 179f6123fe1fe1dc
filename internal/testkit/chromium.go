package testkit

import (
	"os"
	"os/exec"
	"testing"
)

// Chromium returns the path of a Chromium: the one that OSLCBUS_TEST_CHROMIUM names,
// else the first in PATH. Without either the test is skipped, or fails in CI.
func Chromium(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv("OSLCBUS_TEST_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const hint = "no Chromium: install it (as root, `make parts` does), or set OSLCBUS_TEST_CHROMIUM to one"
	if InCI() {
		tb.Fatal(hint)
	}
	tb.Skip(hint)
	return ""
}
