// Package automation decides what an event leads to. A Rule says on which events,
// under which condition, which action of which tool is asked for with which
// values; a match makes a Request.
//
// Nothing here does I/O: the same event and the same rules always make the same
// requests, with the same ids.
//
// # Conditions
//
// `where` is an oslc.where over the event graph: a term holds when the event
// itself or the resource in it fulfils it. `if` is a CEL expression.
//
// # Values
//
// Values may hold ${...}, a CEL expression over three variables:
//
//	event     id, uri, change, time, provider, changed (list), types (list)
//	resource  uri, title, description, identifier, types (list), and every property
//	          by its prefixed name: resource["dcterms:title"]; a list when it has
//	          several values
//	context   base_url, rule
//
// A value that is one ${...} alone keeps the type of its result; with text around
// it the result is written into the text. "$${" stands for "${".
package automation
