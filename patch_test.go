package oslcbus_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
)

// TestPatches_areWhatGETAnswers: a client that reads each rule once and then applies
// the patches of the log holds at each moment what a GET answers, with its ETag.
func TestPatches_areWhatGETAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 5}").start()
	client, err := trs.NewClient(trs.ClientConfig{URI: r.url + "/trs/st2", HTTP: testkit.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	rules, uris := map[string]map[string]any{}, []string{}
	for i := range 3 {
		rule, uri := r.create(fmt.Sprint("r", i))
		rules[uri] = rule
		uris = append(uris, uri)
	}
	r.eventually("the rules", func() bool { return len(r.seenOf("")) >= 3 })
	set, err := client.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]trs.State{}
	for _, uri := range set.Members {
		if held[uri], err = client.Resource(t.Context(), uri); err != nil {
			t.Fatal(err)
		}
	}
	place, applied, compared := set.Place, 0, 0
	for round := range 12 {
		before := len(r.seenOf(""))
		changed := map[string]bool{}
		for range 1 + rand.N(4) {
			uri := uris[rand.N(len(uris))]
			rule := rules[uri]
			switch rand.N(4) {
			case 0:
				rule["enabled"] = !rule["enabled"].(bool)
			case 1:
				rule["tags"] = []any{map[string]any{"key": "k", "value": fmt.Sprint("v", round, rand.N(1000))}}
			case 2:
				rule["enabled"] = !rule["enabled"].(bool)
				fallthrough
			default:
				rule["description"] = fmt.Sprintf("line %d\n<b> & \"%d\" ü", round, rand.N(1000))
			}
			r.rest(http.MethodPut, "/"+fmt.Sprint(rule["id"]), rule)
			changed[uri] = true
		}
		r.eventually("the changes", func() bool { return len(r.seenOf("")) >= before+len(changed) })
		b, err := client.Poll(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		place = b.Place
		since := map[string][]trs.Event{}
		for _, e := range b.Events {
			since[e.Changed] = append(since[e.Changed], e)
		}
		for uri, events := range since {
			now, ok := trs.Apply(held[uri], events)
			if !ok {
				t.Fatalf("the patches of %s do not lead on from %q: %+v", uri, held[uri].Tag, events)
			}
			applied++
			held[uri] = now
			got, err := client.Resource(t.Context(), uri)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Trim(got.Tag, `"`) != now.Tag {
				continue // it changed since: the next poll tells
			}
			compared++
			if same, err := canon.Isomorphic(now.Graph, got.Graph); err != nil || !same {
				t.Fatalf("after %+v it is\n%v\nby its patches, and a GET answers\n%v", events, now.Graph, got.Graph)
			}
		}
	}
	if applied < 12 || compared == 0 {
		t.Errorf("%d patches were applied and %d states compared", applied, compared)
	}
	report, err := trs.Verify(t.Context(), trs.VerifyConfig{ClientConfig: trs.ClientConfig{URI: r.url + "/trs/st2", HTTP: testkit.HTTP, Parser: format.Parser{JSONLD: processor.Parse}}})
	if err != nil || len(report.Findings) > 0 {
		t.Errorf("%v, %+v", err, report.Findings)
	}
}

// TestPatches_room: of many large changes the newest ones have their patches, and the
// document stays small.
func TestPatches_room(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create("r")
	const changes = 60
	for i := range changes {
		rule["description"] = strings.Repeat(fmt.Sprint("version ", i, " "), 70)
		r.rest(http.MethodPut, "/"+fmt.Sprint(rule["id"]), rule)
	}
	r.eventually("the changes", func() bool { return len(r.seenOf(uri)) >= changes+1 })
	g := r.graph("/trs/st2")
	bytes, patched, oldest := 0, 0, int64(changes+2)
	for tr := range g.All() {
		if tr.P.Value == vocab.TRSPatchRdfPatch {
			n, _ := g.Object(tr.S, vocab.TRSOrder).Int()
			bytes, patched, oldest = bytes+len(tr.O.Value), patched+1, min(oldest, n)
		}
	}
	if bytes > 64<<10 || bytes < 32<<10 || patched >= changes || oldest != int64(changes+2-patched) {
		t.Errorf("%d changes have patches of %d bytes, down to order %d of %d", patched, bytes, oldest, changes+1)
	}
}

// TestPatches_off: with patches switched off events say nothing of what changed, and
// pages have other names.
func TestPatches_off(t *testing.T) {
	t.Parallel()
	r := newRig(t, "trs: {page_size: 2}").start()
	rule, uri := r.create("r")
	for i := range 6 {
		r.setEnabled(rule, i%2 == 1)
	}
	r.eventually("the changes", func() bool { return len(r.seenOf(uri)) >= 7 })
	with := r.graph("/trs/st2")
	r.halt()
	r.yaml = "trs: {page_size: 2, patches: false}"
	r.start()
	without := r.graph("/trs/st2")
	previous := func(g *rdf.Graph) (uri string, patches int) {
		for t := range g.All() {
			switch t.P.Value {
			case vocab.TRSPrevious:
				uri = t.O.Value
			case vocab.TRSPatchRdfPatch:
				patches++
			}
		}
		return uri, patches
	}
	before, some := previous(with)
	after, none := previous(without)
	if before == after || some == 0 || none != 0 {
		t.Errorf("%d patches and %s, then %d and %s", some, before, none, after)
	}
	if resp, _ := r.get(before); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a page with patches is answered %s", resp.Status)
	}
}

