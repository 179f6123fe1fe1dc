// Package oslcserver lets rules and people use the actions that the resources of any
// OSLC server offer (OSLC Actions).
//
// A request names a resource and the class of an action; what has to be sent is looked
// up when it is sent, in the resource itself: its oslc:action, the action's bindings,
// their bodies. Both namespaces of the terms are read. Of the patterns there are, those
// with an empty body, with a body by a shape, with a fixed body and with an
// AutomationRequest are followed; dialogs are for people, and a binding that asks for
// something unknown, such as header fields, is left alone.
//
// # Limits
//
// Nothing is read from or sent to a server that the configuration does not name, by
// scheme, name and port, also not after a redirect; where its name leads to is not
// asked. Credentials go to the server that they are for. Answers are bounded in size, and
// the whole in time.
//
// # Once
//
// Every call has the request's id as Idempotency-Key. OSLC defines none, so that is known
// by some servers alone. Where an earlier attempt may have been heard, an action that is
// offered no more counts as done, with a warning; Config.Once forbids to call again what
// is still offered.
package oslcserver
