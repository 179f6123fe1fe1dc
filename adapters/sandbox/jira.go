package sandbox

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/oslcbus/oslcbus/oslc"
)

// Credentials that the stand-ins of a demo take; they open nothing else.
const (
	User  = "demo@example.com"
	Token = "sandbox"
)

// Jira is a stand-in of Jira Cloud (REST v3) and Data Center (REST v2): issues can
// be created, searched by label, read and looked at.
type Jira struct {
	// IndexDelay is how long a new issue is not found by a search, as Jira's own
	// index lags behind.
	IndexDelay time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	store *store
	mu    sync.Mutex
	state jiraState
}

type jiraState struct {
	Projects map[string]int `json:"projects"` // key -> number of its newest issue
	Issues   []Issue        `json:"issues"`
}

// An Issue as the stand-in keeps it.
type Issue struct {
	ID         string                     `json:"id"`
	Key        string                     `json:"key"`
	Fields     map[string]json.RawMessage `json:"fields"`
	Properties map[string]json.RawMessage `json:"properties,omitempty"`
	Status     string                     `json:"status"`
	Created    time.Time                  `json:"created"`
}

// Summary returns the summary as text.
func (i Issue) Summary() string { return text(i.Fields["summary"]) }

// Labels returns the labels.
func (i Issue) Labels() []string {
	var l []string
	_ = json.Unmarshal(i.Fields["labels"], &l) // checked when it was made
	return l
}

// Text returns the description as plain text, of either encoding.
func (i Issue) Text() string { return text(i.Fields["description"]) }

// text takes the text out of a string or an ADF document.
func text(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return ""
	}
	var b strings.Builder
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			b.WriteString(v)
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			if s, ok := v["text"].(string); ok {
				b.WriteString(s)
			}
			walk(v["content"])
			if t := v["type"]; t == "paragraph" || t == "hardBreak" {
				b.WriteString("\n")
			}
		}
	}
	walk(v)
	return strings.TrimRight(b.String(), "\n")
}

// issueTypes are the types that every project of the stand-in has.
var issueTypes = []string{"Task", "Bug", "Story", "Epic"}

// NewJira returns a stand-in with the given projects. dir keeps its state; empty
// means nothing is kept.
func NewJira(dir string, projects ...string) (*Jira, error) {
	j := &Jira{store: newStore(dir, "jira.json"), state: jiraState{Projects: map[string]int{}}}
	if err := j.store.load(&j.state); err != nil {
		return nil, oslc.E("sandbox.jira", err)
	}
	for _, p := range projects {
		if _, ok := j.state.Projects[p]; !ok {
			j.state.Projects[p] = 0
		}
	}
	return j, nil
}

// Issues returns what there is, oldest first.
func (j *Jira) Issues() []Issue {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.state.Issues)
}

func (j *Jira) now() time.Time {
	if j.Now != nil {
		return j.Now()
	}
	return time.Now()
}

// ServeHTTP answers Jira's REST paths and shows the issues to people.
func (j *Jira) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	version, rest, api := strings.Cut(strings.TrimPrefix(path, "/rest/api/"), "/")
	if !strings.HasPrefix(path, "/rest/api/") || !api {
		j.page(w, r)
		return
	}
	if !authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Jira"`)
		jiraError(w, http.StatusUnauthorized, "Client must be authenticated to access this resource.")
		return
	}
	cloud := version == "3"
	switch {
	case version != "2" && version != "3":
		jiraError(w, http.StatusNotFound, "No such API version.")
	case rest == "issue" && r.Method == http.MethodPost:
		j.create(w, r, cloud)
	case strings.HasPrefix(rest, "issue/") && r.Method == http.MethodGet:
		j.read(w, r, strings.TrimPrefix(rest, "issue/"))
	case rest == "search/jql" && cloud, rest == "search" && !cloud:
		j.search(w, r, cloud)
	case rest == "search":
		jiraError(w, http.StatusGone, "The requested API has been removed. Please use the newer /rest/api/3/search/jql API instead.")
	case rest == "serverInfo":
		deployment := map[bool]string{true: "Cloud", false: "DataCenter"}[cloud]
		writeJSON(w, http.StatusOK, map[string]any{"deploymentType": deployment, "version": "1001.0.0-SANDBOX", "serverTitle": "Sandbox"})
	case rest == "myself":
		writeJSON(w, http.StatusOK, map[string]any{"accountId": "sandbox", "displayName": "Sandbox", "active": true})
	default:
		jiraError(w, http.StatusNotFound, "No resource at "+path+" for "+r.Method)
	}
}

