package oslcserver_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/oslcserver"
	"github.com/oslcbus/oslcbus/oslc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "not-a-real-secret"
	ns     = "https://example.org/ns#"
)

const prefixes = `@prefix oslc: <http://open-services.net/ns/core#> . @prefix draft: <http://open-services.net/ns/actions#> .
@prefix auto: <http://open-services.net/ns/auto#> . @prefix http: <http://www.w3.org/2011/http#> . @prefix m: <http://www.w3.org/2011/http-methods#> .
@prefix dcterms: <http://purl.org/dc/terms/> . @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix ex: <https://example.org/ns#> .
`

// A foreign server answers with documents, by path, and writes down what it is sent.
type foreign struct {
	*httptest.Server
	mu    sync.Mutex
	docs  map[string]string // Turtle without prefixes
	does  map[string]http.HandlerFunc
	calls []call
	// made is what was done, by the key of the call.
	made map[string]int
}

type call struct{ method, path, body, kind, auth, key string }

func newForeign(t testing.TB) *foreign {
	f := &foreign{docs: map[string]string{}, does: map[string]http.HandlerFunc{}, made: map[string]int{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *foreign) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method != http.MethodGet {
		f.calls = append(f.calls, call{r.Method, r.URL.Path, string(body), r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key")})
	}
	if do := f.does[r.Method+" "+r.URL.Path]; do != nil {
		do(w, r)
		return
	}
	doc, ok := f.docs[r.URL.Path]
	if r.Method != http.MethodGet || !ok {
		http.Error(w, "nothing is here", http.StatusNotFound)
		return
	}
	turtle(w, 200, doc)
}

func turtle(w http.ResponseWriter, status int, doc string) {
	w.Header().Set("Content-Type", "text/turtle")
	w.WriteHeader(status)
	fmt.Fprint(w, prefixes+doc)
}

// effects is how often something was done.
func (f *foreign) effects() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.made)
}

// once does something for each key.
func (f *foreign) once(key string) int {
	if _, again := f.made[key]; !again {
		f.made[key] = len(f.made) + 1
	}
	return f.made[key]
}

func (f *foreign) config() oslcserver.Config {
	return oslcserver.Config{Servers: []oslcserver.ServerConfig{{URL: f.URL, Token: secret}}, Poll: time.Millisecond, Within: 20 * time.Second}
}

func open(t testing.TB, cfg oslcserver.Config, opts adapters.Options) *oslcserver.Executor {
	t.Helper()
	opts.Name, opts.BaseURL = "anywhere", "https://bus.example"
	x, err := oslcserver.New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (f *foreign) ask(id, action string, parameters map[string]any) oslc.Request {
	with := map[string]any{"resource": f.URL + "/r/1", "action": action}
	if parameters != nil {
		with["parameters"] = parameters
	}
	return oslc.Request{ID: oslc.NewID(id), URI: "https://bus.example/services/bus/requests/" + id, Action: oslcserver.Perform, Parameters: with}
}

// bound is a resource that offers ex:Do by a binding.
func bound(binding string) string {
	return `<> oslc:action <#do> . <#do> a oslc:Action, ex:Do ; dcterms:title "Do" ; oslc:binding [ a http:Request ; http:httpVersion "1.1" ; ` + binding + ` ] .`
}

const (
	empty = `http:mthd m:POST ; http:requestURI </do> ; http:body rdf:nil ; oslc:finalStatusLocation http:StatusCode`
	later = `http:mthd m:POST ; http:requestURI </requests> ; oslc:finalStatusLocation auto:AutomationResult ; http:body [ a auto:AutomationRequest ;
		dcterms:title "Build" ; auto:executesAutomationPlan </plans/1> ; auto:inputParameter [ a auto:ParameterInstance ; oslc:name "a" ; rdf:value "1" ] ,
		[ a auto:ParameterInstance ; oslc:name "b" ; rdf:value "2" ] ]`
)

func TestExecutor(t *testing.T) {
	t.Parallel()
	for name, pattern := range map[string]string{"empty body": empty, "AutomationRequest": later} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adaptertest.Executor(t, adaptertest.ExecutorConfig{
				Tool: func(context.Context) (adaptertest.ExecutorTool, error) {
					f := newForeign(t)
					f.docs["/r/1"] = bound(pattern)
					f.does["POST /do"] = func(_ http.ResponseWriter, r *http.Request) { f.once(r.Header.Get("Idempotency-Key")) }
					f.does["POST /requests"] = func(w http.ResponseWriter, r *http.Request) {
						n := f.once(r.Header.Get("Idempotency-Key"))
						f.docs[fmt.Sprintf("/results/%d", n)] = fmt.Sprintf(`<> a auto:AutomationResult ; auto:state auto:complete ; auto:verdict auto:passed ; auto:producedByAutomationRequest </requests/%d> .`, n)
						f.docs[fmt.Sprintf("/requests/%d", n)] = fmt.Sprintf(`<> a auto:AutomationRequest ; auto:state auto:complete ; auto:producedAutomationResult </results/%d> .`, n)
						w.Header().Set("Location", fmt.Sprintf("%s/requests/%d", f.URL, n))
						w.WriteHeader(http.StatusCreated)
					}
					return adaptertest.ExecutorTool{
						// The tool has another address in every check; what is asked for names none.
						Open: func(log *slog.Logger) (adapters.Executor, error) {
							x := open(t, f.config(), adapters.Options{Logger: log})
							return moved{x, f}, nil
						},
						Effects: f.effects,
					}, nil
				},
				Request:     (&foreign{Server: &httptest.Server{URL: "http://tool.example"}}).ask("works", ns+"Do", nil),
				Failing:     (&foreign{Server: &httptest.Server{URL: "http://tool.example"}}).ask("fails", ns+"DoNot", nil),
				FailingKind: oslc.Conflict,
				Secrets:     []string{secret},
			})
		})
	}
}

