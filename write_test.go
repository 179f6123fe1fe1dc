package oslcbus_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestP5_Create: a rule is created in the tool, the answer is its state, and it comes
// back as one event.
func TestP5_Create(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	for i, c := range []struct{ mediaType, accept string }{
		{"text/turtle; charset=utf-8", "text/turtle"}, {"application/rdf+xml", ""}, {"application/ld+json", "application/ld+json"},
	} {
		title := fmt.Sprintf("rule <%d> & more", i)
		g := turtle(t, ruleBody(title, `; dcterms:description "<b>bold</b> & \"quoted\""`), r.url+rulesPath)
		f, _ := format.ByMediaType(c.mediaType)
		body, err := format.Append(nil, g, f)
		if err != nil {
			t.Fatal(err)
		}
		resp, answer := r.send(http.MethodPost, rulesPath, string(body), "Content-Type", c.mediaType, "Accept", c.accept, "OSLC-Core-Version", "2.0")
		uri := resp.Header.Get("Location")
		if resp.StatusCode != http.StatusCreated || !strings.HasPrefix(uri, r.url+rulesPath+"/") || resp.Header.Get("ETag") == "" || answer == "" {
			t.Fatalf("%s: %s, Location %q, ETag %q: %s", c.mediaType, resp.Status, uri, resp.Header.Get("ETag"), answer)
		}
		want := map[string]any{
			"name": title, "pack": "demo", "description": `<b>bold</b> & "quoted"`, "enabled": true,
			"action":   map[string]any{"ref": "core.local", "parameters": map[string]any{"cmd": "echo", "password": "not-a-real-secret"}},
			"criteria": map[string]any{"trigger.body.status": map[string]any{"type": "eq", "pattern": "failed"}},
		}
		have := r.stored(uri)
		got := map[string]any{}
		for k := range want {
			got[k] = have[k]
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: the tool has (-want +got):\n%s", c.mediaType, d)
		}
		// Read your writes: at once, and the same once the event is there.
		s := rdf.NewIRI(uri)
		if g := r.graph(strings.TrimPrefix(uri, r.url)); g.Value(s, vocab.DCTermsTitle) != title || !g.IsA(s, vocab.CMChangeRequest) || g.Value(s, vocab.DCTermsModified) == "" {
			t.Errorf("right after it was created it is %v", g.Triples())
		}
		if g := r.graph(rulesPath); !g.Has(rdf.Triple{S: rdf.NewIRI(r.url + rulesPath), P: rdf.NewIRI(vocab.RDFSMember), O: s}) {
			t.Error("right after it was created it is not among the rules")
		}
		r.eventually("the event", func() bool { return len(r.seenOf(uri)) > 0 })
		if strings.Contains(answer, "not-a-real-secret") {
			t.Error("the answer shows a secret")
		}
	}
	if got := len(r.seenOf("")); got != 3 {
		t.Errorf("%d events of three creations", got)
	}
}

