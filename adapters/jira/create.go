package jira

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// Execute implements adapters.Executor.
func (x *Executor) Execute(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	if r.Action != CreateIssue {
		return oslc.Result{}, oslc.Errorf("jira.execute", oslc.Unsupported, "no action <%s>", r.Action)
	}
	return x.once.Do(ctx, r, x.create)
}

// Marker returns the label by which the issue of a request is found again.
func Marker(requestID string) string {
	return "oslc-" + strings.ReplaceAll(requestID, "-", "")[:20]
}

func (x *Executor) create(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	const op = "jira.create"
	body, err := x.body(r)
	if err != nil {
		return oslc.Result{}, oslc.E(op, err, oslc.Invalid)
	}
	key, err := x.find(ctx, Marker(r.ID))
	if err == nil && key == "" && !r.MaybeDoneAt.IsZero() {
		if wait := r.MaybeDoneAt.Add(x.settle).Sub(x.now()); wait > 0 {
			if err := adapters.Sleep(ctx, wait); err != nil {
				return oslc.Result{}, err
			}
			key, err = x.find(ctx, Marker(r.ID))
		}
	}
	if err != nil {
		return oslc.Result{}, oslc.E(op, err)
	}
	message := "found " + key
	if key == "" {
		var made struct {
			Key string `json:"key"`
		}
		if err := x.post(ctx, "/issue", body, &made); err != nil {
			return oslc.Result{}, oslc.E(op, err)
		}
		if made.Key == "" {
			return oslc.Result{}, oslc.Errorf(op, oslc.Unavailable, "the answer names no issue")
		}
		key, message = made.Key, "created "+made.Key
	}
	return oslc.Result{
		Request: r.URI, Verdict: oslc.Passed, Message: message, Key: key, Created: x.browse + "/browse/" + key,
	}, nil
}

// find returns the key of the issue that carries the label, or "".
func (x *Executor) find(ctx context.Context, label string) (string, error) {
	q := map[string]any{"jql": fmt.Sprintf(`labels = "%s" ORDER BY created ASC`, label), "fields": []string{"summary"}, "maxResults": 2}
	path := "/search"
	if x.cloud {
		path = "/search/jql"
	}
	var found struct {
		Issues []struct {
			Key string `json:"key"`
		} `json:"issues"`
	}
	if err := x.post(ctx, path, q, &found); err != nil {
		return "", fmt.Errorf("search: %w", err)
	}
	if len(found.Issues) == 0 {
		return "", nil
	}
	return found.Issues[0].Key, nil
}

// maxSummary and maxLabel are Jira's own limits, in UTF-16 code units.
const (
	maxSummary = 255
	maxLabel   = 255
)

// singles are the parameters that hold one text, in the order in which they are
// checked.
var singles = []struct {
	name, field string
	needed      bool
	value       func(string) any
}{
	{"project", "project", true, func(s string) any { return map[string]any{"key": s} }},
	{"type", "issuetype", true, func(s string) any { return map[string]any{"name": s} }},
	{"summary", "summary", true, func(s string) any { return summary(s) }},
	{"priority", "priority", false, func(s string) any { return map[string]any{"name": s} }},
}

func (x *Executor) body(r oslc.Request) (map[string]any, error) {
	p := r.Parameters
	fields := map[string]any{}
	for _, f := range singles {
		v, err := textOf(p, f.name)
		switch {
		case err != nil:
			return nil, err
		case strings.TrimSpace(v) != "":
			fields[f.field] = f.value(v)
		case f.needed:
			return nil, fmt.Errorf("%s: it is needed", f.name)
		}
	}
	description, err := textOf(p, "description")
	if err != nil {
		return nil, err
	}
	fields["description"] = x.richText(description, r.Target)
	labels, err := labelsOf("labels", p["labels"])
	if err != nil {
		return nil, err
	}
	switch extra := p["fields"].(type) {
	case nil:
	case map[string]any:
		for k, v := range extra {
			switch k {
			case "description":
				fields[k], err = x.descriptionField(v, r.Target)
			case "labels":
				var more []any
				more, err = labelsOf("fields.labels", v)
				labels = append(labels, more...)
			default:
				fields[k] = v
			}
			if err != nil {
				return nil, err
			}
		}
	default:
		return nil, fmt.Errorf("fields: an object is needed, not %T", extra)
	}
	if d := fields["description"]; d == nil || d == "" {
		delete(fields, "description") // the API's description allows no null
	}
	fields["labels"] = append([]any{Marker(r.ID)}, labels...)
	mark, err := x.mark(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"fields":     fields,
		"properties": []any{map[string]any{"key": "org.oslcbus.request", "value": mark}},
	}, nil
}

// mark is the value of the entity property. Data Center's description of the API
// has it as a string, so there it is the JSON as text.
func (x *Executor) mark(r oslc.Request) (any, error) {
	v := map[string]string{"id": r.ID, "request": r.URI, "event": r.Event, "resource": r.Target}
	if x.cloud {
		return v, nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

func textOf(p map[string]any, name string) (string, error) {
	switch v := p[name].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	default:
		return "", fmt.Errorf("%s: a text is needed, not %T", name, v)
	}
}

func labelsOf(name string, v any) ([]any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		for _, l := range v {
			s, ok := l.(string)
			if !ok || s == "" || strings.ContainsFunc(s, unicode.IsSpace) || units(s) > maxLabel {
				return nil, fmt.Errorf("%s: %v is no label (a text of up to %d characters without blanks)", name, l, maxLabel)
			}
		}
		return v, nil
	default:
		return nil, fmt.Errorf("%s: a list is needed, not %T", name, v)
	}
}

// units counts the UTF-16 code units of s, which is how Jira measures a text.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// summary is one line of at most 255 characters.
func summary(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if units(s) <= maxSummary {
		return s
	}
	n := 0
	for i, r := range s {
		if n += max(1, utf16.RuneLen(r)); n > maxSummary-1 {
			return s[:i] + "…"
		}
	}
	return s
}
