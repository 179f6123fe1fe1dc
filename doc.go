// Package oslcbus is the engine of the integration bus, for programs that embed
// it: sources of tools publish events on a log, views fold them, rules turn them
// into requests, executors carry those out, and an HTTP server tells of it all as
// OSLC linked data and Tracked Resource Sets.
//
//	cfg, err := oslcbus.LoadConfig("oslcbus.yml", oslcbus.ConfigOptions{})
//	engine, err := oslcbus.New(cfg, oslcbus.Options{Adapters: all.Adapters()})
//	err = engine.Run(ctx) // blocks until ctx ends
//
// New does no I/O. Several engines may run in one process, each with its own data
// folder.
//
// # Delivery
//
// A change of a tool is on the log once. A request is on the log before its tool
// is called, once, and the executor recognises it by its id when it is asked
// again after a crash.
package oslcbus
