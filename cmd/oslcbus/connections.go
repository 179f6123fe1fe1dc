package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"
)

func connectionsCommands() []command {
	return []command{
		{"connections list", "list the connections that take requests, with their limits", "[-url URL] [-token-file FILE] [-o text|json]", connectionsList},
		{"connections pause", "have requests to a tool wait, on every replica", "[-url URL] [-token-file FILE] [-o text|json] NAME", connectionsSet("pause")},
		{"connections resume", "have them carried out again", "[-url URL] [-token-file FILE] [-o text|json] NAME", connectionsSet("resume")},
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
	o := outputFlag(f)
	a, err := p.ask(ctx, f, args, "", func(string) question { return get("/connections") })
	if err != nil {
		return err
	}
	var list struct{ Connections []connection }
	if shown, err := a.show(p.out, *o, &list); shown || err != nil {
		return err
	}
	return table(p.out, list.Connections...)
}

// connectionsSet returns the command that pauses or resumes a connection.
func connectionsSet(what string) func(context.Context, *program, []string) error {
	return func(ctx context.Context, p *program, args []string) error {
		f := flags(p, "connections "+what)
		o := outputFlag(f)
		a, err := p.ask(ctx, f, args, "NAME", func(name string) question {
			return post("/connections/"+url.PathEscape(name)+"/"+what, nil)
		})
		if err != nil {
			return err
		}
		var one connection
		if shown, err := a.show(p.out, *o, &one); shown || err != nil {
			return err
		}
		return table(p.out, one)
	}
}

func table(out io.Writer, list ...connection) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, one := range list {
		fmt.Fprintln(w, one)
	}
	return w.Flush()
}
