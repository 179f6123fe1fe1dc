package rdfxml

import (
	"strconv"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/xmltok"
)

// Parse reads a document in UTF-8, UTF-16 or ISO 8859-1. base is the IRI that
// relative references are resolved against; with an empty base they are errors
// unless the document has xml:base. Errors are *rdf.SyntaxError. Blank nodes are
// renamed. Internal entities of plain text are read within a budget; nothing
// outside the document is ever looked at.
func Parse(data []byte, base string, lim rdf.Limits) (*rdf.Graph, error) {
	g := new(rdf.Graph)
	g.Grow(min(len(data)/bytesPerTriple, 256) + 1)
	lim = lim.WithDefaults(rdf.DefaultMaxDepthXML)
	if len(data) > lim.MaxBytes {
		return nil, rdf.TooLarge(format, data, lim.MaxBytes)
	}
	if err := parse(string(data), base, lim, g, nil); err != nil {
		return nil, err
	}
	return g, nil
}

// Each reads a document as Parse does and hands each triple to f as it comes,
// those that are stated twice twice. The terms are pieces of doc as far as they can
// be. An error of f ends it and comes back as it is.
func Each(doc, base string, lim rdf.Limits, f func(rdf.Triple) error) error {
	lim = lim.WithDefaults(rdf.DefaultMaxDepthXML)
	if len(doc) > lim.MaxBytes {
		return rdf.TooLarge(format, []byte(doc), lim.MaxBytes)
	}
	return parse(doc, base, lim, nil, f)
}

// parse reads a document into g or, where that is nil, into f.
func parse(doc, base string, lim rdf.Limits, g *rdf.Graph, f func(rdf.Triple) error) error {
	doc, err := text(doc)
	if err != nil {
		return err
	}
	d := decoder{
		x:     xmltok.New(format, doc, lim),
		g:     g,
		f:     f,
		nodes: rdf.NewRenamer(),
		lim:   lim,
		base:  stripFragment(base),
	}
	defer d.x.Release()
	return d.run()
}

// bytesPerTriple is what a triple of an event takes at least, as a rule.
const bytesPerTriple = 80

type place uint8

const (
	inRDF        place = iota // in rdf:RDF: node elements
	inNode                    // in a node element: property elements
	inProperty                // in a property element: text or one node element
	inEmpty                   // in a property element that must be empty
	inCollection              // in a property element: any number of node elements
)

// A frame is one open element. There is one for each, so it is kept small: subjects
// have no datatype, and predicates are IRIs.
type frame struct {
	place    place
	hasNode  bool
	blank    bool   // the subject is a blank node
	subj     string // of a node element; that of a property element is its parent's
	pred     string
	lang     string
	base     string
	datatype string
	id       string // rdf:ID of the property element, which reifies its triple
	tail     string // last cell of the collection
	li       int    // how many rdf:li so far
}

// subject returns what the node element describes.
func (f *frame) subject() rdf.Term {
	if f.blank {
		return rdf.NewBlank(f.subj)
	}
	return rdf.NewIRI(f.subj)
}

type decoder struct {
	x     *xmltok.Tokenizer
	g     *rdf.Graph
	f     func(rdf.Triple) error // where there is no graph
	lim   rdf.Limits
	nodes *rdf.Renamer
	ids   map[string]struct{}
	open  []frame

	// The text of the innermost open element, if it is a property element; in buf
	// where it came in pieces.
	text     string
	buf      []byte
	buffered bool

	base  string
	count int
}

var (
	rdfType      = rdf.NewIRI(rdf.Type)
	rdfNil       = rdf.NewIRI(rdf.Nil)
	rdfFirst     = rdf.NewIRI(rdf.First)
	rdfRest      = rdf.NewIRI(rdf.Rest)
	rdfStatement = rdf.NewIRI(rdf.NS + "Statement")
	rdfSubject   = rdf.NewIRI(rdf.NS + "subject")
	rdfPredicate = rdf.NewIRI(rdf.NS + "predicate")
	rdfObject    = rdf.NewIRI(rdf.NS + "object")
)

