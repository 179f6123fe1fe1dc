package stackstorm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Writer writes rules over StackStorm's API. A rule is read right before it is
// changed: the API has no precondition of its own, and takes only whole rules. What
// somebody else writes between that reading and the writing is overwritten; the two
// follow each other at once.
type Writer struct {
	api    *rest
	rules  *rules
	prefix string // of the URIs of rules
}

// NewWriter returns the writer of the StackStorm whose API is at apiURL, such as
// https://st2.example/api. It does not dial.
func NewWriter(apiURL string, cfg REST, opts adapters.Options) (*Writer, error) {
	api, err := newREST(apiURL, cfg, opts)
	if err != nil {
		return nil, oslc.E("stackstorm.writer", err, oslc.Invalid)
	}
	return &Writer{
		api: api, rules: newRules(DefaultDatabase, strings.TrimRight(apiURL, "/"), opts),
		prefix: oslc.ProviderURI(opts.BaseURL, opts.Name) + "/" + rulesKind + "/",
	}, nil
}

func (w *Writer) id(ask oslc.Write) (string, error) {
	if ask.Collection != rulesKind {
		return "", oslc.Errorf("stackstorm.write", oslc.Unsupported, "StackStorm has no collection %q that can be written", ask.Collection)
	}
	segment, ok := strings.CutPrefix(ask.URI, w.prefix)
	id, err := url.PathUnescape(segment)
	if !ok || err != nil || id == "" {
		return "", oslc.Errorf("stackstorm.write", oslc.NotFound, "<%s> is no rule of this StackStorm", ask.URI)
	}
	return id, nil
}

// Create implements adapters.Writer.
func (w *Writer) Create(ctx context.Context, ask oslc.Write) (oslc.Written, error) {
	const op = "stackstorm.create"
	if ask.Collection != rulesKind {
		return oslc.Written{}, oslc.Errorf(op, oslc.Unsupported, "StackStorm has no collection %q that can be written", ask.Collection)
	}
	want, err := fields(ask.After, ask.Subject)
	if err != nil {
		return oslc.Written{}, oslc.E(op, err)
	}
	rule := map[string]any{}
	for name, v := range want {
		if v, err = filled(v, nil); err != nil {
			return oslc.Written{}, oslc.E(op, fmt.Errorf("%s: %w", name, err), oslc.Invalid)
		}
		set(rule, name, v)
	}
	if rule["tags"], err = tags(ask.After, ask.Subject, nil); err != nil {
		return oslc.Written{}, oslc.E(op, err)
	}
	made, err := w.api.call(ctx, http.MethodPost, "/rules", rule)
	if err != nil {
		return oslc.Written{}, oslc.E(op, err)
	}
	return w.written(op, made)
}

// Update implements adapters.Writer.
func (w *Writer) Update(ctx context.Context, ask oslc.Write) (oslc.Written, error) {
	const op = "stackstorm.update"
	id, err := w.id(ask)
	if err != nil {
		return oslc.Written{}, err
	}
	was, err := fields(ask.Before, ask.Subject)
	if err != nil {
		return oslc.Written{}, oslc.E(op, err)
	}
	want, err := fields(ask.After, ask.Subject)
	if err != nil {
		return oslc.Written{}, oslc.E(op, err)
	}
	rule, err := w.fresh(ctx, id, ask)
	if errors.Is(err, oslc.ErrChanged) && rule != nil && shows(ask.After, ask.Subject, rule) {
		// It is as it shall be already: this comes a second time.
		return w.written(op, rule)
	}
	if err != nil {
		return oslc.Written{}, oslc.E(op, err)
	}
	for _, name := range fieldNames {
		if same(was[name], want[name]) {
			continue
		}
		v, err := filled(want[name], get(rule, name))
		if err != nil {
			return oslc.Written{}, oslc.E(op, fmt.Errorf("%s: %w", name, err))
		}
		set(rule, name, v)
		if name == "trigger.type" || name == "trigger.parameters" {
			delete(rule["trigger"].(map[string]any), "ref") // of the trigger as it was
		}
	}
	if rule["tags"], err = tags(ask.After, ask.Subject, rule["tags"]); err != nil {
		return oslc.Written{}, oslc.E(op, err)
	}
	if hides(rule) {
		return oslc.Written{}, oslc.E(op, errMasked, oslc.Denied)
	}
	done, err := w.api.call(ctx, http.MethodPut, "/rules/"+url.PathEscape(id), rule)
	if err != nil {
		return oslc.Written{}, oslc.E(op, err)
	}
	return w.written(op, done)
}

// Delete implements adapters.Writer.
func (w *Writer) Delete(ctx context.Context, ask oslc.Write) error {
	const op = "stackstorm.delete"
	id, err := w.id(ask)
	if err != nil {
		return err
	}
	if _, err := w.fresh(ctx, id, ask); err != nil {
		return oslc.E(op, err)
	}
	_, err = w.api.call(ctx, http.MethodDelete, "/rules/"+url.PathEscape(id), nil)
	return oslc.E(op, err)
}

