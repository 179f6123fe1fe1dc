package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/canon"
	"github.com/oslcbus/oslcbus/oslc/rdf/diff"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/oslc/rdf/ntriples"
)

func rdfCommands() []command {
	const in = "[-from FORMAT] [-base URI] "
	return []command{
		{"rdf convert", "write a document in another format", "[-to FORMAT] " + in + "FILE|-", rdfConvert},
		{"rdf compare", "say whether two documents are the same graph, and what differs", in + "[-o text|json] A B", rdfCompare},
		{"rdf canon", "write the canonical form of a graph and its hash (RDFC-1.0, SHA-256)", in + "[-hash] [-o text|json] FILE|-", rdfCanon},
		{"rdf validate", "check the resources of a document against OSLC shapes", "-shape FILE " + in + "[-resource URI] [-strict] [-o text|json] FILE|-", rdfValidate},
	}
}

// rdfCommand runs one of rdfCommands.
func rdfCommand(ctx context.Context, p *program, args []string) error {
	help := func(w io.Writer) {
		fmt.Fprint(w, "usage: oslcbus rdf convert|compare|canon|validate [flags] FILE...\n\nReads and writes RDF documents:\n\n")
		for _, c := range rdfCommands() {
			fmt.Fprintf(w, "  oslcbus %-12s %s\n", c.name, c.summary)
		}
		fmt.Fprint(w, "\nA FORMAT is rdfxml, turtle, ntriples, jsonld, or a media type. Without one the name of\nthe file says it. - is standard input. \"oslcbus rdf COMMAND -h\" tells the flags.\n")
	}
	if len(args) == 0 {
		help(p.err)
		return errUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		help(p.out)
		return nil
	}
	for _, c := range rdfCommands() {
		if c.name == "rdf "+args[0] {
			// Nothing has to be put away: the first signal ends the command, also
			// while it waits for its input.
			defer context.AfterFunc(ctx, func() { os.Exit(exitSignal + int(syscall.SIGINT)) })()
			return c.run(ctx, p, args[1:])
		}
	}
	fmt.Fprintf(p.err, "oslcbus rdf: there is no command %q\n", args[0])
	help(p.err)
	return errUsage
}

// formatFlag is a format by its name or media type.
type formatFlag struct {
	format format.Format
	set    bool
}

func (f *formatFlag) String() string {
	if f == nil || !f.set {
		return ""
	}
	return f.format.String()
}

func (f *formatFlag) Set(s string) (err error) {
	if f.format, f.set = format.ByName(s); f.set {
		return nil
	}
	if f.format, f.set = format.ByMediaType(s); f.set {
		return nil
	}
	return errors.New("want rdfxml, turtle, ntriples, jsonld, or one of their media types")
}

// source says how documents are read.
type source struct {
	p    *program
	from formatFlag
	base string
}

func sourceFlags(p *program, f *flag.FlagSet) *source {
	s := &source{p: p}
	f.Var(&s.from, "from", "`format` of what is read")
	f.StringVar(&s.base, "base", "", "`URI` that relative references are resolved against; without one they are errors")
	return s
}

// What one document may hold. It is the user's own, so this only keeps a mistake
// from taking all the memory; documents that stream are not limited.
var ownLimits = rdf.Limits{MaxBytes: 1 << 30, MaxTriples: 20_000_000}

// A document is an input that is open.
type document struct {
	io.Reader
	name   string
	format format.Format
	bar    *progress
	file   io.Closer
}

func (d *document) close() {
	d.bar.done()
	if d.file != nil {
		d.file.Close()
	}
}

// open opens a file, or standard input for "-".
func (s *source) open(name string) (*document, error) {
	d := &document{Reader: s.p.in, name: name, format: s.from.format}
	size := int64(-1)
	if name == "-" {
		d.name = "stdin"
	}
	if !s.from.set {
		var ok bool
		if d.format, ok = format.ByName(filepath.Ext(name)); !ok || filepath.Ext(name) == "" {
			return nil, wrong(s.p, "%s: the name does not say which format it is; use -from", d.name)
		}
	}
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, s.unreadable(name, err)
		}
		if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
			size = st.Size()
		}
		d.Reader, d.file = f, f
	}
	d.bar = newProgress(s.p, d.name, size)
	d.Reader = d.bar.reader(d.Reader)
	return d, nil
}

func (s *source) unreadable(name string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return wrong(s.p, "%s: %v", name, err)
}