func authorized(r *http.Request) bool {
	if user, password, ok := r.BasicAuth(); ok {
		return user == User && password == Token
	}
	return r.Header.Get("Authorization") == "Bearer "+Token
}

func jiraError(w http.ResponseWriter, status int, messages ...string) {
	writeJSON(w, status, map[string]any{"errorMessages": messages, "errors": map[string]string{}})
}

func jiraFieldErrors(w http.ResponseWriter, errs map[string]string) {
	writeJSON(w, http.StatusBadRequest, map[string]any{"errorMessages": []string{}, "errors": errs})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone when this fails
}

// maxRequest bounds a request body.
const maxRequest = 1 << 20

func (j *Jira) create(w http.ResponseWriter, r *http.Request, cloud bool) {
	var in struct {
		Fields     map[string]json.RawMessage `json:"fields"`
		Properties []struct {
			Key   string          `json:"key"`
			Value json.RawMessage `json:"value"`
		} `json:"properties"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&in); err != nil {
		jiraError(w, http.StatusBadRequest, "There was an error parsing JSON. Check that your request body is valid.")
		return
	}
	var project struct{ Key string }
	var kind struct{ Name string }
	_ = json.Unmarshal(in.Fields["project"], &project)
	_ = json.Unmarshal(in.Fields["issuetype"], &kind)
	var summary string
	_ = json.Unmarshal(in.Fields["summary"], &summary)

	j.mu.Lock()
	defer j.mu.Unlock()
	errs := map[string]string{}
	if _, ok := j.state.Projects[project.Key]; !ok {
		errs["project"] = "valid project is required"
	}
	if !slices.Contains(issueTypes, kind.Name) {
		errs["issuetype"] = "Specify a valid issue type"
	}
	switch {
	case strings.TrimSpace(summary) == "":
		errs["summary"] = "You must specify a summary of the issue."
	case strings.Contains(summary, "\n"):
		errs["summary"] = "The summary is invalid because it contains newline characters."
	case len(utf16.Encode([]rune(summary))) > 255: // as Java counts
		errs["summary"] = "Summary must be less than 255 characters."
	}
	if raw, ok := in.Fields["description"]; ok && string(raw) != "null" {
		if isText := strings.HasPrefix(string(raw), `"`); isText == cloud {
			errs["description"] = map[bool]string{
				true:  "Operation value must be an Atlassian Document (see the Atlassian Document Format)",
				false: "Operation value must be a string",
			}[cloud]
		}
	}
	if raw, ok := in.Fields["labels"]; ok {
		var labels []string
		if json.Unmarshal(raw, &labels) != nil || slices.ContainsFunc(labels, func(l string) bool { return strings.ContainsAny(l, " \t") }) {
			errs["labels"] = "The label can't contain spaces."
		}
	}
	if len(errs) > 0 {
		jiraFieldErrors(w, errs)
		return
	}
	j.state.Projects[project.Key]++
	is := Issue{
		ID:     strconv.Itoa(10000 + len(j.state.Issues)),
		Key:    fmt.Sprintf("%s-%d", project.Key, j.state.Projects[project.Key]),
		Fields: in.Fields, Properties: map[string]json.RawMessage{}, Status: "To Do", Created: j.now(),
	}
	for _, p := range in.Properties {
		is.Properties[p.Key] = p.Value
	}
	j.state.Issues = append(j.state.Issues, is)
	if err := j.store.save(j.state); err != nil {
		jiraError(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, http.StatusCreated, map[string]string{"id": is.ID, "key": is.Key, "self": self(r, is)})
}

// self is the address of an issue in the version of the API that was called.
func self(r *http.Request, is Issue) string {
	version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/rest/api/"), "/")
	return "http://" + r.Host + "/rest/api/" + version + "/issue/" + is.ID
}

