package stackstorm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	toolURL = "http://st2.example"
	hidden  = "not-a-real-secret-of-a-hook"
)

// inProcess calls a handler instead of the network.
type inProcess struct{ h http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	p.h.ServeHTTP(w, r)
	return w.Result(), nil
}

// newWriter returns a writer on a tool that h answers for.
func newWriter(tb testing.TB, h http.Handler, log *slog.Logger) *stackstorm.Writer {
	tb.Helper()
	w, err := stackstorm.NewWriter(toolURL+"/api", stackstorm.REST{APIKey: sandbox.Token}, adapters.Options{
		Name: "st2", BaseURL: "https://bus.example", Logger: log, Client: &http.Client{Transport: inProcess{h}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

var node = rdf.NewBlank("new")

// newRule is a rule as a client describes it.
func newRule() *rdf.Graph {
	g := rdf.NewGraph()
	g.NodeOf(node).A(vocab.CMChangeRequest).
		String(vocab.DCTermsTitle, "on_hook").
		String(vocab.DCTermsDescription, "Runs when a hook is called").
		String(vocab.DCTermsSubject, "team:ops", "urgent").
		Bool(vocab.St2RuleStatus, true).
		String(vocab.St2RulePack, "demo").
		String(vocab.St2TriggerType, "core.st2.webhook").
		Add(vocab.St2TriggerParameters, rdf.Typed(`{"url":"hook"}`, mongodb.JSONType)).
		Add(vocab.St2RuleCriteria, rdf.Typed(`{"trigger.body.$n":{"pattern":3600,"type":"gt"}}`, mongodb.JSONType)).
		String(vocab.St2ActionRef, "core.http").
		Add(vocab.St2ActionParameters, rdf.Typed(`{"password":"`+hidden+`","url":"http://x.example"}`, mongodb.JSONType))
	return g
}

func without(g *rdf.Graph, p string) *rdf.Graph {
	return g.Without(func(t rdf.Triple) bool { return t.P.Value == p })
}

// call does something in the stand-in itself.
func call(tb testing.TB, s http.Handler, method, path string, in map[string]any) map[string]any {
	tb.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		tb.Fatal(err)
	}
	r := httptest.NewRequestWithContext(context.Background(), method, "/v1/rules"+path, strings.NewReader(string(b)))
	r.Header.Set("St2-Api-Key", sandbox.Token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		tb.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	var out map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// TestWriter runs the suite of writers on the stand-in.
func TestWriter(t *testing.T) {
	t.Parallel()
	adaptertest.Writer(t, adaptertest.WriterConfig{
		Collection: "changeRequests", New: newRule(), Subject: node, Unique: true,
		Property: vocab.DCTermsDescription, Other: rdf.String("Another text"),
		Refused: without(newRule(), vocab.St2TriggerParameters),
		Secrets: []string{hidden, sandbox.Token},
		Tool: func(context.Context) (adaptertest.WriterTool, error) {
			s, err := sandbox.NewStackStorm("")
			return adaptertest.WriterTool{
				Open: func(log *slog.Logger) (adapters.Writer, error) { return newWriter(t, s, log), nil },
				State: func() map[string]string {
					out := map[string]string{}
					for _, r := range s.Rules() {
						b, err := json.Marshal(r) // its keys are in order
						if err != nil {
							t.Error(err)
						}
						out[oslc.ResourceURI("https://bus.example", "st2", "changeRequests", r["id"].(string))] = string(b)
					}
					return out
				},
				Change: func(uri string) error { return s.SetEnabled(uri[strings.LastIndexByte(uri, '/')+1:], false) },
			}, err
		},
	})
}

// TestWriter_sends pins what StackStorm gets of a graph.
func TestWriter_sends(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	var methods []string
	var bodies []map[string]any
	w := newWriter(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method+" "+r.URL.Path[:min(len(r.URL.Path), len("/api/v1/rules/"))])
		if r.Body != nil && r.Method != http.MethodGet {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			var in map[string]any
			if err := json.Unmarshal(b, &in); err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(b))
			bodies = append(bodies, in)
		}
		s.ServeHTTP(rw, r)
	}), nil)
	made, err := w.Create(t.Context(), oslc.Write{Collection: "changeRequests", After: newRule(), Subject: node})
	if err != nil {
		t.Fatal(err)
	}
	subject := rdf.NewIRI(made.URI)
	after := without(without(made.Graph, vocab.DCTermsDescription), vocab.DCTermsSubject)
	after.Add(subject, vocab.DCTermsSubject, rdf.String("team:ops"))
	if _, err := w.Update(t.Context(), oslc.Write{Collection: "changeRequests", URI: made.URI, Before: made.Graph, After: after, Subject: subject}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"POST /api/v1/rules", "GET /api/v1/rules/", "PUT /api/v1/rules/"}, methods); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	if len(bodies) != 2 {
		t.Fatalf("%d bodies", len(bodies))
	}
	action := map[string]any{"ref": "core.http", "parameters": map[string]any{"password": hidden, "url": "http://x.example"}}
	criteria := map[string]any{"trigger.body.$n": map[string]any{"pattern": 3600.0, "type": "gt"}}
	want := map[string]any{
		"name": "on_hook", "pack": "demo", "enabled": true, "description": "Runs when a hook is called",
		"trigger":  map[string]any{"type": "core.st2.webhook", "parameters": map[string]any{"url": "hook"}},
		"criteria": criteria, "action": action,
		"tags": []any{map[string]any{"name": "team", "value": "ops"}, map[string]any{"name": "urgent", "value": ""}},
	}
	if d := cmp.Diff(want, bodies[0]); d != "" {
		t.Errorf("POST (-want +got):\n%s", d)
	}
	put := bodies[1]
	if d := cmp.Diff(map[string]any{"description": "", "enabled": true, "action": action, "criteria": criteria, "tags": want["tags"].([]any)[:1]}, map[string]any{
		"description": put["description"], "enabled": put["enabled"], "action": put["action"], "criteria": put["criteria"], "tags": put["tags"],
	}); d != "" {
		t.Errorf("PUT (-want +got):\n%s", d)
	}
}

