package oslc

import (
	"crypto/sha1"
	"encoding/hex"
	"net/url"
	"strings"
)

// idSpace is the name space of every UUID that the bus derives (RFC 9562, 5.5).
// Changing it would give every event a new identity.
var idSpace = [16]byte{
	0x3c, 0x1e, 0x5b, 0x0a, 0x6f, 0x0d, 0x5c, 0x7e,
	0x9a, 0x41, 0x0f, 0x5c, 0xbb, 0x05, 0x01, 0x5c,
}

// NewID derives a UUID (version 5) from parts. The same parts give the same ID
// in every process; parts are kept apart, so ("a", "bc") is not ("ab", "c").
func NewID(parts ...string) string {
	h := sha1.New()
	h.Write(idSpace[:])
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	var u [20]byte
	h.Sum(u[:0])
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	var b [36]byte
	hex.Encode(b[:8], u[:4])
	b[8] = '-'
	hex.Encode(b[9:13], u[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], u[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], u[8:10])
	b[23] = '-'
	hex.Encode(b[24:], u[10:16])
	return string(b[:])
}

// ProviderURI returns the URI of a provider's ServiceProvider resource.
func ProviderURI(base, provider string) string {
	return base + "/services/" + url.PathEscape(provider)
}

// ResourceURI returns the URI of a resource of a provider: kind is the
// collection, id the tool's own stable id. Both are percent-encoded, so that the
// result is a valid IRI whatever the tool allows in its ids (RFC 3986, 2.1).
func ResourceURI(base, provider, kind, id string) string {
	return ProviderURI(base, provider) + "/" + kind + "/" + escapeSegment(id)
}

// escapeSegment is url.PathEscape that leaves only unreserved characters, since
// readers of RDF/XML refuse IRIs that browsers accept.
func escapeSegment(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	switch out := b.String(); out {
	case ".", "..":
		return strings.ReplaceAll(out, ".", "%2E")
	default:
		return out
	}
}