// moved asks the server that there is.
type moved struct {
	x *oslcserver.Executor
	f *foreign
}

func (m moved) Execute(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	if _, ok := r.Parameters["resource"]; ok {
		with := map[string]any{}
		maps.Copy(with, r.Parameters)
		with["resource"] = m.f.URL + "/r/1"
		r.Parameters = with
	}
	return m.x.Execute(ctx, r)
}

// TestPatterns: each pattern is followed by the letter of its binding.
func TestPatterns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		doc        string
		more       map[string]string
		parameters map[string]any
		path       string
		kind       string
		body       []string
		not        []string
	}{
		"empty body": {doc: bound(empty), path: "/do"},
		"the terms of the draft": {
			doc:  `<> draft:action <#do> . <#do> a draft:Action, ex:Do ; draft:binding [ a http:Request ; http:httpVersion "1.1" ; ` + empty + ` ] .`,
			path: "/do",
		},
		"described elsewhere": {
			doc: `<> oslc:action </actions/do> .`,
			more: map[string]string{
				"/actions/do": `<> a oslc:Action, ex:Do ; oslc:binding </bindings/1> .`,
				"/bindings/1": `<> a http:Request ; http:httpVersion "1.1" ; ` + empty + ` .`,
			},
			path: "/do",
		},
		"a body by a shape": {
			doc: bound(`http:mthd m:POST ; http:requestURI </do> ; http:body </shapes/do> ; oslc:finalStatusLocation http:StatusCode`),
			more: map[string]string{"/shapes/do": `<> a oslc:ResourceShape ; oslc:describes ex:Do ;
				oslc:property [ a oslc:Property ; oslc:name "comment" ; oslc:propertyDefinition ex:comment ; oslc:occurs oslc:Exactly-one ; oslc:valueType xsd:string ] ,
				[ a oslc:Property ; oslc:name "count" ; oslc:propertyDefinition ex:count ; oslc:occurs oslc:Zero-or-one ; oslc:valueType xsd:integer ] ,
				[ a oslc:Property ; oslc:name "see" ; oslc:propertyDefinition ex:see ; oslc:occurs oslc:Zero-or-many ; oslc:valueType oslc:Resource ] .`},
			parameters: map[string]any{"comment": "because", "count": int64(3), ns + "see": []any{"https://example.org/1", "https://example.org/2"}},
			path:       "/do", kind: "text/turtle", body: []string{"<https://example.org/ns#Do>", `"because"`, "<https://example.org/ns#count> 3", "<https://example.org/1>"},
		},
		"a fixed resource": {
			doc:  bound(`http:mthd m:PUT ; http:requestURI </do> ; oslc:finalStatusLocation http:StatusCode ; http:body [ a auto:ParameterInstance ; rdf:value </fixed> ]`) + ` </fixed> ex:is [ ex:deep "yes" ] ; ex:of <> . <> ex:private "no" .`,
			path: "/do", kind: "text/turtle", body: []string{`"yes"`}, not: []string{"private"},
		},
		"a fixed text": {
			doc:  bound(`http:mthd m:POST ; http:requestURI </do> ; oslc:finalStatusLocation http:StatusCode ; http:body [ a auto:ParameterInstance ; rdf:value "<a/>"^^rdf:XMLLiteral ]`),
			path: "/do", kind: "application/xml", body: []string{"<a/>"},
		},
		"an AutomationRequest": {doc: bound(later), path: "/requests", kind: "text/turtle", body: []string{"executesAutomationPlan", "/plans/1", `"1"`, `"2"`}},
		"one with values": {
			doc: bound(later), parameters: map[string]any{"b": "mine", "c": true},
			path: "/requests", kind: "text/turtle", body: []string{`"1"`, `"mine"`, "true"}, not: []string{`"2"`},
		},
		"the one that the server prefers": {
			doc: bound(empty) + `<#do> oslc:binding [ a http:Request ; http:httpVersion "1.1" ; oslc:usage oslc:default ; http:mthd m:POST ; http:requestURI </preferred> ;
				http:body rdf:nil ; oslc:finalStatusLocation http:StatusCode ] .`,
			path: "/preferred",
		},
		"the one that a program can follow": {
			doc: bound(empty) + `<#do> oslc:binding [ a oslc:Dialog ; oslc:usage oslc:default ; oslc:dialog </dialog> ; oslc:finalStatusLocation oslc:ActionDialog ] ,
				[ a http:Request ; oslc:usage oslc:default ; http:httpVersion "1.1" ; http:mthd m:POST ; http:requestURI </no> ; http:body rdf:nil ; http:headers () ; oslc:finalStatusLocation http:StatusCode ] .`,
			path: "/do",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForeign(t)
			f.docs["/r/1"] = c.doc
			maps.Copy(f.docs, c.more)
			for _, path := range []string{"POST /do", "PUT /do", "POST /preferred"} {
				f.does[path] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
			}
			f.does["POST /requests"] = func(w http.ResponseWriter, _ *http.Request) {
				turtle(w, 200, `<> a auto:AutomationResult ; auto:state auto:complete ; auto:verdict auto:passed .`)
			}
			r := f.ask(name, ns+"Do", c.parameters)
			res, err := open(t, f.config(), adapters.Options{}).Execute(t.Context(), r)
			if err != nil || res.Verdict != oslc.Passed {
				t.Fatalf("%+v, %v", res, err)
			}
			if len(f.calls) != 1 {
				t.Fatalf("calls: %+v", f.calls)
			}
			got := f.calls[0]
			if got.path != c.path || got.kind != c.kind || got.auth != "Bearer "+secret || got.key != r.ID {
				t.Errorf("called %+v", got)
			}
			for _, want := range c.body {
				if !strings.Contains(got.body, want) {
					t.Errorf("the body lacks %s:\n%s", want, got.body)
				}
			}
			for _, not := range c.not {
				if strings.Contains(got.body, not) {
					t.Errorf("the body has %s:\n%s", not, got.body)
				}
			}
		})
	}
}