func (d *decoder) run() error {
	for {
		k, err := d.x.Next()
		if err != nil {
			return err
		}
		switch k {
		case xmltok.EOF:
			return nil
		case xmltok.Start:
			err = d.start()
		case xmltok.End:
			err = d.end()
		case xmltok.Text:
			err = d.characters()
		case xmltok.Comment, xmltok.PI:
		}
		if err != nil {
			return err
		}
	}
}

func (d *decoder) syntax(f string, a ...any) error {
	return d.x.Errorf(rdf.FaultSyntax, f, a...)
}

func (d *decoder) emit(s, p, o rdf.Term) error {
	if d.count++; d.count > d.lim.MaxTriples {
		return d.x.Errorf(rdf.LimitTriples, "more than %d triples", d.lim.MaxTriples)
	}
	if d.g == nil {
		return d.f(rdf.Triple{S: s, P: p, O: o})
	}
	d.g.Expect(d.x.Offset(), d.x.Len())
	d.g.AddTriple(rdf.Triple{S: s, P: p, O: o})
	return nil
}

// link emits the triple of the innermost open element, a property element, and with
// rdf:ID its reification.
func (d *decoder) link(o rdf.Term) error {
	n := len(d.open) - 1
	f := &d.open[n]
	s, p := d.open[n-1].subject(), rdf.NewIRI(f.pred)
	if err := d.emit(s, p, o); err != nil || f.id == "" {
		return err
	}
	r := rdf.NewIRI(f.id)
	for _, t := range [4][2]rdf.Term{{rdfType, rdfStatement}, {rdfSubject, s}, {rdfPredicate, p}, {rdfObject, o}} {
		if err := d.emit(r, t[0], t[1]); err != nil {
			return err
		}
	}
	return nil
}

// iri resolves and checks a reference.
func (d *decoder) iri(base, ref string) (rdf.Term, error) {
	v := ref
	if !rdf.IsAbsolute(ref) {
		v = rdf.ResolveIRI(base, ref)
	}
	if len(v) > d.lim.MaxIRI {
		return rdf.Term{}, d.x.Errorf(rdf.LimitIRI, "IRI longer than %d bytes", d.lim.MaxIRI)
	}
	if !rdf.ValidIRI(v) {
		return rdf.Term{}, d.x.Errorf(rdf.FaultIRI, "not an absolute IRI: %.200q", v)
	}
	return rdf.NewIRI(v), nil
}

// named returns the IRI of an element or attribute name.
func (d *decoder) named(n *xmltok.Name) (rdf.Term, error) {
	if n.IRI.IsZero() {
		t, err := d.iri("", n.NS+n.Local)
		if err != nil {
			return t, err
		}
		n.IRI = t
	}
	return n.IRI, nil
}

func (d *decoder) nodeID(label string) (rdf.Term, error) {
	if !chars.IsNCName(label) {
		return rdf.Term{}, d.syntax("rdf:nodeID %.100q is not an XML name", label)
	}
	return d.nodes.Rename(label), nil
}

// useID returns the IRI of an rdf:ID, which may stand once per document.
func (d *decoder) useID(base, id string) (rdf.Term, error) {
	if !chars.IsNCName(id) {
		return rdf.Term{}, d.syntax("rdf:ID %.100q is not an XML name", id)
	}
	t, err := d.iri(base, "#"+id)
	if err != nil {
		return t, err
	}
	if _, ok := d.ids[t.Value]; ok {
		return t, d.syntax("rdf:ID %.100q stands twice", id)
	}
	if d.ids == nil {
		d.ids = map[string]struct{}{}
	}
	d.ids[t.Value] = struct{}{}
	return t, nil
}

