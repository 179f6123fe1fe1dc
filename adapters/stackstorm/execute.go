package stackstorm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Executor carries out actions over StackStorm's API. What it does to a rule is a
// state that the rule shall have: asked for twice, it is done once. An execution is
// found again by its trace tag.
type Executor struct {
	api    *rest
	prefix string // of the URIs of rules
	toggle bool
	once   adapters.Once
	runs   runs
}

// NewExecutor returns the executor for the StackStorm whose API is at apiURL, such
// as https://st2.example/api. It does not dial.
func NewExecutor(apiURL string, cfg REST, opts adapters.Options) (*Executor, error) {
	api, err := newREST(apiURL, cfg, opts)
	if err != nil {
		return nil, oslc.E("stackstorm.executor", err, oslc.Invalid)
	}
	return &Executor{
		api: api, toggle: cfg.EmptyUpdateToggles,
		prefix: oslc.ProviderURI(opts.BaseURL, opts.Name) + "/" + rulesKind + "/",
	}, nil
}

// ruleParameter names the rule that an action is about; without it the request's
// target is meant.
var ruleParameter = oslc.Parameter{
	Name: "rule", Property: vocab.St2RuleID, Target: true,
	Help: "id, ref or URI of the rule; the resource that the request is about when left out",
}

// ruleParameters are the fields of a rule that an action can set, by their place in
// the API's JSON.
var ruleParameters = []struct {
	oslc.Parameter
	field string
}{
	{oslc.Parameter{Name: "name", Property: vocab.St2RuleTitle, Help: "its name, unique in its pack"}, "name"},
	{oslc.Parameter{Name: "pack", Property: vocab.St2RulePack, Help: "default when left out"}, "pack"},
	{oslc.Parameter{Name: "description", Property: vocab.DCTermsDescription, Help: "what it is for"}, "description"},
	{oslc.Parameter{Name: "enabled", Property: vocab.St2RuleStatus, Help: "whether it is on; false when a new rule leaves it out"}, "enabled"},
	{oslc.Parameter{Name: "trigger", Property: vocab.St2TriggerType, Help: "ref of the trigger's type, such as core.st2.webhook"}, "trigger.type"},
	{oslc.Parameter{Name: "trigger_ref", Property: vocab.St2TriggerRef, Help: "counts as trigger where that is left out", Hidden: true}, "trigger.ref"},
	{oslc.Parameter{Name: "trigger_parameters", Property: vocab.St2TriggerParameters, Help: "a JSON object"}, "trigger.parameters"},
	{oslc.Parameter{Name: "criteria", Property: vocab.St2RuleCriteria, Help: "a JSON object"}, "criteria"},
	{oslc.Parameter{Name: "action", Property: vocab.St2ActionRef, Help: "ref of the action that it runs, such as core.local"}, "action.ref"},
	{oslc.Parameter{Name: "action_parameters", Property: vocab.St2ActionParameters, Help: "a JSON object"}, "action.parameters"},
}

// Actions are those that Executor takes.
func Actions() []oslc.Action {
	set := func(required ...string) []oslc.Parameter {
		var out []oslc.Parameter
		for _, p := range ruleParameters {
			p.Required = slices.Contains(required, p.Name)
			out = append(out, p.Parameter)
		}
		return out
	}
	one := []oslc.Parameter{ruleParameter}
	return []oslc.Action{
		{
			Name: "create-rule", IRI: vocab.St2CreateRuleAction, Title: "Create a rule",
			Parameters: append([]oslc.Parameter{{Name: "rule", Property: vocab.St2RuleID, Help: "does not count: StackStorm gives the id", Hidden: true}}, set("name", "action")...),
		},
		{
			Name: "update-rule", IRI: vocab.St2UpdateRuleAction, Title: "Update the rule",
			Class: vocab.St2Rule, Parameters: append(slices.Clone(one), set()...),
		},
		{
			Name: "enable-rule", IRI: vocab.St2EnableRuleAction, Title: "Enable the rule",
			Class: vocab.St2Rule, Where: "st2:ruleStatus=false", Parameters: one,
		},
		{
			Name: "disable-rule", IRI: vocab.St2DisableRuleAction, Title: "Disable the rule",
			Class: vocab.St2Rule, Where: "st2:ruleStatus=true", Parameters: one,
		},
		{
			Name: "delete-rule", IRI: vocab.St2DeleteRuleAction, Title: "Delete the rule",
			Class: vocab.St2Rule, Parameters: one,
		},
		{
			Name: "run-action", IRI: vocab.St2RunAction, Title: "Run an action",
			Parameters: []oslc.Parameter{
				{Name: "action", Property: vocab.St2ActionRef, Required: true, Help: "ref of the action, such as core.local"},
				{Name: "parameters", Property: vocab.St2ActionParameters, Help: "a JSON object"},
			},
		},
	}
}

