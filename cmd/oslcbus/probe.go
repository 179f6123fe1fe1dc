package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/internal/probe"
	"github.com/oslcbus/oslcbus/oslc"
)

// probeServer runs the conformance suite against a server, ours or another.
func probeServer(ctx context.Context, p *program, args []string) error {
	f := flags(p, "probe")
	write := f.Bool("write", false, "create, change and delete a resource, and post what must be refused")
	body := f.String("body", "", "`file` with what is posted to a creation factory, in Turtle; %d in it becomes a new number")
	user := f.String("user", "", "`name` to log in with (HTTP Basic)")
	password := f.String("password-file", "", "`file` with the password of the user")
	token := f.String("token-file", "", "`file` with a Bearer token")
	least := f.String("level", "must", "least `level` of a finding that makes the exit code 1: must, should or may")
	only := f.String("check", "", "`ids` of the checks to run, with commas; all when empty")
	within := f.Duration("timeout", 30*time.Second, "how long one answer may take")
	o := outputFlag(f)
	if err := parse(f, args, "URL"); err != nil {
		return err
	}
	level := probe.Level(*least)
	if level != probe.Must && level != probe.Should && level != probe.May {
		return oslc.Errorf("probe", oslc.Invalid, "-level %q is none of must, should, may", *least)
	}
	cfg := probe.Config{URL: f.Arg(0), Write: *write, Client: &http.Client{Timeout: *within}}
	for id := range strings.SplitSeq(*only, ",") {
		if id = strings.ToUpper(strings.TrimSpace(id)); id == "" {
			continue
		}
		if !slices.ContainsFunc(probe.Checks(), func(r probe.Result) bool { return r.ID == id }) {
			return oslc.Errorf("probe", oslc.Invalid, "-check: there is no check %q", id)
		}
		cfg.Only = append(cfg.Only, id)
	}
	login := login{next: http.DefaultTransport, user: *user}
	if u, err := url.Parse(f.Arg(0)); err == nil {
		login.host = u.Host
	}
	for _, read := range []struct {
		file string
		to   *string
	}{{*password, &login.password}, {*token, &login.token}, {*body, &cfg.Body}} {
		if read.file == "" {
			continue
		}
		b, err := os.ReadFile(read.file)
		if err != nil {
			return oslc.E("probe", err, oslc.Invalid)
		}
		*read.to = string(b)
	}
	login.password, login.token = strings.TrimRight(login.password, "\r\n"), strings.TrimRight(login.token, "\r\n")
	cfg.Client.Transport = login
	report, err := probe.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if *o == "json" {
		if err := writeJSON(p.out, report); err != nil {
			return err
		}
	} else {
		report.Print(p.out)
	}
	if n := len(report.Failed(level)); n > 0 {
		return oslc.Errorf("probe", oslc.Gone, "%d checks failed", n) // it ran and did not succeed
	}
	return nil
}

// login adds credentials, for the server that was named and no other.
type login struct {
	next                        http.RoundTripper
	host, user, password, token string
}

func (l login) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == l.host && (l.user != "" || l.token != "") {
		r = r.Clone(r.Context())
		if l.token != "" {
			r.Header.Set("Authorization", "Bearer "+l.token)
		} else {
			r.SetBasicAuth(l.user, l.password)
		}
	}
	return l.next.RoundTrip(r)
}
