package oslcbus_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/internal/testkit"
)

var (
	namedTest   = regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9_]+)`")
	definedTest = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
)

// TestDocumentedTests: docs/features.md has a row for each capability, and the
// tests that it names are there.
func TestDocumentedTests(t *testing.T) {
	t.Parallel()
	root := testkit.Root(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "features.md"))
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.FieldsSeq("A1 A2 A3 A4 A5 A6 A7 A8 C1 C2 C3 C4 C5 C6 C7 C8 E1 E2 E3 E4 E5 E6 P1 P2 P3 P4 P5 P6 P7 P8 S1 S2 S3 S4 S5 S6 T1 T2 T3 T4 T5 T6 T7 T8 T9 X1 X2 X3") {
		_, cells, found := strings.Cut(string(page), "\n| "+row+" | ")
		cells, _, _ = strings.Cut(cells, "\n")
		if columns := strings.Split(cells, " |"); !found || len(columns) < 3 || !namedTest.MatchString(columns[1]) {
			t.Errorf("there is no row %s with a test in its third column", row)
		}
	}
	for _, m := range namedTest.FindAllStringSubmatch(string(page), -1) {
		dir := filepath.Join(root, filepath.FromSlash(m[1]))
		if m[1] == "oslcbus" {
			dir = root
		}
		if !defined(t, dir)[m[2]] {
			t.Errorf("docs/features.md names %s.%s, which is not there", m[1], m[2])
		}
	}
	// What looks like a test but is not written as package and function would go
	// unchecked.
	for _, word := range regexp.MustCompile("`[^`]*Test[^`]*`").FindAllString(string(page), -1) {
		if !namedTest.MatchString(word) && word != "`TestDocumentedTests`" {
			t.Errorf("%s is not a package and a test", word)
		}
	}
}

// TestDocumentedFiles: docs/architecture.md says of each file of this package, once,
// what it is about.
func TestDocumentedFiles(t *testing.T) {
	t.Parallel()
	root := testkit.Root(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Inside the root package\n\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var told, there []string
	for _, m := range regexp.MustCompile("`([a-z_]+\\.go)`").FindAllStringSubmatch(table, -1) {
		told = append(told, m[1])
	}
	files, err := filepath.Glob(filepath.Join(root, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			there = append(there, filepath.Base(f))
		}
	}
	slices.Sort(told)
	if d := cmp.Diff(there, told); d != "" {
		t.Errorf("docs/architecture.md, Inside the root package (-there +told):\n%s", d)
	}
}

// defined returns the tests of a package.
func defined(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range definedTest.FindAllStringSubmatch(string(text), -1) {
			out[m[1]] = true
		}
	}
	return out
}
