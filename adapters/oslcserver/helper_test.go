package oslcserver_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oslcbus/oslcbus/adapters"
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
