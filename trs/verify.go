package trs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// VerifyConfig says what to verify.
type VerifyConfig struct {
	ClientConfig
	// Resources is how many tracked resources are read at most, evenly taken from all;
	// 0 means 1,000, a negative number none.
	Resources int
	// Parallel is how many are read at once; 0 means 8.
	Parallel int
	// Progress, when set, is called as the work goes on. total is 0 where it is not
	// known.
	Progress func(what string, done, total int)
}

// A Finding is a rule that a server breaks.
type Finding struct {
	// Check is the number of the check in docs/trs.md, such as S08.
	Check string `json:"check"`
	// Level is must or should.
	Level string `json:"level"`
	URI   string `json:"uri,omitempty"`
	Text  string `json:"text"`
}

// A Report is what was found out about a set.
type Report struct {
	URI      string    `json:"uri"`
	Segments int       `json:"segments"`
	Events   int       `json:"events"`
	Pages    int       `json:"pages"`
	Members  int       `json:"members"`
	Read     int       `json:"read"`
	Checks   []string  `json:"checks"`
	Findings []Finding `json:"findings"`
	// More counts the findings of each check beyond those that are listed.
	More map[string]int `json:"more,omitempty"`
}

// Failed returns the findings of a level, "must", or of all, "should".
func (r *Report) Failed(level string) []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Level != "must" && level != "should" })
}

// verifyChecks are the checks that Verify makes, with their levels.
var verifyChecks = map[string]string{
	"S01": "must", "S02": "must", "S03": "should", "S04": "must", "S05": "must", "S06": "must", "S07": "must", "S08": "must",
	"S09": "must", "S11": "must", "S12": "must", "S13": "must", "S14": "must", "S15": "must", "S16": "should", "S17": "must",
	"S19": "must", "S20": "must", "S24": "must", "S25": "should", "S26": "must", "S27": "must", "S28": "must", "S31": "must", "S32": "should",
}

// listedFindings is how many findings of a check a report has.
const listedFindings = 20

// Verify walks a set, its base, its whole change log and its resources, and checks
// every rule of TRS 3.0 that can be seen from outside. What breaks a rule is a
// finding; an error means that the set could not be walked.
func Verify(ctx context.Context, cfg VerifyConfig) (*Report, error) {
	c, err := NewClient(cfg.ClientConfig)
	if err != nil {
		return nil, err
	}
	c.strict = true
	cfg.ClientConfig = c.cfg
	if cfg.Resources == 0 {
		cfg.Resources = 1000
	}
	orElse(&cfg.Parallel, 8)
	if cfg.Progress == nil {
		cfg.Progress = func(string, int, int) {}
	}
	v := &verifier{
		Client: c, cfg: cfg, report: &Report{URI: cfg.URI, Findings: []Finding{}, More: map[string]int{}},
		events: map[string]seenEvent{}, members: map[string]bool{}, spelled: map[string]string{},
	}
	for check := range verifyChecks {
		v.report.Checks = append(v.report.Checks, check)
	}
	slices.Sort(v.report.Checks)
	if err := v.run(ctx); err != nil {
		return v.report, oslc.E("trs.verify", err)
	}
	slices.SortStableFunc(v.report.Findings, func(a, b Finding) int { return cmp.Compare(a.Check, b.Check) })
	return v.report, nil
}

type seenEvent struct {
	Event
	segment int // 0 is the newest
	ordered bool
}

type verifier struct {
	*Client
	cfg    VerifyConfig
	report *Report

	events  map[string]seenEvent
	cutoff  string
	cutGone bool            // the chain ended at a segment that is not there
	members map[string]bool // of the base
	pages   []string
	spelled map[string]string // how a resource is written, by what it means
	mu      sync.Mutex
}

func (v *verifier) found(check, uri, text string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, f := range v.report.Findings {
		if f.Check == check {
			n++
		}
	}
	if n >= listedFindings {
		v.report.More[check]++
		return
	}
	v.report.Findings = append(v.report.Findings, Finding{check, verifyChecks[check], uri, fmt.Sprintf(text, args...)})
}

