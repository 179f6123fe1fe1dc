package sandbox

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
)

var st2Page = template.Must(template.New("st2").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sandbox StackStorm</title>
<style>` + style + `</style>
<h1>Sandbox StackStorm</h1>
<p>A stand-in of StackStorm: change a rule here, and the bus tells of it.</p>
<table><tr><th>Rule<th>Trigger<th>Action<th>State<th></tr>
{{range .}}<tr><td><b>{{.ref}}</b><br>{{.description}}<td>{{.trigger.type}}<td>{{.action.ref}}
<td><span class="tag">{{if .enabled}}enabled{{else}}disabled{{end}}</span>
<td><form method="post" action="/ui"><input type="hidden" name="id" value="{{.id}}">
{{if .enabled}}<button name="do" value="disable">Disable</button>{{else}}<button name="do" value="enable">Enable</button>{{end}}
<button name="do" value="delete">Delete</button></form></tr>
{{else}}<tr><td colspan="5">no rules yet</tr>{{end}}</table>
<h2>New rule</h2>
<form method="post" action="/ui"><label>Name <input name="name" required pattern="[A-Za-z0-9_.-]+"></label>
<label>Description <input name="description"></label> <button name="do" value="create">Create</button></form>
</html>
`))

func (s *StackStorm) page(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/" && r.Method == http.MethodGet:
		showPage(w, st2Page, s.Rules())
	case r.URL.Path == "/ui" && r.Method == http.MethodPost:
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
			http.Error(w, "only from the page itself", http.StatusForbidden)
			return
		}
		if err := s.press(r); err != nil {
			http.Error(w, err.Error(), oslc.KindOf(err).Status())
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	default:
		http.NotFound(w, r)
	}
}

func (s *StackStorm) press(r *http.Request) error {
	id := r.PostFormValue("id")
	switch do := r.PostFormValue("do"); do {
	case "enable", "disable":
		return s.SetEnabled(id, do == "enable")
	case "delete":
		s.mu.Lock()
		defer s.mu.Unlock()
		rule := s.rule(id)
		if rule == nil {
			return oslc.E("sandbox.delete", errNoRule, oslc.NotFound)
		}
		return s.remove(rule)
	case "create":
		_, err := s.Create(strings.TrimSpace(r.PostFormValue("name")), r.PostFormValue("description"))
		return err
	default:
		return oslc.Errorf("sandbox.press", oslc.Invalid, "no button %q", do)
	}
}

// Create makes an enabled rule in the pack default, and returns its id.
func (s *StackStorm) Create(name, description string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := document{
		"name": name, "enabled": true, "trigger": map[string]any{"type": "core.st2.generic.notifytrigger"},
		"action": map[string]any{"ref": "core.noop"},
	}
	if description != "" {
		in["description"] = description
	}
	if name == "" {
		return "", oslc.Errorf("sandbox.create", oslc.Invalid, "a rule needs a name")
	}
	if err := s.complete(in); err != nil {
		return "", oslc.E("sandbox.create", err, oslc.Invalid)
	}
	if other := s.rule(fmt.Sprint(in["ref"])); other != nil {
		return "", oslc.Errorf("sandbox.create", oslc.Conflict, "there is a rule %v", in["ref"])
	}
	id := s.newID()
	in["_id"] = id
	s.state.Rules = append(s.state.Rules, in)
	s.note(entry{Op: "insert", Collection: "rule_d_b", ID: id, Full: in})
	return id, s.save()
}
