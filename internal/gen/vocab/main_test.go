package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	t.Parallel()
	own, err := os.ReadFile(filepath.Join(testkit.Root(t), "oslc", "vocab", "own.go"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(own)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(testkit.Root(t), "oslc", "vocab", name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs: run go generate ./oslc/vocab\n%s", name, diff)
		}
	}
}
