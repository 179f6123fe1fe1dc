package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// BenchmarkWriteEvent writes the event graph of a change as RDF/XML, 30 triples,
// and beside it the same elements with the least that any writer must do: append
// names that are known, and values with what XML wants escaped. Package
// oslc/rdf/format has benchmarks of the other syntaxes and of reading.
func BenchmarkWriteEvent(b *testing.B) {
	const uri = "http://bus.example/services/st2/changeRequests/66f0a1b2c3d4e5f601234567"
	r := resource(uri, 1)
	r.Node(uri).A(vocab.AutoAutomationPlan, vocab.St2Rule).
		String(vocab.St2RuleID, "66f0a1b2c3d4e5f601234567").String(vocab.St2RuleRef, "default.rule").
		String(vocab.St2RuleName, "rule").String(vocab.St2RulePack, "default").Bool(vocab.St2RuleStatus, false).
		String(vocab.St2TriggerRef, "core.webhook").String(vocab.St2TriggerType, "core.st2.webhook").
		String(vocab.St2ActionRef, "core.local").String(vocab.St2RuleUser, "st2admin").
		String(vocab.DCTermsSubject, "delivery", "team")
	e := &oslc.Event{
		ID: oslc.NewID("bench"), Change: oslc.Modification, Subject: uri, Resource: r, Time: time.Unix(1_790_000_000, 0),
		Listener: "http://bus.example/services/st2", Types: []string{vocab.St2RuleDisabled}, Changed: []string{vocab.St2RuleStatus},
	}
	g := e.Graph()
	if g.Len() != 30 {
		b.Fatalf("%d triples", g.Len())
	}
	buf, err := format.Append(nil, g, format.RDFXML)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("writer", func(b *testing.B) {
		b.SetBytes(int64(len(buf)))
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = format.Append(buf[:0], g, format.RDFXML)
		}
	})
	parts := elements(g)
	b.Run("append only", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = appendElements(buf[:0], parts)
		}
		b.SetBytes(int64(len(buf)))
	})
}

// element is a property element whose names are known.
type element struct {
	before, value, after string
}

func elements(g *rdf.Graph) []element {
	out := []element{{before: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rdf:RDF xmlns:rdf=\"" + rdf.NS +
		"\" xmlns:dcterms=\"http://purl.org/dc/terms/\" xmlns:st2=\"" + vocab.St2 + "\" xmlns:oslc_cm=\"" + vocab.CM + "\">\n"}}
	for t := range g.All() {
		name, _ := rdf.Compact(t.P.Value)
		switch {
		case t.O.Kind == rdf.IRI:
			out = append(out, element{"        <" + name + ` rdf:resource="`, t.O.Value, "\"/>\n"})
		case t.O.Datatype != "":
			out = append(out, element{"        <" + name + ` rdf:datatype="` + t.O.Datatype + `">`, t.O.Value, "</" + name + ">\n"})
		default:
			out = append(out, element{"        <" + name + ">", t.O.Value, "</" + name + ">\n"})
		}
	}
	return append(out, element{before: "</rdf:RDF>\n"})
}

func appendElements(b []byte, parts []element) []byte {
	for i := range parts {
		p := &parts[i]
		b = append(b, p.before...)
		for rest := p.value; rest != ""; {
			n := strings.IndexAny(rest, `<>&"`)
			if n < 0 {
				b = append(b, rest...)
				break
			}
			b = append(b, rest[:n]...)
			switch rest[n] {
			case '<':
				b = append(b, "&lt;"...)
			case '>':
				b = append(b, "&gt;"...)
			case '&':
				b = append(b, "&amp;"...)
			default:
				b = append(b, "&quot;"...)
			}
			rest = rest[n+1:]
		}
		b = append(b, p.after...)
	}
	return b
}
