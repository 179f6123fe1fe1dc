package rdfxml

import (
	"strconv"
	"strings"
	"sync"

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
		names: nameMaps.Get().(map[name]rdf.Term),
		lim:   lim,
		base:  stripFragment(base),
	}
	defer d.release()
	return d.run()
}

// bytesPerTriple is what a triple of an event takes at least, as a rule.
const bytesPerTriple = 80

// nameMaps are kept for the next document, emptied: their growth would be what reading
// a small one costs most.
var nameMaps = sync.Pool{New: func() any { return make(map[name]rdf.Term, 64) }}

func (d *decoder) release() {
	if len(d.names) <= 256 {
		clear(d.names)
		nameMaps.Put(d.names)
	}
}

type place uint8

const (
	inRDF        place = iota // in rdf:RDF: node elements
	inNode                    // in a node element: property elements
	inProperty                // in a property element: text or one node element
	inEmpty                   // in a property element that must be empty
	inCollection              // in a property element: any number of node elements
)

// A frame is one open element.
type frame struct {
	place      place
	subj, pred rdf.Term
	lang, base string
	datatype   string
	id         string // rdf:ID of the property element, which reifies its triple
	li         int    // how many rdf:li so far
	text       string
	buffered   bool // the text is in decoder.buf, because it came in pieces
	hasNode    bool
	tail       rdf.Term // last cell of the collection
}

type name struct{ ns, local string }

type decoder struct {
	x     *xmltok.Tokenizer
	g     *rdf.Graph
	f     func(rdf.Triple) error // where there is no graph
	lim   rdf.Limits
	nodes *rdf.Renamer
	names map[name]rdf.Term
	ids   map[string]struct{}
	open  []frame
	buf   []byte
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

// link emits the triple of a property element and, with rdf:ID, its reification.
func (d *decoder) link(f *frame, o rdf.Term) error {
	if err := d.emit(f.subj, f.pred, o); err != nil || f.id == "" {
		return err
	}
	r := rdf.NewIRI(f.id)
	for _, t := range [4][2]rdf.Term{{rdfType, rdfStatement}, {rdfSubject, f.subj}, {rdfPredicate, f.pred}, {rdfObject, o}} {
		if err := d.emit(r, t[0], t[1]); err != nil {
			return err
		}
	}
	return nil
}

// iri resolves and checks a reference.
func (d *decoder) iri(base, ref string) (rdf.Term, error) {
	v := rdf.ResolveIRI(base, ref)
	if len(v) > d.lim.MaxIRI {
		return rdf.Term{}, d.x.Errorf(rdf.LimitIRI, "IRI longer than %d bytes", d.lim.MaxIRI)
	}
	if !rdf.ValidIRI(v) {
		return rdf.Term{}, d.x.Errorf(rdf.FaultIRI, "not an absolute IRI: %.200q", v)
	}
	return rdf.NewIRI(v), nil
}

// Names repeat; those met so far are kept, up to this many.
const keepNames = 4096

// named returns the IRI of an element or attribute name.
func (d *decoder) named(ns, local string) (rdf.Term, error) {
	n := name{ns, local}
	if t, ok := d.names[n]; ok {
		return t, nil
	}
	t, err := d.iri("", ns+local)
	if err == nil && len(d.names) < keepNames {
		d.names[n] = t
	}
	return t, err
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
	case f.text == "" && !f.buffered:
		f.text = d.x.Text
	case !f.buffered:
		f.buffered = true
		d.buf = append(append(d.buf[:0], f.text...), d.x.Text...)
	default:
		d.buf = append(d.buf, d.x.Text...)
	}
	if len(f.text) > d.lim.MaxLiteral || f.buffered && len(d.buf) > d.lim.MaxLiteral {
		return d.x.Errorf(rdf.LimitLiteral, "literal longer than %d bytes", d.lim.MaxLiteral)
	}
	return nil
}

// content returns the text of a property element.
func (d *decoder) content(f *frame) string {
	if f.buffered {
		return string(d.buf)
	}
	return f.text
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
		case !blank(d.content(f)):
			return d.syntax("text and elements in one property element")
		case f.datatype != "":
			return d.syntax("rdf:datatype on a property element that holds a node")
		}
		f.hasNode, f.text, f.buffered = true, "", false
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
		o := rdf.Typed(d.content(f), f.datatype)
		if f.datatype == "" {
			o.Lang = f.lang
		}
		err = d.link(f, o)
	case f.place == inCollection && f.tail.IsZero():
		err = d.link(f, rdfNil)
	case f.place == inCollection:
		err = d.emit(f.tail, rdfRest, rdfNil)
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
		if err := d.attach(&d.open[len(d.open)-1], s); err != nil {
			return err
		}
	}
	if e.NS != rdf.NS || e.Local != "Description" {
		class, err := d.named(e.NS, e.Local)
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
	d.open = append(d.open, frame{place: inNode, subj: s, lang: lang, base: base})
	return nil
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
func (d *decoder) attach(f *frame, s rdf.Term) error {
	switch f.place {
	case inProperty:
		return d.link(f, s)
	case inCollection:
		cell := d.nodes.Fresh()
		var err error
		if f.tail.IsZero() {
			err = d.link(f, cell)
		} else {
			err = d.emit(f.tail, rdfRest, cell)
		}
		f.tail = cell
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
		p, err := d.named(a.NS, a.Local)
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

// predicate returns the term that a property element stands for.
func (d *decoder) predicate(parent *frame) (rdf.Term, error) {
	e := &d.x.Elem
	switch {
	case e.NS == "":
		return rdf.Term{}, d.syntax("property element %.100q has no namespace", e.Local)
	case e.NS == rdf.NS && (forbidden(e.Local) || e.Local == "Description"):
		return rdf.Term{}, d.syntax("rdf:%s is no property element", e.Local)
	case e.NS == rdf.NS && e.Local == "li":
		parent.li++
		return rdf.NewIRI(rdf.NS + "_" + strconv.Itoa(parent.li)), nil
	}
	return d.named(e.NS, e.Local)
}

func (d *decoder) property(lang, base string) error {
	parent := &d.open[len(d.open)-1]
	pred, err := d.predicate(parent)
	if err != nil {
		return err
	}
	f := frame{place: inProperty, subj: parent.subj, pred: pred, lang: lang, base: base}
	if len(d.x.Elem.Attrs) == 0 { // as most of them are
		d.open = append(d.open, f)
		return nil
	}
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
		return d.parseType(parseType.Value, f)
	case resource == nil && nodeID == nil && others == 0:
		d.open = append(d.open, f)
		return nil
	case resource != nil && nodeID != nil, typed:
		return d.syntax("attributes that exclude each other on a property element")
	}
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
	if err := d.link(&f, o); err != nil {
		return err
	}
	f.place = inEmpty
	d.open = append(d.open, f)
	return d.attributes(o, lang, base, false)
}

// parseType opens a property element with rdf:parseType. A value that is not
// known counts as Literal (RDF/XML, section 7.2.20).
func (d *decoder) parseType(value string, f frame) error {
	switch value {
	case "Resource":
		o := d.nodes.Fresh()
		if err := d.link(&f, o); err != nil {
			return err
		}
		d.open = append(d.open, frame{place: inNode, subj: o, lang: f.lang, base: f.base})
		return nil
	case "Collection":
		f.place = inCollection
		d.open = append(d.open, f)
		return nil
	}
	b, err := d.x.Canonical(nil)
	if err != nil {
		return err
	}
	return d.link(&f, rdf.Typed(string(b), rdf.XMLLiteral))
}
