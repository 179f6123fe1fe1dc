package oslcbus

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/oslc"
)

// A ConfigError says what is wrong in a configuration file and where.
type ConfigError struct {
	File string
	Line int    // 1-based; 0 when no line is at fault
	Key  string // path of the key, such as "connections.jira.url"
	Err  error
}

func (e *ConfigError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	return b.String() + ": " + e.Err.Error()
}

// Unwrap returns the kind Invalid and the cause.
func (e *ConfigError) Unwrap() []error { return []error{oslc.Invalid, e.Err} }

// document is a parsed file: it decodes parts strictly and knows their lines.
type document struct {
	file string
	root *yaml.Node
}

func parseYAML(file string, data []byte) (*document, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(data, &n); err != nil {
		line := 0
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if _, scan := fmt.Sscanf(text, "line %d:", &line); scan == nil {
			_, text, _ = strings.Cut(text, ": ")
		}
		return nil, &ConfigError{file, line, "", errors.New(text)}
	}
	d := &document{file: file, root: &yaml.Node{Kind: yaml.MappingNode}}
	if len(n.Content) > 0 {
		d.root = n.Content[0]
	}
	return d, nil
}

func (d *document) errorAt(n *yaml.Node, key string, err error) error {
	line := 0
	if n != nil {
		line = n.Line
	}
	return &ConfigError{d.file, line, key, err}
}

// decode fills v from n. A key that v has no field for is an error.
func (d *document) decode(n *yaml.Node, key string, v any) error {
	if err := d.known(n, key, reflect.TypeOf(v)); err != nil {
		return err
	}
	if err := n.Decode(v); err != nil {
		text := strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n  ")
		line := n.Line
		if _, scan := fmt.Sscanf(text, "line %d:", &line); scan == nil {
			_, text, _ = strings.Cut(text, ": ")
		}
		text, _, _ = strings.Cut(text, "\n")
		return &ConfigError{d.file, line, key, errors.New(plain(text))}
	}
	beside(reflect.ValueOf(v), filepath.Dir(d.file))
	return nil
}

// beside makes the files that a configuration names relative to its own folder: the
// fields of structs whose key is file or ends in _file.
func beside(v reflect.Value, dir string) {
	switch k := v.Kind(); {
	case k == reflect.Pointer && !v.IsNil():
		beside(v.Elem(), dir)
	case k == reflect.Slice:
		for i := range v.Len() {
			beside(v.Index(i), dir)
		}
	case k == reflect.Struct:
		for f, field := range v.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			switch {
			case !field.CanSet():
			case field.Kind() != reflect.String:
				beside(field, dir)
			case (name == "file" || strings.HasSuffix(name, "_file")) && field.String() != "" && !filepath.IsAbs(field.String()):
				field.SetString(filepath.Join(dir, field.String()))
			}
		}
	}
}

// What YAML's tags and our types are called in errors.
var (
	unmarshalText = regexp.MustCompile("^cannot unmarshal !!([a-z]+)(?: `.*`)? into (.+)$")
	tagNames      = map[string]string{
		"str": "a text", "int": "a number", "float": "a number", "bool": "true or false", "null": "nothing", "seq": "a list", "map": "a mapping",
	}
	typeNames = map[string]string{
		"string": "a text", "adapters.Secret": "a text", "bool": "true or false", "int": "a whole number", "int64": "a whole number",
		"float64": "a number", "time.Duration": "a duration such as 10s", "[]string": "a list of texts",
	}
)

// plain says without names of Go types that a value is of the wrong type. The value
// itself is left out: it may be a secret in the wrong place.
func plain(text string) string {
	m := unmarshalText.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	want, ok := typeNames[m[2]]
	switch {
	case ok:
	case strings.HasPrefix(m[2], "[]"):
		want = "a list"
	default:
		want = "a mapping"
	}
	got, ok := tagNames[m[1]]
	if !ok {
		got = m[1]
	}
	if got == want || want == "a duration such as 10s" && got == "a text" {
		return "want " + want
	}
	return "want " + want + ", not " + got
}

