package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// Login is who may log in at the stand-in of StackStorm, with the password Token.
const Login = "st2admin"

// tokenLasts is how long StackStorm's tokens last unless it is told otherwise.
const tokenLasts = 24 * time.Hour

// tokens are those that the auth service gave out. They do not outlive the process.
type tokens struct {
	mu     sync.Mutex
	expiry map[string]time.Time
	given  int
}

// valid reports whether a token counts; the one called Token always does.
func (t *tokens) valid(token string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return token == Token || now.Before(t.expiry[token])
}

// ExpireTokens ends the life of every token that was given out.
func (s *StackStorm) ExpireTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.expiry)
}

// Tokens returns how many tokens were given out.
func (s *StackStorm) Tokens() int {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	return s.tokens.given
}

// logIn answers POST /auth/v1/tokens as StackStorm's auth service does.
func (s *StackStorm) logIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Request-Id", requestID(r))
	if r.Method != http.MethodPost {
		fault(w, http.StatusNotFound, "The resource could not be found.")
		return
	}
	if user, password, _ := r.BasicAuth(); user != Login || password != Token {
		fault(w, http.StatusUnauthorized, "Invalid or missing credentials")
		return
	}
	var in struct {
		TTL int64 `json:"ttl"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &in)
	}
	if err != nil || in.TTL < 0 || in.TTL > int64(tokenLasts/time.Second) {
		fault(w, http.StatusBadRequest, "the ttl is a number of seconds, a day at most")
		return
	}
	lasts := tokenLasts
	if in.TTL > 0 {
		lasts = time.Duration(in.TTL) * time.Second
	}
	now := s.now().UTC()
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	token := hex.EncodeToString(random[:])
	s.tokens.mu.Lock()
	if s.tokens.expiry == nil {
		s.tokens.expiry = map[string]time.Time{}
	}
	s.tokens.expiry[token] = now.Add(lasts)
	s.tokens.given++
	s.tokens.mu.Unlock()
	w.Header().Set("X-Api-Url", "http://"+r.Host+"/api")
	w.Header().Set("Date", now.Format(http.TimeFormat))
	writeJSON(w, http.StatusCreated, map[string]any{
		"user": Login, "token": token, "expiry": rdf.FormatTime(now.Add(lasts)), "metadata": map[string]any{}, "service": false, "id": newObjectID(now, rand.Reader),
	})
}
