package oslcbus_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// predecessor is a request as clients of the adapter that came before send it: one
// type as a property attribute, names of hosts that are no more.
const predecessor = `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:st2="http://localhost:5001/ns#">
  <rdf:Description rdf:type="http://localhost:5000/service/%s">
    <rdf:type rdf:resource="http://open-services.net/ns/cm#ChangeRequest"/>%s
  </rdf:Description>
</rdf:RDF>`

const createValues = `
    <st2:ruleId></st2:ruleId>
    <st2:ruleTitle>my_rule</st2:ruleTitle>
    <st2:ruleStatus rdf:datatype="http://www.w3.org/2001/XMLSchema#boolean">true</st2:ruleStatus>
    <st2:triggerRef>core.st2.generic.notifytrigger</st2:triggerRef>
    <st2:triggerType>core.st2.generic.notifytrigger</st2:triggerType>
    <st2:actionRef>chatops.notify</st2:actionRef>`

// old asks as those clients do.
func (r *rig) old(action, values string, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.send(http.MethodPost, "/service/action", fmt.Sprintf(predecessor, action, values),
		append([]string{"Content-Type", "application/rdf+xml", "Accept", "text/turtle"}, header...)...)
}

func wantStatus(t *testing.T, what string, resp *http.Response, body string, want int, says string) {
	t.Helper()
	if resp.StatusCode != want || !strings.Contains(body, says) {
		t.Errorf("%s: %s, want %d and %q:\n%s", what, resp.Status, want, says, body)
	}
}

// changesOf counts the events about a rule.
func (r *rig) changesOf(id string) int {
	n := 0
	for _, e := range r.seenOf("") {
		if strings.HasSuffix(e.Subject, "/"+id) {
			n++
		}
	}
	return n
}

// TestA1_Create: what clients of the earlier adapter post makes a rule; what asks for
// nothing, or for too little, does not reach the tool.
func TestA1_Create(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	for _, tt := range []struct {
		what, action, values, says string
	}{
		{"another class", "NotCreateAnything", createValues, "asks for nothing"},
		{"a class that ends alike", "NotCreateRuleAction", createValues, "there is no action"},
		{"without a title", "CreateRuleAction", "<st2:actionRef>a.b</st2:actionRef>", "create-rule needs name (st2:ruleTitle)"},
		{"without a trigger", "CreateRuleAction", "<st2:actionRef>a.b</st2:actionRef><st2:ruleTitle>t</st2:ruleTitle>", "needs trigger"},
		{"with a property that it has not", "CreateRuleAction", createValues + "<st2:colour>red</st2:colour>", "has no parameter"},
		{"with a wrong value", "CreateRuleAction", `<st2:ruleStatus rdf:datatype="http://www.w3.org/2001/XMLSchema#boolean">maybe</st2:ruleStatus>`, "no boolean"},
	} {
		resp, body := r.old(tt.action, tt.values)
		wantStatus(t, tt.what, resp, body, http.StatusUnprocessableEntity, tt.says)
	}
	if n := len(r.st2.Rules()); n != 0 {
		t.Fatalf("%d rules were made", n)
	}
	resp, body := r.old("CreateRuleAction", createValues, "Idempotency-Key", "once")
	wantStatus(t, "create", resp, body, http.StatusCreated, "created rule default.my_rule")
	record := resp.Header.Get("Location")
	// The same key is the same request.
	resp, body = r.old("CreateRuleAction", createValues, "Idempotency-Key", "once")
	wantStatus(t, "once more", resp, body, http.StatusCreated, "created rule default.my_rule")
	if got := resp.Header.Get("Location"); got != record {
		t.Errorf("the second record is %s, want %s", got, record)
	}
	if rules := r.st2.Rules(); len(rules) != 1 || rules[0]["name"] != "my_rule" || rules[0]["enabled"] != true {
		t.Errorf("StackStorm has %v", rules)
	}
	// In the words of Automation, at the creation factory.
	resp, body = r.send(http.MethodPost, "/services/bus/requests", turtleNS+`
		@prefix oslc_auto: <http://open-services.net/ns/auto#> .
		<> a oslc_auto:AutomationRequest ; oslc_auto:executesAutomationPlan st2:CreateRuleAction ; oslc_auto:inputParameter
			[ a oslc_auto:ParameterInstance ; oslc:name "name" ; rdf:value "other" ] ,
			[ a oslc_auto:ParameterInstance ; oslc:name "trigger" ; rdf:value "core.st2.generic.notifytrigger" ] ,
			[ a oslc_auto:ParameterInstance ; oslc:name "action" ; rdf:value "core.noop" ] .`,
		"Content-Type", "text/turtle", "Accept", "text/turtle")
	wantStatus(t, "an AutomationRequest", resp, body, http.StatusCreated, "created rule default.other")
}

