package main

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/jsonld/processor"
	"github.com/oslcbus/oslcbus/oslc/rdf/ntriples"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
)

func rdfConvert(_ context.Context, p *program, args []string) error {
	f := flags(p, "rdf convert")
	s := sourceFlags(p, f)
	to := formatFlag{format: format.Turtle, set: true}
	f.Var(&to, "to", "`format` to write")
	if err := parse(f, args, "FILE"); err != nil {
		return err
	}
	d, err := s.open(f.Arg(0))
	if err != nil {
		return err
	}
	defer d.close()
	// What fits is sorted and nested; the rest goes through as it comes.
	head, err := io.ReadAll(io.LimitReader(d, streamFrom))
	if err != nil {
		return s.unreadable(d.name, err)
	}
	if len(head) == streamFrom {
		d.Reader = io.MultiReader(bytes.NewReader(head), d.Reader)
		if streams(d.format) && streams(to.format) {
			return s.stream(d, to.format)
		}
		g, err := s.parse(d)
		if err != nil {
			return err
		}
		return s.write(d, g, to.format)
	}
	g, err := format.Parser{JSONLD: processor.Parse}.Parse(head, d.format, s.base, ownLimits)
	if err != nil {
		return s.fault(d, err)
	}
	return s.write(d, g, to.format)
}

// streamFrom is the size from which documents are not held in memory.
const streamFrom = rdf.DefaultMaxBytes

// streams reports whether a format is read and written triple by triple.
func streams(f format.Format) bool { return f == format.NTriples || f == format.Turtle }

func (s *source) write(d *document, g *rdf.Graph, to format.Format) error {
	b, err := format.Append(nil, g, to)
	if err != nil {
		return wrong(s.p, "%s: %v", d.name, err)
	}
	d.bar.done()
	_, err = s.p.out.Write(b)
	return broken(err)
}

type decoder interface{ Next() (rdf.Triple, error) }

// stream converts a document in memory that does not grow with it.
func (s *source) stream(d *document, to format.Format) error {
	lim := rdf.Limits{MaxTriples: ownLimits.MaxTriples}
	var in decoder
	prefixes := func() map[string]string { return nil }
	if d.format == format.Turtle {
		t := turtle.NewDecoder(d, s.base, lim)
		in, prefixes = t, t.Prefixes
	} else {
		in = ntriples.NewDecoder(d, lim)
	}
	// The first triple first: it comes after the prefixes.
	t, err := in.Next()
	var encode func(rdf.Triple) error
	var end func() error
	if to == format.Turtle {
		e := turtle.NewEncoder(s.p.out, prefixes())
		encode, end = e.Encode, e.Close
	} else {
		e := ntriples.NewEncoder(s.p.out)
		encode, end = e.Encode, e.Flush
	}
	for ; err == nil; t, err = in.Next() {
		d.bar.count()
		if err := encode(t); err != nil {
			return broken(err)
		}
	}
	if werr := end(); werr != nil {
		return broken(werr)
	}
	if !errors.Is(err, io.EOF) {
		return s.fault(d, err)
	}
	return nil
}
