// Package webhook delivers events to other programs: CloudEvents over HTTP, signed
// after Standard Webhooks, to addresses that may be called.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
)

// The headers of Standard Webhooks 1.0.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

const (
	secretPrefix    = "whsec_"
	signatureScheme = "v1,"
)

// A Secret is the key of the signatures of one subscription.
type Secret []byte

// ParseSecret reads a secret: whsec_ and base64, or any other text, which is the key as
// it is. It fails with kind Invalid for a key of less than 24 bytes.
func ParseSecret(text string) (Secret, error) {
	const op = "webhook.secret"
	key := []byte(text)
	if coded, ok := strings.CutPrefix(text, secretPrefix); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(coded); err != nil {
			return nil, oslc.Errorf(op, oslc.Invalid, "after whsec_ there is no base64")
		}
	}
	if len(key) < 24 {
		return nil, oslc.Errorf(op, oslc.Invalid, "the secret has %d bytes, want 24 or more", len(key))
	}
	return key, nil
}

// Derive returns the secret of a subscription that whoever has the key knows: nothing
// has to be kept of it.
func Derive(key []byte, subscription string) Secret {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("oslcbus webhook\x00" + subscription))
	return mac.Sum(nil)
}

// Text returns the secret as ParseSecret reads it, to tell it once.
func (s Secret) Text() string { return secretPrefix + base64.StdEncoding.EncodeToString(s) }

// String keeps the secret out of logs and errors.
func (s Secret) String() string { return "[secret]" }

// Sign adds the headers that say who sent body, and when, with a signature by each of the
// secrets: a subscriber knows one of them.
func Sign(h http.Header, id string, at time.Time, body []byte, secrets ...Secret) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, stamp)
	var all []string
	for _, s := range secrets {
		all = append(all, signatureScheme+base64.StdEncoding.EncodeToString(s.mac(id, stamp, body)))
	}
	h.Set(HeaderSignature, strings.Join(all, " "))
}

func (s Secret) mac(id, stamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, s)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// Verify checks what Sign added, at a moment that must be within tolerance of the time
// stamp: an older message is a repetition by somebody else. It fails with kind Denied.
func (s Secret) Verify(h http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	const op = "webhook.verify"
	stamp := h.Get(HeaderTimestamp)
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return oslc.Errorf(op, oslc.Denied, "%s is missing or no number", HeaderTimestamp)
	}
	if age := now.Sub(time.Unix(at, 0)); age > tolerance || age < -tolerance {
		return oslc.Errorf(op, oslc.Denied, "the message is %v old", age.Round(time.Second))
	}
	want := s.mac(h.Get(HeaderID), stamp, body)
	for one := range strings.FieldsSeq(h.Get(HeaderSignature)) {
		coded, ok := strings.CutPrefix(one, signatureScheme)
		got, err := base64.StdEncoding.DecodeString(coded)
		if ok && err == nil && subtle.ConstantTimeCompare(got, want) == 1 {
			return nil
		}
	}
	return oslc.Errorf(op, oslc.Denied, "the signature does not fit")
}
