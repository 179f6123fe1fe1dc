package shape

import (
	"regexp"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// hasType reports whether o is a value of the given oslc:valueType.
func (v *validator) hasType(o rdf.Term, valueType string) bool {
	switch valueType {
	case Resource:
		return o.Kind == rdf.IRI
	case AnyResource:
		return o.Kind == rdf.IRI || o.Kind == rdf.Blank
	case LocalResource:
		return o.Kind == rdf.Blank
	}
	if o.Kind != rdf.Literal {
		return false
	}
	plain := o.Datatype == "" && o.Lang == ""
	switch valueType {
	case rdf.XSDString:
		return o.Datatype == "" // with or without a language
	case rdf.LangString:
		return o.Lang != ""
	case rdf.XMLLiteral:
		return o.Datatype == rdf.XMLLiteral || !v.check.Strict && (plain || o.Lang != "")
	}
	return derived(o.Datatype, valueType) && lexical(o.Value, valueType)
}

var integers = []string{
	"integer", "long", "int", "short", "byte", "nonNegativeInteger", "positiveInteger",
	"nonPositiveInteger", "negativeInteger", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte",
}

// derived reports whether datatype is base or derived from it in XML Schema.
func derived(datatype, base string) bool {
	if datatype == base {
		return true
	}
	local, ok := strings.CutPrefix(datatype, rdf.XSD)
	if !ok || !slices.Contains(integers, local) {
		return false
	}
	return base == rdf.XSDInteger || base == rdf.XSDDecimal
}

var forms = map[string]*regexp.Regexp{
	rdf.XSDBoolean:   regexp.MustCompile(`^(true|false|1|0)$`),
	rdf.XSDInteger:   regexp.MustCompile(`^[+-]?[0-9]+$`),
	rdf.XSDDecimal:   regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`),
	rdf.XSDDouble:    regexp.MustCompile(`^([+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?INF|NaN)$`),
	rdf.XSD + "date": regexp.MustCompile(`^-?[0-9]{4,}-[01][0-9]-[0-3][0-9](Z|[+-][0-9]{2}:[0-9]{2})?$`),
}

// lexical reports whether s is a form that the datatype allows; types that are
// not known allow any.
func lexical(s, datatype string) bool {
	s = strings.Trim(s, " \t\r\n") // white space is collapsed, XML Schema 2, section 4.3.6
	switch datatype {
	case rdf.XSDDateTime:
		_, ok := rdf.Typed(s, datatype).Time()
		return ok
	case rdf.XSD + "float":
		datatype = rdf.XSDDouble
	}
	form := forms[datatype]
	return form == nil || form.MatchString(s)
}
