package adapters

import "net/http"

// idlePerHost is how many connections to one host are kept for the next call. With
// the two of package net/http, calls that run beside one another would dial each time.
const idlePerHost = 32

// NewTransport returns what calls a tool where Options.Client does not say: like
// http.DefaultTransport, with connections of its own. Nobody else in the process can
// close them while they are about to be used.
func NewTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = idlePerHost
	return t
}