func (d *decoder) characters() error {
	f := &d.open[len(d.open)-1]
	if f.place != inProperty || f.hasNode {
		if !blank(d.x.Text) {
			return d.syntax("text where an element should be")
		}
		return nil
	}
	switch {
	case d.text == "" && !d.buffered:
		d.text = d.x.Text
	case !d.buffered:
		d.buffered = true
		d.buf = append(append(d.buf[:0], d.text...), d.x.Text...)
	default:
		d.buf = append(d.buf, d.x.Text...)
	}
	if len(d.text) > d.lim.MaxLiteral || d.buffered && len(d.buf) > d.lim.MaxLiteral {
		return d.x.Errorf(rdf.LimitLiteral, "literal longer than %d bytes", d.lim.MaxLiteral)
	}
	return nil
}

// content returns the text of the property element.
func (d *decoder) content() string {
	if d.buffered {
		return string(d.buf)
	}
	return d.text
}

func blank(s string) bool {
	for i := range len(s) {
		if !chars.IsSpace(s[i]) {
			return false
		}
	}
	return true
}

func stripFragment(iri string) string {
	iri, _, _ = strings.Cut(iri, "#")
	return iri
}

func (d *decoder) start() error {
	e := &d.x.Elem
	lang, base := "", d.base
	if len(d.open) > 0 {
		f := &d.open[len(d.open)-1]
		lang, base = f.lang, f.base
	}
	for i := range e.Attrs {
		a := &e.Attrs[i]
		if a.NS != xmltok.NS {
			continue
		}
		switch a.Local {
		case "lang":
			if a.Value != "" && !chars.IsLangTag(a.Value) {
				return d.syntax("xml:lang %.50q is not a language tag", a.Value)
			}
			lang = a.Value
		case "base":
			base = stripFragment(rdf.ResolveIRI(base, a.Value))
		}
	}
	if len(d.open) == 0 {
		if e.NS == rdf.NS && e.Local == "RDF" {
			for i := range e.Attrs {
				if a := &e.Attrs[i]; a.NS != xmltok.NS && !ignored(a) {
					return d.syntax("attribute %.100q on rdf:RDF", a.Local)
				}
			}
			d.open = append(d.open, frame{place: inRDF, lang: lang, base: base})
			return nil
		}
		return d.node(lang, base)
	}
	f := &d.open[len(d.open)-1]
	switch f.place {
	case inRDF, inCollection:
		return d.node(lang, base)
	case inNode:
		return d.property(lang, base)
	case inProperty:
		switch {
		case f.hasNode:
			return d.syntax("two node elements in one property element")
		case !blank(d.content()):
			return d.syntax("text and elements in one property element")
		case f.datatype != "":
			return d.syntax("rdf:datatype on a property element that holds a node")
		}
		f.hasNode = true
		return d.node(lang, base)
	case inEmpty:
	}
	return d.syntax("an element where none may be")
}

func (d *decoder) end() error {
	f := &d.open[len(d.open)-1]
	var err error
	switch {
	case f.place == inProperty && !f.hasNode:
		o := rdf.Typed(d.content(), f.datatype)
		if f.datatype == "" {
			o.Lang = f.lang
		}
		err = d.link(o)
	case f.place == inCollection && f.tail == "":
		err = d.link(rdfNil)
	case f.place == inCollection:
		err = d.emit(rdf.NewBlank(f.tail), rdfRest, rdfNil)
	}
	d.open = d.open[:len(d.open)-1]
	return err
}

// syntaxName returns the rdf: name of a syntax attribute. Five of them may
// stand without a prefix, as in documents from before 2004.
func syntaxName(a *xmltok.Attr) (string, bool) {
	if a.NS == rdf.NS {
		return a.Local, true
	}
	if a.NS == "" {
		switch a.Local {
		case "about", "ID", "resource", "parseType", "type":
			return a.Local, true
		}
	}
	return "", false
}

// ignored reports whether an attribute is reserved by XML and means nothing here.
func ignored(a *xmltok.Attr) bool {
	return a.NS == xmltok.NS || a.NS == "" && len(a.Local) >= 3 && strings.EqualFold(a.Local[:3], "xml")
}