// Execute implements adapters.Executor.
func (x *Executor) Execute(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	work := map[string]func(context.Context, oslc.Request) (oslc.Result, error){
		vocab.St2CreateRuleAction:  x.create,
		vocab.St2UpdateRuleAction:  x.update,
		vocab.St2EnableRuleAction:  x.turn(true),
		vocab.St2DisableRuleAction: x.turn(false),
		vocab.St2DeleteRuleAction:  x.remove,
		vocab.St2RunAction:         x.run,
	}[r.Action]
	if work == nil {
		return oslc.Result{}, oslc.Errorf("stackstorm.execute", oslc.Unsupported, "no action <%s>", r.Action)
	}
	return x.once.Do(ctx, r, func(ctx context.Context, r oslc.Request) (oslc.Result, error) {
		res, err := work(ctx, r)
		if err != nil {
			if ctx.Err() != nil {
				return oslc.Result{}, ctx.Err()
			}
			return oslc.Result{}, oslc.E("stackstorm.execute", err)
		}
		if res.Request = r.URI; res.Verdict == "" {
			res.Verdict = oslc.Passed
		}
		return res, nil
	})
}

// rule reads the rule that a request is about.
func (x *Executor) rule(ctx context.Context, r oslc.Request) (map[string]any, error) {
	name, given := r.Parameters["rule"]
	ref, _ := name.(string)
	if !given || ref == "" {
		ref = r.Target
	}
	switch id, ours := strings.CutPrefix(ref, x.prefix); {
	case ours:
		var err error
		if ref, err = url.PathUnescape(id); err != nil {
			return nil, oslc.Errorf("stackstorm.rule", oslc.Invalid, "<%s> is no URI of a rule", r.Target)
		}
	case ref == "":
		return nil, oslc.Errorf("stackstorm.rule", oslc.Invalid, "which rule? Give the parameter rule (st2:ruleId), or a target")
	case strings.Contains(ref, "://"):
		return nil, oslc.Errorf("stackstorm.rule", oslc.Invalid, "<%s> is no rule of this StackStorm; its rules are below <%s>", ref, x.prefix)
	}
	return x.api.rule(ctx, ref)
}

// about is the result for a rule.
func (x *Executor) about(rule map[string]any, message string) oslc.Result {
	id, _ := rule["id"].(string)
	ref, _ := rule["ref"].(string)
	return oslc.Result{Message: message, Key: ref, Created: x.prefix + url.PathEscape(id)}
}

// fieldsOf takes the fields of a rule out of a request's parameters.
func fieldsOf(r oslc.Request) (map[string]any, error) {
	out := map[string]any{}
	for _, p := range ruleParameters {
		v, given := r.Parameters[p.Name]
		if !given || v == nil {
			continue
		}
		switch p.field {
		case "enabled":
			if _, ok := v.(bool); !ok {
				return nil, oslc.Errorf("stackstorm.parameters", oslc.Invalid, "%s must be true or false, not %v", p.Name, v)
			}
		case "criteria", "trigger.parameters", "action.parameters":
			var err error
			if v, err = object(v); err != nil {
				return nil, oslc.Errorf("stackstorm.parameters", oslc.Invalid, "%s: %w", p.Name, err)
			}
		default:
			if _, ok := v.(string); !ok {
				return nil, oslc.Errorf("stackstorm.parameters", oslc.Invalid, "%s must be text, not %v", p.Name, v)
			}
		}
		out[p.field] = v
	}
	// A trigger without parameters has its type's ref; others StackStorm finds by type
	// and parameters.
	if ref := out["trigger.ref"]; ref != nil {
		if delete(out, "trigger.ref"); out["trigger.type"] == nil {
			out["trigger.type"] = ref
		}
	}
	return out, nil
}

