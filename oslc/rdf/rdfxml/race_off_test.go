//go:build !race

package rdfxml_test

const raceEnabled = false
