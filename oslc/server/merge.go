package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// managed are the properties that the server or the tool sets, whatever a shape
// says. Clients send them back cut, retyped or not at all, and that is no conflict.
var managed = []string{
	vocab.DCTermsIdentifier, vocab.DCTermsCreated, vocab.DCTermsModified, vocab.DCTermsCreator,
	vocab.OSLCServiceProvider, vocab.OSLCInstanceShape, vocab.OSLCModifiedBy, vocab.OSLCShortId,
	vocab.OSLCAction, vocab.ActionsAction, vocab.OSLCFutureAction,
}

// A merge is what a body asks for, put together with what there is.
type merge struct {
	c      *collection
	before *rdf.Graph // nil for a creation
	body   *rdf.Graph
	node   rdf.Term        // in body
	only   map[string]bool // the properties of a partial update; nil for all

	after   *rdf.Graph
	subject rdf.Term // in before and after
	changed []string
	ignored []string // told in a Warning
}

// run fills after. It refuses what can be neither kept nor set (CORE-20).
func (m *merge) run() error {
	const op = "server.merge"
	m.after = rdf.NewGraph()
	var order []string
	values := map[string][]rdf.Term{}
	for _, g := range []*rdf.Graph{m.before, m.body} {
		s := m.subject
		if g == m.body {
			s = m.node
		}
		for t := range g.About(s) {
			if _, ok := values[t.P.Value]; !ok {
				values[t.P.Value] = nil
				order = append(order, t.P.Value)
			}
		}
	}
	for p := range m.only {
		if _, ok := values[p]; !ok {
			order = append(order, p)
		}
	}
	slices.Sort(order)
	var unknown []string
	for _, p := range order {
		had, given := m.before.Objects(m.subject, p), m.body.Objects(m.node, p)
		switch {
		case p == rdf.Type:
			if err := m.types(had, given); err != nil {
				return err
			}
		case m.only != nil && !m.only[p]:
			m.put(p, had)
			if len(given) > 0 && !m.same(p, had, given) {
				m.ignored = append(m.ignored, p)
			}
		case slices.Contains(managed, p) || m.readOnly(p, had):
			m.put(p, had)
			if (len(given) > 0 || m.only != nil) && !m.same(p, had, given) {
				if m.only != nil && !slices.Contains(managed, p) {
					return oslc.Errorf(op, oslc.Conflict, "%s is read-only", short(p))
				}
				m.ignored = append(m.ignored, p)
			}
		case m.c.known[p] == nil:
			unknown = append(unknown, short(p))
		default:
			if err := m.set(p, had, given); err != nil {
				return err
			}
		}
	}
	if len(unknown) > 0 {
		kind := oslc.Invalid
		if m.only != nil {
			kind = oslc.Conflict // CM-32
		}
		return oslc.Errorf(op, kind, "%s cannot be kept: %s does not know it", strings.Join(unknown, ", "), m.c.provider.Title)
	}
	return m.others()
}

// readOnly reports whether the property is one that only the tool sets: the shape
// says so, or it is none of the shape's and there all the same.
func (m *merge) readOnly(p string, had []rdf.Term) bool {
	if prop := m.c.known[p]; prop != nil {
		return prop.ReadOnly
	}
	return len(had) > 0
}

func (m *merge) put(p string, values []rdf.Term) {
	for _, o := range values {
		m.after.Add(m.subject, p, o)
	}
}

// types keeps the classes: a resource has those of its collection.
func (m *merge) types(had, given []rdf.Term) error {
	for _, o := range given {
		if !slices.Contains(m.c.ResourceTypes, o.Value) && !slices.Contains(had, o) {
			return oslc.Errorf("server.merge", oslc.Invalid, "a resource of %s cannot be of type %s", m.c.Title, short(o.Value))
		}
	}
	m.put(rdf.Type, had)
	return nil
}

