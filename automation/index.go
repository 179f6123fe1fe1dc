package automation

import (
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// An index finds the rules that may be for an event without looking at the others: by
// the connection, the kind of event and, where a rule asks for one value of a property,
// by that value. It leaves out none that is.
type index map[kindKey]*bucket

// kindKey is a connection and a kind of event: a change, a class, or any.
type kindKey struct {
	provider string
	change   oslc.Change // 0: the class counts
	class    string      // empty: any
}

// bucket are the rules of one kind, by their place.
type bucket struct {
	any     []int
	byValue map[valueKey][]int
}

type valueKey struct{ property, text string }

func newIndex(rules []rule) index {
	ix := index{}
	for i := range rules {
		r := &rules[i]
		keys := r.values()
		kinds := make([]kindKey, 0, len(r.change)+len(r.types)+1)
		for _, c := range r.change {
			kinds = append(kinds, kindKey{r.cfg.On.Provider, c, ""})
		}
		for _, t := range r.types {
			kinds = append(kinds, kindKey{r.cfg.On.Provider, 0, t})
		}
		if len(kinds) == 0 {
			kinds = append(kinds, kindKey{r.cfg.On.Provider, 0, ""})
		}
		for _, k := range kinds {
			b := ix[k]
			if b == nil {
				b = &bucket{byValue: map[valueKey][]int{}}
				ix[k] = b
			}
			if keys == nil {
				b.any = append(b.any, i)
			}
			for _, key := range keys {
				b.byValue[key] = append(b.byValue[key], i)
			}
		}
	}
	return ix
}

// values returns the values of a property of which the event or its resource must have
// one; nil where the rule asks for nothing that can be looked up.
func (r *rule) values() []valueKey {
	for i := range r.where {
		t := &r.where[i]
		if t.Op != query.Equal && t.Op != query.In || t.Property == "*" || !onlyText(t.Values) {
			continue
		}
		var out []valueKey
		for _, v := range t.Values {
			out = append(out, valueKey{t.Property, v.Term.Value})
		}
		return out
	}
	return nil
}

// onlyText reports whether nothing can equal one of the values but what has the same
// text: numbers, dates and booleans have several.
func onlyText(values []query.Value) bool {
	for _, v := range values {
		if v.Term.Kind == rdf.IRI {
			continue
		}
		text := v.Term.Value
		if text == "" || v.Term.Kind != rdf.Literal {
			return false
		}
		if c := text[0] | 0x20; (c < 'a' || c > 'z') && text[0] < 0x80 {
			return false
		}
		if slices.Contains([]string{"true", "false", "nan", "inf", "infinity"}, strings.ToLower(text)) {
			return false
		}
	}
	return len(values) > 0
}

// find returns the places of the rules that may be for an event, in order. graph gives
// the graph of the event; it is called where one is needed.
func (ix index) find(e *oslc.Event, provider string, graph func() *rdf.Graph) []int {
	var out []int
	look := func(k kindKey) {
		b := ix[k]
		if b == nil {
			return
		}
		out = append(out, b.any...)
		if len(b.byValue) == 0 {
			return
		}
		g := graph()
		for _, s := range []string{e.Subject, e.URI()} {
			for t := range g.About(rdf.NewIRI(s)) {
				out = append(out, b.byValue[valueKey{t.P.Value, t.O.Value}]...)
			}
		}
	}
	look(kindKey{provider, 0, ""})
	look(kindKey{provider, e.Change, ""})
	for _, t := range e.Types {
		look(kindKey{provider, 0, t})
	}
	slices.Sort(out)
	return slices.Compact(out)
}
