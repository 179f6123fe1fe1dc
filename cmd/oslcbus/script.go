package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
)

// scriptWithin bounds each wait of the script; what it waits for takes
// milliseconds.
const scriptWithin = 20 * time.Second

// script does over HTTP what a person would do, and counts what came of it.
func (d *demoRun) script(ctx context.Context) error {
	const op = "script"
	if err := d.awaitReady(ctx); err != nil {
		return oslc.E(op, err, oslc.Unavailable)
	}
	name := "script_" + time.Now().UTC().Format("20060102_150405.000000")
	rule := map[string]any{
		"name": name, "pack": "demo", "enabled": true, "description": "Made by the script",
		"trigger": map[string]any{"type": "core.st2.generic.notifytrigger"}, "action": map[string]any{"ref": "core.noop"},
	}
	var made map[string]any
	if err := d.call(ctx, http.MethodPost, "", rule, &made); err != nil {
		return oslc.E(op, fmt.Errorf("create: %w", err), oslc.Unavailable)
	}
	id := fmt.Sprint(made["id"])
	uri := oslc.ResourceURI(d.urls.Bus, demoProvider, "changeRequests", id)
	d.print.say("created %s", made["ref"])
	made["enabled"] = false
	if err := d.call(ctx, http.MethodPut, "/"+id, made, nil); err != nil {
		return oslc.E(op, fmt.Errorf("disable: %w", err), oslc.Unavailable)
	}
	d.print.say("disabled %s", made["ref"])
	if err := d.call(ctx, http.MethodDelete, "/"+id, nil, nil); err != nil {
		return oslc.E(op, fmt.Errorf("delete: %w", err), oslc.Unavailable)
	}
	d.print.say("deleted %s", made["ref"])

	deadline := time.Now().Add(scriptWithin)
	var events, tickets, entries int
	var err error
	for {
		made := d.tickets(uri)
		events, tickets = d.print.count(uri), len(made)
		if entries, err = d.entries(ctx, uri); err != nil {
			return oslc.E(op, err, oslc.Unavailable)
		}
		// Its result ends a request: without it the next run would have to look.
		whole := events >= 3 && tickets >= 1 && d.print.effects(made) >= 1 && entries >= 3
		if whole || time.Now().After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	d.print.say("%d events, %d ticket, %d entries of the tracked resource set", events, tickets, entries)
	if events != 3 || tickets != 1 || entries != 3 {
		return oslc.Errorf(op, oslc.Gone, "want 3 events, 1 ticket, 3 entries")
	}
	return nil
}

// awaitReady waits until the bus says that every part of it works: a rule that is
// made and deleted before the source looks is no event.
func (d *demoRun) awaitReady(ctx context.Context) error {
	for deadline := time.Now().Add(scriptWithin); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.urls.Bus+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case err != nil:
			return err
		case resp.StatusCode == http.StatusOK:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("the bus is not ready: %s", body)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (d *demoRun) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.urls.StackStorm+"/api/v1/rules"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("St2-Api-Key", sandbox.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	if out != nil {
		return json.Unmarshal(b, out)
	}
	return nil
}

// tickets returns the keys of the issues that link to the resource.
func (d *demoRun) tickets(uri string) []string {
	var keys []string
	for _, is := range d.jira.Issues() {
		if strings.Contains(is.Text(), uri) {
			keys = append(keys, is.Key)
		}
	}
	return keys
}

// entries counts the changes of the resource in the tracked resource set, as a
// client reads it.
func (d *demoRun) entries(ctx context.Context, uri string) (int, error) {
	n, page := 0, trs.SetURI(d.urls.Bus, demoProvider)
	for page != "" {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
		if err != nil {
			return 0, err
		}
		req.Header.Set("Accept", format.Turtle.MediaType())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return 0, err
		}
		if resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("%s: %s: %s", page, resp.Status, body)
		}
		g, err := format.Parse(body, format.Turtle, page, rdf.Limits{})
		if err != nil {
			return 0, err
		}
		n += len(g.Subjects(vocab.TRSChanged, rdf.NewIRI(uri)))
		page = ""
		for t := range g.All() {
			if t.P.Value == vocab.TRSPrevious {
				page = t.O.Value
			}
		}
	}
	return n, nil
}