func (x *Executor) create(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	given, err := fieldsOf(r)
	if err != nil {
		return oslc.Result{}, err
	}
	var missing []string
	for _, p := range ruleParameters {
		if v := given[p.field]; (v == nil || v == "") && slices.Contains([]string{"name", "trigger.type", "action.ref"}, p.field) {
			missing = append(missing, p.Name)
		}
	}
	if len(missing) > 0 {
		return oslc.Result{}, oslc.Errorf("stackstorm.create", oslc.Invalid, "create-rule needs %s", strings.Join(missing, ", "))
	}
	rule := map[string]any{}
	for field, v := range given {
		set(rule, field, v)
	}
	pack, _ := rule["pack"].(string)
	if pack == "" {
		pack = "default"
	}
	trace(rule, r)
	made, err := x.api.call(ctx, http.MethodPost, "/rules", rule)
	if errors.Is(err, oslc.Conflict) {
		// The name is taken: by what an earlier attempt has made, or by another rule.
		there, look := x.api.rule(ctx, fmt.Sprintf("%s.%s", pack, rule["name"]))
		if look == nil && isAs(there, given) {
			return x.about(there, fmt.Sprintf("rule %v is there", there["ref"])), nil
		}
	}
	if err != nil {
		return oslc.Result{}, err
	}
	return x.about(made, fmt.Sprintf("created rule %v", made["ref"])), nil
}

// isAs reports whether a rule has the values that a request gives.
func isAs(rule, given map[string]any) bool {
	for field, v := range given {
		if !agrees(v, get(rule, field)) {
			return false
		}
	}
	return true
}

func (x *Executor) update(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	given, err := fieldsOf(r)
	if err != nil {
		return oslc.Result{}, err
	}
	if len(given) == 0 && !x.toggle {
		return oslc.Result{}, oslc.Errorf("stackstorm.update", oslc.Invalid,
			"update-rule needs something to change; enable-rule and disable-rule switch a rule")
	}
	rule, err := x.rule(ctx, r)
	if err != nil {
		return oslc.Result{}, err
	}
	if len(given) == 0 {
		// What the adapter before this one did. It is not repeatable: an attempt that
		// may have been heard is not made again.
		on, _ := rule["enabled"].(bool)
		if !r.MaybeDoneAt.IsZero() {
			return oslc.Result{}, oslc.Errorf("stackstorm.update", oslc.Conflict,
				"an update without values may have switched rule %v already, which is now enabled=%t", rule["ref"], on)
		}
		given["enabled"] = !on
	}
	return x.write(ctx, r, rule, given, "updated")
}

func (x *Executor) turn(on bool) func(context.Context, oslc.Request) (oslc.Result, error) {
	done := "disabled"
	if on {
		done = "enabled"
	}
	return func(ctx context.Context, r oslc.Request) (oslc.Result, error) {
		rule, err := x.rule(ctx, r)
		if err != nil {
			return oslc.Result{}, err
		}
		return x.write(ctx, r, rule, map[string]any{"enabled": on}, done)
	}
}

// write brings a rule to the given values, and writes nothing when it has them.
func (x *Executor) write(ctx context.Context, r oslc.Request, rule, given map[string]any, done string) (oslc.Result, error) {
	if isAs(rule, given) {
		return x.about(rule, fmt.Sprintf("rule %v is %s already", rule["ref"], done)), nil
	}
	if hides(rule) {
		return oslc.Result{}, oslc.E("stackstorm.write", errMasked, oslc.Denied)
	}
	next := maps.Clone(rule)
	for field, v := range given {
		v, err := filled(v, get(rule, field))
		if err != nil {
			return oslc.Result{}, oslc.E("stackstorm.write", fmt.Errorf("%s: %w", field, err), oslc.Invalid)
		}
		set(next, field, v)
		if strings.HasPrefix(field, "trigger.") {
			delete(next["trigger"].(map[string]any), "ref") // of the trigger as it was
		}
	}
	trace(next, r)
	id, _ := rule["id"].(string)
	written, err := x.api.call(ctx, http.MethodPut, "/rules/"+url.PathEscape(id), next)
	if err != nil {
		return oslc.Result{}, err
	}
	return x.about(written, fmt.Sprintf("%s rule %v", done, written["ref"])), nil
}

// trace notes in a rule which request changes it.
func trace(rule map[string]any, r oslc.Request) {
	had, _ := rule["context"].(map[string]any)
	note := maps.Clone(had)
	if note == nil {
		note = map[string]any{}
	}
	via := r.Via
	if via == nil {
		via = []string{}
	}
	by := map[string]any{"request": r.URI, "hops": r.Hops, "via": via}
	if !r.Trace.IsZero() {
		by["traceparent"] = r.Trace.Parent
		if r.Trace.State != "" {
			by["tracestate"] = r.Trace.State
		}
	}
	note[traceKey] = by
	rule["context"] = note
}

