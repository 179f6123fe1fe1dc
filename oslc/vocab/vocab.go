// Package vocab names the RDF terms that the bus speaks: one constant per term,
// prefix and term run together (vocab.CMStatus is oslc_cm:status).
//
// The constants of the OSLC vocabularies are generated from the files that OASIS
// publishes. Where a class and a property differ only in the case of their first
// letter, the class has the suffix Class: vocab.CMState is the property
// oslc_cm:state, vocab.CMStateClass the class oslc_cm:State.
package vocab

//go:generate go run ../../internal/gen/vocab -out .