// TestWriter_hiddenValues: a masked value keeps what is in the tool; where the
// account may not see that, nothing is written.
func TestWriter_hiddenValues(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	blind := false
	w := newWriter(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		body := rec.Body.String()
		if blind && r.Method == http.MethodGet {
			body = strings.ReplaceAll(body, hidden, stackstorm.Mask)
		}
		rw.WriteHeader(rec.Code)
		_, _ = rw.Write([]byte(body))
	}), nil)
	made, err := w.Create(t.Context(), oslc.Write{Collection: "changeRequests", After: newRule(), Subject: node})
	if err != nil {
		t.Fatal(err)
	}
	subject := rdf.NewIRI(made.URI)
	change := func(before *rdf.Graph, parameters string) (oslc.Written, error) {
		after := without(before, vocab.St2ActionParameters)
		after.Add(subject, vocab.St2ActionParameters, rdf.Typed(parameters, mongodb.JSONType))
		return w.Update(t.Context(), oslc.Write{Collection: "changeRequests", URI: made.URI, Before: before, After: after, Subject: subject})
	}
	// As the source shows it to a reader.
	shown := without(made.Graph, vocab.St2ActionParameters)
	shown.Add(subject, vocab.St2ActionParameters, rdf.Typed(`{"password":"********","url":"http://x.example"}`, mongodb.JSONType))
	done, err := change(shown, `{"password":"********","url":"http://y.example"}`)
	if err != nil {
		t.Fatal(err)
	}
	action := call(t, s, http.MethodGet, "/demo.on_hook", nil)["action"].(map[string]any)["parameters"]
	if d := cmp.Diff(map[string]any{"password": hidden, "url": "http://y.example"}, action); d != "" {
		t.Errorf("after the update (-want +got):\n%s", d)
	}
	if _, err := change(done.Graph, `{"password":"********","new":"********","url":"http://y.example"}`); !errors.Is(err, oslc.Invalid) {
		t.Errorf("a mask where nothing is: %v, want kind invalid", err)
	}
	blind = true
	if _, err := change(done.Graph, `{"password":"********","url":"http://z.example"}`); !errors.Is(err, oslc.Denied) {
		t.Errorf("an account that sees no secrets: %v, want kind denied", err)
	}
	after := call(t, s, http.MethodGet, "/demo.on_hook", nil)["action"].(map[string]any)["parameters"]
	if d := cmp.Diff(action, after); d != "" {
		t.Errorf("a refused update changed something (-was +is):\n%s", d)
	}
}

