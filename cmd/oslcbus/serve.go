package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/oslc"
)

// gcPercent is the GOGC of a server that is told none. What a bus keeps is small,
// and what passes through it is not: with Go's own 100 it would collect three
// times as often for some tens of MB.
const gcPercent = 300

func serve(ctx context.Context, p *program, args []string) error {
	f := flags(p, "serve")
	config := f.String("config", "", "configuration `file`; without one the bus runs with no connections")
	listen := f.String("listen", "", "`address` to listen on, instead of the one in the file")
	data := f.String("data", "", "`folder` of the database, instead of the one in the file")
	level := f.String("log", "info", "least `level` that is logged: debug, info, warn or error")
	if err := parse(f, args); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	var lv slog.Level
	if err := lv.UnmarshalText([]byte(*level)); err != nil {
		return oslc.E("serve", fmt.Errorf("-log: %w", err), oslc.Invalid)
	}
	cfg, err := load(*config)
	if err != nil {
		return err
	}
	if *listen != "" {
		if cfg.BaseURL == "http://"+cfg.Listen {
			cfg.BaseURL = "" // it was made of the address
		}
		cfg.Listen = *listen
	}
	if *data != "" {
		cfg.Data = *data
	}
	log := logger(p.err, lv)
	tracing, done, err := spans(ctx, log)
	if err != nil {
		return err
	}
	defer done()
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e, err := oslcbus.New(cfg, oslcbus.Options{
		Adapters: all.Adapters(), Logger: log, Registerer: reg, Gatherer: reg, Version: buildVersion(),
		TracerProvider: tracing,
	})
	if err != nil {
		return err
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case <-again:
				_ = e.ReloadRules(ctx) // it is logged
			case <-ended:
				return
			}
		}
	}()
	return stopped(ctx, e.Run(ctx))
}

// stopped takes the end of the context, which is how a signal ends the program,
// for success.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) && oslc.KindOf(err) == oslc.Internal {
		return nil
	}
	return err
}

func load(path string) (oslcbus.Config, error) {
	if path == "" {
		return oslcbus.Config{}, nil
	}
	return oslcbus.LoadConfig(path, oslcbus.ConfigOptions{})
}

func check(_ context.Context, p *program, args []string) error {
	f := flags(p, "check")
	o := outputFlag(f)
	if err := parse(f, args, "FILE"); err != nil {
		return err
	}
	cfg, err := load(f.Arg(0))
	var e *oslcbus.Engine
	if err == nil {
		e, err = oslcbus.New(cfg, oslcbus.Options{Adapters: all.Adapters()})
	}
	if *o == "json" {
		out := map[string]any{"file": f.Arg(0), "valid": err == nil}
		if err != nil {
			out["error"] = oslc.Message(err)
			if ce, ok := errors.AsType[*oslcbus.ConfigError](err); ok {
				out["line"], out["key"] = ce.Line, ce.Key
			}
		}
		if werr := writeJSON(p.out, out); werr != nil {
			return werr
		}
		if err != nil {
			return errUsage
		}
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is valid: %d connections, %d rules\n", f.Arg(0), len(cfg.Connections), e.Rules())
	return nil
}

func token(_ context.Context, p *program, args []string) error {
	f := flags(p, "token")
	verb, rest := "", args
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, rest = args[0], args[1:]
	}
	o := outputFlag(f)
	file := f.String("file", "", "new: write the token into this `file`, which must not be there, and print only its hash")
	keep := f.Bool("keep", false, "new: when the file is there, leave it and say where it is")
	if err := parse(f, rest); err != nil {
		return err
	}
	switch verb {
	case "new":
		if _, err := os.Stat(*file); *keep && *file != "" && err == nil {
			fmt.Fprintf(p.out, "the token is in %s\n", *file)
			return nil
		}
		t, hash := oslcbus.NewToken()
		if *file != "" {
			if err := oslcbus.WriteSecret(*file, t); err != nil {
				return oslc.E("token", err, oslc.Invalid)
			}
		}
		if *o == "json" {
			out := map[string]string{"hash": hash}
			if *file == "" {
				out["token"] = t
			}
			return writeJSON(p.out, out)
		}
		if *file == "" {
			fmt.Fprintf(p.out, "token: %s\n", t)
		} else {
			fmt.Fprintf(p.out, "the token is in %s\n", *file)
		}
		fmt.Fprintf(p.out, "hash: %s\n", hash)
		return nil
	case "hash":
		b, err := io.ReadAll(io.LimitReader(p.in, 4096))
		password := strings.TrimRight(string(b), "\r\n")
		if err != nil || password == "" {
			return oslc.Errorf("token", oslc.Invalid, "the password is read from standard input, and there is none")
		}
		hash, err := oslcbus.HashPassword(password)
		if err != nil {
			return err
		}
		if *o == "json" {
			return writeJSON(p.out, map[string]string{"hash": hash})
		}
		fmt.Fprintf(p.out, "hash: %s\n", hash)
		return nil
	}
	fmt.Fprintln(p.err, "oslcbus token: say new or hash")
	f.Usage()
	return errUsage
}

func version(_ context.Context, p *program, args []string) error {
	f := flags(p, "version")
	o := outputFlag(f)
	if err := parse(f, args); err != nil {
		return err
	}
	if *o == "json" {
		return writeJSON(p.out, map[string]string{"version": buildVersion(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
	}
	fmt.Fprintf(p.out, "oslcbus %s %s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
