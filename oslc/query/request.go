package query

import (
	"slices"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// A Query is one request of a query capability (OSLC Query 3.0). The zero value
// asks for every resource, the first page of them, with all of their properties.
type Query struct {
	Where Where
	// Search holds the strings of oslc.searchTerms. A resource must have each of
	// them; a string of several words is found where they follow each other.
	Search []string
	// OrderBy sorts by the first key, among equals by the next one.
	OrderBy []Sort
	// Select names the properties of members to answer with; nil means all.
	Select Selection
	// Properties is oslc.properties, which speaks of the container; nil means all.
	Properties Selection
	// PageSize is how many members a page has; 0 leaves it to the server.
	PageSize int
	// Paged says what oslc.paging asks for.
	Paged Paging
	// Page is the key of a later page, as Page.Next gave it; empty is the first.
	Page string
	// Prefixes are those that the request declared itself.
	Prefixes []rdf.Prefix
}

// Paging is what a client says about pages.
type Paging uint8

// The values of oslc.paging.
const (
	PagingUnsaid Paging = iota
	PagingWanted
	PagingRefused
)

// A Sort is one key to sort by.
type Sort struct {
	// Path is the property, after those that lead to the resource that has it.
	Path       []string
	Descending bool
}

// A Selection is a parsed oslc.select or oslc.properties. One that is empty and
// not nil selects nothing: that is what rdf:nil asks for.
type Selection []Selected

// Selected is one property of a Selection.
type Selected struct {
	Property string // an IRI, or "*" for any property
	// Nested selects properties of the resource that it leads to; nil means that
	// only its URI is wanted, of a blank node everything.
	Nested Selection
}

// A Page is one page of an answer.
type Page struct {
	Members []Member
	// Total is how many resources the query has on all pages, or -1 when counting
	// them would take too long.
	Total int64
	// Before is how many members the pages before this one had.
	Before int64
	// Next is the key of the next page, or empty on the last one.
	Next string
	// Size is how many members a full page has.
	Size int
}

// A Member is a resource that a query has found.
type Member struct {
	URI   string
	Graph *rdf.Graph
	// Revision changes whenever the resource does.
	Revision string
	Modified time.Time
	// Score says how well the search terms fit, from 0 to 100; 0 without a search.
	Score int
}

// Uses returns the properties that the conditions of w name, those of scopes too.
// A server refuses the ones that its shapes call not queryable.
func (w Where) Uses() []string {
	var out []string
	for i := range w {
		if w[i].Property != "*" {
			out = append(out, w[i].Property)
		}
		out = append(out, w[i].Scope.Uses()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