func TestP5_Refused(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	r.post("taken")
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"no trigger type":     {strings.ReplaceAll(ruleBody("a", ""), `st2:triggerType "core.st2.webhook" ;`, ""), 400, "st2:triggerType"},
		"no title":            {strings.ReplaceAll(ruleBody("a", ""), `dcterms:title "a" ;`, ""), 400, "dcterms:title"},
		"two titles":          {ruleBody("a", `; dcterms:title "b"`), 400, "dcterms:title"},
		"same name":           {ruleBody("taken", ""), 409, "duplicate"},
		"tool refuses":        {strings.ReplaceAll(ruleBody("a", ""), `{\"url\": \"hook\"}`, `{}`), 400, "'url' is a required property"},
		"unknown property":    {ruleBody("a", `; ex:colour "red"`), 400, "http://ex.example/ns#colour"},
		"another type":        {ruleBody("a", `; a ex:Thing`), 400, "http://ex.example/ns#Thing"},
		"status is a word":    {ruleBody("a", `; st2:ruleStatus "on"`), 400, "st2:ruleStatus"},
		"language":            {ruleBody("a", `; dcterms:description "x"@en`), 400, "language"},
		"java datatype":       {ruleBody("a", `; dcterms:description "x"^^<java:org.example.Thing>`), 400, "java:"},
		"another resource":    {ruleBody("a", "") + ` <http://ex.example/1> a ex:Thing .`, 400, "http://ex.example/1"},
		"two rules":           {ruleBody("a", "") + strings.ReplaceAll(strings.TrimPrefix(ruleBody("b", ""), turtleNS), "<>", "<http://ex.example/1>"), 400, "another resource"},
		"ill-formed":          {"<> a ;", 400, "line 1"},
		"empty":               {"", 400, "no triples"},
		"too large":           {ruleBody("a", `; dcterms:description "`+strings.Repeat("x", 4<<20)+`"`), 413, "larger"},
		"parameters no JSON":  {ruleBody("a", `; st2:actionParameters "{"`), 400, "actionParameters"},
		"literal as resource": {strings.ReplaceAll(ruleBody("a", ""), `"core.local"`, `<http://ex.example/>`), 400, "st2:actionRef"},
	} {
		resp, body := r.send(http.MethodPost, rulesPath, c.body, "Content-Type", "text/turtle", "Accept", "text/turtle")
		if resp.StatusCode != c.status || !strings.Contains(body, c.says) || !strings.Contains(body, "oslc:Error") {
			t.Errorf("%s: %s, want %d with %q: %.400s", name, resp.Status, c.status, c.says, body)
		}
		if c.status == 400 && !strings.Contains(strings.Join(resp.Header.Values("Link"), ","), "constrainedBy") {
			t.Errorf("%s: the answer does not name the shape", name)
		}
	}
	if n := len(r.st2.Rules()); n != 1 {
		t.Errorf("the tool has %d rules, want the one that was there", n)
	}
}

// TestP6_Update: the tool gets the whole rule with what was not touched, and the
// state from before is never seen again.
func TestP6_Update(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	uri, _ := r.post("r")
	path := strings.TrimPrefix(uri, r.url)
	s := rdf.NewIRI(uri)
	resp, body := r.get(path, "Accept", "text/turtle")
	before := turtle(t, body, uri)
	tag := resp.Header.Get("ETag")
	was := r.stored(uri)

	put := func(body, query string, header ...string) (*http.Response, string) {
		t.Helper()
		return r.send(http.MethodPut, path+query, body, append([]string{"Content-Type", "text/turtle", "Accept", "text/turtle"}, header...)...)
	}
	changed := strings.ReplaceAll(body, "st2:ruleStatus true", "st2:ruleStatus false")
	if resp, answer := put(changed, ""); resp.StatusCode != http.StatusBadRequest || !strings.Contains(answer, "If-Match") {
		t.Errorf("without If-Match: %s: %s", resp.Status, answer)
	}
	for _, stale := range []string{`"x"`, `"x-turtle"`, "W/" + tag, "nonsense", `""`} {
		if resp, answer := put(changed, "", "If-Match", stale); resp.StatusCode != http.StatusPreconditionFailed {
			t.Errorf("If-Match %s: %s: %s", stale, resp.Status, answer)
		}
	}
	if got := r.stored(uri); !cmp.Equal(was, got) {
		t.Fatalf("a refused update changed the tool: %s", cmp.Diff(was, got))
	}
	resp, answer := put(changed, "", "If-Match", `"other", `+tag)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") == tag {
		t.Fatalf("PUT: %s, ETag %s: %s", resp.Status, resp.Header.Get("ETag"), answer)
	}
	if g := turtle(t, answer, uri); g.Value(s, vocab.St2RuleStatus) != "false" || g.Value(s, vocab.CMStatus) != "disabled" {
		t.Errorf("the answer is not the new state: %s", answer)
	}
	want := r.stored(uri)
	if want["enabled"] != false {
		t.Error("the rule is not disabled in the tool")
	}
	want["enabled"] = true
	if d := cmp.Diff(was, want); d != "" {
		t.Errorf("what was not touched (-was +is):\n%s", d)
	}
	g := r.graph(path)
	if g.Value(s, vocab.St2RuleStatus) != "false" {
		t.Error("a GET right after shows an older state")
	}
	m1, _ := before.Object(s, vocab.DCTermsModified).Time()
	if m2, ok := g.Object(s, vocab.DCTermsModified).Time(); !ok || m2.Before(m1) {
		t.Errorf("dcterms:modified went from %v to %v", m1, m2)
	}
	if resp, answer := put(changed, "", "If-Match", tag); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("the tag from before the update: %s: %s", resp.Status, answer)
	}
	// The tag that the update was answered with names the same state later on.
	tag = resp.Header.Get("ETag")
	r.eventually("the event", func() bool { return len(r.seenOf(uri)) == 2 })
	if resp, answer := put(answer, "", "If-Match", tag); resp.StatusCode != http.StatusOK {
		t.Errorf("the tag of the update, once its event is there: %s: %s", resp.Status, answer)
	}
	if want := "creation modification+st2:RuleDisabled"; changes(r.seenOf(uri)) != want {
		t.Errorf("events: %s, want: %s", changes(r.seenOf(uri)), want)
	}

	// As a client sends a resource that it read typed: retyped, cut, partly missing.
	lossy := turtleNS + `<> a oslc_cm:ChangeRequest ; dcterms:title "r"^^rdf:XMLLiteral ; dcterms:identifier 7 ; dcterms:modified "2001-01-01T00:00:00Z" ;
		dcterms:creator [ a <http://xmlns.com/foaf/0.1/Person> ] ; oslc_cm:status "closed" ; dcterms:description "R&D <draft>"^^rdf:XMLLiteral ;
		st2:ruleStatus "0"^^<http://www.w3.org/2001/XMLSchema#boolean> ; st2:rulePack "demo" ; st2:triggerType "core.st2.webhook" ; st2:actionRef "core.local" ;
		st2:triggerParameters """` + g.Value(s, vocab.St2TriggerParameters) + `""" ; st2:ruleCriteria """` + g.Value(s, vocab.St2RuleCriteria) + `""" ;
		st2:actionParameters """` + g.Value(s, vocab.St2ActionParameters) + `""" .`
	resp, answer = put(lossy, "", "If-Match", "*")
	if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Warning"), "oslc_cm:status") {
		t.Fatalf("PUT by a typed client: %s, Warning %q: %s", resp.Status, resp.Header.Get("Warning"), answer)
	}
	after := r.stored(uri)
	if after["description"] != "R&D <draft>" || after["enabled"] != false || !cmp.Equal(after["action"], was["action"]) {
		t.Errorf("after a PUT by a typed client: %v", after)
	}
	if g := r.graph(path); g.Value(s, vocab.DCTermsDescription) != "R&D <draft>" || g.Value(s, vocab.CMStatus) != "disabled" {
		t.Errorf("after a PUT by a typed client: %v", g.Triples())
	}
}