// TestA2_Update: exactly what is given changes.
func TestA2_Update(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create("r")
	r.eventually("the rule", func() bool { return len(r.seenOf(uri)) == 1 })
	id := "<st2:ruleId>" + fmt.Sprint(rule["id"]) + "</st2:ruleId>"
	for range 2 {
		resp, body := r.old("UpdateRuleAction", id+`<st2:ruleTitle>renamed</st2:ruleTitle><st2:actionRef>core.noop</st2:actionRef>
			<st2:ruleStatus rdf:datatype="http://www.w3.org/2001/XMLSchema#boolean">false</st2:ruleStatus>`)
		wantStatus(t, "update", resp, body, http.StatusOK, "rule demo.renamed")
		got := r.stored(uri)
		if got["name"] != "renamed" || got["enabled"] != false || got["description"] != "A rule" || got["action"].(map[string]any)["ref"] != "core.noop" {
			t.Errorf("the rule is %v", got)
		}
	}
	resp, body := r.old("UpdateRuleAction", "<st2:ruleId>000000000000000000000000</st2:ruleId><st2:ruleTitle>x</st2:ruleTitle>")
	wantStatus(t, "an unknown rule", resp, body, http.StatusNotFound, "not found")
	resp, body = r.old("UpdateRuleAction", id)
	wantStatus(t, "nothing to change", resp, body, http.StatusUnprocessableEntity, "enable-rule and disable-rule")
}

// TestA3_EnableAndDisable: both are states to be reached; one that is reached already
// is left alone.
func TestA3_EnableAndDisable(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create("r")
	r.eventually("the rule", func() bool { return len(r.seenOf(uri)) == 1 })
	id := "<st2:ruleId>" + fmt.Sprint(rule["id"]) + "</st2:ruleId>"
	for _, tt := range []struct {
		action, says string
		events       int
	}{
		{"EnableRuleAction", "is enabled already", 1},
		{"DisableRuleAction", "disabled rule", 2},
		{"DisableRuleAction", "is disabled already", 2},
		{"EnableRuleAction", "enabled rule", 3},
	} {
		resp, body := r.old(tt.action, id)
		wantStatus(t, tt.action, resp, body, http.StatusOK, tt.says)
		r.eventually("its events", func() bool { return r.changesOf(fmt.Sprint(rule["id"])) >= tt.events })
		if n := r.changesOf(fmt.Sprint(rule["id"])); n != tt.events {
			t.Errorf("%s: %d events, want %d", tt.action, n, tt.events)
		}
	}
	resp, body := r.old("EnableRuleAction", "<st2:ruleId>demo.none</st2:ruleId>")
	wantStatus(t, "an unknown rule", resp, body, http.StatusNotFound, "not found")
}

// TestA4_Delete: a rule that is deleted is gone; asking again fails, and says so in
// its record too.
func TestA4_Delete(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create("r")
	r.eventually("the rule", func() bool { return len(r.seenOf(uri)) == 1 })
	id := "<st2:ruleId>" + fmt.Sprint(rule["id"]) + "</st2:ruleId>"
	resp, body := r.old("DeleteRuleAction", id)
	wantStatus(t, "delete", resp, body, http.StatusOK, "deleted rule demo.r")
	if n := len(r.st2.Rules()); n != 0 {
		t.Errorf("there are %d rules", n)
	}
	resp, body = r.old("DeleteRuleAction", id)
	wantStatus(t, "delete again", resp, body, http.StatusNotFound, "not found")
	result := strings.Replace(strings.TrimPrefix(resp.Header.Get("Location"), r.url), "/requests/", "/results/", 1)
	if v := r.graph(result).Value(rdf.NewIRI(r.url+result), vocab.AutoVerdict); v != vocab.AutoFailed {
		t.Errorf("the verdict is %q, want failed", v)
	}
}

