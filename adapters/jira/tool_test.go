package jira_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/jira"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

// deployments are the two kinds of Jira that most tests run on.
var deployments = []string{"cloud", "datacenter"}

// build makes the executor of a configuration.
func build(t testing.TB, cfg jira.Config, opts adapters.Options) adapters.Executor {
	t.Helper()
	a, err := jira.Build(func(v any) error { *v.(*jira.Config) = cfg; return nil }, opts)
	if err != nil {
		t.Fatal(err)
	}
	return a.Executor
}

// account is a configuration with the credentials that the stand-in takes.
func account(deployment, url string) jira.Config {
	cfg := jira.Config{URL: url, Deployment: deployment, Token: sandbox.Token, Settle: time.Millisecond}
	if deployment == "cloud" {
		cfg.User = sandbox.User
	}
	return cfg
}

// ask is a request to create an issue; with replaces parameters by name, and a nil
// value takes one away.
func ask(id string, with map[string]any) oslc.Request {
	r := oslc.Request{
		ID: oslc.NewID("jira_test", id), URI: "https://bus.example/services/bus/requests/" + id,
		Tool: "jira", Action: jira.CreateIssue, Event: "urn:uuid:6f0c0000-0000-4000-8000-000000000000",
		Target: "https://bus.example/services/st2/changeRequests/65f1",
		Parameters: map[string]any{
			"project": "DEMO", "type": "Task", "summary": "The rule default.hook was disabled", "description": "Look at it.",
		},
	}
	for k, v := range with {
		if r.Parameters[k] = v; v == nil {
			delete(r.Parameters, k)
		}
	}
	return r
}

func newSandbox(t testing.TB) *sandbox.Jira {
	t.Helper()
	s, err := sandbox.NewJira("", "DEMO")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

// inProcess is a transport that calls a handler, so that a test needs no sockets
// and runs in a synctest bubble.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Host = r.URL.Host
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// checker is a handler that checks what goes through it against the vendor's
// description of the API.
type checker struct {
	t     testing.TB
	next  http.Handler
	api   routers.Router
	adf   *jsonschema.Schema // nil where descriptions are plain text
	mu    sync.Mutex
	calls map[string]int // by operation
}

// newChecker reads the descriptions of a deployment; the test is skipped where
// they are absent.
func newChecker(t testing.TB, deployment string, next http.Handler) *checker {
	t.Helper()
	name := map[string]string{"cloud": "jira-cloud-platform-v3.json", "datacenter": "jira-dc-10.3-v2.json"}[deployment]
	doc, err := openapi3.NewLoader().LoadFromFile(testkit.Shared(t, "openapi", name))
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{t: t, next: next, calls: map[string]int{}}
	doc.Servers = nil
	if deployment == "datacenter" {
		doc.Servers = openapi3.Servers{{URL: "/rest"}}
		// The description types the values of an issue's fields as objects; a
		// summary is a string.
		for _, bean := range []string{"IssueBean", "IssueUpdateBean"} {
			doc.Components.Schemas[bean].Value.Properties["fields"].Value.AdditionalProperties = openapi3.AdditionalProperties{}
		}
	} else {
		if c.adf, err = jsonschema.NewCompiler().Compile(testkit.Shared(t, "openapi", "adf-full-v1.schema.json")); err != nil {
			t.Fatal(err)
		}
	}
	if c.api, err = gorillamux.NewRouter(doc); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := c.api.FindRoute(r)
	if err != nil {
		c.t.Errorf("%s %s is not in the description: %v", r.Method, r.URL.Path, err)
		http.NotFound(w, r)
		return
	}
	c.mu.Lock()
	c.calls[route.Operation.OperationID]++
	c.mu.Unlock()
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true,
		},
	}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		c.t.Errorf("%s %s: the request is not as described: %v\n%s", r.Method, r.URL.Path, err, body)
	}
	c.description(body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	c.next.ServeHTTP(rec, r)
	if rec.Code/100 == 2 { // bodies of errors are described by examples only
		out := (&openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: rec.Code, Header: rec.Header(),
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		}).SetBodyBytes(rec.Body.Bytes())
		if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
			c.t.Errorf("%s %s: the stand-in's answer is not as described: %v\n%s", r.Method, r.URL.Path, err, rec.Body)
		}
	}
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()) // the client is gone when this fails
}

// description checks the rich text of an issue that is to be made.
func (c *checker) description(body []byte) {
	if c.adf == nil || !strings.Contains(string(body), `"description"`) {
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return
	}
	fields, _ := v.(map[string]any)["fields"].(map[string]any)
	if d := fields["description"]; d != nil {
		if err := c.adf.Validate(d); err != nil {
			text, _ := json.Marshal(d)
			c.t.Errorf("the description is no Atlassian document: %v\n%s", err, text)
		}
	}
}
