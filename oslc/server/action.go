package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// An Asker has requests carried out.
type Asker interface {
	// NewRequest returns the id and the URI of a request. The same key of the same
	// user always gives the same; without a key they are new.
	NewRequest(user, key string) (id, uri string)
	// Ask records r, once for its id, and waits for its result no longer than wait.
	// done is false when there is none yet.
	Ask(ctx context.Context, r oslc.Request, wait time.Duration) (res oslc.Result, done bool, err error)
	// Cancel records that somebody, whose name is by, wants the request canceled, and
	// waits for its end no longer than wait; done is false when it has not ended yet.
	// It fails with kind Conflict for a request that has ended otherwise or that its
	// tool cannot stop, and NotFound for one that never was.
	Cancel(ctx context.Context, uri, by string, wait time.Duration) (r oslc.Request, done bool, err error)
}

// An offer is an action of a tool.
type offer struct {
	oslc.Action
	tool  string
	where query.Where
}

// offers compiles the actions of the tools.
func offers(actions map[string][]oslc.Action) ([]offer, error) {
	var out []offer
	for tool, list := range actions {
		for _, a := range list {
			o := offer{Action: a, tool: tool}
			if a.Where != "" {
				var err error
				if o.where, err = query.ParseWhere(a.Where, func(prefix string) (string, bool) { return rdf.Expand(prefix + ":") }); err != nil {
					return nil, oslc.E("server.new", fmt.Errorf("the condition of the action %s of %s: %w", a.Name, tool, err), oslc.Invalid)
				}
			}
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b offer) int { return strings.Compare(a.tool, b.tool) })
	return out, nil
}

// shapeOf describes the parameters that a client can write as properties.
func (o *offer) shapeOf(uri string) *shape.Shape {
	sh := &shape.Shape{Term: rdf.NewIRI(uri), Title: o.Title, Describes: []string{o.IRI}}
	for _, p := range o.Parameters {
		if p.Property == "" || p.Target {
			continue
		}
		prop := shape.Property{Name: p.Name, Definition: p.Property, Description: p.Help, Occurs: shape.ZeroOrOne, Hidden: p.Hidden}
		if p.Required {
			prop.Occurs = shape.ExactlyOne
		}
		sh.Properties = append(sh.Properties, prop)
	}
	return sh
}

// available reports whether the action would be accepted for the resource in its
// present state.
func (o *offer) available(g *rdf.Graph, s rdf.Term) bool {
	return o.Class != "" && g.IsA(s, o.Class) && o.where.Match(g, s)
}

// asksForMore reports whether the resource alone does not say what to do.
func (o *offer) asksForMore() bool {
	return slices.ContainsFunc(o.Parameters, func(p oslc.Parameter) bool { return !p.Target })
}

// shapeFragment follows the URI of an action and names the shape of what it takes.
const shapeFragment = "#shape"

// actionURI is where an action of a resource is asked for.
func actionURI(resource, name string) string { return resource + "/actions/" + name }

// offer adds the actions that a resource can be asked for now and, described, what a
// client must send (OSLC Actions, patterns http-empty-body and automation-request). A
// plan also leads to what may be done with it at another time (oslc:futureAction).
func (s *Server) offer(g *rdf.Graph, c *collection, uri string, described bool) {
	subject := rdf.NewIRI(uri)
	plan := c.Shape != nil && g.IsA(subject, vocab.AutoAutomationPlan)
	for i := range s.offers {
		o := &s.offers[i]
		if o.tool != c.provider.Name || o.Class == "" || !g.IsA(subject, o.Class) {
			continue
		}
		if plan && c.hasFuture(o) {
			g.Node(uri).Link(vocab.OSLCFutureAction, c.futureURI(o))
		}
		if !o.available(g, subject) {
			continue
		}
		at := actionURI(uri, o.Name)
		g.Node(uri).Link(vocab.OSLCAction, at)
		if described {
			s.describe(g, o, uri, at, i)
		}
	}
}

