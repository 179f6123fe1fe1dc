package server

import (
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	compactXML = "application/x-oslc-compact+xml"

	smallWidth, smallHeight = "400px", "160px"
	largeWidth, largeHeight = "600px", "400px"
)

// wantsCompactXML reports whether the OSLC 2.0 form of a preview is asked for, on
// the URI of the resource itself (RP-8).
func wantsCompactXML(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), compactXML)
}

// Compact answers with what a client needs to show a link to a resource: title,
// icon, and where the previews are (OSLC Core 3.0 Resource Preview).
func (s *Server) Compact(w http.ResponseWriter, r *http.Request, name, kind, id string) error {
	c, uri, err := s.target(name, kind, id)
	if err != nil {
		return err
	}
	if answered, err := Allow(w, r, http.MethodGet); answered || err != nil {
		return err
	}
	res, err := s.present(r, uri)
	if err != nil {
		return err
	}
	if wantsCompactXML(r) {
		return s.compact(w, r, c, res)
	}
	if wantsJSON(r) {
		return s.compactJSON(w, r, c, res, false)
	}
	return Reply{Tag: res.Revision + "+compact", Graph: func() (*rdf.Graph, error) {
		g := rdf.NewGraph()
		s.addCompact(g, rdf.NewIRI(uri+"/compact"), c, res)
		return g, nil
	}}.Write(w, r)
}

// compact answers in the form of OSLC 2.0, whose subject is the resource.
func (s *Server) compact(w http.ResponseWriter, r *http.Request, c *collection, res Resource) error {
	g := rdf.NewGraph()
	s.addCompact(g, rdf.NewIRI(res.URI), c, res)
	body, err := format.Append(nil, g, format.RDFXML)
	if err != nil {
		return oslc.E("server.compact", err)
	}
	return raw(w, r, compactXML, body)
}

// raw answers with a body that is no RDF of the usual types.
func raw(w http.ResponseWriter, r *http.Request, mediaType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set(versionHeader, coreVersion(r))
	vary(h, "Accept", versionHeader)
	h.Set("Cache-Control", "no-cache")
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone when this fails
	}
	return nil
}

type previewJSON struct {
	Document   string `json:"document"`
	HintWidth  string `json:"hintWidth"`
	HintHeight string `json:"hintHeight"`
}

type compactForm struct {
	Title        string      `json:"title"`
	ShortTitle   string      `json:"shortTitle,omitempty"`
	Icon         string      `json:"icon"`
	IconTitle    string      `json:"iconTitle"`
	IconAltLabel string      `json:"iconAltLabel"`
	Small        previewJSON `json:"smallPreview"`
	Large        previewJSON `json:"largePreview"`
}

// form is what a Compact says. Titles are shown as mark-up by clients.
func (s *Server) form(c *collection, res Resource) compactForm {
	f := compactForm{
		Title: escapeXML(titleOf(res)),
		Icon:  s.cfg.BaseURL + "/web/icon.svg", IconTitle: escapeXML(c.provider.Title), IconAltLabel: escapeXML(c.Title),
		Small: previewJSON{res.URI + "/preview/small", smallWidth, smallHeight},
		Large: previewJSON{res.URI + "/preview/large", largeWidth, largeHeight},
	}
	if short := res.Graph.Value(rdf.NewIRI(res.URI), vocab.OSLCShortTitle); short != "" && len([]rune(short)) <= 5 {
		f.ShortTitle = escapeXML(short)
	}
	return f
}

func titleOf(res Resource) string {
	n := rdf.NewIRI(res.URI)
	if t := text(res.Graph.Object(n, vocab.DCTermsTitle)); t != "" {
		return t
	}
	if id := res.Graph.Value(n, vocab.DCTermsIdentifier); id != "" {
		return id
	}
	return res.URI
}

func (s *Server) compactJSON(w http.ResponseWriter, r *http.Request, c *collection, res Resource, wrapped bool) error {
	var v any = s.form(c, res)
	if wrapped {
		v = map[string]any{"compact": v} // RP-14
	}
	body, err := json.Marshal(v)
	if err != nil {
		return oslc.E("server.compact", err)
	}
	return raw(w, r, "application/json", append(body, '\n'))
}

