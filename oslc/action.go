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
	// Parameters are in the order in which help shows them.
	Parameters []Parameter
}

// A Parameter of an Action.
type Parameter struct {
	Name     string
	Required bool
	Help     string
}