func (s *Server) describe(g *rdf.Graph, o *offer, target, at string, n int) {
	blank := func(what string) rdf.Term { return rdf.NewBlank("action" + strconv.Itoa(n) + what) }
	a := g.Node(at).A(vocab.OSLCActionClass, o.IRI).Add(vocab.DCTermsTitle, xmlText(o.Title))
	binding := func(what, uri string, body rdf.Term, status string) rdf.Node {
		b := blank(what)
		a.Add(vocab.OSLCBinding, b)
		return g.NodeOf(b).A(vocab.HTTPRequest).
			Link(vocab.HTTPMthd, vocab.HTTPPost).
			Link(vocab.HTTPRequestURI, uri).
			String(vocab.HTTPHttpVersion, "1.1").
			Add(vocab.HTTPBody, body).
			Link(vocab.OSLCFinalStatusLocation, status)
	}
	if o.asksForMore() {
		binding("shaped", at, rdf.NewIRI(at+shapeFragment), vocab.HTTPStatusCode).Link(vocab.OSLCUsage, vocab.OSLCDefault)
		g.Node(at + shapeFragment).A(vocab.OSLCResourceShapeClass)
	} else {
		binding("empty", at, rdf.NewIRI(rdf.Nil), vocab.HTTPStatusCode).Link(vocab.OSLCUsage, vocab.OSLCDefault)
	}
	body := blank("request")
	binding("later", s.requestsURI(), body, vocab.AutoAutomationResult)
	g.NodeOf(body).A(vocab.AutoAutomationRequest).
		String(vocab.DCTermsTitle, o.Title).
		Link(vocab.AutoExecutesAutomationPlan, o.IRI).
		String(vocab.BusTool, o.tool).
		Link(vocab.BusTarget, target)
}

// futureURI is the URI of an action as the shape of a collection names it: what may be
// done with its resources, though perhaps not with this one now.
func (c *collection) futureURI(o *offer) string { return c.shapeURI() + "#" + o.Name }

// hasFuture reports whether the shape of the collection lists the action.
func (c *collection) hasFuture(o *offer) bool {
	return o.tool == c.provider.Name && o.Class != "" && (slices.Contains(c.Shape.Describes, o.Class) || slices.Contains(c.ResourceTypes, o.Class))
}

// future adds the actions that resources of the shape may offer (oslc:futureAction). They
// have no binding: what can be done now each resource says itself.
func (s *Server) future(g *rdf.Graph, c *collection) {
	for i := range s.offers {
		o := &s.offers[i]
		if !c.hasFuture(o) {
			continue
		}
		at := c.futureURI(o)
		g.Node(c.shapeURI()).Link(vocab.OSLCFutureAction, at)
		g.Node(at).A(vocab.OSLCActionClass, o.IRI).Add(vocab.DCTermsTitle, xmlText(o.Title))
	}
}

func (s *Server) requestsURI() string {
	return oslc.ProviderURI(s.cfg.BaseURL, s.cfg.Requests) + "/requests"
}

// Ask takes a description of what is to be done: an AutomationRequest, or a node of
// the class of an action with the action's parameters as properties.
func (s *Server) Ask(w http.ResponseWriter, r *http.Request) error {
	if answered, err := Allow(w, r, http.MethodPost); answered || err != nil {
		return err
	}
	g, err := s.body(w, r, s.cfg.BaseURL+r.URL.EscapedPath())
	if err != nil {
		return err
	}
	req, o, err := s.asked(g)
	if err != nil {
		return err
	}
	return s.carryOut(w, r, req, o)
}