// TestA5_Offered: a client that knows OSLC Actions and nothing of StackStorm reads
// what can be done with a rule, and does it by the letter of the binding.
func TestA5_Offered(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create("r")
	r.eventually("the rule", func() bool { return len(r.seenOf(uri)) == 1 })
	offered := func() map[string]rdf.Term { // by class
		g := r.graph(strings.TrimPrefix(uri, r.url))
		out := map[string]rdf.Term{}
		for _, a := range g.Objects(rdf.NewIRI(uri), vocab.OSLCAction) {
			if !g.IsA(a, vocab.OSLCActionClass) || len(g.Objects(a, vocab.DCTermsTitle)) != 1 {
				t.Errorf("<%s> lacks its type or title", a.Value)
			}
			bindings := g.Objects(a, vocab.OSLCBinding)
			if len(bindings) < 2 {
				t.Errorf("<%s> has %d bindings, want a request of its own and an AutomationRequest", a.Value, len(bindings))
			}
			for _, b := range bindings {
				if !g.IsA(b, vocab.HTTPRequest) || len(g.Objects(b, vocab.OSLCFinalStatusLocation)) != 1 ||
					len(g.Objects(b, vocab.HTTPBody)) != 1 || g.Value(b, vocab.HTTPMthd) != vocab.HTTPPost {
					t.Errorf("a binding of <%s> is incomplete", a.Value)
				}
			}
			for _, class := range g.Objects(a, rdf.Type) {
				if class.Value != vocab.OSLCActionClass {
					out[class.Value] = a
				}
			}
		}
		return out
	}
	// execute does what the binding with an empty body says.
	execute := func(a rdf.Term) (*http.Response, string) {
		g := r.graph(strings.TrimPrefix(a.Value, r.url))
		for _, b := range g.Objects(a, vocab.OSLCBinding) {
			if g.Value(b, vocab.HTTPBody) == rdf.Nil {
				return r.send(http.MethodPost, g.Value(b, vocab.HTTPRequestURI), "")
			}
		}
		t.Fatalf("<%s> has no binding with an empty body", a.Value)
		return nil, ""
	}
	enabled := offered()
	for class, want := range map[string]bool{
		vocab.St2DisableRuleAction: true, vocab.St2UpdateRuleAction: true, vocab.St2DeleteRuleAction: true,
		vocab.St2EnableRuleAction: false, vocab.St2CreateRuleAction: false, vocab.St2RunAction: false,
	} {
		if _, got := enabled[class]; got != want {
			t.Errorf("<%s> offered: %t, want %t", class, got, want)
		}
	}
	resp, body := execute(enabled[vocab.St2DisableRuleAction])
	wantStatus(t, "disable", resp, body, http.StatusOK, "disabled rule demo.r")
	if r.stored(uri)["enabled"] != false {
		t.Error("the rule is enabled")
	}
	r.eventually("the change to be known", func() bool { _, ok := offered()[vocab.St2EnableRuleAction]; return ok })
	resp, body = execute(enabled[vocab.St2DisableRuleAction])
	wantStatus(t, "what is not offered any more", resp, body, http.StatusConflict, "not possible now")
	// The shape says what the update takes.
	update := offered()[vocab.St2UpdateRuleAction]
	g := r.graph(strings.TrimPrefix(update.Value, r.url))
	definitions := map[string]bool{}
	for _, p := range g.Objects(rdf.NewIRI(update.Value+"#shape"), vocab.OSLCProperty) {
		definitions[g.Value(p, vocab.OSLCPropertyDefinition)] = true
	}
	if !definitions[vocab.St2RuleTitle] || !definitions[vocab.St2RuleStatus] {
		t.Errorf("the shape of the update has %v", definitions)
	}
	resp, body = r.send(http.MethodPost, update.Value, turtleNS+`<> a st2:UpdateRuleAction ; st2:ruleTitle "by_shape" .`,
		"Content-Type", "text/turtle", "Accept", "text/turtle")
	wantStatus(t, "update", resp, body, http.StatusOK, "updated rule demo.by_shape")
	if got := r.stored(uri); got["name"] != "by_shape" || got["enabled"] != false {
		t.Errorf("the rule is %v", got)
	}
	resp, body = r.send(http.MethodPost, uri+"/actions/explode", "")
	wantStatus(t, "an action that is not there", resp, body, http.StatusNotFound, "explode")
	// What a client reads it may send back: the actions are not the client's.
	path := strings.TrimPrefix(uri, r.url)
	r.eventually("the update to be known", func() bool {
		resp, body = r.get(path, "Accept", "text/turtle")
		return strings.Contains(body, `"by_shape"`)
	})
	resp, body = r.send(http.MethodPut, uri, body, "Content-Type", "text/turtle", "Accept", "text/turtle", "If-Match", resp.Header.Get("ETag"))
	wantStatus(t, "sent back as read", resp, body, http.StatusOK, fmt.Sprint(rule["id"]))
}

