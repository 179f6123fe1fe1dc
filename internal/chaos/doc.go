// Package chaos kills the program and counts what that cost.
//
// Its test runs the real binary as a child process on a real MongoDB, under load,
// and kills it with SIGKILL at random moments. Afterwards every change must be on
// the log once, in order and under one id, and the ticket system must have each
// ticket once. `make chaos KILLS=1000` runs it for long.
package chaos
