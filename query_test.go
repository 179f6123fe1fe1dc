package oslcbus_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestP2_Rules: all rules of StackStorm can be counted, listed, filtered and paged
// through, however many its own interface shows at once.
func TestP2_Rules(t *testing.T) {
	t.Parallel()
	const rules, disabled = 250, 40
	r := newRig(t, "").start()
	want := make([]string, rules)
	for i := range want {
		var rule map[string]any
		if rule, want[i] = r.create(fmt.Sprintf("rule %03d", i)); i < disabled {
			r.setEnabled(rule, false)
		}
	}
	base := rdf.NewIRI(r.url + rulesPath)
	walk := func(query string) (uris []string, total string, pages int) {
		for path := rulesPath + query; path != ""; pages++ {
			g := r.graph(strings.TrimPrefix(path, r.url))
			infos := g.OfType(vocab.OSLCResponseInfo)
			if len(infos) != 1 {
				t.Fatalf("%s: %d nodes are a ResponseInfo", path, len(infos))
			}
			total = g.Value(infos[0], vocab.OSLCTotalCount)
			for _, m := range g.Objects(base, vocab.RDFSMember) {
				uris = append(uris, m.Value)
				if g.Value(m, vocab.DCTermsTitle) == "" {
					t.Errorf("%s: %s has no title", path, m.Value)
				}
			}
			path = g.Value(infos[0], vocab.OSLCNextPage)
		}
		slices.Sort(uris)
		return uris, total, pages
	}
	slices.Sort(want)
	r.eventually("all rules", func() bool {
		got, _, _ := walk("")
		return slices.Equal(got, want)
	})
	closed := "?oslc.where=" + url.QueryEscape("st2:ruleStatus=false")
	r.eventually("the disabled ones", func() bool {
		got, _, _ := walk(closed)
		return len(got) >= disabled
	})
	if got, total, pages := walk(closed); len(got) != disabled || total != fmt.Sprint(disabled) || pages != 1 {
		t.Errorf("%d rules are disabled and the total is %s, want %d", len(got), total, disabled)
	}
	if got, total, pages := walk("?oslc.pageSize=50"); !slices.Equal(got, want) || total != fmt.Sprint(rules) || pages != 5 {
		t.Errorf("%d rules on %d pages and the total is %s, want %d on 5", len(got), pages, total, rules)
	}
	if got, _, _ := walk("?oslc.searchTerms=" + url.QueryEscape(`"rule 123"`)); len(got) != 1 {
		t.Errorf("the search has %v", got)
	}
	resp, body := r.get(rulesPath+"?oslc.where=st2:ruleStatus", "Accept", "text/turtle")
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "oslc:Error") {
		t.Errorf("a malformed condition: %s: %s", resp.Status, body)
	}
}
