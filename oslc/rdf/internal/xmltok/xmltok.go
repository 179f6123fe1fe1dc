// Package xmltok is a strict, namespace-aware pull tokenizer for XML 1.0. It
// reads from a string and hands out pieces of it wherever no reference has to be
// expanded. It knows internal general entities of plain text, within a budget,
// and refuses external and parameter entities and entities that hold markup.
package xmltok

import (
	"fmt"
	"strings"
	"sync"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// NS is the namespace of xml:lang and xml:base.
const NS = "http://www.w3.org/XML/1998/namespace"

// An Attr is an attribute that is no namespace declaration.
type Attr struct {
	*Name

	Value string
}

// An Elem is a start tag.
type Elem struct {
	*Name

	Attrs []Attr
}

// Kind is the kind of a token.
type Kind uint8

// The kinds of tokens. An empty element gives Start and then End.
const (
	EOF Kind = iota
	Start
	End
	Text
	Comment
	PI
)

type binding struct {
	prefix, iri string
	depth       int
	shadows     int // place of the binding of the same prefix further out, or -1
}

type entity struct {
	text   string
	markup bool
}

// A Tokenizer reads one document. Elem and Text are those of the last token.
type Tokenizer struct {
	Elem Elem
	Text string

	format   string
	src      string
	pos      int
	open     []string // raw names of the open elements
	ns       []binding
	entities map[string]entity
	lim      rdf.Limits
	spent    int
	endNext  bool
	rooted   bool
	fragment bool
	scope    map[string]int // prefix -> innermost binding; nil while there are few
	bindings uint32         // grows when the namespaces in scope change
	elements names
	attrs    names
	slab     []Name
}

// New returns a Tokenizer for the document src, which is UTF-8. format is for
// error messages; every limit of lim must be set.
func New(format, src string, lim rdf.Limits) *Tokenizer {
	x := pool.Get().(*Tokenizer)
	x.format, x.src, x.lim, x.bindings = format, src, lim, 1
	return x
}

var pool = sync.Pool{New: func() any { return new(Tokenizer) }}

// What a Tokenizer may have grown to and is still kept for the next document.
const (
	keepOpen  = 64
	keepSlab  = 256
	keepAttrs = 64
)

// Release makes the memory of x available again; neither x nor its Elem are to be
// used after. What was handed out of the document stays good.
func (x *Tokenizer) Release() {
	if cap(x.open) > keepOpen || cap(x.ns) > keepOpen || cap(x.slab) > keepSlab || cap(x.Elem.Attrs) > keepAttrs {
		return
	}
	clear(x.open[:cap(x.open)])
	clear(x.ns[:cap(x.ns)])
	clear(x.slab)
	clear(x.Elem.Attrs[:cap(x.Elem.Attrs)])
	*x = Tokenizer{open: x.open[:0], ns: x.ns[:0], slab: x.slab[:0], Elem: Elem{Attrs: x.Elem.Attrs[:0]}}
	pool.Put(x)
}

// Name returns the raw name of the innermost open element.
func (x *Tokenizer) Name() string { return x.open[len(x.open)-1] }

// Offset returns how much of the document has been read, in bytes.
func (x *Tokenizer) Offset() int { return x.pos }

// Len returns the length of the document.
func (x *Tokenizer) Len() int { return len(x.src) }

// Errorf returns an error at the present place.
func (x *Tokenizer) Errorf(kind rdf.Fault, f string, a ...any) error {
	return rdf.ErrorAt(x.format, x.src, x.pos, kind, fmt.Sprintf(f, a...))
}

func (x *Tokenizer) syntax(f string, a ...any) error {
	return x.Errorf(rdf.FaultSyntax, f, a...)
}

func (x *Tokenizer) space() bool {
	from := x.pos
	for x.pos < len(x.src) && chars.IsSpace(x.src[x.pos]) {
		x.pos++
	}
	return x.pos > from
}

// Next moves to the next token.
func (x *Tokenizer) Next() (Kind, error) {
	if x.endNext {
		x.endNext = false
		x.pop()
		return End, nil
	}
	for {
		if x.pos >= len(x.src) {
			if len(x.open) > 0 || !x.rooted && !x.fragment {
				return EOF, x.syntax("unexpected end of document")
			}
			return EOF, nil
		}
		if x.src[x.pos] != '<' {
			if ok, err := x.text(); err != nil || ok {
				return Text, err
			}
			continue
		}
		rest := x.src[x.pos:]
		switch {
		case strings.HasPrefix(rest, "</"):
			return End, x.end()
		case strings.HasPrefix(rest, "<?"):
			if ok, err := x.instruction(rest); err != nil || ok {
				return PI, err
			}
		case strings.HasPrefix(rest, "<!--"):
			if err := x.comment(rest); err != nil || x.inside() {
				return Comment, err
			}
		case strings.HasPrefix(rest, "<![CDATA[") && x.inside():
			return Text, x.cdata(rest)
		case strings.HasPrefix(rest, "<!DOCTYPE") && !x.rooted && !x.fragment:
			if x.entities != nil {
				return EOF, x.syntax("a second DOCTYPE")
			}
			x.entities = map[string]entity{}
			x.pos += len("<!DOCTYPE")
			if err := x.doctype(); err != nil {
				return EOF, err
			}
		case strings.HasPrefix(rest, "<!"):
			return EOF, x.syntax("markup declaration out of place")
		default:
			return Start, x.start()
		}
	}
}

func (x *Tokenizer) inside() bool { return len(x.open) > 0 || x.fragment }

// text reads character data; ok is false for white space outside the root.
func (x *Tokenizer) text() (ok bool, err error) {
	n := strings.IndexByte(x.src[x.pos:], '<')
	if n < 0 {
		n = len(x.src) - x.pos
	}
	t := x.src[x.pos : x.pos+n]
	if !x.inside() {
		for i := range len(t) {
			if !chars.IsSpace(t[i]) {
				return false, x.syntax("text outside the root element")
			}
		}
		x.pos += n
		return false, nil
	}
	if x.Text = t; chars.PlainXML(t, false) < len(t) {
		if strings.Contains(t, "]]>") {
			return false, x.syntax("']]>' in text")
		}
		if x.Text, err = x.expand(t, false, 0); err != nil {
			return false, err
		}
	}
	x.pos += n
	return true, nil
}

func (x *Tokenizer) end() error {
	if len(x.open) == 0 {
		return x.syntax("end tag without a start tag")
	}
	x.pos += 2
	name := x.Name()
	if !strings.HasPrefix(x.src[x.pos:], name) {
		return x.syntax("end tag does not match <%.100s>", name)
	}
	x.pos += len(name)
	x.space()
	if x.pos >= len(x.src) || x.src[x.pos] != '>' {
		return x.syntax("end tag does not match <%.100s>", name)
	}
	x.pos++
	x.pop()
	return nil
}

func (x *Tokenizer) pop() {
	d := len(x.open)
	x.open = x.open[:d-1]
	n := len(x.ns)
	if n == 0 || x.ns[n-1].depth != d {
		return
	}
	x.bindings++
	for n > 0 && x.ns[n-1].depth == d {
		n--
		if b := &x.ns[n]; x.scope == nil {
			continue
		} else if b.shadows >= 0 {
			x.scope[b.prefix] = b.shadows
		} else {
			delete(x.scope, b.prefix)
		}
	}
	x.ns = x.ns[:n]
}

// instruction reads a processing instruction; ok is false outside the root.
func (x *Tokenizer) instruction(rest string) (ok bool, err error) {
	n := strings.Index(rest[2:], "?>")
	if n < 0 {
		return false, x.syntax("processing instruction without an end")
	}
	body := rest[2 : 2+n]
	end := chars.NCName(body, 0)
	if end == 0 || end < len(body) && !chars.IsSpace(body[end]) {
		return false, x.syntax("processing instruction without a name")
	}
	if strings.EqualFold(body[:end], "xml") && (x.pos > 0 || x.fragment) {
		return false, x.syntax("XML declaration that is not at the start")
	}
	if x.Text, err = x.literal(body); err != nil {
		return false, err
	}
	x.pos += n + 4
	return x.inside(), nil
}

func (x *Tokenizer) comment(rest string) (err error) {
	n := strings.Index(rest[4:], "--")
	if n < 0 || !strings.HasPrefix(rest[4+n:], "-->") {
		return x.syntax("malformed comment")
	}
	if x.Text, err = x.literal(rest[4 : 4+n]); err != nil {
		return err
	}
	x.pos += n + 7
	return nil
}

func (x *Tokenizer) cdata(rest string) (err error) {
	n := strings.Index(rest, "]]>")
	if n < 0 {
		return x.syntax("CDATA section without an end")
	}
	if x.Text, err = x.literal(rest[len("<![CDATA["):n]); err != nil {
		return err
	}
	x.pos += n + 3
	return nil
}

// literal checks text that knows no references and normalises its line ends.
func (x *Tokenizer) literal(s string) (string, error) {
	if chars.XMLText(s) >= 0 {
		return "", x.syntax("character that XML does not allow")
	}
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	return s, nil
}

// qname reads a qualified name.
func (x *Tokenizer) qname() (prefix, local string, err error) {
	from := x.pos
	end := chars.NCName(x.src, from)
	if end == from {
		return "", "", x.syntax("expected a name")
	}
	if end < len(x.src) && x.src[end] == ':' {
		stop := chars.NCName(x.src, end+1)
		if stop == end+1 {
			return "", "", x.syntax("malformed qualified name")
		}
		x.pos = stop
		return x.src[from:end], x.src[end+1 : stop], nil
	}
	x.pos = end
	return "", x.src[from:end], nil
}

// start reads a start tag.
func (x *Tokenizer) start() error {
	if len(x.open) == 0 && x.rooted && !x.fragment {
		return x.syntax("more than one root element")
	}
	x.rooted = true
	x.pos++
	n, err := x.name(&x.elements)
	if err != nil {
		return err
	}
	if len(x.open) >= x.lim.MaxDepth {
		return x.Errorf(rdf.LimitDepth, "elements nest deeper than %d", x.lim.MaxDepth)
	}
	x.open = append(x.open, n.raw)
	x.Elem.Name, x.Elem.Attrs = n, x.Elem.Attrs[:0]
	declared := len(x.ns)
	for {
		spaced := x.space()
		if x.pos >= len(x.src) {
			return x.syntax("tag without an end")
		}
		if x.src[x.pos] == '>' {
			x.pos++
			break
		}
		if strings.HasPrefix(x.src[x.pos:], "/>") {
			x.pos += 2
			x.endNext = true
			break
		}
		if !spaced {
			return x.syntax("white space is required before an attribute")
		}
		if err := x.attribute(declared); err != nil {
			return err
		}
	}
	return x.resolve()
}

// attribute reads an attribute or a namespace declaration; declared is where
// the declarations of this element start.
func (x *Tokenizer) attribute(declared int) error {
	name, err := x.name(&x.attrs)
	if err != nil {
		return err
	}
	x.space()
	if x.pos >= len(x.src) || x.src[x.pos] != '=' {
		return x.syntax("attribute without a value")
	}
	x.pos++
	x.space()
	if x.pos >= len(x.src) || x.src[x.pos] != '"' && x.src[x.pos] != '\'' {
		return x.syntax("attribute value without quotes")
	}
	n := strings.IndexByte(x.src[x.pos+1:], x.src[x.pos])
	if n < 0 {
		return x.syntax("attribute value without an end")
	}
	v := x.src[x.pos+1 : x.pos+1+n]
	if strings.IndexByte(v, '<') >= 0 {
		return x.syntax("'<' in an attribute value")
	}
	if v, err = x.expand(v, true, 0); err != nil {
		return err
	}
	x.pos += n + 2
	if name.Prefix == "xmlns" {
		return x.declare(name.Local, v, declared)
	}
	if name.raw == "xmlns" {
		return x.declare("", v, declared)
	}
	if len(x.Elem.Attrs) >= x.lim.MaxAttributes {
		return x.Errorf(rdf.LimitAttributes, "more than %d attributes", x.lim.MaxAttributes)
	}
	x.Elem.Attrs = append(x.Elem.Attrs, Attr{name, v})
	return nil
}

func (x *Tokenizer) declare(prefix, iri string, declared int) error {
	switch {
	case prefix == "xmlns", iri == "http://www.w3.org/2000/xmlns/",
		(prefix == "xml") != (iri == NS), prefix != "" && iri == "":
		return x.syntax("namespace declaration that is not allowed: %.100q", prefix)
	case len(x.ns) >= x.lim.MaxNamespaces:
		return x.Errorf(rdf.LimitNamespaces, "more than %d namespaces in scope", x.lim.MaxNamespaces)
	}
	for _, b := range x.ns[declared:] {
		if b.prefix == prefix {
			return x.syntax("namespace declared twice: %.100q", prefix)
		}
	}
	x.ns = append(x.ns, binding{prefix, iri, len(x.open), -1})
	x.bindings++
	switch {
	case x.scope != nil:
		x.index(len(x.ns) - 1)
	case len(x.ns) > scanBindings:
		x.scope = make(map[string]int, 2*scanBindings)
		for i := range x.ns {
			x.index(i)
		}
	}
	return nil
}

func (x *Tokenizer) index(i int) {
	b := &x.ns[i]
	if outer, ok := x.scope[b.prefix]; ok {
		b.shadows = outer
	}
	x.scope[b.prefix] = i
}

// With more bindings than this a map is faster than a scan.
const scanBindings = 32

func (x *Tokenizer) lookup(prefix string) (string, bool) {
	if x.scope != nil {
		if i, ok := x.scope[prefix]; ok {
			return x.ns[i].iri, true
		}
	} else {
		for i := len(x.ns) - 1; i >= 0; i-- { // slices.Backward copies each of them
			if b := &x.ns[i]; b.prefix == prefix {
				return b.iri, true
			}
		}
	}
	if prefix == "xml" {
		return NS, true
	}
	return "", prefix == ""
}

// resolve gives the names of a start tag their namespaces.
func (x *Tokenizer) resolve() error {
	if err := x.namespace(x.Elem.Name, false); err != nil {
		return err
	}
	attrs := x.Elem.Attrs
	for k := range attrs {
		a := attrs[k].Name
		if err := x.namespace(a, true); err != nil {
			return err
		}
		for _, b := range attrs[:k] {
			if b.Local == a.Local && b.NS == a.NS {
				return x.syntax("attribute %.100q stands twice", a.Local)
			}
		}
	}
	return nil
}
