package format_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	knakk "github.com/knakk/rdf"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/rdf/ntriples"
	"github.com/oslcbus/oslcbus/oslc/rdf/rdfxml"
	"github.com/oslcbus/oslcbus/oslc/rdf/turtle"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/piprate/json-gold/ld"
)

// tracker is n change requests of 14 triples each, with nothing in them that a
// peer is known to stumble over.
func tracker(n int) *rdf.Graph {
	g := rdf.NewGraph()
	for i := range n {
		g.Node(fmt.Sprintf("https://jira.example/browse/PAY-%d", i)).A(vocab.CMChangeRequest, vocab.CMDefect).
			String(vocab.DCTermsTitle, fmt.Sprintf("Payment %d is booked twice if the user clicks <Back> & retries", i)).
			String(vocab.DCTermsDescription, "Steps:\n1. pay\n2. go back\n3. pay again\n\nExpected: a message.").
			String(vocab.DCTermsIdentifier, fmt.Sprintf("PAY-%d", i)).
			String(vocab.DCTermsSubject, "payment", "regression").
			Add(vocab.DCTermsCreated, rdf.Typed("2026-02-26T10:00:00.000Z", rdf.XSDDateTime)).
			Add(vocab.DCTermsModified, rdf.Typed(fmt.Sprintf("2026-03-01T09:29:58.%03dZ", i%1000), rdf.XSDDateTime)).
			Link(vocab.DCTermsCreator, fmt.Sprintf("https://jira.example/users/%d", i%97)).
			Link(vocab.DCTermsContributor, fmt.Sprintf("https://jira.example/users/%d", i%89)).
			String(vocab.CMStatus, "In Progress").
			Bool(vocab.CMClosed, false).Bool(vocab.CMInprogress, true)
	}
	return g
}

const trackerTriples = 14

// A peer does with a document what we do with it, and returns how many triples it
// found, or 0 where it does not count.
type peer struct {
	name   string
	format format.Format
	ours   func(doc []byte) (int, error)
	theirs func(doc []byte) (int, error)
}

func parseOurs(f format.Format) func([]byte) (int, error) {
	return func(doc []byte) (int, error) {
		g, err := format.Parse(doc, f, "", rdf.Limits{MaxBytes: 1 << 30, MaxTriples: 1 << 30})
		return g.Len(), err
	}
}

// countOurs counts the triples of RDF/XML, as rapper -c does.
func countOurs(doc []byte) (n int, err error) {
	err = rdfxml.Each(string(doc), "", rdf.Limits{MaxBytes: 1 << 30, MaxTriples: 1 << 30}, func(rdf.Triple) error {
		n++
		return nil
	})
	return n, err
}