// set gives the property the values of the body; those that are the same as before
// stay as they were spelt.
func (m *merge) set(p string, had, given []rdf.Term) error {
	prop := m.c.known[p]
	left := slices.Clone(had)
	differs := false
	for _, o := range given {
		if i := slices.IndexFunc(left, func(h rdf.Term) bool { return sameValue(h, o) }); i >= 0 {
			m.after.Add(m.subject, p, left[i])
			left = slices.Delete(left, i, i+1)
			continue
		}
		v, warn, err := plain(prop, o)
		if err != nil {
			return err
		}
		if warn {
			m.ignored = append(m.ignored, p+" (markup)")
		}
		differs = true
		m.after.Add(m.subject, p, v)
	}
	if differs || len(left) > 0 {
		m.changed = append(m.changed, p)
	}
	return nil
}

// plain is a value as tools keep it: text without a language and without markup.
func plain(prop *shape.Property, o rdf.Term) (v rdf.Term, markup bool, err error) {
	if o.Kind != rdf.Literal {
		return o, false, nil
	}
	if o.Lang != "" && !slices.Contains(prop.ValueTypes, rdf.LangString) {
		return o, false, oslc.Errorf("server.merge", oslc.Invalid, "%s has the language tag %q, which cannot be kept", short(prop.Definition), o.Lang)
	}
	if o.Datatype == rdf.XMLLiteral {
		text, markup := plainText(o.Value)
		return rdf.String(text), markup, nil
	}
	return o, false, nil
}

func (m *merge) same(_ string, had, given []rdf.Term) bool {
	if len(had) != len(given) {
		return false
	}
	for _, o := range given {
		if !slices.ContainsFunc(had, func(h rdf.Term) bool { return sameValue(h, o) }) {
			return false
		}
	}
	return true
}

// sameValue compares values as a client that read one sends it back: an instant cut
// to milliseconds, text as XMLLiteral, a boolean as 1.
func sameValue(a, b rdf.Term) bool {
	if a == b {
		return true
	}
	if a.Kind != rdf.Literal || b.Kind != rdf.Literal {
		return a.Kind == rdf.Blank && b.Kind == rdf.Blank // no identity of their own
	}
	if x, ok := a.Bool(); ok {
		y, ok := b.Bool()
		return ok && x == y
	}
	if a.Datatype == rdf.XSDDateTime || b.Datatype == rdf.XSDDateTime {
		x, ok1 := a.Time()
		y, ok2 := b.Time()
		return ok1 && ok2 && x.UnixMilli() == y.UnixMilli()
	}
	return text(a) == text(b)
}

func text(t rdf.Term) string {
	if t.Datatype == rdf.XMLLiteral {
		s, _ := plainText(t.Value)
		return s
	}
	return t.Value
}

// others refuses statements about other resources: they would be lost. What hangs
// on an ignored property is ignored with it.
func (m *merge) others() error {
	seen := map[rdf.Term]bool{m.node: true}
	for work := []rdf.Term{m.node}; len(work) > 0; {
		s := work[0]
		work = work[1:]
		for t := range m.body.About(s) {
			if t.O.Kind != rdf.Literal && !seen[t.O] {
				seen[t.O] = true
				work = append(work, t.O)
			}
		}
	}
	for t := range m.body.All() {
		if !seen[t.S] {
			what := "<" + t.S.Value + ">"
			if t.S.Kind == rdf.Blank {
				what = "a node that has no IRI"
			}
			return oslc.Errorf("server.merge", oslc.Invalid, "the body says something about %s, which cannot be kept: it is another resource", what)
		}
	}
	return nil
}

// warn tells which properties were sent and not taken (Resource Shapes, readOnly).
func (m *merge) warn(w http.ResponseWriter) {
	if len(m.ignored) == 0 {
		return
	}
	names := make([]string, len(m.ignored))
	for i, p := range m.ignored {
		iri, note, _ := strings.Cut(p, " ")
		names[i] = strings.TrimSpace(short(iri) + " " + note)
	}
	w.Header().Add("Warning", fmt.Sprintf(`299 oslcbus "not taken from the body: %s"`, strings.ReplaceAll(strings.Join(names, ", "), `"`, "'")))
}

// check holds the result against the shape.
func (m *merge) check() error {
	if m.c.input == nil {
		return nil
	}
	err := m.c.input.Check(m.after, m.subject, shape.Check{Shapes: []string{m.c.shapeURI()}})
	return oslc.E("server.shape", err, oslc.Invalid)
}
