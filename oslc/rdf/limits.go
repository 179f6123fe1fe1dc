package rdf

// Limits bound what a reader takes from a document. A field that is zero or
// negative means its default, so the zero value is safe for text from strangers.
type Limits struct {
	// MaxBytes is the size of a document. Default 16 MiB.
	MaxBytes int
	// MaxTriples counts statements as they are read. Default 200,000.
	MaxTriples int
	// MaxDepth is how deep elements, brackets or objects nest.
	// Default 256 for RDF/XML and 128 for the other formats.
	MaxDepth int
	// MaxAttributes is per XML element. Default 256.
	MaxAttributes int
	// MaxNamespaces counts the XML namespace or prefix declarations in scope.
	// Default 1,024.
	MaxNamespaces int
	// MaxIRI is in bytes. Default 8 KiB.
	MaxIRI int
	// MaxLiteral is the lexical form in bytes. Default 1 MiB.
	MaxLiteral int
	// MaxEntityBytes is what the internal entities of one XML document may
	// expand to. Default 64 KiB. External and parameter entities are refused.
	MaxEntityBytes int
	// NoEntities refuses every entity declaration.
	NoEntities bool
}

// Default values of Limits.
const (
	DefaultMaxBytes       = 16 << 20
	DefaultMaxTriples     = 200_000
	DefaultMaxDepthXML    = 256
	DefaultMaxDepth       = 128
	DefaultMaxAttributes  = 256
	DefaultMaxNamespaces  = 1024
	DefaultMaxIRI         = 8 << 10
	DefaultMaxLiteral     = 1 << 20
	DefaultMaxEntityBytes = 64 << 10
)

// WithDefaults returns l with every unset field filled in; depth is the
// format's default for MaxDepth.
func (l Limits) WithDefaults(depth int) Limits {
	for _, f := range []struct {
		v *int
		d int
	}{
		{&l.MaxBytes, DefaultMaxBytes},
		{&l.MaxTriples, DefaultMaxTriples},
		{&l.MaxDepth, depth},
		{&l.MaxAttributes, DefaultMaxAttributes},
		{&l.MaxNamespaces, DefaultMaxNamespaces},
		{&l.MaxIRI, DefaultMaxIRI},
		{&l.MaxLiteral, DefaultMaxLiteral},
		{&l.MaxEntityBytes, DefaultMaxEntityBytes},
	} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return l
}
