package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/trs"
)

func trsCommands() []command {
	return []command{
		{"trs verify", "check any server's tracked resource set against the rules of TRS 3.0", "[-user NAME -password-file FILE | -token-file FILE] [-hosts HOSTS] [-level must|should] [-resources N] [-timeout TIME] [-o text|json] URL", verifySet},
		{"trs repair", "compare a set of this bus with its tool, and tell what was missed; without -apply nothing is changed", "[-url URL] [-token-file FILE] [-apply] [-timeout TIME] [-o text|json] SET", repairSet},
		{"trs skipped", "list what the sources of a bus cannot read of other servers' sets", "[-url URL] [-token-file FILE] [-o text|json]", listSkipped},
	}
}

// trsCommand is what is done to tracked resource sets.
func trsCommand(ctx context.Context, p *program, args []string) error {
	return subcommands(ctx, p, "trs", trsCommands(), args)
}

// repairSet compares a set with what its tool has. The exit code is 1 while something
// differs.
func repairSet(ctx context.Context, p *program, args []string) error {
	f := flags(p, "trs repair")
	newClient := clientFlags(f)
	apply := f.Bool("apply", false, "have the events emitted that were missed")
	timeout := f.Duration("timeout", 10*time.Minute, "how long the comparison may take")
	o := outputFlag(f)
	if err := parse(f, args, "SET"); err != nil {
		return err
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	a, err := c.do(ctx, http.MethodPost, "/trs/"+url.PathEscape(f.Arg(0))+"/repair", "application/json", "application/json", fmt.Appendf(nil, `{"apply":%t}`, *apply))
	if err != nil {
		return err
	}
	var r struct {
		Divergences []struct {
			Resource, Change string
			Changed          []string
		}
		Views            []string
		Total, Remaining int
		Applied          bool
	}
	if err := a.read(&r); err != nil {
		return err
	}
	if *o == "json" {
		if _, err := p.out.Write(a.body); err != nil {
			return err
		}
	} else {
		for _, d := range r.Divergences {
			fmt.Fprintln(p.out, strings.TrimSpace(fmt.Sprintf("%-12s %s %s", d.Change, d.Resource, strings.Join(d.Changed, " "))))
		}
		if n := r.Total - len(r.Divergences); n > 0 {
			fmt.Fprintf(p.out, "and %d more\n", n)
		}
		for _, uri := range r.Views {
			fmt.Fprintf(p.out, "the views contradict themselves about %s: stop the bus, move oslcbus.db away, start again\n", uri)
		}
		switch {
		case r.Total == 0:
			fmt.Fprintln(p.out, "the events lead to what the tool has")
		case r.Applied:
			fmt.Fprintf(p.out, "%d of %d were missed and are told now\n", r.Total-r.Remaining, r.Total)
		default:
			fmt.Fprintf(p.out, "%d differ; -apply has them told\n", r.Total)
		}
	}
	if r.Remaining > 0 || len(r.Views) > 0 {
		return errFailed
	}
	return nil
}

// listSkipped lists what sources go on without.
func listSkipped(ctx context.Context, p *program, args []string) error {
	f := flags(p, "trs skipped")
	o := outputFlag(f)
	a, err := p.ask(ctx, f, args, "", func(string) question { return get("/skipped") })
	if err != nil {
		return err
	}
	var list struct {
		Skipped []struct {
			Connection, Resource, Kind, Reason, Since string
			Tries                                     int
		}
	}
	if shown, err := a.show(p.out, *o, &list); shown || err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, s := range list.Skipped {
		fmt.Fprintf(w, "%s\t%s\tsince %s\t%d tries\t%s\t%s\n", s.Connection, s.Kind, clock(s.Since), s.Tries, s.Resource, strings.ReplaceAll(s.Reason, "\n", " "))
	}
	return w.Flush()
}

// verifySet walks a tracked resource set and tells what breaks a rule.
func verifySet(ctx context.Context, p *program, args []string) error {
	f := flags(p, "trs verify")
	user := f.String("user", "", "`name` to log in with (HTTP Basic)")
	password := f.String("password-file", "", "`file` with the password of the user")
	token := f.String("token-file", "", "`file` with a Bearer token")
	hosts := f.String("hosts", "", "`hosts` beside that of URL which resources and pages may be of, with commas")
	least := f.String("level", "must", "least `level` of a finding that makes the exit code 1: must or should")
	resources := f.Int("resources", 1000, "how many tracked resources are read at most; 0 reads none")
	within := f.Duration("timeout", 30*time.Second, "how long one answer may take")
	o := outputFlag(f)
	if err := parse(f, args, "URL"); err != nil {
		return err
	}
	if *least != "must" && *least != "should" {
		return oslc.Errorf("trs.verify", oslc.Invalid, "-level %q is neither must nor should", *least)
	}
	login := login{next: http.DefaultTransport, user: *user}
	if u, err := url.Parse(f.Arg(0)); err == nil {
		login.host = u.Host
	}
	for _, read := range []struct {
		file string
		to   *string
	}{{*password, &login.password}, {*token, &login.token}} {
		if read.file == "" {
			continue
		}
		b, err := os.ReadFile(read.file)
		if err != nil {
			return oslc.E("trs.verify", err, oslc.Invalid)
		}
		*read.to = strings.TrimRight(string(b), "\r\n")
	}
	line := newStages(p)
	cfg := trs.VerifyConfig{
		ClientConfig: trs.ClientConfig{
			URI: f.Arg(0), HTTP: &http.Client{Transport: login}, Within: *within,
			Hosts:  strings.FieldsFunc(*hosts, func(r rune) bool { return r == ',' || r == ' ' }),
			Parser: format.Parser{JSONLD: processor.Parse},
		},
		Resources: *resources, Progress: line.show,
	}
	if *resources == 0 {
		cfg.Resources = -1
	}
	report, err := trs.Verify(ctx, cfg)
	line.done()
	if err != nil {
		return err
	}
	if *o == "json" {
		if err := writeJSON(p.out, report); err != nil {
			return err
		}
	} else {
		printReport(p.out, report)
	}
	if len(report.Failed(*least)) > 0 {
		return errFailed
	}
	return nil
}

func printReport(w io.Writer, r *trs.Report) {
	fmt.Fprintf(w, "%s\n%d events in %d segments, %d members on %d pages, %d resources read\n", r.URI, r.Events, r.Segments, r.Members, r.Pages, r.Read)
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s %-6s <%s>\n           %s\n", f.Check, f.Level, f.URI, f.Text)
	}
	for _, check := range r.Checks {
		if n := r.More[check]; n > 0 {
			fmt.Fprintf(w, "%s: %d more\n", check, n)
		}
	}
	if len(r.Findings) == 0 {
		fmt.Fprintf(w, "no rule is broken: %s\n", strings.Join(r.Checks, " "))
	}
}

// stages is a line on the terminal that says what work is being done. A nil one
// shows nothing.
type stages struct {
	w     io.Writer
	next  time.Time
	shown bool
}

func newStages(p *program) *stages {
	if !terminal(p.err) {
		return nil
	}
	return &stages{w: p.err, next: time.Now().Add(progressAfter)}
}

func (s *stages) show(what string, done, total int) {
	if s == nil || time.Now().Before(s.next) {
		return
	}
	s.next, s.shown = time.Now().Add(progressEvery), true
	fmt.Fprintf(s.w, "\r\x1b[K%s", stageLine(what, done, total))
}

// stageLine is the line without what moves the cursor.
func stageLine(what string, done, total int) string {
	if total <= 0 {
		return fmt.Sprintf("%s: %d", what, done)
	}
	full := min(progressWidth, done*progressWidth/total)
	return fmt.Sprintf("%s [%s%s] %d of %d", what, strings.Repeat("=", full), strings.Repeat(" ", progressWidth-full), done, total)
}

func (s *stages) done() {
	if s != nil && s.shown {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
}