// TestP6_Partial: with oslc.properties only what is named changes (CM-31, 32).
func TestP6_Partial(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	uri, _ := r.post("r")
	path := strings.TrimPrefix(uri, r.url)
	s := rdf.NewIRI(uri)
	put := func(properties, body string) (int, string) {
		t.Helper()
		resp, answer := r.send(http.MethodPut, path+"?oslc.properties="+url.QueryEscape(properties), turtleNS+body,
			"Content-Type", "text/turtle", "Accept", "text/turtle", "If-Match", "*")
		return resp.StatusCode, answer
	}
	for _, c := range []struct {
		properties, body string
		status           int
		description      string
		says             string
	}{
		{"dcterms:description", `<> dcterms:description "one" ; dcterms:title "not named" .`, 200, "one", ""},
		{"dcterms:description,st2:ruleStatus", `<> dcterms:description "two" ; st2:ruleStatus false .`, 200, "two", ""},
		{"ex:colour", `<> ex:colour "red" .`, 400, "two", "prefix"},
		{"st2:colour", `<> st2:colour "red" .`, 409, "two", "st2:colour"},
		{"oslc_cm:status", `<> oslc_cm:status "closed" .`, 409, "two", "read-only"},
		{"dcterms:modified", `<> dcterms:modified "2001-01-01" .`, 200, "two", ""},
		{"dcterms:title", `<> dcterms:description "x" .`, 400, "two", "dcterms:title"},
		{"dcterms:creator{foaf:name}", `<> dcterms:description "x" .`, 501, "two", ""},
		{"*", `<> dcterms:description "x" .`, 501, "two", ""},
		{"dcterms:description", `<> st2:ruleStatus true .`, 200, "", ""},
	} {
		status, answer := put(c.properties, c.body)
		if status != c.status || !strings.Contains(answer, c.says) {
			t.Errorf("%s with %s: %d, want %d with %q: %s", c.properties, c.body, status, c.status, c.says, answer)
		}
		g := r.graph(path)
		if g.Value(s, vocab.DCTermsDescription) != c.description || g.Value(s, vocab.DCTermsTitle) != "r" {
			t.Errorf("after %s with %s: description %q, title %q", c.properties, c.body, g.Value(s, vocab.DCTermsDescription), g.Value(s, vocab.DCTermsTitle))
		}
	}
	if r.stored(uri)["enabled"] != false {
		t.Error("the rule is enabled: a property that was not named was written")
	}
	// Reading a part, and changing by its tag.
	resp, body := r.get(path+"?oslc.properties=dcterms:title,st2:ruleStatus", "Accept", "text/turtle")
	if g := turtle(t, body, uri); g.Len() != 2 || g.Value(s, vocab.DCTermsTitle) != "r" {
		t.Errorf("two properties are %v", g.Triples())
	}
	whole, _ := r.get(path, "Accept", "text/turtle")
	if whole.Header.Get("ETag") == resp.Header.Get("ETag") {
		t.Error("a part has the tag of the whole")
	}
	if resp, body := r.send(http.MethodPut, path+"?oslc.properties=dcterms:title", turtleNS+`<> dcterms:title "new" .`,
		"Content-Type", "text/turtle", "If-Match", resp.Header.Get("ETag")); resp.StatusCode != http.StatusOK {
		t.Errorf("PUT with the tag of a part: %s: %s", resp.Status, body)
	}
	if r.stored(uri)["ref"] != "demo.new" {
		t.Errorf("after a rename the tool has %v", r.stored(uri)["ref"])
	}
}

