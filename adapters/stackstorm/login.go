package stackstorm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// A login gets tokens from StackStorm's auth service and renews them.
type login struct {
	url, user string
	password  adapters.Secret
	client    *http.Client
	now       func() time.Time

	mu    sync.Mutex
	held  string    // the newest token
	renew time.Time // when it is replaced, well before it expires
}

// authURL returns the address of the auth service: the one that is given, else the
// neighbour that the API has behind StackStorm's own proxy.
func authURL(api, auth string) (string, error) {
	if auth == "" {
		front, ok := strings.CutSuffix(strings.TrimRight(api, "/"), "/api")
		if !ok {
			return "", errors.New("auth_url is needed to log in: api_url does not end in /api, beside which it would be /auth")
		}
		auth = front + "/auth"
	}
	u, err := url.Parse(auth)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", errors.New("auth_url must be an http or https address without credentials")
	}
	return strings.TrimSuffix(strings.TrimRight(auth, "/"), "/v1") + "/v1/tokens", nil
}

// token returns a token that is not stale, which is one that StackStorm has refused.
func (l *login) token(ctx context.Context, stale string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != "" && l.held != stale && l.now().Before(l.renew) {
		return l.held, nil
	}
	token, lasts, err := l.get(ctx)
	if err != nil {
		return "", oslc.E("stackstorm.login", err)
	}
	// A fifth of its life is left for calls that take long, and for clocks.
	l.held, l.renew = token, l.now().Add(lasts*4/5)
	return token, nil
}

// get logs in. lasts is by the clock of StackStorm alone.
func (l *login) get(ctx context.Context) (token string, lasts time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, strings.NewReader("{}"))
	if err != nil {
		return "", 0, oslc.E("stackstorm.tokens", err, oslc.Invalid)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(l.user, string(l.password))
	got, err := exchange(l.client, req)
	if err != nil {
		return "", 0, err
	}
	if got.status/100 != 2 {
		return "", 0, got.refusal(l.now(), string(l.password))
	}
	var t struct {
		Token  string    `json:"token"`
		Expiry time.Time `json:"expiry"`
	}
	if err := json.NewDecoder(bytes.NewReader(got.body)).Decode(&t); err != nil || t.Token == "" {
		return "", 0, oslc.Errorf("stackstorm.tokens", oslc.Unavailable, "the answer holds no token")
	}
	at, err := http.ParseTime(got.header.Get("Date"))
	if err != nil {
		at = l.now()
	}
	if lasts = t.Expiry.Sub(at); lasts <= 0 {
		return "", 0, oslc.E("stackstorm.tokens", fmt.Errorf("the token has expired already, at %s", t.Expiry.UTC().Format(time.RFC3339)), oslc.Unavailable)
	}
	return t.Token, lasts, nil
}
