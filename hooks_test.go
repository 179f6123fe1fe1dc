package oslcbus_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const hookSecret = "not-a-real-secret"

// signed is a body as GitHub signs it.
func signed(body []byte) string {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// deliver sends a body and returns the answer.
func (r *rig) deliver(path string, body []byte, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.send(http.MethodPost, path, string(body), header...)
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testkit.Root(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const githubYAML = `
connections:
  github: {type: github, secret: ` + hookSecret + `}
`

// github sends a delivery of the event issues.
func (r *rig) github(name, delivery string, header ...string) (*http.Response, string) {
	r.t.Helper()
	body := fixture(r.t, "adapters/github/testdata/"+name+".json")
	return r.deliver("/hooks/github", body, append([]string{
		"Content-Type", "application/json", "X-GitHub-Event", "issues", "X-GitHub-Delivery", delivery, "X-Hub-Signature-256", signed(body),
	}, header...)...)
}

// TestS5_GitHub: what GitHub tells of an issue is a change request, its events and
// entries of the tracked resource set.
func TestS5_GitHub(t *testing.T) {
	t.Parallel()
	r := newRig(t, githubYAML).start()
	uri := oslc.ResourceURI(r.url, "github", "changeRequests", "73464126")
	value := func(p string) string { return r.graph(strings.TrimPrefix(uri, r.url)).Value(rdf.NewIRI(uri), p) }
	for i, step := range []struct {
		name string
		want map[string]string
	}{
		{"opened", map[string]string{
			vocab.DCTermsIdentifier: "1", vocab.DCTermsTitle: "Hello is spelled wrong", vocab.DCTermsDescription: "It says *Helo*.\r\n\r\nExpected: Hello",
			vocab.CMStatus: "open", vocab.CMState: vocab.CMInprogress, vocab.CMClosed: "false", vocab.CMInProgress: "true",
		}},
		{"edited", map[string]string{vocab.DCTermsTitle: "Hello is spelled wrong everywhere"}},
		{"assigned", map[string]string{vocab.DCTermsContributor: "https://github.com/bob"}},
		{"closed", map[string]string{vocab.CMStatus: "closed", vocab.CMState: vocab.CMClosedClass, vocab.CMClosed: "true", vocab.CMInProgress: "false", vocab.CMFixed: "true"}},
		{"reopened", map[string]string{vocab.CMStatus: "open", vocab.CMClosed: "false", vocab.CMFixed: "false"}},
	} {
		if resp, body := r.github(step.name, strconv.Itoa(i)); resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s: %s", step.name, resp.Status, body)
		}
		r.eventually("the event of "+step.name, func() bool { return len(r.seenOf(uri)) >= i+1 })
		for p, want := range step.want {
			if got := value(p); got != want {
				t.Errorf("%s: <%s> is %q, want %q", step.name, p, got, want)
			}
		}
	}
	r.github("deleted", "5")
	r.eventually("the deletion", func() bool { return len(r.seenOf(uri)) >= 6 })
	if resp, _ := r.get(strings.TrimPrefix(uri, r.url)); resp.StatusCode != http.StatusGone {
		t.Errorf("a deleted issue is %s", resp.Status)
	}
	// What is sent again, and what is about something else, is taken and tells nothing.
	for _, send := range []func() (*http.Response, string){
		func() (*http.Response, string) { return r.github("opened", "0") },
		func() (*http.Response, string) { return r.github("closed", "3") },
		func() (*http.Response, string) { return r.github("edited", "late, with another name") },
		func() (*http.Response, string) { return r.github("ping", "6", "X-GitHub-Event", "ping") },
		func() (*http.Response, string) {
			body := bytes.Replace(fixture(t, "adapters/github/testdata/opened.json"), []byte(`"action": "opened"`), []byte(`"action": "sung about"`), 1)
			return r.deliver("/hooks/github", body, "Content-Type", "application/json", "X-GitHub-Event", "issues", "X-GitHub-Delivery", "7", "X-Hub-Signature-256", signed(body))
		},
	} {
		if resp, body := send(); resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %s", resp.Status, body)
		}
	}
	// Another issue comes after all of that.
	body := bytes.ReplaceAll(fixture(t, "adapters/github/testdata/opened.json"), []byte("73464126"), []byte("73464127"))
	r.deliver("/hooks/github", body, "Content-Type", "application/json", "X-GitHub-Event", "issues", "X-GitHub-Delivery", "8", "X-Hub-Signature-256", signed(body))
	r.eventually("another issue", func() bool {
		return len(r.seenOf(oslc.ResourceURI(r.url, "github", "changeRequests", "73464127"))) >= 1
	})
	const want = "creation modification modification modification modification deletion"
	if got := changes(r.seenOf(uri)); got != want {
		t.Errorf("the events are %s, want %s", got, want)
	}
	set := r.graph("/trs/github")
	counts := map[string]int{}
	for _, c := range []oslc.Change{oslc.Creation, oslc.Modification, oslc.Deletion} {
		for _, e := range set.OfType(c.IRI()) {
			if set.Value(e, vocab.TRSChanged) == uri {
				counts[c.String()]++
			}
		}
	}
	if counts["creation"] != 1 || counts["modification"] != 4 || counts["deletion"] != 1 {
		t.Errorf("the tracked resource set has %v", counts)
	}
}

// TestS5_Refused: what is not signed, or is no delivery, is refused as an oslc:Error and
// tells nothing.
func TestS5_Refused(t *testing.T) {
	t.Parallel()
	r := newRig(t, githubYAML).start()
	body := fixture(t, "adapters/github/testdata/opened.json")
	good := signed(body)
	large := bytes.Repeat([]byte(" "), 4<<20+1)
	record := bytes.Replace(body, []byte("It says *Helo*"), bytes.Repeat([]byte("x"), 1<<20), 1)
	for name, c := range map[string]struct {
		body   []byte
		header []string
		want   int
	}{
		"no signature":       {body, nil, 401},
		"a wrong signature":  {body, []string{"X-Hub-Signature-256", "sha256=" + strings.Repeat("0", 64)}, 401},
		"no hexadecimal":     {body, []string{"X-Hub-Signature-256", "sha256=xyz"}, 401},
		"without its prefix": {body, []string{"X-Hub-Signature-256", strings.TrimPrefix(good, "sha256=")}, 401},
		"of another body":    {append([]byte(" "), body...), []string{"X-Hub-Signature-256", good}, 401},
		"of SHA-1":           {body, []string{"X-Hub-Signature", good}, 401},
		"no JSON":            {[]byte("{"), []string{"X-Hub-Signature-256", signed([]byte("{"))}, 400},
		"another media type": {body, []string{"X-Hub-Signature-256", good, "Content-Type", "application/x-www-form-urlencoded"}, 415},
		"compressed":         {body, []string{"X-Hub-Signature-256", good, "Content-Encoding", "gzip"}, 415},
		"beyond a record":    {record, []string{"X-Hub-Signature-256", signed(record)}, 413},
		"too large":          {large, []string{"X-Hub-Signature-256", signed(large)}, 413},
	} {
		resp, text := r.deliver("/hooks/github", c.body, append([]string{"Content-Type", "application/json", "X-GitHub-Event", "issues", "Accept", "text/turtle"}, c.header...)...)
		if resp.StatusCode != c.want || !strings.Contains(text, "oslc:Error") || !strings.Contains(text, strconv.Itoa(c.want)) {
			t.Errorf("%s: %s, want %d:\n%s", name, resp.Status, c.want, text)
		}
	}
	resp, _ := r.get("/hooks/github")
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("GET gives %s, Allow: %q", resp.Status, resp.Header.Get("Allow"))
	}
	if resp, _ := r.deliver("/hooks/nobody", body); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a connection that is not there is %s", resp.Status)
	}
	r.github("opened", "1")
	r.eventually("the one that was signed", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.events) >= 1
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) != 1 {
		t.Errorf("there are %d events", len(r.events))
	}
}