func (j *Jira) represent(r *http.Request, is Issue, fields []string) map[string]any {
	out := map[string]any{}
	all := slices.Contains(fields, "*all") || slices.Contains(fields, "*navigable")
	for k, v := range is.Fields {
		if all || slices.Contains(fields, k) {
			out[k] = v
		}
	}
	if all || slices.Contains(fields, "status") {
		out["status"] = map[string]any{"name": is.Status}
	}
	return map[string]any{"id": is.ID, "key": is.Key, "self": self(r, is), "fields": out}
}

func (j *Jira) read(w http.ResponseWriter, r *http.Request, name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, is := range j.state.Issues {
		if is.ID == name || is.Key == name {
			writeJSON(w, http.StatusOK, j.represent(r, is, []string{"*all"}))
			return
		}
	}
	jiraError(w, http.StatusNotFound, "Issue does not exist or you do not have permission to see it.")
}

var labelQuery = regexp.MustCompile(`^\s*labels\s*=\s*"([^"]*)"(?:\s+ORDER BY\s+created\s+ASC)?\s*$`)

func (j *Jira) search(w http.ResponseWriter, r *http.Request, cloud bool) {
	var q struct {
		JQL        string   `json:"jql"`
		Fields     []string `json:"fields"`
		MaxResults int      `json:"maxResults"`
	}
	if r.Method != http.MethodPost || json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&q) != nil {
		jiraError(w, http.StatusBadRequest, "There was an error parsing JSON. Check that your request body is valid.")
		return
	}
	m := labelQuery.FindStringSubmatch(q.JQL)
	if m == nil {
		jiraError(w, http.StatusBadRequest, "Error in the JQL Query: the sandbox knows only labels = \"...\".")
		return
	}
	if q.MaxResults <= 0 {
		q.MaxResults = 50
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	found := []any{}
	for _, is := range j.state.Issues {
		if slices.Contains(is.Labels(), m[1]) && j.now().Sub(is.Created) >= j.IndexDelay && len(found) < q.MaxResults {
			found = append(found, j.represent(r, is, q.Fields))
		}
	}
	if cloud {
		writeJSON(w, http.StatusOK, map[string]any{"issues": found, "isLast": true})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"issues": found, "startAt": 0, "maxResults": q.MaxResults, "total": len(found)})
}

var jiraPage = template.Must(template.New("jira").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Title}}</title>
<style>` + style + `</style>
<h1>{{.Title}}</h1>
{{with .Issue}}<p><b>{{.Summary}}</b> <span class="tag">{{.Status}}</span></p><pre>{{.Text}}</pre>
<p>{{range .Labels}}<span class="tag">{{.}}</span> {{end}}</p><p><a href="/">all issues</a></p>{{else}}
<p>A stand-in of Jira: what the bus asked for appears here.</p>
<table><tr><th>Key<th>Summary<th>Status<th>Created</tr>
{{range .Issues}}<tr><td><a href="/browse/{{.Key}}">{{.Key}}</a><td>{{.Summary}}<td>{{.Status}}<td>{{.Created.Format "15:04:05"}}</tr>
{{else}}<tr><td colspan="4">no issues yet</tr>{{end}}</table>{{end}}
</html>
`))

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ddd}
pre{white-space:pre-wrap;background:#f5f5f5;padding:1rem}.tag{background:#e8eefc;border-radius:.3rem;padding:.1rem .4rem;font-size:.85rem}
button{font:inherit;padding:.2rem .8rem}input{font:inherit;padding:.2rem .4rem}`

func (j *Jira) page(w http.ResponseWriter, r *http.Request) {
	data := struct {
		Title  string
		Issue  *Issue
		Issues []Issue
	}{Title: "Sandbox Jira", Issues: j.Issues()}
	slices.Reverse(data.Issues)
	if key, ok := strings.CutPrefix(r.URL.Path, "/browse/"); ok {
		i := slices.IndexFunc(data.Issues, func(is Issue) bool { return is.Key == key })
		if i < 0 {
			http.NotFound(w, r)
			return
		}
		data.Issue, data.Title = &data.Issues[i], key
	} else if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	showPage(w, jiraPage, data)
}

func showPage(w http.ResponseWriter, t *template.Template, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
	_ = t.Execute(w, data) // the client is gone when this fails
}
