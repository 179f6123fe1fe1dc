package oslcserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/oslc"
)

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