// TestS5_Bugzilla: bugs become change requests by the mapping of examples/bugzilla.yml.
func TestS5_Bugzilla(t *testing.T) {
	t.Parallel()
	text := string(fixture(t, "examples/bugzilla.yml"))
	text = regexp.MustCompile(`\$\{BUGZILLA_SECRET\}`).ReplaceAllString(text, hookSecret)
	text = regexp.MustCompile(`(?m)^(listen|base_url|data|title):.*$`).ReplaceAllString(text, "")
	r := newRig(t, text).start()
	send := func(name string) {
		t.Helper()
		resp, body := r.deliver("/hooks/bugzilla", fixture(t, "adapters/webhook/testdata/bugzilla/"+name+".json"),
			"Content-Type", "application/json", "X-Webhook-Token", hookSecret)
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s", resp.Status, body)
		}
	}
	const bugz = "http://www.bugzilla.org/rdf#"
	uri := oslc.ResourceURI(r.url, "bugzilla", "changeRequests", "1801")
	check := func(want map[string]string) {
		t.Helper()
		g := r.graph(strings.TrimPrefix(uri, r.url))
		for p, v := range want {
			if got := g.Value(rdf.NewIRI(uri), p); got != v {
				t.Errorf("<%s> is %q, want %q", p, got, v)
			}
		}
	}
	send("create")
	r.eventually("the bug", func() bool { return len(r.seenOf(uri)) >= 1 })
	check(map[string]string{
		vocab.DCTermsIdentifier: "1801", vocab.DCTermsTitle: "Bookmarks are lost after a restart", vocab.CMStatus: "NEW", vocab.CMClosed: "false",
		bugz + "component": "Bookmarks & History", bugz + "version": "Trunk", bugz + "priority": "P2", vocab.DCTermsModified: "2026-11-21T09:30:00.000Z",
	})
	send("create") // again, without a name: nothing is different
	send("modify")
	r.eventually("the change", func() bool { return len(r.seenOf(uri)) >= 2 })
	check(map[string]string{vocab.CMStatus: "RESOLVED", vocab.CMClosed: "true", vocab.CMFixed: "true", bugz + "priority": "P1"})
	if got := changes(r.seenOf(uri)); got != "creation modification" {
		t.Errorf("the events are %s", got)
	}
}