func (v *verifier) run(ctx context.Context) error {
	set, g, err := v.set(ctx)
	if err != nil {
		return err
	}
	base := g.Object(set, vocab.TRSBase)
	if base.Kind == rdf.IRI {
		if err := v.base(ctx, base.Value); err != nil {
			return err
		}
	}
	// The log after the base: what the base is cut off at must be in it.
	d, err := v.fetch(ctx, v.cfg.URI, "")
	if err != nil {
		return err
	}
	if err := v.log(ctx, d, set); err != nil {
		return err
	}
	v.orders()
	v.checkCutoff()
	if err := v.resources(ctx); err != nil {
		return err
	}
	if err := v.later(ctx, set, base.Value); err != nil {
		return err
	}
	return v.errors(ctx)
}

// set reads the set in every syntax.
func (v *verifier) set(ctx context.Context) (rdf.Term, *rdf.Graph, error) {
	var g *rdf.Graph
	var last error
	served := map[format.Format]bool{}
	for _, f := range format.All() {
		d, err := v.fetch(context.WithValue(ctx, acceptKey{}, f.MediaType()), v.cfg.URI, "")
		e, refused := errors.AsType[*fetchError](err)
		switch {
		case refused && e.status == http.StatusNotAcceptable:
			continue
		case err != nil && d != nil && d.status == http.StatusOK:
			v.found("S01", v.cfg.URI, "asked for as %s: %v", f.MediaType(), err)
			last = err
			continue
		case err != nil:
			return rdf.Term{}, nil, err
		}
		if d.header.Get("OSLC-Core-Version") == "" {
			v.found("S01", v.cfg.URI, "asked for as %s: the answer has no OSLC-Core-Version", f.MediaType())
		}
		served[d.format] = true
		if g == nil {
			g = d.graph
		}
		v.conditional(ctx, v.cfg.URI, d, f.MediaType())
	}
	if g == nil {
		return rdf.Term{}, nil, cmp.Or(last, oslc.Errorf("trs.verify", oslc.Unavailable, "%s is not served in any RDF syntax", v.cfg.URI))
	}
	if !served[format.RDFXML] && !served[format.Turtle] {
		v.found("S01", v.cfg.URI, "it is served neither as RDF/XML nor as Turtle")
	}
	s := rdf.NewIRI(v.cfg.URI)
	if sets := g.OfType(vocab.TRSTrackedResourceSetClass); len(sets) != 1 || sets[0] != s {
		v.found("S02", v.cfg.URI, "the document has %d nodes of type trs:TrackedResourceSet, want the address of the document alone", len(sets))
	}
	found, err := findSet(g, v.cfg.URI)
	if err != nil {
		v.found("S02", v.cfg.URI, "there is neither trs:base nor trs:changeLog")
		return s, g, nil
	}
	for _, p := range []string{vocab.TRSBase, vocab.TRSChangeLog} {
		if n := len(g.Objects(found, p)); n != 1 {
			v.found("S02", v.cfg.URI, "<%s> has %d values, want 1", p, n)
		}
	}
	for _, p := range []string{vocab.LDPMember, vocab.RDFSMember} {
		if n := len(g.Objects(g.Object(found, vocab.TRSBase), p)); n > 0 {
			v.found("S03", v.cfg.URI, "the document of the set lists %d members", n)
		}
	}
	for t := range g.All() {
		if t.P.Value == vocab.TRSTrackedResourceSet && !g.IsA(t.O, vocab.TRSTrackedResourceSetClass) {
			v.found("S31", v.cfg.URI, "trs:trackedResourceSet leads to %s, which is none here", t.O.Value)
		}
	}
	return found, g, nil
}

// conditional checks that a document is not sent again to who has it.
func (v *verifier) conditional(ctx context.Context, uri string, d *document, accept string) {
	tag := d.header.Get("ETag")
	if tag == "" {
		v.found("S25", uri, "there is no ETag")
		return
	}
	if accept != "" {
		ctx = context.WithValue(ctx, acceptKey{}, accept)
	}
	again, err := v.fetch(ctx, uri, tag)
	if err == nil && again.status != http.StatusNotModified && again.header.Get("ETag") == tag {
		v.found("S25", uri, "asked for with its own ETag %s the answer is %d, want 304", tag, again.status)
	}
}