// TestFollow: what an AutomationResult says is how it ended, whenever it says it.
func TestFollow(t *testing.T) {
	t.Parallel()
	const at = `<> a auto:AutomationRequest ; oslc:serviceProvider </provider> ; auto:state `
	const provider = `<> a oslc:ServiceProvider ; oslc:service [ a oslc:Service ; oslc:queryCapability [ a oslc:QueryCapability ; oslc:queryBase </results> ; oslc:resourceType auto:AutomationResult ] ] .`
	for name, c := range map[string]struct {
		steps   []string // of the request, one after the other
		results []string // of the result, one after the other
		want    oslc.Verdict
		says    string
	}{
		"passed":                 {[]string{at + `auto:inProgress .`, at + `auto:complete ; auto:producedAutomationResult </results/1> .`}, []string{`auto:complete ; auto:verdict auto:passed`}, oslc.Passed, ""},
		"failed":                 {[]string{at + `auto:complete ; auto:producedAutomationResult </results/1> .`}, []string{`auto:complete ; auto:verdict auto:failed ; dcterms:description "no such branch"`}, oslc.Failed, "no such branch"},
		"an error":               {[]string{at + `auto:complete ; auto:producedAutomationResult </results/1> .`}, []string{`auto:complete ; auto:verdict auto:error`}, oslc.Errored, ""},
		"a warning":              {[]string{at + `auto:complete ; auto:producedAutomationResult </results/1> .`}, []string{`auto:complete ; auto:verdict auto:warning`}, oslc.Warning, ""},
		"canceled":               {[]string{at + `auto:canceled .`}, nil, oslc.NoVerdict, "canceled"},
		"a result that goes on":  {[]string{at + `auto:inProgress ; auto:producedAutomationResult </results/1> .`}, []string{`auto:inProgress ; auto:verdict auto:unavailable`, `auto:complete ; auto:verdict auto:passed`}, oslc.Passed, ""},
		"found by a query":       {[]string{at + `auto:complete .`}, []string{`auto:complete ; auto:verdict auto:passed`}, oslc.Passed, ""},
		"a verdict of their own": {[]string{at + `auto:complete ; auto:producedAutomationResult </results/1> .`}, []string{`auto:complete ; auto:verdict ex:splendid`}, oslc.Warning, "splendid"},
		"no verdict":             {[]string{at + `auto:complete ; auto:producedAutomationResult </results/1> .`}, []string{`auto:complete`}, oslc.Warning, "without a verdict"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForeign(t)
			f.docs["/r/1"], f.docs["/provider"] = bound(later), provider
			next := func(all []string, i *int) string {
				doc := all[min(*i, len(all)-1)]
				*i++
				return doc
			}
			var step, result int
			f.does["POST /requests"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/requests/1")
				w.WriteHeader(http.StatusCreated)
			}
			f.does["GET /requests/1"] = func(w http.ResponseWriter, _ *http.Request) { turtle(w, 200, next(c.steps, &step)) }
			f.does["GET /results"] = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("oslc.where") != "oslc_auto:producedByAutomationRequest=<"+f.URL+"/requests/1>" {
					http.Error(w, "another query", http.StatusBadRequest)
					return
				}
				turtle(w, 200, `<> <http://www.w3.org/2000/01/rdf-schema#member> </results/1> . </results/1> auto:producedByAutomationRequest </requests/1> .`)
			}
			f.does["GET /results/1"] = func(w http.ResponseWriter, _ *http.Request) {
				turtle(w, 200, `<> a auto:AutomationResult ; auto:producedByAutomationRequest </requests/1> ; auto:state `+next(c.results, &result)+` .`)
			}
			res, err := open(t, f.config(), adapters.Options{}).Execute(t.Context(), f.ask(name, ns+"Do", nil))
			if err != nil || res.Verdict != c.want || !strings.Contains(res.Message, c.says) {
				t.Errorf("%+v, %v", res, err)
			}
			if len(f.calls) != 1 {
				t.Errorf("called %d times", len(f.calls))
			}
		})
	}
}

