package jira_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/jira"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/oslc"
)

// inProcessExecutor is an executor on a handler without sockets, with the default
// time for the index to settle.
func inProcessExecutor(t testing.TB, deployment string, h http.Handler) adapters.Executor {
	t.Helper()
	cfg := account(deployment, "http://jira.example")
	cfg.Settle = 0
	return build(t, cfg, adapters.Options{Name: "jira", Client: &http.Client{Transport: inProcess{h}}})
}

// TestMarker: the issue carries the request as a label and as a property.
func TestMarker(t *testing.T) {
	t.Parallel()
	for _, deployment := range deployments {
		t.Run(deployment, func(t *testing.T) {
			t.Parallel()
			s, r := newSandbox(t), ask("marked", nil)
			if _, err := inProcessExecutor(t, deployment, s).Execute(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			is := s.Issues()[0]
			if d := cmp.Diff([]string{jira.Marker(r.ID)}, is.Labels()); d != "" {
				t.Errorf("labels (-want +got):\n%s", d)
			}
			value := []byte(is.Properties["org.oslcbus.request"])
			if deployment == "datacenter" { // JSON as text
				var text string
				if err := json.Unmarshal(value, &text); err != nil {
					t.Fatal(err)
				}
				value = []byte(text)
			}
			var got map[string]string
			if err := json.Unmarshal(value, &got); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"id": r.ID, "request": r.URI, "event": r.Event, "resource": r.Target}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("property (-want +got):\n%s", d)
			}
			if !strings.HasSuffix(is.Text(), "Resource: "+r.Target) {
				t.Errorf("the description does not end with the link: %q", is.Text())
			}
		})
	}
	if m := jira.Marker("6f0c1234-5678-4000-8000-00000000000a"); m != "oslc-6f0c1234567840008000" {
		t.Errorf("the marker is %q: a new form finds no issue that was made with the old one", m)
	}
}

// lost makes issues and loses the answer, as a crash does.
type lost struct {
	http.Handler
	mu   sync.Mutex
	once bool
}

func (l *lost) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := inProcess{l.Handler}.RoundTrip(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/issue") && !l.once {
		l.once = true
		return nil, errors.New("connection reset by peer")
	}
	return resp, err
}

// TestLostAnswer: the answer of a creation is lost while the index lags behind; the
// next attempt waits for the index and makes no second issue.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for _, deployment := range deployments {
		for name, c := range map[string]struct {
			lag  time.Duration // of the index
			wait time.Duration // how long the attempt may take
		}{
			"index lags":             {8 * time.Second, 10 * time.Second},
			"index is there at once": {0, 0},
		} {
			t.Run(deployment+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newSandbox(t)
					s.IndexDelay = c.lag
					cfg := account(deployment, "http://jira.example")
					cfg.Settle = 0
					client := &http.Client{Transport: &lost{Handler: s}}
					r := ask("crash", nil)
					_, err := build(t, cfg, adapters.Options{Name: "jira", Client: client}).Execute(t.Context(), r)
					if oslc.KindOf(err) != oslc.Unavailable {
						t.Fatalf("the lost answer gives %v, want kind unavailable", err)
					}
					began := time.Now()
					r.MaybeDoneAt = began
					res, err := build(t, cfg, adapters.Options{Name: "jira", Client: client}).Execute(t.Context(), r)
					if err != nil {
						t.Fatal(err)
					}
					if n := len(s.Issues()); n != 1 || res.Key != "DEMO-1" || res.Message != "found DEMO-1" {
						t.Errorf("%d issues and the outcome %+v, want the one issue found", n, res)
					}
					if d := time.Since(began); d != c.wait {
						t.Errorf("it took %v, want %v", d, c.wait)
					}
				})
			})
		}
	}
}

// TestNeverTried: without an earlier attempt nothing is waited for.
func TestNeverTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, began := newSandbox(t), time.Now()
		s.IndexDelay = time.Hour
		if _, err := inProcessExecutor(t, "cloud", s).Execute(t.Context(), ask("fresh", nil)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v", d)
		}
		// An attempt long ago is in the index by now.
		old := ask("old", nil)
		old.MaybeDoneAt = time.Now().Add(-time.Hour)
		if _, err := inProcessExecutor(t, "cloud", s).Execute(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
}