// TestHooks_restart: what was answered with success is told, whenever the bus stops,
// and a repeat after a restart is known.
func TestHooks_restart(t *testing.T) {
	t.Parallel()
	r := newRig(t, githubYAML).start()
	uri := oslc.ResourceURI(r.url, "github", "changeRequests", "73464126")
	for i, name := range []string{"opened", "edited", "closed"} {
		if resp, body := r.github(name, strconv.Itoa(i)); resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s", resp.Status, body)
		}
		r.halt() // perhaps before the event is there
		r.start()
	}
	for i, name := range []string{"opened", "edited", "closed", "deleted"} {
		r.github(name, strconv.Itoa(i))
	}
	r.eventually("the deletion", func() bool {
		resp, _ := r.get(strings.TrimPrefix(uri, r.url))
		return resp.StatusCode == http.StatusGone
	})
	r.halt()
	r.start()
	r.github("opened", "0")
	r.github("edited", "another name, but late")
	body := bytes.ReplaceAll(fixture(t, "adapters/github/testdata/opened.json"), []byte("73464126"), []byte("73464127"))
	r.deliver("/hooks/github", body, "Content-Type", "application/json", "X-GitHub-Event", "issues", "X-GitHub-Delivery", "9", "X-Hub-Signature-256", signed(body))
	r.eventually("another issue", func() bool {
		return len(r.seenOf(oslc.ResourceURI(r.url, "github", "changeRequests", "73464127"))) >= 1
	})
	seen := map[string]int{}
	for _, e := range r.seenOf(uri) {
		seen[e.Change.String()]++
	}
	if seen["creation"] != 1 || seen["modification"] != 2 || seen["deletion"] != 1 {
		t.Errorf("the events are %v", seen)
	}
}

