package webhook

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
)

// A template is a text with ${name} in it; "$${" stands for "${".
type template []part

// part is a text, or the name of a value.
type part struct{ text, name string }

func parseTemplate(s string) (template, error) {
	var out template
	text := ""
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			if text += s; text != "" || out == nil {
				out = append(out, part{text: text})
			}
			return out, nil
		}
		if i > 0 && s[i-1] == '$' {
			text += s[:i-1] + "${"
			s = s[i+2:]
			continue
		}
		if text += s[:i]; text != "" {
			out = append(out, part{text: text})
			text = ""
		}
		name, rest, ok := strings.Cut(s[i+2:], "}")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("${ without a name and }")
		}
		out = append(out, part{name: name})
		s = rest
	}
}

// names are those of its values.
func (t template) names() []string {
	var out []string
	for _, p := range t {
		if p.name != "" {
			out = append(out, p.name)
		}
	}
	return out
}

// fill puts values in, each of which goes through escape.
func (t template) fill(values map[string]any, escape func(string) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.name == "" {
			b.WriteString(p.text)
		} else {
			b.WriteString(escape(plain(values[p.name])))
		}
	}
	return b.String()
}

// plain is a value as a text.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any, []any:
		b, err := json.Marshal(v)
		if err != nil {
			return "" // parameters are what JSON knows
		}
		return string(b)
	}
	return fmt.Sprint(v)
}

// compileBody returns v, as YAML has it, with its texts as templates.
func compileBody(v any) (any, []string, error) {
	var names []string
	switch v := v.(type) {
	case string:
		t, err := parseTemplate(v)
		return t, t.names(), err
	case map[string]any:
		out := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			c, n, err := compileBody(v[key])
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", key, err)
			}
			out[key], names = c, append(names, n...)
		}
		return out, names, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			c, n, err := compileBody(v[i])
			if err != nil {
				return nil, nil, fmt.Errorf("[%d]: %w", i, err)
			}
			out[i], names = c, append(names, n...)
		}
		return out, names, nil
	case map[any]any:
		return nil, nil, fmt.Errorf("the keys of JSON are texts")
	}
	_, err := json.Marshal(v)
	return v, nil, err
}

// fillBody returns what compileBody made with values in it. A text that is one value
// alone keeps the value's type, and is left out where there is none.
func fillBody(v any, values map[string]any) (out any, there bool) {
	switch v := v.(type) {
	case template:
		if len(v) == 1 && v[0].name != "" {
			x, ok := values[v[0].name]
			return x, ok
		}
		return v.fill(values, func(s string) string { return s }), true
	case map[string]any:
		out := map[string]any{}
		for key, x := range v {
			if x, ok := fillBody(x, values); ok {
				out[key] = x
			}
		}
		return out, true
	case []any:
		out := []any{}
		for _, x := range v {
			if x, ok := fillBody(x, values); ok {
				out = append(out, x)
			}
		}
		return out, true
	}
	return v, true
}

// targetID is the value that is the tool's own name for the resource that is meant.
const targetID = "target.id"

// requestValues are the values that every request has, beside its parameters.
func requestValues(r *oslc.Request) map[string]any {
	values := map[string]any{
		"request.id": r.ID, "request.uri": r.URI, "request.target": r.Target, "request.event": r.Event, "request.rule": r.Rule, "request.by": r.By,
		targetID: "",
	}
	for name, v := range r.Parameters {
		if v != nil {
			values[name] = v
		}
	}
	return values
}
