package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

func rulesCommands() []command {
	return []command{{
		"rules test", "say what the rules of a configuration would ask for, without asking",
		"-config FILE [-provider NAME] [-explain] [-o text|json] EVENT...", rulesTest,
	}}
}

func rules(ctx context.Context, p *program, args []string) error {
	return subcommands(ctx, p, "rules", rulesCommands(), args)
}

// tested is what one rule makes of one event.
type tested struct {
	File       string         `json:"file"`
	Event      string         `json:"event"`
	Rule       string         `json:"rule"`
	Asks       bool           `json:"asks"`
	Reason     string         `json:"reason,omitempty"`
	Tool       string         `json:"tool,omitempty"`
	Action     string         `json:"action,omitempty"`
	Target     string         `json:"target,omitempty"`
	Parameters map[string]any `json:"parameters,omitempty"`
	failed     bool
}

func rulesTest(_ context.Context, p *program, args []string) error {
	f := flags(p, "rules test")
	config := f.String("config", "", "configuration `file` with the rules")
	provider := f.String("provider", "", "`name` of the connection that the events are of; default the one of the event's listener")
	explain := f.Bool("explain", false, "say of every rule why it asks for nothing")
	o := outputFlag(f)
	if err := parseFlags(f, args); err != nil {
		return err
	}
	if f.NArg() == 0 || *config == "" {
		fmt.Fprintln(f.Output(), "oslcbus rules test: want -config FILE and an EVENT or more")
		f.Usage()
		return errUsage
	}
	cfg, err := load(*config)
	if err != nil {
		return err
	}
	engine, err := oslcbus.New(cfg, oslcbus.Options{Adapters: all.Adapters()})
	if err != nil {
		return err
	}
	out := []tested{}
	for _, file := range f.Args() {
		ev, err := readEvent(p, file)
		if err != nil {
			return err
		}
		list, err := engine.Explain(ev, *provider)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, x := range list {
			t := tested{File: file, Event: ev.ID, Rule: x.Rule, Reason: x.Reason, failed: x.Err != nil}
			if x.Reason == "" {
				t.Asks, t.Tool, t.Action = true, x.Request.Tool, shorten(x.Request.Action)
				t.Target, t.Parameters = x.Request.Target, x.Request.Parameters
			}
			if t.Asks || t.failed || *explain {
				out = append(out, t)
			}
		}
	}
	if *o == "json" {
		err = writeJSON(p.out, map[string]any{"rules": out})
	} else {
		err = told(p.out, out)
	}
	for _, t := range out {
		if t.failed && err == nil {
			err = errFailed
		}
	}
	return err
}

func told(w io.Writer, out []tested) error {
	if len(out) == 0 {
		fmt.Fprintln(w, "no rule asks for anything; -explain says why")
	}
	for _, t := range out {
		switch {
		case t.failed:
			fmt.Fprintf(w, "%s: rule %s fails: %s\n", t.File, t.Rule, t.Reason)
			continue
		case !t.Asks:
			fmt.Fprintf(w, "%s: rule %s asks for nothing: %s\n", t.File, t.Rule, t.Reason)
			continue
		}
		fmt.Fprintf(w, "%s: rule %s asks %s for %s on <%s>\n", t.File, t.Rule, t.Tool, t.Action, t.Target)
		for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
			b, err := json.Marshal(t.Parameters[name])
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "    %s: %s\n", name, b)
		}
	}
	return nil
}

// readEvent reads an event as it is on a topic: an RDF document in the syntax that
// the name of its file says.
func readEvent(p *program, file string) (*oslc.Event, error) {
	const op = "rules test"
	var data []byte
	var err error
	f := format.Turtle
	if file == "-" {
		data, err = io.ReadAll(p.in)
	} else {
		data, err = os.ReadFile(file)
		var ok bool
		if f, ok = format.ByName(filepath.Ext(file)); !ok && err == nil {
			return nil, oslc.Errorf(op, oslc.Invalid, "%s: the name does not say the syntax: .ttl, .rdf, .jsonld or .nt", file)
		}
	}
	if err != nil {
		return nil, oslc.E(op, err, oslc.Invalid)
	}
	g, err := format.Parse(data, f, "", rdf.Limits{})
	if e, ok := errors.AsType[*rdf.SyntaxError](err); ok && e.Line > 0 {
		return nil, oslc.Errorf(op, oslc.Invalid, "%s:%d:%d: %s", file, e.Line, e.Column, e.Msg)
	}
	if err != nil {
		return nil, oslc.E(op, fmt.Errorf("%s: %w", file, err), oslc.Invalid)
	}
	ev, err := oslc.ParseEvent(g)
	if err != nil {
		return nil, oslc.E(op, fmt.Errorf("%s: %w", file, err), oslc.Invalid)
	}
	return ev, nil
}
