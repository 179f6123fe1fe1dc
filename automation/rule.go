package automation

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// RuleConfig is a rule as an operator writes it.
type RuleConfig struct {
	// Name is unique; it is part of the identity of what the rule asks for, so a
	// rule with a new name asks again for events it sees again.
	Name string   `yaml:"name"`
	On   OnConfig `yaml:"on"`
	// Where is an oslc.where over the event and its resource. Empty: always.
	Where string `yaml:"where"`
	// If is a CEL expression that must be true. Empty: always.
	If string   `yaml:"if"`
	Do DoConfig `yaml:"do"`
}

// OnConfig says on which events.
type OnConfig struct {
	// Provider is the name of the connection whose events are meant.
	Provider string `yaml:"provider"`
	// Events are created, modified, deleted, or classes such as
	// st2:RuleDisabled; one of them must fit. Empty: all.
	Events []string `yaml:"events"`
}

// DoConfig says what to ask for.
type DoConfig struct {
	// Tool is the name of the connection that does it.
	Tool string `yaml:"tool"`
	// Action is one of the actions that the tool's adapter offers.
	Action string `yaml:"action"`
	// With holds the action's parameters.
	With map[string]any `yaml:"with"`
}

// An Action is what a tool offers to rules.
type Action struct {
	Name, IRI  string
	Parameters map[string]bool // name -> required
}

// Scope is what rules may refer to.
type Scope struct {
	BaseURL string
	// Providers tells which connections have events; Tools which actions each
	// connection takes.
	Providers []string
	Tools     map[string][]Action
	// Prefixes resolves prefixes; Prefixed shortens an IRI by them.
	Prefixes query.Prefixes
	Prefixed func(iri string) string
	// Known reports whether an IRI is a term of its vocabulary; nil means that all
	// are. Names returns the local names of a vocabulary, for suggestions.
	Known func(iri string) bool
	Names func(namespace string) []string
	// MaxHops bounds chains of requests that cause each other; 0 means
	// DefaultMaxHops.
	MaxHops int
}

// DefaultMaxHops is how many requests of ours may lead to one another before the
// rules stop answering: more is a loop between two tools, not a process.
const DefaultMaxHops = 8

// A FieldError is an error in one field of a RuleConfig; the field is a path such
// as "do.with.summary".
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

func fieldf(field, format string, args ...any) error {
	return oslc.E("automation.rule", &FieldError{field, fmt.Errorf(format, args...)}, oslc.Invalid)
}

// Rules are compiled rules. They may be used by several goroutines.
type Rules struct {
	rules []rule
	index index
	scope Scope
}

type rule struct {
	cfg    RuleConfig
	change []oslc.Change
	types  []string
	where  query.Where
	cond   cel.Program
	action Action
	with   object
}

// Compile checks and compiles rules. It fails with kind Invalid; the error holds
// a *RuleError that says which rule and field.
func Compile(configs []RuleConfig, scope Scope) (*Rules, error) {
	env, err := newLanguage(scope.name)
	if err != nil {
		return nil, oslc.E("automation.compile", err)
	}
	if scope.MaxHops <= 0 {
		scope.MaxHops = DefaultMaxHops
	}
	out := &Rules{scope: scope}
	for i, cfg := range configs {
		r, err := compileRule(env, cfg, scope)
		if err == nil && slices.ContainsFunc(out.rules, func(o rule) bool { return o.cfg.Name == cfg.Name }) {
			err = fieldf("name", "there are two rules %q", cfg.Name)
		}
		if err != nil {
			return nil, &RuleError{i, cfg.Name, err}
		}
		out.rules = append(out.rules, r)
	}
	out.index = newIndex(out.rules)
	return out, nil
}

// A RuleError says which rule is wrong.
type RuleError struct {
	Index int // in the list, 0-based
	Name  string
	Err   error
}