// forbidden reports whether an rdf: name may not name a node element or a
// property (RDF/XML, section 5.1; the old terms are withdrawn).
func forbidden(local string) bool {
	switch local {
	case "RDF", "ID", "about", "parseType", "resource", "nodeID", "datatype",
		"aboutEach", "aboutEachPrefix", "bagID":
		return true
	}
	return false
}

func (d *decoder) node(lang, base string) error {
	e := &d.x.Elem
	if e.NS == "" {
		return d.syntax("node element %.100q has no namespace", e.Local)
	}
	if e.NS == rdf.NS && (forbidden(e.Local) || e.Local == "li") {
		return d.syntax("rdf:%s is no node element", e.Local)
	}
	s, err := d.subject(base)
	if err != nil {
		return err
	}
	if len(d.open) > 0 {
		if err := d.attach(s); err != nil {
			return err
		}
	}
	if e.NS != rdf.NS || e.Local != "Description" {
		class, err := d.named(e.Name)
		if err != nil {
			return err
		}
		if err := d.emit(s, rdfType, class); err != nil {
			return err
		}
	}
	if err := d.attributes(s, lang, base, true); err != nil {
		return err
	}
	d.openNode(s, lang, base)
	return nil
}

func (d *decoder) openNode(s rdf.Term, lang, base string) {
	d.open = append(d.open, frame{place: inNode, subj: s.Value, blank: s.Kind == rdf.Blank, lang: lang, base: base})
}

// subject returns the term that a node element describes.
func (d *decoder) subject(base string) (s rdf.Term, err error) {
	for i := range d.x.Elem.Attrs {
		a := &d.x.Elem.Attrs[i]
		n, ok := syntaxName(a)
		if !ok || n != "about" && n != "ID" && n != "nodeID" {
			continue
		}
		if !s.IsZero() {
			return s, d.syntax("more than one of rdf:about, rdf:ID and rdf:nodeID")
		}
		switch n {
		case "about":
			s, err = d.iri(base, a.Value)
		case "ID":
			s, err = d.useID(base, a.Value)
		default:
			s, err = d.nodeID(a.Value)
		}
		if err != nil {
			return s, err
		}
	}
	if s.IsZero() {
		s = d.nodes.Fresh()
	}
	return s, nil
}

// attach links a node to the property element or collection around it.
func (d *decoder) attach(s rdf.Term) error {
	f := &d.open[len(d.open)-1]
	switch f.place {
	case inProperty:
		return d.link(s)
	case inCollection:
		cell := d.nodes.Fresh()
		var err error
		if f.tail == "" {
			err = d.link(cell)
		} else {
			err = d.emit(rdf.NewBlank(f.tail), rdfRest, cell)
		}
		f.tail = cell.Value
		if err != nil {
			return err
		}
		return d.emit(cell, rdfFirst, s)
	case inRDF, inNode, inEmpty:
	}
	return nil
}

// attributes emits the property attributes of the element, which is a node
// element or an empty property element.
func (d *decoder) attributes(s rdf.Term, lang, base string, node bool) error {
	for i := range d.x.Elem.Attrs {
		a := &d.x.Elem.Attrs[i]
		if ignored(a) {
			continue
		}
		if n, ok := syntaxName(a); ok {
			switch {
			case n == "type":
				class, err := d.iri(base, a.Value)
				if err != nil {
					return err
				}
				if err := d.emit(s, rdfType, class); err != nil {
					return err
				}
				continue
			case n == "ID", n == "nodeID", n == "about" && node, !node && (n == "resource" || n == "datatype"):
				continue
			case forbidden(n), n == "li", n == "Description":
				return d.syntax("attribute rdf:%s is not allowed here", n)
			}
		}
		if a.NS == "" {
			return d.syntax("attribute %.100q has no namespace", a.Local)
		}
		p, err := d.named(a.Name)
		if err != nil {
			return err
		}
		if len(a.Value) > d.lim.MaxLiteral {
			return d.x.Errorf(rdf.LimitLiteral, "literal longer than %d bytes", d.lim.MaxLiteral)
		}
		if err := d.emit(s, p, rdf.InLanguage(a.Value, lang)); err != nil {
			return err
		}
	}
	return nil
}

