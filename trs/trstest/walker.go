package trstest

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// walkerAccept is what the walker asks for: the syntax that every TRS client
// reads.
const walkerAccept = "application/rdf+xml"

// A Walker reads a whole set over HTTP and checks every rule on its way. It
// knows nothing of how the server names its pages.
type Walker struct {
	client *http.Client
	uri    string
}

// NewWalker returns a walker of the set at uri.
func NewWalker(client *http.Client, uri string) *Walker {
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Walker{&c, uri}
}

// Seen is what a walk found.
type Seen struct {
	// Members are those of the base with the changes after its cutoff applied.
	Members []string
	// Changes are the URIs of all events, newest first.
	Changes []string
	Cutoff  string
	// Immutable holds the bodies of the pages that must never change.
	Immutable map[string]string

	log []change
}

type change struct {
	uri, changed string
	kind         oslc.Change
	order        int64

	before, after string // entity tags of its patch
}

// replay applies the whole change log to an empty set.
func (s *Seen) replay() []string {
	set := map[string]bool{}
	for _, c := range slices.Backward(s.log) {
		if c.kind == oslc.Deletion {
			delete(set, c.changed)
		} else {
			set[c.changed] = true
		}
	}
	return keys(set)
}

// Walk reads the set and reports to t what breaks a rule.
func (w *Walker) Walk(t testing.TB) *Seen { return w.check(t) }

func (w *Walker) check(t testing.TB) *Seen {
	t.Helper()
	seen := &Seen{Immutable: map[string]string{}}
	g := w.get(t, w.uri, "", nil) // S01
	sets := g.OfType(vocab.TRSTrackedResourceSetClass)
	s := rdf.NewIRI(w.uri)
	if len(sets) != 1 || sets[0] != s {
		t.Errorf("S02: TrackedResourceSets in the document: %v, want <%s>", sets, w.uri)
	}
	base, log := one(t, "S02", g, s, vocab.TRSBase), one(t, "S02", g, s, vocab.TRSChangeLog)
	if n := len(g.Objects(base, vocab.LDPMember)); n > 0 {
		t.Errorf("S03: the set's document lists %d members", n)
	}
	if n := len(g.OfType(vocab.TRSChangeLogClass)); n != 1 {
		t.Errorf("a document has %d nodes of type trs:ChangeLog; Lyo reads a log only where there is one", n)
	}
	w.walkLog(t, seen, g, log)
	w.walkBase(t, seen, base.Value)
	return seen
}

func (w *Walker) walkLog(t testing.TB, seen *Seen, g *rdf.Graph, log rdf.Term) {
	t.Helper()
	uris, least := map[string]bool{}, int64(-1)
	for pages := 0; ; pages++ {
		if pages > 10_000 {
			t.Fatal("the change log does not end")
		}
		var segment []change
		for _, e := range g.Objects(log, vocab.TRSChange) {
			segment = append(segment, w.event(t, g, e))
		}
		slices.SortFunc(segment, func(a, b change) int { return int(b.order - a.order) })
		for _, c := range segment {
			if uris[c.uri] {
				continue // moved to an older segment meanwhile (S10)
			}
			uris[c.uri] = true
			if least >= 0 && c.order >= least {
				t.Errorf("S08: order %d comes after %d in the chain", c.order, least)
			}
			least = c.order
			seen.log = append(seen.log, c)
			seen.Changes = append(seen.Changes, c.uri)
		}
		previous := g.Objects(log, vocab.TRSPrevious)
		if len(previous) == 0 || previous[0].Value == rdf.Nil {
			seen.chain(t)
			return
		}
		if len(previous) > 1 {
			t.Errorf("a segment has %d values of trs:previous", len(previous))
		}
		log = previous[0]
		g = w.get(t, log.Value, log.Value, seen)
		if n := len(g.OfType(vocab.TRSChangeLogClass)); n != 1 || !g.IsA(log, vocab.TRSChangeLogClass) {
			t.Fatalf("S05: <%s> has %d nodes of type trs:ChangeLog and must be the one", log.Value, n)
		}
	}
}

func (w *Walker) event(t testing.TB, g *rdf.Graph, e rdf.Term) change {
	t.Helper()
	if e.Kind != rdf.IRI {
		t.Fatalf("S06: an event is %v, want an IRI", e)
	}
	c := change{uri: e.Value, changed: one(t, "S06", g, e, vocab.TRSChanged).Value}
	order := one(t, "S06", g, e, vocab.TRSOrder)
	n, ok := order.Int()
	if !ok || order.Datatype != rdf.XSDInteger || n < 0 || n >= 1<<31 {
		t.Errorf("S06: order of %s is %v, want an xsd:integer from 0 below 2^31", e.Value, order)
	}
	c.order = n
	for _, class := range g.Objects(e, rdf.Type) {
		if k := oslc.ChangeOf(class.Value); k != 0 {
			c.kind = k
		}
	}
	if c.kind == 0 {
		t.Errorf("S06: %s has no type of change", e.Value)
	}
	text := g.Value(e, vocab.TRSPatchRdfPatch)
	c.before, c.after = g.Value(e, vocab.TRSPatchBeforeETag), g.Value(e, vocab.TRSPatchAfterETag)
	if _, err := diff.Parse(text, rdf.Limits{}); err != nil || (text == "") != (c.before == "") || (text == "") != (c.after == "") || text != "" && c.kind != oslc.Modification {
		t.Errorf("S28: the %v %s has the patch %q from %q to %q: %v", c.kind, e.Value, text, c.before, c.after, err)
	}
	return c
}

