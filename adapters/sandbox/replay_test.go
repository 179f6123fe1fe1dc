package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

// otherwise are the recorded exchanges about rules where the stand-in answers
// otherwise than StackStorm, and why. All others must agree.
var otherwise = map[int]string{
	43:  "the stand-in takes no forms",
	50:  "the stand-in has its page at the root, and says 404 in plain text",
	56:  "the stand-in sorts by ref alone",
	57:  "the stand-in has no include_attributes",
	59:  "the stand-in has no include_attributes and one user",
	60:  "the stand-in has no views",
	131: "the stand-in wants the version of the API in the path",
	132: "the stand-in answers below /api as well, where StackStorm's proxy has it",
	133: "the stand-in has no OPTIONS",
	134: "the stand-in's HEAD does not fail",
	146: "the stand-in always asks who it is",
	147: "the stand-in always asks who it is",
}

// firstLine are faults whose further lines quote StackStorm's own schema, and a
// parser's words.
var firstLine = map[int]bool{27: true, 28: true}

// changing are the steps after which a rule is another one in MongoDB; step 76 only
// changes who wrote it last, and the stand-in has one user.
var changing = []int{
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 30, 38, 42, 67, 69, 70, 71, 72, 73, 74, 75, 77, 78, 79, 82, 120, 121, 135, 141, 142, 144, 145,
}

type exchange struct {
	Step            int
	Name            string
	Method          string
	Path            string
	Service         string
	RequestHeaders  map[string]string `json:"request_headers"`
	RequestBody     json.RawMessage   `json:"request_body"`
	Status          int
	ResponseHeaders map[string]string `json:"response_headers"`
	ResponseBody    json.RawMessage   `json:"response_body"`
}

// body is what was sent: JSON, or a string that holds something else.
func (x *exchange) body() string {
	var s string
	if json.Unmarshal(x.RequestBody, &s) == nil {
		return s
	}
	return string(x.RequestBody)
}

var (
	objectID   = regexp.MustCompile(`\b[0-9a-f]{24}\b`)
	triggerRef = regexp.MustCompile(`"core\.[0-9a-f]{8}-[0-9a-f-]{27}"`)
)

// fromFiles are the rules that the packs brought, which the stand-in does not have.
var fromFiles = []string{"hello_st2.on_hello_event1", "oslcdemo.from_file"}

// recorded reads the exchanges about rules, oldest first. The trigger type of a pack
// is replaced by one that the stand-in has.
func recorded(t *testing.T) []*exchange {
	t.Helper()
	return slices.DeleteFunc(exchanges(t), func(x *exchange) bool {
		return !strings.Contains(x.Path, "/rules") && x.Path != "/v1/rulez" && x.Path != "/nothing"
	})
}

// exchanges reads all of them.
func exchanges(t *testing.T) []*exchange {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testkit.Shared(t, "testdata", "stackstorm", "rest"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no exchanges: %v", err)
	}
	var out []*exchange
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(b), "oslcdemo.build_done", "core.st2.generic.notifytrigger")), x); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out = append(out, x)
	}
	return out
}

