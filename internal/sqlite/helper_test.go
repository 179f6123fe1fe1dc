package sqlite_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

func writeFile(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func event(n int, c oslc.Change, uri string) *oslc.Event {
	g := rdf.NewGraph()
	g.Node(uri).A(vocab.CMChangeRequest).Int("http://tool.example/ns#n", int64(n))
	return &oslc.Event{
		ID: oslc.NewID("sqlite", fmt.Sprint(n)), Change: c, Subject: uri,
		Time: time.Date(2026, 11, 21, 9, 0, n, 0, time.UTC), Resource: g,
	}
}
