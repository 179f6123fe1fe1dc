// Package oslc holds the domain: events, requests and results, service providers
// and the errors that everything on the bus speaks of. It imports nothing of this
// module but the RDF packages below it.
//
// An Event says that a resource of a tool was created, modified or deleted. A
// Request asks a tool to perform an action, a Result says how that ended. Both
// are resources too, so what happens to them is told by events again.
package oslc
