package rdf

import (
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf/internal/chars"
)

// ValidIRI reports whether s is an absolute IRI that every format can carry: a
// scheme, none of the characters that IRIs exclude, and well-formed UTF-8.
func ValidIRI(s string) bool {
	return schemeEnd(s) > 0 && chars.CleanIRI(s)
}

// IsAbsolute reports whether s starts with a scheme and its colon; see ValidIRI for
// the rest of it.
func IsAbsolute(s string) bool { return schemeEnd(s) > 0 }

// schemeEnd returns the position of the colon behind the scheme, or -1.
func schemeEnd(s string) int {
	for i := range len(s) {
		c := s[i]
		switch {
		case c == ':' && i > 0:
			return i
		case chars.IsAlpha(c):
		case i > 0 && (chars.IsDigit(c) || c == '+' || c == '-' || c == '.'):
		default:
			return -1
		}
	}
	return -1
}

// ResolveIRI resolves ref against base by RFC 3986, section 5.2, on IRIs: no
// percent sign is encoded or decoded. With an empty base a relative reference
// comes back as it is.
//
// An absolute IRI always comes back as it is, even one with "/../" in it: IRIs
// are compared character by character, and N-Triples resolves nothing, so
// anything else would turn one resource into another between two formats.
func ResolveIRI(base, ref string) string {
	if schemeEnd(ref) > 0 || base == "" {
		return ref
	}
	r, b := splitIRI(ref), splitIRI(base)
	t := iriParts{scheme: b.scheme, frag: r.frag, hasFrag: r.hasFrag}
	if r.hasAuth {
		t.auth, t.hasAuth = r.auth, true
		t.path, t.query, t.hasQuery = removeDots(r.path), r.query, r.hasQuery
		return t.join()
	}
	t.auth, t.hasAuth = b.auth, b.hasAuth
	t.query, t.hasQuery = r.query, r.hasQuery
	switch {
	case r.path == "":
		t.path = b.path
		if !r.hasQuery {
			t.query, t.hasQuery = b.query, b.hasQuery
		}
	case r.path[0] == '/':
		t.path = removeDots(r.path)
	case b.hasAuth && b.path == "":
		t.path = removeDots("/" + r.path)
	default:
		t.path = removeDots(b.path[:strings.LastIndexByte(b.path, '/')+1] + r.path)
	}
	return t.join()
}

type iriParts struct {
	scheme, auth, path, query, frag string
	hasAuth, hasQuery, hasFrag      bool
}

func splitIRI(s string) (p iriParts) {
	if k := schemeEnd(s); k > 0 {
		p.scheme, s = s[:k], s[k+1:]
	}
	s, p.frag, p.hasFrag = strings.Cut(s, "#")
	s, p.query, p.hasQuery = strings.Cut(s, "?")
	if rest, ok := strings.CutPrefix(s, "//"); ok {
		p.hasAuth = true
		if k := strings.IndexByte(rest, '/'); k >= 0 {
			p.auth, s = rest[:k], rest[k:]
		} else {
			p.auth, s = rest, ""
		}
	}
	p.path = s
	return p
}

func (p iriParts) join() string {
	var b strings.Builder
	b.Grow(len(p.scheme) + len(p.auth) + len(p.path) + len(p.query) + len(p.frag) + 5)
	if p.scheme != "" {
		b.WriteString(p.scheme)
		b.WriteByte(':')
	}
	if p.hasAuth {
		b.WriteString("//")
		b.WriteString(p.auth)
	}
	b.WriteString(p.path)
	if p.hasQuery {
		b.WriteByte('?')
		b.WriteString(p.query)
	}
	if p.hasFrag {
		b.WriteByte('#')
		b.WriteString(p.frag)
	}
	return b.String()
}

// removeDots is remove_dot_segments of RFC 3986, section 5.2.4.
func removeDots(in string) string {
	if !strings.Contains(in, ".") {
		return in
	}
	var out []byte
	for in != "" {
		switch {
		case strings.HasPrefix(in, "../"):
			in = in[3:]
		case strings.HasPrefix(in, "./"), strings.HasPrefix(in, "/./"):
			in = in[2:]
		case in == "/.":
			in = "/"
		case strings.HasPrefix(in, "/../"), in == "/..":
			in = "/" + strings.TrimPrefix(in[3:], "/")
			k := len(out) - 1
			for k >= 0 && out[k] != '/' {
				k--
			}
			out = out[:max(k, 0)]
		case in == ".", in == "..":
			in = ""
		default:
			k := 1
			for k < len(in) && in[k] != '/' {
				k++
			}
			out = append(out, in[:k]...)
			in = in[k:]
		}
	}
	return string(out)
}
