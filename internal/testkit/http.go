package testkit

import "net/http"

// HTTP is the client of tests. Its connections are its own: an httptest.Server that is
// closed closes those of http.DefaultTransport too, also while another test is about
// to use one.
var HTTP = &http.Client{Transport: &http.Transport{}}
