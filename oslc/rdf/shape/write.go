package shape

import (
	"strconv"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// AddTo adds the shape to g, its properties as blank nodes (OSLC Core 3.0, part 6).
// Their labels begin with prefix, so that several shapes fit into one graph.
func (sh *Shape) AddTo(g *rdf.Graph, prefix string) {
	n := g.NodeOf(sh.Term).A(oslc + "ResourceShape")
	if sh.Title != "" {
		n.Add(dcterms+"title", rdf.Typed(escape(sh.Title), rdf.XMLLiteral))
	}
	n.Link(oslc+"describes", sh.Describes...)
	for i := range sh.Properties {
		b := rdf.NewBlank(prefix + strconv.Itoa(i))
		n.Add(oslc+"property", b)
		sh.Properties[i].addTo(g.NodeOf(b))
	}
}

func (p *Property) addTo(n rdf.Node) {
	n.A(oslc+"Property").
		String(oslc+"name", p.Name).
		Link(oslc+"propertyDefinition", p.Definition).
		Link(oslc+"occurs", p.Occurs).
		Link(oslc+"valueType", p.ValueTypes...).
		Link(oslc+"representation", p.Representation).
		Link(oslc+"range", p.Range...).
		Add(oslc+"valueShape", p.ValueShape).
		Add(oslc+"allowedValue", p.Allowed...).
		Add(oslc+"defaultValue", p.Default).
		Bool(oslc+"readOnly", p.ReadOnly)
	if p.Description != "" {
		n.Add(dcterms+"description", rdf.Typed(escape(p.Description), rdf.XMLLiteral))
	}
	if p.MaxSize > 0 {
		n.Int(oslc+"maxSize", p.MaxSize)
	}
	if p.Hidden {
		n.Bool(oslc+"hidden", true)
	}
	if !p.Queryable {
		n.Bool(oslc+"queryable", false)
	}
	if p.Member {
		n.Bool(oslc+"isMemberProperty", true)
	}
}

// escape makes text the content of an XML element.
func escape(s string) string {
	var b []byte
	for i := range len(s) {
		switch s[i] {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}