func (v *verifier) base(ctx context.Context, base string) error {
	visited := map[string]bool{}
	for uri := base; uri != ""; {
		if visited[uri] {
			v.found("S15", uri, "the pages of the base lead back to this one")
			return nil
		}
		visited[uri] = true
		v.cfg.Progress("pages of the base", len(v.pages), 0)
		if len(visited) > v.cfg.MaxPages {
			v.found("S15", uri, "the base has more than %d pages", v.cfg.MaxPages)
			return nil
		}
		d, err := v.fetch(ctx, uri, "")
		if err != nil && (missing(err) || errors.Is(err, errNotAllowed)) {
			v.found("S15", uri, "a page that is linked cannot be read: %v", err)
			return nil
		}
		if err != nil {
			return err
		}
		visited[d.uri] = true
		v.page(ctx, d, base)
		next := d.links("next")
		uri = ""
		if len(next) > 0 {
			uri = next[0]
		}
		if inBody := readPage(d, base).next; inBody != "" && uri == "" {
			v.found("S15", d.uri, "the next page <%s> is in the body and not in a Link header", inBody)
			uri = inBody
		}
	}
	return nil
}

func (v *verifier) page(ctx context.Context, d *document, base string) {
	g, b := d.graph, rdf.NewIRI(base)
	if d.header.Get("OSLC-Core-Version") == "" {
		v.found("S01", d.uri, "the answer has no OSLC-Core-Version")
	}
	cutoffs := g.Objects(b, vocab.TRSCutoffEvent)
	if len(v.pages) == 0 {
		switch {
		case len(cutoffs) != 1:
			v.found("S14", d.uri, "the first page of the base has %d values of trs:cutoffEvent, want 1", len(cutoffs))
		case cutoffs[0].Value != rdf.Nil:
			v.cutoff = cutoffs[0].Value
		}
		v.conditional(ctx, d.uri, d, "")
	}
	if !slices.Contains(d.links("type"), vocab.LDPPage) {
		v.found("S16", d.uri, `there is no Link to ldp:Page with rel="type"`)
	}
	rels := g.Objects(b, vocab.LDPHasMemberRelation)
	if len(rels) != 1 {
		v.found("S26", d.uri, "the base has %d values of ldp:hasMemberRelation, want 1", len(rels))
	}
	for _, rel := range rels {
		for _, m := range g.Objects(b, rel.Value) {
			v.members[m.Value] = true
			v.spell(m.Value)
		}
	}
	if p := readPage(d, base); len(rels) == 1 && len(p.members) > 0 && len(g.Objects(b, rels[0].Value)) == 0 {
		v.found("S26", d.uri, "members are not listed by <%s>, which ldp:hasMemberRelation names", rels[0].Value)
		for _, m := range p.members {
			v.members[m] = true
		}
	}
	v.pages = append(v.pages, d.uri)
	v.report.Pages, v.report.Members = len(v.pages), len(v.members)
}

// spell checks that a resource has one spelling (TRS-10).
func (v *verifier) spell(uri string) {
	u, err := url.Parse(uri)
	if err != nil {
		v.found("S19", uri, "it is no address: %v", err)
		return
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	u.Host = strings.TrimSuffix(strings.TrimSuffix(u.Host, ":80"), ":443")
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), ""
	means := u.String()
	if other, ok := v.spelled[means]; ok && other != uri {
		v.found("S19", uri, "the same resource is also written <%s>", other)
		return
	}
	v.spelled[means] = uri
}

