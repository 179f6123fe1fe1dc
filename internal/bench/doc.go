// Package bench holds the benchmarks of the assembled program: the way of a change
// from MongoDB to Kafka, the views, the way from a commit to an action, and tracked
// resource sets. What they showed, and on what machine, is in docs/benchmarks.md.
//
// Nothing here asserts a time. Benchmarks that need a real MongoDB or Kafka are
// skipped, with a line that says how to get one, where there is none.
package bench
