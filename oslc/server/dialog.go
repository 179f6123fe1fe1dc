package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// A dialogKind is one of the two delegated dialogs of a collection.
type dialogKind struct {
	name, property, title string
	width, height         string // hints, as CSS lengths
}

var (
	selection = dialogKind{"selection", vocab.OSLCSelectionDialog, "Choose from ", "480px", "420px"}
	creation  = dialogKind{"creation", vocab.OSLCCreationDialog, "New in ", "560px", "640px"}
)

// dialogURI is the URI of the descriptor; the page is one segment below.
func (c *collection) dialogURI(kind dialogKind) string {
	return c.provider.uri + "/dialogs/" + c.Kind + "/" + kind.name
}

// dialogs are those that the collection has.
func (c *collection) dialogs() []dialogKind {
	if !c.asks && c.writer == nil || c.Shape == nil {
		return []dialogKind{selection}
	}
	return []dialogKind{selection, creation}
}

// dialog describes a dialog in n (oslc:Dialog).
func (c *collection) dialog(n rdf.Node, kind dialogKind, usage []string) {
	n.A(vocab.OSLCDialogClass).
		Add(vocab.DCTermsTitle, xmlText(kind.title+c.Title)).
		String(vocab.OSLCLabel, kind.title+c.Title).
		Link(vocab.OSLCDialog, c.dialogURI(kind)+"/page").
		String(vocab.OSLCHintWidth, kind.width).
		String(vocab.OSLCHintHeight, kind.height).
		Link(vocab.OSLCResourceType, c.ResourceTypes...).
		Link(vocab.OSLCUsage, usage...)
	if kind == creation {
		n.Link(vocab.OSLCResourceShape, c.shapeURI())
	}
}

func (s *Server) dialogOf(name, kind, dialog string) (*collection, dialogKind, error) {
	c, err := s.collection(name, kind)
	if err != nil {
		return nil, dialogKind{}, err
	}
	for _, d := range c.dialogs() {
		if d.name == dialog {
			return c, d, nil
		}
	}
	return nil, dialogKind{}, oslc.Errorf("server.dialog", oslc.NotFound, "%s has no %s dialog", c.Title, dialog)
}

// Dialog answers with the descriptor of a dialog. What is posted to that of a
// creation dialog fills a page of its own in advance (DD-22 to 28).
func (s *Server) Dialog(w http.ResponseWriter, r *http.Request, name, kind, dialog string) error {
	c, d, err := s.dialogOf(name, kind, dialog)
	if err != nil {
		return err
	}
	methods := []string{http.MethodGet}
	if d == creation {
		methods = append(methods, http.MethodPost)
	}
	if answered, err := Allow(w, r, methods...); answered || err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		return s.prefill(w, r, c)
	}
	g := rdf.NewGraph()
	c.dialog(g.Node(c.dialogURI(d)), d, nil)
	return Reply{Graph: Graph(g)}.Write(w, r)
}

// prefilled are the values that clients have posted for dialogs to come.
type prefilled struct {
	mu    sync.Mutex
	by    map[string]url.Values
	order []string
}

// prefilledKept is how many are kept, the newest: a dialog is opened right after it
// was filled, and a page that is gone is shown empty (DD-28 lets it expire).
const prefilledKept = 1000

func newPrefilled() *prefilled { return &prefilled{by: map[string]url.Values{}} }

func (p *prefilled) put(v url.Values) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	key := hex.EncodeToString(b[:])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.by[key] = v
	if p.order = append(p.order, key); len(p.order) > prefilledKept {
		delete(p.by, p.order[0])
		p.order = p.order[1:]
	}
	return key
}

func (p *prefilled) get(key string) (url.Values, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.by[key]
	return v, ok
}