// TestA6_History: what was asked for can be read, also after a restart.
func TestA6_History(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	good, _ := r.old("CreateRuleAction", createValues)
	bad, _ := r.old("DeleteRuleAction", "<st2:ruleId>demo.none</st2:ruleId>")
	r.halt()
	r.start()
	resp, _ := r.get("/actions", "Accept", "text/turtle")
	if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusFound || to != r.url+"/services/bus/requests" {
		t.Fatalf("/actions: %s %s", resp.Status, to)
	}
	list := r.graph("/services/bus/requests")
	for record, want := range map[string][2]string{
		good.Header.Get("Location"): {vocab.St2CreateRuleAction, vocab.AutoPassed},
		bad.Header.Get("Location"):  {vocab.St2DeleteRuleAction, vocab.AutoFailed},
	} {
		s := rdf.NewIRI(record)
		if got := list.Value(s, vocab.AutoExecutesAutomationPlan); got != want[0] {
			t.Errorf("<%s> executes %q, want %q", record, got, want[0])
		}
		one := r.graph(strings.TrimPrefix(record, r.url))
		if one.Value(s, vocab.AutoState) != vocab.AutoComplete || one.Value(s, vocab.DCTermsCreated) == "" {
			t.Errorf("<%s> is %v", record, one.Triples())
		}
		result := strings.Replace(strings.TrimPrefix(record, r.url), "/requests/", "/results/", 1)
		if got := r.graph(result).Value(rdf.NewIRI(r.url+result), vocab.AutoVerdict); got != want[1] {
			t.Errorf("the verdict of <%s> is %q, want %q", record, got, want[1])
		}
		resp, _ := r.get("/actions/"+record[strings.LastIndexByte(record, '/')+1:], "Accept", "text/turtle")
		if resp.Header.Get("Location") != record {
			t.Errorf("/actions/{id} leads to %q, want %s", resp.Header.Get("Location"), record)
		}
	}
	if resp, _ := r.get("/services/bus/requests/none"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown request: %s", resp.Status)
	}
}

