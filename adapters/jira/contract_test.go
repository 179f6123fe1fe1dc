package jira_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/adapters/jira"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/oslc"
)

// TestExecutor runs the suite with every call checked against the description of
// the API, where that is present.
func TestExecutor(t *testing.T) {
	t.Parallel()
	for _, deployment := range deployments {
		t.Run(deployment, func(t *testing.T) {
			t.Parallel()
			suite(t, deployment, func(h http.Handler) http.Handler { return h })
		})
		t.Run(deployment+" as described", func(t *testing.T) {
			t.Parallel()
			c := newChecker(t, deployment, nil)
			suite(t, deployment, func(h http.Handler) http.Handler {
				return &checker{t: t, next: h, api: c.api, adf: c.adf, calls: map[string]int{}}
			})
		})
	}
}

func suite(t *testing.T, deployment string, through func(http.Handler) http.Handler) {
	adaptertest.Executor(t, adaptertest.ExecutorConfig{
		Tool: func(context.Context) (adaptertest.ExecutorTool, error) {
			s, err := sandbox.NewJira("", "DEMO")
			if err != nil {
				return adaptertest.ExecutorTool{}, err
			}
			client := &http.Client{Transport: inProcess{through(s)}}
			return adaptertest.ExecutorTool{
				Open: func(log *slog.Logger) (adapters.Executor, error) {
					return build(t, account(deployment, "http://jira.example"), adapters.Options{Name: "jira", Logger: log, Client: client}), nil
				},
				Effects: func() int { return len(s.Issues()) },
			}, nil
		},
		Request:     ask("works", map[string]any{"labels": []any{"from-bus"}}),
		Failing:     ask("fails", map[string]any{"project": "NONE", "summary": "not in " + sandbox.Token}),
		FailingKind: oslc.Invalid,
		Secrets:     []string{"Basic ZGVtbw", "Bearer " + sandbox.Token},
	})
}

// TestCalls pins which operations one request needs, so that a further call is a
// decision.
func TestCalls(t *testing.T) {
	t.Parallel()
	for deployment, want := range map[string]map[string]int{
		"cloud":      {"searchAndReconsileIssuesUsingJqlPost": 1, "createIssue": 1},
		"datacenter": {"searchUsingSearchRequest": 1, "createIssue": 1},
	} {
		t.Run(deployment, func(t *testing.T) {
			t.Parallel()
			c := newChecker(t, deployment, newSandbox(t))
			x := build(t, account(deployment, serve(t, c)), adapters.Options{Name: "jira"})
			res, err := x.Execute(t.Context(), ask("one", nil))
			if err != nil {
				t.Fatal(err)
			}
			if res.Key != "DEMO-1" || res.Verdict != oslc.Passed || res.Message != "created DEMO-1" {
				t.Errorf("the result is %+v", res)
			}
			if d := cmp.Diff(want, c.calls); d != "" {
				t.Errorf("calls (-want +got):\n%s", d)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	good := account("cloud", "https://example.atlassian.net")
	for name, c := range map[string]struct {
		change func(*jira.Config)
		want   string
	}{
		"no url":           {func(c *jira.Config) { c.URL = "" }, `jira.build: url: "" is no address such as https://example.atlassian.net`},
		"no scheme":        {func(c *jira.Config) { c.URL = "example.atlassian.net" }, `jira.build: url: "example.atlassian.net" is no address such as https://example.atlassian.net`},
		"other scheme":     {func(c *jira.Config) { c.URL = "ftp://example.org" }, `jira.build: url: "ftp://example.org" is no address such as https://example.atlassian.net`},
		"credentials":      {func(c *jira.Config) { c.URL = "https://a:not-a-real-secret@example.org" }, "jira.build: url: put the credentials in user and token, not in the address"},
		"broken with them": {func(c *jira.Config) { c.URL = "https://a:not-a-real-secret@exa mple.org" }, "jira.build: url: it is no address such as https://example.atlassian.net"},
		"no token":         {func(c *jira.Config) { c.Token = "" }, "jira.build: token or token_file is needed"},
		"two tokens":       {func(c *jira.Config) { c.TokenFile = "x" }, "jira.build: adapters.secret: token and token_file are both set"},
		"no user":          {func(c *jira.Config) { c.User = "" }, "jira.build: user: Jira Cloud takes the e-mail address of the account beside its token"},
		"deployment":       {func(c *jira.Config) { c.Deployment = "server" }, `jira.build: deployment: "server" is none of cloud, datacenter`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			c.change(&cfg)
			_, err := jira.Build(func(v any) error { *v.(*jira.Config) = cfg; return nil }, adapters.Options{Name: "jira"})
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if oslc.KindOf(err) != oslc.Invalid {
				t.Errorf("the kind is %s, want invalid", oslc.KindOf(err))
			}
		})
	}
	a, err := jira.Build(func(v any) error { *v.(*jira.Config) = good; return nil }, adapters.Options{Name: "jira"})
	if err != nil || len(a.Actions) != 1 || a.Source != nil {
		t.Errorf("a good configuration gives %+v, %v", a, err)
	}
}
