// Package trsfeed makes a tracked resource set of any OSLC server a source of
// events: tools that could only be polled become event-driven.
//
// # What becomes an event
//
// At first every member of the base; then each entry of the change log, with the
// resource as the server tells it now. A server does not keep states: between two
// polls several changes of a resource are one, and what ends as it was is none. A
// deletion holds the last state that is known. Where the change log has patches that
// lead on from what is held, each change is an event of its own, with the state that it
// left, and nothing is read.
//
// A resource is known on the bus under a URI of the bus, which dcterms:source leads
// back from; the set says nothing about who may read what, so the bus shows what
// its own credentials let it see.
//
// # Delivery
//
// The cursor is the place in the change log. When the place is gone, since the log
// was truncated or the server lost its history, everything is read again and
// compared with what the bus knows: only differences become events. The same goes
// for a feed at another address.
//
// A resource that cannot be read for the moment does not hold up the others: it is
// tried again with each poll. One that is missing waits for its deletion, one that
// must not be read for a change.
package trsfeed
