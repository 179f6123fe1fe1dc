package probe_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/internal/probe"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

func isPath(r *http.Request, part string) bool { return strings.Contains(r.URL.Path, part) }

func isResource(r *http.Request) bool { return resource.MatchString(r.URL.Path) }

var resource = regexp.MustCompile(`^/services/[a-z0-9]+/(changeRequests|requests|results)/[^/]+$`)

const rules = "/services/st2/changeRequests"

// swap replaces text in the bodies of answers for a path.
func swap(path, from, to string) fault {
	return fault{out: func(r *http.Request, a *answer) {
		if isPath(r, path) {
			a.body = strings.ReplaceAll(a.body, from, to)
		}
	}}
}

// drop takes parameters out of requests.
func drop(names ...string) fault {
	return fault{in: func(r *http.Request) {
		q := r.URL.Query()
		for _, n := range names {
			q.Del(n)
		}
		r.URL.RawQuery = q.Encode()
	}}
}

// without takes headers out of answers to a method, "" for any.
func without(method string, names ...string) fault {
	return fault{out: func(r *http.Request, a *answer) {
		if method == "" || r.Method == method {
			for _, n := range names {
				a.header.Del(n)
			}
		}
	}}
}

// answers gives a status of its own to what fits.
func answers(status int, fits func(r *http.Request) bool) fault {
	return fault{out: func(r *http.Request, a *answer) {
		if fits(r) {
			a.status, a.body = status, ""
			a.header.Del("Content-Type")
		}
	}}
}

func match(pattern, with string, fits func(r *http.Request) bool) fault {
	re := regexp.MustCompile(pattern)
	return fault{out: func(r *http.Request, a *answer) {
		if fits(r) {
			a.body = re.ReplaceAllString(a.body, with)
		}
	}}
}

// postedRequest is taken, whatever it says.
var postedRequest = answers(201, func(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/services/bus/requests" && r.Header.Get("Content-Type") == "text/turtle"
})

