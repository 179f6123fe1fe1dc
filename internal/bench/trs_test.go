package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/internal/sqlite/sqlitetest"
	"github.com/oslcbus/oslcbus/trs"
)

// benchSize reads a number from the environment.
func benchSize(name string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// trsResources is how many resources the changes are about.
const trsResources = 5_000

// BenchmarkTRS measures answers about a set whose change log has 10,000 changes, and one
// that has 1,000,000, or as many as OSLCBUS_BENCH_CHANGES says, without the network:
//
//   - poll: a reader that has the set asks with its ETag and gets 304
//   - set: one that has not gets the newest segment
//   - segment: an older one, rendered before; and rendered for this request alone
//   - base page: the same of the base
//
// Sizes take turns, round by round, so that what else the machine does hits both; the
// best round of each counts, and x-10k is how much longer the large set takes in it.
func BenchmarkTRS(b *testing.B) {
	sizes := [2]int64{10_000, benchSize("OSLCBUS_BENCH_CHANGES", 1_000_000)}
	var sets [2]*benchSet
	for i, n := range sizes {
		sets[i] = openSet(b, n)
	}
	for _, c := range []struct {
		name string
		ask  func(s *benchSet) func() error
	}{
		{"poll", func(s *benchSet) func() error { return s.get(s.warm, s.set, s.tag(s.set)) }},
		{"set", func(s *benchSet) func() error { return s.get(s.warm, s.set, "") }},
		{"segment", func(s *benchSet) func() error { return s.get(s.warm, s.segment, "") }},
		{"segment rendered", func(s *benchSet) func() error { return s.cold(s.segment) }},
		{"base page", func(s *benchSet) func() error { return s.get(s.warm, s.page, "") }},
		{"base page rendered", func(s *benchSet) func() error { return s.cold(s.page) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			asks := [2]func() error{c.ask(sets[0]), c.ask(sets[1])}
			best := [2]time.Duration{}
			const rounds = 20
			each := max(1, b.N/rounds)
			b.ResetTimer()
			for range rounds {
				for i, ask := range asks {
					begun := time.Now()
					for range each {
						if err := ask(); err != nil {
							b.Fatal(err)
						}
					}
					if d := time.Since(begun) / time.Duration(each); best[i] == 0 || d < best[i] {
						best[i] = d
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(best[0].Nanoseconds())/1000, "µs-10k")
			b.ReportMetric(float64(best[1].Nanoseconds())/1000, "µs")
			b.ReportMetric(float64(best[1])/float64(best[0]), "x-10k")
			b.ReportMetric(float64(time.Second)/float64(best[1]), "requests/s")
		})
	}
	b.Run("segment by all processors", func(b *testing.B) {
		s := sets[1]
		b.RunParallel(func(pb *testing.PB) {
			for ask := s.get(s.warm, s.segment, ""); pb.Next(); {
				if err := ask(); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	})
}

// BenchmarkTRSOverHTTP measures a segment that was rendered before, compressed, over
// loopback; the clients run in the same process and on the same processors.
func BenchmarkTRSOverHTTP(b *testing.B) {
	s := openSet(b, 10_000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.serve(s.warm, w, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, srv.URL+s.segment, http.NoBody)
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set("Accept", "application/rdf+xml")
			r.Header.Set("Accept-Encoding", "gzip")
			resp, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Error(resp.Status, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// benchSet is a set with some documents in the middle of it.
type benchSet struct {
	ctx                context.Context
	views              *sqlite.Views
	warm               *trs.Server
	set, segment, page string
}

func openSet(b *testing.B, changes int64) *benchSet {
	b.Helper()
	path := b.TempDir() + "/views.db"
	begun := time.Now()
	if err := sqlitetest.Views(b.Context(), path, sqlitetest.Fill{Set: "st2", Base: "http://bus.example", Members: min(trsResources, changes), Changes: changes}); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d changes were made in %v", changes, time.Since(begun).Round(time.Millisecond))
	db, err := sqlite.Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	s := &benchSet{ctx: b.Context(), views: db.Views(), set: "/trs/st2"}
	s.warm = s.server()
	w := httptest.NewRecorder()
	if err := s.warm.Base(w, s.request("/trs/st2/base", ""), "st2"); err != nil {
		b.Fatal(err)
	}
	s.page = strings.TrimPrefix(w.Header().Get("Location"), "http://bus.example")
	// Some segments down the chain.
	s.segment = s.set
	for range 5 {
		w := httptest.NewRecorder()
		if err := s.serve(s.warm, w, s.request(s.segment, "")); err != nil {
			b.Fatal(err)
		}
		_, rest, ok := strings.Cut(w.Body.String(), `<trs:previous rdf:resource="http://bus.example`)
		if !ok {
			b.Fatal("the chain is too short")
		}
		s.segment, _, _ = strings.Cut(rest, `"`)
	}
	return s
}

func (s *benchSet) server() *trs.Server {
	return trs.NewServer(trs.Config{BaseURL: "http://bus.example", Store: s.views, BaseAge: time.Hour})
}

func (s *benchSet) request(path, tag string) *http.Request {
	r := httptest.NewRequestWithContext(s.ctx, http.MethodGet, path, http.NoBody)
	r.Header.Set("Accept", "application/rdf+xml")
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	return r
}

// serve has a server answer.
func (s *benchSet) serve(srv *trs.Server, w http.ResponseWriter, r *http.Request) error {
	parts := strings.Split(r.URL.Path, "/")
	switch {
	case len(parts) == 3:
		return srv.Set(w, r, parts[2])
	case parts[3] == "log":
		return srv.Segment(w, r, parts[2], parts[5])
	}
	return srv.BasePage(w, r, parts[2], parts[4], parts[5])
}

func (s *benchSet) tag(path string) string {
	w := httptest.NewRecorder()
	if err := s.serve(s.warm, w, s.request(path, "")); err != nil {
		panic(err)
	}
	return w.Header().Get("ETag")
}

// get returns what asks for a document once.
func (s *benchSet) get(srv *trs.Server, path, tag string) func() error {
	want := http.StatusOK
	if tag != "" {
		want = http.StatusNotModified
	}
	return func() error {
		w := &sink{header: http.Header{}}
		if err := s.serve(srv, w, s.request(path, tag)); err != nil || w.status() != want || want == http.StatusOK && w.bytes == 0 {
			return fmt.Errorf("%s: %d, %d bytes, %w", path, w.code, w.bytes, err)
		}
		return nil
	}
}

// A sink counts what is answered.
type sink struct {
	header      http.Header
	code, bytes int
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(code int) { s.code = code }

func (s *sink) Write(b []byte) (int, error) {
	s.bytes += len(b)
	return len(b), nil
}

func (s *sink) status() int {
	if s.code == 0 {
		return http.StatusOK
	}
	return s.code
}

// cold asks a server that has rendered nothing yet.
func (s *benchSet) cold(path string) func() error {
	return func() error { return s.get(s.server(), path, "")() }
}