func (e *RuleError) Error() string { return fmt.Sprintf("rule %q: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *RuleError) Unwrap() error { return e.Err }

func compileRule(env *language, cfg RuleConfig, scope Scope) (rule, error) {
	r := rule{cfg: cfg}
	if cfg.Name == "" {
		return r, fieldf("name", "a rule needs a name")
	}
	if !slices.Contains(scope.Providers, cfg.On.Provider) {
		return r, fieldf("on.provider", "no connection with events is called %q; %s", cfg.On.Provider, thereAre(cfg.On.Provider, scope.Providers))
	}
	for _, name := range cfg.On.Events {
		if err := r.onEvent(name, scope); err != nil {
			return r, err
		}
	}
	var err error
	if cfg.Where != "" {
		if r.where, err = query.ParseWhere(cfg.Where, scope.Prefixes); err != nil {
			return r, fieldf("where", "%w", err)
		}
		if err := scope.terms(r.where); err != nil {
			return r, fieldf("where", "%w", err)
		}
	}
	if cfg.If != "" {
		var result *cel.Type
		if r.cond, result, err = compile(env, cfg.If); err != nil {
			return r, fieldf("if", "%w", err)
		}
		if !result.IsExactType(cel.BoolType) && !result.IsExactType(cel.DynType) {
			return r, fieldf("if", "the result of %s is %s, no boolean", cfg.If, result)
		}
	}
	return r, r.doAction(env, scope)
}

var changeNames = []string{"created", "modified", "deleted"}

// thereAre lists what could be meant.
func thereAre(name string, list []string) string {
	if len(list) == 0 {
		return "there is none"
	}
	return "there are: " + strings.Join(list, ", ") + Suggest(name, list)
}

func (r *rule) onEvent(name string, scope Scope) error {
	switch name {
	case "created":
		r.change = append(r.change, oslc.Creation)
	case "modified":
		r.change = append(r.change, oslc.Modification)
	case "deleted":
		r.change = append(r.change, oslc.Deletion)
	default:
		prefix, local, ok := strings.Cut(name, ":")
		if !ok || local == "" {
			return fieldf("on.events", "%q is none of %s, and no class such as st2:RuleDisabled%s", name, strings.Join(changeNames, ", "), Suggest(name, changeNames))
		}
		ns, known := scope.Prefixes(prefix)
		if !known {
			return fieldf("on.events", "%q: no vocabulary has the prefix %q", name, prefix)
		}
		if err := scope.term(ns + local); err != nil {
			return fieldf("on.events", "%w", err)
		}
		if c := oslc.ChangeOf(ns + local); c != 0 {
			r.change = append(r.change, c)
		} else {
			r.types = append(r.types, ns+local)
		}
	}
	return nil
}

// name checks a prefixed name.
func (s *Scope) name(name string) error {
	prefix, local, _ := strings.Cut(name, ":")
	ns, ok := s.Prefixes(prefix)
	if !ok {
		return fmt.Errorf("%q: no vocabulary has the prefix %q", name, prefix)
	}
	return s.term(ns + local)
}

// term checks an IRI: a slip in a name would make a condition that never holds.
func (s *Scope) term(iri string) error {
	if s.Known == nil || s.Known(iri) {
		return nil
	}
	cut := 1 + strings.LastIndexAny(iri, "#/")
	suggestion := ""
	if s.Names != nil {
		suggestion = Suggest(iri[cut:], s.Names(iri[:cut]))
	}
	return fmt.Errorf("there is no term %s%s", s.Prefixed(iri), suggestion)
}

// terms checks the properties of a condition.
func (s *Scope) terms(w query.Where) error {
	for i := range w {
		if w[i].Property != "*" {
			if err := s.term(w[i].Property); err != nil {
				return err
			}
		}
		if err := s.terms(w[i].Scope); err != nil {
			return err
		}
	}
	return nil
}

func (r *rule) doAction(env *language, scope Scope) error {
	do := r.cfg.Do
	actions, ok := scope.Tools[do.Tool]
	if !ok {
		return fieldf("do.tool", "no connection that takes actions is called %q; %s", do.Tool, thereAre(do.Tool, sortedKeys(scope.Tools)))
	}
	i := slices.IndexFunc(actions, func(a Action) bool { return a.Name == do.Action })
	if i < 0 {
		names := make([]string, len(actions))
		for i, a := range actions {
			names[i] = a.Name
		}
		return fieldf("do.action", "%s has no action %q; %s", do.Tool, do.Action, thereAre(do.Action, names))
	}
	r.action = actions[i]
	r.with = object{}
	for _, name := range sortedKeys(do.With) {
		if _, known := r.action.Parameters[name]; !known {
			return fieldf("do.with."+name, "%s has no parameter %q; %s", do.Action, name, thereAre(name, sortedKeys(r.action.Parameters)))
		}
		t, err := compileValue(env, do.With[name])
		if err != nil {
			return fieldf("do.with."+name, "%w", err)
		}
		r.with[name] = t
	}
	for _, name := range sortedKeys(r.action.Parameters) {
		if _, given := r.with[name]; r.action.Parameters[name] && !given {
			return fieldf("do.with", "%s needs the parameter %q", do.Action, name)
		}
	}
	return nil
}

// Len returns how many rules there are.
func (rs *Rules) Len() int { return len(rs.rules) }

// A Match is what a rule makes of an event: a request, or the error that kept it
// from making one.
type Match struct {
	Rule    string
	Request oslc.Request
	Err     error
}

// Match returns what the rules make of an event of the provider, in the order of
// the rules. An event at the end of a chain of MaxHops requests matches nothing,
// and a rule does not act on a tool that the chain came through; looped reports
// that one would have.
func (rs *Rules) Match(e *oslc.Event, provider string) (matches []Match, looped bool) {
	var vars map[string]any
	graph := sync.OnceValue(e.Graph)
	for _, i := range rs.index.find(e, provider, graph) {
		r := &rs.rules[i]
		if !r.fits(e, provider, graph) {
			continue
		}
		if vars == nil {
			vars = values(e, provider, nil, rs.scope.Prefixed)
		}
		vars["context"] = map[string]any{"base_url": rs.scope.BaseURL, "rule": r.cfg.Name}
		ok, err := r.holds(vars)
		if err == nil && !ok {
			continue
		}
		if r.back(e, provider) || e.Hops >= rs.scope.MaxHops {
			looped = true
			continue
		}
		m := Match{Rule: r.cfg.Name, Err: err}
		if err == nil {
			m.Request, m.Err = r.request(e, vars, rs.scope.BaseURL)
		}
		matches = append(matches, m)
	}
	return matches, looped
}

// An Explanation says what a rule makes of an event.
type Explanation struct {
	Match
	// Reason says why there is no request; empty when there is one.
	Reason string
}

// Explain returns what every rule makes of an event of the provider, and why.
func (rs *Rules) Explain(e *oslc.Event, provider string) []Explanation {
	out := make([]Explanation, len(rs.rules))
	vars, graph := values(e, provider, nil, rs.scope.Prefixed), sync.OnceValue(e.Graph)
	for i := range rs.rules {
		r := &rs.rules[i]
		x := &out[i]
		x.Rule = r.cfg.Name
		if x.Reason = r.misfit(e, provider, rs.scope.Prefixed, graph); x.Reason != "" {
			continue
		}
		vars["context"] = map[string]any{"base_url": rs.scope.BaseURL, "rule": r.cfg.Name}
		ok, err := r.holds(vars)
		switch {
		case err != nil:
			x.Err = err
		case !ok:
			x.Reason = "if: " + r.cfg.If + " is false"
		case r.back(e, provider):
			x.Reason = fmt.Sprintf("do.tool: the chain that led to this event came through %s already", r.cfg.Do.Tool)
		case e.Hops >= rs.scope.MaxHops:
			x.Reason = fmt.Sprintf("%d requests led to this event: that is a loop", e.Hops)
		default:
			x.Request, x.Err = r.request(e, vars, rs.scope.BaseURL)
		}
		if x.Err != nil {
			x.Reason = oslc.Message(x.Err)
		}
	}
	return out
}

// back reports whether a rule would lead a chain back to a tool that it came
// through: two tools that mirror each other would never come to rest. What people
// and programs change themselves is the beginning of a chain.
func (r *rule) back(e *oslc.Event, provider string) bool {
	return e.Hops > 0 && (slices.Contains(e.Via, r.cfg.Do.Tool) || provider == r.cfg.Do.Tool)
}

func (r *rule) fits(e *oslc.Event, provider string, graph func() *rdf.Graph) bool {
	if r.cfg.On.Provider != provider || !r.fitsKind(e) {
		return false
	}
	return len(r.where) == 0 || r.unmet(e, graph()) < 0
}

func (r *rule) fitsKind(e *oslc.Event) bool {
	return len(r.change)+len(r.types) == 0 || slices.Contains(r.change, e.Change) ||
		slices.ContainsFunc(r.types, func(t string) bool { return slices.Contains(e.Types, t) })
}

// unmet returns the index of the first condition that neither the resource nor the
// event fulfils, -1 when all are fulfilled.
func (r *rule) unmet(e *oslc.Event, g *rdf.Graph) int {
	event, subject := rdf.NewIRI(e.URI()), rdf.NewIRI(e.Subject)
	for i := range r.where {
		if t := &r.where[i]; !t.Match(g, subject) && !t.Match(g, event) {
			return i
		}
	}
	return -1
}

// misfit says why a rule is not for an event; empty: it is.
func (r *rule) misfit(e *oslc.Event, provider string, prefixed func(string) string, graph func() *rdf.Graph) string {
	if r.cfg.On.Provider != provider {
		return fmt.Sprintf("on.provider: it is for %s, the event is of %s", r.cfg.On.Provider, provider)
	}
	if !r.fitsKind(e) {
		is := []string{e.Change.String()}
		for _, t := range e.Types {
			is = append(is, prefixed(t))
		}
		return fmt.Sprintf("on.events: it is for %s, the event is %s", strings.Join(r.cfg.On.Events, ", "), strings.Join(is, ", "))
	}
	if i := r.unmet(e, graph()); i >= 0 {
		one := query.Query{Where: r.where[i : i+1]}
		return "where: " + one.Values().Get(query.ParamWhere) + " does not hold"
	}
	return ""
}

func (r *rule) holds(vars map[string]any) (bool, error) {
	if r.cond == nil {
		return true, nil
	}
	v, _, err := r.cond.Eval(vars)
	if err != nil {
		return false, oslc.E("automation.if", fmt.Errorf("rule %q: %w", r.cfg.Name, err), oslc.Invalid)
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, oslc.Errorf("automation.if", oslc.Invalid, "rule %q: the result of if is %v, no boolean", r.cfg.Name, v.Value())
	}
	return b, nil
}

func (r *rule) request(e *oslc.Event, vars map[string]any, base string) (oslc.Request, error) {
	params, err := r.with.eval(vars)
	if err != nil {
		return oslc.Request{}, oslc.E("automation.request", fmt.Errorf("rule %q: %w", r.cfg.Name, err), oslc.Invalid)
	}
	id := oslc.NewID("request", e.ID, r.cfg.Name)
	trace := e.Trace
	if trace.IsZero() {
		trace = oslc.TraceOf(e.ID)
	}
	return oslc.Request{
		ID: id, URI: oslc.ResourceURI(base, BusProvider, "requests", id),
		Title:  r.cfg.Do.Action + " on " + r.cfg.Do.Tool,
		Tool:   r.cfg.Do.Tool,
		Action: r.action.IRI, Target: e.Subject, Event: e.URI(), Rule: r.cfg.Name,
		Hops: e.Hops + 1, Via: via(e, r.cfg.On.Provider), Created: e.Time, State: oslc.New,
		Trace:      trace.Child("rule " + r.cfg.Name),
		Parameters: params.(map[string]any),
	}, nil
}

// via is the way that led to an event of the provider, with the provider.
func via(e *oslc.Event, provider string) []string {
	if slices.Contains(e.Via, provider) {
		return e.Via
	}
	return append(slices.Clone(e.Via), provider)
}

// BusProvider is the name of the provider that has the requests and results.
const BusProvider = "bus"