// TestWriter_refusals: StackStorm's own words reach the client, under the right kind.
func TestWriter_refusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		kind   oslc.Kind
		words  string
	}{
		"bad rule":         {400, `{"faultstring": "'url' is a required property"}`, oslc.Invalid, "'url' is a required property"},
		"bad key":          {401, `{"faultstring": "Unauthorized"}`, oslc.Denied, "credentials of the bus"},
		"no right":         {403, `{"faultstring": "User \"x\" doesn't have required permission"}`, oslc.Denied, "doesn't have"},
		"gone":             {404, `{"faultstring": "not found"}`, oslc.NotFound, "not found"},
		"same name":        {409, `{"faultstring": "Tried to save duplicate unique keys", "conflict-id": "1"}`, oslc.Conflict, "duplicate"},
		"busy":             {429, ``, oslc.Limited, "429"},
		"broken":           {500, `<html>`, oslc.Unavailable, "500"},
		"login page":       {302, ``, oslc.Denied, "302"},
		"answer is a page": {200, `<html>`, oslc.Unavailable, "JSON"},
		"answer is empty":  {201, ``, oslc.Unavailable, "no rule"},
		"answer is odd":    {201, `{"id": "x", "name": 3}`, oslc.Unavailable, "no rule"},
		"answer echoes":    {400, `{"faultstring": "key ` + sandbox.Token + ` is bad"}`, oslc.Invalid, "<secret>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWriter(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Retry-After", "7")
				rw.WriteHeader(c.status)
				_, _ = rw.Write([]byte(c.body))
			}), nil)
			_, err := w.Create(t.Context(), oslc.Write{Collection: "changeRequests", After: newRule(), Subject: node})
			if err == nil || oslc.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), sandbox.Token) {
				t.Errorf("%v of kind %s, want kind %s with %q", err, oslc.KindOf(err), c.kind, c.words)
			}
		})
	}
}

// TestWriter_badGraphs: what is no rule is refused before StackStorm is called.
func TestWriter_badGraphs(t *testing.T) {
	t.Parallel()
	with := func(p string, o rdf.Term) *rdf.Graph {
		g := without(newRule(), p)
		g.Add(node, p, o)
		return g
	}
	w := newWriter(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("StackStorm was called") }), nil)
	for name, g := range map[string]*rdf.Graph{
		"parameters that are no JSON":    with(vocab.St2ActionParameters, rdf.String("{")),
		"parameters that are a list":     with(vocab.St2ActionParameters, rdf.String("[]")),
		"parameters that are null":       with(vocab.St2ActionParameters, rdf.String("null")),
		"two objects":                    with(vocab.St2RuleCriteria, rdf.String("{} {}")),
		"a status that is a word":        with(vocab.St2RuleStatus, rdf.String("on")),
		"an action that is a resource":   with(vocab.St2ActionRef, rdf.NewIRI("https://x.example/")),
		"a tag without a name":           with(vocab.DCTermsSubject, rdf.String(":ops")),
		"a mask where nothing is as yet": with(vocab.St2ActionParameters, rdf.String(`{"a":"********"}`)),
	} {
		if _, err := w.Create(t.Context(), oslc.Write{Collection: "changeRequests", After: g, Subject: node}); !errors.Is(err, oslc.Invalid) {
			t.Errorf("%s: %v, want kind invalid", name, err)
		}
	}
}

func TestWriter_configuration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url  string
		rest stackstorm.REST
	}{
		"no address":           {"", stackstorm.REST{APIKey: "k"}},
		"no credentials":       {toolURL, stackstorm.REST{}},
		"key and token":        {toolURL, stackstorm.REST{APIKey: "k", Token: "t"}},
		"key twice":            {toolURL, stackstorm.REST{APIKey: "k", APIKeyFile: "/nonexistent"}},
		"file that is missing": {toolURL, stackstorm.REST{TokenFile: "/nonexistent"}},
	} {
		if _, err := stackstorm.NewWriter(c.url, c.rest, adapters.Options{}); !errors.Is(err, oslc.Invalid) {
			t.Errorf("%s: %v, want kind invalid", name, err)
		}
	}
}
