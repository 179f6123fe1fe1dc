package query

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// The parameters of a query.
const (
	ParamWhere      = "oslc.where"
	ParamSelect     = "oslc.select"
	ParamOrderBy    = "oslc.orderBy"
	ParamSearch     = "oslc.searchTerms"
	ParamPrefix     = "oslc.prefix"
	ParamProperties = "oslc.properties"
	ParamPaging     = "oslc.paging"
	ParamPageSize   = "oslc.pageSize"
	ParamPage       = "page" // ours: the key of a page
)

var params = []string{
	ParamWhere, ParamSelect, ParamOrderBy, ParamSearch, ParamPrefix,
	ParamProperties, ParamPaging, ParamPageSize, ParamPage,
}

// Params returns the names of the parameters that a query may have.
func Params() []string { return slices.Clone(params) }

// Operators returns the comparisons that oslc.where may use.
func Operators() []string {
	var out []string
	for _, o := range operators {
		out = append(out, o.tok)
	}
	return append(out, "in")
}

// more prefixes that a query may use without declaring them, beside those that our
// documents use.
var more = []rdf.Prefix{
	{Name: "oslc_rm", IRI: "http://open-services.net/ns/rm#"},
	{Name: "oslc_qm", IRI: "http://open-services.net/ns/qm#"},
	{Name: "oslc_am", IRI: "http://open-services.net/ns/am#"},
	{Name: "oslc_asset", IRI: "http://open-services.net/ns/asset#"},
	{Name: "oslc_trs", IRI: "http://open-services.net/ns/core/trs#"},
	{Name: "skos", IRI: "http://www.w3.org/2004/02/skos/core#"},
}

var wellKnown = func() []rdf.Prefix { return append(rdf.Prefixes(), more...) }()

// WellKnown returns the prefixes that a query need not declare.
func WellKnown() []rdf.Prefix { return slices.Clone(wellKnown) }

// Parse reads the parameters of a query as they stand in a URI after the "?", or in
// a form. It is lenient where clients are known to differ: parameters that it does
// not know change nothing, an empty one counts as absent, an identical repeat is
// fine, and a whole query string may arrive percent-encoded as one name. It fails
// with kind Invalid and names the parameter.
func Parse(raw string) (*Query, error) {
	v, err := decode(raw)
	if err != nil {
		return nil, err
	}
	q := &Query{Page: v[ParamPage]}
	if text := v[ParamPrefix]; text != "" {
		if q.Prefixes, err = ParsePrefixes(text); err != nil {
			return nil, invalid(ParamPrefix, err)
		}
	}
	for name, read := range map[string]func(text string) error{
		ParamWhere:      func(s string) (err error) { q.Where, err = ParseWhere(s, q.prefix); return err },
		ParamSelect:     func(s string) (err error) { q.Select, err = ParseSelect(s, q.prefix); return err },
		ParamProperties: func(s string) (err error) { q.Properties, err = ParseSelect(s, q.prefix); return err },
		ParamOrderBy:    func(s string) (err error) { q.OrderBy, err = ParseOrderBy(s, q.prefix); return err },
		ParamSearch:     func(s string) (err error) { q.Search, err = ParseSearch(s); return err },
		ParamPaging:     func(s string) (err error) { q.Paged, err = paging(s); return err },
		ParamPageSize:   func(s string) (err error) { q.PageSize, err = pageSize(s); return err },
	} {
		if text := v[name]; text != "" {
			if fail := read(text); fail != nil {
				// Which of several faults is told must not depend on chance.
				if fail = invalid(name, fail); err == nil || fail.Error() < err.Error() {
					err = fail
				}
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return q, nil
}

func invalid(param string, err error) error {
	if e, ok := errors.AsType[*SyntaxError](err); ok {
		err = e
	}
	return oslc.E("query.parse", fmt.Errorf("%s: %w", param, err), oslc.Invalid)
}

// prefix implements Prefixes.
func (q *Query) prefix(name string) (string, bool) {
	for _, list := range [][]rdf.Prefix{q.Prefixes, wellKnown} {
		for _, p := range list {
			if p.Name == name {
				return p.IRI, true
			}
		}
	}
	return "", false
}

func paging(s string) (Paging, error) {
	switch s {
	case "true":
		return PagingWanted, nil
	case "false":
		return PagingRefused, nil
	}
	return PagingUnsaid, fmt.Errorf("%q is neither true nor false", s)
}

// maxPageSize keeps sizes in an int; the server has a limit of its own.
const maxPageSize = 1 << 30

func pageSize(s string) (int, error) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, fmt.Errorf("%q is no number", s)
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > maxPageSize {
		n = maxPageSize // a size is a wish
	}
	if n == 0 {
		return 0, fmt.Errorf("a page has at least one member")
	}
	return int(n), nil
}

// decode reads name=value pairs. Unlike url.ParseQuery it lets a raw semicolon
// stand, which clients send within values.
func decode(raw string) (map[string]string, error) {
	out := map[string]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, has := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil, oslc.E("query.parse", err, oslc.Invalid)
		}
		if value == "" && strings.HasPrefix(name, "oslc.") && strings.Contains(name, "=") {
			has = false
		}
		if has || !strings.Contains(name, "=") {
			if err := set(out, name, value); err != nil {
				return nil, err
			}
			continue
		}
		// A whole query string as one name: what it holds was encoded once more,
		// or not at all.
		for inner := range strings.SplitSeq(name, "&") {
			name, value, _ := strings.Cut(inner, "=")
			if decoded, err := url.PathUnescape(value); err == nil {
				value = decoded
			}
			if err := set(out, name, value); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func set(to map[string]string, name, value string) error {
	if !slices.Contains(params, name) || value == "" {
		return nil
	}
	if old := to[name]; old != "" && old != value {
		return oslc.Errorf("query.parse", oslc.Invalid, "%s is there twice with different values", name)
	}
	to[name] = value
	return nil
}