// predicate returns the IRI that a property element stands for.
func (d *decoder) predicate(parent *frame) (string, error) {
	e := &d.x.Elem
	switch {
	case e.NS == "":
		return "", d.syntax("property element %.100q has no namespace", e.Local)
	case e.NS != rdf.NS:
	case forbidden(e.Local) || e.Local == "Description":
		return "", d.syntax("rdf:%s is no property element", e.Local)
	case e.Local == "li":
		parent.li++
		return rdf.NS + "_" + strconv.Itoa(parent.li), nil
	}
	t, err := d.named(e.Name)
	return t.Value, err
}

func (d *decoder) property(lang, base string) error {
	pred, err := d.predicate(&d.open[len(d.open)-1])
	if err != nil {
		return err
	}
	d.text, d.buffered = "", false
	d.open = append(d.open, frame{place: inProperty, pred: pred, lang: lang, base: base})
	if len(d.x.Elem.Attrs) == 0 { // as most of them are
		return nil
	}
	f := &d.open[len(d.open)-1]
	var resource, nodeID, parseType *xmltok.Attr
	typed, others := false, 0
	for i := range d.x.Elem.Attrs {
		a := &d.x.Elem.Attrs[i]
		if ignored(a) {
			continue
		}
		n, ok := syntaxName(a)
		switch {
		case !ok && a.NS == "":
			return d.syntax("attribute %.100q has no namespace", a.Local)
		case !ok:
			others++
		case n == "ID":
			id, err := d.useID(base, a.Value)
			if err != nil {
				return err
			}
			f.id = id.Value
		case n == "resource":
			resource = a
		case n == "nodeID":
			nodeID = a
		case n == "parseType":
			parseType = a
		case n == "datatype":
			dt, err := d.iri(base, a.Value)
			if err != nil {
				return err
			}
			// xsd:string is never spelled out in the model, but excludes a language.
			typed, f.datatype = true, dt.Value
		case forbidden(n):
			return d.syntax("attribute rdf:%s is not allowed on a property element", n)
		default:
			others++
		}
	}
	switch {
	case parseType != nil && (resource != nil || nodeID != nil || typed || others > 0):
		return d.syntax("rdf:parseType cannot stand with other attributes")
	case parseType != nil:
		return d.parseType(parseType.Value)
	case resource == nil && nodeID == nil && others == 0:
		return nil
	case resource != nil && nodeID != nil, typed:
		return d.syntax("attributes that exclude each other on a property element")
	}
	f.place = inEmpty
	var o rdf.Term
	switch {
	case resource != nil:
		o, err = d.iri(base, resource.Value)
	case nodeID != nil:
		o, err = d.nodeID(nodeID.Value)
	default:
		o = d.nodes.Fresh()
	}
	if err != nil {
		return err
	}
	if err := d.link(o); err != nil || others == 0 {
		return err
	}
	return d.attributes(o, lang, base, false)
}

// parseType opens a property element with rdf:parseType. A value that is not
// known counts as Literal (RDF/XML, section 7.2.20).
func (d *decoder) parseType(value string) error {
	f := &d.open[len(d.open)-1]
	switch value {
	case "Resource":
		o := d.nodes.Fresh()
		if err := d.link(o); err != nil {
			return err
		}
		f.place, f.subj, f.blank = inNode, o.Value, true
		return nil
	case "Collection":
		f.place = inCollection
		return nil
	}
	b, err := d.x.Canonical(nil)
	if err != nil {
		return err
	}
	err = d.link(rdf.Typed(string(b), rdf.XMLLiteral))
	d.open = d.open[:len(d.open)-1] // Canonical has read the end tag
	return err
}
