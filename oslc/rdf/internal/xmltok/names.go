package xmltok

import (
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// A Name is the name of an element or attribute. A document has few of them, each
// many times: the Name that a token points to is kept for the next one that is
// spelled so.
type Name struct {
	Prefix, Local, NS string
	// IRI is for the reader, which sets it once; it is empty again when NS has changed.
	IRI rdf.Term

	raw      string
	resolved uint32 // Tokenizer.bindings when NS was looked up, or 0
}

// keptNames is how many names are kept, those of elements and of attributes each.
// Two names with the same place put each other out.
const keptNames = 128

type names [keptNames]*Name

// place is where a name is kept. What tells names of one vocabulary apart is
// their length and their last bytes.
func place(raw string) int {
	n := len(raw)
	return (n*37 + int(raw[n-1])*11 + int(raw[n/2])*5 + int(raw[0])) % keptNames
}

// name reads a qualified name.
func (x *Tokenizer) name(kept *names) (*Name, error) {
	src, from := x.src, x.pos
	end := from
	for end < len(src) && chars.IsASCIIName(src[end]) {
		end++
	}
	if end > from && (end == len(src) || src[end] < 0x80) {
		raw := src[from:end]
		if n := kept[place(raw)]; n != nil && n.raw == raw {
			x.pos = end
			return n, nil
		}
	}
	prefix, local, err := x.qname()
	if err != nil {
		return nil, err
	}
	raw := src[from:x.pos]
	n := x.newName()
	n.Prefix, n.Local, n.raw = prefix, local, raw
	kept[place(raw)] = n
	return n, nil
}

// newName takes a name of the present slab: one allocation for many.
func (x *Tokenizer) newName() *Name {
	if len(x.slab) == cap(x.slab) {
		x.slab = make([]Name, 0, min(max(2*cap(x.slab), 16), 256))
	}
	x.slab = x.slab[:len(x.slab)+1]
	return &x.slab[len(x.slab)-1]
}

// namespace looks the namespace of a name up, where the declarations in scope
// have changed since.
func (x *Tokenizer) namespace(n *Name, attribute bool) error {
	if n.resolved == x.bindings {
		return nil
	}
	var ns string
	if n.Prefix != "" || !attribute {
		var ok bool
		if ns, ok = x.lookup(n.Prefix); !ok {
			return x.syntax("prefix %.100q is not declared", n.Prefix)
		}
	}
	if ns != n.NS {
		n.NS, n.IRI = ns, rdf.Term{}
	}
	n.resolved = x.bindings
	return nil
}