// Act asks for an action of a resource (POST), or describes it (GET). What the body
// says of the action's parameters counts.
func (s *Server) Act(w http.ResponseWriter, r *http.Request, name, kind, id, action string) error {
	if answered, err := Allow(w, r, http.MethodGet, http.MethodPost); answered || err != nil {
		return err
	}
	c, uri, err := s.target(name, kind, id)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.offers, func(o offer) bool { return o.tool == name && o.Name == action && o.Class != "" })
	if i < 0 {
		return oslc.Errorf("server.action", oslc.NotFound, "%s has no action %q", name, action)
	}
	o := &s.offers[i]
	res, err := s.present(r, uri)
	if err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		return Reply{Graph: func() (*rdf.Graph, error) {
			g := rdf.NewGraph()
			at := actionURI(uri, action)
			s.describe(g, o, uri, at, i)
			if c.Shape != nil && c.hasFuture(o) {
				g.Node(at).Link(vocab.OSLCExecutes, c.futureURI(o))
			}
			o.shapeOf(at+shapeFragment).AddTo(g, "p")
			return g, nil
		}}.Write(w, r)
	}
	req := oslc.Request{Title: o.Title, Target: uri}
	if r.ContentLength != 0 {
		g, err := s.body(w, r, actionURI(uri, action))
		if err != nil {
			return err
		}
		node, err := posted(g, actionURI(uri, action), []string{o.IRI})
		if err != nil {
			return err
		}
		if req.Parameters, err = o.parameters(g, node); err != nil {
			return err
		}
	}
	if g := c.decorate(res.Graph, uri); !o.available(g, rdf.NewIRI(uri)) {
		return oslc.Errorf("server.action", oslc.Conflict, "%s is not possible now: read the resource again for what is", o.Title)
	}
	return s.carryOut(w, r, req, o)
}

// How long a client waits that does not say, and may at most.
const (
	askWait = 30 * time.Second
	maxWait = 5 * time.Minute
)

// preferred returns how long the client wants to wait (RFC 7240: respond-async and
// wait).
func preferred(r *http.Request) time.Duration {
	wait := askWait
	for _, v := range r.Header.Values("Prefer") {
		for p := range strings.FieldsFuncSeq(v, func(c rune) bool { return c == ',' || c == ';' }) {
			name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			if n, err := strconv.Atoi(value); strings.EqualFold(name, "wait") && err == nil && n >= 0 {
				wait = min(time.Duration(n)*time.Second, maxWait)
			}
			if strings.EqualFold(name, "respond-async") {
				return 0
			}
		}
	}
	return wait
}

// carryOut has the request carried out and answers with what became of it: 201 or 200
// with the request and its result, the tool's refusal, or 202 when it takes longer.
func (s *Server) carryOut(w http.ResponseWriter, r *http.Request, req oslc.Request, o *offer) error {
	if _, ok := negotiate(r); !ok {
		return errNotAcceptable
	}
	if err := o.complete(req); err != nil {
		return err
	}
	s.sign(r, &req, o)
	res, done, err := s.cfg.Asker.Ask(r.Context(), req, preferred(r))
	if err != nil {
		return err
	}
	w.Header().Set("Location", req.URI)
	g := rdf.NewGraph()
	if !done {
		g.AddGraph(req.Graph())
		return Reply{Graph: Graph(g), Status: http.StatusAccepted, CacheControl: "no-store"}.Write(w, r)
	}
	if req.Desired != oslc.Canceled {
		if err := res.Failure(); err != nil {
			return failed(err)
		}
	}
	if req.State = res.State; req.State == "" {
		req.State = oslc.Complete
	}
	g.AddGraph(req.Graph())
	g.AddGraph(res.Graph(oslc.ResourceURI(s.cfg.BaseURL, s.cfg.Requests, "results", req.ID), req.ID, req.Title, req.Action).Relabel("r"))
	status := http.StatusOK
	if o.Class == "" || req.Desired == oslc.Canceled {
		status = http.StatusCreated
	}
	return Reply{Graph: Graph(g), Status: status, CacheControl: "no-store"}.Write(w, r)
}