func (s *Server) addCompact(g *rdf.Graph, subject rdf.Term, c *collection, res Resource) {
	f := s.form(c, res)
	n := g.NodeOf(subject).A(vocab.OSLCCompact).
		String(vocab.DCTermsTitle, f.Title).
		String(vocab.OSLCShortTitle, f.ShortTitle).
		Link(vocab.OSLCIcon, f.Icon).
		String(vocab.OSLCIconTitle, f.IconTitle).
		String(vocab.OSLCIconAltLabel, f.IconAltLabel)
	for _, p := range []struct {
		property string
		preview  previewJSON
	}{{vocab.OSLCSmallPreview, f.Small}, {vocab.OSLCLargePreview, f.Large}} {
		b := rdf.NewBlank(p.property[len(vocab.OSLC):])
		n.Add(p.property, b)
		g.NodeOf(b).A(vocab.OSLCPreview).
			Link(vocab.OSLCDocument, p.preview.Document).
			String(vocab.OSLCHintWidth, p.preview.HintWidth).
			String(vocab.OSLCHintHeight, p.preview.HintHeight)
	}
}

// row is a property as people read it.
type row struct {
	Label  string
	Values []shown
}

type shown struct{ Text, Link string }

// Preview answers with the small or the large HTML preview of a resource.
func (s *Server) Preview(w http.ResponseWriter, r *http.Request, name, kind, id, size string) error {
	c, uri, err := s.target(name, kind, id)
	if err != nil {
		return err
	}
	if size != "small" && size != "large" {
		return oslc.Errorf("server.preview", oslc.NotFound, "there is no preview %q; there are small and large", size)
	}
	if answered, err := Allow(w, r, http.MethodGet); answered || err != nil {
		return err
	}
	res, err := s.present(r, uri)
	if err != nil {
		return err
	}
	return s.html(w, r, http.StatusOK, "preview.html", map[string]any{
		"Title": titleOf(res), "URI": uri, "Provider": c.provider.Title, "Collection": c.Title,
		"Rows": c.rows(res, size == "small"), "Large": size == "large",
	})
}

// first are the properties of a small preview, in this order.
var first = []string{vocab.CMStatus, vocab.AutoState, vocab.AutoVerdict, vocab.DCTermsDescription, vocab.DCTermsModified}

// rows are the properties of a resource: for a small preview the few that matter
// most, else all of them but the title.
func (c *collection) rows(res Resource, small bool) []row {
	n := rdf.NewIRI(res.URI)
	var order []string
	for t := range res.Graph.About(n) {
		if p := t.P.Value; p != rdf.Type && p != vocab.DCTermsTitle && !slices.Contains(order, p) {
			order = append(order, p)
		}
	}
	if small {
		order = slices.DeleteFunc(slices.Clone(first), func(p string) bool { return !slices.Contains(order, p) })
	}
	var out []row
	for _, p := range order {
		r := row{Label: label(c, p)}
		for _, o := range res.Graph.Objects(n, p) {
			switch o.Kind {
			case rdf.IRI:
				v := shown{Text: strings.TrimPrefix(strings.Trim(short(o.Value), "<>"), "oslc_auto:")}
				if strings.HasPrefix(o.Value, "http://") || strings.HasPrefix(o.Value, "https://") {
					v.Link = o.Value
				}
				r.Values = append(r.Values, v)
			case rdf.Literal:
				r.Values = append(r.Values, shown{Text: text(o)})
			case rdf.Blank:
				name, value := res.Graph.Value(o, vocab.OSLCName), res.Graph.Value(o, rdf.NS+"value")
				r.Values = append(r.Values, shown{Text: strings.TrimSuffix(name+": "+value, ": ")})
			}
		}
		out = append(out, r)
	}
	return out
}

// label is how people call a property: its name in words.
func label(c *collection, iri string) string {
	name := iri[strings.LastIndexAny(iri, "#/")+1:]
	if p := c.known[iri]; p != nil && p.Name != "" {
		name = p.Name
	}
	var b strings.Builder
	for i, r := range name {
		switch {
		case i == 0:
			b.WriteString(strings.ToUpper(string(r)))
		case r >= 'A' && r <= 'Z':
			b.WriteString(" " + strings.ToLower(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// html answers with a page that others may show in a frame.
func (s *Server) html(w http.ResponseWriter, r *http.Request, status int, name string, data map[string]any) error {
	data["Root"] = s.root
	var b strings.Builder
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		return oslc.E("server.page", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors "+s.frames)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(b.String())) // the client is gone when this fails
	}
	return nil
}

var pages = template.Must(template.ParseFS(static, "static/*.html"))