// TestHostile: whatever a server says, nothing but what the configuration names is
// called, nothing is called twice, and it ends.
func TestHostile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		doc     string
		does    map[string]func(f *foreign, other string) http.HandlerFunc
		within  time.Duration
		want    oslc.Kind
		verdict oslc.Verdict // where there is no error
		says    string
		calls   int
	}{
		"no action":                {doc: `<> a ex:Thing .`, want: oslc.Conflict, says: "does not offer"},
		"no binding":               {doc: `<> oslc:action <#do> . <#do> a oslc:Action, ex:Do .`, want: oslc.Unsupported, says: "no binding"},
		"two final statuses":       {doc: bound(empty + ` ; oslc:finalStatusLocation oslc:Dialog`), want: oslc.Unsupported, says: "2 values of oslc:finalStatusLocation"},
		"none":                     {doc: bound(`http:mthd m:POST ; http:requestURI </do> ; http:body rdf:nil`), want: oslc.Unsupported, says: "0 values of oslc:finalStatusLocation"},
		"an unknown final status":  {doc: bound(`http:mthd m:POST ; http:requestURI </do> ; http:body rdf:nil ; oslc:finalStatusLocation ex:Moon`), want: oslc.Unsupported, says: "#Moon"},
		"two addresses":            {doc: bound(empty + ` ; http:requestURI </other>`), want: oslc.Unsupported, says: "2 values of http:requestURI"},
		"another host":             {doc: bound(strings.Replace(empty, "</do>", "<OTHER/do>", 1)), want: oslc.Unsupported, says: "on no server that the configuration names"},
		"a name in the address":    {doc: bound(strings.Replace(empty, "</do>", "<NAMED/do>", 1)), want: oslc.Unsupported, says: "on no server"},
		"another scheme":           {doc: bound(strings.Replace(empty, "</do>", "<file:///etc/passwd>", 1)), want: oslc.Unsupported, says: "on no server"},
		"a literal address":        {doc: bound(strings.Replace(empty, "</do>", `"/do"`, 1)), want: oslc.Unsupported, says: "no IRI"},
		"GET":                      {doc: bound(strings.Replace(empty, "m:POST", "m:GET", 1)), want: oslc.Unsupported, says: "the method"},
		"HTTP/2":                   {doc: strings.Replace(bound(empty), `"1.1"`, `"2"`, 1), want: oslc.Unsupported, says: `asks for HTTP "2"`},
		"header fields":            {doc: bound(empty + ` ; http:headers ( [ ex:a "b" ] )`), want: oslc.Unsupported, says: "header fields"},
		"two of the class":         {doc: bound(empty) + `<> oslc:action <#two> . <#two> a oslc:Action, ex:Do .`, want: oslc.Invalid, says: "2 actions"},
		"an unknown body":          {doc: bound(`http:mthd m:POST ; http:requestURI </do> ; http:body [ a ex:Thing ] ; oslc:finalStatusLocation http:StatusCode`), want: oslc.Unsupported, says: "no pattern"},
		"a request by PUT":         {doc: bound(strings.Replace(later, "m:POST", "m:PUT", 1)), want: oslc.Unsupported, says: "posted"},
		"a request with no plan":   {doc: bound(strings.Replace(later, "auto:executesAutomationPlan </plans/1> ;", "", 1)), want: oslc.Unsupported, says: "names no plan"},
		"a shape that is not one":  {doc: bound(`http:mthd m:POST ; http:requestURI </do> ; http:body </shape> ; oslc:finalStatusLocation http:StatusCode`) + `</shape> a oslc:ResourceShape .`, want: oslc.Unsupported, says: "its shape"},
		"a circle of descriptions": {doc: `<> oslc:action <#do> .`, want: oslc.Conflict, says: "does not offer"},
		"an action on another host": {
			doc: `<> oslc:action <OTHER/do> .`, want: oslc.Denied, says: "on no server",
		},
		"no RDF": {
			does: map[string]func(*foreign, string) http.HandlerFunc{"GET /r/1": func(*foreign, string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }
			}},
			want: oslc.Invalid, says: "which is no RDF",
		},
		"a huge document": {
			does: map[string]func(*foreign, string) http.HandlerFunc{"GET /r/1": func(*foreign, string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) { turtle(w, 200, strings.Repeat("#", 3<<20)) }
			}},
			want: oslc.Invalid, says: "larger than",
		},
		"a redirect without end": {
			does: map[string]func(*foreign, string) http.HandlerFunc{"GET /r/1": func(*foreign, string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/r/1", http.StatusFound) }
			}},
			want: oslc.Unavailable, says: "redirects",
		},
		"a redirect to another host": {
			does: map[string]func(*foreign, string) http.HandlerFunc{"GET /r/1": func(_ *foreign, other string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, other+"/r/1", http.StatusTemporaryRedirect)
				}
			}},
			want: oslc.Denied, says: "on no server",
		},
		"a call sent on to another host": {
			doc: bound(empty),
			does: map[string]func(*foreign, string) http.HandlerFunc{"POST /do": func(_ *foreign, other string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, other+"/do", http.StatusTemporaryRedirect)
				}
			}},
			want: oslc.Denied, calls: 1,
		},
		"a call sent on to itself": {
			doc: bound(empty),
			does: map[string]func(*foreign, string) http.HandlerFunc{"POST /do": func(*foreign, string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, "/do", http.StatusPermanentRedirect)
				}
			}},
			want: oslc.Denied, calls: 1,
		},
		"a huge answer to the call": {
			doc: bound(empty),
			does: map[string]func(*foreign, string) http.HandlerFunc{"POST /do": func(*foreign, string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) { turtle(w, 200, strings.Repeat("#", 3<<20)) }
			}},
			verdict: oslc.Passed, calls: 1,
		},
		"never final": {
			doc: bound(later),
			does: map[string]func(*foreign, string) http.HandlerFunc{
				"POST /requests": func(*foreign, string) http.HandlerFunc {
					return func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Location", "/requests/1")
						w.WriteHeader(http.StatusCreated)
					}
				},
				"GET /requests/1": func(*foreign, string) http.HandlerFunc {
					return func(w http.ResponseWriter, _ *http.Request) {
						turtle(w, 200, `<> a auto:AutomationRequest ; auto:state auto:inProgress .`)
					}
				},
			},
			within: 3 * time.Second, verdict: oslc.Errored, says: "not final within", calls: 1,
		},
		"a request on another host": {
			doc: bound(later),
			does: map[string]func(*foreign, string) http.HandlerFunc{"POST /requests": func(_ *foreign, other string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Location", other+"/requests/1")
					w.WriteHeader(http.StatusCreated)
				}
			}},
			verdict: oslc.Errored, says: "on no server", calls: 1,
		},
		"a request that is nowhere": {
			doc: bound(later),
			does: map[string]func(*foreign, string) http.HandlerFunc{"POST /requests": func(*foreign, string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Location", "/requests/404")
					w.WriteHeader(http.StatusCreated)
				}
			}},
			verdict: oslc.Errored, says: "cannot be read", calls: 1,
		},
		"a request that is not named": {
			doc: bound(later),
			does: map[string]func(*foreign, string) http.HandlerFunc{"POST /requests": func(*foreign, string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }
			}},
			verdict: oslc.Warning, says: "does not say where", calls: 1,
		},
		"a result that is never there": {
			doc: bound(later),
			does: map[string]func(*foreign, string) http.HandlerFunc{
				"POST /requests": func(*foreign, string) http.HandlerFunc {
					return func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Location", "/requests/1")
						w.WriteHeader(http.StatusAccepted)
					}
				},
				"GET /requests/1": func(*foreign, string) http.HandlerFunc {
					return func(w http.ResponseWriter, _ *http.Request) {
						turtle(w, 200, `<> a auto:AutomationRequest ; auto:state auto:complete .`)
					}
				},
			},
			verdict: oslc.Warning, says: "cannot be found", calls: 1,
		},
		"refused, with the secret": {
			doc: bound(empty),
			does: map[string]func(*foreign, string) http.HandlerFunc{"POST /do": func(*foreign, string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					turtle(w, 409, `[] a oslc:Error ; oslc:message "`+r.Header.Get("Authorization")+` may not" .`)
				}
			}},
			want: oslc.Conflict, says: "Bearer <secret> may not", calls: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was called") }))
			t.Cleanup(other.Close)
			f := newForeign(t)
			doc := strings.ReplaceAll(c.doc, "OTHER", other.URL)
			doc = strings.ReplaceAll(doc, "NAMED", strings.Replace(f.URL, "http://", "http://user:pass@", 1))
			if doc != "" {
				f.docs["/r/1"] = doc
			}
			for path, do := range c.does {
				f.does[path] = do(f, other.URL)
			}
			cfg := f.config()
			if c.within > 0 {
				cfg.Within = c.within
			}
			counts := &adaptertest.Counts{}
			res, err := open(t, cfg, adapters.Options{Metrics: counts}).Execute(t.Context(), f.ask(name, ns+"Do", nil))
			said := res.Message
			if err != nil {
				said = err.Error()
			}
			if (err == nil) != (c.verdict != "") || res.Verdict != c.verdict || err != nil && oslc.KindOf(err) != c.want || !strings.Contains(said, c.says) || strings.Contains(said, secret) {
				t.Errorf("%+v, %v", res, err)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if n := counts.Of("performed_action") + counts.Of("refused_action"); len(f.calls) != c.calls || n != c.calls {
				t.Errorf("called %d times, counted %d, want %d", len(f.calls), n, c.calls)
			}
		})
	}
}