// sign says of a request what it asks for, who asks, and how it is called.
func (s *Server) sign(r *http.Request, req *oslc.Request, o *offer) {
	req.Tool, req.Action, req.State, req.Hops = o.tool, o.IRI, oslc.New, 1
	req.By, req.Created = s.cfg.User(r.Context()), s.cfg.Now()
	if req.Desired == oslc.Canceled {
		req.CanceledBy = req.By
	}
	req.ID, req.URI = s.cfg.Asker.NewRequest(req.By, r.Header.Get("Idempotency-Key"))
	if req.Trace = oslc.TraceFromHeader(r.Header).Child("asked"); req.Trace.IsZero() {
		req.Trace = oslc.TraceOf(req.ID)
	}
}

// failed gives the refusal of a tool its status: what the client could mend is the
// client's, the rest is said of a gateway.
func failed(err error) error {
	status := map[oslc.Kind]int{
		oslc.Invalid: http.StatusUnprocessableEntity, oslc.Denied: http.StatusBadGateway,
		oslc.Limited: http.StatusServiceUnavailable, oslc.Unavailable: http.StatusGatewayTimeout, oslc.Internal: http.StatusBadGateway,
	}[oslc.KindOf(err)]
	if status == 0 {
		return err
	}
	return &StatusError{status, err}
}

func unprocessable(format string, args ...any) error {
	return &StatusError{http.StatusUnprocessableEntity, fmt.Errorf(format, args...)}
}

// asked finds what a graph asks for.
func (s *Server) asked(g *rdf.Graph) (oslc.Request, *offer, error) {
	type found struct {
		node  rdf.Term
		class string
	}
	var all []found
	for t := range g.All() {
		if t.P.Value != rdf.Type {
			continue
		}
		switch {
		case t.O.Value == vocab.AutoAutomationRequest:
			plan := g.Value(t.S, vocab.AutoExecutesAutomationPlan)
			if plan == "" {
				return oslc.Request{}, nil, unprocessable("the AutomationRequest lacks oslc_auto:executesAutomationPlan, the action to carry out")
			}
			all = append(all, found{t.S, plan})
		case strings.HasSuffix(t.O.Value, "Action") && t.O.Value != vocab.OSLCActionClass && t.O.Value != vocab.Actions+"Action":
			all = append(all, found{t.S, t.O.Value})
		}
	}
	switch {
	case len(all) == 0:
		return oslc.Request{}, nil, unprocessable("the body asks for nothing: it holds neither an oslc_auto:AutomationRequest nor a node of the class of an action; there are %s", s.known())
	case len(all) > 1:
		return oslc.Request{}, nil, unprocessable("the body asks for %d actions; ask for one at a time", len(all))
	}
	node, class := all[0].node, all[0].class
	req := oslc.Request{Title: g.Value(node, vocab.DCTermsTitle), Target: g.Value(node, vocab.BusTarget)}
	if wantsCancel(g, node) {
		req.Desired = oslc.Canceled
	}
	o, err := s.find(class, g.Value(node, vocab.BusTool), req.Target)
	if err != nil {
		return req, nil, err
	}
	if req.Title == "" {
		req.Title = o.Title
	}
	req.Parameters, err = o.parameters(g, node)
	return req, o, err
}

// find returns the action of a class. A class of another namespace counts when it
// has the same name and the path of earlier adapters.
func (s *Server) find(class, tool, target string) (*offer, error) {
	var fit []*offer
	for i := range s.offers {
		o := &s.offers[i]
		if tool != "" && o.tool != tool {
			continue
		}
		if o.IRI == class || strings.HasSuffix(class, "/service/"+local(o.IRI)) {
			fit = append(fit, o)
		}
	}
	if len(fit) > 1 && target != "" {
		fit = slices.DeleteFunc(fit, func(o *offer) bool {
			return !strings.HasPrefix(target, oslc.ProviderURI(s.cfg.BaseURL, o.tool)+"/")
		})
	}
	switch len(fit) {
	case 0:
		return nil, unprocessable("there is no action <%s>; there are %s", class, s.known())
	case 1:
		return fit[0], nil
	}
	var tools []string
	for _, o := range fit {
		tools = append(tools, o.tool)
	}
	return nil, unprocessable("several tools have the action <%s>: say which by <%s>: %s", class, vocab.BusTool, strings.Join(tools, ", "))
}

