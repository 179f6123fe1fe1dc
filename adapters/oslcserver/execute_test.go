package oslcserver_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/oslcserver"
	"github.com/oslcbus/oslcbus/oslc"
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
