package stackstorm

import (
	"hash/maphash"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/adapters/mongodb"
)

// Mask stands for a value that is not shown; StackStorm's own API uses the same.
const Mask = "********"

// declaration says what a tool's author wrote about a parameter.
type declaration struct{ known, secret bool }

// declaredBy returns what an action and its runner say about a parameter. Nothing
// is known of the parameters of an action that is not registered.
func declaredBy(refs mongodb.References, action string) func(name string) declaration {
	nothing := func(string) declaration { return declaration{} }
	if action == "" {
		return nothing
	}
	a, ok := refs.Find(actions, action)
	if !ok {
		return nothing
	}
	runner, ok := refs.Find(runners, a.Lookup("runner_type.name").Str())
	if !ok {
		return nothing
	}
	own, inherited := a.Lookup("parameters").Doc(), runner.Lookup("runner_parameters").Doc()
	return func(name string) declaration { return declared(name, own, inherited) }
}

// declaredByTrigger returns what a trigger type says about a parameter.
func declaredByTrigger(refs mongodb.References, triggerType string) func(name string) declaration {
	t, _ := refs.Find(triggerTypes, triggerType)
	properties := t.Lookup("parameters_schema.properties").Doc()
	return func(name string) declaration { return declared(name, properties) }
}

// declared looks in schemas for a parameter: it is secret if one says so.
func declared(name string, schemas ...mongodb.Doc) declaration {
	var out declaration
	for _, s := range schemas {
		for key, v := range s.All() {
			if key != name || v.Type != mongodb.TypeDocument {
				continue
			}
			out.known = true
			flag := v.Doc().Lookup("secret")
			if on, ok := flag.Bool(); on || !ok && !flag.IsEmpty() {
				out.secret = true
			}
		}
	}
	return out
}

// A masker writes values as JSON and leaves out what must not be shown. It sums up
// what it left out, so that a change of that is noticed.
type masker struct {
	sum    maphash.Hash
	masked bool
}

func newMasker(seed maphash.Seed) *masker {
	m := &masker{}
	m.sum.SetSeed(seed)
	return m
}

// parameters writes the parameters of an action or a trigger.
func (m *masker) parameters(d mongodb.Doc, declared func(name string) declaration) string {
	var b []byte
	b = m.object(b, d, func(b []byte, name string, v mongodb.Value) []byte {
		if decl := declared(name); !decl.known || decl.secret || looksSecret(name) {
			// Below a container that only looks secret, such as env, the names
			// tell nothing and help people; the values are hidden.
			if decl.known && !decl.secret && v.Type == mongodb.TypeDocument {
				return m.hiddenObject(b, v.Doc())
			}
			return m.hide(b, name, v)
		}
		return m.value(b, name, v)
	})
	return string(b)
}

// criteria writes the conditions of a rule.
func (m *masker) criteria(d mongodb.Doc) string {
	return string(m.object(nil, d, m.member))
}

// member writes a field of a document that people may see.
func (m *masker) member(b []byte, name string, v mongodb.Value) []byte {
	if !looksSecret(name) {
		return m.value(b, name, v)
	}
	if v.Type == mongodb.TypeDocument {
		return m.hiddenObject(b, v.Doc())
	}
	return m.hide(b, name, v)
}

// object writes a document, its fields in the order of their names, which are as
// StackStorm's users know them.
func (m *masker) object(b []byte, d mongodb.Doc, field func(b []byte, name string, v mongodb.Value) []byte) []byte {
	type entry struct {
		name string
		v    mongodb.Value
	}
	var all []entry
	for key, v := range d.All() {
		all = append(all, entry{plainKey(key), v})
	}
	slices.SortStableFunc(all, func(x, y entry) int { return strings.Compare(x.name, y.name) })
	b = append(b, '{')
	for i, e := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(mongodb.AppendJSONString(b, e.name), ':')
		b = field(b, e.name, e.v)
	}
	return append(b, '}')
}

