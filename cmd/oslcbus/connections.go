package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/oslcbus/oslcbus/oslc"
)

func connectionsCommands() []command {
	return []command{
		{"connections list", "list the connections that take requests, with their limits", "[-url URL] [-token-file FILE] [-o text|json]", connectionsList},
		{"connections pause", "have requests to a tool wait, on every replica", "[-url URL] [-token-file FILE] [-o text|json] NAME", connectionsPause},
		{"connections resume", "have them carried out again", "[-url URL] [-token-file FILE] [-o text|json] NAME", connectionsResume},
	}
}

func connections(ctx context.Context, p *program, args []string) error {
	return subcommands(ctx, p, "connections", connectionsCommands(), args)
}

// connection is a connection as the bus tells it.
type connection struct {
	Name, Type      string
	Paused          bool
	ByConfiguration bool `json:"by_configuration"`
	Parallel, Burst int
	Rate            float64
}

func (c connection) String() string {
	state := "works"
	switch {
	case c.Paused && c.ByConfiguration:
		state = "paused by the configuration"
	case c.Paused:
		state = "paused"
	}
	limits := fmt.Sprintf("%d at once", c.Parallel)
	if c.Rate > 0 {
		limits += fmt.Sprintf(", %g a second, burst %d", c.Rate, c.Burst)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s", c.Name, c.Type, state, limits)
}

func connectionsList(ctx context.Context, p *program, args []string) error {
	f := flags(p, "connections list")
	newClient := clientFlags(f)
	o := outputFlag(f)
	if err := parse(f, args); err != nil {
		return err
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	var list struct{ Connections []connection }
	if shown, err := p.list(ctx, c, "/connections", *o, &list); shown || err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, one := range list.Connections {
		fmt.Fprintln(w, one)
	}
	return w.Flush()
}

func connectionsPause(ctx context.Context, p *program, args []string) error {
	return connectionsSet(ctx, p, "pause", args)
}

func connectionsResume(ctx context.Context, p *program, args []string) error {
	return connectionsSet(ctx, p, "resume", args)
}

func connectionsSet(ctx context.Context, p *program, what string, args []string) error {
	f := flags(p, "connections "+what)
	newClient := clientFlags(f)
	o := outputFlag(f)
	if err := parse(f, args, "NAME"); err != nil {
		return err
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	a, err := c.do(ctx, http.MethodPost, "/connections/"+url.PathEscape(f.Arg(0))+"/"+what, "", "application/json", nil)
	if err != nil {
		return err
	}
	if *o == "json" {
		_, err = p.out.Write(a.body)
		return err
	}
	var one connection
	if err := json.Unmarshal(a.body, &one); err != nil {
		return oslc.E("connections", err, oslc.Unavailable)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, one)
	return w.Flush()
}
