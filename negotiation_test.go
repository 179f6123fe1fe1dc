package oslcbus_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// TestP8_Negotiation: what is asked for is what comes, and what cannot come is
// refused.
func TestP8_Negotiation(t *testing.T) {
	t.Parallel()
	r := newRig(t, "").start()
	uri, _ := r.post(`a<b & \"c\"`)
	path := strings.TrimPrefix(uri, r.url)
	var first *rdf.Graph
	for accept, want := range map[string]string{
		"application/rdf+xml":                        "application/rdf+xml",
		"text/turtle;charset=utf-8":                  "text/turtle",
		"application/ld+json":                        "application/ld+json",
		"application/n-triples":                      "application/n-triples",
		"text/turtle;q=0.4, application/ld+json":     "application/ld+json",
		"text/turtle;q=0.4, application/rdf+xml;q=0": "text/turtle",
		"*/*":                        "application/rdf+xml",
		"":                           "application/rdf+xml",
		"text/*":                     "text/turtle",
		"application/xml":            "application/rdf+xml",
		"text/html, */*;q=0.1":       "application/rdf+xml",
		"application/trig":           "application/rdf+xml",
		"image/png, text/turtle;q=0": "406",
		"text/html":                  "406",
		"application/pdf":            "406",
	} {
		for _, p := range []string{path, "/services/st2", "/services/catalog", rulesPath} {
			resp, body := r.get(p, "Accept", accept)
			if want == "406" {
				if resp.StatusCode != http.StatusNotAcceptable {
					t.Errorf("%s of %s: %s", accept, p, resp.Status)
				}
				continue
			}
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != want || resp.Header.Get("OSLC-Core-Version") != "2.0" ||
				!strings.Contains(resp.Header.Get("Vary"), "Accept") {
				t.Errorf("%s of %s: %s, %s, version %s, Vary %s", accept, p, resp.Status, resp.Header.Get("Content-Type"), resp.Header.Get("OSLC-Core-Version"), resp.Header.Get("Vary"))
				continue
			}
			if p != path {
				continue
			}
			f, _ := format.ByMediaType(want)
			g, err := format.Parse([]byte(body), f, uri, rdf.Limits{})
			if err != nil {
				t.Errorf("%s: %v", accept, err)
				continue
			}
			if first == nil {
				first = g
			}
			if same, err := canon.Isomorphic(first, g); err != nil || !same {
				t.Errorf("%s is another graph: %v", accept, err)
			}
		}
	}
	for version, want := range map[string]string{"2.0": "2.0", "3.0": "3.0", "2.1": "2.0", "4.0": "3.0", "": "2.0", "x": "3.0", "1.0": "400", "0.9": "400"} {
		resp, body := r.get("/services/catalog", "OSLC-Core-Version", version)
		if want == "400" {
			if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "Error") || resp.Header.Get("OSLC-Core-Version") == "" {
				t.Errorf("version %q: %s: %s", version, resp.Status, body)
			}
		} else if resp.StatusCode != http.StatusOK || resp.Header.Get("OSLC-Core-Version") != want {
			t.Errorf("version %q is answered with %s", version, resp.Header.Get("OSLC-Core-Version"))
		}
	}
	for _, c := range []struct{ mediaType, encoding, body string }{
		{"application/pdf", "", "x"}, {"", "", "x"}, {"text/plain", "", "x"}, {"text/turtle", "gzip", "x"}, {"multipart/form-data; boundary=x", "", "x"},
	} {
		resp, body := r.send(http.MethodPost, rulesPath, c.body, "Content-Type", c.mediaType, "Content-Encoding", c.encoding, "Accept", "text/turtle")
		if resp.StatusCode != http.StatusUnsupportedMediaType || !strings.Contains(body, "oslc:Error") {
			t.Errorf("a body of type %q %s: %s: %s", c.mediaType, c.encoding, resp.Status, body)
		}
	}
	if resp, _ := r.send(http.MethodPost, rulesPath, ruleBody("not made", ""), "Content-Type", "text/turtle", "Accept", "image/png"); resp.StatusCode != http.StatusNotAcceptable || len(r.st2.Rules()) != 1 {
		t.Errorf("POST with an answer that cannot be had: %s, %d rules", resp.Status, len(r.st2.Rules()))
	}
}

// TestHTTP_Browsers: pages of this machine may ask by script, others not.
func TestHTTP_Browsers(t *testing.T) {
	t.Parallel()
	r := newRig(t, "web: {origins: [\"https://elm.example\"]}").start()
	for origin, allowed := range map[string]bool{
		r.url: true, "https://elm.example": true, "http://localhost:3000": true, "http://127.0.0.1:9": true,
		"https://evil.example": false, "https://elm.example.evil.example": false, "http://elm.example": false, "null": false, "": false,
	} {
		resp, _ := r.do(http.MethodOptions, rulesPath, "Origin", origin, "Access-Control-Request-Method", "PUT")
		got := resp.Header.Get("Access-Control-Allow-Origin")
		if (got == origin && origin != "") != allowed || got == "*" || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("origin %q is answered with %q", origin, got)
		}
		if !strings.Contains(resp.Header.Get("Vary"), "Origin") {
			t.Errorf("origin %q: Vary is %q", origin, resp.Header.Get("Vary"))
		}
		for _, name := range []string{"Content-Type", "OSLC-Core-Version", "If-Match", "Authorization"} {
			if strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), name) != allowed {
				t.Errorf("origin %q may send %q", origin, resp.Header.Get("Access-Control-Allow-Headers"))
			}
		}
	}
	resp, _ := r.get("/services/catalog", "X-Request-Id", "my-own.id_1")
	if resp.Header.Get("X-Request-Id") != "my-own.id_1" {
		t.Error("the client's request id is not given back")
	}
	if resp, _ := r.get("/services/catalog", "X-Request-Id", "bad id\""); resp.Header.Get("X-Request-Id") == "" || strings.Contains(resp.Header.Get("X-Request-Id"), " ") {
		t.Errorf("request id %q", resp.Header.Get("X-Request-Id"))
	}
	if resp, body := r.get("/oauth/request-token", "Accept", "text/turtle"); resp.StatusCode != http.StatusNotImplemented || !strings.Contains(body, "Bearer") {
		t.Errorf("OAuth: %s: %s", resp.Status, body)
	}
	for text, want := range map[string]string{
		"web: {origins: [\"https://a.example/x\"]}": "web.origins", "web: {origins: [\"*\"]}": "web.origins", "web: {origins: [elm.example]}": "web.origins",
	} {
		if _, err := oslcbus.ParseConfig("x.yml", []byte(text), oslcbus.ConfigOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
