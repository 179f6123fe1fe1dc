package query

import (
	"math/big"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// order compares have with v: negative when have comes before it. ok is false
// for values that have no order in common.
func (v Value) order(have rdf.Term) (c int, ok bool) {
	want := v.Term
	if want.Kind != rdf.Literal || have.Kind != rdf.Literal {
		return 0, false
	}
	if numeric(have.Datatype) {
		a, ok1 := number(have.Value)
		b, ok2 := number(want.Value)
		if ok1 && ok2 && (numeric(want.Datatype) || v.Bare) {
			return a.Cmp(b), true
		}
		return 0, false
	}
	switch have.Datatype {
	case rdf.XSDDateTime, xsdDate:
		if want.Datatype != have.Datatype && !v.Bare {
			return 0, false
		}
		a, ok1 := instant(have)
		b, ok2 := instant(want)
		if !ok1 || !ok2 {
			return 0, false
		}
		return a.Compare(b), true
	case rdf.XSDBoolean:
		a, ok1 := have.Bool()
		b, ok2 := want.Bool()
		return boolOrder(a) - boolOrder(b), ok1 && ok2
	case "":
		if want.Datatype == "" {
			return strings.Compare(have.Value, want.Value), have.Lang == "" && want.Lang == "" || v.Bare
		}
	}
	return 0, false
}

const xsdDate = rdf.XSD + "date"

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

func numeric(datatype string) bool {
	switch strings.TrimPrefix(datatype, rdf.XSD) {
	case "integer", "decimal", "double", "float", "int", "long", "short", "byte",
		"nonNegativeInteger", "positiveInteger", "negativeInteger", "nonPositiveInteger",
		"unsignedInt", "unsignedLong", "unsignedShort", "unsignedByte":
		return len(datatype) > len(rdf.XSD)
	}
	return false
}

// maxNumber bounds the text of a number: an exponent could ask for any amount of
// memory.
const maxNumber = 64

func number(s string) (*big.Rat, bool) {
	if len(s) > maxNumber || strings.ContainsAny(s, "/_xXpPbBoO") {
		return nil, false
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(s)-i > 4 {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

func instant(t rdf.Term) (time.Time, bool) {
	if v, ok := t.Time(); ok {
		return v, true
	}
	v, err := time.Parse(time.DateOnly, t.Value)
	return v, err == nil
}
