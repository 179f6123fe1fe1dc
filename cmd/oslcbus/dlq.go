package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
)

func dlqCommands() []command {
	return []command{
		{"dlq list", "list what was set aside and not dealt with", "[-url URL] [-token-file FILE] [-topic TOPIC] [-o text|json]", dlqList},
		{"dlq show", "show one of them, with its bytes and the reason", "[-url URL] [-token-file FILE] ID", dlqShow},
		{"dlq retry", "have it done again, with the rules and tools as they are now", "[-url URL] [-token-file FILE] ID", dlqRetry},
		{"dlq drop", "note that it needs nothing more", "[-url URL] [-token-file FILE] ID", dlqDrop},
	}
}

func dlq(ctx context.Context, p *program, args []string) error {
	return subcommands(ctx, p, "dlq", dlqCommands(), args)
}

func dlqList(ctx context.Context, p *program, args []string) error {
	f := flags(p, "dlq list")
	topic := f.String("topic", "", "`topic` of dead letters, such as bus_event.dlq; default all")
	o := outputFlag(f)
	a, err := p.ask(ctx, f, args, "", func(string) question { return get("/dlq?topic=" + url.QueryEscape(*topic)) })
	if err != nil {
		return err
	}
	var list struct {
		Letters []struct{ ID, Time, Attempts, Key, Reason string }
	}
	if shown, err := a.show(p.out, *o, &list); shown || err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, l := range list.Letters {
		fmt.Fprintf(w, "%s\t%s\tattempts: %s\t%s\t%s\n", l.ID, clock(l.Time), l.Attempts, l.Key, strings.ReplaceAll(l.Reason, "\n", " "))
	}
	return w.Flush()
}

// letterPath is where a letter is: its id is a path of its own.
func letterPath(id string) string { return "/dlq/" + id }

func dlqShow(ctx context.Context, p *program, args []string) error {
	a, err := p.ask(ctx, flags(p, "dlq show"), args, "ID", func(id string) question { return get(letterPath(id)) })
	if err == nil {
		_, err = p.out.Write(a.body)
	}
	return err
}

func dlqRetry(ctx context.Context, p *program, args []string) error {
	a, err := p.ask(ctx, flags(p, "dlq retry"), args, "ID", func(id string) question { return post(letterPath(id)+"/retry", nil) })
	if err != nil {
		return err
	}
	var done struct{ Requests []string }
	if err := a.read(&done); err != nil {
		return err
	}
	if len(done.Requests) == 0 {
		fmt.Fprintln(p.out, "no rule asks for anything now")
	}
	for _, uri := range done.Requests {
		fmt.Fprintln(p.out, "asked for:", uri)
	}
	return nil
}

func dlqDrop(ctx context.Context, p *program, args []string) error {
	_, err := p.ask(ctx, flags(p, "dlq drop"), args, "ID", func(id string) question {
		return question{method: http.MethodDelete, path: letterPath(id)}
	})
	return err
}
