package bench

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
)

// trsResources is how many resources the changes are about.
const trsResources = 5_000

// BenchmarkTRS measures answers about a set whose change log has 10,000 and
// 100,000 changes, or as many more as OSLCBUS_BENCH_CHANGES says, without the
// network. A reader that has a page asks with its ETag and gets 304.
func BenchmarkTRS(b *testing.B) {
	sizes := []int{10_000, 100_000}
	if more, err := strconv.Atoi(os.Getenv("OSLCBUS_BENCH_CHANGES")); err == nil {
		sizes = append(sizes, more)
	}
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			v := openViews(b)
			last := fillLog(b, v, size)
			s := trs.NewServer(trs.Config{BaseURL: "http://bus.example", Store: v})
			page := int64(trs.DefaultPageSize)
			before := strconv.FormatInt(last/2/page*page+1, 10)
			segment := func(w http.ResponseWriter, r *http.Request) error { return s.Segment(w, r, "st2", before) }
			for _, c := range []struct {
				name   string
				serve  func(w http.ResponseWriter, r *http.Request) error
				cached bool
			}{
				{"set", func(w http.ResponseWriter, r *http.Request) error { return s.Set(w, r, "st2") }, false},
				{"segment", segment, false},
				{"segment cached", segment, true},
				{"base page", func(w http.ResponseWriter, r *http.Request) error {
					return s.BasePage(w, r, "st2", strconv.FormatInt(last, 10), "0")
				}, false},
			} {
				b.Run(c.name, func(b *testing.B) { serve(b, c.serve, c.cached) })
			}
		})
	}
}

// fillLog makes a log of so many changes and returns the newest order.
func fillLog(b *testing.B, v *sqlite.Views, changes int) (newest int64) {
	b.Helper()
	for offset := 0; offset < changes; offset += foldAtOnce {
		c := oslc.Modification
		if offset < trsResources {
			c = oslc.Creation
		}
		batch := steps(int64(offset), offset%trsResources, offset/trsResources, c)
		if err := v.Apply(b.Context(), benchPlace, batch); err != nil {
			b.Fatal(err)
		}
	}
	return int64(changes)
}

func serve(b *testing.B, handle func(w http.ResponseWriter, r *http.Request) error, cached bool) {
	b.Helper()
	request := func(tag string) *http.Request {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", http.NoBody)
		r.Header.Set("Accept", "application/rdf+xml")
		if tag != "" {
			r.Header.Set("If-None-Match", tag)
		}
		return r
	}
	w := httptest.NewRecorder()
	if err := handle(w, request("")); err != nil || w.Code != http.StatusOK {
		b.Fatal(w.Code, err)
	}
	tag, want := "", http.StatusOK
	if cached {
		tag, want = w.Header().Get("ETag"), http.StatusNotModified
	}
	b.ReportMetric(float64(w.Body.Len()), "bytes")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w := httptest.NewRecorder()
			if err := handle(w, request(tag)); err != nil || w.Code != want {
				b.Error(w.Code, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
