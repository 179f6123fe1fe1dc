package oslcbus_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const askNS = turtleNS + `@prefix oslc_auto: <http://open-services.net/ns/auto#> .
@prefix oslcbus: <https://oslcbus.github.io/ns#> .
`

const askPage = "/services/bus/dialogs/requests/creation"

// TestRequestDialog: a person chooses an action and fills it in; what is wrong is told
// in the form, with what was filled in, and nothing is asked for.
func TestRequestDialog(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	_, uri := r.create("dialog")
	form := func(v url.Values) (*http.Response, string) {
		return r.send(http.MethodPost, askPage+"/page", v.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html")
	}
	resp, body := r.get(askPage+"/page", "Accept", "text/html")
	wantStatus(t, "the choice", resp, body, 200, `<option value="st2/disable-rule">st2: Disable the rule</option>`)
	resp, body = r.get(askPage+"/page?action=st2/disable-rule", "Accept", "text/html")
	wantStatus(t, "the form", resp, body, 200, `name="target"`)
	resp, body = r.get(askPage+"/page?action=st2/none", "Accept", "text/html")
	wantStatus(t, "an action that is none", resp, body, 404, "st2/none")

	resp, body = form(url.Values{"action": {"st2/create-rule"}, "parameter-pack": {"p<1>"}})
	wantStatus(t, "without what is required", resp, body, 422, `value="p&lt;1&gt;"`)
	wantStatus(t, "without what is required", resp, body, 422, "create-rule needs name")
	resp, body = form(url.Values{"action": {"st2/disable-rule"}, "target": {"not a URI"}})
	wantStatus(t, "a target that is none", resp, body, 422, "no URI")
	resp, body = form(url.Values{"action": {"st2/create-rule"}, "parameter-name": {"x"}, "parameter-action": {"core.noop"}, "parameter-enabled": {"perhaps"}})
	wantStatus(t, "a value of another type", resp, body, 422, "enabled")
	resp, body = form(url.Values{"action": {"st2/create-rule"}, "parameter-name": {"x"}, "parameter-action": {"core.noop"}, "parameter-criteria": {"{"}})
	wantStatus(t, "JSON that is none", resp, body, 422, "criteria")
	resp, body = form(url.Values{"title": {"x"}})
	wantStatus(t, "without an action", resp, body, 422, "choose an action")
	if n := len(r.graph("/services/bus/requests").OfType(vocab.AutoAutomationRequest)); n != 0 {
		t.Errorf("forms that were refused asked for %d actions", n)
	}

	resp, body = form(url.Values{"action": {"st2/disable-rule"}, "target": {uri}})
	wantStatus(t, "the form", resp, body, 201, "data-result=")
	at := resp.Header.Get("Location")
	if !strings.HasPrefix(at, r.url+"/services/bus/requests/") {
		t.Fatalf("the request is at %q", at)
	}
	r.eventually("the rule to be off", func() bool { return r.stored(uri)["enabled"] == false })
	r.eventually("the request to be complete", func() bool { return r.state(at) == "complete complete passed" })
	resp, body = form(url.Values{
		"action": {"st2/create-rule"}, "title": {"made by hand"}, "parameter-name": {"by_hand"}, "parameter-enabled": {"true"},
		"parameter-trigger": {"core.st2.CronTimer"}, "parameter-action": {"core.noop"},
	})
	wantStatus(t, "a new rule", resp, body, 201, "made by hand")
	at = resp.Header.Get("Location")
	r.eventually("the request to be complete", func() bool { return r.state(at) == "complete complete passed" })
	made := false
	for _, g := range r.st2.Rules() {
		made = made || g["name"] == "by_hand" && g["enabled"] == true
	}
	if !made {
		t.Errorf("the form made no rule that is on: %v", r.st2.Rules())
	}
}

// TestRequestDialog_hidden: what is there for programs alone has no field, and is kept
// where a program fills it in. The shape of the action says so (oslc:hidden).
func TestRequestDialog_hidden(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	_, uri := r.create("dialog")
	shown := regexp.MustCompile(`<(?:input type="text"|select|textarea)[^>]* name="parameter-(\w+)"`)
	want := []string{"name", "pack", "description", "enabled", "trigger", "trigger_parameters", "criteria", "action", "action_parameters"}
	kept := `<input type="hidden" name="parameter-trigger_ref"`
	for _, action := range []string{"create", "update"} {
		resp, body := r.get(askPage+"/page?action=st2/"+action+"-rule", "Accept", "text/html")
		wantStatus(t, action, resp, body, 200, "<form")
		var got []string
		for _, m := range shown.FindAllStringSubmatch(body, -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, want) || strings.Contains(body, kept) {
			t.Errorf("%s: the form asks for %v, want %v", action, got, want)
		}
	}

	resp, body := r.send(http.MethodPost, askPage, askNS+`<> a oslc_auto:AutomationRequest ; oslc_auto:executesAutomationPlan st2:CreateRuleAction ;
		st2:triggerRef "core.st2.CronTimer" .`, "Content-Type", "text/turtle")
	wantStatus(t, "what is to be filled in", resp, body, 201, "")
	resp, body = r.get(strings.TrimPrefix(resp.Header.Get("Location"), r.url), "Accept", "text/html")
	wantStatus(t, "the form", resp, body, 200, kept+` value="core.st2.CronTimer">`)

	r.eventually("the rule to be served", func() bool { resp, _ := r.get(uri); return resp.StatusCode == http.StatusOK })
	g := r.graph(strings.TrimPrefix(uri, r.url) + "/actions/update-rule")
	var hidden []string
	for tr := range g.All() {
		if tr.P.Value == vocab.OSLCHidden && tr.O.Value == "true" {
			hidden = append(hidden, g.Value(tr.S, vocab.OSLCPropertyDefinition))
		}
	}
	if !slices.Equal(hidden, []string{vocab.St2TriggerRef}) {
		t.Errorf("the shape hides %v", hidden)
	}
}

// TestRequestDialog_prefill: what a client says of a request is in the form (DD-22 to 28).
func TestRequestDialog_prefill(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	_, uri := r.create("dialog")
	resp, body := r.send(http.MethodPost, askPage, askNS+`<> a oslc_auto:AutomationRequest ; dcterms:title "R&D" ;
		oslc_auto:executesAutomationPlan st2:UpdateRuleAction ; oslcbus:target <`+uri+`> ; dcterms:description "new" ; st2:ruleStatus false .`, "Content-Type", "text/turtle")
	wantStatus(t, "what is to be filled in", resp, body, 201, "")
	resp, body = r.get(strings.TrimPrefix(resp.Header.Get("Location"), r.url), "Accept", "text/html")
	for _, want := range []string{`value="st2/update-rule"`, `value="R&amp;D"`, `value="` + uri + `"`, `>new</textarea>`, `<option selected>false</option>`} {
		wantStatus(t, "the form", resp, body, 200, want)
	}
	for text, want := range map[string]string{
		`<> a oslc_auto:AutomationRequest ; oslc_auto:executesAutomationPlan st2:NoAction .`: "there is no action",
		`<> dcterms:title "x" .`: "AutomationRequest",
	} {
		resp, body := r.send(http.MethodPost, askPage, askNS+text, "Content-Type", "text/turtle")
		wantStatus(t, text, resp, body, 422, want)
	}
	g := r.graph("/services/bus")
	found := ""
	for tr := range g.All() {
		if tr.P.Value == vocab.OSLCCreationDialog {
			found = g.Value(tr.O, vocab.OSLCDialog)
		}
	}
	if found != r.url+askPage+"/page" {
		t.Errorf("the creation dialog is <%s>", found)
	}
}