var nodeType = reflect.TypeFor[yaml.Node]()

// known refuses mapping keys that the type has no field for, and keys given
// twice are refused by the parser already.
func (d *document) known(n *yaml.Node, key string, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if t == nodeType || reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()) {
		return nil
	}
	switch {
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := yamlFields(t)
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			f, ok := fields[name]
			if !ok {
				return d.errorAt(n.Content[i], join(key, name), fmt.Errorf("unknown key%s", suggest(name, fields)))
			}
			if err := d.known(n.Content[i+1], join(key, name), f); err != nil {
				return err
			}
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := d.known(n.Content[i+1], join(key, n.Content[i].Value), t.Elem()); err != nil {
				return err
			}
		}
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, c := range n.Content {
			if err := d.known(c, fmt.Sprintf("%s[%d]", key, i), t.Elem()); err != nil {
				return err
			}
		}
	}
	return nil
}

func yamlFields(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case strings.Contains(opts, "inline"):
			maps.Copy(out, yamlFields(f.Type))
		case name == "":
			out[strings.ToLower(f.Name)] = f.Type
		default:
			out[name] = f.Type
		}
	}
	return out
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// suggest names a key that was perhaps meant.
func suggest(name string, fields map[string]reflect.Type) string {
	bare := strings.NewReplacer("-", "", "_", "")
	keys := slices.Sorted(maps.Keys(fields))
	for _, f := range keys {
		if strings.EqualFold(bare.Replace(f), bare.Replace(name)) {
			return fmt.Sprintf("; did you mean %q?", f)
		}
	}
	return automation.Suggest(name, keys)
}

// field returns the value node of a key of a mapping, and its key node.
func field(n *yaml.Node, name string) (value, key *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1], n.Content[i]
		}
	}
	return nil, nil
}

// at returns the node that a path such as "rules[2].do.with" leads to, or the
// nearest one above it.
func at(n *yaml.Node, path string) *yaml.Node {
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		var next *yaml.Node
		if n.Kind == yaml.SequenceNode {
			i := 0
			if _, err := fmt.Sscanf(part, "%d", &i); err == nil && i < len(n.Content) {
				next = n.Content[i]
			}
		} else {
			next, _ = field(n, part)
		}
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// expand puts values of the environment in place of ${NAME} and ${NAME:-default}
// in the scalars below n; "$${" stands for "${". skip are the paths of keys that are
// left alone, since ${...} means something else there; * stands for any one key.
func (d *document) expand(env func(string) (string, bool), skip ...string) error {
	return d.expandNode(d.root, "", env, skip)
}

func (d *document) expandNode(n *yaml.Node, key string, env func(string) (string, bool), skip []string) error {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := join(key, n.Content[i].Value)
			if slices.ContainsFunc(skip, func(s string) bool {
				ok, err := path.Match(s, strings.ReplaceAll(k, ".", "/"))
				return ok && err == nil
			}) {
				continue
			}
			if err := d.expandNode(n.Content[i+1], k, env, skip); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			if err := d.expandNode(c, fmt.Sprintf("%s[%d]", key, i), env, skip); err != nil {
				return err
			}
		}
	case yaml.DocumentNode, yaml.AliasNode:
	case yaml.ScalarNode:
		if !strings.Contains(n.Value, "${") {
			return nil
		}
		v, err := expandText(n.Value, env)
		if err != nil {
			return d.errorAt(n, key, err)
		}
		n.Value = v
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
			n.Tag = "" // what came in may be a number or a boolean
		}
	}
	return nil
}

func expandText(s string, env func(string) (string, bool)) (string, error) {
	if env == nil {
		env = os.LookupEnv
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		name, rest, ok := strings.Cut(s[i+2:], "}")
		if !ok {
			return "", fmt.Errorf("${ without }")
		}
		name, fallback, has := strings.Cut(name, ":-")
		v, set := env(name)
		switch {
		case set && v != "" || set && !has:
			b.WriteString(v)
		case has:
			b.WriteString(fallback)
		default:
			return "", fmt.Errorf("the environment has no %s", name)
		}
		s = rest
	}
}
