package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// actionParameters are the actions that can be run, with the parameters that each
// takes; true is one that it needs.
var actionParameters = map[string]map[string]bool{
	"core.local": {"cmd": true, "timeout": false},
	"core.echo":  {"message": true},
	"core.noop":  {},
}

// exitCode is how a shell's command says that it failed.
var exitCode = regexp.MustCompile(`\bexit [1-9]`)

// executions answers what is below /v1/executions. An execution gets on with each
// look at it: it is asked for, runs, and has ended.
func (s *StackStorm) executions(w http.ResponseWriter, r *http.Request, id string) {
	var one document
	for _, e := range s.state.Executions {
		if e["id"] == id {
			one = e
		}
	}
	switch {
	case id == "" && r.Method == http.MethodGet:
		s.listExecutions(w, r)
	case id == "" && r.Method == http.MethodPost:
		s.execute(w, r)
	case id != "" && one == nil && (r.Method == http.MethodGet || r.Method == http.MethodDelete):
		fault(w, http.StatusNotFound, fmt.Sprintf("Unable to identify resource with id \"%s\".", id))
	case id != "" && r.Method == http.MethodGet:
		s.advance(one)
		writeJSON(w, http.StatusOK, one)
	case id != "" && r.Method == http.MethodDelete:
		if one["end_timestamp"] != nil {
			// It says no with a success.
			fault(w, http.StatusOK, fmt.Sprintf("Action cannot be canceled. State = %v.", one["status"]))
			return
		}
		one["context"].(map[string]any)["cancelled_by"] = "st2admin"
		one["result"] = map[string]any{"message": "Action canceled by user.", "user": "st2admin"}
		s.turn(one, "canceling")
		writeJSON(w, http.StatusOK, one)
	default:
		fault(w, http.StatusNotFound, "The resource could not be found.")
	}
}

const micros = "2006-01-02T15:04:05.000000Z"

// execute begins an execution, or says what is wrong in StackStorm's own words.
func (s *StackStorm) execute(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	var in struct {
		Action     *string        `json:"action"`
		Parameters map[string]any `json:"parameters"`
		Context    map[string]any `json:"context"`
	}
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		fault(w, http.StatusBadRequest, "Failed to parse request body: "+err.Error())
		return
	}
	if in.Action == nil {
		fault(w, http.StatusBadRequest, "'action' is a required property")
		return
	}
	takes, known := actionParameters[*in.Action]
	if !known {
		fault(w, http.StatusBadRequest, fmt.Sprintf("Action \"%s\" cannot be found.", *in.Action))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(in.Parameters)) {
		if _, ok := takes[name]; !ok {
			fault(w, http.StatusBadRequest, fmt.Sprintf("Additional properties are not allowed ('%s' was unexpected)", name))
			return
		}
	}
	for _, name := range slices.Sorted(maps.Keys(takes)) {
		if _, given := in.Parameters[name]; takes[name] && !given {
			fault(w, http.StatusBadRequest, fmt.Sprintf("'%s' is a required property", name))
			return
		}
	}
	if v, given := in.Parameters["timeout"].(string); given {
		if _, err := strconv.Atoi(v); err != nil {
			fault(w, http.StatusBadRequest, fmt.Sprintf("invalid literal for int() with base 10: %s", python(v)))
			return
		}
	}
	by := maps.Clone(in.Context)
	if by == nil {
		by = map[string]any{}
	}
	pack, name, _ := strings.Cut(*in.Action, ".")
	by["user"], by["pack"] = "st2admin", pack
	id := s.newID()
	e := document{
		"id": id, "start_timestamp": s.now().UTC().Format(micros), "context": by,
		"action":     map[string]any{"ref": *in.Action, "name": name, "pack": pack},
		"liveaction": map[string]any{"action": *in.Action, "id": s.newID()},
		"web_url":    "https://localhost/#/history/" + id + "/general",
	}
	if len(in.Parameters) > 0 {
		e["parameters"] = in.Parameters
	}
	s.state.Executions = append(s.state.Executions, e)
	s.turn(e, "requested")
	writeJSON(w, http.StatusCreated, e)
}

// advance takes an execution one step on.
func (s *StackStorm) advance(e document) {
	switch e["status"] {
	case "requested":
		s.turn(e, "running")
	case "canceling":
		s.end(e, "canceled", e["result"])
	case "running":
		params, _ := e["parameters"].(map[string]any)
		cmd, _ := params["cmd"].(string)
		if s.sleeps(e, cmd) && params["timeout"] == nil {
			return
		}
		status, code := "succeeded", 0
		if exitCode.MatchString(cmd) {
			status, code = "failed", 1
		}
		if params["timeout"] != nil && strings.HasPrefix(cmd, "sleep") {
			status, code = "timeout", -9
		}
		s.end(e, status, map[string]any{
			"failed": code != 0, "succeeded": code == 0, "return_code": code, "stdout": params["message"], "stderr": "",
		})
	}
}

// sleeps reports whether a command "sleep N" has not slept its N seconds yet.
func (s *StackStorm) sleeps(e document, cmd string) bool {
	text, ok := strings.CutPrefix(cmd, "sleep ")
	if !ok {
		return false
	}
	seconds, err := strconv.Atoi(strings.TrimSpace(text))
	begun, begin := time.Parse(micros, e["start_timestamp"].(string))
	return err == nil && begin == nil && s.now().Before(begun.Add(time.Duration(seconds)*time.Second))
}

func (s *StackStorm) end(e document, status string, result any) {
	e["result"], e["end_timestamp"] = result, s.now().UTC().Format(micros)
	s.turn(e, status)
}

func (s *StackStorm) turn(e document, status string) {
	log, _ := e["log"].([]any)
	e["status"], e["log"] = status, append(log, map[string]any{"status": status, "timestamp": s.now().UTC().Format(micros)})
	_ = s.store.save(&s.state) // a stand-in that cannot keep its state goes on without
}

// listExecutions answers with those that the query asks for, oldest first.
func (s *StackStorm) listExecutions(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, offset := 100, 0
	for name, to := range map[string]*int{"limit": &limit, "offset": &offset} {
		if n, err := strconv.Atoi(q.Get(name)); err == nil && n >= 0 {
			*to = n
		}
	}
	since, _ := time.Parse(time.RFC3339, q.Get("timestamp_gt"))
	out := []document{}
	for _, e := range s.state.Executions {
		begun, _ := time.Parse(time.RFC3339, e["start_timestamp"].(string))
		ref := e["action"].(map[string]any)["ref"]
		if a := q.Get("action"); a != "" && a != ref || !begun.After(since) {
			continue
		}
		if only := q.Get("include_attributes"); only != "" {
			shown := document{"id": e["id"]}
			for name := range strings.SplitSeq(only, ",") {
				shown[name] = e[name]
			}
			e = shown
		}
		out = append(out, e)
	}
	w.Header().Set("X-Total-Count", strconv.Itoa(len(out)))
	w.Header().Set("X-Limit", strconv.Itoa(limit))
	out = out[min(offset, len(out)):]
	writeJSON(w, http.StatusOK, out[:min(limit, len(out))])
}

// Executions returns how many executions were asked for.
func (s *StackStorm) Executions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.state.Executions)
}