// chain checks that patches follow each other: what one leads to is what the next one of
// the resource begins with.
func (s *Seen) chain(t testing.TB) {
	t.Helper()
	last := map[string]change{}
	for _, c := range slices.Backward(s.log) {
		if was := last[c.changed]; c.before != "" && was.after != "" && was.after != c.before {
			t.Errorf("S28: the patch of %s leads to %q, and the next one begins with %q", was.uri, was.after, c.before)
		}
		last[c.changed] = c
	}
}

func (w *Walker) walkBase(t testing.TB, seen *Seen, base string) {
	t.Helper()
	resp, _ := w.fetch(t, base)
	page := base
	if resp.StatusCode/100 == 3 {
		if page = resp.Header.Get("Location"); !strings.HasPrefix(page, "http") {
			t.Fatalf("TRS-28: the redirect of the base goes to %q, want an absolute address", page)
		}
	}
	members, b := map[string]bool{}, rdf.NewIRI(base)
	for pages := 0; page != ""; pages++ {
		if pages > 10_000 {
			t.Fatal("S15: the base does not end")
		}
		resp, body := w.fetch(t, page)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", page, resp.Status)
		}
		seen.Immutable[page] = string(body)
		g := parse(t, resp.Header, body)
		cutoff := one(t, "S14", g, b, vocab.TRSCutoffEvent).Value
		if pages == 0 {
			seen.Cutoff = cutoff
		} else if cutoff != seen.Cutoff {
			t.Errorf("pages of one base have cutoffs %s and %s", seen.Cutoff, cutoff)
		}
		if p := one(t, "S26", g, b, vocab.LDPHasMemberRelation).Value; p != vocab.LDPMember {
			t.Errorf("S26: hasMemberRelation is %s", p)
		}
		for _, class := range []string{vocab.TRSBaseClass, vocab.LDPDirectContainer, vocab.LDPContainer} {
			if !g.IsA(b, class) {
				t.Errorf("the base is not typed %s", class)
			}
		}
		list := g.Objects(b, vocab.LDPMember)
		if old := g.Objects(b, vocab.RDFSMember); !slices.Equal(list, old) {
			t.Errorf("ldp:member %v and rdfs:member %v differ", list, old)
		}
		for _, m := range list {
			members[m.Value] = true
		}
		links := resp.Header.Values("Link")
		if !slices.Contains(links, "<"+vocab.LDPPage+`>; rel="type"`) {
			t.Errorf("S16: no Link of rel type in %q", links)
		}
		next := ""
		for _, l := range links {
			if uri, ok := strings.CutSuffix(l, `>; rel="next"`); ok {
				next = strings.TrimPrefix(uri, "<")
			}
		}
		inBody := one(t, "dual dialect", g, rdf.NewIRI(page), vocab.LDPNextPage).Value
		if inBody == rdf.Nil {
			inBody = ""
		}
		if next != inBody {
			t.Errorf("S15: the next page is %q in the header and %q in the body", next, inBody)
		}
		page = next
	}
	seen.apply(t, members)
}

// apply brings the members of the base up to date with the change log (TRS 3.0,
// client algorithm).
func (s *Seen) apply(t testing.TB, members map[string]bool) {
	t.Helper()
	newer := len(s.log)
	if s.Cutoff != rdf.Nil {
		// The base may be newer than the log that was read before it.
		newer = max(0, slices.IndexFunc(s.log, func(c change) bool { return c.uri == s.Cutoff }))
	}
	for _, c := range slices.Backward(s.log[:newer]) {
		if c.kind == oslc.Deletion {
			delete(members, c.changed)
		} else {
			members[c.changed] = true
		}
	}
	s.Members = keys(members)
}

func one(t testing.TB, check string, g *rdf.Graph, s rdf.Term, p string) rdf.Term {
	t.Helper()
	o := g.Objects(s, p)
	if len(o) != 1 {
		t.Fatalf("%s: %v has %d values of <%s>, want 1", check, s.Value, len(o), p)
	}
	return o[0]
}

func (w *Walker) fetch(t testing.TB, uri string) (answer, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, uri, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", walkerAccept)
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.Status, resp.StatusCode, resp.Header}, body
}

func (w *Walker) get(t testing.TB, uri, immutable string, seen *Seen) *rdf.Graph {
	t.Helper()
	resp, body := w.fetch(t, uri)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("S01: %s: %s: %s", uri, resp.Status, body)
	}
	if resp.Header.Get("OSLC-Core-Version") == "" {
		t.Errorf("S01: %s has no OSLC-Core-Version", uri)
	}
	if immutable != "" {
		seen.Immutable[immutable] = string(body)
	}
	return parse(t, resp.Header, body)
}

func parse(t testing.TB, h http.Header, body []byte) *rdf.Graph {
	t.Helper()
	f, ok := format.ByMediaType(h.Get("Content-Type"))
	if !ok {
		t.Fatalf("Content-Type %q is no RDF: %s", h.Get("Content-Type"), body)
	}
	g, err := format.Parse(body, f, "", rdf.Limits{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return g
}