// TestExamples: every example is a configuration that the program takes.
func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testkit.Root(t), "examples", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		cfg, err := oslcbus.LoadConfig(file, oslcbus.ConfigOptions{Getenv: func(name string) (string, bool) {
			switch {
			case strings.HasSuffix(name, "_FILE") || strings.HasPrefix(name, "OSLCBUS_") || strings.HasSuffix(name, "BROKERS"):
				return "", false
			case name == "MONGODB_URI":
				return "mongodb://127.0.0.1:27017/?replicaSet=rs0", true
			case strings.HasSuffix(name, "_URL"):
				return "https://tool.example", true
			case name == "JIRA_DEPLOYMENT":
				return "cloud", true
			}
			return "x", true
		}})
		if err == nil {
			_, err = oslcbus.New(cfg, oslcbus.Options{Adapters: all.Adapters()})
		}
		if err != nil {
			t.Errorf("%v", err)
		}
	}
}

// TestHooks_outage: while Apache Kafka is away a tool is told to come again; when it
// does, with whatever was heard of it before, there is one event of each delivery.
func TestHooks_outage(t *testing.T) {
	t.Parallel()
	broker := testkit.KafkaOwn(t)
	r := newRig(t, fmt.Sprintf(`
kafka: {brokers: [%q], prefix: %q, session_timeout: 6s, partitions: 2}
requests: {topic: %q}
connections:
  github: {type: github, topic: %q, secret: %s}
`, broker.Addr, broker.Name, broker.Name+"bus_event", broker.Name+"github_event", hookSecret)).start()
	uri := oslc.ResourceURI(r.url, "github", "changeRequests", "73464126")
	if resp, body := r.github("opened", "0"); resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	r.eventually("the issue", func() bool { return len(r.seenOf(uri)) >= 1 })
	broker.Kill(t)
	if resp, _ := r.github("edited", "1"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("without a broker: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	broker.Restart(t)
	for i, name := range []string{"edited", "closed", "reopened", "deleted"} {
		r.eventually(name+" to be taken", func() bool {
			resp, _ := r.github(name, strconv.Itoa(i+1))
			return resp.StatusCode == http.StatusAccepted
		})
	}
	r.eventually("the deletion", func() bool {
		resp, _ := r.get(strings.TrimPrefix(uri, r.url))
		return resp.StatusCode == http.StatusGone
	})
	r.halt()
	r.start()
	r.github("opened", "0")
	r.github("closed", "2")
	body := bytes.ReplaceAll(fixture(t, "adapters/github/testdata/opened.json"), []byte("73464126"), []byte("73464127"))
	r.deliver("/hooks/github", body, "Content-Type", "application/json", "X-GitHub-Event", "issues", "X-GitHub-Delivery", "9", "X-Hub-Signature-256", signed(body))
	r.eventually("another issue", func() bool {
		return len(r.seenOf(oslc.ResourceURI(r.url, "github", "changeRequests", "73464127"))) >= 1
	})
	if got := changes(r.seenOf(uri)); got != "creation modification modification modification deletion" {
		t.Errorf("the events are %s", got)
	}
}

// TestS5_Trackers: issues of GitLab and Jira become change requests by the mappings of
// examples/trackers.yml.
func TestS5_Trackers(t *testing.T) {
	t.Parallel()
	text := regexp.MustCompile(`\$\{(GITLAB|JIRA)_SECRET\}`).ReplaceAllString(string(fixture(t, "examples/trackers.yml")), hookSecret)
	r := newRig(t, regexp.MustCompile(`(?m)^(listen|base_url|data|title):.*$`).ReplaceAllString(text, "")).start()
	for tool, c := range map[string]struct {
		id     string
		sends  []string
		header func(body []byte) []string
		want   string
		last   map[string]string
	}{
		"gitlab": {
			"301",
			[]string{"open", "close", "close"},
			func([]byte) []string { return []string{"X-Gitlab-Token", hookSecret} }, "creation modification",
			map[string]string{vocab.DCTermsIdentifier: "23", vocab.DCTermsTitle: "New API: create a file", vocab.CMClosed: "true", vocab.DCTermsSubject: "API", vocab.DCTermsCreated: "2026-11-21T09:30:00.000Z"},
		},
		"jira": {
			"10230",
			[]string{"created", "updated", "created", "updated"},
			func(b []byte) []string { return []string{"X-Hub-Signature", signed(b)} }, "creation modification",
			map[string]string{vocab.DCTermsIdentifier: "OPS-7", vocab.CMStatus: "Done", vocab.CMClosed: "true", vocab.DCTermsModified: "2026-11-21T10:00:00.500Z"},
		},
	} {
		uri := oslc.ResourceURI(r.url, tool, "changeRequests", c.id)
		for _, name := range c.sends {
			body := fixture(t, "adapters/webhook/testdata/"+tool+"/"+name+".json")
			if resp, text := r.deliver("/hooks/"+tool, body, append(c.header(body), "Content-Type", "application/json")...); resp.StatusCode != http.StatusAccepted {
				t.Fatalf("%s %s: %s: %s", tool, name, resp.Status, text)
			}
		}
		r.eventually("the issue of "+tool, func() bool { return len(r.seenOf(uri)) >= 2 })
		g := r.graph(strings.TrimPrefix(uri, r.url))
		for p, want := range c.last {
			if got := g.Value(rdf.NewIRI(uri), p); got != want {
				t.Errorf("%s: <%s> is %q, want %q", tool, p, got, want)
			}
		}
		if got := changes(r.seenOf(uri)); got != c.want {
			t.Errorf("%s: the events are %s, want %s", tool, got, c.want)
		}
	}
	uri := oslc.ResourceURI(r.url, "jira", "changeRequests", "10230")
	body := fixture(t, "adapters/webhook/testdata/jira/deleted.json")
	r.deliver("/hooks/jira", body, "Content-Type", "application/json", "X-Hub-Signature", signed(body))
	r.eventually("the deletion", func() bool { return len(r.seenOf(uri)) >= 3 })
}

// TestHooks_actions: the resources of a tool that sends and takes requests offer what the
// tool can be asked for, as long as that makes sense.
func TestHooks_actions(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []string
	tool := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, r.Method+" "+r.RequestURI)
	}))
	t.Cleanup(tool.Close)
	r := newRig(t, fmt.Sprintf(`
connections:
  tracker:
    type: webhook
    receive:
      resources:
        - kind: tickets
          types: ["oslc_cm:ChangeRequest"]
          key: id
          title: title
          properties: [{path: closed, predicate: "oslc_cm:closed"}]
    call:
      url: %q
      actions:
        - {name: close, title: Close the ticket, path: "/tickets/${target.id}/close", class: "oslc_cm:ChangeRequest", where: "oslc_cm:closed=false"}
`, tool.URL)).start()
	send := func(body string) {
		t.Helper()
		if resp, text := r.deliver("/hooks/tracker", []byte(body), "Content-Type", "application/json"); resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s", resp.Status, text)
		}
	}
	uri := oslc.ResourceURI(r.url, "tracker", "tickets", "A/7")
	send(`{"id": "A/7", "title": "It does not start", "closed": false}`)
	r.eventually("the ticket", func() bool { return len(r.seenOf(uri)) >= 1 })
	offers := func() []rdf.Term {
		return r.graph(strings.TrimPrefix(uri, r.url)).Objects(rdf.NewIRI(uri), vocab.OSLCAction)
	}
	if got := offers(); len(got) != 1 || got[0].Value != uri+"/actions/close" {
		t.Fatalf("the ticket offers %v", got)
	}
	resp, body := r.send(http.MethodPost, uri+"/actions/close", "")
	wantStatus(t, "close", resp, body, http.StatusOK, "200 OK")
	mu.Lock()
	if len(calls) != 1 || calls[0] != "POST /tickets/A%2F7/close" {
		t.Errorf("the tool was called %q", calls)
	}
	mu.Unlock()
	send(`{"id": "A/7", "title": "It does not start", "closed": true}`)
	r.eventually("the ticket to be closed", func() bool { return len(r.seenOf(uri)) >= 2 && len(offers()) == 0 })
	resp, body = r.send(http.MethodPost, uri+"/actions/close", "")
	wantStatus(t, "close again", resp, body, http.StatusConflict, "not possible now")
}
