package jsonld

import (
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
	"github.com/oslcbus/oslcbus/oslc/rdf/internal/jsontree"
)

// Parse reads a document that has no context, or whose one context stands
// inline at the top and maps names to IRIs and nothing else; @vocab, @base and
// @language in it are understood too. That covers what Append writes. Integers
// are exact, however long. Documents that need more (remote or scoped contexts,
// typed terms, @reverse, @included, named graphs) are refused with
// rdf.FaultUnsupported, see NeedsProcessor. Errors are *rdf.SyntaxError.
//
// As JSON-LD says, keys that do not expand to an IRI are passed over.
func Parse(data []byte, base string, lim rdf.Limits) (*rdf.Graph, error) {
	lim = lim.WithDefaults(rdf.DefaultMaxDepth)
	if len(data) > lim.MaxBytes {
		return nil, rdf.TooLarge(format, data, lim.MaxBytes)
	}
	v, err := jsontree.Decode(format, data, lim)
	if err != nil {
		return nil, err
	}
	d := decoder{
		src: data, lim: lim, g: rdf.NewGraph(), nodes: rdf.NewRenamer(),
		terms: map[string]string{}, base: base,
	}
	if err := d.document(v); err != nil {
		return nil, err
	}
	return d.g, nil
}

// NeedsProcessor reports whether err is Parse saying that the document is not
// wrong but takes a full JSON-LD processor to read.
func NeedsProcessor(err error) bool {
	var e *rdf.SyntaxError
	return errors.As(err, &e) && e.Format == format && e.Kind == rdf.FaultUnsupported
}

type decoder struct {
	src   []byte
	lim   rdf.Limits
	g     *rdf.Graph
	nodes *rdf.Renamer
	terms map[string]string
	vocab string
	base  string
	lang  string
	count int
	root  *jsontree.Object // the object whose context has been read
	at    int64            // start of the object being read
}

var (
	rdfType  = rdf.NewIRI(rdf.Type)
	rdfNil   = rdf.NewIRI(rdf.Nil)
	rdfFirst = rdf.NewIRI(rdf.First)
	rdfRest  = rdf.NewIRI(rdf.Rest)
)

func (d *decoder) fail(kind rdf.Fault, msg string) error {
	return rdf.ErrorAt(format, string(d.src), int(d.at), kind, msg)
}

func (d *decoder) beyond(what string) error {
	return d.fail(rdf.FaultUnsupported, what+" takes a JSON-LD processor")
}

func (d *decoder) emit(s, p, o rdf.Term) error {
	if d.count++; d.count > d.lim.MaxTriples {
		return d.fail(rdf.LimitTriples, "too many triples")
	}
	d.g.AddTriple(rdf.Triple{S: s, P: p, O: o})
	return nil
}

func (d *decoder) document(v jsontree.Value) error {
	switch v := v.(type) {
	case []jsontree.Value:
		return d.top(v)
	case *jsontree.Object:
		d.at = v.At
		if c, ok := v.Get("@context"); ok {
			d.root = v
			if err := d.context(c); err != nil {
				return err
			}
		}
		g, ok := v.Get("@graph")
		if !ok {
			return d.top([]jsontree.Value{v})
		}
		for _, m := range v.Members {
			if m.Key != "@context" && m.Key != "@graph" {
				return d.beyond("a named graph")
			}
		}
		if list, ok := g.([]jsontree.Value); ok {
			return d.top(list)
		}
		return d.top([]jsontree.Value{g})
	}
	return d.fail(rdf.FaultSyntax, "the document is neither an object nor an array")
}

