package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
)

// Database is the name of StackStorm's database.
const Database = "st2"

// StackStorm is a stand-in of StackStorm 3.9: its rules can be read and changed
// over REST, and watched as MongoDB collections (see Server).
type StackStorm struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Rand is where new ids come from; nil means crypto/rand.
	Rand io.Reader

	tokens tokens
	store  *store
	mu     sync.Mutex
	state  st2State
	wake   chan struct{} // closed and replaced when the journal grows
}

// document is what MongoDB would hold: JSON values, and an "_id" of 24 hex digits.
type document map[string]any

type st2State struct {
	Set        string     `json:"set"` // identity of this instance
	Rules      []document `json:"rules"`
	Triggers   []document `json:"triggers"`
	Journal    []entry    `json:"journal"`
	Executions []document `json:"executions,omitempty"`
	Next       int64      `json:"next"`   // sequence number of the next entry
	Second     int64      `json:"second"` // of the newest entry, since 1970
}

// entry is one change, as a change stream would tell it.
type entry struct {
	Seq        int64     `json:"seq"`
	Second     int64     `json:"second"` // never less than that of the entry before
	Time       time.Time `json:"time"`
	Op         string    `json:"op"`
	Collection string    `json:"collection"`
	ID         string    `json:"id"`
	Full       document  `json:"full,omitempty"`
	Set        document  `json:"changed,omitempty"`
	Unset      []string  `json:"removed,omitempty"`
	// After is the document afterwards, so that the past can be read.
	After document `json:"after,omitempty"`
}

// historyKept is how many changes can be resumed from.
const historyKept = 10_000

// TriggerTypes are those that rules of the stand-in may name, with the parameters
// that each needs.
var TriggerTypes = map[string][]string{
	"core.st2.webhook":               {"url"},
	"core.st2.IntervalTimer":         {"unit", "delta"},
	"core.st2.CronTimer":             nil,
	"core.st2.generic.notifytrigger": nil,
	"core.st2.generic.actiontrigger": nil,
}

// NewStackStorm returns a stand-in. dir keeps its state; empty means nothing is
// kept.
func NewStackStorm(dir string) (*StackStorm, error) {
	s := &StackStorm{store: newStore(dir, "stackstorm.json"), wake: make(chan struct{})}
	if err := s.store.load(&s.state); err != nil {
		return nil, oslc.E("sandbox.stackstorm", err)
	}
	if s.state.Set == "" {
		s.state.Set, s.state.Next, s.state.Second = newObjectID(time.Now(), rand.Reader), 1, time.Now().Unix()
	}
	return s, nil
}

// newObjectID makes an id as MongoDB does: seconds, then random bytes.
func newObjectID(now time.Time, random io.Reader) string {
	var b [12]byte
	_, _ = io.ReadFull(random, b[:]) // crypto/rand never fails
	b[0], b[1], b[2], b[3] = byte(now.Unix()>>24), byte(now.Unix()>>16), byte(now.Unix()>>8), byte(now.Unix())
	return hex.EncodeToString(b[:])
}

func (s *StackStorm) newID() string {
	if s.Rand != nil {
		return newObjectID(s.now(), s.Rand)
	}
	return newObjectID(s.now(), rand.Reader)
}

