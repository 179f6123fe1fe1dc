package trstest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// A Feed is a server of a tracked resource set, written without the one it helps to
// test, that can be made to break any rule. The zero Feed is a good one.
type Feed struct {
	*httptest.Server

	// Size is how many events and members a document has; 0 means 3.
	Size int
	// Syntax is what is answered, whatever is asked for.
	Syntax format.Format
	// Edit changes a document before it is written; kind is set, segment, base or
	// resource.
	Edit func(kind, uri string, g *rdf.Graph) *rdf.Graph
	// Before answers a request in the feed's place when it returns true.
	Before func(w http.ResponseWriter, r *http.Request) bool
	// Header changes the header of an answer.
	Header func(kind string, h http.Header)
	// Name, when set, names event n of a generation.
	Name func(generation, n int) string

	mu         sync.Mutex
	generation int
	log        []FeedEvent // oldest first
	oldest     int         // index of the oldest event that is served
	order      int64
	truth      map[string]int // version, by path
	baseAt     int            // how many events are in the base
	base       []string       // paths
	requests   []string
}

// A FeedEvent is an entry of a Feed's change log.
type FeedEvent struct {
	URI   string
	Kind  oslc.Change
	Path  string
	Order int64
}

// NewFeed starts a feed with n resources, of which one is changed and one deleted.
func NewFeed(t testing.TB, n int) *Feed {
	f := &Feed{Size: 3, Syntax: format.Turtle, truth: map[string]int{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	for i := range n {
		f.Happen(oslc.Creation, fmt.Sprint("/r/", i))
	}
	if n > 1 {
		f.Happen(oslc.Modification, "/r/0")
		f.Rebase()
		f.Happen(oslc.Deletion, "/r/1")
		f.Happen(oslc.Modification, "/r/0")
	}
	return f
}

// URI is the address of the set.
func (f *Feed) URI() string { return f.URL + "/trs" }

// Happen changes a resource and tells it.
func (f *Feed) Happen(kind oslc.Change, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.order++
	f.happen(kind, path, f.order)
}

func (f *Feed) happen(kind oslc.Change, path string, order int64) {
	if kind == oslc.Deletion {
		delete(f.truth, path)
	} else {
		f.truth[path]++
	}
	uri := fmt.Sprintf("urn:event:%d:%d", f.generation, len(f.log))
	if f.Name != nil {
		uri = f.Name(f.generation, len(f.log))
	}
	f.log = append(f.log, FeedEvent{uri, kind, path, order})
}

// Late tells a change with an order below the newest.
func (f *Feed) Late(kind oslc.Change, path string, order int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.happen(kind, path, order)
}

// Vanish deletes a resource and tells nobody.
func (f *Feed) Vanish(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.truth, path)
}

// Rebase makes a base of what there is now.
func (f *Feed) Rebase() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rebase()
}

func (f *Feed) rebase() {
	f.baseAt, f.base = len(f.log), nil
	for p := range f.truth {
		f.base = append(f.base, p)
	}
	slices.Sort(f.base)
}

// Truncate serves the newest n events alone, with a base that fits them.
func (f *Feed) Truncate(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rebase()
	f.oldest = max(0, len(f.log)-n)
}

// RollBack undoes the newest n changes, as a restore from a copy does, and lets
// others happen under the same orders.
func (f *Feed) RollBack(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.log[len(f.log)-n:] {
		f.order = min(f.order, e.Order-1)
	}
	f.log = f.log[:len(f.log)-n]
	f.truth = map[string]int{}
	for _, e := range f.log {
		if e.Kind == oslc.Deletion {
			delete(f.truth, e.Path)
		} else {
			f.truth[e.Path]++
		}
	}
	f.generation++
	f.rebase()
}

// Reset begins a new log with the resources that there are.
func (f *Feed) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.generation++
	paths := f.truth
	f.log, f.truth, f.order, f.oldest = nil, map[string]int{}, 0, 0
	f.baseAt, f.base = 0, nil
	for _, p := range slices.Sorted(func(yield func(string) bool) {
		for p := range paths {
			if !yield(p) {
				return
			}
		}
	}) {
		f.order++
		f.happen(oslc.Creation, p, f.order)
	}
}

// Truth returns the URIs of the resources that there are.
func (f *Feed) Truth() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []string{}
	for p := range f.truth {
		out = append(out, f.URL+p)
	}
	slices.Sort(out)
	return out
}

// Requests returns the paths that were asked for.
func (f *Feed) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// Seen is Requests for use in Edit.
func (f *Feed) Seen() []string { return f.requests }

// Forget forgets what was asked for.
func (f *Feed) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