// TestWaitEndsWithContext: waiting for the index ends with the context.
func TestWaitEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := ask("ends", nil)
		r.MaybeDoneAt = time.Now()
		began := time.Now()
		_, err := inProcessExecutor(t, "cloud", s).Execute(ctx, r)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second || len(s.Issues()) != 0 {
			t.Errorf("after %v: %v and %d issues", time.Since(began), err, len(s.Issues()))
		}
	})
}

// TestTwoAtOnce: of two calls for one request the second waits for the first, with
// the index lagging behind, so a search could not tell.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t)
		s.IndexDelay = time.Hour
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second) // of the bubble's clock
			s.ServeHTTP(w, r)
		})
		x := inProcessExecutor(t, "cloud", slow)
		var results [5]oslc.Result
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() {
				var err error
				if results[i], err = x.Execute(t.Context(), ask("twice", nil)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, r := range results {
			if d := cmp.Diff(results[0], r); d != "" {
				t.Errorf("two outcomes (-first +other):\n%s", d)
			}
		}
		if n := len(s.Issues()); n != 1 {
			t.Errorf("%d issues, want 1", n)
		}
	})
}

// TestFirstGivesUp: a call that waits for another one does not inherit the end of
// that one's context.
func TestFirstGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t)
		s.IndexDelay = 5 * time.Second
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.ServeHTTP(w, r)
			time.Sleep(time.Second) // of the bubble's clock
		})
		// The transport returns when the context ends, and the tool does it all the same.
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			type done struct {
				resp *http.Response
				err  error
			}
			c := make(chan done, 1)
			go func() {
				resp, err := inProcess{slow}.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
				c <- done{resp, err}
			}()
			select {
			case d := <-c:
				return d.resp, d.err
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		cfg := account("cloud", "http://jira.example")
		cfg.Settle = 0
		x := build(t, cfg, adapters.Options{Name: "jira", Client: &http.Client{Transport: transport}})
		impatient, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // during the creation
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := x.Execute(impatient, ask("gives up", nil)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first call returns %v", err)
			}
		})
		synctest.Wait()
		res, err := x.Execute(t.Context(), ask("gives up", nil))
		if err != nil || res.Key != "DEMO-1" {
			t.Errorf("the second call returns %+v, %v", res, err)
		}
		wg.Wait()
		if n := len(s.Issues()); n != 1 {
			t.Errorf("%d issues, want 1", n)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBadParameters(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	for name, c := range map[string]struct {
		with map[string]any
		want string
		on   string // deployment, or both
	}{
		"no project":            {map[string]any{"project": nil}, "project: it is needed", ""},
		"empty project":         {map[string]any{"project": ""}, "project: it is needed", ""},
		"nothing":               {map[string]any{"project": nil, "type": nil, "summary": nil}, "project: it is needed", ""},
		"no type":               {map[string]any{"type": nil}, "type: it is needed", ""},
		"no summary":            {map[string]any{"summary": nil}, "summary: it is needed", ""},
		"blank summary":         {map[string]any{"summary": " \n\t "}, "summary: it is needed", ""},
		"number for a project":  {map[string]any{"project": int64(1)}, "project: a text is needed, not int64", ""},
		"list for a summary":    {map[string]any{"summary": []any{"a"}}, "summary: a text is needed, not []interface {}", ""},
		"bool for priority":     {map[string]any{"priority": true}, "priority: a text is needed, not bool", ""},
		"object for a text":     {map[string]any{"description": map[string]any{}}, "description: a text is needed, not map[string]interface {}", ""},
		"text for labels":       {map[string]any{"labels": "a,b"}, "labels: a list is needed, not string", ""},
		"blank in a label":      {map[string]any{"labels": []any{"a", "b c"}}, "labels: b c is no label (a text of up to 255 characters without blanks)", ""},
		"no-break space":        {map[string]any{"labels": []any{"b\u00a0c"}}, "labels: b\u00a0c is no label (a text of up to 255 characters without blanks)", ""},
		"empty label":           {map[string]any{"labels": []any{""}}, "labels:  is no label (a text of up to 255 characters without blanks)", ""},
		"number for a label":    {map[string]any{"labels": []any{int64(3)}}, "labels: 3 is no label (a text of up to 255 characters without blanks)", ""},
		"long label":            {map[string]any{"labels": []any{long}}, "labels: " + long + " is no label (a text of up to 255 characters without blanks)", ""},
		"text for fields":       {map[string]any{"fields": "x"}, "fields: an object is needed, not string", ""},
		"text for field labels": {map[string]any{"fields": map[string]any{"labels": "a"}}, "fields.labels: a list is needed, not string", ""},
		"number for a description": {
			map[string]any{"fields": map[string]any{"description": int64(1)}},
			"fields.description: a text or an Atlassian document (type doc, content) is needed, not int64", "cloud",
		},
		"document that is none": {
			map[string]any{"fields": map[string]any{"description": map[string]any{"type": "doc"}}},
			"fields.description: a text or an Atlassian document (type doc, content) is needed, not map[string]interface {}", "cloud",
		},
		"document on Data Center": {
			map[string]any{"fields": map[string]any{"description": map[string]any{"type": "doc", "content": []any{}}}},
			"fields.description: a text is needed, not map[string]interface {}", "datacenter",
		},
	} {
		for _, deployment := range deployments {
			if c.on != "" && c.on != deployment {
				continue
			}
			t.Run(deployment+" "+name, func(t *testing.T) {
				t.Parallel()
				h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("Jira was called: %s", r.URL) })
				_, err := inProcessExecutor(t, deployment, h).Execute(t.Context(), ask("bad", c.with))
				if err == nil || err.Error() != "jira.create: "+c.want {
					t.Errorf("got  %v\nwant jira.create: %s", err, c.want)
				}
				if oslc.KindOf(err) != oslc.Invalid {
					t.Errorf("the kind is %s, want invalid", oslc.KindOf(err))
				}
			})
		}
	}
}

