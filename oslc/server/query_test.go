package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/oslc/query"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// TestP2_Pages: 250 resources come in one answer, or in pages, as the client wants.
func TestP2_Pages(t *testing.T) {
	t.Parallel()
	r := newQueryRig(t, 250)
	for uri, want := range map[string][]int{
		queryBase:                                   {250},
		ask("oslc.paging", "false"):                 {250},
		ask("oslc.paging", "true"):                  {100, 100, 50},
		ask("oslc.pageSize", "50"):                  {50, 50, 50, 50, 50},
		ask("oslc.pageSize", "249", "x", "y"):       {249, 1},
		ask("oslc.pageSize", "1000000000000000000"): {250},
	} {
		var got []int
		pages := r.walk(uri, nil)
		for _, p := range pages {
			got = append(got, len(p))
		}
		if d := diff.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", uri, d)
		}
		if d := diff.Diff(upTo(250), flat(pages)); d != "" {
			t.Errorf("%s: members (-want +got):\n%s", uri, d)
		}
	}
	uri := ask("oslc.pageSize", "50", "oslc.where", `tool:open=true`, "oslc.prefix", "tool=<"+toolNS+">", "oslc_config.context", "http://x/{a}")
	g := r.get(uri)
	i := info(t, g)
	if i.Value != strings.ReplaceAll(uri, "{", "%7B") {
		t.Errorf("the ResponseInfo is about %s, want the request's own URI", i.Value)
	}
	if total, _ := g.Object(i, vocab.OSLCTotalCount).Int(); total != 200 {
		t.Errorf("the total is %d, want 200", total)
	}
	next := g.Value(i, vocab.OSLCNextPage)
	if onBase := g.Value(rdf.NewIRI(queryBase), vocab.OSLCNextPage); onBase != next || next == "" {
		t.Errorf("the next page is %q, and %q on the query base", next, onBase)
	}
	u, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"oslc.where": true, "oslc.prefix": true, "oslc_config.context": true, "page": true, "oslc.paging": false, "oslc.pageSize": false,
	} {
		if u.Query().Has(name) != want {
			t.Errorf("the address of the next page has %s: %t, want %t: %s", name, !want, want, next)
		}
	}
	// Lyo's client adds the size again to each address.
	second := r.get(next + "&oslc.paging=true&oslc.pageSize=50")
	if got := members(t, second); len(got) != 50 || got[0] != 63 {
		t.Errorf("the second page is %v", got)
	}
	if total, _ := second.Object(info(t, second), vocab.OSLCTotalCount).Int(); total != 200 {
		t.Errorf("the total on the second page is %d, want 200", total)
	}
}

// A query as a form is the same query, and its next page can be had either way.
func TestQuery_post(t *testing.T) {
	t.Parallel()
	r := newQueryRig(t, 30)
	form := strings.TrimPrefix(ask("oslc.where", `dcterms:creator{foaf:name="Ann 1"}`, "oslc.pageSize", "4", "oslc.select", "dcterms:title"), queryBase+"?")
	want := flat(r.walk(queryBase+"?"+form, nil))
	if len(want) != 10 {
		t.Fatalf("the query has %v", want)
	}
	var got []int
	uri, body := queryBase, form
	for uri != "" {
		code, g := r.send(http.MethodPost, uri, body)
		if code != http.StatusOK {
			t.Fatal(code, message(g))
		}
		got = append(got, members(t, g)...)
		i := info(t, g)
		if len(got) == 4 {
			if d := diff.Diff(want[4:], flat(r.walk(g.Value(i, vocab.OSLCNextPage), nil))); d != "" {
				t.Errorf("the next page by GET (-want +got):\n%s", d)
			}
		}
		uri, body = g.Value(i, vocab.OSLCNextPage), g.Value(i, vocab.OSLCPostBody)
	}
	if d := diff.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	long := form + "&oslc.searchTerms=" + url.QueryEscape(`"thing","`+strings.Repeat("thing ", 1000)+`"`)
	if code, g := r.send(http.MethodPost, queryBase, long); code != http.StatusOK || len(members(t, g)) != 0 {
		t.Errorf("a long form: %d %s", code, message(g))
	}
	if code, _ := r.send(http.MethodPost, queryBase, form+"&x="+strings.Repeat("x", 1<<20)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a form of more than a megabyte: %d, want 413", code)
	}
}

