package probe_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/internal/probe"
	"github.com/oslcbus/oslcbus/oslc"
)

// shortcomings are what the bus does not do although it should: docs/oslc.md says why.
var shortcomings = map[string]string{
	"AU12": "what can be created cannot be deleted",
}

// TestUs: the bus keeps to every check but the shortcomings, and what is skipped is
// what it does not have.
func TestUs(t *testing.T) {
	t.Parallel()
	report := run(t, serve(t, fault{}))
	skipped := map[string]string{}
	for _, x := range report.Results {
		switch x.Status {
		case probe.Failed:
			if text := shortcomings[x.ID]; text == "" || x.Level == probe.Must || len(x.Findings) != 1 || !strings.HasPrefix(x.Findings[0].Text, text) {
				t.Errorf("%s %s: %v", x.ID, x.Title, x.Findings)
			}
		case probe.Skipped:
			skipped[x.ID] = x.Reason
		case probe.Passed:
		}
	}
	want := map[string]string{
		"C31":  "no resource has attachments",
		"AU08": "there are not two dialogs for requests", "AU09": "there is no dialog for later",
		"AU11": "that takes longer than a probe waits",
		"CM10": "PATCH is not offered, which is allowed",
		"CM14": "every container has a shape",
	}
	delete(skipped, "C28") // oslc:order is an offer
	if d := cmp.Diff(want, skipped); d != "" {
		t.Errorf("skipped (-want +got):\n%s", d)
	}
	if len(report.Results) != len(probe.Checks()) || len(report.Results) != 32+14+12 {
		t.Errorf("%d results of %d checks", len(report.Results), len(probe.Checks()))
	}
}

// TestNothingThere: an address that leads to no OSLC server is an error, not a report.
func TestNothingThere(t *testing.T) {
	t.Parallel()
	empty := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(empty.Close)
	// A catalog that all may read, of providers that none may.
	closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/turtle")
		_, _ = io.WriteString(w, `@prefix oslc: <http://open-services.net/ns/core#> . <http://`+r.Host+`/> a oslc:ServiceProviderCatalog ;
			oslc:serviceProvider <http://`+r.Host+`/a>, <http://`+r.Host+`/b> .`)
	}))
	t.Cleanup(closed.Close)
	for url, kind := range map[string]oslc.Kind{empty.URL: oslc.Unavailable, closed.URL: oslc.Denied, "http://127.0.0.1:1/": oslc.Unavailable, "nonsense": oslc.Invalid} {
		if r, err := probe.Run(t.Context(), probe.Config{URL: url}); err == nil || oslc.KindOf(err) != kind {
			t.Errorf("%s: %v, %v", url, r, err)
		}
	}
}

// TestReadsOnly: without being asked to, a probe changes nothing.
func TestReadsOnly(t *testing.T) {
	t.Parallel()
	url := serve(t, fault{in: func(r *http.Request) {
		form := strings.Contains(r.Header.Get("Content-Type"), "form")
		if r.Method == http.MethodPut || r.Method == http.MethodDelete || r.Method == http.MethodPost && !form {
			t.Errorf("%s %s", r.Method, r.URL)
		}
	}})
	report, err := probe.Run(t.Context(), probe.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if failed := report.Failed(probe.Must); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
	var b strings.Builder
	report.Print(&b)
	if !strings.Contains(b.String(), "skipped C06   must") || !strings.Contains(b.String(), fmt.Sprintf("%d failed", len(shortcomings))) {
		t.Errorf("the report reads:\n%s", &b)
	}
}