func (v *verifier) log(ctx context.Context, d *document, set rdf.Term) error {
	log := d.graph.Object(set, vocab.TRSChangeLog)
	check := "S04"
	visited := map[string]bool{}
	for n := 0; !log.IsZero() && log.Value != rdf.Nil; n++ {
		v.report.Segments = n + 1
		v.cfg.Progress("segments of the change log", n, 0)
		if log.Kind == rdf.IRI && visited[log.Value] {
			v.found("S08", log.Value, "the change log leads back to this segment")
			return nil
		}
		visited[log.Value] = true
		if len(visited) > v.cfg.MaxSegments {
			return oslc.Errorf("trs.verify", oslc.Unavailable, "the change log has more than %d segments", v.cfg.MaxSegments)
		}
		if !describes(d.graph, log) && !d.graph.IsA(log, vocab.TRSChangeLogClass) {
			v.found(check, d.uri, "the segment %s is not described in its document", log.Value)
		}
		for _, e := range d.graph.Objects(log, vocab.TRSChange) {
			v.event(d, e, n, check)
		}
		previous := d.graph.Objects(log, vocab.TRSPrevious)
		if len(previous) > 1 {
			v.found("S08", d.uri, "the segment has %d values of trs:previous", len(previous))
		}
		log = rdf.Term{}
		if len(previous) == 0 || previous[0].Value == rdf.Nil {
			break
		}
		next, err := v.fetch(ctx, previous[0].Value, "")
		if missing(err) {
			v.cutGone = true
			break
		}
		if err != nil {
			return err
		}
		if n == 0 {
			v.conditional(ctx, previous[0].Value, next, "")
		}
		if next.header.Get("OSLC-Core-Version") == "" {
			v.found("S01", next.uri, "the answer has no OSLC-Core-Version")
		}
		d, log, check = next, previous[0], "S05"
	}
	v.report.Events = len(v.events)
	return nil
}

func (v *verifier) event(d *document, e rdf.Term, segment int, inline string) {
	g := d.graph
	if e.Kind != rdf.IRI {
		v.found("S06", d.uri, "an event is a blank node")
		return
	}
	types, changed, orders := 0, g.Objects(e, vocab.TRSChanged), g.Objects(e, vocab.TRSOrder)
	for _, t := range g.Objects(e, rdf.Type) {
		if oslc.ChangeOf(t.Value) != 0 {
			types++
		}
	}
	if types == 0 && len(changed) == 0 && len(orders) == 0 {
		v.found(inline, e.Value, "the event is named in %s and not described there", d.uri)
		return
	}
	if types == 0 {
		v.found("S06", e.Value, "the event has none of the three types")
	}
	if len(changed) != 1 || changed[0].Kind != rdf.IRI {
		v.found("S06", e.Value, "the event has %d values of trs:changed, want one IRI", len(changed))
	}
	if len(orders) != 1 {
		v.found("S06", e.Value, "the event has %d values of trs:order, want 1", len(orders))
	} else if n, ok := orders[0].Int(); !ok || orders[0].Datatype != rdf.XSDInteger || n < 0 {
		v.found("S06", e.Value, "trs:order is %q of type <%s>, want an xsd:integer that is not negative", orders[0].Value, orders[0].Datatype)
	}
	read, ok := readEvent(g, e)
	if !ok {
		return
	}
	v.spell(read.Changed)
	v.patch(g, e, read)
	if other, ok := v.events[e.Value]; ok {
		if other.Changed != read.Changed || other.Order != read.Order || other.Kind != read.Kind {
			v.found("S27", e.Value, "two events have this URI: order %d of <%s> and order %d of <%s>", other.Order, other.Changed, read.Order, read.Changed)
		}
		return
	}
	v.events[e.Value] = seenEvent{read, segment, len(orders) == 1}
}

func (v *verifier) patch(g *rdf.Graph, e rdf.Term, read Event) {
	p := read.Patch
	if p == (Patch{}) {
		return
	}
	switch {
	case p.Text == "":
		v.found("S28", e.Value, "trspatch:createdFrom or an entity tag without trspatch:rdfPatch")
	case g.IsA(e, vocab.TRSDeletion):
		v.found("S28", e.Value, "a deletion has a patch")
	case p.Before == "":
		v.found("S28", e.Value, "the patch has no trspatch:beforeETag")
	}
	if p.Text != "" {
		if _, err := diff.Parse(p.Text, rdf.Limits{}); err != nil {
			v.found("S28", e.Value, "the patch cannot be read: %v", err)
		}
	}
}