// TestHostile: each fault of a server is found by the check that is there for it.
func TestHostile(t *testing.T) {
	t.Parallel()
	faults := map[string]struct {
		check string
		fault
	}{
		"no version":  {"C01", without("", "OSLC-Core-Version")},
		"version 1.0": {"C01", fault{out: func(_ *http.Request, a *answer) { a.header.Set("OSLC-Core-Version", "1.0") }}},
		"members are broken": {"C02", fault{out: func(r *http.Request, a *answer) {
			if isResource(r) {
				a.body = a.body[:len(a.body)/2]
			}
		}}},
		"formats differ": {"C03", fault{out: func(_ *http.Request, a *answer) {
			if strings.Contains(a.header.Get("Content-Type"), "turtle") {
				a.body = strings.ReplaceAll(a.body, "oslcbus", "something else")
			}
		}}},
		"no JSON-LD": {"C03", fault{in: func(r *http.Request) {
			if r.Header.Get("Accept") == "application/ld+json" {
				r.Header.Set("Accept", "text/turtle")
			}
		}}},
		"images are RDF": {"C04", fault{in: func(r *http.Request) {
			if r.Header.Get("Accept") == "image/png" {
				r.Header.Set("Accept", "text/turtle")
			}
		}}},
		"other RDF is refused": {"C04", answers(406, func(r *http.Request) bool { return r.Header.Get("Accept") == "application/trig" })},
		"no CORS":              {"C05", without("OPTIONS", "Access-Control-Allow-Headers")},
		"PUT without If-Match": {"C06", fault{in: func(r *http.Request) {
			if r.Method == http.MethodPut && r.Header.Get("If-Match") == "" {
				r.Header.Set("If-Match", "*")
			}
		}}},
		"PUT of an older state": {"C06", fault{in: func(r *http.Request) {
			if r.Method == http.MethodPut && r.Header.Get("If-Match") != "" {
				r.Header.Set("If-Match", "*")
			}
		}}},
		"weak tags": {"C06", fault{
			in: func(r *http.Request) {
				r.Header.Set("If-Match", strings.TrimPrefix(r.Header.Get("If-Match"), "W/"))
				if r.Header.Get("If-Match") == "" {
					r.Header.Del("If-Match")
				}
			},
			out: func(_ *http.Request, a *answer) {
				if tag := a.header.Get("ETag"); tag != "" {
					a.header.Set("ETag", "W/"+tag)
				}
			},
		}},
		"loses unknown properties": {"C07", fault{in: func(r *http.Request) { forget(t, r, "https://oslcbus.github.io/ns/probe#unknown") }}},
		"refuses in plain text": {"C07", fault{out: func(r *http.Request, a *answer) {
			if r.Method == http.MethodPut && a.status == http.StatusBadRequest {
				a.header.Set("Content-Type", "text/plain")
			}
		}}},
		"takes no read-only property": {"C08", answers(409, func(r *http.Request) bool { return r.Method == http.MethodPut })},
		"PUT says nothing":            {"C08", answers(204, func(r *http.Request) bool { return r.Method == http.MethodPut })},
		"page of another address":     {"C09", swap("/", "oslc.pageSize=1", "oslc.pageSize=9")},
		"no ResponseInfo":             {"C09", swap("/", "oslc:ResponseInfo", "oslc:Response")},
		"total is text":               {"C09", match(`<oslc:totalCount rdf:datatype="[^"]*">`, "<oslc:totalCount>", func(*http.Request) bool { return true })},
		"pages in a circle": {"C10", fault{out: func(r *http.Request, a *answer) {
			if strings.Contains(r.URL.RawQuery, "oslc.pageSize=2") {
				self := "http://" + r.Host + r.URL.Path + "?again=" + strings.ReplaceAll(r.URL.Query().Get("again"), " ", "") + "x&amp;oslc.pageSize=2"
				a.body = regexp.MustCompile(`oslc:nextPage rdf:resource="[^"]*"`).ReplaceAllString(a.body, `oslc:nextPage rdf:resource="`+self+`"`)
			}
		}}},
		"last page leads to nil": {"C10", fault{out: func(r *http.Request, a *answer) {
			if strings.HasPrefix(r.URL.Path, rules) && !strings.Contains(a.body, "oslc:nextPage") {
				a.body = strings.Replace(a.body, "<oslc:totalCount", `<oslc:nextPage rdf:resource="`+rdf.Nil+`"/><oslc:totalCount`, 1)
			}
		}}},
		"catalog in pages": {"C11", fault{in: func(r *http.Request) {
			if isPath(r, "sp-catalog") || isPath(r, "/services/catalog") {
				r.URL.RawQuery = "oslc.paging=true&oslc.pageSize=2"
			}
		}}},
		"takes version 1.0": {"C12", fault{in: func(r *http.Request) { r.Header.Set("OSLC-Core-Version", "2.0") }}},
		"no well-known catalog": {"C13", fault{
			in: func(r *http.Request) {
				if r.URL.Path == "/" {
					r.URL.Path = "/services/catalog"
				}
			},
			out: answers(404, func(r *http.Request) bool { return isPath(r, "/.well-known/") }).out,
		}},
		"service without a domain":    {"C14", match(`\s*<oslc:domain[^>]*/>`, "", func(r *http.Request) bool { return r.URL.Path == "/services/st2" })},
		"base that is text":           {"C14", match(`<oslc:queryBase rdf:resource="([^"]*)"/>`, "<oslc:queryBase>$1</oslc:queryBase>", func(r *http.Request) bool { return isPath(r, "/services/") })},
		"factory without Accept-Post": {"C15", without("OPTIONS", "Accept-Post")},
		"factory without Allow":       {"C15", without("OPTIONS", "Allow")},
		"takes any body": {"C16", answers(201, func(r *http.Request) bool {
			return r.Method == http.MethodPost && r.URL.Path == rules && r.Header.Get("Content-Type") == "image/png"
		})},
		"refusal without the shape": {"C16", fault{out: func(r *http.Request, a *answer) {
			if r.Method == http.MethodPost && a.status == http.StatusBadRequest {
				a.header.Del("Link")
			}
		}}},
		"relative Location": {"C17", fault{out: func(_ *http.Request, a *answer) {
			if i := strings.Index(a.header.Get("Location"), "/services/"); a.status == http.StatusCreated && i > 0 {
				a.header.Set("Location", a.header.Get("Location")[i:])
			}
		}}},
		"created without a body": {"C17", fault{out: func(_ *http.Request, a *answer) {
			if a.status == http.StatusCreated {
				a.body = ""
			}
		}}},
		"created with 200": {"C17", fault{out: func(_ *http.Request, a *answer) {
			if a.status == http.StatusCreated {
				a.status = http.StatusOK
			}
		}}},
		"no Compact in JSON": {"C18", answers(406, func(r *http.Request) bool {
			return isPath(r, "/compact") && r.Header.Get("Accept") == "application/json"
		})},
		"preference is ignored": {"C18", fault{in: func(r *http.Request) { r.Header.Del("Prefer") }}},
		"preview hides a 404": {"C19", answers(200, func(r *http.Request) bool {
			return r.Header.Get("Prefer") != "" && isPath(r, "-not-there") || strings.HasSuffix(r.URL.Path, "-that-is-not-there") && r.Header.Get("Prefer") != ""
		})},
		"sizes without a unit":    {"C20", swap("/services/st2", "480px", "480")},
		"container without links": {"C20", without("HEAD", "Link")},
		"dialog without a script": {"C21", answers(404, func(r *http.Request) bool { return isPath(r, "dialog.js") })},
		"prefill says 200": {"C22", fault{out: func(r *http.Request, a *answer) {
			if r.Method == http.MethodPost && isPath(r, "/dialogs/") {
				a.status = http.StatusOK
			}
		}}},
		"container of another address": {"C23", fault{out: func(r *http.Request, a *answer) {
			if r.URL.Path == rules {
				a.body = strings.ReplaceAll(a.body, `rdf:about="http://`+r.Host+rules+`"`, `rdf:about="http://`+r.Host+rules+`?x=y"`)
			}
		}}},
		"conditions are ignored": {"C24", drop("oslc.where")},
		"nonsense is answered":   {"C25", drop("oslc.where")},
		"fault in plain text": {"C25", fault{out: func(_ *http.Request, a *answer) {
			if a.status == http.StatusBadRequest {
				a.header.Set("Content-Type", "text/plain")
			}
		}}},
		"no forms": {"C26", answers(415, func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.Contains(r.Header.Get("Content-Type"), "form") && !isPath(r, "/dialogs/")
		})},
		"search finds nothing": {"C27", fault{in: func(r *http.Request) {
			if q := r.URL.Query(); q.Has("oslc.searchTerms") {
				q.Set("oslc.searchTerms", `"nosuchword"`)
				r.URL.RawQuery = q.Encode()
			}
		}}},
		"order starts anew": {"C28", fault{out: func(r *http.Request, a *answer) {
			if strings.HasPrefix(r.URL.Path, rules) {
				a.body = regexp.MustCompile(`oslc:order [0-9]+`).ReplaceAllString(a.body, "oslc:order 1")
			}
		}}},
		"shape without occurs": {"C29", match(`\s*<oslc:occurs[^>]*/>`, "", func(r *http.Request) bool { return isPath(r, "/shapes/") })},
		"shape is missing":     {"C29", answers(404, func(r *http.Request) bool { return isPath(r, "/shapes/") })},
		"Vary is missing":      {"C30", without("", "Vary")},
		"query leads elsewhere": {"C32", fault{out: func(r *http.Request, a *answer) {
			if r.URL.Path == rules && r.URL.RawQuery == "" && r.Method == http.MethodGet {
				a.status = http.StatusFound
				a.header.Set("Location", rules+"?oslc.paging=true")
			}
		}}},
		"rules not in JSON-LD": {"CM01", answers(406, func(r *http.Request) bool { return isResource(r) && r.Header.Get("Accept") == "application/ld+json" })},
		"query not in Turtle":  {"CM02", answers(406, func(r *http.Request) bool { return r.URL.Path == rules && r.Header.Get("Accept") == "text/turtle" })},
		"factory is hidden":    {"CM03", swap("/services/st2", "oslc:creationFactory", "oslc:other")},
		"selection is ignored": {"CM04", drop("oslc.properties")},
		"no prefixes": {"CM05", answers(400, func(r *http.Request) bool {
			return strings.Contains(r.URL.RawQuery, "oslc.prefix") && r.URL.Query().Has("oslc.select")
		})},
		"dialogs are hidden":     {"CM06", swap("/services/st2", "oslc:creationDialog", "oslc:other")},
		"domain is another":      {"CM07", swap("/services/", `oslc:domain rdf:resource="http://open-services.net/ns/cm#"`, `oslc:domain rdf:resource="http://other.example/"`)},
		"states not queryable":   {"CM08", answers(400, func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "closed") })},
		"in progress and closed": {"CM08", match(`(<oslc_cm:(?:closed|inProgress) [^>]*>)(?:true|false)`, "${1}true", isResource)},
		"partial is whole":       {"CM09", drop("oslc.properties")},
		"partial takes anything": {"CM09", fault{out: func(r *http.Request, a *answer) {
			if strings.Contains(r.URL.RawQuery, "noSuchProperty") {
				a.status = http.StatusOK
			}
		}}},
		"PATCH without formats": {"CM10", fault{out: func(r *http.Request, a *answer) {
			if r.Method == http.MethodOptions && isResource(r) {
				a.header.Set("Allow", "GET, PATCH")
			}
		}}},
		"rules in pages": {"CM11", match(`</rdf:RDF>`, `<oslc:ResponseInfo rdf:about="http://x.example/"><oslc:nextPage rdf:resource="http://x.example/2"/></oslc:ResponseInfo></rdf:RDF>`, isResource)},
		"no shapes":      {"CM12", match(`\s*<oslc:resourceShape[^>]*/>`, "", func(r *http.Request) bool { return isPath(r, "/services/") })},
		"action is bare": {"CM13", match(`<oslc_cm:status>`, `<oslc:action><rdf:Description><oslc:label>x</oslc:label></rdf:Description></oslc:action><oslc_cm:status>`, isResource)},
		"members elsewhere": {"CM14", fault{out: func(r *http.Request, a *answer) {
			a.body = regexp.MustCompile(`\s*<oslc:resourceShape[^>]*/>`).ReplaceAllString(a.body, "")
			if r.URL.Path == rules {
				a.body = strings.ReplaceAll(a.body, "rdfs:member", "rdfs:other")
			}
		}}},
		"results not in RDF/XML": {"AU01", answers(406, func(r *http.Request) bool {
			return isPath(r, "/bus/") && r.Header.Get("Accept") == "application/rdf+xml"
		})},
		"requests not queried":          {"AU02", drop("oslc.where")},
		"results are hidden":            {"AU04", swap("/services/bus", "AutomationResult", "OtherResult")},
		"state of its own":              {"AU05", swap("/services/bus/", "auto#complete", "auto#done")},
		"two verdicts, no title":        {"AU05", match(`\s*<dcterms:title[^>]*>[^<]*</dcterms:title>`, "", isResource)},
		"factory of requests is hidden": {"AU03", swap("/services/bus", "oslc:creationFactory", "oslc:other")},
		"requests have no dialog":       {"AU07", swap("/services/bus", "oslc:creationDialog", "oslc:other")},
		"request without a plan":        {"AU06", postedRequest},
		"request with a text as plan":   {"AU10", postedRequest},
	}
	covered := map[string]bool{}
	for name, f := range faults {
		covered[f.check] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, f.fault)
			if f.check == "C13" {
				url += "/"
			}
			report := run(t, url, f.check)
			if len(report.Results) != 1 || report.Results[0].ID != f.check || report.Results[0].Status != probe.Failed {
				t.Errorf("want %s to fail: %+v", f.check, report.Results)
			}
		})
	}
	// What a bus without these features cannot be made to get wrong, and what it gets
	// wrong already.
	absent := []string{"C31", "AU08", "AU09", "AU11", "AU12"}
	for _, x := range probe.Checks() {
		if covered[x.ID] == slices.Contains(absent, x.ID) {
			t.Errorf("%s: has a fault: %v", x.ID, covered[x.ID])
		}
	}
}

// forget takes a property out of the JSON-LD that is put.
func forget(t *testing.T, r *http.Request, property string) {
	if r.Method != http.MethodPut {
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	g, err := format.Parse(b, format.JSONLD, "", rdf.Limits{})
	if err == nil {
		b, err = format.Append(nil, g.Without(func(tr rdf.Triple) bool { return tr.P.Value == property }), format.JSONLD)
	}
	if err != nil {
		t.Error(err)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
}
