package stackstorm_test

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// recording is what a real StackStorm's database held, and what its API answered.
type recording struct {
	docs  map[string]map[string]mongodb.Doc // collection, then ref, name or id
	rules []map[string]any                  // answers to POST of a rule
}

// lines reads a file of JSON objects.
func lines(t *testing.T, path string, each func(line []byte)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		each(s.Bytes())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

func record(t *testing.T) *recording {
	t.Helper()
	dir := testkit.Shared(t, "testdata", "stackstorm")
	r := &recording{docs: map[string]map[string]mongodb.Doc{}}
	keep := func(collection string, line []byte) {
		d, err := mongodb.DocFromJSON(line)
		if err != nil {
			t.Fatal(err)
		}
		if r.docs[collection] == nil {
			r.docs[collection] = map[string]mongodb.Doc{}
		}
		for _, key := range []string{d.Str("ref"), d.Str("name"), d.Lookup("_id").Text()} {
			if key != "" && r.docs[collection][key] == nil {
				r.docs[collection][key] = d
			}
		}
	}
	lines(t, filepath.Join(dir, "changes.jsonl"), func(line []byte) {
		var c struct {
			OperationType string
			FullDocument  json.RawMessage
			NS            struct{ Coll string }
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		if c.OperationType == "insert" && (c.NS.Coll == "rule_d_b" || c.NS.Coll == "trigger_d_b") {
			keep(c.NS.Coll, c.FullDocument)
		}
	})
	for _, collection := range []string{"trigger_d_b", "action_d_b", "runner_type_d_b", "trigger_type_d_b"} {
		lines(t, filepath.Join(dir, collection+".jsonl"), func(line []byte) { keep(collection, line) })
	}
	files, err := filepath.Glob(filepath.Join(dir, "rest", "*-rule-create-*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var x struct {
			Status       int            `json:"status"`
			ResponseBody map[string]any `json:"response_body"`
		}
		if err := json.Unmarshal(b, &x); err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		if x.Status == http.StatusCreated {
			r.rules = append(r.rules, x.ResponseBody)
		}
	}
	if len(r.rules) < 10 {
		t.Fatalf("%d recorded rules", len(r.rules))
	}
	return r
}

// Find implements mongodb.References.
func (r *recording) Find(collection, key string) (mongodb.Doc, bool) {
	d, ok := r.docs[collection][key]
	return d, ok
}

// seen is a rule as the source maps its document.
func (r *recording) seen(t *testing.T, id, uri string) *rdf.Graph {
	t.Helper()
	d, ok := r.docs["rule_d_b"][id]
	if !ok {
		t.Fatalf("no document of rule %s", id)
	}
	w := stackstorm.Watch("st2", toolURL+"/api", adapters.Options{Name: "st2", BaseURL: "https://bus.example"})
	res, err := w.Mappings[0].Map(d, uri, r)
	if err != nil {
		t.Fatal(err)
	}
	return res.Graph
}

// TestWriter_recordedAnswers: what the writer makes of a real answer is what the source
// makes of the document, as far as nothing is hidden; and what the source shows of a
// rule is known again in the answer of the API, so that an update goes through and
// touches nothing else.
func TestWriter_recordedAnswers(t *testing.T) {
	t.Parallel()
	r := record(t)
	for _, rule := range r.rules {
		id, name := rule["id"].(string), rule["name"].(string)
		uri := oslc.ResourceURI("https://bus.example", "st2", "changeRequests", id)
		s := rdf.NewIRI(uri)
		source := r.seen(t, id, uri)
		var put map[string]any
		w := newWriter(t, http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			answer := rule
			if req.Method == http.MethodPut {
				b, err := io.ReadAll(req.Body)
				if err == nil {
					err = json.Unmarshal(b, &put)
				}
				if err != nil {
					t.Error(err)
				}
				answer = put
			}
			rw.WriteHeader(http.StatusOK)
			_ = json.NewEncoder(rw).Encode(answer)
		}), nil)
		made, err := w.Create(t.Context(), oslc.Write{Collection: "changeRequests", After: newRule(), Subject: node})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		plain := func(g *rdf.Graph) map[rdf.Triple]bool {
			out := map[rdf.Triple]bool{}
			for tr := range g.All() {
				if tr.O.Datatype != mongodb.JSONType {
					out[tr] = true
				}
			}
			return out
		}
		if d := cmp.Diff(plain(source), plain(made.Graph)); made.URI != uri || d != "" {
			t.Errorf("%s: <%s> is, to the source (-) and to the writer (+):\n%s", name, made.URI, d)
		}
		after := without(source, vocab.DCTermsDescription)
		after.Add(s, vocab.DCTermsDescription, rdf.String("Another text"))
		if _, err := w.Update(t.Context(), oslc.Write{Collection: "changeRequests", URI: uri, Before: source, After: after, Subject: s}); err != nil {
			t.Errorf("%s: an update of what the source shows: %v", name, err)
			continue
		}
		want := maps.Clone(rule)
		want["description"] = "Another text"
		if d := cmp.Diff(want, put); d != "" {
			t.Errorf("%s: an update of the text sends (-want +got):\n%s", name, d)
		}
		if text, _ := json.Marshal(put["action"]); strings.Contains(string(text), stackstorm.Mask) {
			t.Errorf("%s: an update writes a mask", name)
		}
	}
}
