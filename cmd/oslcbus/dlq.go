package main

import (
	"context"
	"encoding/json"
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
	newClient := clientFlags(f)
	topic := f.String("topic", "", "`topic` of dead letters, such as bus_event.dlq; default all")
	o := outputFlag(f)
	if err := parse(f, args); err != nil {
		return err
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	a, err := c.do(ctx, http.MethodGet, "/dlq?topic="+url.QueryEscape(*topic), "", "application/json", nil)
	if err != nil {
		return err
	}
	if *o == "json" {
		_, err = p.out.Write(a.body)
		return err
	}
	var list struct {
		Letters []struct{ ID, Time, Attempts, Key, Reason string }
	}
	if err := json.Unmarshal(a.body, &list); err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, l := range list.Letters {
		fmt.Fprintf(w, "%s\t%s\tattempts: %s\t%s\t%s\n", l.ID, clock(l.Time), l.Attempts, l.Key, strings.ReplaceAll(l.Reason, "\n", " "))
	}
	return w.Flush()
}

// dlqOne parses the command line of a command about one letter.
func dlqOne(p *program, name string, args []string) (*client, string, error) {
	f := flags(p, name)
	newClient := clientFlags(f)
	if err := parse(f, args, "ID"); err != nil {
		return nil, "", err
	}
	c, err := newClient()
	return c, "/dlq/" + f.Arg(0), err
}

func dlqShow(ctx context.Context, p *program, args []string) error {
	c, path, err := dlqOne(p, "dlq show", args)
	if err != nil {
		return err
	}
	a, err := c.do(ctx, http.MethodGet, path, "", "application/json", nil)
	if err == nil {
		_, err = p.out.Write(a.body)
	}
	return err
}

func dlqRetry(ctx context.Context, p *program, args []string) error {
	c, path, err := dlqOne(p, "dlq retry", args)
	if err != nil {
		return err
	}
	a, err := c.do(ctx, http.MethodPost, path+"/retry", "", "application/json", nil)
	if err != nil {
		return err
	}
	var done struct{ Requests []string }
	if err := json.Unmarshal(a.body, &done); err != nil {
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
	c, path, err := dlqOne(p, "dlq drop", args)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodDelete, path, "", "application/json", nil)
	return err
}
