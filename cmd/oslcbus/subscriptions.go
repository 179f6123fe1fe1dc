package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
)

func subscriptionCommands() []command {
	const one = "[-url URL] [-token-file FILE] ID"
	return []command{
		{"subscriptions list", "list to whom events are sent, and how far that has come", "[-url URL] [-token-file FILE] [-o text|json]", listSubscriptions},
		{"subscriptions show", "show one of them", one, subscriptionDo("show", http.MethodGet, "", "")},
		{"subscriptions create", "have events sent to an address, and tell the secret of the signatures, once", "[-url URL] [-token-file FILE] [-provider NAME] [-where CONDITIONS] [-mode binary|structured] [-name TEXT] [-from now|beginning] [-o text|json] URL", createSubscription},
		{"subscriptions test", "send an event that says nothing, and tell how that went", "[-url URL] [-token-file FILE] [-o text|json] ID", testSubscription},
		{"subscriptions pause", "send nothing until it is resumed", one, subscriptionDo("pause", http.MethodPost, "/pause", "is paused")},
		{"subscriptions resume", "go on after a pause, or where a subscriber was left alone", "[-url URL] [-token-file FILE] [-from-now] ID", resumeSubscription},
		{"subscriptions rotate", "give it another secret, and tell that, once; for a day deliveries are signed with both", one, rotateSubscription},
		{"subscriptions delete", "end it", one, subscriptionDo("delete", http.MethodDelete, "", "is deleted")},
	}
}

func subscriptions(ctx context.Context, p *program, args []string) error {
	return subcommands(ctx, p, "subscriptions", subscriptionCommands(), args)
}

const subscriptionsPath = "/events/subscriptions"

func subscriptionPath(id string) string { return subscriptionsPath + "/" + url.PathEscape(id) }

func listSubscriptions(ctx context.Context, p *program, args []string) error {
	f := flags(p, "subscriptions list")
	o := outputFlag(f)
	a, err := p.ask(ctx, f, args, "", func(string) question { return get(subscriptionsPath) })
	if err != nil {
		return err
	}
	var list struct {
		Subscriptions []struct {
			ID, URL, State, LastError string
			Lag, Delivered            int64
		}
	}
	if shown, err := a.show(p.out, *o, &list); shown || err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, s := range list.Subscriptions {
		fmt.Fprintf(w, "%s\t%s\t%d delivered\t%d behind\t%s\t%s\n", s.ID, s.State, s.Delivered, s.Lag, s.URL, strings.ReplaceAll(s.LastError, "\n", " "))
	}
	return w.Flush()
}

func createSubscription(ctx context.Context, p *program, args []string) error {
	f := flags(p, "subscriptions create")
	provider := f.String("provider", "", "`name` of the provider whose events are wanted; default all")
	where := f.String("where", "", "`conditions` on events (oslc.where)")
	mode := f.String("mode", "binary", "`mode` of the CloudEvents: binary or structured")
	name := f.String("name", "", "`text` for people")
	from := f.String("from", "now", "`where` it begins: now or beginning")
	o := outputFlag(f)
	// -url says which bus, as for every command; the subscriber is the argument.
	a, err := p.ask(ctx, f, args, "URL", func(to string) question {
		return post(subscriptionsPath, map[string]string{"url": to, "provider": *provider, "where": *where, "mode": *mode, "name": *name, "from": *from})
	})
	if err != nil {
		return err
	}
	var made struct{ ID, Secret string }
	if shown, err := a.show(p.out, *o, &made); shown || err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s\n", made.ID)
	fmt.Fprintf(p.err, "the secret of its signatures, which is not told again: %s\n", made.Secret)
	return nil
}

// subscriptionDo returns a command about one subscription; without what was done it
// prints the answer.
func subscriptionDo(name, method, path, done string) func(context.Context, *program, []string) error {
	return func(ctx context.Context, p *program, args []string) error {
		f := flags(p, "subscriptions "+name)
		a, err := p.ask(ctx, f, args, "ID", func(id string) question {
			return question{method: method, path: subscriptionPath(id) + path}
		})
		if err != nil {
			return err
		}
		if done == "" {
			_, err = p.out.Write(a.body)
			return err
		}
		fmt.Fprintf(p.out, "%s %s\n", f.Arg(0), done)
		return nil
	}
}

func rotateSubscription(ctx context.Context, p *program, args []string) error {
	a, err := p.ask(ctx, flags(p, "subscriptions rotate"), args, "ID", func(id string) question {
		return post(subscriptionPath(id)+"/rotate", nil)
	})
	if err != nil {
		return err
	}
	var made struct{ Secret string }
	if err := a.read(&made); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s\n", made.Secret)
	return nil
}

func resumeSubscription(ctx context.Context, p *program, args []string) error {
	f := flags(p, "subscriptions resume")
	now := f.Bool("from-now", false, "leave out what was missed")
	_, err := p.ask(ctx, f, args, "ID", func(id string) question {
		q := post(subscriptionPath(id)+"/resume", nil)
		if *now {
			q.body = map[string]string{"from": "now"}
		}
		return q
	})
	if err == nil {
		_, err = fmt.Fprintf(p.out, "%s goes on\n", f.Arg(0))
	}
	return err
}

// testSubscription has an event sent. A subscriber that does not take it is exit code 1.
func testSubscription(ctx context.Context, p *program, args []string) error {
	f := flags(p, "subscriptions test")
	o := outputFlag(f)
	a, err := p.ask(ctx, f, args, "ID", func(id string) question { return post(subscriptionPath(id)+"/test", nil) })
	if err != nil {
		return err
	}
	var sent struct {
		Delivered    bool
		Status       int
		Milliseconds int64
		Error        string
	}
	if err := a.read(&sent); err != nil {
		return err
	}
	switch {
	case *o == "json":
		_, err = p.out.Write(a.body)
	case sent.Delivered:
		_, err = fmt.Fprintf(p.out, "delivered: the subscriber answers %d after %d ms\n", sent.Status, sent.Milliseconds)
	default:
		_, err = fmt.Fprintf(p.out, "not delivered: %s\n", sent.Error)
	}
	if err == nil && !sent.Delivered {
		err = errFailed
	}
	return err
}
