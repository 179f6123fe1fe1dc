package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// SignatureConfig says how a tool shows that a delivery is its own.
type SignatureConfig struct {
	// Style is hmac (the default), token, github, gitlab, jira or standard:
	//
	//   - hmac: Header holds Prefix and the HMAC-SHA256 of the body under the secret,
	//     in Encoding
	//   - token: Header holds Prefix and the secret itself
	//   - github: X-Hub-Signature-256, "sha256=" and hexadecimal
	//   - jira: X-Hub-Signature, likewise
	//   - gitlab: X-Gitlab-Token holds the secret; a secret that begins with whsec_ is a
	//     signing token, and the style standard
	//   - standard: Standard Webhooks: webhook-signature over webhook-id,
	//     webhook-timestamp and the body, not older than five minutes
	Style string `yaml:"signature"`
	// Header, Prefix and Encoding (hex or base64) are for hmac and token. The defaults
	// of hmac are X-Hub-Signature-256, "sha256=" and hex, of token X-Webhook-Token and
	// no prefix.
	Header   string  `yaml:"header"`
	Prefix   *string `yaml:"prefix"`
	Encoding string  `yaml:"encoding"`
	// Secret, or what is in SecretFile, is shared with the tool. Without one every
	// delivery counts, which only a loopback address allows.
	Secret     adapters.Secret `yaml:"secret"`
	SecretFile string          `yaml:"secret_file"`
	// Former is a secret that counts as well, while the tool is told the new one.
	Former     adapters.Secret `yaml:"former_secret"`
	FormerFile string          `yaml:"former_secret_file"`
}

// The styles.
const (
	StyleHMAC     = "hmac"
	StyleToken    = "token"
	StyleGitHub   = "github"
	StyleGitLab   = "gitlab"
	StyleJira     = "jira"
	StyleStandard = "standard"
)

// signingToken begins a secret of Standard Webhooks; base64 of the key follows.
const signingToken = "whsec_"

// standardAge is how old a delivery of the style standard may be, and how far ahead
// its clock.
const standardAge = 5 * time.Minute

// A verifier checks deliveries.
type verifier struct {
	style, header, prefix string
	base64                bool
	secret                []byte
	now                   func() time.Time
	former                *verifier // nil: there is none
}

// verifier checks the configuration.
func (c SignatureConfig) verifier(public bool, now func() time.Time) (*verifier, error) {
	secret, err := c.Secret.OrFile("secret", c.SecretFile)
	if err != nil {
		return nil, err
	}
	former, err := c.Former.OrFile("former_secret", c.FormerFile)
	if err != nil {
		return nil, err
	}
	v, err := c.of(secret, public, now)
	if err != nil || former == "" {
		return v, err
	}
	if secret == "" {
		return nil, oslc.Errorf("webhook.signature", oslc.Invalid, "former_secret: there is no secret that follows it")
	}
	v.former, err = c.of(former, public, now)
	return v, err
}

// of returns the verifier of one secret.
func (c SignatureConfig) of(secret adapters.Secret, public bool, now func() time.Time) (v *verifier, err error) {
	const op = "webhook.signature"
	v = &verifier{style: c.Style, header: c.Header, secret: []byte(secret), now: now}
	if v.style == "" {
		v.style = StyleHMAC
	}
	if v.style == StyleGitLab {
		v.style, v.header = StyleToken, "X-Gitlab-Token"
		if strings.HasPrefix(string(secret), signingToken) {
			v.style, v.header = StyleStandard, ""
		}
	}
	own := c.Style != "" && c.Style != StyleHMAC && c.Style != StyleToken
	if own && (c.Header != "" || c.Prefix != nil || c.Encoding != "") {
		return nil, oslc.Errorf(op, oslc.Invalid, "header, prefix and encoding are for the signatures hmac and token; %s has its own", c.Style)
	}
	switch v.style {
	case StyleHMAC:
		v.prefix = "sha256="
		if v.header == "" {
			v.header = "X-Hub-Signature-256"
		}
	case StyleToken:
		if v.header == "" {
			v.header = "X-Webhook-Token"
		}
	case StyleGitHub:
		v.style, v.header, v.prefix = StyleHMAC, "X-Hub-Signature-256", "sha256="
	case StyleJira:
		v.style, v.header, v.prefix = StyleHMAC, "X-Hub-Signature", "sha256="
	case StyleStandard:
		if secret != "" {
			if v.secret, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(string(secret), signingToken)); err != nil {
				return nil, oslc.Errorf(op, oslc.Invalid, "secret: a signing token is whsec_ and base64")
			}
		}
	default:
		return nil, oslc.Errorf(op, oslc.Invalid, "signature: %q is none of hmac, token, github, gitlab, jira, standard", c.Style)
	}
	if c.Prefix != nil {
		v.prefix = *c.Prefix
	}
	switch c.Encoding {
	case "", "hex":
	case "base64":
		v.base64 = true
	default:
		return nil, oslc.Errorf(op, oslc.Invalid, "encoding: %q is none of hex, base64", c.Encoding)
	}
	if len(v.secret) == 0 && public {
		return nil, oslc.Errorf(op, oslc.Invalid, "secret or secret_file is needed: other machines reach the bus, and anybody could send events")
	}
	return v, nil
}

// ok reports whether a delivery is of who knows the secret. How long it takes says
// nothing about the secret.
func (v *verifier) ok(h http.Header, body []byte) bool {
	if len(v.secret) == 0 {
		return true
	}
	now := v.fits(h, body)
	return v.former != nil && v.former.fits(h, body) || now
}

func (v *verifier) fits(h http.Header, body []byte) bool {
	switch v.style {
	case StyleToken:
		given, ok := strings.CutPrefix(h.Get(v.header), v.prefix)
		a, b := sha256.Sum256([]byte(given)), sha256.Sum256(v.secret) // of one length
		return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && ok
	case StyleStandard:
		return v.standard(h, body)
	}
	given, ok := strings.CutPrefix(h.Get(v.header), v.prefix)
	if !ok {
		return false
	}
	sum, err := hex.DecodeString(given)
	if v.base64 {
		sum, err = base64.StdEncoding.DecodeString(given)
	}
	return err == nil && hmac.Equal(sum, v.sum(body))
}

// standard checks a signature of Standard Webhooks 1.0.
func (v *verifier) standard(h http.Header, body []byte) bool {
	id, at := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if id == "" || err != nil || v.now().Sub(time.Unix(seconds, 0)).Abs() > standardAge {
		return false
	}
	want, found := v.sum([]byte(id+"."+at+"."), body), false
	for one := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		version, value, _ := strings.Cut(one, ",")
		if version != "v1" {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(value)
		found = err == nil && hmac.Equal(sum, want) || found
	}
	return found
}

func (v *verifier) sum(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, v.secret)
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}