// issueOf makes one issue, with the calls checked where the descriptions are
// present, and returns it.
func issueOf(t *testing.T, deployment string, r oslc.Request) sandbox.Issue {
	t.Helper()
	s := newSandbox(t)
	if _, err := inProcessExecutor(t, deployment, newChecker(t, deployment, s)).Execute(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return s.Issues()[0]
}

func TestFields(t *testing.T) {
	t.Parallel()
	for _, deployment := range deployments {
		t.Run(deployment, func(t *testing.T) {
			t.Parallel()
			r := ask("fields", map[string]any{
				"priority": "High", "labels": []any{"one"},
				"fields": map[string]any{
					"labels": []any{"two"}, "description": "Another text", "customfield_10010": map[string]any{"value": "red"},
					"customfield_10011": float64(3), "components": []any{map[string]any{"name": "api"}},
				},
			})
			is := issueOf(t, deployment, r)
			for name, want := range map[string]string{
				"priority": `{"name":"High"}`, "customfield_10010": `{"value":"red"}`, "customfield_10011": "3",
				"components": `[{"name":"api"}]`, "issuetype": `{"name":"Task"}`, "project": `{"key":"DEMO"}`,
			} {
				if got := string(is.Fields[name]); got != want {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}
			if d := cmp.Diff([]string{jira.Marker(r.ID), "one", "two"}, is.Labels()); d != "" {
				t.Errorf("labels (-want +got):\n%s", d)
			}
			if got, want := squeeze(is.Text()), "Another text\nResource: "+r.Target; got != want {
				t.Errorf("the description is %q, want %q", got, want)
			}
		})
	}
	t.Run("document", func(t *testing.T) {
		t.Parallel()
		doc := map[string]any{"type": "doc", "version": int64(1), "content": []any{
			map[string]any{"type": "heading", "attrs": map[string]any{"level": int64(2)}, "content": []any{map[string]any{"type": "text", "text": "Why"}}},
		}}
		r := ask("document", map[string]any{"fields": map[string]any{"description": doc}})
		if text := issueOf(t, "cloud", r).Text(); !strings.HasPrefix(text, "Why") || !strings.HasSuffix(text, "Resource: "+r.Target) {
			t.Errorf("the description is %q", text)
		}
		if n := len(doc["content"].([]any)); n != 1 {
			t.Errorf("the request's own document has %d blocks afterwards", n)
		}
	})
}

// squeeze takes out what only parts paragraphs: the two encodings do it their own
// way.
func squeeze(s string) string { return strings.ReplaceAll(s, "\n\n", "\n") }

func TestTexts(t *testing.T) {
	t.Parallel()
	link := "Resource: https://bus.example/services/st2/changeRequests/65f1"
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", link},
		"blank":         {" \n\n \n", link},
		"paragraphs":    {"One.\n\nTwo.\n\n\n\nThree.", "One.\nTwo.\nThree.\n" + link},
		"lines":         {"One\nTwo", "One\nTwo\n" + link},
		"carriage":      {"One\r\n\r\nTwo\r\nThree", "One\nTwo\nThree\n" + link},
		"addresses":     {"See https://a.example/x?y=1, (http://b.example/z) and https://c.example.", "See https://a.example/x?y=1, (http://b.example/z) and https://c.example.\n" + link},
		"only one":      {"https://a.example/", "https://a.example/\n" + link},
		"markup":        {"{code} *bold* <b>&amp;</b> [x|y]", "{code} *bold* <b>&amp;</b> [x|y]\n" + link},
		"other scripts": {"規則 Ü 🚀", "規則 Ü 🚀\n" + link},
	} {
		for _, deployment := range deployments {
			t.Run(deployment+" "+name, func(t *testing.T) {
				t.Parallel()
				is := issueOf(t, deployment, ask("text", map[string]any{"description": c.text}))
				if got := squeeze(is.Text()); got != c.want {
					t.Errorf("got  %q\nwant %q", got, c.want)
				}
			})
		}
	}
	t.Run("links", func(t *testing.T) {
		t.Parallel()
		is := issueOf(t, "cloud", ask("links", map[string]any{"description": "See https://a.example/x, please"}))
		want := `{"content":[` +
			`{"content":[{"text":"See ","type":"text"},{"marks":[{"attrs":{"href":"https://a.example/x"},"type":"link"}],"text":"https://a.example/x","type":"text"},{"text":", please","type":"text"}],"type":"paragraph"},` +
			`{"content":[{"text":"Resource: ","type":"text"},{"marks":[{"attrs":{"href":"https://bus.example/services/st2/changeRequests/65f1"},"type":"link"}],"text":"https://bus.example/services/st2/changeRequests/65f1","type":"text"}],"type":"paragraph"}` +
			`],"type":"doc","version":1}`
		if d := cmp.Diff(want, string(is.Fields["description"])); d != "" {
			t.Errorf("document (-want +got):\n%s", d)
		}
	})
	t.Run("no target and no text", func(t *testing.T) {
		t.Parallel()
		for _, deployment := range deployments {
			r := ask("nothing", map[string]any{"description": nil})
			r.Target = ""
			if text := issueOf(t, deployment, r).Text(); text != "" {
				t.Errorf("%s: the description is %q", deployment, text)
			}
		}
	})
	for _, deployment := range deployments {
		t.Run(deployment+" 40 KB", func(t *testing.T) {
			t.Parallel()
			text := strings.Repeat("ü🚀 and so on\n", 40<<10/16)
			is := issueOf(t, deployment, ask("large", map[string]any{"description": text}))
			got := is.Text()
			if n := len(utf16.Encode([]rune(got))); n > 32_767 {
				t.Errorf("the description has %d characters; Jira takes 32,767", n)
			}
			if !strings.HasSuffix(got, link) || !strings.Contains(got, "…") || strings.ContainsRune(got, '\uFFFD') {
				t.Errorf("it ends %q", got[max(0, len(got)-120):])
			}
		})
	}
}

func TestSummaries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"short":       {"Rule disabled", "Rule disabled"},
		"lines":       {" Rule\n disabled\t now ", "Rule disabled now"},
		"fits":        {strings.Repeat("x", 255), strings.Repeat("x", 255)},
		"cut":         {strings.Repeat("x", 256), strings.Repeat("x", 254) + "…"},
		"two bytes":   {strings.Repeat("ü", 300), strings.Repeat("ü", 254) + "…"},
		"surrogates":  {strings.Repeat("🚀", 200), strings.Repeat("🚀", 127) + "…"},
		"not in UTF8": {"a\xffb", "a\uFFFDb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := issueOf(t, "cloud", ask("summary", map[string]any{"summary": c.in})).Summary(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestAnyText: whatever the text, Jira's stand-in takes it, and the document is one.
func TestAnyText(t *testing.T) {
	t.Parallel()
	for _, deployment := range deployments {
		t.Run(deployment, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			x := inProcessExecutor(t, deployment, newChecker(t, deployment, s))
			n := 0
			rapid.Check(t, func(rt *rapid.T) {
				n++
				piece := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\n", "\n\n", "\r\n", " ", "https://", "http://x.example/)", "\x00", "\xff"}))
				text := strings.Join(rapid.SliceOf(piece).Draw(rt, "text"), "")
				r := ask(fmt.Sprint("any", n), map[string]any{"description": text, "summary": "s" + text})
				if _, err := x.Execute(context.Background(), r); err != nil {
					rt.Fatal(err)
				}
			})
		})
	}
}
