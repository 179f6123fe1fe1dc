package query

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// Values returns the parameters that Parse reads q from.
func (q *Query) Values() url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	w := printer{q: q}
	set(ParamWhere, w.where(q.Where))
	set(ParamSelect, w.selection(q.Select))
	set(ParamProperties, w.selection(q.Properties))
	set(ParamOrderBy, w.order(q.OrderBy))
	search := make([]string, len(q.Search))
	for i, s := range q.Search {
		search[i] = quote(s, '"', '"')
	}
	set(ParamSearch, strings.Join(search, ","))
	prefixes := make([]string, len(q.Prefixes))
	for i, p := range q.Prefixes {
		prefixes[i] = p.Name + "=" + quote(p.IRI, '<', '>')
	}
	set(ParamPrefix, strings.Join(prefixes, ","))
	switch q.Paged {
	case PagingWanted:
		set(ParamPaging, "true")
	case PagingRefused:
		set(ParamPaging, "false")
	case PagingUnsaid:
	}
	if q.PageSize > 0 {
		set(ParamPageSize, strconv.Itoa(q.PageSize))
	}
	set(ParamPage, q.Page)
	return v
}

type printer struct{ q *Query }

// name returns the prefixed name of an IRI that was read from one. Another IRI has
// none: it is written so that no other one is the same.
func (w printer) name(iri string) string {
	if iri == "*" {
		return iri
	}
	if name, ok := w.compact(iri); ok {
		return name
	}
	return quote(iri, '<', '>')
}

// compact finds the longest namespace that leaves a local name which reads as the
// same IRI.
func (w printer) compact(iri string) (name string, ok bool) {
	best := -1
	for _, list := range [][]rdf.Prefix{w.q.Prefixes, wellKnown} {
		for _, p := range list {
			local, found := strings.CutPrefix(iri, p.IRI)
			if !found || len(p.IRI) <= best || !localName(local) {
				continue
			}
			if ns, _ := w.q.prefix(p.Name); ns != p.IRI {
				continue // declared as something else
			}
			name, best = p.Name+":"+local, len(p.IRI)
		}
	}
	return name, best >= 0
}

func localName(s string) bool {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !nameChar(r) && r != ':' {
			return false
		}
		i += n
	}
	return !strings.HasSuffix(s, ".")
}

func (w printer) where(terms Where) string {
	var b strings.Builder
	for i := range terms {
		t := &terms[i]
		if i > 0 {
			b.WriteString(" and ")
		}
		b.WriteString(w.name(t.Property))
		switch t.Op {
		case Scoped:
			b.WriteString("{" + w.where(t.Scope) + "}")
			continue
		case In:
			b.WriteString(" in [")
		case Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual:
			for _, o := range operators {
				if o.op == t.Op {
					b.WriteString(o.tok)
				}
			}
		}
		for k, v := range t.Values {
			if k > 0 {
				b.WriteByte(',')
			}
			b.WriteString(w.value(v))
		}
		if t.Op == In {
			b.WriteByte(']')
		}
	}
	return b.String()
}

func (w printer) value(v Value) string {
	t := v.Term
	if t.Kind == rdf.IRI {
		return quote(t.Value, '<', '>')
	}
	if v.Bare {
		return quote(t.Value, '"', '"')
	}
	switch {
	case t.Lang != "":
		return quote(t.Value, '"', '"') + "@" + t.Lang
	case t.Datatype == rdf.XSDBoolean && (t.Value == "true" || t.Value == "false"):
		return t.Value
	case t.Datatype == rdf.XSDInteger || t.Datatype == rdf.XSDDecimal:
		p := &parser{s: t.Value}
		if t.Value != "" && (t.Value[0] >= '0' && t.Value[0] <= '9' || strings.IndexByte("+-.", t.Value[0]) >= 0) {
			if again := p.decimal(); p.err == nil && p.i == len(p.s) && again.Term == t {
				return t.Value
			}
		}
	}
	datatype := quote(t.Datatype, '<', '>')
	if name, ok := w.compact(t.Datatype); ok {
		datatype = name
	}
	return quote(t.Value, '"', '"') + "^^" + datatype
}

func (w printer) selection(s Selection) string {
	if s != nil && len(s) == 0 {
		return w.name(rdf.Nil)
	}
	out := make([]string, len(s))
	for i, one := range s {
		out[i] = w.name(one.Property)
		if one.Nested != nil {
			out[i] += "{" + w.selection(one.Nested) + "}"
		}
	}
	return strings.Join(out, ",")
}

func (w printer) order(keys []Sort) string {
	out := make([]string, len(keys))
	for i, k := range keys {
		var b strings.Builder
		for _, p := range k.Path[:len(k.Path)-1] {
			b.WriteString(w.name(p) + "{")
		}
		b.WriteByte("+-"[boolOrder(k.Descending)])
		b.WriteString(w.name(k.Path[len(k.Path)-1]) + strings.Repeat("}", len(k.Path)-1))
		out[i] = b.String()
	}
	return strings.Join(out, ",")
}

// quote puts s between quotes, with a backslash before the closing one and before
// a backslash.
func quote(s string, from, to byte) string {
	var b strings.Builder
	b.WriteByte(from)
	for i := range len(s) {
		if s[i] == to || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte(to)
	return b.String()
}
