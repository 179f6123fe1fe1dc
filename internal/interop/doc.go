// Package interop lets clients that others wrote drive the bus: Eclipse Lyo's OSLC
// and TRS clients, the npm package oslc-client, rdflib and Apache Jena. Each folder holds a
// small program that uses one of them as its users would and prints what it sees; the
// tests hold that against what is there.
//
// A test whose runtime is missing is skipped with a line that says so, and fails in
// CI.
package interop
