package bench

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// BenchmarkProvider measures the answers of an OSLC provider over HTTP on the loopback
// interface, with as many connections that stay open as there are processors: a
// resource, another one each time; the same that the client has already (304); the
// catalog; and a page of a query. Client and server share the processors, so a server
// alone does more. OSLCBUS_BENCH_RESOURCES and OSLCBUS_BENCH_DATA are as for
// BenchmarkQuery. "peak-MB" is the
// most memory that this process, client and server, had so far.
func BenchmarkProvider(b *testing.B) {
	v, n := queryViews(b)
	s, err := server.New(server.Config{
		BaseURL: "http://bus.example", Title: "Bus", Store: v,
		Providers: []oslc.ServiceProvider{{Name: "st2", Title: "StackStorm", Services: []oslc.Service{{
			Domain: vocab.CM, Collections: []oslc.Collection{{Kind: "changeRequests", Title: "Rules", ResourceTypes: []string{vocab.CMChangeRequest}}},
		}}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewServer(server.Handler(nil, func(w http.ResponseWriter, r *http.Request) error {
		switch path := r.URL.Path; path {
		case "/catalog":
			return s.Catalog(w, r)
		case "/query":
			return s.Collection(w, r, "st2", "changeRequests")
		default:
			return s.Resource(w, r, "st2", "changeRequests", path[1+strings.LastIndexByte(path, '/'):])
		}
	}))
	defer srv.Close()
	one := func(r *rand.Rand) string {
		uri := queryURI(r.IntN(n))
		return uri[len("http://bus.example"):]
	}
	for _, c := range []struct {
		name, accept string
		path         func(*rand.Rand) string
		cached       bool
	}{
		{"resource, Turtle", "text/turtle", one, false},
		{"resource, RDF/XML", "application/rdf+xml", one, false},
		{"resource, JSON-LD", "application/ld+json", one, false},
		{"resource that the client has", "text/turtle", func(*rand.Rand) string { return queryURI(0)[len("http://bus.example"):] }, true},
		{"catalog", "application/rdf+xml", func(*rand.Rand) string { return "/catalog" }, false},
		{"query, 20 members", "application/rdf+xml", func(r *rand.Rand) string {
			return "/query?oslc.pageSize=20&oslc.where=" + url.QueryEscape(fmt.Sprintf("dcterms:creator=<%s>", queryOwner(r.IntN(queryOwners))))
		}, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			get(b, srv, c.accept, c.path, c.cached)
		})
	}
}

func get(b *testing.B, srv *httptest.Server, accept string, path func(*rand.Rand) string, cached bool) {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: runtime.GOMAXPROCS(0)}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(path, tag string) (*http.Response, int64, error) {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, srv.URL+path, http.NoBody)
		if err != nil {
			return nil, 0, err
		}
		r.Header.Set("Accept", accept)
		if tag != "" {
			r.Header.Set("If-None-Match", tag)
		}
		resp, err := client.Do(r)
		if err != nil {
			return nil, 0, err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		return resp, n, err
	}
	first, size, err := ask(path(rand.New(rand.NewPCG(1, 1))), "")
	if err != nil || first.StatusCode != http.StatusOK {
		b.Fatal(first, err)
	}
	tag, want := "", http.StatusOK
	if cached {
		tag, want = first.Header.Get("ETag"), http.StatusNotModified
	}
	var seeds atomic.Uint64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := rand.New(rand.NewPCG(4, seeds.Add(1)))
		for pb.Next() {
			resp, _, err := ask(path(r), tag)
			if err != nil || resp.StatusCode != want {
				b.Error(resp, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(float64(size), "bytes")
	b.ReportMetric(0, "ns/op")
	_, peak := testkit.Usage()
	b.ReportMetric(float64(peak)/1e6, "peak-MB")
}
