// Package probe checks over HTTP whether a server keeps to OSLC Core 3.0, OSLC Query
// 3.0, OSLC Change Management 3.0 and OSLC Automation 2.1. It knows nothing of the
// server but its address: everything else is found by discovery.
//
// Each check has an id, C01 to C32 for Core and Query, CM01 to CM14 and AU01 to AU12
// for the domains; docs/oslc.md lists them. A check that finds nothing to look at is
// skipped, and says why.
package probe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// Level says how binding a check is.
type Level string

// The levels, as the specifications word them.
const (
	Must   Level = "must"
	Should Level = "should"
	May    Level = "may"
)

// Status is how a check ended.
type Status string

// The ways in which a check ends.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// A Finding is one way in which the server does not keep to a check.
type Finding struct {
	URL  string `json:"url"`
	Text string `json:"text"`
}

// A Result is the outcome of one check.
type Result struct {
	ID     string `json:"id"`
	Level  Level  `json:"level"`
	Title  string `json:"title"`
	Clause string `json:"clause"`
	Status Status `json:"status"`
	// Reason says why a check was skipped.
	Reason   string    `json:"reason,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
}

// A Report is what a probe has found.
type Report struct {
	URL     string   `json:"url"`
	Results []Result `json:"results"`
}

// Failed returns the checks of a level, or above it, that the server does not keep to.
func (r *Report) Failed(least Level) []Result {
	var out []Result
	for _, x := range r.Results {
		if x.Status == Failed && (x.Level == Must || least != Must && x.Level == Should || least == May) {
			out = append(out, x)
		}
	}
	return out
}

// Config says what to probe.
type Config struct {
	// URL is a catalog, a provider, a rootservices document or the root of a server.
	URL string
	// Client makes the calls; it may add credentials. Nil means one with a time-out
	// of 30 s. Redirects are followed by the probe.
	Client *http.Client
	// Write creates, changes and deletes a resource in the first creation factory that
	// takes it, and posts what is to be refused.
	Write bool
	// Body is what is posted to a creation factory, in Turtle, with "<>" as the
	// resource; %d in it becomes a number that is never the same. Empty means what
	// the factory's shape asks for, with made-up values.
	Body string
	// Only names the checks to run, by id; none means all.
	Only []string
}

// maxFindings bounds what one check tells: the rest is more of the same.
const maxFindings = 10

// check is a check at work.
type check struct {
	Result
	seen int // how much there was to look at
}

// fail notes a finding.
func (c *check) fail(url, text string, args ...any) {
	c.seen++
	f := Finding{url, fmt.Sprintf(text, args...)}
	if len(c.Findings) < maxFindings && !slices.Contains(c.Findings, f) {
		c.Findings = append(c.Findings, f)
	}
}

// want notes that something was looked at, and a finding unless ok.
func (c *check) want(ok bool, url, text string, args ...any) bool {
	c.seen++
	if !ok {
		c.fail(url, text, args...)
	}
	return ok
}

// skip says why there was nothing to look at.
func (c *check) skip(reason string) { c.Reason = reason }

func (c *check) end() Result {
	switch {
	case len(c.Findings) > 0:
		c.Status, c.Reason = Failed, ""
	case c.seen > 0:
		c.Status, c.Reason = Passed, ""
	default:
		c.Status = Skipped
		if c.Reason == "" {
			c.Reason = "there is nothing to look at"
		}
	}
	return c.Result
}

// spec is an entry of the table of checks.
type spec struct {
	id     string
	level  Level
	clause string
	title  string
	run    func(ctx context.Context, p *prober, c *check)
}

// Checks returns every check, without an outcome, in the order of the report.
func Checks() []Result {
	var out []Result
	for _, s := range table() {
		out = append(out, Result{ID: s.id, Level: s.level, Title: s.title, Clause: s.clause})
	}
	return out
}

func table() []spec {
	return slices.Concat(coreChecks, queryChecks, writeChecks, domainChecks)
}

// Run probes a server. It fails only when nothing that OSLC knows is found at the
// address, or ctx ends.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	p := &prober{cfg: cfg, parser: format.Parser{}, cache: map[string]*exchange{}}
	client := cfg.Client
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second}
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.client = &own
	if err := p.crawl(ctx); err != nil {
		return nil, err
	}
	p.create(ctx)
	r := &Report{URL: cfg.URL}
	run := func(s spec) {
		if len(cfg.Only) > 0 && !slices.Contains(cfg.Only, s.id) {
			return
		}
		c := &check{Result: Result{ID: s.id, Level: s.level, Title: s.title, Clause: s.clause}}
		s.run(ctx, p, c)
		r.Results = append(r.Results, c.end())
	}
	all := table()
	for _, s := range all[1:] {
		run(s)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	p.remove(ctx)
	run(all[0]) // it is about everything that was answered
	slices.SortStableFunc(r.Results, func(a, b Result) int { return strings.Compare(order(a.ID), order(b.ID)) })
	return r, nil
}

// order puts Core before the domains.
func order(id string) string {
	if id[1] >= '0' && id[1] <= '9' {
		return "0" + id
	}
	return id
}

// Print writes the report for people: what failed in full, the rest in a line each.
func (r *Report) Print(w io.Writer) {
	counts := map[Status]int{}
	for _, x := range r.Results {
		counts[x.Status]++
		fmt.Fprintf(w, "%-7s %-5s %-6s %s", x.Status, x.ID, x.Level, x.Title)
		if x.Reason != "" {
			fmt.Fprintf(w, " (%s)", x.Reason)
		}
		fmt.Fprintln(w)
		for _, f := range x.Findings {
			fmt.Fprintf(w, "                     %s: %s\n", f.URL, f.Text)
		}
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", counts[Passed], counts[Failed], counts[Skipped])
}