// TestCredentials: each server gets its own, and a redirect carries none along.
func TestCredentials(t *testing.T) {
	t.Parallel()
	a, b := newForeign(t), newForeign(t)
	var seen []string
	b.does["GET /r/1"] = func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		turtle(w, 200, strings.ReplaceAll(bound(strings.Replace(empty, "</do>", "<"+a.URL+"/do>", 1)), "<>", "<"+a.URL+"/r/1>"))
	}
	a.does["GET /r/1"] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, b.URL+"/r/1", http.StatusFound) }
	a.does["POST /do"] = func(http.ResponseWriter, *http.Request) {}
	cfg := a.config()
	cfg.Servers = append(cfg.Servers, oslcserver.ServerConfig{URL: b.URL, User: "bus", Password: "another"})
	res, err := open(t, cfg, adapters.Options{}).Execute(t.Context(), a.ask("x", ns+"Do", nil))
	if err != nil || res.Verdict != oslc.Passed {
		t.Fatalf("%+v, %v", res, err)
	}
	if len(seen) != 1 || seen[0] != "Basic YnVzOmFub3RoZXI=" || len(a.calls) != 1 || a.calls[0].auth != "Bearer "+secret {
		t.Errorf("seen %q, called %+v", seen, a.calls)
	}
}

// TestMaybeDone: what is offered no more may have been done; what must not be repeated
// is not.
func TestMaybeDone(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	f.docs["/r/1"] = `<> a ex:Thing .`
	r := f.ask("x", ns+"Do", nil)
	r.MaybeDoneAt = time.Now()
	res, err := open(t, f.config(), adapters.Options{}).Execute(t.Context(), r)
	if err != nil || res.Verdict != oslc.Warning {
		t.Errorf("%+v, %v", res, err)
	}
	f.docs["/r/1"] = bound(empty)
	cfg := f.config()
	cfg.Once = true
	if _, err := open(t, cfg, adapters.Options{}).Execute(t.Context(), r); oslc.KindOf(err) != oslc.Conflict || len(f.calls) > 0 {
		t.Errorf("%v, called %d times", err, len(f.calls))
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*oslcserver.Config){
		"servers is empty":            func(c *oslcserver.Config) { c.Servers = nil },
		"servers[0]: url":             func(c *oslcserver.Config) { c.Servers[0].URL = "https://a:b@rm.example" },
		"a scheme, a name":            func(c *oslcserver.Config) { c.Servers[0].URL = "https://rm.example/path" },
		"user and password, or token": func(c *oslcserver.Config) { c.Servers[0].User = "u" },
		"user and password belong":    func(c *oslcserver.Config) { c.Servers[0].Token, c.Servers[0].User = "", "u" },
		"is there twice": func(c *oslcserver.Config) {
			c.Servers = append(c.Servers, oslcserver.ServerConfig{URL: "HTTPS://RM.example:443"})
		},
		"poll cannot be negative":       func(c *oslcserver.Config) { c.Poll = -1 },
		"token and token_file are both": func(c *oslcserver.Config) { c.Servers[0].TokenFile = "x" },
	} {
		cfg := oslcserver.Config{Servers: []oslcserver.ServerConfig{{URL: "https://rm.example", Token: secret}}}
		change(&cfg)
		_, err := oslcserver.Build(func(v any) error { *v.(*oslcserver.Config) = cfg; return nil }, adapters.Options{Name: "x", BaseURL: "https://bus.example"})
		if err == nil || !strings.Contains(err.Error(), want) || oslc.KindOf(err) != oslc.Invalid {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestCancel: a request that another server carries out is stopped there; what is not
// asked for yet never is, and a single message cannot be stopped.
func TestCancel(t *testing.T) {
	t.Parallel()
	f := newForeign(t)
	state, put := "auto:inProgress", ""
	looked := make(chan struct{}, 1000)
	f.docs["/r/1"] = bound(later)
	f.does["POST /requests"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/requests/1")
		w.WriteHeader(http.StatusCreated)
	}
	f.does["GET /requests/1"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"7"`)
		turtle(w, 200, `<> a auto:AutomationRequest ; dcterms:title "Build" ; auto:state `+state+` ; auto:desiredState auto:complete .`)
		select {
		case looked <- struct{}{}:
		default: // nobody waits for so many
		}
	}
	f.does["PUT /requests/1"] = func(w http.ResponseWriter, r *http.Request) {
		state, put = "auto:canceled", r.Header.Get("If-Match")
		w.WriteHeader(http.StatusOK)
	}
	x := open(t, f.config(), adapters.Options{})
	r := f.ask("x", ns+"Do", nil)
	if begun, err := x.Cancel(t.Context(), r); begun || err != nil {
		t.Errorf("before anything: %v, %v", begun, err)
	}
	type outcome struct {
		res oslc.Result
		err error
	}
	ended := make(chan outcome, 1)
	go func() {
		res, err := x.Execute(t.Context(), r)
		ended <- outcome{res, err}
	}()
	<-looked
	if begun, err := x.Cancel(t.Context(), r); !begun || err != nil {
		t.Errorf("in work: %v, %v", begun, err)
	}
	got := <-ended
	if got.err != nil || got.res.State != oslc.Canceled || got.res.Verdict != oslc.NoVerdict {
		t.Errorf("%+v, %v", got.res, got.err)
	}
	f.mu.Lock()
	last := f.calls[len(f.calls)-1]
	f.mu.Unlock()
	if put != `"7"` || !strings.Contains(last.body, "auto#canceled") || strings.Contains(last.body, "desiredState> <http://open-services.net/ns/auto#complete") || !strings.Contains(last.body, "Build") {
		t.Errorf("put with If-Match %s:\n%s", put, last.body)
	}
	// A server that refuses.
	f.mu.Lock()
	state = "auto:inProgress"
	f.does["PUT /requests/1"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }
	f.mu.Unlock()
	again := f.ask("again", ns+"Do", nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		res, err := x.Execute(ctx, again)
		ended <- outcome{res, err}
	}()
	for len(looked) > 0 {
		<-looked
	}
	<-looked
	if begun, err := x.Cancel(t.Context(), again); !begun || oslc.KindOf(err) != oslc.Unsupported {
		t.Errorf("where it is refused: %v, %v", begun, err)
	}
	cancel()
	<-ended
	// A single message that is on its way.
	hold := make(chan struct{})
	arrived := make(chan struct{})
	f.mu.Lock()
	f.docs["/r/1"] = bound(strings.Replace(empty, "/do", "/slow", 1))
	f.mu.Unlock()
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(arrived); <-hold }))
	t.Cleanup(slow.Close)
	f.mu.Lock()
	f.docs["/r/1"] = bound(strings.Replace(empty, "</do>", "<"+slow.URL+"/do>", 1))
	f.mu.Unlock()
	cfg := f.config()
	cfg.Servers = append(cfg.Servers, oslcserver.ServerConfig{URL: slow.URL})
	y := open(t, cfg, adapters.Options{})
	single := f.ask("single", ns+"Do", nil)
	go func() {
		res, err := y.Execute(t.Context(), single)
		ended <- outcome{res, err}
	}()
	<-arrived
	if begun, err := y.Cancel(t.Context(), single); !begun || oslc.KindOf(err) != oslc.Unsupported {
		t.Errorf("a single message: %v, %v", begun, err)
	}
	close(hold)
	if got := <-ended; got.err != nil || got.res.Verdict != oslc.Passed {
		t.Errorf("%+v, %v", got.res, got.err)
	}
}
