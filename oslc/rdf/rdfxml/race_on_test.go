//go:build race

package rdfxml_test

// Under the race detector a sync.Pool drops what it holds at random.
const raceEnabled = true