// TestP6_ChangedUnderneath: the tool changed, and its event is not here yet.
func TestP6_ChangedUnderneath(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	uri, tag := r.post("r")
	other, _ := r.post("other")
	_, body := r.get(uri, "Accept", "text/turtle")
	r.eventually("the creations", func() bool { return len(r.seenOf("")) == 2 })
	release := r.st2Delay() // nothing that happens from now on is told
	rule := r.stored(uri)
	rule["description"] = "by somebody else"
	r.rest(http.MethodPut, "/"+fmt.Sprint(rule["id"]), rule)
	for _, c := range []struct{ method, body string }{{http.MethodPut, strings.Replace(body, "ruleStatus true", "ruleStatus false", 1)}, {http.MethodDelete, ""}} {
		resp, answer := r.send(c.method, uri, c.body, "Content-Type", "text/turtle", "Accept", "text/turtle", "If-Match", tag)
		if resp.StatusCode != http.StatusPreconditionFailed || !strings.Contains(answer, "changed in the tool") {
			t.Errorf("%s of a rule that changed: %s: %s", c.method, resp.Status, answer)
		}
	}
	if got := r.stored(uri); got["description"] != "by somebody else" || got["enabled"] != true {
		t.Errorf("it was overwritten: %v", got)
	}
	// A name that is taken is the tool's refusal.
	_, body = r.get(other, "Accept", "text/turtle")
	resp, answer := r.send(http.MethodPut, other, strings.Replace(body, `dcterms:title "other"`, `dcterms:title "r"`, 1), "Content-Type", "text/turtle", "If-Match", "*")
	if resp.StatusCode != http.StatusConflict || !strings.Contains(answer, "duplicate") {
		t.Errorf("a name that is taken: %s: %s", resp.Status, answer)
	}
	// What was written while the events are away is what is read.
	resp, answer = r.send(http.MethodPut, other+"?oslc.properties=dcterms:description", turtleNS+`<> dcterms:description "not told yet" .`, "Content-Type", "text/turtle", "If-Match", "*")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT: %s: %s", resp.Status, answer)
	}
	if g := r.graph(strings.TrimPrefix(other, r.url)); g.Value(rdf.NewIRI(other), vocab.DCTermsDescription) != "not told yet" {
		t.Errorf("a GET right after shows an older state: %v", g.Triples())
	}
	release()
	r.eventually("the events", func() bool { return len(r.seenOf(other)) == 2 && len(r.seenOf(uri)) == 2 })
	if g := r.graph(strings.TrimPrefix(other, r.url)); g.Value(rdf.NewIRI(other), vocab.DCTermsDescription) != "not told yet" {
		t.Errorf("once the events are there: %v", g.Triples())
	}
}

