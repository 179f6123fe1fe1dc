package oslc

// An Action is what a tool offers (oslc:Action): something that a Request can ask
// it for.
type Action struct {
	// Name is how rules write it, such as "create-issue".
	Name string
	// IRI is its class, which a Request names.
	IRI string
	// Title is for people.
	Title string
	// Class is the rdf:type of the resources that it can be asked for on; empty for
	// one that needs no resource. Where is a condition in the syntax of oslc.where
	// under which it would be accepted now; empty: always. Resources offer it by
	// these two.
	Class, Where string
	// Parameters are in the order in which help shows them.
	Parameters []Parameter
}

// A Parameter of an Action.
type Parameter struct {
	Name     string
	Required bool
	Help     string
	// Property is how a client writes it in RDF, an IRI; empty: as an
	// oslc_auto:ParameterInstance alone.
	Property string
	// Target marks the one that names the resource that the request is about, where
	// the request's Target does not.
	Target bool
	// Hidden marks one that is there for programs alone, such as clients of an older
	// version: forms do not ask a person for it (oslc:hidden).
	Hidden bool
}
