package rdf

import (
	"slices"
	"strings"
)

// A Prefix is a short name for a namespace.
type Prefix struct{ Name, IRI string }

// The order is part of every document: predicates are written namespace by
// namespace as they stand here. Every namespace ends in '#' or '/'.
var prefixes = []Prefix{
	{"rdf", NS},
	{"rdfs", "http://www.w3.org/2000/01/rdf-schema#"},
	{"dcterms", "http://purl.org/dc/terms/"},
	{"foaf", "http://xmlns.com/foaf/0.1/"},
	{"oslc", "http://open-services.net/ns/core#"},
	{"oslc_cm", "http://open-services.net/ns/cm#"},
	{"oslc_auto", "http://open-services.net/ns/auto#"},
	{"oslc_config", "http://open-services.net/ns/config#"},
	{"oslc_events", "http://open-services.net/ns/events#"},
	{"oslc_actions", "http://open-services.net/ns/actions#"},
	{"trs", "http://open-services.net/ns/core/trs#"},
	{"trspatch", "http://open-services.net/ns/core/trspatch#"},
	{"acc", "http://open-services.net/ns/core/acc#"},
	{"ldp", "http://www.w3.org/ns/ldp#"},
	{"http", "http://www.w3.org/2011/http#"},
	{"owl", "http://www.w3.org/2002/07/owl#"},
	{"xsd", XSD},
	{"oslcbus", "https://oslcbus.github.io/ns#"},
	{"st2", "https://oslcbus.github.io/ns/st2#"},
}

// Prefixes returns the well-known prefixes, the same in every document that is
// written here.
func Prefixes() []Prefix { return slices.Clone(prefixes) }

// Expand returns the IRI of a prefixed name such as "dcterms:title". ok is
// false if the prefix is not well known.
func Expand(name string) (iri string, ok bool) {
	prefix, local, found := strings.Cut(name, ":")
	if !found {
		return "", false
	}
	for _, p := range prefixes {
		if p.Name == prefix {
			return p.IRI + local, true
		}
	}
	return "", false
}

// Compact returns the prefixed name of an IRI in a well-known namespace. ok is
// false for any other IRI.
func Compact(iri string) (name string, ok bool) {
	cut := 1 + strings.LastIndexAny(iri, "#/")
	if cut == len(iri) {
		return "", false
	}
	for _, p := range prefixes {
		if iri[:cut] == p.IRI {
			return p.Name + ":" + iri[cut:], true
		}
	}
	return "", false
}
