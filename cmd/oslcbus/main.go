// Command oslcbus is the integration bus: it serves, demonstrates and checks it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/oslcbus/oslcbus/oslc"
)

// Exit codes. They are part of the command's contract.
const (
	exitOK          = 0
	exitFailed      = 1 // it ran and did not succeed
	exitInvalid     = 2 // wrong command line, configuration or input
	exitUnavailable = 3 // something it needs is away or refuses
	exitSignal      = 128
)

// A command is one word after oslcbus.
type command struct {
	name    string
	summary string
	usage   string // after the name
	run     func(ctx context.Context, p *program, args []string) error
}

// program is what commands may touch of the process.
type program struct {
	in       io.Reader
	out, err io.Writer
}

func commands() []command {
	return []command{
		{"serve", "run the bus", "[-config FILE] [-listen ADDR] [-data DIR] [-log LEVEL]", serve},
		{"demo", "run the bus on sandbox tools, with nothing else needed", "[-listen ADDR] [-data DIR] [-script] [-o text|json] [-log LEVEL]", demo},
		{"check", "check a configuration without connecting to anything", "[-o text|json] FILE", check},
		{"token", "make an API token, or the hash of a password", "new [-file FILE [-keep]]|hash [-o text|json]", token},
		{"ready", "ask a running bus whether it works", "[-within TIME] URL", ready},
		{"requests", "ask tools for actions, and see what became of it", "create|list|show|cancel", requests},
		{"connections", "see the limits of connections, and pause them", "list|pause|resume", connections},
		{"rules", "try rules without asking for anything", "test", rules},
		{"dlq", "look after what was set aside", "list|show|retry|drop", dlq},
		{"subscriptions", "have events sent to other programs", "list|show|create|test|pause|resume|rotate|delete", subscriptions},
		{"rdf", "convert, compare and check RDF documents", "convert|compare|canon|validate", rdfCommand},
		{"probe", "check how a server keeps to OSLC", "[-write] [-body FILE] [-user NAME -password-file FILE | -token-file FILE] [-level must|should|may] [-check IDS] [-timeout TIME] [-o text|json] URL", probeServer},
		{"trs", "check tracked resource sets, and mend those of this bus", "verify|repair|skipped", trsCommand},
		{"sandbox", "run a stand-in of a tool by itself", "[-listen ADDR] [-data DIR] [-project KEY] jira|stackstorm", standIn},
		{"version", "say which version this is", "[-o text|json]", version},
	}
}

func main() {
	// The first signal stops the program in order, the second at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop()
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		if s, ok := (<-again).(syscall.Signal); ok {
			os.Exit(exitSignal + int(s))
		}
	}()
	os.Exit(run(ctx, &program{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
}

// run runs one command and returns the exit code.
func run(ctx context.Context, p *program, args []string) int {
	if len(args) == 0 {
		help(p.err)
		return exitInvalid
	}
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		help(p.out)
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return exitCode(p, c.run(ctx, p, args[1:]))
		}
	}
	fmt.Fprintf(p.err, "oslcbus: there is no command %q; oslcbus help lists them\n", args[0])
	return exitInvalid
}

func exitCode(p *program, err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitInvalid // told already
	case errors.Is(err, errFailed):
		return exitFailed // the answer is the output
	case errors.Is(err, errClosedPipe):
		return exitSignal + int(syscall.SIGPIPE)
	}
	fmt.Fprintln(p.err, "oslcbus:", oslc.Message(err))
	switch oslc.KindOf(err) {
	case oslc.Invalid, oslc.NotFound, oslc.Conflict, oslc.Unsupported:
		return exitInvalid
	case oslc.Denied, oslc.Limited, oslc.Unavailable:
		return exitUnavailable
	case oslc.Internal, oslc.Gone:
	}
	return exitFailed
}

func help(w io.Writer) {
	fmt.Fprintf(w, "oslcbus is an event-driven integration bus for the tools of a software life cycle.\n\nUsage:\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  oslcbus %-13s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, `
"oslcbus COMMAND -h" tells the flags of a command. With -o json the answer is one
JSON object, or as they come one a line (demo). Exit codes: 0 done, 1 failed, 2 wrong
command line, configuration or input, 3 something needed is away or refuses.
`)
}

var (
	errUsage      = errors.New("usage")
	errFailed     = errors.New("failed")
	errClosedPipe = errors.New("nobody reads the output")
)

// below are the commands of two words.
func below() []command {
	return slices.Concat(requestsCommands(), connectionsCommands(), rulesCommands(), dlqCommands(), subscriptionCommands(), rdfCommands(), trsCommands())
}

// flags returns the flag set of a command; its own usage text names the command.
func flags(p *program, name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(p.err)
	f.Usage = func() {
		for _, c := range slices.Concat(commands(), below()) {
			if c.name == name {
				fmt.Fprintf(f.Output(), "usage: oslcbus %s %s\n\n%s%s.\n\n", c.name, c.usage, strings.ToUpper(c.summary[:1]), c.summary[1:])
			}
		}
		f.PrintDefaults()
	}
	return f
}

// parseFlags parses args, of which any number may be left over. Help that is asked
// for is the answer, so it goes to standard output.
func parseFlags(f *flag.FlagSet, args []string) error {
	if slices.Contains(args, "-h") || slices.Contains(args, "-help") || slices.Contains(args, "--help") {
		f.SetOutput(os.Stdout)
	}
	err := f.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return errUsage
}

// parse parses args, of which as many must be left over as names are given.
func parse(f *flag.FlagSet, args []string, names ...string) error {
	if err := parseFlags(f, args); err != nil {
		return err
	}
	if f.NArg() != len(names) {
		want := "no arguments"
		if len(names) > 0 {
			want = strings.Join(names, " ")
		}
		fmt.Fprintf(f.Output(), "oslcbus %s: want %s after the flags, not %d arguments\n", f.Name(), want, f.NArg())
		f.Usage()
		return errUsage
	}
	return nil
}

// output is the -o flag.
type output string

func (o *output) String() string { return string(*o) }

func (o *output) Set(s string) error {
	if s != "text" && s != "json" {
		return errors.New("want text or json")
	}
	*o = output(s)
	return nil
}

func outputFlag(f *flag.FlagSet) *output {
	o := output("text")
	f.Var(&o, "o", "`format` of the answer: text or json")
	return &o
}

func logger(w io.Writer, level slog.Level) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if f, ok := w.(*os.File); ok {
		if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
			return slog.New(slog.NewTextHandler(w, opts))
		}
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// buildVersion is the module's version, or the commit it was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