// hiddenObject writes the names of a document's fields alone, all the way down.
func (m *masker) hiddenObject(b []byte, d mongodb.Doc) []byte {
	return m.object(b, d, func(b []byte, name string, v mongodb.Value) []byte {
		if v.Type == mongodb.TypeDocument {
			return m.hiddenObject(b, v.Doc())
		}
		return m.hide(b, name, v)
	})
}

func (m *masker) value(b []byte, name string, v mongodb.Value) []byte {
	switch v.Type {
	case mongodb.TypeDocument:
		return m.object(b, v.Doc(), m.member)
	case mongodb.TypeArray:
		b = append(b, '[')
		first := true
		for item := range v.Items() {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = m.value(b, name, item)
		}
		return append(b, ']')
	case mongodb.TypeString:
		if s := v.Str(); !holdsSecret(s) {
			return mongodb.AppendJSONString(b, s)
		}
		return m.hide(b, name, v)
	case mongodb.TypeBinary:
		return m.hide(b, name, v)
	}
	return v.AppendJSON(b)
}

func (m *masker) hide(b []byte, name string, v mongodb.Value) []byte {
	m.masked = true
	// Writing to a maphash cannot fail.
	_, _ = m.sum.WriteString(name)
	_ = m.sum.WriteByte(v.Type)
	_, _ = m.sum.Write(v.Data)
	return mongodb.AppendJSONString(b, Mask)
}

// plainKey undoes how StackStorm stores names that MongoDB did not take: full-width
// forms of dot and dollar, and, in old rules, the one-dot leader.
func plainKey(key string) string {
	if strings.IndexFunc(key, func(r rune) bool { return r > 0x7f }) < 0 {
		return key
	}
	return plainKeys.Replace(key)
}

var plainKeys = strings.NewReplacer("\uff0e", ".", "\uff04", "$", "\u2024", ".")

// secretWords make a name look secret wherever they are in it; secretNames are
// whole names, or the part after the last separator.
var (
	secretWords = []string{
		"passw", "passphrase", "pwd", "secret", "token", "apikey", "api_key", "api-key", "privatekey",
		"private_key", "credential", "auth", "cookie", "session", "signature", "header", "environment",
		"webhook_url", "connection_string", "dsn", "jwt", "otp", "salt", "bearer",
	}
	secretNames = []string{"env", "pass", "key", "keyfile", "pin", "cert", "pem", "sas"}
)

// looksSecret reports whether a value of that name should be hidden. Rather one too
// many: a value that is hidden can be looked up in StackStorm.
func looksSecret(name string) bool {
	name = strings.ToLower(name)
	for _, w := range secretWords {
		if strings.Contains(name, w) {
			return true
		}
	}
	last := name[1+strings.LastIndexAny(name, "_-. "):]
	if name == "key" || strings.HasSuffix(name, ".key") {
		// A plain key is as a rule the name of something.
		return false
	}
	return slices.Contains(secretNames, last)
}

// secretMarks are what stands before a secret in a command line, a header or an
// address.
var secretMarks = []string{
	"bearer ", "basic ", "authorization", "password", "passwd", "passphrase", "secret=", "secret:", "secret\":",
	"token=", "token:", "token\":", "--token", "api_key", "apikey", "api-key", "-----begin", "sshpass", "aws_",
	"ghp_", "gho_", "glpat-", "xoxb-", "xoxp-",
}

// holdsSecret reports whether a text seems to hold a secret among other things.
func holdsSecret(s string) bool {
	lower := strings.ToLower(s)
	for _, mark := range secretMarks {
		if strings.Contains(lower, mark) {
			return true
		}
	}
	// An address with a password in it.
	for rest := lower; ; {
		_, after, ok := strings.Cut(rest, "://")
		if !ok {
			return false
		}
		authority := after
		if end := strings.IndexAny(after, "/?# \"'"); end >= 0 {
			authority = after[:end]
		}
		if user, _, ok := strings.Cut(authority, "@"); ok && strings.Contains(user, ":") {
			return true
		}
		rest = after
	}
}
