package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// The creation dialog of requests: a person chooses an action, and then says what it
// is about and with which values. A request that is made so is carried out at once, as
// one is whose dialog has no usage (OSLC Automation 2.1, AUTO-9 and 10).

// paramField is what the name of a field begins with that is for a parameter.
const paramField = "parameter-"

// choice names an action in the form.
func (o *offer) choice() string { return o.tool + "/" + o.Name }

// chosen returns the action that the form is for, or nil.
func (s *Server) chosen(choice string) *offer {
	for i := range s.offers {
		if s.offers[i].choice() == choice {
			return &s.offers[i]
		}
	}
	return nil
}

// described returns what the shapes of the tool's resources say of the property that a
// parameter is written as, or nil.
func (s *Server) described(o *offer, p oslc.Parameter) *shape.Property {
	provider := s.providers[o.tool]
	if provider == nil || p.Property == "" {
		return nil
	}
	for _, c := range provider.collections {
		if found := c.known[p.Property]; found != nil {
			return found
		}
	}
	return nil
}

// askFields are the inputs of an action.
func (s *Server) askFields(o *offer, v url.Values) []field {
	fields := []field{{Name: "title", Label: "Title", Hint: "What it is for; the name of the action if it is left empty", Kind: "line", Value: v.Get("title")}}
	if o.Class != "" {
		fields = append(fields, field{Name: "target", Label: "Target", Hint: "The URI of the resource that it is about", Kind: "line", Value: v.Get("target")})
	}
	for _, p := range o.asked() {
		name := paramField + p.Name
		f := field{Name: name, Label: p.Name, Hint: p.Help, Kind: "line", Required: p.Required, Value: v.Get(name)}
		if p.Hidden {
			if f.Value != "" { // as a client filled it in
				f.Kind = "hidden"
				fields = append(fields, f)
			}
			continue
		}
		switch d := s.described(o, p); {
		case d == nil && p.Name != "description":
		case d != nil && slices.Contains(d.ValueTypes, rdf.XSDBoolean):
			f.Kind, f.Choices = "choice", []string{"true", "false"} // a box could not be left out
		case d == nil || d.Definition == vocab.DCTermsDescription:
			f.Kind = "text"
		}
		fields = append(fields, f)
	}
	return fields
}

// asked are the parameters that the form has a field for: all but the target's, which
// has one of its own.
func (o *offer) asked() []oslc.Parameter {
	return slices.DeleteFunc(slices.Clone(o.Parameters), func(p oslc.Parameter) bool { return p.Target })
}

// askPage answers with the choice of an action or, once it is made, with its form.
func (s *Server) askPage(w http.ResponseWriter, r *http.Request, status int, c *collection, v url.Values, fault error) error {
	data := map[string]any{"Title": c.Title, "Protocol": protocol(v.Get("protocol"))}
	if fault != nil {
		data["Error"] = oslc.Message(fault)
	}
	o := s.chosen(v.Get("action"))
	switch {
	case o != nil:
		data["Title"], data["Action"], data["Fields"] = o.Title+" ("+o.tool+")", o.choice(), s.askFields(o, v)
	case v.Get("action") != "":
		return oslc.Errorf("server.dialog", oslc.NotFound, "there is no action %q", v.Get("action"))
	default:
		type option struct{ Value, Label string }
		options := make([]option, len(s.offers))
		for i := range s.offers {
			options[i] = option{s.offers[i].choice(), s.offers[i].tool + ": " + s.offers[i].Title}
		}
		data["Options"] = options
	}
	return s.html(w, r, status, "creation.html", data)
}

// askSubmitted records the request of a form that was filled in, and answers without
// waiting for its result.
func (s *Server) askSubmitted(w http.ResponseWriter, r *http.Request, c *collection, v url.Values) error {
	req, err := s.askForm(r, v)
	if err == nil {
		_, _, err = s.cfg.Asker.Ask(r.Context(), req, 0)
	}
	if err != nil {
		status := oslc.KindOf(err).Status()
		if e, ok := errors.AsType[*StatusError](err); ok {
			status = e.Status
		}
		if status >= http.StatusInternalServerError {
			return err
		}
		return s.askPage(w, r, status, c, v, err)
	}
	w.Header().Set("Location", req.URI)
	return s.html(w, r, http.StatusCreated, "creation.html", map[string]any{
		"Title": c.Title, "Protocol": protocol(v.Get("protocol")), "Made": req.URI, "Label": req.Title,
	})
}

func (s *Server) askForm(r *http.Request, v url.Values) (oslc.Request, error) {
	o := s.chosen(v.Get("action"))
	if o == nil {
		return oslc.Request{}, unprocessable("choose an action; there are %s", s.known())
	}
	req := oslc.Request{Title: v.Get("title"), Target: v.Get("target"), Parameters: map[string]any{}}
	if req.Title == "" {
		req.Title = o.Title
	}
	if req.Target != "" && !rdf.ValidIRI(req.Target) {
		return req, unprocessable("the target %.200q is no URI", req.Target)
	}
	for _, p := range o.asked() {
		if value := v.Get(paramField + p.Name); value != "" {
			t := rdf.String(value)
			if value[0] == '[' || value[0] == '{' {
				t = rdf.Typed(value, rdf.NS+"JSON") // a list or an object, for which a form has no field
			}
			if d := s.described(o, p); d != nil && slices.Contains(d.ValueTypes, rdf.XSDBoolean) {
				t = rdf.Typed(value, rdf.XSDBoolean)
			}
			var err error
			if req.Parameters[p.Name], err = oslc.ParameterValue(t); err != nil {
				return req, unprocessable("the parameter %s: %w", p.Name, err)
			}
		}
	}
	if err := o.complete(req); err != nil {
		return req, err
	}
	s.sign(r, &req, o)
	return req, nil
}

// askPrefill turns an AutomationRequest that is not complete into values of the form.
func (s *Server) askPrefill(g *rdf.Graph) (url.Values, error) {
	v := url.Values{}
	set := func(name string, value any) {
		if value != nil && value != "" {
			v.Set(name, fmt.Sprint(value))
		}
	}
	nodes := g.OfType(vocab.AutoAutomationRequest)
	if len(nodes) != 1 {
		return nil, unprocessable("the body has %d resources of type oslc_auto:AutomationRequest, and should have one", len(nodes))
	}
	node := nodes[0]
	set("title", g.Value(node, vocab.DCTermsTitle))
	set("target", g.Value(node, vocab.BusTarget))
	plan := g.Value(node, vocab.AutoExecutesAutomationPlan)
	if plan == "" {
		return v, nil
	}
	o, err := s.find(plan, g.Value(node, vocab.BusTool), v.Get("target"))
	if err != nil {
		return nil, err
	}
	set("action", o.choice())
	parameters, err := o.parameters(g, node)
	if err != nil {
		return nil, err
	}
	for _, p := range o.Parameters {
		set(paramField+p.Name, parameters[p.Name])
	}
	return v, nil
}
