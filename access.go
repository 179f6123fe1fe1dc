package oslcbus

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/server"
)

// Role says what a user may do. Each role may do what those before it may.
type Role uint8

// The roles.
const (
	NoRole Role = iota
	Reader      // read everything
	Writer      // and write resources and ask for actions
	Admin       // and steer the bus itself
)

var roleNames = map[string]Role{"reader": Reader, "writer": Writer, "admin": Admin}

// AccessConfig says who may use the HTTP surface. Without users and tokens it is
// open, which only a loopback address allows.
type AccessConfig struct {
	Users  []UserConfig  `yaml:"users"`
	Tokens []TokenConfig `yaml:"tokens"`
}

// UserConfig is a person or tool that logs in with HTTP Basic.
type UserConfig struct {
	Name string `yaml:"name"`
	Role string `yaml:"role"`
	// PasswordHash is what "oslcbus token hash" prints; PasswordFile holds the
	// password itself. One of them is needed.
	PasswordHash string `yaml:"password_hash"`
	PasswordFile string `yaml:"password_file"`

	role Role
}

// TokenConfig is an API token, sent as a Bearer token.
type TokenConfig struct {
	Name string `yaml:"name"`
	Role string `yaml:"role"`
	// Hash is what "oslcbus token new" prints beside the token; File holds the
	// token itself. One of them is needed.
	Hash string `yaml:"hash"`
	File string `yaml:"file"`

	role Role
}

func (a *AccessConfig) open() bool { return len(a.Users)+len(a.Tokens) == 0 }

func (a *AccessConfig) check(fail func(string, string, ...any) error) error {
	names := map[string]bool{}
	common := func(key, name, role, hash, file string) (Role, error) {
		r, ok := roleNames[role]
		switch {
		case name == "" || strings.ContainsAny(name, ": \t\r\n"):
			return 0, fail(key+".name", "%q is no name: it must not be empty nor hold blanks or colons", name)
		case names[name]:
			return 0, fail(key+".name", "there are two entries called %q", name)
		case !ok:
			return 0, fail(key+".role", "%q is none of reader, writer, admin", role)
		case (hash == "") == (file == ""):
			return 0, fail(key, "give the hash or the file of the secret, and not both")
		}
		names[name] = true
		return r, nil
	}
	for i := range a.Users {
		u := &a.Users[i]
		key := fmt.Sprintf("access.users[%d]", i)
		var err error
		if u.role, err = common(key, u.Name, u.Role, u.PasswordHash, u.PasswordFile); err != nil {
			return err
		}
		if u.PasswordHash != "" {
			if _, _, _, err := parsePasswordHash(u.PasswordHash); err != nil {
				return fail(key+".password_hash", "%v", err)
			}
		}
	}
	for i := range a.Tokens {
		t := &a.Tokens[i]
		key := fmt.Sprintf("access.tokens[%d]", i)
		var err error
		if t.role, err = common(key, t.Name, t.Role, t.Hash, t.File); err != nil {
			return err
		}
		if t.Hash != "" {
			if _, err := parseTokenHash(t.Hash); err != nil {
				return fail(key+".hash", "%v", err)
			}
		}
	}
	return nil
}

const (
	tokenPrefix    = "oslcbus_"
	tokenScheme    = "sha256:"
	passwordScheme = "pbkdf2-sha256"
	// passwordRounds is what OWASP asked for PBKDF2 with HMAC-SHA-256 in 2023.
	passwordRounds = 600_000
)

// NewToken makes a random API token and the hash that a configuration holds of
// it. The token has 256 random bits, so a plain digest keeps it safe.
func NewToken() (token, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	sum := sha256.Sum256([]byte(token))
	return token, tokenScheme + hex.EncodeToString(sum[:])
}

// HashPassword returns what a configuration holds of a password.
func HashPassword(password string) (string, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:])
	key, err := pbkdf2.Key(sha256.New, password, salt[:], passwordRounds, sha256.Size)
	if err != nil {
		return "", oslc.E("oslcbus.hash", err, oslc.Internal)
	}
	return fmt.Sprintf("%s:%d:%s:%s", passwordScheme, passwordRounds,
		base64.RawStdEncoding.EncodeToString(salt[:]), base64.RawStdEncoding.EncodeToString(key)), nil
}

func parseTokenHash(s string) ([]byte, error) {
	h, ok := strings.CutPrefix(s, tokenScheme)
	b, err := hex.DecodeString(h)
	if !ok || err != nil || len(b) != sha256.Size {
		return nil, errors.New("not a hash that \"oslcbus token new\" printed (sha256: and 64 hex digits)")
	}
	return b, nil
}

func parsePasswordHash(s string) (rounds int, salt, key []byte, err error) {
	p := strings.Split(s, ":")
	if len(p) == 4 && p[0] == passwordScheme {
		rounds, err = strconv.Atoi(p[1])
		if err == nil {
			salt, err = base64.RawStdEncoding.DecodeString(p[2])
		}
		if err == nil {
			key, err = base64.RawStdEncoding.DecodeString(p[3])
		}
		if err == nil && rounds > 0 && rounds <= 10_000_000 && len(key) == sha256.Size {
			return rounds, salt, key, nil
		}
	}
	return 0, nil, nil, errors.New("not a hash that \"oslcbus token hash\" printed (pbkdf2-sha256:rounds:salt:key)")
}

