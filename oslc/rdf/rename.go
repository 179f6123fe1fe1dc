package rdf

import "strconv"

// A Renamer gives the blank nodes of one document labels of its own: b0, b1 and
// so on, in the order in which they are met.
type Renamer struct {
	labels map[string]Term
	next   int
}

// NewRenamer returns a Renamer that starts at b0.
func NewRenamer() *Renamer { return &Renamer{} }

// Rename returns the node for a label in the document, the same one each time.
func (r *Renamer) Rename(label string) Term {
	if t, ok := r.labels[label]; ok {
		return t
	}
	if r.labels == nil {
		r.labels = make(map[string]Term)
	}
	t := r.Fresh()
	r.labels[label] = t
	return t
}

// Fresh returns a node that no label stands for.
func (r *Renamer) Fresh() Term {
	t := NewBlank("b" + strconv.Itoa(r.next))
	r.next++
	return t
}