func (d *decoder) top(list []jsontree.Value) error {
	for _, v := range list {
		switch v := v.(type) {
		case *jsontree.Object:
			if _, ok := v.Get("@value"); ok {
				continue // a value that nothing refers to
			}
			if _, ok := v.Get("@list"); ok {
				return d.beyond("a list that nothing refers to")
			}
			if set, ok := v.Get("@set"); ok {
				if err := d.top(array(set)); err != nil {
					return err
				}
				continue
			}
			if _, err := d.node(v); err != nil {
				return err
			}
		case []jsontree.Value:
			if err := d.top(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func array(v jsontree.Value) []jsontree.Value {
	if list, ok := v.([]jsontree.Value); ok {
		return list
	}
	return []jsontree.Value{v}
}

// context reads the one context of a document.
func (d *decoder) context(v jsontree.Value) error {
	list := array(v)
	if len(list) > 1 {
		return d.beyond("a sequence of contexts")
	}
	for _, c := range list {
		o, ok := c.(*jsontree.Object)
		if c == nil {
			continue
		}
		if !ok {
			return d.beyond("a remote context")
		}
		if len(o.Members) > d.lim.MaxNamespaces {
			return d.fail(rdf.LimitNamespaces, "too many terms in a context")
		}
		for _, m := range o.Members {
			if err := d.define(m); err != nil {
				return err
			}
		}
		// A term that is defined by another one takes more than one look.
		for name, iri := range d.terms {
			prefix, rest, _ := strings.Cut(iri, ":")
			if _, ok := d.terms[prefix]; ok && !strings.HasPrefix(rest, "//") {
				return d.beyond("term " + strconv.Quote(name))
			}
		}
	}
	return nil
}

func (d *decoder) define(m jsontree.Member) error {
	s, isString := m.Value.(string)
	switch m.Key {
	case "@version":
		return nil
	case "@vocab":
		if !isString || s != "" && !rdf.ValidIRI(s) {
			return d.beyond("@vocab that is no absolute IRI")
		}
		d.vocab = s
		return nil
	case "@base":
		switch {
		case m.Value == nil:
			d.base = ""
		case !isString:
			return d.fail(rdf.FaultSyntax, "@base is no string")
		default:
			d.base = rdf.ResolveIRI(d.base, s)
		}
		return nil
	case "@language":
		if isString && !chars.IsLangTag(s) {
			return d.fail(rdf.FaultSyntax, "@language is no language tag")
		}
		if !isString && m.Value != nil {
			return d.fail(rdf.FaultSyntax, "@language is no string")
		}
		d.lang = s
		return nil
	}
	if !isString || m.Key == "" || strings.ContainsAny(m.Key, ":/@") || !rdf.ValidIRI(s) {
		return d.beyond("term " + strconv.Quote(m.Key))
	}
	d.terms[m.Key] = s
	return nil
}

// expand makes an IRI, or "_:label", of a string in the place of a property, a
// class or a datatype (vocab) or of an @id. The result may still be relative.
func (d *decoder) expand(s string, vocab bool) string {
	if vocab {
		if iri, ok := d.terms[s]; ok {
			return iri
		}
	}
	if k := strings.IndexByte(s, ':'); k > 0 {
		if s[:k] == "_" || strings.HasPrefix(s[k+1:], "//") {
			return s
		}
		// Only names of namespaces that end in a delimiter are prefixes.
		if ns, ok := d.terms[s[:k]]; ok && strings.IndexByte(":/?#[]@", ns[len(ns)-1]) >= 0 {
			return ns + s[k+1:]
		}
		if rdf.ValidIRI(s) {
			return s
		}
	}
	if vocab {
		return d.vocab + s
	}
	return rdf.ResolveIRI(d.base, s)
}

// term returns the node that an expanded string names.
func (d *decoder) term(s string) (rdf.Term, error) {
	if label, ok := strings.CutPrefix(s, "_:"); ok {
		return d.nodes.Rename(label), nil
	}
	if len(s) > d.lim.MaxIRI {
		return rdf.Term{}, d.fail(rdf.LimitIRI, "IRI too long")
	}
	if !rdf.ValidIRI(s) {
		return rdf.Term{}, d.fail(rdf.FaultIRI, "not an absolute IRI: "+strconv.QuoteToASCII(s[:min(len(s), 200)]))
	}
	return rdf.NewIRI(s), nil
}

// keywordLike is what JSON-LD reserves for keywords to come.
func keywordLike(s string) bool {
	if len(s) < 2 || s[0] != '@' {
		return false
	}
	for i := range s[1:] {
		if !chars.IsAlpha(s[1+i]) {
			return false
		}
	}
	return true
}

func (d *decoder) node(o *jsontree.Object) (rdf.Term, error) {
	d.at = o.At
	var s rdf.Term
	var err error
	if v, ok := o.Get("@id"); ok {
		id, ok := v.(string)
		if !ok {
			return s, d.fail(rdf.FaultSyntax, "@id is no string")
		}
		if keywordLike(id) {
			return s, d.beyond("@id " + strconv.Quote(id))
		}
		if s, err = d.term(d.expand(id, false)); err != nil {
			return s, err
		}
	} else {
		s = d.nodes.Fresh()
	}
	if v, ok := o.Get("@type"); ok {
		for _, c := range array(v) {
			class, ok := c.(string)
			if !ok {
				return s, d.fail(rdf.FaultSyntax, "@type is no string")
			}
			t := d.expand(class, true)
			if !strings.HasPrefix(t, "_:") {
				t = rdf.ResolveIRI(d.base, t)
			}
			c, err := d.term(t)
			if err != nil {
				return s, err
			}
			if err := d.emit(s, rdfType, c); err != nil {
				return s, err
			}
		}
	}
	for _, m := range o.Members {
		switch {
		case m.Key == "@id", m.Key == "@type", m.Key == "@index", m.Key == "@context" && o == d.root:
			continue
		case keywordLike(m.Key):
			return s, d.beyond(m.Key)
		}
		p := d.expand(m.Key, true)
		var pred rdf.Term
		switch {
		case strings.HasPrefix(p, "_:") || !rdf.ValidIRI(p):
			if hasContext(m.Value) {
				return s, d.beyond("a nested context")
			}
			if !strings.Contains(p, ":") {
				continue
			}
			// The link is none that RDF has, but the nodes it leads to count.
		default:
			if pred, err = d.term(p); err != nil {
				return s, err
			}
		}
		if err := d.values(s, pred, m.Value); err != nil {
			return s, err
		}
	}
	return s, nil
}

// hasContext reports whether a value that is passed over holds a context.
func hasContext(v jsontree.Value) bool {
	switch v := v.(type) {
	case []jsontree.Value:
		return slices.ContainsFunc(v, hasContext)
	case *jsontree.Object:
		for _, m := range v.Members {
			if m.Key == "@context" || hasContext(m.Value) {
				return true
			}
		}
	}
	return false
}

// values emits a triple for each value; with the zero predicate only what the
// values say themselves.
func (d *decoder) values(s, p rdf.Term, v jsontree.Value) error {
	if list, ok := v.([]jsontree.Value); ok {
		for _, v := range list {
			if err := d.values(s, p, v); err != nil {
				return err
			}
		}
		return nil
	}
	if o, ok := v.(*jsontree.Object); ok {
		if set, ok := o.Get("@set"); ok {
			return d.values(s, p, set)
		}
		if list, ok := o.Get("@list"); ok && p.IsZero() {
			return d.values(s, p, list)
		}
	}
	o, err := d.object(v)
	if err != nil || o.IsZero() || p.IsZero() {
		return err
	}
	return d.emit(s, p, o)
}

// object returns the term of one value, or the zero Term for null.
func (d *decoder) object(v jsontree.Value) (rdf.Term, error) {
	switch v := v.(type) {
	case string:
		return rdf.InLanguage(v, d.lang), nil
	case bool:
		return rdf.Bool(v), nil
	case json.Number:
		return number(v, "")
	case *jsontree.Object:
		at := d.at
		defer func() { d.at = at }()
		d.at = v.At
		if _, ok := v.Get("@value"); ok {
			return d.literal(v)
		}
		if list, ok := v.Get("@list"); ok {
			return d.list(v, list)
		}
		return d.node(v)
	}
	return rdf.Term{}, nil
}

func (d *decoder) literal(o *jsontree.Object) (t rdf.Term, err error) {
	var datatype string
	var content jsontree.Value
	lang := ""
	for _, m := range o.Members {
		s, isString := m.Value.(string)
		switch {
		case m.Key == "@value":
			content = m.Value
		case m.Key == "@index":
		case m.Value == nil:
			return t, d.fail(rdf.FaultSyntax, m.Key+" is null")
		case m.Key == "@type" && isString:
			if keywordLike(s) {
				return t, d.beyond("@type " + s)
			}
			datatype = d.expand(s, true)
			if _, err := d.term(datatype); err != nil || strings.HasPrefix(datatype, "_:") {
				return t, d.fail(rdf.FaultIRI, "the datatype is not an absolute IRI")
			}
		case m.Key == "@language" && isString:
			if !chars.IsLangTag(s) {
				return t, d.fail(rdf.FaultSyntax, "@language is no language tag")
			}
			lang = s
		default:
			return t, d.beyond(m.Key + " beside @value")
		}
	}
	if lang != "" && datatype != "" {
		return t, d.fail(rdf.FaultSyntax, "@language and @type beside one @value")
	}
	switch v := content.(type) {
	case nil:
		return t, nil
	case string:
		t = rdf.Typed(v, datatype)
		t.Lang = lang
		return t, nil
	case bool:
		t = rdf.Bool(v)
	case json.Number:
		t, err = number(v, datatype)
	default:
		return t, d.fail(rdf.FaultSyntax, "@value is no string, number or boolean")
	}
	if lang != "" {
		return t, d.fail(rdf.FaultSyntax, "@language beside a value that is no string")
	}
	if datatype != "" {
		t = rdf.Typed(t.Value, datatype)
	}
	return t, err
}

func (d *decoder) list(o *jsontree.Object, v jsontree.Value) (rdf.Term, error) {
	for _, m := range o.Members {
		if m.Key != "@list" && m.Key != "@index" {
			return rdf.Term{}, d.fail(rdf.FaultSyntax, m.Key+" beside @list")
		}
	}
	head, tail := rdfNil, rdf.Term{}
	for _, v := range flatten(nil, v) {
		item, err := d.object(v)
		if err != nil {
			return head, err
		}
		if item.IsZero() {
			continue
		}
		cell := d.nodes.Fresh()
		if tail.IsZero() {
			head = cell
		} else if err := d.emit(tail, rdfRest, cell); err != nil {
			return head, err
		}
		tail = cell
		if err := d.emit(cell, rdfFirst, item); err != nil {
			return head, err
		}
	}
	if tail.IsZero() {
		return head, nil
	}
	return head, d.emit(tail, rdfRest, rdfNil)
}

// flatten replaces arrays and @set objects by what they hold.
func flatten(out []jsontree.Value, v jsontree.Value) []jsontree.Value {
	for _, v := range array(v) {
		switch w := v.(type) {
		case []jsontree.Value:
			out = flatten(out, w)
			continue
		case *jsontree.Object:
			if set, ok := w.Get("@set"); ok {
				out = flatten(out, set)
				continue
			}
		}
		out = append(out, v)
	}
	return out
}

// number makes a literal of a JSON number (JSON-LD 1.1 API, section 8.6), but
// for one thing: an integer keeps all its digits, whatever their number.
func number(n json.Number, datatype string) (rdf.Term, error) {
	s := n.String()
	const longest = 400 // bytes of a number with a fraction or an exponent
	if datatype != rdf.XSDDouble {
		if !strings.ContainsAny(s, ".eE") {
			if s == "-0" {
				s = "0"
			}
			return rdf.Typed(s, rdf.XSDInteger), nil
		}
		f, err := strconv.ParseFloat(s, 64)
		if err == nil && f < 1e18 && f > -1e18 && f == float64(int64(f)) && len(s) < longest {
			if r, ok := new(big.Rat).SetString(s); ok && r.IsInt() {
				return rdf.Typed(r.Num().String(), rdf.XSDInteger), nil
			}
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return rdf.Term{}, fault(rdf.FaultSyntax, "number out of range: "+s[:min(len(s), 50)])
	}
	return rdf.Typed(canonicalDouble(f), rdf.XSDDouble), nil
}

// canonicalDouble is the canonical form of xsd:double, such as 5.3E0.
func canonicalDouble(f float64) string {
	s := strconv.FormatFloat(f, 'E', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	e, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(e)
}

func fault(kind rdf.Fault, msg string) error {
	return &rdf.SyntaxError{Format: format, Kind: kind, Msg: msg}
}