// TestPatches_followed: a bus that follows another one's set reads a resource when it is
// changed first, and from then on applies the patches.
func TestPatches_followed(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	rule, uri := r.create("r")
	other := newRig(t, fmt.Sprintf("connections:\n  far: {type: trsfeed, url: %q, poll: 2ms}\n", r.url+"/trs/st2")).start()
	var mirror string
	var last *rdf.Graph
	other.eventually("the rule", func() bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		for _, s := range other.events {
			if s.provider == "far" {
				mirror, last = s.event.Subject, s.event.Resource
			}
		}
		return mirror != ""
	})
	state := func() string {
		if events := other.seenOf(mirror); len(events) > 0 {
			last = events[len(events)-1].Resource
		}
		return last.Value(rdf.NewIRI(mirror), vocab.St2RuleStatus)
	}
	for i := range 6 {
		r.setEnabled(rule, i%2 == 1)
		other.eventually("the change", func() bool { return state() == fmt.Sprint(i%2 == 1) })
	}
	_, metrics := other.get("/metrics")
	if !strings.Contains(metrics, `oslcbus_adapter_total{adapter="far",what="patched_resource"} 5`) {
		t.Errorf("of six changes the first is read and five are patched; it counted\n%s", lines(metrics, "oslcbus_adapter_total"))
	}
	// What happened while the other bus was away comes change by change.
	before := len(other.seenOf(mirror))
	other.halt()
	seen := len(r.seenOf(uri))
	for i := range 4 {
		r.setEnabled(rule, i%2 == 1)
	}
	r.eventually("the changes", func() bool { return len(r.seenOf(uri)) >= seen+4 })
	other.start()
	other.eventually("each of them", func() bool { return len(other.seenOf(mirror)) >= before+4 })
	state()
	for i, e := range other.seenOf(mirror)[before:] {
		if got := e.Resource.Value(rdf.NewIRI(mirror), vocab.St2RuleStatus); got != fmt.Sprint(i%2 == 1) {
			t.Errorf("change %d left %s there, want %t", i, got, i%2 == 1)
		}
	}
	resp, body := r.get(uri, "Accept", "text/turtle", "OSLC-Core-Version", "2.0")
	want, err := format.Parse([]byte(body), format.Turtle, uri, rdf.Limits{})
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	for _, p := range []string{vocab.OSLCAction, vocab.CMStatus, vocab.DCTermsTitle} {
		was, is := want.Objects(rdf.NewIRI(uri), p), last.Objects(rdf.NewIRI(mirror), p)
		if len(was) != len(is) || len(was) == 0 {
			t.Errorf("<%s> is %v there and %v here", p, was, is)
		}
	}
}

// lines returns those of a text that begin with a prefix.
func lines(text, prefix string) string {
	var out strings.Builder
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, prefix) {
			out.WriteString(l)
		}
	}
	return out.String()
}