// TestReplay sends what a real StackStorm was sent and compares the answers.
func TestReplay(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{} // recorded -> ours
	at := mongodb.Position{}
	var changed []int
	for _, x := range recorded(t) {
		t.Run(fmt.Sprintf("%03d-%s", x.Step, x.Name), func(t *testing.T) {
			if why := otherwise[x.Step]; why != "" {
				t.Log(why)
				return
			}
			ours := func(text string) string {
				return objectID.ReplaceAllStringFunc(text, func(id string) string {
					if to := ids[id]; to != "" {
						return to
					}
					return id
				})
			}
			body := ours(x.body())
			if body == "null" {
				body = ""
			}
			r := httptest.NewRequestWithContext(t.Context(), x.Method, ours(x.Path), strings.NewReader(body))
			for k, v := range x.RequestHeaders {
				if v == "<token>" || v == "<api key>" {
					v = sandbox.Token
					if x.Status == 401 {
						v = "wrong"
					}
				}
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			answer, err := io.ReadAll(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if w.Code != x.Status {
				t.Fatalf("status %d, want %d: %s", w.Code, x.Status, answer)
			}
			if x.Status == 201 {
				var theirs, made struct{ ID string }
				if json.Unmarshal(x.ResponseBody, &theirs) != nil || json.Unmarshal(answer, &made) != nil || made.ID == "" {
					t.Fatalf("no id in %s", answer)
				}
				ids[theirs.ID] = made.ID
			}
			want, hidden := normal(t, x, ours(string(x.ResponseBody)))
			got, _ := normal(t, x, string(answer))
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
			headers(t, x, w, hidden)

			changes := since(t, s, at)
			for _, c := range changes {
				if at = (mongodb.Position{Place: c.At}); c.Collection == "rule_d_b" && !slices.Contains(changed, x.Step) {
					changed = append(changed, x.Step)
				}
			}
		})
	}
	if d := cmp.Diff(changing, changed); d != "" {
		t.Errorf("steps that change a rule (-want +got):\n%s", d)
	}
}

// since returns the changes after a place.
func since(t *testing.T, s *sandbox.StackStorm, at mongodb.Position) []mongodb.Change {
	t.Helper()
	if at.Token == "" {
		at = mongodb.Position{ByTime: true, Place: mongodb.Place{Time: mongodb.NewClusterTime(1, 1)}}
	}
	stream, err := s.Server().Watch(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	b, err := stream.Next(t.Context()) // the first answer comes at once
	if err != nil {
		t.Fatal(err)
	}
	return b.Changes
}

// normal takes out of a body what differs by nature: random ids of triggers, who
// wrote a rule, and rules that the stand-in does not have.
func normal(t *testing.T, x *exchange, text string) (body any, hidden int) {
	t.Helper()
	if text == "" || text == `""` {
		return nil, 0
	}
	text = triggerRef.ReplaceAllString(text, `"core.*"`)
	if x.Method == "GET" { // the stand-in knows no actions, so it cannot mask their parameters
		text = strings.ReplaceAll(text, `"not-a-real-secret-1"`, `"********"`)
	}
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	one := func(v any) {
		m, _ := v.(map[string]any)
		if by, ok := m["context"].(map[string]any); ok && by["user"] != nil {
			by["user"] = "somebody"
		}
		if fault, ok := m["faultstring"].(string); ok {
			if firstLine[x.Step] {
				m["faultstring"], _, _ = strings.Cut(fault, "\n")
			}
			if x.Step == 39 { // the words of a parser
				m["faultstring"], _, _ = strings.Cut(fault, ": ")
			}
		}
	}
	if list, ok := body.([]any); ok {
		n := len(list)
		list = slices.DeleteFunc(list, func(v any) bool { return slices.Contains(fromFiles, fmt.Sprint(v.(map[string]any)["ref"])) })
		for _, v := range list {
			one(v)
		}
		return list, n - len(list)
	}
	one(body)
	return body, 0
}

func headers(t *testing.T, x *exchange, w *httptest.ResponseRecorder, hidden int) {
	t.Helper()
	u, err := url.Parse(x.Path)
	if err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(x.ResponseHeaders)
	if total, err := strconv.Atoi(want["X-Total-Count"]); err == nil {
		if u.Query().Has("limit") {
			hidden = len(fromFiles)
		}
		want["X-Total-Count"] = strconv.Itoa(total - hidden)
	}
	for _, name := range []string{"Content-Type", "X-Total-Count", "X-Limit"} {
		if got := w.Header().Get(name); got != want[name] {
			t.Errorf("%s is %q, want %q", name, got, want[name])
		}
	}
	if id := x.RequestHeaders["X-Request-ID"]; id != "" && w.Header().Get("X-Request-Id") != id {
		t.Errorf("X-Request-Id is %q, want %q", w.Header().Get("X-Request-Id"), id)
	}
}

// TestReplayExecutions begins the executions that a real StackStorm was asked for,
// as far as the stand-in has their actions, and compares what is said of them.
func TestReplayExecutions(t *testing.T) {
	t.Parallel()
	s, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string) (int, map[string]any) {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("X-Auth-Token", sandbox.Token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var out map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		return w.Code, out
	}
	// What differs by nature, and what the stand-in does not show.
	same := func(step int, got, want map[string]any) {
		for _, m := range []map[string]any{got, want} {
			if by, ok := m["context"].(map[string]any); ok {
				delete(by, "user")
			}
			if l, ok := m["liveaction"].(map[string]any); ok {
				m["liveaction"] = l["action"]
			}
			if a, ok := m["action"].(map[string]any); ok {
				m["action"] = a["ref"]
			}
			if r, ok := m["result"].(map[string]any); ok {
				m["result"] = r["failed"]
			}
			for _, name := range []string{"id", "runner", "start_timestamp", "end_timestamp", "log", "web_url", "result_size", "elapsed_seconds"} {
				delete(m, name)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("step %d (-want +got):\n%s", step, d)
		}
	}
	ids := map[string]string{}
	compared := 0
	for _, x := range exchanges(t) {
		if !strings.HasPrefix(x.Path, "/v1/executions") {
			continue
		}
		var want map[string]any
		if json.Unmarshal(x.ResponseBody, &want) != nil {
			continue // of a list, or of an attribute
		}
		switch x.Step {
		case 89, 96, 100: // of the pack that was recorded with, or with questions to people
			continue
		}
		if x.Method == "POST" && x.Path == "/v1/executions" {
			code, got := ask(x.Method, x.Path, x.body())
			if code != x.Status {
				t.Errorf("step %d: status %d, want %d: %v", x.Step, code, x.Status, got)
				continue
			}
			if id, ok := want["id"].(string); ok {
				ids[id] = got["id"].(string)
			}
			same(x.Step, got, want)
			compared++
			continue
		}
		id := objectID.FindString(x.Path)
		ours := ids[id]
		if strings.Count(x.Path, "/") != 3 || ours == "" && x.Status == 200 {
			continue
		}
		if ours == "" {
			ours = id
		}
		var got map[string]any
		code := 0
		for range 3 { // until it has ended, as it had when it was recorded
			code, got = ask(x.Method, "/v1/executions/"+ours, "")
		}
		if code != x.Status {
			t.Errorf("step %d: status %d, want %d: %v", x.Step, code, x.Status, got)
			continue
		}
		same(x.Step, got, want)
		compared++
	}
	if compared < 15 {
		t.Errorf("only %d exchanges were compared", compared)
	}
}
