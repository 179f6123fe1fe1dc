package oslcbus_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestP1_Discovery: from one entry point to everything else, and every link on the
// way leads somewhere.
func TestP1_Discovery(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	resp, body := r.get("/.well-known/oslc/sp-catalog", "Accept", "text/turtle")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the catalog: %s", resp.Status)
	}
	catalog := turtle(t, body, "")
	root := rdf.NewIRI(r.url + "/services/catalog")
	providers := catalog.Objects(root, vocab.OSLCServiceProvider)
	if len(providers) != 3 {
		t.Errorf("the catalog has the providers %v, want st2, jira and bus", providers)
	}
	titles := map[string]bool{}
	for _, p := range providers {
		title := catalog.Object(p, vocab.DCTermsTitle)
		titles[title.Value] = title.Datatype == rdf.XMLLiteral
		g := r.graph(strings.TrimPrefix(p.Value, r.url))
		services := g.Objects(p, vocab.OSLCService)
		if len(services) == 0 || len(g.Objects(p, vocab.DCTermsPublisher)) != 1 || len(g.Objects(p, vocab.OSLCPrefixDefinition)) == 0 {
			t.Errorf("%s: %d services, publisher %v", p.Value, len(services), g.Objects(p, vocab.DCTermsPublisher))
		}
		for _, s := range services {
			if d := g.Objects(s, vocab.OSLCDomain); len(d) != 1 {
				t.Errorf("%s: a service of the domains %v, want exactly one", p.Value, d)
			}
		}
		followed := 0
		for tr := range g.All() {
			if tr.O.Kind != rdf.IRI || !strings.HasPrefix(tr.O.Value, r.url+"/") {
				continue
			}
			followed++
			accept := "text/turtle"
			if tr.P.Value == vocab.OSLCDialog {
				accept = "text/html"
			}
			if resp, body := r.get(tr.O.Value, "Accept", accept); resp.StatusCode != http.StatusOK {
				t.Errorf("%s leads to %s: %s: %s", tr.P.Value, tr.O.Value, resp.Status, body)
			}
		}
		if strings.HasSuffix(p.Value, "/st2") && followed < 10 {
			t.Errorf("st2 has %d links of its own", followed)
		}
	}
	if d := cmp.Diff(map[string]bool{"StackStorm": true, "Jira": true, "oslcbus requests": true}, titles); d != "" {
		t.Errorf("titles that are XML literals (-want +got):\n%s", d)
	}
	g := r.graph("/services/st2")
	for class, property := range map[string]string{
		vocab.OSLCCreationFactoryClass: vocab.OSLCCreation, vocab.OSLCQueryCapabilityClass: vocab.OSLCQueryBase,
	} {
		nodes := g.OfType(class)
		if len(nodes) == 0 || g.Value(nodes[0], property) != r.url+rulesPath || g.Value(nodes[0], vocab.OSLCResourceShape) == "" {
			t.Errorf("st2 has the %s %v", class, nodes)
		}
	}
	if resp, body := r.get("/services/nope", "Accept", "text/turtle"); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "oslc:Error") {
		t.Errorf("an unknown provider: %s: %s", resp.Status, body)
	}
	// Dynamic discovery (DIS-9 to 14).
	resp, _ = r.do(http.MethodOptions, rulesPath)
	links := strings.Join(resp.Header.Values("Link"), ", ")
	for _, want := range []string{
		`<http://www.w3.org/ns/ldp#BasicContainer>; rel="type"`,
		`<` + vocab.CMChangeRequest + `>; rel="` + vocab.OSLCResourceType + `"`,
		`<` + r.url + `/services/st2/shapes/changeRequests>; rel="http://www.w3.org/ns/ldp#constrainedBy"`,
		`; rel="` + vocab.OSLCCreationDialog + `"`, `; rel="` + vocab.OSLCSelectionDialog + `"`,
	} {
		if !strings.Contains(links, want) {
			t.Errorf("OPTIONS says the links %s, without %s", links, want)
		}
	}
	if resp.StatusCode != http.StatusNoContent || !strings.Contains(resp.Header.Get("Allow"), "POST") || !strings.Contains(resp.Header.Get("Accept-Post"), "text/turtle") {
		t.Errorf("OPTIONS: %s, Allow %q, Accept-Post %q", resp.Status, resp.Header.Get("Allow"), resp.Header.Get("Accept-Post"))
	}
	if resp, _ := r.do(http.MethodOptions, "/services/bus/results"); resp.Header.Get("Accept-Post") != "" {
		t.Error("results cannot be created, and say that they can")
	}
}