func TestQuery_conditions(t *testing.T) {
	t.Parallel()
	r := newQueryRig(t, 20)
	prefix := "tool=<" + toolNS + ">"
	for where, want := range map[string][]int{
		`dcterms:title="Thing 7"`:                                               {7},
		`dcterms:title in ["Thing 3","Thing 12","Thing 99"]`:                    {3, 12},
		`tool:n>=5 and tool:open=false`:                                         {5},
		`tool:n=6.0 and rdf:type=oslc_cm:ChangeRequest`:                         {6, 13},
		`dcterms:creator{foaf:name="Ann 2"} and tool:n=1`:                       {8},
		`tool:next=<` + thingURI(4) + `>`:                                       {3},
		`tool:next{dcterms:title="Thing 4"}`:                                    {3},
		`tool:next{tool:next{dcterms:creator{foaf:name="Ann 0"} and tool:n=2}}`: {7},
		`*="Thing 9"`: {9},
		`oslc:serviceProvider=<http://bus.example/services/tool> and dcterms:title="Thing 1"`: {1},
		`oslc:serviceProvider=<http://bus.example/services/other>`:                            {},
		`oslc:serviceProvider!=<http://bus.example/services/tool>`:                            {},
		`tool:unknown=1`:                        {},
		`dcterms:title!="Thing 1" and tool:n=1`: {8, 15},
	} {
		for _, uri := range []string{
			ask("oslc.where", where, "oslc.prefix", prefix),
			// A whole query string as the name of one parameter.
			queryBase + "?" + url.QueryEscape("oslc.where="+where+"&oslc.prefix="+prefix),
			queryBase + "?" + url.QueryEscape("oslc.where="+where+"&oslc.prefix="+prefix) + "=",
		} {
			if d := diff.Diff(want, members(t, r.get(uri))); d != "" {
				t.Errorf("%s as %s (-want +got):\n%s", where, uri, d)
			}
		}
	}
}

