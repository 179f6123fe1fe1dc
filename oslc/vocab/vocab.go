// Package vocab names the RDF terms that the bus speaks: one constant per term,
// prefix and term run together (vocab.CMStatus is oslc_cm:status).
//
// The constants of the OSLC vocabularies are generated from the files that OASIS
// publishes. Where a class and a property differ only in the case of their first
// letter, the class has the suffix Class: vocab.CMState is the property
// oslc_cm:state, vocab.CMStateClass the class oslc_cm:State.
package vocab

import (
	"slices"
	"strings"
)

//go:generate go run ../../internal/gen/vocab -out .

// Known reports whether an IRI is a term of its vocabulary. In a vocabulary of
// which not every term is here, such as Dublin Core, everything counts as known.
func Known(iri string) bool {
	cut := 1 + strings.LastIndexAny(iri, "#/")
	names, whole := terms[iri[:cut]]
	if !whole {
		return true
	}
	_, found := slices.BinarySearch(names, iri[cut:])
	return found
}

// Names returns the local names of a vocabulary that is here as a whole, in order,
// and nil for others.
func Names(namespace string) []string { return slices.Clone(terms[namespace]) }