// fresh reads the rule and compares it with what the client knows. With
// oslc.ErrChanged it returns what it has read.
func (w *Writer) fresh(ctx context.Context, id string, ask oslc.Write) (map[string]any, error) {
	rule, err := w.api.rule(ctx, id)
	if err != nil {
		return nil, err
	}
	if rule["id"] != id { // a ref is taken for an id
		return nil, oslc.Errorf("stackstorm.read", oslc.NotFound, "there is no rule with the id %q", id)
	}
	if ask.Before != nil && !shows(ask.Before, ask.Subject, rule) {
		return rule, oslc.ErrChanged
	}
	return rule, nil
}

// shows reports whether a graph is of the rule as the API has it.
func shows(g *rdf.Graph, s rdf.Term, rule map[string]any) bool {
	was, err := fields(g, s)
	if err != nil {
		return false
	}
	for _, name := range fieldNames {
		if _, known := was["trigger.type"]; !known && strings.HasPrefix(name, "trigger.") {
			continue // the source could not resolve the trigger
		}
		if !agrees(was[name], get(rule, name)) {
			return false
		}
	}
	given, _ := rule["tags"].([]any)
	var names, known []string
	for _, t := range given {
		names = append(names, tagOf(t))
	}
	for _, o := range g.Objects(s, vocab.DCTermsSubject) {
		known = append(known, o.Value)
	}
	slices.Sort(names)
	slices.Sort(known)
	return slices.Equal(slices.Compact(names), slices.Compact(known))
}

// The fields of a rule that a graph shows, by their place in the API's JSON.
var fieldNames = []string{
	"name", "description", "enabled", "pack", "trigger.type", "trigger.parameters", "criteria", "action.ref", "action.parameters",
}

var fieldOf = map[string]string{
	vocab.DCTermsTitle: "name", vocab.DCTermsDescription: "description", vocab.St2RuleStatus: "enabled",
	vocab.St2RulePack: "pack", vocab.St2TriggerType: "trigger.type", vocab.St2TriggerParameters: "trigger.parameters",
	vocab.St2RuleCriteria: "criteria", vocab.St2ActionRef: "action.ref", vocab.St2ActionParameters: "action.parameters",
}

// fields takes the values of a rule out of a graph.
func fields(g *rdf.Graph, s rdf.Term) (map[string]any, error) {
	out := map[string]any{}
	for t := range g.About(s) {
		name, ok := fieldOf[t.P.Value]
		switch {
		case !ok:
		case t.O.Kind != rdf.Literal:
			return nil, oslc.Errorf("stackstorm.read", oslc.Invalid, "%s is no literal", name)
		case name == "enabled":
			on, ok := t.O.Bool()
			if !ok {
				return nil, oslc.Errorf("stackstorm.read", oslc.Invalid, "st2:ruleStatus %q is no boolean", t.O.Value)
			}
			out[name] = on
		case name == "criteria" || strings.HasSuffix(name, ".parameters"):
			v, err := object(t.O.Value)
			if err != nil {
				return nil, oslc.Errorf("stackstorm.read", oslc.Invalid, "%s: %w", name, err)
			}
			out[name] = v
		default:
			out[name] = t.O.Value
		}
	}
	return out, nil
}

// object returns a JSON object, which may come as text, with its numbers as they
// are written.
func object(v any) (map[string]any, error) {
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		text = string(b)
	}
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&m); err != nil || m == nil || d.More() {
		return nil, fmt.Errorf("%.60q is no JSON object", text)
	}
	return m, nil
}

// get and set reach a field in the API's JSON.
func get(rule map[string]any, name string) any {
	outer, inner, nested := strings.Cut(name, ".")
	if !nested {
		return rule[name]
	}
	m, _ := rule[outer].(map[string]any)
	return m[inner]
}

func set(rule map[string]any, name string, v any) {
	outer, inner, nested := strings.Cut(name, ".")
	if !nested {
		switch {
		case v != nil:
			rule[name] = v
		case name == "description":
			rule[name] = "" // left out, the old one would stay
		default:
			delete(rule, name)
		}
		return
	}
	m, _ := rule[outer].(map[string]any)
	m = maps.Clone(m)
	if m == nil {
		m = map[string]any{}
	}
	if m[inner] = v; v == nil {
		m[inner] = map[string]any{}
	}
	rule[outer] = m
}

