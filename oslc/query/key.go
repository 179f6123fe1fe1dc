package query

// MaxLink is how long in bytes an IRI may be for a scope to follow it to another
// resource.
const MaxLink = 512