// TestP7_Delete: the rule is gone in the tool, and that is told once.
func TestP7_Delete(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	uri, tag := r.post("r")
	if resp, _ := r.send(http.MethodDelete, uri, "", "If-Match", `"other-turtle"`); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("DELETE with a stale tag: %s", resp.Status)
	}
	if resp, body := r.send(http.MethodDelete, uri, "", "If-Match", tag); resp.StatusCode != http.StatusNoContent || body != "" {
		t.Fatalf("DELETE: %s: %s", resp.Status, body)
	}
	if len(r.st2.Rules()) != 0 {
		t.Error("the rule is in the tool all the same")
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPut} {
		resp, body := r.send(method, uri, ruleBody("r", ""), "Accept", "text/turtle", "Content-Type", "text/turtle", "If-Match", "*")
		if resp.StatusCode != http.StatusGone || !strings.Contains(body, "oslc:Error") {
			t.Errorf("%s of a deleted rule: %s: %s", method, resp.Status, body)
		}
	}
	r.eventually("the deletion", func() bool { return len(r.seenOf(uri)) >= 2 })
	if got := changes(r.seenOf(uri)); got != "creation deletion" {
		t.Errorf("events: %s", got)
	}
	set := r.graph("/trs/st2")
	if n := len(set.OfType(vocab.TRSDeletion)); n != 1 {
		t.Errorf("the change log has %d deletions", n)
	}
	for _, path := range []string{rulesPath + "/000000000000000000000000", rulesPath + "/a%2Fb"} {
		if resp, body := r.send(http.MethodDelete, path, "", "Accept", "text/turtle"); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "oslc:Error") {
			t.Errorf("DELETE %s: %s: %s", path, resp.Status, body)
		}
	}
}

// TestX1_Writes: reading is for readers, writing for writers.
func TestX1_Writes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	yaml := "access:\n  tokens:\n"
	for _, role := range []string{"reader", "writer"} {
		file := filepath.Join(dir, role)
		if err := os.WriteFile(file, []byte("token-of-a-"+role), 0o600); err != nil {
			t.Fatal(err)
		}
		yaml += fmt.Sprintf("    - {name: %s, role: %s, file: %q}\n", role, role, file)
	}
	r := newRig(t, yaml).start()
	rule, uri := r.create("r")
	r.eventually("the event", func() bool { return len(r.seenOf(uri)) == 1 })
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		method, path, mediaType string
		anonymous, reader       int
	}{
		{http.MethodPost, rulesPath, "text/turtle", 401, 403},
		{http.MethodPut, strings.TrimPrefix(uri, r.url), "text/turtle", 401, 403},
		{http.MethodDelete, strings.TrimPrefix(uri, r.url), "", 401, 403},
		{http.MethodPost, "/service/serviceProviders/1/changeRequests", "text/turtle", 401, 403},
		{http.MethodPost, "/services/st2/dialogs/changeRequests/creation", "text/turtle", 401, 403},
		{http.MethodPost, "/services/st2/dialogs/changeRequests/creation/page", form, 401, 403},
		{http.MethodPost, rulesPath, form, 401, 200}, // a query
		{http.MethodOptions, rulesPath, "", 401, 204},
		{http.MethodGet, strings.TrimPrefix(uri, r.url) + "/preview/small", "", 401, 200},
		{http.MethodGet, "/services/st2/shapes/changeRequests", "", 401, 200},
	} {
		for token, want := range map[string]int{"": c.anonymous, "token-of-a-reader": c.reader} {
			header := []string{"Content-Type", c.mediaType, "If-Match", "*"}
			if token != "" {
				header = append(header, "Authorization", "Bearer "+token)
			}
			if resp, body := r.send(c.method, c.path, "", header...); resp.StatusCode != want {
				t.Errorf("%s %s by %q: %s, want %d: %s", c.method, c.path, token, resp.Status, want, body)
			}
		}
	}
	if r.stored(uri)["name"] != rule["name"] || len(r.st2.Rules()) != 1 {
		t.Error("somebody without the right has changed something")
	}
	if resp, body := r.send(http.MethodPost, rulesPath, ruleBody("allowed", ""), "Content-Type", "text/turtle", "Authorization", "Bearer token-of-a-writer"); resp.StatusCode != http.StatusCreated {
		t.Errorf("a writer: %s: %s", resp.Status, body)
	}
}