func (x *Executor) remove(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	rule, err := x.rule(ctx, r)
	if errors.Is(err, oslc.NotFound) && !r.MaybeDoneAt.IsZero() {
		return oslc.Result{Message: "the rule is gone", Created: r.Target}, nil
	}
	if err != nil {
		return oslc.Result{}, err
	}
	id, _ := rule["id"].(string)
	if _, err := x.api.call(ctx, http.MethodDelete, "/rules/"+url.PathEscape(id), nil); err != nil {
		return oslc.Result{}, err
	}
	return x.about(rule, fmt.Sprintf("deleted rule %v", rule["ref"])), nil
}

// How an execution is followed: the pauses between two looks double.
const (
	firstLook = 100 * time.Millisecond
	lastLook  = 5 * time.Second
	// skew is how far StackStorm's clock and ours may be apart.
	skew = 5 * time.Minute
)

// run runs an action and waits for its end.
func (x *Executor) run(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	const op = "stackstorm.run"
	action, _ := r.Parameters["action"].(string)
	if action == "" {
		return oslc.Result{}, oslc.Errorf(op, oslc.Invalid, "run-action needs action, the ref of one such as core.local")
	}
	params := map[string]any{}
	if v := r.Parameters["parameters"]; v != nil {
		var err error
		if params, err = object(v); err != nil {
			return oslc.Result{}, oslc.Errorf(op, oslc.Invalid, "parameters: %w", err)
		}
	}
	run := x.runs.begin(r.ID)
	defer x.runs.end(r.ID)
	execution, err := x.earlier(ctx, r, action)
	if err == nil && execution == nil {
		if x.runs.canceled(run) {
			return oslc.Result{State: oslc.Canceled, Verdict: oslc.NoVerdict, Message: action + " was canceled before it was run"}, nil
		}
		execution, err = x.api.call(ctx, http.MethodPost, "/executions", map[string]any{
			"action": action, "parameters": params,
			"context": map[string]any{"trace_context": map[string]any{"trace_tag": tag(r)}},
		})
	}
	if err != nil {
		return oslc.Result{}, err
	}
	id, _ := execution["id"].(string)
	if id == "" {
		return oslc.Result{}, oslc.Errorf(op, oslc.Unavailable, "the answer names no execution")
	}
	if x.runs.began(run, id) {
		if err := x.stop(ctx, id); err != nil && !errors.Is(err, oslc.Conflict) {
			return oslc.Result{}, err
		}
	}
	for pause := firstLook; !ended(execution["status"]); pause = min(2*pause, lastLook) {
		if err := adapters.Sleep(ctx, pause); err != nil {
			return oslc.Result{}, err
		}
		if execution, err = x.api.call(ctx, http.MethodGet, "/executions/"+url.PathEscape(id)+"?exclude_attributes=trigger_instance", nil); err != nil {
			return oslc.Result{}, err
		}
	}
	return outcome(action, execution), nil
}

// earlier looks for the execution that an earlier attempt has begun.
func (x *Executor) earlier(ctx context.Context, r oslc.Request, action string) (map[string]any, error) {
	const page = 100
	since := r.Created.Add(-skew).UTC().Format("2006-01-02T15:04:05.000Z")
	for offset := 0; ; offset += page {
		q := url.Values{
			"action": {action}, "timestamp_gt": {since}, "include_attributes": {"context,status,web_url"},
			"limit": {fmt.Sprint(page)}, "offset": {fmt.Sprint(offset)}, "sort_asc": {"id"},
		}
		list, err := x.api.list(ctx, "/executions?"+q.Encode())
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if tagged(get2(e, "context", "trace_context", "trace_tag"), r.ID) {
				return e, nil
			}
		}
		if len(list) < page {
			return nil, nil
		}
	}
}

// verdicts are those of executions that have ended.
var verdicts = map[string]oslc.Verdict{
	"succeeded": oslc.Passed, "failed": oslc.Failed, "timeout": oslc.Errored, "abandoned": oslc.Errored, "canceled": oslc.NoVerdict,
}

func ended(status any) bool {
	s, _ := status.(string)
	_, ok := verdicts[s]
	return ok
}

// outcome is the result of an execution that has ended. What it put out stays in
// StackStorm: it may hold secrets that no declaration names.
func outcome(action string, execution map[string]any) oslc.Result {
	status, _ := execution["status"].(string)
	id, _ := execution["id"].(string)
	web, _ := execution["web_url"].(string)
	state := oslc.Complete
	if status == "canceled" {
		state = oslc.Canceled
	}
	return oslc.Result{
		State: state, Verdict: verdicts[status], Message: fmt.Sprintf("%s %s", action, status), Key: id, Created: web,
		Outputs: map[string]any{"status": status, "execution": id},
	}
}

// get2 reaches into nested objects.
func get2(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}