// TestA7_ToolFailures: what the tool refuses has a status that says whose fault it
// is, with the tool's own words.
func TestA7_ToolFailures(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	issue := func(header ...string) (*http.Response, string) {
		return r.send(http.MethodPost, "/actions", turtleNS+`
			@prefix oslcbus: <https://oslcbus.github.io/ns#> .
			@prefix oslc_auto: <http://open-services.net/ns/auto#> .
			<> a oslc_auto:AutomationRequest ; oslc_auto:executesAutomationPlan oslcbus:CreateIssue ; oslc_auto:inputParameter
			[ oslc:name "project" ; rdf:value "DEMO" ] , [ oslc:name "type" ; rdf:value "Task" ] , [ oslc:name "summary" ; rdf:value "S" ] .`,
			append([]string{"Content-Type", "text/turtle", "Accept", "text/turtle"}, header...)...)
	}
	for _, tt := range []struct{ tool, want int }{
		{400, 422}, {401, 502}, {403, 502}, {404, 404}, {503, 504},
	} {
		r.fault(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(tt.tool)
			_, _ = w.Write([]byte(`{"errorMessages": ["no, says Jira"]}`))
			return true
		})
		resp, body := issue()
		wantStatus(t, fmt.Sprint(tt.tool), resp, body, tt.want, "no, says Jira")
		if resp.Header.Get("Location") == "" {
			t.Errorf("%d: the answer names no record", tt.tool)
		}
	}
	// A tool that takes its time: the client may come back for the result.
	hold := make(chan struct{})
	let := sync.OnceFunc(func() { close(hold) })
	defer let()
	r.fault(func(http.ResponseWriter, *http.Request) bool { <-hold; return false })
	for _, prefer := range []string{"respond-async", "wait=0"} {
		resp, body := issue("Prefer", prefer, "Idempotency-Key", "slow")
		wantStatus(t, prefer, resp, body, http.StatusAccepted, "AutomationRequest")
	}
	let()
	resp, body := issue("Idempotency-Key", "slow")
	wantStatus(t, "the same again", resp, body, http.StatusCreated, "created DEMO-1")
	if n := len(r.jira.Issues()); n != 1 {
		t.Errorf("Jira has %d issues, want 1", n)
	}
}

// TestX1_Asking: only who may write may ask, and the request says who did.
func TestX1_Asking(t *testing.T) {
	t.Parallel()
	writer, writerHash := oslcbus.NewToken()
	reader, readerHash := oslcbus.NewToken()
	r := newRig(t, fmt.Sprintf("access: {tokens: [{name: ci, role: writer, hash: %q}, {name: eye, role: reader, hash: %q}]}\n",
		writerHash, readerHash)).start()
	resp, body := r.old("CreateRuleAction", createValues)
	wantStatus(t, "nobody", resp, body, http.StatusUnauthorized, "")
	resp, body = r.old("CreateRuleAction", createValues, "Authorization", "Bearer "+reader)
	wantStatus(t, "a reader", resp, body, http.StatusForbidden, "")
	resp, body = r.old("CreateRuleAction", createValues, "Authorization", "Bearer "+writer)
	wantStatus(t, "a writer", resp, body, http.StatusCreated, `oslcbus:requester "ci"`)
	if strings.Contains(body, sandbox.Token) {
		t.Error("the answer holds the tool's secret")
	}
}

// TestA7_TokenExpired: the bus logs in at StackStorm; when the token does not count any
// more it logs in again, and who asked sees success.
func TestA7_TokenExpired(t *testing.T) {
	t.Parallel()
	r := newRig(t, "connections: {st2: {type: logged-in}}\n")
	r.registry = adapters.Registry{"logged-in": func(_ func(any) error, opts adapters.Options) (adapters.Adapter, error) {
		a, err := sandbox.Adapter(r.st2, r.st2URL, opts)
		if err != nil {
			return a, err
		}
		a.Executor, err = stackstorm.NewExecutor(r.st2URL+"/api", stackstorm.REST{User: sandbox.Login, Password: sandbox.Token}, opts)
		return a, err
	}}
	r.start()
	_, uri := r.create("r")
	r.eventually("the rule", func() bool { return len(r.seenOf(uri)) >= 1 })
	act := func(action string) {
		t.Helper()
		r.eventually(action+" to be offered", func() bool {
			resp, _ := r.send(http.MethodPost, uri+"/actions/"+action, "")
			return resp.StatusCode == http.StatusOK
		})
	}
	act("disable-rule")
	r.st2.ExpireTokens()
	act("enable-rule")
	if got := r.st2.Tokens(); got != 2 {
		t.Errorf("%d tokens were given out, want 2", got)
	}
	if got := r.stored(uri)["enabled"]; got != true {
		t.Errorf("the rule is state of the rule is %v, want enabled", got)
	}
}