// countTurtle is countOurs for Turtle.
func countTurtle(doc []byte) (int, error) {
	d := turtle.NewDecoder(bytes.NewReader(doc), "", rdf.Limits{})
	for n := 0; ; n++ {
		if _, err := d.Next(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

// streamOurs reads Turtle and writes N-Triples, as serdi does.
func streamOurs(doc []byte) (int, error) {
	d, e := turtle.NewDecoder(bytes.NewReader(doc), "", rdf.Limits{}), ntriples.NewEncoder(io.Discard)
	for n := 0; ; n++ {
		t, err := d.Next()
		if errors.Is(err, io.EOF) {
			return n, e.Flush()
		}
		if err == nil {
			err = e.Encode(t)
		}
		if err != nil {
			return n, err
		}
	}
}

func tokens(next func(*xml.Decoder) (xml.Token, error)) func([]byte) (int, error) {
	return func(doc []byte) (int, error) {
		d := xml.NewDecoder(bytes.NewReader(doc))
		for {
			if _, err := next(d); errors.Is(err, io.EOF) {
				return 0, nil
			} else if err != nil {
				return 0, err
			}
		}
	}
}

func parseKnakk(f knakk.Format) func([]byte) (int, error) {
	return func(doc []byte) (int, error) {
		ts, err := knakk.NewTripleDecoder(bytes.NewReader(doc), f).DecodeAll()
		return len(ts), err
	}
}

func parseJSONGold(doc []byte) (int, error) {
	var tree any
	if err := json.Unmarshal(doc, &tree); err != nil {
		return 0, err
	}
	out, err := ld.NewJsonLdProcessor().ToRDF(tree, ld.NewJsonLdOptions(""))
	if err != nil {
		return 0, err
	}
	return len(out.(*ld.RDFDataset).Graphs["@default"]), nil
}

var peers = []peer{
	{"encoding-xml-Token", format.RDFXML, parseOurs(format.RDFXML), tokens((*xml.Decoder).Token)},
	{"encoding-xml-RawToken", format.RDFXML, parseOurs(format.RDFXML), tokens((*xml.Decoder).RawToken)},
	{"knakk", format.RDFXML, parseOurs(format.RDFXML), parseKnakk(knakk.RDFXML)},
	{"knakk", format.Turtle, parseOurs(format.Turtle), parseKnakk(knakk.Turtle)},
	{"knakk", format.NTriples, parseOurs(format.NTriples), parseKnakk(knakk.NTriples)},
	{"json-gold", format.JSONLD, parseOurs(format.JSONLD), parseJSONGold},
}

// BenchmarkPeers reads the same document with us and with another reader by
// turns, and reports how many times as long the other one takes: "times" by the
// clock, "cpu-times" by processor time, in which our garbage collector counts.
// encoding/xml gives tokens and no triples. json-gold reads a hundredth of the document.
func BenchmarkPeers(b *testing.B) {
	for _, p := range peers {
		b.Run(p.format.String()+"/"+p.name, func(b *testing.B) {
			n := 7000
			if p.format == format.JSONLD {
				n = 70
			}
			doc, err := format.Append(nil, tracker(n), p.format)
			if err != nil {
				b.Fatal(err)
			}
			var ours, theirs clock
			for b.Loop() {
				ours.time(b, n*trackerTriples, func() (int, error) { return p.ours(doc) })
				theirs.time(b, n*trackerTriples, func() (int, error) { return p.theirs(doc) })
			}
			report(b, len(doc), n*trackerTriples, ours, theirs)
		})
	}
}

// A clock adds up what calls take.
type clock struct {
	wall, cpu time.Duration
	calls     int
}

func (c *clock) time(b *testing.B, triples int, f func() (int, error)) {
	b.Helper()
	wall := time.Now()
	cpu, _ := testkit.Usage()
	n, err := f()
	c.wall += time.Since(wall)
	ended, _ := testkit.Usage()
	c.cpu += ended - cpu
	c.calls++
	if err != nil || n != 0 && n != triples {
		b.Fatalf("%d triples of %d, %v", n, triples, err)
	}
}

func report(b *testing.B, size, triples int, ours, theirs clock) {
	b.Helper()
	each := ours.wall.Seconds() / float64(ours.calls)
	b.ReportMetric(float64(size)/1e6/each, "our-MB/s")
	b.ReportMetric(float64(triples)/1e3/each, "our-ktriples/s")
	b.ReportMetric(theirs.wall.Seconds()/ours.wall.Seconds(), "times")
	b.ReportMetric(theirs.cpu.Seconds()/ours.cpu.Seconds(), "cpu-times")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkProcesses is BenchmarkPeers with the programs of raptor and serd, on a
// file; the time that they take for an empty file is subtracted. rapper counts the
// triples, serdi writes them as N-Triples, and we do the same in this process;
// "-to-graph" builds the graph as well, a set with an index, which they have no
// counterpart for.
func BenchmarkProcesses(b *testing.B) {
	rapper := func(syntax string) []string { return []string{"rapper", "-q", "-c", "-i", syntax} }
	serdi := func(syntax string) []string { return []string{"serdi", "-i", syntax, "-o", "ntriples"} }
	for _, p := range []struct {
		name   string
		format format.Format
		ours   func([]byte) (int, error)
		args   []string
	}{
		{"rapper", format.RDFXML, countOurs, rapper("rdfxml")},
		{"rapper-to-graph", format.RDFXML, parseOurs(format.RDFXML), rapper("rdfxml")},
		{"rapper", format.Turtle, countTurtle, rapper("turtle")},
		{"rapper-to-graph", format.Turtle, parseOurs(format.Turtle), rapper("turtle")},
		{"rapper-to-graph", format.NTriples, parseOurs(format.NTriples), rapper("ntriples")},
		{"serdi-to-graph", format.Turtle, parseOurs(format.Turtle), serdi("turtle")},
		{"serdi", format.Turtle, streamOurs, serdi("turtle")},
		{"serdi-to-graph", format.NTriples, parseOurs(format.NTriples), serdi("ntriples")},
	} {
		b.Run(p.format.String()+"/"+p.name, func(b *testing.B) {
			if _, err := exec.LookPath(p.args[0]); err != nil {
				b.Skipf("%s is not installed", p.args[0])
			}
			const n = 7000
			doc, err := format.Append(nil, tracker(n), p.format)
			if err != nil {
				b.Fatal(err)
			}
			full, empty := filepath.Join(b.TempDir(), "full"), filepath.Join(b.TempDir(), "empty")
			nothing := ""
			if p.format == format.RDFXML {
				nothing = `<rdf:RDF xmlns:rdf="` + rdf.NS + `"/>`
			}
			for name, text := range map[string][]byte{full: doc, empty: []byte(nothing)} {
				if err := os.WriteFile(name, text, 0o600); err != nil {
					b.Fatal(err)
				}
			}
			var ours, theirs clock
			for b.Loop() {
				ours.time(b, n*trackerTriples, func() (int, error) { return p.ours(doc) })
				start := runProgram(b, p.args, empty)
				whole := runProgram(b, p.args, full)
				theirs.wall += whole.wall - start.wall
				theirs.cpu += whole.cpu - start.cpu
				theirs.calls++
			}
			report(b, len(doc), n*trackerTriples, ours, theirs)
		})
	}
}

func runProgram(b *testing.B, args []string, file string) clock {
	b.Helper()
	base := "http://base.example/"
	cmd := exec.CommandContext(b.Context(), args[0], append(args[1:len(args):len(args)], file, base)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v: %v\n%s", args, err, stderr.String())
	}
	return clock{time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), 1}
}