func (s *StackStorm) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// ServeHTTP answers StackStorm's REST paths and shows the rules to people.
func (s *StackStorm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/auth/v1/tokens" {
		s.logIn(w, r)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/api") // where StackStorm's own proxy has it
	rest, api := strings.CutPrefix(path, "/v1/")
	if !api {
		s.page(w, r)
		return
	}
	w.Header().Set("X-Request-Id", requestID(r))
	token, key := r.Header.Get("X-Auth-Token"), r.Header.Get("St2-Api-Key")
	switch {
	case token == "" && key == "":
		fault(w, http.StatusUnauthorized, "Unauthorized - One of Token or API key required.")
		return
	case !s.tokens.valid(token, s.now()) && key != Token:
		fault(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	collection, id, _ := strings.Cut(rest, "/")
	id = strings.Trim(id, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case collection == "executions":
		s.executions(w, r, id)
	case collection != "rules":
		fault(w, http.StatusNotFound, "The resource could not be found.")
	case id == "" && r.Method == http.MethodGet:
		s.list(w, r)
	case id == "" && r.Method == http.MethodPost:
		s.create(w, r)
	case id != "" && r.Method == http.MethodGet:
		if rule := s.rule(id); rule != nil {
			writeJSON(w, http.StatusOK, s.represent(rule))
		} else {
			notFound(w, id)
		}
	case id != "" && r.Method == http.MethodPut:
		s.put(w, r, id)
	case id != "" && r.Method == http.MethodDelete:
		if rule := s.rule(id); rule != nil {
			if err := s.remove(rule); err != nil {
				fault(w, http.StatusInternalServerError, err.Error())
				return
			}
			w.WriteHeader(http.StatusNoContent)
		} else {
			notFound(w, id)
		}
	default: // StackStorm has no 405
		fault(w, http.StatusNotFound, "The resource could not be found.")
	}
}

func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-ID"); id != "" {
		return id
	}
	return oslc.NewID("request", newObjectID(time.Now(), rand.Reader))
}

func fault(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"faultstring": text})
}

func notFound(w http.ResponseWriter, id string) {
	fault(w, http.StatusNotFound, fmt.Sprintf("Resource with a reference or id \"%s\" not found", id))
}

func (s *StackStorm) rule(name string) document {
	for _, r := range s.state.Rules {
		if r["_id"] == name || r["ref"] == name {
			return r
		}
	}
	return nil
}

func (s *StackStorm) trigger(ref any) document {
	for _, t := range s.state.Triggers {
		if t["ref"] == ref {
			return t
		}
	}
	return nil
}

// represent is a rule as REST shows it: "id", the trigger in full, dotted keys
// plain, and the fields that are empty.
func (s *StackStorm) represent(rule document) map[string]any {
	out := map[string]any{"tags": []any{}, "criteria": map[string]any{}, "context": map[string]any{}, "metadata_file": ""}
	for k, v := range rule {
		switch k {
		case "_id":
			out["id"] = v
		case "trigger":
			t := s.trigger(v)
			out["trigger"] = map[string]any{"type": t["type"], "parameters": t["parameters"], "ref": v}
		case "criteria":
			out[k] = renamed(v, plainKey)
		default:
			out[k] = v
		}
	}
	return out
}

// Keys with dots and dollars are stored with characters that look like them.
var (
	storedKey = strings.NewReplacer(".", "\uFF0E", "$", "\uFF04")
	plainKey  = strings.NewReplacer("\uFF0E", ".", "\uFF04", "$")
)

func renamed(v any, by *strings.Replacer) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(m))
	for k, x := range m {
		out[by.Replace(k)] = x
	}
	return out
}

func (s *StackStorm) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, offset := 100, 0
	for name, to := range map[string]*int{"limit": &limit, "offset": &offset} {
		if v := q.Get(name); v != "" {
			n, err := strconv.Atoi(v)
			switch {
			case err != nil:
				fault(w, http.StatusBadRequest, fmt.Sprintf("Parameter %q must be an integer, not %q", name, v))
				return
			case name == "limit" && n < -1:
				fault(w, http.StatusBadRequest, fmt.Sprintf("Limit, \"%d\" specified, must be a positive number.", n))
				return
			}
			*to = n
		}
	}
	all := []map[string]any{}
	for _, rule := range s.state.Rules {
		if p := q.Get("pack"); p != "" && rule["pack"] != p {
			continue
		}
		if t := q.Get("trigger"); t != "" && rule["trigger"] != t {
			continue
		}
		if e := q.Get("enabled"); e != "" && fmt.Sprint(rule["enabled"]) != e {
			continue
		}
		all = append(all, s.represent(rule))
	}
	sort.SliceStable(all, func(a, b int) bool { return fmt.Sprint(all[a]["ref"]) < fmt.Sprint(all[b]["ref"]) })
	w.Header().Set("X-Total-Count", strconv.Itoa(len(all)))
	if q.Has("limit") {
		w.Header().Set("X-Limit", strconv.Itoa(limit))
	}
	all = all[min(max(0, offset), len(all)):]
	if limit >= 0 {
		all = all[:min(limit, len(all))]
	}
	writeJSON(w, http.StatusOK, all)
}