// guard decides who may do what.
type guard struct {
	open   bool
	users  map[string]userEntry
	tokens []tokenEntry
	// decoy checks the password of a user who is not there: it takes as long as the
	// slowest of those who are, so that names cannot be guessed.
	decoy func(password string) bool

	// A password costs much to check on purpose; one that was right is remembered
	// under a key that only this process has.
	key   [32]byte
	mu    sync.Mutex
	known map[[32]byte]string // digest of name and password -> name
}

type userEntry struct {
	role  Role
	check func(password string) bool
}

type tokenEntry struct {
	name string
	role Role
	sum  [32]byte
}

// newGuard reads the files that the configuration names.
func newGuard(a AccessConfig) (*guard, error) {
	g := &guard{open: a.open(), users: map[string]userEntry{}, known: map[[32]byte]string{}}
	_, _ = rand.Read(g.key[:])
	for _, u := range a.Users {
		e := userEntry{role: u.role}
		if u.PasswordFile != "" {
			secret, err := adapters.Secret("").OrFile("password", u.PasswordFile)
			if err != nil {
				return nil, oslc.E("oslcbus.access", fmt.Errorf("user %s: %w", u.Name, err))
			}
			want := sha256.Sum256([]byte(secret))
			e.check = func(p string) bool {
				got := sha256.Sum256([]byte(p))
				return subtle.ConstantTimeCompare(got[:], want[:]) == 1
			}
		} else {
			rounds, salt, want, err := parsePasswordHash(u.PasswordHash)
			if err != nil {
				return nil, oslc.E("oslcbus.access", err, oslc.Invalid)
			}
			e.check = func(p string) bool {
				got, err := pbkdf2.Key(sha256.New, p, salt, rounds, sha256.Size)
				return err == nil && subtle.ConstantTimeCompare(got, want) == 1
			}
			g.decoy = e.check
		}
		if g.decoy == nil {
			g.decoy = e.check
		}
		g.users[u.Name] = e
	}
	for _, t := range a.Tokens {
		e := tokenEntry{name: t.Name, role: t.role}
		if t.File != "" {
			secret, err := adapters.Secret("").OrFile("token", t.File)
			if err != nil {
				return nil, oslc.E("oslcbus.access", fmt.Errorf("token %s: %w", t.Name, err))
			}
			e.sum = sha256.Sum256([]byte(secret))
		} else {
			sum, err := parseTokenHash(t.Hash)
			if err != nil {
				return nil, oslc.E("oslcbus.access", err, oslc.Invalid)
			}
			e.sum = [32]byte(sum)
		}
		g.tokens = append(g.tokens, e)
	}
	return g, nil
}

type userKey struct{}

// UserOf returns the name of who made the request, "" when nobody had to say.
func UserOf(ctx context.Context) string {
	name, _ := ctx.Value(userKey{}).(string)
	return name
}

// need lets a request through that has at least the role. Others get 401 without
// credentials or with wrong ones, 403 with right ones that do not suffice.
func (g *guard) need(role Role, next server.HandlerFunc) server.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if g.open {
			return next(w, r)
		}
		name, has := g.identify(r)
		switch {
		case has == NoRole:
			// Every scheme is named, for clients choose by it (Core 3.0, CORE-4).
			w.Header().Add("WWW-Authenticate", `Basic realm="oslcbus", charset="UTF-8"`)
			w.Header().Add("WWW-Authenticate", `Bearer realm="oslcbus"`)
			return server.Statusf(http.StatusUnauthorized, "credentials are missing or wrong")
		case has < role:
			return server.Statusf(http.StatusForbidden, name+" may not do this")
		}
		return next(w, r.WithContext(context.WithValue(r.Context(), userKey{}, name)))
	}
}

func (g *guard) identify(r *http.Request) (string, Role) {
	if name, password, ok := r.BasicAuth(); ok {
		return g.basic(name, password)
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", NoRole
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	var found tokenEntry
	for _, t := range g.tokens { // all of them: the time tells nothing
		if subtle.ConstantTimeCompare(t.sum[:], sum[:]) == 1 {
			found = t
		}
	}
	return found.name, found.role
}

func (g *guard) basic(name, password string) (string, Role) {
	u, ok := g.users[name]
	if !ok {
		if g.decoy != nil {
			g.decoy(password)
		}
		return "", NoRole
	}
	mac := hmac.New(sha256.New, g.key[:])
	mac.Write([]byte(name + "\x00" + password))
	digest := [32]byte(mac.Sum(nil))
	g.mu.Lock()
	_, known := g.known[digest]
	g.mu.Unlock()
	if known {
		return name, u.role
	}
	if !u.check(password) {
		return "", NoRole
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known[digest] = name // one entry a user: there is one right password
	return name, u.role
}

// WriteSecret writes a secret into a file that only its owner can read. It fails
// when the file is there.
func WriteSecret(path, secret string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(secret + "\n"); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}
