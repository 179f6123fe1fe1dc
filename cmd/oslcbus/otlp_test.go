//go:build otlp

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// receiver is a collector of OTLP over HTTP, as far as traces go.
type receiver struct {
	*httptest.Server
	status int

	mu     sync.Mutex
	bodies map[string][]byte // of each media type, one after the other
	paths  []string
}

func newReceiver(t *testing.T, status int) *receiver {
	r := &receiver{status: status, bodies: map[string][]byte{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	kind := req.Header.Get("Content-Type")
	r.bodies[kind] = append(append(r.bodies[kind], body...), '\n')
	r.paths = append(r.paths, req.Method+" "+req.URL.Path+" "+req.Header.Get("X-Tenant"))
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(r.status)
}

// demoScript runs the script of the demo, which does the whole way, and returns the log.
func demoScript(t *testing.T) (code int, log string) {
	var out, err bytes.Buffer
	code = run(t.Context(), &program{strings.NewReader(""), &out, &err}, []string{"demo", "-script", "-listen", "127.0.0.1:0", "-log", "warn"})
	if code != exitOK {
		t.Logf("the demo says\n%s\n%s", out.String(), err.String())
	}
	return code, err.String()
}

// exported are the parts of ExportTraceServiceRequest that are looked at here, in the
// JSON of OTLP.
type exported struct {
	ResourceSpans []struct {
		Resource struct {
			Attributes []struct {
				Key   string
				Value struct{ StringValue string }
			}
		}
		ScopeSpans []struct{ Spans []exportedSpan }
	}
}

type exportedSpan struct{ TraceID, SpanID, ParentSpanID, Name string }

// TestOTLP_json: all spans of a chain get to a collector before the program ends, and hang
// together; the environment says who sends them.
func TestOTLP_json(t *testing.T) {
	r := newReceiver(t, http.StatusOK)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=builds")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=bus-of-tests,deployment.environment=test")
	if code, log := demoScript(t); code != exitOK || strings.Contains(log, "not exported") {
		t.Fatalf("exit code %d: %s", code, log)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	byID, service := map[string]exportedSpan{}, map[string]string{}
	var last []exportedSpan
	for dec := json.NewDecoder(bytes.NewReader(r.bodies["application/json"])); ; {
		var in exported
		if err := dec.Decode(&in); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, rs := range in.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				service[a.Key] = a.Value.StringValue
			}
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					byID[s.TraceID+s.SpanID] = s
					if s.Name == "attempt jira" {
						last = append(last, s)
					}
				}
			}
		}
	}
	if len(last) == 0 {
		t.Fatalf("no attempt was told: %s", r.bodies)
	}
	s := last[0]
	for _, above := range []string{"execute jira", "ask jira", "rule rule-disabled-ticket", "publish st2"} {
		up, ok := byID[s.TraceID+s.ParentSpanID]
		if !ok || up.Name != above {
			t.Fatalf("above %q is %q, want %q", s.Name, up.Name, above)
		}
		s = up
	}
	if s.ParentSpanID != "" {
		t.Errorf("above the event is %s", s.ParentSpanID)
	}
	if service["service.name"] != "bus-of-tests" || service["deployment.environment"] != "test" || service["service.version"] == "" || service["telemetry.sdk.name"] == "" {
		t.Errorf("the spans are of %v", service)
	}
	for _, p := range r.paths {
		if p != "POST /v1/traces builds" {
			t.Errorf("the collector was called with %s", p)
		}
	}
}

// TestOTLP_protobuf: without more than an address spans go out as OTLP has it by default.
func TestOTLP_protobuf(t *testing.T) {
	r := newReceiver(t, http.StatusOK)
	if code, log := demoScript(t); code != exitOK || strings.Contains(log, "not exported") {
		t.Fatalf("exit code %d: %s", code, log)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, want := range []string{"publish st2", "attempt jira", "oslcbus"} { // text is as it is in protobuf
		if !bytes.Contains(r.bodies["application/x-protobuf"], []byte(want)) {
			t.Errorf("nothing of %q in what was sent", want)
		}
	}
}

// TestOTLP_refused: a collector that takes nothing is told once a reason, and does no harm.
func TestOTLP_refused(t *testing.T) {
	r := newReceiver(t, http.StatusBadRequest)
	code, log := demoScript(t)
	if code != exitOK || !strings.Contains(log, "not exported") {
		t.Errorf("exit code %d: %s", code, log)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.paths) == 0 {
		t.Error("the collector was not called")
	}
}

// TestOTLP_settings: without a collector nothing is sent, and what there is not is refused.
func TestOTLP_settings(t *testing.T) {
	for _, c := range []struct {
		name, value string
		code, calls int
	}{
		{"OTEL_SDK_DISABLED", "true", exitOK, 0},
		{"OTEL_TRACES_EXPORTER", "none", exitOK, 0},
		{"OTEL_TRACES_EXPORTER", "zipkin", exitInvalid, 0},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", exitInvalid, 0},
	} {
		t.Run(c.name+" "+c.value, func(t *testing.T) {
			r := newReceiver(t, http.StatusOK)
			t.Setenv(c.name, c.value)
			code, log := demoScript(t)
			r.mu.Lock()
			defer r.mu.Unlock()
			if code != c.code || len(r.paths) != c.calls || code == exitInvalid && !strings.Contains(log, c.name) {
				t.Errorf("exit code %d, want %d; %d calls: %s", code, c.code, len(r.paths), log)
			}
		})
	}
}