// newestFirst returns the events as the log has them.
func (v *verifier) newestFirst() []seenEvent {
	out := make([]seenEvent, 0, len(v.events))
	for _, e := range v.events {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b seenEvent) int {
		return cmp.Or(cmp.Compare(b.Order, a.Order), cmp.Compare(a.segment, b.segment), strings.Compare(a.URI, b.URI))
	})
	return out
}

func (v *verifier) orders() {
	all := slices.DeleteFunc(v.newestFirst(), func(e seenEvent) bool { return !e.ordered })
	for i := 1; i < len(all); i++ {
		newer, e := all[i-1], all[i]
		if e.Order == newer.Order {
			v.found("S07", e.URI, "order %d is also that of %s", e.Order, newer.URI)
		} else if e.segment < newer.segment {
			v.found("S08", e.URI, "order %d is in a newer segment than order %d", e.Order, newer.Order)
		}
	}
}

func (v *verifier) checkCutoff() {
	if v.cutoff == "" {
		if v.cutGone {
			v.found("S13", v.cfg.URI, "the base has no cutoff, but the log does not reach back to the beginning: its last trs:previous is not there")
		}
		return
	}
	if _, ok := v.events[v.cutoff]; ok {
		return
	}
	if v.cutGone {
		v.found("S12", v.cutoff, "the cutoff is beyond the end of the log: events after it may be missing")
	}
	v.found("S11", v.cutoff, "the cutoff of the base is not in the change log")
}

// live returns the resources that base and log say are there, and the newest event
// of each that has one.
func (v *verifier) live() (map[string]bool, map[string]Event) {
	out, newest := map[string]bool{}, map[string]Event{}
	for m := range v.members {
		out[m] = true
	}
	all := v.newestFirst()
	after := v.events[v.cutoff].Order
	for _, e := range slices.Backward(all) {
		newest[e.Changed] = e.Event
		if v.cutoff != "" && e.Order <= after {
			continue
		}
		if e.Kind == oslc.Deletion {
			delete(out, e.Changed)
		} else {
			out[e.Changed] = true
		}
	}
	return out, newest
}

// resources reads the tracked resources, as many as wanted.
func (v *verifier) resources(ctx context.Context) error {
	live, newest := v.live()
	var all []string
	for uri := range live {
		if v.allowed(uri) {
			all = append(all, uri)
		}
	}
	slices.Sort(all)
	if n := max(0, v.cfg.Resources); len(all) > n {
		some := make([]string, 0, n)
		for i := range n {
			some = append(some, all[i*len(all)/n])
		}
		all = some
	}
	work := make(chan string)
	var workers sync.WaitGroup
	var gone []string
	unled := map[string]string{} // what the newest patch does not lead to, and how it does not
	done := 0
	for range min(v.cfg.Parallel, len(all)) {
		workers.Go(func() {
			for uri := range work {
				there, wrong := v.resource(ctx, uri, newest[uri])
				v.mu.Lock()
				if !there {
					gone = append(gone, uri)
				}
				if wrong != "" {
					unled[uri] = wrong
				}
				done++
				v.cfg.Progress("resources", done, len(all))
				v.mu.Unlock()
			}
		})
	}
	for _, uri := range all {
		select {
		case work <- uri:
		case <-ctx.Done():
		}
	}
	close(work)
	workers.Wait()
	v.report.Read = len(all)
	if err := ctx.Err(); err != nil || len(gone)+len(unled) == 0 {
		return err
	}
	// What is gone or changed may have been so meanwhile: that is told by now.
	d, err := v.fetch(ctx, v.cfg.URI, "")
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for t := range d.graph.All() {
		if t.P.Value == vocab.TRSChanged && v.events[t.S.Value].URI == "" {
			told[t.O.Value] = true
		}
	}
	slices.Sort(gone)
	for _, uri := range gone {
		if !told[uri] {
			v.found("S20", uri, "base and log say that it is there, and it is not")
		}
	}
	for _, uri := range slices.Sorted(maps.Keys(unled)) {
		if !told[uri] {
			v.found("S28", newest[uri].URI, "%s", unled[uri])
		}
	}
	return nil
}