// TestP1_Aliases: the paths of the adapter that came before lead to the same, in
// standard RDF under the URIs of here.
func TestP1_Aliases(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	uri, _ := r.post("r")
	id := uri[strings.LastIndexByte(uri, '/')+1:]
	for path, subject := range map[string]string{
		"/service/serviceProviders/catalog":                r.url + "/services/catalog",
		"/service/serviceProviders/1":                      r.url + "/services/st2",
		"/service/serviceProviders/1/changeRequests":       r.url + rulesPath,
		"/service/serviceProviders/1/changeRequests/" + id: uri,
		"/service/serviceProviders/st2":                    r.url + "/services/st2",
	} {
		g := r.graph(path)
		if g.Object(rdf.NewIRI(subject), rdf.Type).IsZero() {
			t.Errorf("%s says nothing about <%s>", path, subject)
		}
	}
	for path, to := range map[string]string{
		"/service/trackedResourceSet": "/trs/st2", "/service/baseResources": "/trs/st2/base", "/service/changeLog/1": "/trs/st2",
		"/service/action": "/services/bus/requests", "/actions": "/services/bus/requests",
	} {
		if resp, _ := r.get(path); resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != r.url+to {
			t.Errorf("%s: %s to %s, want %s", path, resp.Status, resp.Header.Get("Location"), to)
		}
	}
	for _, path := range []string{"/service/serviceProviders/0", "/service/serviceProviders/2", "/service/serviceProviders/1/changeRequests/1", "/service/changeLog/0"} {
		if resp, body := r.get(path, "Accept", "text/turtle"); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "oslc:Error") {
			t.Errorf("%s: %s: %s", path, resp.Status, body)
		}
	}
	resp, body := r.send(http.MethodPost, "/service/serviceProviders/1/changeRequests", ruleBody("by the old path", ""), "Content-Type", "text/turtle")
	if resp.StatusCode != http.StatusCreated || !strings.HasPrefix(resp.Header.Get("Location"), r.url+rulesPath+"/") {
		t.Errorf("POST to the old path: %s: %s", resp.Status, body)
	}
	tag := strings.Replace(resp.Header.Get("ETag"), "-rdfxml", "-turtle", 1)
	old := "/service/serviceProviders/1/changeRequests/" + resp.Header.Get("Location")[strings.LastIndexByte(resp.Header.Get("Location"), '/')+1:]
	if resp, body := r.send(http.MethodPut, old, ruleBody("changed by the old path", ""), "Content-Type", "text/turtle", "If-Match", tag); resp.StatusCode != http.StatusOK {
		t.Errorf("PUT to the old path: %s: %s", resp.Status, body)
	}
}

// TestP4_URIsStay: a URI never passes to another rule.
func TestP4_URIsStay(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	a, _ := r.post("A")
	b, _ := r.post("B")
	c, _ := r.post("C")
	if resp, body := r.send(http.MethodDelete, a, ""); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("DELETE: %s: %s", resp.Status, body)
	}
	d, _ := r.post("D")
	rule := r.stored(b)
	rule["description"] = "changed in the tool"
	r.rest(http.MethodPut, "/"+fmt.Sprint(rule["id"]), rule)
	r.eventually("the events", func() bool { return len(r.seenOf("")) == 6 })
	check := func() {
		t.Helper()
		for uri, title := range map[string]string{b: "B", c: "C", d: "D"} {
			if got := r.graph(strings.TrimPrefix(uri, r.url)).Value(rdf.NewIRI(uri), vocab.DCTermsTitle); got != title {
				t.Errorf("<%s> is %q, want %q", uri, got, title)
			}
		}
		if resp, _ := r.get(a); resp.StatusCode != http.StatusGone {
			t.Errorf("the deleted rule: %s", resp.Status)
		}
	}
	if a == d || b == d || c == d {
		t.Errorf("D has the URI of another rule: %s", d)
	}
	check()
	r.halt()
	r.start()
	check()
}
