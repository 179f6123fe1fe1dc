package oslcbus_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// send makes a request with a body.
func (r *rig) send(method, path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = r.url + path
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := testkit.HTTP.Transport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(b)
}

const (
	rulesPath = "/services/st2/changeRequests"
	turtleNS  = `@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix oslc: <http://open-services.net/ns/core#> .
@prefix oslc_cm: <http://open-services.net/ns/cm#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix st2: <https://oslcbus.github.io/ns/st2#> .
@prefix ex: <http://ex.example/ns#> .
`
)

// ruleBody is a rule as a client describes it.
func ruleBody(title, more string) string {
	return turtleNS + `<> a oslc_cm:ChangeRequest ; dcterms:title "` + title + `" ;
	st2:triggerType "core.st2.webhook" ; st2:triggerParameters "{\"url\": \"hook\"}" ;
	st2:ruleCriteria "{\"trigger.body.status\": {\"type\": \"eq\", \"pattern\": \"failed\"}}" ;
	st2:actionRef "core.local" ; st2:actionParameters "{\"cmd\": \"echo\", \"password\": \"not-a-real-secret\"}" ;
	st2:rulePack "demo" ` + more + ` .`
}

// post creates a rule and returns its URI.
func (r *rig) post(title string) (uri, etag string) {
	r.t.Helper()
	resp, body := r.send(http.MethodPost, rulesPath, ruleBody(title, ""), "Content-Type", "text/turtle", "Accept", "text/turtle")
	if resp.StatusCode != http.StatusCreated {
		r.t.Fatalf("POST: %s: %s", resp.Status, body)
	}
	return resp.Header.Get("Location"), resp.Header.Get("ETag")
}

// stored returns the rule in the tool.
func (r *rig) stored(uri string) map[string]any {
	for _, rule := range r.st2.Rules() {
		if strings.HasSuffix(uri, "/"+fmt.Sprint(rule["id"])) {
			return rule
		}
	}
	return nil
}

func turtle(t *testing.T, body, base string) *rdf.Graph {
	t.Helper()
	g, err := format.Parse([]byte(body), format.Turtle, base, rdf.Limits{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return g
}