// wrong tells what is wrong with an input.
func wrong(p *program, f string, a ...any) error {
	fmt.Fprintf(p.err, "oslcbus: "+f+"\n", a...)
	return errUsage
}

// graph reads all of a file.
func (s *source) graph(name string) (*rdf.Graph, error) {
	d, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return s.parse(d)
}

func (s *source) parse(d *document) (*rdf.Graph, error) {
	data, err := io.ReadAll(io.LimitReader(d, int64(ownLimits.MaxBytes)+1))
	if err != nil {
		return nil, s.unreadable(d.name, err)
	}
	g, err := format.Parser{JSONLD: processor.Parse}.Parse(data, d.format, s.base, ownLimits)
	if err != nil {
		return nil, s.fault(d, err)
	}
	return g, nil
}

// fault tells what is wrong with a document as file:line:column: message, which
// editors know how to jump to.
func (s *source) fault(d *document, err error) error {
	e, ok := errors.AsType[*rdf.SyntaxError](err)
	if !ok {
		return s.unreadable(d.name, err)
	}
	d.bar.done()
	hint := ""
	if strings.HasPrefix(e.Msg, "not an absolute IRI") && s.base == "" && d.format != format.NTriples {
		hint = "; -base gives relative references something to start from"
	}
	if e.Line == 0 {
		fmt.Fprintf(s.p.err, "%s: %s%s\n", d.name, e.Msg, hint)
	} else {
		fmt.Fprintf(s.p.err, "%s:%d:%d: %s%s\n", d.name, e.Line, e.Column, e.Msg, hint)
	}
	return errUsage
}

func rdfCompare(_ context.Context, p *program, args []string) error {
	f := flags(p, "rdf compare")
	s := sourceFlags(p, f)
	o := outputFlag(f)
	if err := parse(f, args, "A", "B"); err != nil {
		return err
	}
	a, err := s.graph(f.Arg(0))
	if err != nil {
		return err
	}
	b, err := s.graph(f.Arg(1))
	if err != nil {
		return err
	}
	same, err := canon.Isomorphic(a, b)
	if err != nil {
		return wrong(p, "%v", err)
	}
	var d diff.Diff
	if !same {
		d = diff.Between(a, b)
	}
	if *o == "json" {
		out := struct {
			Isomorphic bool     `json:"isomorphic"`
			Deleted    []string `json:"deleted"`
			Added      []string `json:"added"`
		}{same, []string{}, []string{}}
		for _, t := range d.Deleted {
			out.Deleted = append(out.Deleted, statement(t))
		}
		for _, t := range d.Added {
			out.Added = append(out.Added, statement(t))
		}
		if err := writeJSON(p.out, out); err != nil {
			return broken(err)
		}
	} else {
		w := newLines(p.out)
		for _, t := range d.Deleted {
			w.line("- " + statement(t))
		}
		for _, t := range d.Added {
			w.line("+ " + statement(t))
		}
		if err := w.flush(); err != nil {
			return broken(err)
		}
	}
	if !same {
		return errFailed
	}
	return nil
}

// statement is a triple in N-Triples.
func statement(t rdf.Triple) string {
	b, err := ntriples.AppendTriple(nil, t)
	if err != nil {
		return err.Error()
	}
	return string(b[:len(b)-1])
}

func rdfCanon(_ context.Context, p *program, args []string) error {
	f := flags(p, "rdf canon")
	s := sourceFlags(p, f)
	o := outputFlag(f)
	hashOnly := f.Bool("hash", false, "write the hash alone")
	if err := parse(f, args, "FILE"); err != nil {
		return err
	}
	g, err := s.graph(f.Arg(0))
	if err != nil {
		return err
	}
	lines, err := canon.NQuads(g)
	if err != nil {
		return wrong(p, "%v", err)
	}
	hash := canon.Sum(lines)
	switch {
	case *o == "json":
		out := map[string]any{"hash": hash, "triples": g.Len()}
		if !*hashOnly {
			out["canonical"] = string(lines)
		}
		return broken(writeJSON(p.out, out))
	case *hashOnly:
		_, err = fmt.Fprintln(p.out, hash)
	default:
		// A comment, so that the answer is N-Triples.
		if _, err = fmt.Fprintln(p.out, "# sha256:"+hash); err == nil {
			_, err = p.out.Write(lines)
		}
	}
	return broken(err)
}

// broken leaves a closed pipe at the other end of standard output unmentioned:
// whoever reads it has had enough.
func broken(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return errClosedPipe
	}
	return err
}