func (s *Server) known() string {
	if len(s.offers) == 0 {
		return "none: no connection takes actions"
	}
	var names []string
	for i := range s.offers {
		names = append(names, "<"+s.offers[i].IRI+">")
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// local is the part of an IRI after the last slash or number sign.
func local(iri string) string { return iri[1+strings.LastIndexAny(iri, "/#"):] }

// besides are what a node that asks for something may say of itself.
var besides = []string{
	rdf.Type, vocab.DCTermsTitle, vocab.DCTermsDescription, vocab.DCTermsIdentifier, vocab.DCTermsCreated, vocab.DCTermsCreator,
	vocab.DCTermsContributor, vocab.DCTermsModified, vocab.AutoExecutesAutomationPlan, vocab.AutoInputParameter, vocab.AutoState,
	vocab.AutoDesiredState, vocab.BusTool, vocab.BusTarget, vocab.OSLCServiceProvider, vocab.OSLCInstanceShape,
}

// parameters takes the values of an action's parameters from a node: from
// properties, and from ParameterInstances.
func (o *offer) parameters(g *rdf.Graph, node rdf.Term) (map[string]any, error) {
	out := map[string]any{}
	set := func(name string, t rdf.Term) error {
		v, err := oslc.ParameterValue(t)
		if err != nil {
			return unprocessable("the parameter %s: %w", name, err)
		}
		if had, twice := out[name]; twice {
			list, ok := had.([]any)
			if !ok {
				list = []any{had}
			}
			list = append(list, v)
			v = list
		}
		out[name] = v
		return nil
	}
	var unknown []string
	for t := range g.About(node) {
		p := t.P.Value
		i := slices.IndexFunc(o.Parameters, func(q oslc.Parameter) bool {
			return q.Property != "" && (q.Property == p || local(q.Property) == local(p) && strings.HasPrefix(q.Property, vocab.St2))
		})
		switch {
		case p == vocab.AutoInputParameter:
			name := g.Value(t.O, vocab.OSLCName)
			if !slices.ContainsFunc(o.Parameters, func(q oslc.Parameter) bool { return q.Name == name }) {
				unknown = append(unknown, strconv.Quote(name))
				continue
			}
			if err := set(name, g.Object(t.O, rdf.NS+"value")); err != nil {
				return nil, err
			}
		case i >= 0:
			if t.O.Value == "" {
				continue // earlier clients send what they leave out as empty
			}
			if err := set(o.Parameters[i].Name, t.O); err != nil {
				return nil, err
			}
		case !slices.Contains(besides, p):
			unknown = append(unknown, short(p))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, unprocessable("%s has no parameter %s; it takes %s", o.Name, strings.Join(slices.Compact(unknown), ", "), o.takes())
	}
	return out, nil
}

func (o *offer) takes() string {
	var names []string
	for _, p := range o.Parameters {
		name := p.Name
		if p.Property != "" {
			name += " (" + short(p.Property) + ")"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// complete checks that everything is there that the action needs.
func (o *offer) complete(r oslc.Request) error {
	var missing []string
	for _, p := range o.Parameters {
		if v := r.Parameters[p.Name]; p.Required && (v == nil || v == "") {
			name := p.Name
			if p.Property != "" {
				name += " (" + short(p.Property) + ")"
			}
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return unprocessable("%s needs %s", o.Name, strings.Join(missing, ", "))
	}
	return nil
}