// prefill keeps what a partial representation says of the fields of the form. What
// has no field is left out: the dialog is for a person to finish (DD-24).
func (s *Server) prefill(w http.ResponseWriter, r *http.Request, c *collection) error {
	g, err := s.body(w, r, c.uri)
	if err != nil {
		return err
	}
	var v url.Values
	if c.asks {
		v, err = s.askPrefill(g)
	} else {
		v, err = c.values(g)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", c.dialogURI(creation)+"/page?prefill="+s.prefilled.put(v))
	out := rdf.NewGraph()
	c.dialog(out.Node(c.dialogURI(creation)), creation, nil)
	return Reply{Status: http.StatusCreated, Graph: Graph(out)}.Write(w, r)
}

// values returns what a graph says of the fields of the form.
func (c *collection) values(g *rdf.Graph) (url.Values, error) {
	node, err := posted(g, c.uri, c.ResourceTypes)
	if err != nil {
		return nil, err
	}
	v := url.Values{}
	for _, p := range c.fields() {
		var all []string
		for _, o := range g.Objects(node, p.Definition) {
			all = append(all, text(o))
		}
		if len(all) > 0 {
			v.Set(p.Name, strings.Join(all, "\n"))
		}
	}
	return v, nil
}

// DialogPage answers with the page of a dialog, and creates what its form says.
func (s *Server) DialogPage(w http.ResponseWriter, r *http.Request, name, kind, dialog string) error {
	c, d, err := s.dialogOf(name, kind, dialog)
	if err != nil {
		return err
	}
	if d == selection {
		if answered, err := Allow(w, r, http.MethodGet); answered || err != nil {
			return err
		}
		return s.selectionPage(w, r, c)
	}
	if answered, err := Allow(w, r, http.MethodGet, http.MethodPost); answered || err != nil {
		return err
	}
	q := r.URL.Query()
	if r.Method == http.MethodPost {
		return s.submitted(w, r, c)
	}
	values, ok := s.prefilled.get(q.Get("prefill"))
	if !ok && q.Get("prefill") != "" {
		return oslc.Errorf("server.dialog", oslc.Gone, "what was filled in is not kept any more; open the dialog without it")
	}
	if c.asks {
		if !ok {
			values = q
		}
		return s.askPage(w, r, http.StatusOK, c, values, nil)
	}
	return s.creationPage(w, r, http.StatusOK, c, values, q.Get("protocol"), nil)
}

// shownAtOnce is how many resources a selection dialog lists: more cannot be looked
// through, and are searched for.
const shownAtOnce = 50

func (s *Server) selectionPage(w http.ResponseWriter, r *http.Request, c *collection) error {
	q := r.URL.Query()
	ask := &query.Query{PageSize: shownAtOnce}
	if terms := strings.Fields(q.Get("terms")); len(terms) > 0 {
		ask.Search = terms
	}
	s.settle(r.Context(), c)
	page, err := s.cfg.Store.Query(r.Context(), c.provider.Name, c.Kind, ask)
	if err != nil {
		return err
	}
	type choice struct{ URI, Label string }
	rows := make([]choice, len(page.Members))
	for i, m := range page.Members {
		rows[i] = choice{m.URI, titleOf(Resource{URI: m.URI, Graph: m.Graph})}
	}
	return s.html(w, r, http.StatusOK, "selection.html", map[string]any{
		"Title": c.Title, "Terms": q.Get("terms"), "Protocol": protocol(q.Get("protocol")), "Rows": rows, "More": page.Next != "",
	})
}

// protocol keeps the fragment that says how a dialog answers over its requests.
func protocol(s string) string {
	if s == "#oslc-core-windowName-1.0" {
		return s
	}
	return ""
}

// fields are the properties that a form asks for.
func (c *collection) fields() []*shape.Property {
	var out []*shape.Property
	for i := range c.Shape.Properties {
		p := &c.Shape.Properties[i]
		if !p.ReadOnly && !p.Hidden && p.Name != "" && p.Definition != rdf.Type && !slices.Contains(managed, p.Definition) {
			out = append(out, p)
		}
	}
	// What must be there comes first.
	slices.SortStableFunc(out, func(a, b *shape.Property) int {
		return required(b) - required(a)
	})
	return out
}

func required(p *shape.Property) int {
	if p.Occurs == shape.ExactlyOne || p.Occurs == shape.OneOrMany {
		return 1
	}
	return 0
}

// field is an input of a form.
type field struct {
	Name, Label, Hint, Kind, Value string
	Required                       bool
	Choices                        []string
}

func (s *Server) creationPage(w http.ResponseWriter, r *http.Request, status int, c *collection, v url.Values, proto string, fault error) error {
	data := map[string]any{"Title": c.Title, "Protocol": protocol(proto)}
	if fault != nil {
		data["Error"] = oslc.Message(fault)
	}
	var fields []field
	for _, p := range c.fields() {
		f := field{Name: p.Name, Label: label(c, p.Definition), Hint: p.Description, Kind: "line", Required: required(p) == 1, Value: v.Get(p.Name)}
		if !v.Has(p.Name) && fault == nil && !p.Default.IsZero() {
			f.Value = p.Default.Value
		}
		switch {
		case slices.Contains(p.ValueTypes, rdf.XSDBoolean):
			f.Kind = "boolean"
		case len(p.Allowed) > 0:
			f.Kind = "choice"
			for _, o := range p.Allowed {
				f.Choices = append(f.Choices, o.Value)
			}
		case p.Definition == vocab.DCTermsDescription, len(p.ValueTypes) == 0, many(p):
			f.Kind = "text"
		}
		fields = append(fields, f)
	}
	data["Fields"] = fields
	return s.html(w, r, status, "creation.html", data)
}

func many(p *shape.Property) bool { return p.Occurs == shape.ZeroOrMany || p.Occurs == shape.OneOrMany }

// submitted creates a resource of a form that was filled in. A page of another
// site cannot send it in the name of somebody who is logged in here.
func (s *Server) submitted(w http.ResponseWriter, r *http.Request, c *collection) error {
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return &StatusError{http.StatusForbidden, err}
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return Statusf(http.StatusUnsupportedMediaType, "a form is sent as application/x-www-form-urlencoded")
	}
	data, err := readAll(w, r)
	if err != nil {
		return err
	}
	v, err := url.ParseQuery(string(data))
	if err != nil {
		return oslc.E("server.dialog", err, oslc.Invalid)
	}
	if c.asks {
		return s.askSubmitted(w, r, c, v)
	}
	g := rdf.NewGraph()
	node := rdf.NewBlank("new")
	for _, p := range c.fields() {
		for _, value := range formValues(p, v) {
			g.Add(node, p.Definition, value)
		}
	}
	err = format.Servable(g)
	var res Resource
	if err != nil {
		err = oslc.E("server.dialog", err, oslc.Invalid)
	} else {
		res, _, err = s.make(r, c, g, node)
	}
	if err != nil {
		status := oslc.KindOf(err).Status()
		if _, ok := errors.AsType[*StatusError](err); ok || oslc.KindOf(err) == oslc.Internal {
			return err
		}
		return s.creationPage(w, r, status, c, v, v.Get("protocol"), err)
	}
	w.Header().Set("Location", res.URI)
	return s.html(w, r, http.StatusCreated, "creation.html", map[string]any{
		"Title": c.Title, "Protocol": protocol(v.Get("protocol")), "Made": res.URI, "Label": titleOf(res),
	})
}

// formValues turns the text of a field into values of its property; of one that may
// have several each line is one.
func formValues(p *shape.Property, v url.Values) []rdf.Term {
	of := func(s string) rdf.Term {
		for _, o := range p.Allowed {
			if o.Value == s {
				return o
			}
		}
		for _, kind := range p.ValueTypes {
			switch kind {
			case shape.Resource, shape.AnyResource:
				return rdf.NewIRI(s)
			case rdf.XMLLiteral, rdf.XSDString:
				return rdf.String(s)
			default:
				return rdf.Typed(s, kind)
			}
		}
		return rdf.String(s)
	}
	if slices.Contains(p.ValueTypes, rdf.XSDBoolean) {
		return []rdf.Term{rdf.Bool(v.Get(p.Name) == "true")} // an empty box is sent as nothing
	}
	s := strings.ReplaceAll(strings.TrimSpace(v.Get(p.Name)), "\r\n", "\n")
	if s == "" {
		return nil
	}
	if !many(p) {
		return []rdf.Term{of(s)}
	}
	var out []rdf.Term
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, of(line))
		}
	}
	return out
}
