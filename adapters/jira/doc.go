// Package jira carries out actions on Jira Cloud (REST v3) and Jira Data Center
// (REST v2).
//
// # Actions
//
// create-issue makes an issue. Its description ends with a link to the resource
// that the request is about, whatever text is given.
//
// # Delivery
//
// Jira has no idempotency key. Each issue carries the request's id as a label and
// as the entity property "org.oslcbus.request", written in the call that makes it
// (an object on Cloud, the same JSON as text on Data Center, as each describes it);
// before an issue is made, the label is searched for. Jira's index lags behind, so
// where an earlier attempt may have made the issue a moment ago the search is
// repeated once the index has had time (Config.Settle).
//
// # Errors
//
// 400, 413 and 422 are Invalid, 401 and 403 Denied, 404 NotFound, 429 Limited with
// its Retry-After, 409 and 5xx Unavailable; the text is Jira's.
package jira
