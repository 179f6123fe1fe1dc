package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
)

func rdfValidate(_ context.Context, p *program, args []string) error {
	f := flags(p, "rdf validate")
	s := sourceFlags(p, f)
	o := outputFlag(f)
	var files []string
	f.Func("shape", "`file` with oslc:ResourceShapes; may be given more than once", func(name string) error {
		files = append(files, name)
		return nil
	})
	resource := f.String("resource", "", "`URI` of the one resource to check, instead of all that a shape describes")
	strict := f.Bool("strict", false, "refuse plain text where a shape wants an XML literal")
	if err := parse(f, args, "FILE"); err != nil {
		return err
	}
	if len(files) == 0 {
		fmt.Fprintln(p.err, "oslcbus rdf validate: say -shape")
		f.Usage()
		return errUsage
	}
	set, err := loadShapes(p, files)
	if err != nil {
		return err
	}
	g, err := s.graph(f.Arg(0))
	if err != nil {
		return err
	}
	report := validation{File: f.Arg(0), Violations: []violation{}}
	for _, subject := range subjects(g) {
		if *resource != "" && subject != rdf.NewIRI(*resource) {
			continue
		}
		var classes []string
		for _, c := range g.Objects(subject, rdf.Type) {
			classes = append(classes, c.Value)
		}
		if len(set.For(classes...)) == 0 {
			continue
		}
		report.Resources++
		err := set.Check(g, subject, shape.Check{Strict: *strict})
		if broken, ok := errors.AsType[*shape.Error](err); ok {
			for _, v := range broken.Violations {
				report.add(v)
			}
		}
	}
	if report.Resources == 0 {
		fmt.Fprintf(p.err, "oslcbus: %s: no resource is of a class that a shape describes\n", f.Arg(0))
		return errFailed
	}
	report.Valid = len(report.Violations) == 0
	if *o == "json" {
		err = writeJSON(p.out, report)
	} else {
		err = report.text(p.out)
	}
	if err != nil {
		return broken(err)
	}
	if !report.Valid {
		return errFailed
	}
	return nil
}

// loadShapes reads files in any format. Where the name does not say which, it is
// Turtle, as published shapes are.
func loadShapes(p *program, files []string) (*shape.Set, error) {
	var graphs []*rdf.Graph
	for i, name := range files {
		s := &source{p: p}
		if full, err := filepath.Abs(name); err == nil {
			s.base = (&url.URL{Scheme: "file", Path: filepath.ToSlash(full)}).String()
		}
		if _, ok := format.ByName(filepath.Ext(name)); !ok {
			s.from = formatFlag{format.Turtle, true}
		}
		g, err := s.graph(name)
		if err != nil {
			return nil, err
		}
		graphs = append(graphs, g.Relabel(fmt.Sprintf("f%d-", i)))
	}
	set, err := shape.Load(graphs...)
	if err == nil && len(set.All()) == 0 {
		err = errors.New("no oslc:ResourceShape in it")
	}
	if err != nil {
		return nil, wrong(p, "%s: %v", strings.Join(files, ", "), err)
	}
	return set, nil
}

// subjects returns the subjects of g in order, each once.
func subjects(g *rdf.Graph) []rdf.Term {
	var out []rdf.Term
	seen := map[rdf.Term]bool{}
	for t := range g.All() {
		if !seen[t.S] {
			seen[t.S] = true
			out = append(out, t.S)
		}
	}
	return out
}

type validation struct {
	File       string      `json:"file"`
	Valid      bool        `json:"valid"`
	Resources  int         `json:"resources"`
	Violations []violation `json:"violations"`

	lines []string
}

type violation struct {
	Subject  string `json:"subject"`
	Property string `json:"property,omitempty"`
	Clause   string `json:"clause"`
	Shape    string `json:"shape"`
	Message  string `json:"message"`
}

func (r *validation) add(v shape.Violation) {
	name := func(t rdf.Term) string {
		if t.Kind == rdf.Blank {
			return "_:" + t.Value
		}
		return t.Value
	}
	r.Violations = append(r.Violations, violation{name(v.Subject), v.Property, string(v.Clause), name(v.Shape), v.Msg})
	r.lines = append(r.lines, v.String())
}

func (r *validation) text(out io.Writer) error {
	w := newLines(out)
	for _, line := range r.lines {
		w.line(r.File + ": " + line)
	}
	if r.Valid {
		w.line(fmt.Sprintf("%s is valid: %d resources", r.File, r.Resources))
	}
	return w.flush()
}

// lines writes lines and keeps the first error.
type lines struct{ w *bufio.Writer }

func newLines(w io.Writer) lines { return lines{bufio.NewWriter(w)} }

func (l lines) line(s string) {
	_, _ = l.w.WriteString(s) // flush tells the error
	_ = l.w.WriteByte('\n')
}

func (l lines) flush() error { return l.w.Flush() }