// Lock keeps the feed as it is until it is unlocked.
func (f *Feed) Lock() (unlock func()) {
	f.mu.Lock()
	return f.mu.Unlock
}

// ServeHTTP answers.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.URL.Path)
	before := f.Before
	f.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	kind, g := f.document(w, r)
	if g == nil {
		return
	}
	uri := f.URL + r.URL.Path
	if f.Edit != nil {
		g = f.Edit(kind, uri, g)
	}
	body, err := format.Append(nil, g, f.Syntax)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.Syntax.MediaType())
	h.Set("OSLC-Core-Version", "2.0")
	h.Set("ETag", fmt.Sprintf(`"%s-%d-%d-%d"`, kind, f.generation, len(f.log), f.oldest))
	if f.Header != nil {
		f.Header(kind, h)
	}
	if tag := h.Get("ETag"); tag != "" && r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(body)
}

func (f *Feed) document(w http.ResponseWriter, r *http.Request) (kind string, g *rdf.Graph) {
	g = rdf.NewGraph()
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/trs":
		n := g.Node(f.URI()).A(vocab.TRSTrackedResourceSetClass).Link(vocab.TRSBase, f.URL+"/base")
		log := rdf.NewBlank("log")
		n.Add(vocab.TRSChangeLog, log)
		f.segment(g, log, f.inline(), len(f.log))
		return "set", g
	case parts[0] == "log" && len(parts) == 2:
		end, err := strconv.Atoi(parts[1])
		if err != nil || end <= f.oldest || end > f.inline() || end%f.Size != 0 {
			break
		}
		f.segment(g, rdf.NewIRI(f.URL+r.URL.Path), max(f.oldest, end-f.Size), end)
		return "segment", g
	case r.URL.Path == "/base":
		http.Redirect(w, r, fmt.Sprintf("%s/base/%d.%d/0", f.URL, f.generation, f.baseAt), http.StatusSeeOther)
		return "", nil
	case parts[0] == "base" && len(parts) == 3 && parts[1] == fmt.Sprintf("%d.%d", f.generation, f.baseAt):
		at, err := strconv.Atoi(parts[2])
		if err != nil || at > 0 && at*f.Size >= len(f.base) {
			break
		}
		f.page(w, g, at)
		return "base", g
	case parts[0] == "r":
		if v, ok := f.truth[r.URL.Path]; ok {
			uri := f.URL + r.URL.Path
			g.Node(uri).A(vocab.CMChangeRequest).String(vocab.DCTermsTitle, fmt.Sprintf("%s version %d", r.URL.Path, v))
			return "resource", g
		}
	}
	http.NotFound(w, r)
	return "", nil
}

func (f *Feed) inline() int { return max(f.oldest, max(0, (len(f.log)-1)/f.Size-1)*f.Size) }

func (f *Feed) segment(g *rdf.Graph, log rdf.Term, from, to int) {
	n := g.NodeOf(log).A(vocab.TRSChangeLogClass)
	for _, e := range f.log[from:to] {
		n.Link(vocab.TRSChange, e.URI)
		g.Node(e.URI).A(e.Kind.IRI()).Link(vocab.TRSChanged, f.URL+e.Path).Int(vocab.TRSOrder, e.Order)
	}
	if from > f.oldest {
		n.Link(vocab.TRSPrevious, fmt.Sprint(f.URL, "/log/", from))
	}
}

func (f *Feed) page(w http.ResponseWriter, g *rdf.Graph, at int) {
	base := f.URL + "/base"
	cutoff := rdf.Nil
	if f.baseAt > 0 {
		cutoff = f.log[f.baseAt-1].URI
	}
	n := g.Node(base).A(vocab.TRSBaseClass, vocab.LDPDirectContainer, vocab.LDPContainer).
		Link(vocab.TRSCutoffEvent, cutoff).
		Link(vocab.LDPMembershipResource, base).
		Link(vocab.LDPHasMemberRelation, vocab.LDPMember)
	for _, p := range f.base[min(len(f.base), at*f.Size):min(len(f.base), (at+1)*f.Size)] {
		n.Link(vocab.LDPMember, f.URL+p).Link(vocab.RDFSMember, f.URL+p)
	}
	uri := func(n int) string { return fmt.Sprintf("%s/base/%d.%d/%d", f.URL, f.generation, f.baseAt, n) }
	next := rdf.Nil
	if (at+1)*f.Size < len(f.base) {
		next = uri(at + 1)
		w.Header().Add("Link", "<"+next+`>; rel="next"`)
	}
	w.Header().Add("Link", "<"+vocab.LDPPage+`>; rel="type"`)
	g.Node(uri(at)).A(vocab.LDPPage).Link(vocab.LDPPageOf, base).Link(vocab.LDPNextPage, next)
}