// ruleFields are those that a rule may have, with the type that JSON Schema calls
// them by.
var ruleFields = map[string]string{
	"name": "string", "pack": "string", "description": "string", "enabled": "boolean", "trigger": "object",
	"criteria": "object", "action": "object", "tags": "array", "type": "object", "context": "object",
	// Sent back by clients that change what they read, and not looked at.
	"id": "string", "ref": "string", "uid": "string", "metadata_file": "string",
}

// read takes a rule out of a request body and checks it in StackStorm's order and
// words.
func (s *StackStorm) read(w http.ResponseWriter, r *http.Request) (document, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return nil, err
	}
	// Text is taken for JSON.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind != "application/json" && kind != "text/plain" {
		return nil, fmt.Errorf("Failed to parse request body: Unsupported Content-Type: %q", kind) //nolint:staticcheck // the tool's own words
	}
	var v any = map[string]any{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &v); err != nil {
			return nil, fmt.Errorf("Failed to parse request body: %w", err) //nolint:staticcheck // the tool's own words
		}
	}
	given, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is not of type 'object'", python(v))
	}
	in := document(given)
	for _, name := range []string{"name", "trigger", "action"} {
		if _, ok := in[name]; !ok {
			return nil, fmt.Errorf("'%s' is a required property", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		want, ok := ruleFields[name]
		if !ok {
			return nil, fmt.Errorf("Additional properties are not allowed ('%s' was unexpected)", name) //nolint:staticcheck // the tool's own words
		}
		if got := jsonType(in[name]); got != want {
			return nil, fmt.Errorf("%s is not of type '%s'", python(in[name]), want)
		}
	}
	if kind, known := triggerType(in); !known && r.Method == http.MethodPut {
		pack, _, _ := strings.Cut(kind, ".")
		return nil, fmt.Errorf("A simple trigger should have been created when registering triggertype."+ //nolint:staticcheck // the tool's own words
			" Cannot create trigger: {'pack': '%s', 'type': '%s', 'parameters': {}}.", pack, kind)
	}
	return in, s.complete(in)
}

// triggerType returns the type of a rule's trigger, and whether there is such a one.
func triggerType(in document) (kind string, known bool) {
	trigger, _ := in["trigger"].(map[string]any)
	kind, _ = trigger["type"].(string)
	_, known = TriggerTypes[kind]
	return kind, known
}

// operators are those that criteria may use, and units those of an interval timer,
// in the tool's order.
var (
	operators = []string{
		"matchwildcard", "matchregex", "regex", "iregex", "eq", "equals", "neq", "nequals", "ieq", "iequals", "contains",
		"icontains", "ncontains", "incontains", "startswith", "istartswith", "endswith", "iendswith", "lt", "lessthan",
		"gt", "greaterthan", "td_lt", "timediff_lt", "td_gt", "timediff_gt", "exists", "nexists", "inside", "in",
		"ninside", "nin", "search",
	}
	units = []string{"weeks", "days", "hours", "minutes", "seconds"}
)

func pythonList(l []string) string { return "['" + strings.Join(l, "', '") + "']" }

func jsonType(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}

func python(v any) string {
	if s, ok := v.(string); ok {
		return "'" + s + "'"
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// complete checks what needs more than a schema, fills in what was left out, and
// turns the trigger into a reference.
func (s *StackStorm) complete(in document) error {
	trigger := in["trigger"].(map[string]any)
	kind, known := triggerType(in)
	if !known {
		return fmt.Errorf("Trigger %q defined in the rule does not exist in system or it's missing required \"parameters\" attribute", kind) //nolint:staticcheck // the tool's own words
	}
	params, _ := trigger["parameters"].(map[string]any)
	for _, p := range TriggerTypes[kind] {
		if _, ok := params[p]; !ok {
			return fmt.Errorf("'%s' is a required property", p)
		}
	}
	if unit, ok := params["unit"].(string); ok && kind == "core.st2.IntervalTimer" && !slices.Contains(units, unit) {
		return fmt.Errorf("'%s' is not one of %s", unit, pythonList(units))
	}
	if criteria, ok := in["criteria"].(map[string]any); ok {
		for _, field := range slices.Sorted(maps.Keys(criteria)) {
			c, _ := criteria[field].(map[string]any)
			if op, ok := c["type"].(string); !ok || !slices.Contains(operators, op) {
				return fmt.Errorf("For field: %s, operator %v not in list of allowed operators: %s", field, c["type"], pythonList(operators)) //nolint:staticcheck // the tool's own words
			}
			if _, ok := c["pattern"]; !ok {
				return fmt.Errorf("For field: %s, no pattern specified for operator %v", field, c["type"]) //nolint:staticcheck // the tool's own words
			}
		}
		in["criteria"] = renamed(criteria, storedKey)
	}
	action := in["action"].(map[string]any)
	if action["parameters"] == nil {
		action["parameters"] = map[string]any{}
	}
	if in["pack"] == nil {
		in["pack"] = "default"
	}
	for name, v := range map[string]any{
		"enabled": false, "type": map[string]any{"ref": "standard", "parameters": map[string]any{}}, "metadata_file": "",
	} {
		if in[name] == nil {
			in[name] = v
		}
	}
	// The user is who writes; other keys are the client's.
	by := map[string]any{}
	if given, ok := in["context"].(map[string]any); ok {
		by = maps.Clone(given)
	}
	by["user"] = "st2admin"
	in["context"] = by
	in["ref"] = fmt.Sprintf("%v.%v", in["pack"], in["name"])
	in["uid"] = fmt.Sprintf("rule:%v:%v", in["pack"], in["name"])
	in["trigger"] = s.triggerRef(kind, params)
	delete(in, "id")
	return nil
}

// triggerRef finds or makes the trigger of a type with parameters.
func (s *StackStorm) triggerRef(kind string, params map[string]any) string {
	if params == nil {
		params = map[string]any{}
	}
	for _, t := range s.state.Triggers {
		if t["type"] == kind && reflect.DeepEqual(t["parameters"], params) {
			return t["ref"].(string)
		}
	}
	ref, name := kind, kind[strings.IndexByte(kind, '.')+1:]
	if len(params) > 0 {
		name = oslc.NewID("trigger", s.newID())
		ref = "core." + name
	}
	t := document{
		"_id": s.newID(), "name": name, "pack": "core", "ref": ref, "type": kind,
		"uid": "trigger:core:" + name, "parameters": params, "ref_count": float64(0),
	}
	s.state.Triggers = append(s.state.Triggers, t)
	s.note(entry{Op: "insert", Collection: "trigger_d_b", ID: t["_id"].(string), Full: t})
	return ref
}

func (s *StackStorm) create(w http.ResponseWriter, r *http.Request) {
	in, err := s.read(w, r)
	if err != nil {
		fault(w, http.StatusBadRequest, err.Error())
		return
	}
	if s.taken(w, in, "") {
		return
	}
	in["_id"] = s.newID()
	s.state.Rules = append(s.state.Rules, in)
	s.note(entry{Op: "insert", Collection: "rule_d_b", ID: in["_id"].(string), Full: in})
	if err := s.save(); err != nil {
		fault(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, http.StatusCreated, s.represent(in))
}

func (s *StackStorm) taken(w http.ResponseWriter, in document, except any) bool {
	other := s.rule(in["ref"].(string))
	if other == nil || other["_id"] == except {
		return false
	}
	writeJSON(w, http.StatusConflict, map[string]any{
		"conflict-id": other["_id"],
		"faultstring": fmt.Sprintf("Tried to save duplicate unique keys (%[1]s, full error: {'index': 0, 'code': 11000, 'errmsg': '%[1]s', "+
			"'keyPattern': {'uid': 1}, 'keyValue': {'uid': '%[2]v'}})",
			fmt.Sprintf("E11000 duplicate key error collection: st2.rule_d_b index: uid_1 dup key: { uid: \"%v\" }", in["uid"]), in["uid"]),
	})
	return true
}

func (s *StackStorm) put(w http.ResponseWriter, r *http.Request, id string) {
	in, err := s.read(w, r)
	if err != nil {
		fault(w, http.StatusBadRequest, err.Error())
		return
	}
	rule := s.rule(id)
	switch {
	case rule == nil:
		notFound(w, id)
		return
	case rule["_id"] != id: // a ref is taken everywhere but here
		fault(w, http.StatusBadRequest, fmt.Sprintf("ValidationError (RuleDB:%s) (Invalid ObjectID: ['id'])", id))
		return
	case s.taken(w, in, id):
		return
	}
	if err := s.change(rule, in); err != nil {
		fault(w, http.StatusInternalServerError, err.Error())
		return
	}
	in["_id"] = id
	writeJSON(w, http.StatusOK, s.represent(in)) // as it was given, not as it is stored
}

// change stores the fields that differ; one that became empty vanishes, and a
// description that is left out stays.
func (s *StackStorm) change(rule, to document) error {
	e := entry{Op: "update", Collection: "rule_d_b", ID: rule["_id"].(string), Set: document{}}
	for k, v := range to {
		if empty(v) {
			if _, had := rule[k]; had {
				delete(rule, k)
				e.Unset = append(e.Unset, k)
			}
		} else if !reflect.DeepEqual(rule[k], v) {
			rule[k], e.Set[k] = v, v
		}
	}
	for _, k := range []string{"tags", "criteria"} {
		if _, given := to[k]; !given && rule[k] != nil {
			delete(rule, k)
			e.Unset = append(e.Unset, k)
		}
	}
	sort.Strings(e.Unset)
	if len(e.Set)+len(e.Unset) > 0 {
		e.After = rule
		s.note(e)
	}
	return s.save()
}

func empty(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func (s *StackStorm) remove(rule document) error {
	s.state.Rules = slices.DeleteFunc(s.state.Rules, func(r document) bool { return r["_id"] == rule["_id"] })
	s.note(entry{Op: "delete", Collection: "rule_d_b", ID: rule["_id"].(string)})
	return s.save()
}

// note adds an entry to the journal, with copies of what it holds.
func (s *StackStorm) note(e entry) {
	e.Seq, e.Time = s.state.Next, s.now()
	e.Full, e.Set, e.After = maps.Clone(e.Full), maps.Clone(e.Set), maps.Clone(e.After)
	if e.Op == "insert" {
		e.After = e.Full
	}
	s.state.Second = max(s.state.Second, e.Time.Unix())
	e.Second = s.state.Second
	s.state.Next++
	s.state.Journal = append(s.state.Journal, e)
	if n := len(s.state.Journal) - historyKept; n > 0 {
		s.state.Journal = slices.Clone(s.state.Journal[n:])
	}
}

func (s *StackStorm) save() error {
	close(s.wake)
	s.wake = make(chan struct{})
	return s.store.save(s.state)
}

// Rules returns the rules as REST shows them, by ref.
func (s *StackStorm) Rules() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]map[string]any, 0, len(s.state.Rules))
	for _, r := range s.state.Rules {
		out = append(out, s.represent(r))
	}
	sort.Slice(out, func(a, b int) bool { return fmt.Sprint(out[a]["ref"]) < fmt.Sprint(out[b]["ref"]) })
	return out
}

var errNoRule = errors.New("there is no such rule")

// SetEnabled does what the button on the page does.
func (s *StackStorm) SetEnabled(id string, enabled bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rule := s.rule(id)
	if rule == nil {
		return oslc.E("sandbox.enable", errNoRule, oslc.NotFound)
	}
	to := maps.Clone(rule)
	to["enabled"] = enabled
	delete(to, "_id")
	return s.change(rule, to)
}