// resource reads a resource, of which e is the newest event. It reports whether the
// resource is there, and how the patch of e does not lead to it.
func (v *verifier) resource(ctx context.Context, uri string, e Event) (there bool, wrong string) {
	at, _, _ := strings.Cut(uri, "#")
	d, err := v.fetch(ctx, at, "")
	switch {
	case missing(err):
		return false, ""
	case err != nil && ctx.Err() == nil:
		v.found("S24", uri, "it cannot be read: %v", err)
	case err == nil && d.graph.Len() == 0:
		v.found("S24", uri, "its document says nothing")
	case err == nil:
		return true, v.ledTo(ctx, at, e.Patch, d)
	}
	return true, ""
}

// ledTo says how a patch does not lead to what a GET answers.
func (v *verifier) ledTo(ctx context.Context, uri string, p Patch, d *document) string {
	patch, err := diff.Parse(p.Text, rdf.Limits{})
	if p.Text == "" || p.After == "" || err != nil {
		return "" // or told already
	}
	last := map[rdf.Triple]bool{}
	for _, c := range patch {
		last[c.Triple] = !c.Delete
	}
	if tag := opaque(d.header.Get("ETag")); tag != p.After {
		// It may be the tag of another syntax.
		for _, f := range format.All() {
			other, err := v.fetch(context.WithValue(ctx, acceptKey{}, f.MediaType()), uri, "")
			if err == nil && opaque(other.header.Get("ETag")) == p.After {
				return ""
			}
		}
		return fmt.Sprintf("after the patch the entity tag of <%s> is %q, and a GET answers with %q", uri, p.After, tag)
	}
	for t, there := range last {
		switch {
		case d.graph.Has(t) == there:
		case there:
			return fmt.Sprintf("the patch adds what <%s> does not say: %v %v", uri, t.P.Value, t.O.Value)
		default:
			return fmt.Sprintf("the patch deletes what <%s> says: %v %v", uri, t.P.Value, t.O.Value)
		}
	}
	return ""
}

// later looks at the set once more: what was seen must be where it was, or older.
func (v *verifier) later(ctx context.Context, set rdf.Term, base string) error {
	d, err := v.fetch(ctx, v.cfg.URI, "")
	if err != nil {
		return err
	}
	highest := int64(-1)
	for _, e := range v.events {
		highest = max(highest, e.Order)
	}
	for _, t := range d.graph.Objects(d.graph.Object(set, vocab.TRSChangeLog), vocab.TRSChange) {
		e, ok := readEvent(d.graph, t)
		if !ok {
			continue
		}
		if was, ok := v.events[t.Value]; !ok && e.Order <= highest {
			v.found("S07", t.Value, "order %d appeared after order %d was seen", e.Order, highest)
		} else if ok && was.segment > 0 {
			v.found("S09", t.Value, "the event moved from an older segment to the newest one")
		}
	}
	if base == "" || len(v.pages) == 0 {
		return nil
	}
	d, err = v.fetch(ctx, base, "")
	if err != nil {
		return err
	}
	if p := readPage(d, base); d.uri == v.pages[0] && d.uri != base && p.cutoff != v.cutoff {
		v.found("S17", d.uri, "the page had the cutoff <%s> and has <%s>: another base has other pages", v.cutoff, p.cutoff)
	}
	return nil
}

// errors looks at how a mistake is answered.
func (v *verifier) errors(ctx context.Context) error {
	uri := strings.TrimRight(v.cfg.URI, "/") + "/no-such-document"
	d, err := v.fetch(ctx, uri, "")
	if !missing(err) {
		return ctx.Err()
	}
	f, failed := syntax(d.header.Get("Content-Type"))
	if failed == nil {
		if g, err := v.cfg.Parser.Parse(d.body, f, uri, rdf.Limits{}); err == nil && len(g.OfType(vocab.OSLCErrorClass)) > 0 {
			return nil
		}
	}
	v.found("S32", uri, "the answer %d is no oslc:Error in RDF", d.status)
	return nil
}
