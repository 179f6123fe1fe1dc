package format

import (
	"strconv"
	"strings"
)

// Negotiate chooses the format of an answer from the Accept and
// OSLC-Core-Version headers of a request (OSLC Core 3.0, clauses CORE-6 to
// CORE-10). ok is false if no RDF format is acceptable: answer 406, or whatever
// else the resource has, such as HTML. Vary the answer by both headers.
//
// The highest q wins, then the first that the client names; types with
// wildcards come after types by name. An RDF syntax that is not written here, such
// as TriG, is answered with what is meant for */*. A client that accepts RDF/XML
// alone never gets anything else.
//
// Without an Accept header and for */* it is Turtle where the version is 3.0 or
// later, and RDF/XML where it is 2.0 or absent. OSLC leaves that to the server;
// LDP 1.0 (section 4.3.2.2) would rather have Turtle. But clients that say neither
// a type nor a version are of the time of OSLC 2.0, in which there was RDF/XML
// only, and newer ones say what they want. Eclipse Lyo settles it: its query
// reads every body as RDF/XML whatever the Content-Type says, its POST and PUT
// accept */*, and from the second page on it sends the version no more, so that a
// query would turn into Turtle halfway.
func Negotiate(accept, oslcCoreVersion string) (f Format, ok bool) {
	prefer := [...]Format{RDFXML, Turtle, JSONLD, NTriples}
	if v := strings.TrimSpace(oslcCoreVersion); v != "" && v != "2.0" {
		prefer = [...]Format{Turtle, JSONLD, RDFXML, NTriples}
	}
	if strings.TrimSpace(accept) == "" {
		return prefer[0], true
	}
	var refused [len(all)]bool
	for part := range strings.SplitSeq(accept, ",") {
		if f, known := ByMediaType(part); known && quality(part) == 0 {
			refused[f] = true
		}
	}
	best, named := 0.0, false
	for part := range strings.SplitSeq(accept, ",") {
		q := quality(part)
		t, _, _ := strings.Cut(part, ";")
		t = strings.ToLower(strings.TrimSpace(t))
		if q == 0 || q < best {
			continue
		}
		if g, known := ByMediaType(t); known {
			if (q > best || !named) && !refused[g] {
				f, ok, best, named = g, true, q, true
			}
			continue
		}
		if q == best {
			continue
		}
		for _, g := range prefer {
			if !refused[g] && (t == "*/*" || otherRDF(t) || within(g, t)) {
				f, ok, best, named = g, true, q, false
				break
			}
		}
	}
	return f, ok
}

// within reports whether f matches a range such as "text/*".
func within(f Format, t string) bool {
	major, found := strings.CutSuffix(t, "*")
	return found && strings.HasSuffix(major, "/") && strings.HasPrefix(f.MediaType(), major)
}

// otherRDF reports whether t is an RDF syntax that is not written here.
func otherRDF(t string) bool {
	switch t {
	case "application/trig", "application/n-quads", "text/n3", "text/rdf+n3",
		"application/rdf+json", "application/trix", "application/trix+xml",
		"application/rdf+thrift", "application/rdf+protobuf", "application/hdt", "application/rdf+n3":
		return true
	}
	return false
}

// quality returns the q of an element of Accept; 1 where it has none, or one
// that is no number.
func quality(part string) float64 {
	_, params, _ := strings.Cut(part, ";")
	for p := range strings.SplitSeq(params, ";") {
		k, v, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(k), "q") {
			continue
		}
		if q, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil && q >= 0 && q <= 1 {
			return q
		}
	}
	return 1
}