// agrees reports whether what a graph shows is what the API says; a mask stands for
// anything, and absent for empty.
func agrees(shown, stored any) bool {
	if s, ok := shown.(string); ok && s == Mask {
		return true
	}
	if isEmpty(shown) || isEmpty(stored) {
		return isEmpty(shown) && isEmpty(stored)
	}
	switch a := shown.(type) {
	case map[string]any:
		b, ok := stored.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			w, ok := b[k]
			if !ok || !agrees(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := stored.([]any)
		return ok && slices.EqualFunc(a, b, agrees)
	case json.Number:
		b, ok := stored.(json.Number)
		x, ok1 := new(big.Rat).SetString(a.String())
		y, ok2 := new(big.Rat).SetString(b.String())
		return ok && ok1 && ok2 && x.Cmp(y) == 0
	}
	return shown == stored
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v // left out, it is false
	case string:
		return v == ""
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// same compares two values that graphs show.
func same(a, b any) bool {
	x, _ := json.Marshal(a) // both came from JSON
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

var errMasked = errors.New("the account of the bus may not see the secret parameters of this rule, and would overwrite them; it must be an administrator of StackStorm")

var errHidden = errors.New("******** stands for a value that is hidden, and there is none in its place")

// filled puts the values that stand in the tool in place of masks.
func filled(want, have any) (any, error) {
	switch v := want.(type) {
	case string:
		if v != Mask {
			return v, nil
		}
		if have == nil {
			return nil, oslc.E("stackstorm.mask", errHidden, oslc.Invalid)
		}
		return have, nil
	case map[string]any:
		from, _ := have.(map[string]any)
		out := make(map[string]any, len(v))
		for k, x := range v {
			y, err := filled(x, from[k])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			out[k] = y
		}
		return out, nil
	case []any:
		from, _ := have.([]any)
		out := make([]any, len(v))
		for i, x := range v {
			var h any
			if i < len(from) {
				h = from[i]
			}
			y, err := filled(x, h)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			out[i] = y
		}
		return out, nil
	}
	return want, nil
}

// hides reports whether a value of the API is masked.
func hides(v any) bool {
	switch v := v.(type) {
	case string:
		return v == Mask
	case map[string]any:
		for _, x := range v {
			if hides(x) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hides)
	}
	return false
}

// tags turns the tags of a graph into those of the API; what is there already stays
// as it is.
func tags(g *rdf.Graph, s rdf.Term, had any) ([]any, error) {
	old, _ := had.([]any)
	out := []any{}
	for _, o := range g.Objects(s, vocab.DCTermsSubject) {
		if i := slices.IndexFunc(old, func(t any) bool { return tagOf(t) == o.Value }); i >= 0 {
			out = append(out, old[i])
			continue
		}
		name, value, _ := strings.Cut(o.Value, ":")
		if name == "" {
			return nil, oslc.Errorf("stackstorm.tags", oslc.Invalid, "dcterms:subject %q is no tag: write name:value", o.Value)
		}
		out = append(out, map[string]any{"name": name, "value": value})
	}
	return out, nil
}

// tagOf is a tag of the API as the mapping shows it.
func tagOf(t any) string {
	m, ok := t.(map[string]any)
	if !ok {
		s, _ := t.(string)
		return s
	}
	name, _ := m["name"].(string)
	value := ""
	if v := m["value"]; v != nil {
		value = fmt.Sprint(v)
	}
	switch {
	case name == "":
		return value
	case value == "":
		return name
	}
	return name + ":" + value
}

// written is the rule in an answer, as the source will map it: what it masks depends
// on what is known of the action, and here nothing is, so every parameter is hidden.
func (w *Writer) written(op string, rule map[string]any) (oslc.Written, error) {
	id, _ := rule["id"].(string)
	if id == "" {
		return oslc.Written{}, oslc.Errorf(op, oslc.Unavailable, "the answer is no rule: it has no id")
	}
	trigger, _ := rule["trigger"].(map[string]any)
	ref, _ := trigger["ref"].(string)
	doc := maps.Clone(rule)
	delete(doc, "id")
	doc["_id"] = nil
	doc["trigger"] = ref
	stored, err := asStored(doc, id)
	if err != nil {
		return oslc.Written{}, oslc.E(op, fmt.Errorf("the answer is no rule: %w", err), oslc.Unavailable)
	}
	kind, err := asStored(map[string]any{"type": trigger["type"], "parameters": trigger["parameters"]}, "")
	if err != nil {
		return oslc.Written{}, oslc.E(op, fmt.Errorf("the answer is no rule: %w", err), oslc.Unavailable)
	}
	uri := w.prefix + strings.TrimPrefix(oslc.ResourceURI("", "x", "y", id), "/services/x/y/")
	res, err := w.rules.Map(stored, uri, answered{ref: ref, trigger: kind})
	if err != nil {
		return oslc.Written{}, oslc.E(op, fmt.Errorf("the answer is no rule: %w", err), oslc.Unavailable)
	}
	return oslc.Written{URI: uri, Graph: res.Graph}, nil
}

// answered finds the trigger that came with a rule.
type answered struct {
	ref     string
	trigger mongodb.Doc
}

// Find implements mongodb.References.
func (a answered) Find(collection, key string) (mongodb.Doc, bool) {
	if collection == triggers && key == a.ref && a.ref != "" {
		return a.trigger, true
	}
	return nil, false
}

// asStored is the API's JSON as MongoDB holds it, with id as _id.
func asStored(v map[string]any, id string) (mongodb.Doc, error) {
	out, _ := storedKeys(v).(map[string]any)
	if id != "" {
		out["_id"] = map[string]any{"$oid": id}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return mongodb.DocFromJSON(b)
}

var storedKey = strings.NewReplacer(".", "\uff0e", "$", "\uff04")

func storedKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[storedKey.Replace(k)] = storedKeys(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = storedKeys(x)
		}
		return out
	}
	return v
}
