package format

import (
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// Servable reports, as a *rdf.WriteError, the first term of g that some Format
// could not carry unchanged: a predicate without an XML name or with a reserved
// one, a character that XML has no way to write, an IRI that is relative or
// malformed. Refuse such a resource when it comes in (400), and no later GET of
// it can fail.
func Servable(g *rdf.Graph) error {
	for _, t := range g.Triples() {
		if t.S.Kind == rdf.Literal || t.P.Kind != rdf.IRI {
			return refuse(t.P, "a triple that RDF does not allow")
		}
		for _, term := range [3]rdf.Term{t.S, t.P, t.O} {
			if err := servableTerm(term); err != nil {
				return err
			}
		}
		k := chars.SplitName(t.P.Value)
		if k <= 0 {
			return refuse(t.P, "the predicate has no XML name")
		}
		if t.P.Value[:k] == rdf.NS && reserved(t.P.Value[k:]) {
			return refuse(t.P, "the predicate is a reserved name of RDF/XML")
		}
	}
	return nil
}

func refuse(t rdf.Term, msg string) error {
	return &rdf.WriteError{Format: RDFXML.String(), Term: t, Msg: msg}
}

func servableTerm(t rdf.Term) error {
	switch t.Kind {
	case rdf.IRI:
		if !rdf.ValidIRI(t.Value) {
			return refuse(t, "not an absolute IRI")
		}
		if chars.XMLText(t.Value) >= 0 {
			return refuse(t, "a character that XML cannot carry")
		}
	case rdf.Literal:
		if chars.XMLText(t.Value) >= 0 {
			return refuse(t, "a character that XML cannot carry")
		}
		if t.Lang != "" && !chars.IsLangTag(t.Lang) {
			return refuse(t, "not a language tag")
		}
		if t.Datatype != "" && (!rdf.ValidIRI(t.Datatype) || chars.XMLText(t.Datatype) >= 0) {
			return refuse(t, "the datatype is not an absolute IRI")
		}
	case rdf.Blank:
	default:
		return refuse(t, "not a term")
	}
	return nil
}

// reserved reports whether a local name of the rdf: namespace cannot be a
// property element (RDF/XML, section 5.1).
func reserved(local string) bool {
	switch local {
	case "RDF", "ID", "about", "bagID", "parseType", "resource", "nodeID", "datatype",
		"li", "Description", "aboutEach", "aboutEachPrefix":
		return true
	}
	return false
}