func TestQuery_select(t *testing.T) {
	t.Parallel()
	r := newQueryRig(t, 5)
	about := func(g *rdf.Graph, i int) (out []string) {
		for s := range g.About(rdf.NewIRI(thingURI(i))) {
			out = append(out, strings.TrimPrefix(s.P.Value[strings.LastIndexAny(s.P.Value, "#/")+1:], "#"))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	everything := []string{"creator", "description", "instanceShape", "n", "next", "open", "serviceProvider", "title", "type"}
	for param, want := range map[string][]string{
		"":                                 everything,
		"oslc.select=*":                    everything,
		"oslc.select=rdf:nil":              nil,
		"oslc.select=dcterms:title,tool:n": {"n", "title"},
		"oslc.properties=rdfs:member{dcterms:title}":       {"title"},
		"oslc.properties=*{dcterms:title,dcterms:creator}": {"creator", "title"},
		"oslc.select=oslc:serviceProvider":                 {"serviceProvider"},
		"oslc.select=tool:next{dcterms:title,tool:open}":   {"next"},
	} {
		name, value, _ := strings.Cut(param, "=")
		g := r.get(ask("oslc.where", `dcterms:title="Thing 2"`, "oslc.prefix", "tool=<"+toolNS+">", name, value))
		if got := members(t, g); len(got) != 1 {
			t.Errorf("%s: members are %v", param, got)
		}
		if d := diff.Diff(want, about(g, 2)); d != "" {
			t.Errorf("%s (-want +got):\n%s", param, d)
		}
		if strings.Contains(param, "tool:next{") {
			if d := diff.Diff([]string{"open", "title"}, about(g, 3)); d != "" {
				t.Errorf("%s: of the next one (-want +got):\n%s", param, d)
			}
		}
		if strings.Contains(param, "creator") || param == "" {
			if len(g.Subjects(vocab.FOAFName, rdf.String("Ann 2"))) != 1 {
				t.Errorf("%s: the creator is not inlined", param)
			}
		}
	}
	// Blank nodes of different members stay apart.
	if n := len(r.get(queryBase).OfType(vocab.FOAFPerson)); n != 5 {
		t.Errorf("%d creators, want 5", n)
	}
}

func TestQuery_order(t *testing.T) {
	t.Parallel()
	r := newQueryRig(t, 25)
	for orderBy, less := range map[string]func(a, b int) int{
		"-tool:n,+dcterms:title": func(a, b int) int {
			if a%7 != b%7 {
				return b%7 - a%7
			}
			return strings.Compare(fmt.Sprint("Thing ", a), fmt.Sprint("Thing ", b))
		},
		// The sign as it arrives when a client does not encode it.
		strings.ReplaceAll("+dcterms:title", "+", " "): func(a, b int) int { return strings.Compare(fmt.Sprint("Thing ", a), fmt.Sprint("Thing ", b)) },
		"dcterms:creator{+foaf:name},-dcterms:title": func(a, b int) int {
			if a%3 != b%3 {
				return a%3 - b%3
			}
			return strings.Compare(fmt.Sprint("Thing ", b), fmt.Sprint("Thing ", a))
		},
	} {
		want := upTo(25)
		slices.SortFunc(want, less)
		uri := ask("oslc.orderBy", orderBy, "oslc.prefix", "tool=<"+toolNS+">", "oslc.pageSize", "4")
		got := flat(r.walk(uri, nil))
		if d := diff.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", orderBy, d)
		}
		// oslc:order grows from page to page.
		g := r.get(uri)
		g = r.get(g.Value(info(t, g), vocab.OSLCNextPage))
		if n, _ := g.Object(rdf.NewIRI(thingURI(want[4])), vocab.OSLCOrder).Int(); n != 5 {
			t.Errorf("%s: the first member of the second page has oslc:order %d, want 5", orderBy, n)
		}
	}
}

func TestQuery_search(t *testing.T) {
	t.Parallel()
	r := newQueryRig(t, 12)
	loud := thing(3)
	loud.Node(thingURI(3)).Add(toolNS+"note", rdf.Typed("a <b>Löwe</b> &amp; thing eleven", rdf.XMLLiteral))
	r.put(3, loud)
	quiet := thing(4)
	quiet.Node(thingURI(4)).String(toolNS+"note", "thing 11")
	r.put(4, quiet)
	r.put(5, nil)
	r.put(6, thing(6).Without(func(t rdf.Triple) bool { return t.P.Value == vocab.DCTermsTitle }))
	for terms, want := range map[string]string{
		`"thing 11"`:        "11:100 4:50",
		`"11","thing"`:      "11:100 4:50",
		`"LOWE"`:            "3:50",
		`"löwe","eleven"`:   "3:50",
		`"b"`:               "",
		`"of its ten"`:      "0:50 1:50 2:50 3:50 4:50 6:50 7:50 8:50 9:50 10:50 11:50",
		`"ten its of"`:      "",
		`"Thing 5"`:         "",
		`"Thing 6"`:         "",
		`"Ann 1"`:           "1:50 4:50 7:50 10:50",
		`"OR","NOT (","\""`: "!",
		`"thing*"`:          "0:100 1:100 2:100 3:100 4:100 7:100 8:100 9:100 10:100 11:100",
	} {
		uri := ask("oslc.searchTerms", terms, "oslc.pageSize", "3")
		if want == "!" {
			if code, g := r.send(http.MethodGet, uri, ""); code != http.StatusBadRequest || message(g) == "" {
				t.Errorf("%s: %d %s, want 400", terms, code, message(g))
			}
			continue
		}
		var got []string
		for uri != "" {
			g := r.get(uri)
			for _, i := range members(t, g) {
				got = append(got, fmt.Sprintf("%d:%s", i, g.Value(rdf.NewIRI(thingURI(i)), vocab.OSLCScore)))
			}
			uri = g.Value(info(t, g), vocab.OSLCNextPage)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %s, want %s", terms, strings.Join(got, " "), want)
		}
	}
	g := r.get(ask("oslc.searchTerms", `"thing"`, "oslc.where", `tool:n=1 and tool:open=true`, "oslc.orderBy", "-dcterms:title", "oslc.prefix", "tool=<"+toolNS+">"))
	if d := diff.Diff([]int{8, 1}, members(t, g)); d != "" {
		t.Errorf("with a condition and an order (-want +got):\n%s", d)
	}
}

// What changes between two pages moves nothing else: everything that stays as it is
// comes once.
func TestQuery_pagesAreStable(t *testing.T) {
	t.Parallel()
	for name, pairs := range map[string][]string{
		"as they came up": {},
		"a condition":     {"oslc.where", "tool:open=true"},
		"ordered":         {"oslc.orderBy", "-dcterms:title"},
		"by several":      {"oslc.orderBy", "+tool:n,-dcterms:title"},
		"searched":        {"oslc.searchTerms", `"thing"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newQueryRig(t, 60)
			touched := map[int]bool{}
			pages := r.walk(ask(append(pairs, "oslc.pageSize", "10", "oslc.prefix", "tool=<"+toolNS+">")...), func(page int) {
				if page > 10 {
					return
				}
				gone, moved, fresh := page*3, page*5+1, 100+page
				for i, g := range map[int]*rdf.Graph{gone: nil, moved: thing(moved + 500), fresh: thing(fresh)} {
					if g != nil {
						h := rdf.NewGraph()
						for s := range g.All() {
							if s.S.Kind == rdf.IRI {
								s.S = rdf.NewIRI(thingURI(i))
							}
							h.AddTriple(s)
						}
						g = h
					}
					touched[i] = true
					r.put(i, g)
				}
			})
			times := map[int]int{}
			for _, i := range flat(pages) {
				times[i]++
			}
			for i := range 60 {
				want := 1
				if name == "a condition" && i%5 == 0 {
					want = 0
				}
				if !touched[i] && times[i] != want {
					t.Errorf("thing %d comes %d times, want %d", i, times[i], want)
				}
			}
		})
	}
}

// TestP2_Errors: what can't be answered is refused by the rules of OSLC Query 3.0,
// 7, with an oslc:Error.
func TestP2_Errors(t *testing.T) {
	t.Parallel()
	r := newQueryRig(t, 3)
	g := r.get(ask("oslc.pageSize", "1"))
	page, err := url.Parse(g.Value(info(t, g), vocab.OSLCNextPage))
	if err != nil {
		t.Fatal(err)
	}
	key := page.Query().Get("page")
	long := strings.Repeat("x", 200)
	for _, tt := range []struct {
		code  int
		says  string
		pairs []string
	}{
		{400, "oslc.where: at 15", []string{"oslc.where", `dcterms:title={`}},
		{400, `unknown prefix "nope"`, []string{"oslc.where", `nope:title="x"`}},
		{400, "not queryable", []string{"oslc.where", `tool:hidden="x"`, "oslc.prefix", "tool=<" + toolNS + ">"}},
		{400, "oslc:score", []string{"oslc.orderBy", "-oslc:score"}},
		{400, "oslc.select", []string{"oslc.select", "dcterms:title{"}},
		{400, "oslc.searchTerms", []string{"oslc.searchTerms", "thing"}},
		{400, "no word", []string{"oslc.searchTerms", `"--"`}},
		{400, "oslc.pageSize", []string{"oslc.pageSize", "-1"}},
		{400, "oslc.paging", []string{"oslc.paging", "maybe"}},
		{400, "begin with the first", []string{"page", "2"}},
		{400, "begin with the first", []string{"page", key[:len(key)-2] + "AA"}},
		{400, "begin with the first", []string{"page", key, "oslc.where", `dcterms:title="x"`}},
		{400, "begin with the first", []string{"page", key, "oslc.orderBy", `-dcterms:title`}},
		{501, "compared by = and != only", []string{"oslc.where", `dcterms:title>"` + long + `"`}},
		{501, "at most 4", []string{"oslc.orderBy", `dcterms:a{dcterms:b{dcterms:c{dcterms:d{+dcterms:e}}}}`}},
	} {
		code, g := r.send(http.MethodGet, ask(tt.pairs...), "")
		if code != tt.code || !strings.Contains(message(g), tt.says) {
			t.Errorf("%v: %d %q, want %d and %q", tt.pairs, code, message(g), tt.code, tt.says)
		}
	}
	if code, g := r.send(http.MethodGet, queryBase+"?oslc.where=%zz", ""); code != http.StatusBadRequest || message(g) == "" {
		t.Errorf("a broken escape: %d %s", code, message(g))
	}
}

// The query shape says what can be asked.
func TestQuery_saysWhatItCan(t *testing.T) {
	t.Parallel()
	r := newQueryRig(t, 0)
	g := r.get(queryBase + "/query")
	base := rdf.NewIRI(queryBase)
	for _, param := range query.Params() {
		if !g.Has(rdf.Triple{S: base, P: rdf.NewIRI(vocab.BusQueryParameter), O: rdf.String(param)}) {
			t.Errorf("%s is not said to be understood", param)
		}
	}
	if got := len(g.Objects(base, vocab.OSLCPrefixDefinition)); got != len(query.WellKnown()) {
		t.Errorf("%d prefixes, want %d", got, len(query.WellKnown()))
	}
	if g := r.get(queryBase); len(members(t, g)) != 0 || g.Value(info(t, g), vocab.OSLCTotalCount) != "0" {
		t.Error("an empty collection is not empty")
	}
}

// No query ends in anything but an answer or an honest refusal, as RDF.
func FuzzQuery(f *testing.F) {
	r := newQueryRig(f, 20)
	g := r.get(ask("oslc.pageSize", "3", "oslc.orderBy", "-dcterms:title"))
	next, err := url.Parse(g.Value(info(f, g), vocab.OSLCNextPage))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(next.RawQuery, "")
	for _, seed := range []string{
		`oslc.where=dcterms:creator{foaf:name="Ann 1" and *!=true}&oslc.select=*{*},dcterms:title&oslc.orderBy=dcterms:creator{-foaf:name}`,
		`oslc.where=dcterms:title in ["a","b"@en,<http://x/>,1,2.5] and rdf:type>=oslc_cm:X&oslc.paging=false`,
		`oslc.where=*{*{*{*{*="x"}}}}&oslc.searchTerms="thing*","OR","\"NEAR( "&oslc.orderBy=-dcterms:title&oslc.pageSize=2`,
		`oslc.where%3D*%3D1%26oslc.pageSize%3D3`, `page=AQ&oslc.properties=rdfs:member{rdf:nil}`,
	} {
		f.Add(seed, "")
		f.Add("oslc.pageSize=2", seed)
	}
	f.Fuzz(func(t *testing.T, raw, form string) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/services/tool/things", http.NoBody)
		if form != "" {
			req = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/services/tool/things", strings.NewReader(form))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		req.URL.RawQuery = raw
		w := httptest.NewRecorder()
		r.handle.ServeHTTP(w, req)
		g, err := format.Parser{}.Parse(w.Body.Bytes(), format.RDFXML, "", rdf.Limits{})
		if err != nil {
			t.Fatalf("%d: %v in\n%s", w.Code, err, w.Body)
		}
		switch w.Code {
		case http.StatusOK:
			info(t, g)
		case http.StatusBadRequest, http.StatusNotImplemented, http.StatusRequestEntityTooLarge:
			if message(g) == "" {
				t.Errorf("%d without a message", w.Code)
			}
		default:
			t.Errorf("%d: %s", w.Code, message(g))
		}
	})
}
