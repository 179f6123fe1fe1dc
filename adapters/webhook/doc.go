// Package webhook connects tools that send and take HTTP requests of their own
// making: what they send to /hooks and the connection's name becomes events, and
// requests become calls of theirs, both by configuration.
//
// # Deliveries
//
// A delivery is JSON or a CloudEvent (binary, structured or a batch), signed in one
// of the styles that tools use. Its signature is checked over the bytes as they came,
// before anything is read of them. It is answered with success once it is durable on
// the log, so a tool that hears of no success sends it again, and a repeat is known
// by the tool's own name for it.
//
// # Events
//
// What a delivery tells is compared with the state that the bus has: where nothing is
// different there is no event, where the bus has a newer state the delivery came too
// late, and a change of something that the bus has not seen is a creation. An event's
// identity is derived from the delivery, so it is the same after a crash.
//
// # Calls
//
// An action is a method, a path and a JSON body with parameters in them. Every call
// carries the request's id as Idempotency-Key, and goes to the host of the
// configuration alone.
//
// Packages that know one tool, such as adapters/github, bring a Mapper of their own.
package webhook
