package query

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// lexical forms that are the same or nearly the same under some datatype.
var lexicals = []string{
	"", "a", "ab", "A", "a\x00", "a\x00b", "\x00", "7", "7.0", "07", "+7", "-7", "-7.50", "-7.5", "0", "-0", "0.0", ".5", "5.",
	"1e3", "1000", "1E-2", "0.01", "1e999", "-1e-99", "INF", "NaN", "1/2", "0x10", "true", "false", "1", "abc",
	"2026-11-21", "2026-11-21T00:00:00Z", "2026-11-21T00:00:00", "2026-11-21T01:00:00+01:00", "2026-11-21T00:00:00.000000001Z",
	"2026-11-21T00:00:00.5Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "http://example.com/", "é", "\uffff", "\U0010ffff",
	strings.Repeat("x", MaxOrdered-1), strings.Repeat("x", MaxOrdered), strings.Repeat("x", MaxOrdered+1),
	strings.Repeat("x", MaxOrdered) + "\x00", strings.Repeat("x", MaxOrdered) + "y", strings.Repeat("x", 2000),
}

var datatypes = []string{
	"", rdf.XSDInteger, rdf.XSDDecimal, rdf.XSDDouble, rdf.XSD + "unsignedByte", rdf.XSDDateTime, xsdDate, rdf.XSDBoolean,
	rdf.XMLLiteral, "http://example.com/type", rdf.XSD + "", rdf.XSD + "time",
}

func literal() *rapid.Generator[rdf.Term] {
	return rapid.Custom(func(t *rapid.T) rdf.Term {
		text := rapid.OneOf(rapid.SampledFrom(lexicals), rapid.String(),
			rapid.StringMatching(`[+-]?[0-9]{0,3}(\.[0-9]{0,3})?([eE][+-]?[0-9]{1,2})?`)).Draw(t, "text")
		if lang := rapid.SampledFrom([]string{"", "", "", "", "en", "en-GB", "de"}).Draw(t, "lang"); lang != "" {
			return rdf.InLanguage(text, lang)
		}
		return rdf.Typed(text, rapid.SampledFrom(datatypes).Draw(t, "datatype"))
	})
}

func object() *rapid.Generator[rdf.Term] {
	iris := []string{
		"http://example.com/", "http://example.com/a", "urn:x", "http://example.com/" + strings.Repeat("y", MaxLink),
		"http://example.com/" + strings.Repeat("y", MaxLink+1), ("http://example.com/" + strings.Repeat("y", MaxLink))[:MaxLink],
	}
	return rapid.OneOf(literal(), literal(), rapid.Map(rapid.SampledFrom(iris), rdf.NewIRI),
		rapid.Map(rapid.SampledFrom([]string{"b", "b0"}), rdf.NewBlank))
}

// A comparison of keys gives what a comparison of terms gives.
func TestKey_comparesLikeTerms(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		have := object().Draw(t, "have")
		v := Value{Term: object().Filter(func(o rdf.Term) bool { return o.Kind != rdf.Blank }).Draw(t, "want")}
		if v.Term.Kind == rdf.Literal && v.Term.Datatype == "" && v.Term.Lang == "" {
			v.Bare = rapid.Bool().Draw(t, "bare")
		}
		term := Term{Op: rapid.SampledFrom([]Op{Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, In}).Draw(t, "op")}
		term.Values = []Value{v}
		ranges, not, ok := term.Ranges()
		if !ok {
			if len(v.Term.Value) <= MaxOrdered {
				t.Fatal("refused")
			}
			return
		}
		key := Key(nil, have)
		got := slices.ContainsFunc(ranges, func(r Range) bool { return r.has(key) }) != not
		if want := term.holds(have); got != want {
			t.Errorf("%#v %d %#v: %t by key %q in %q (not %t), want %t", have, term.Op, v, got, key, ranges, not, want)
		}
	})
}

// Keys are the same for terms that are equal, and sort as the values do.
func TestKey_sorts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := object().Draw(t, "a"), object().Draw(t, "b")
		ka, kb := Key(nil, a), Key(nil, b)
		if a == b && !bytes.Equal(ka, kb) {
			t.Errorf("%#v has the keys %q and %q", a, ka, kb)
		}
		if bytes.Equal(ka, kb) && a != b && Exact(ka) {
			t.Errorf("%#v and %#v have the key %q, which is called exact", a, b, ka)
		}
		c, ok := Value{Term: b}.order(a)
		if ok && len(a.Value) <= MaxOrdered && len(b.Value) <= MaxOrdered && c != bytes.Compare(ka, kb) {
			if ka[0] != classBool || c != 0 {
				t.Errorf("%#v to %#v is %d, keys %q and %q are %d", a, b, c, ka, kb, bytes.Compare(ka, kb))
			}
		}
		if iri, ok := Link(ka); ok != (a.Kind == rdf.IRI && len(a.Value) <= MaxLink) || ok && iri != a.Value {
			t.Errorf("the key of %#v leads to %q, %t", a, iri, ok)
		}
	})
}
