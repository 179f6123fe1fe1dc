package format_test

import (
	"fmt"
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// event is what one change of an issue looks like on the bus: 33 triples.
func event() *rdf.Graph {
	g := rdf.NewGraph()
	const ev, cr = "https://bus.example/events/0190b6c5-5f3a-7d42-9d1b-6a1f0c9e7b11", "https://jira.example/browse/PAY-1234"
	g.Node(ev).A(vocab.EventsEvent).
		String(vocab.DCTermsIdentifier, "0190b6c5-5f3a-7d42-9d1b-6a1f0c9e7b11").
		String(vocab.DCTermsTitle, "PAY-1234 was changed: status, assignee & priority").
		Add(vocab.DCTermsCreated, rdf.Typed("2026-03-01T09:30:00.000Z", rdf.XSDDateTime)).
		Link(vocab.DCTermsReferences, cr).
		Link(vocab.DCTermsCreator, "https://jira.example/users/alice").
		Link(vocab.EventsGeneratedBy, "https://bus.example/providers/jira").
		Link(vocab.BusChangedProperty, vocab.CMStatus, vocab.DCTermsContributor, vocab.DCTermsModified).
		Link(vocab.BusTool, "https://bus.example/tools/jira").
		Int(vocab.BusSequence, 918273).Int(vocab.BusHops, 0)
	g.Node(cr).A(vocab.CMChangeRequest, vocab.CMDefect).
		String(vocab.DCTermsTitle, "Payment is booked twice if the user clicks <Back> & retries").
		String(vocab.DCTermsDescription, "Steps:\n1. pay\n2. go back\n3. pay again\n\nExpected: a message.").
		String(vocab.DCTermsIdentifier, "PAY-1234").
		String(vocab.BusExternalKey, "jira:10042").
		String(vocab.DCTermsSubject, "payment", "regression", "customer").
		Add(vocab.DCTermsCreated, rdf.Typed("2026-02-26T10:00:00.000Z", rdf.XSDDateTime)).
		Add(vocab.DCTermsModified, rdf.Typed("2026-03-01T09:29:58.120Z", rdf.XSDDateTime)).
		Link(vocab.DCTermsCreator, "https://jira.example/users/bob").
		Link(vocab.DCTermsContributor, "https://jira.example/users/alice").
		String(vocab.CMStatus, "In Progress").
		Bool(vocab.CMClosed, false).Bool(vocab.CMInprogress, true).
		Link(vocab.OSLCServiceProvider, "https://bus.example/providers/jira")
	g.Node("https://jira.example/users/alice").A(vocab.FOAFPerson).
		String(vocab.FOAFName, "Alice Müller").Link(vocab.FOAFMbox, "mailto:alice@example.com")
	return g
}

// page is a page of a TRS change log.
func page(n int) *rdf.Graph {
	g := rdf.NewGraph()
	const trs = "https://bus.example/trs"
	g.Node(trs).A(vocab.TRSTrackedResourceSetClass).Link(vocab.TRSBase, trs+"/base").Link(vocab.TRSChangeLog, trs+"/log")
	log := g.Node(trs + "/log").A(vocab.TRSChangeLogClass)
	for i := range n {
		e := fmt.Sprintf("urn:bus:event:%d", i)
		log.Link(vocab.TRSChange, e)
		g.Node(e).A(vocab.TRSModification).Link(vocab.TRSChanged, fmt.Sprintf("https://jira.example/browse/PAY-%d", i)).
			Int(vocab.TRSOrder, int64(i))
	}
	return g
}

// BenchmarkBuild makes the graph of an event, as a mapping does with each change.
func BenchmarkBuild(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		event()
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, f := range format.All() {
		for _, doc := range []struct {
			name string
			g    *rdf.Graph
		}{{"event33", event()}, {"trs200", page(200)}} {
			b.Run(f.String()+"/"+doc.name, func(b *testing.B) {
				buf, err := format.Append(nil, doc.g, f)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(buf)))
				b.ReportAllocs()
				for b.Loop() {
					buf, _ = format.Append(buf[:0], doc.g, f)
				}
			})
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, f := range format.All() {
		for _, doc := range []struct {
			name string
			g    *rdf.Graph
		}{{"event33", event()}, {"trs200", page(200)}, {"trs20000", page(20_000)}} {
			b.Run(f.String()+"/"+doc.name, func(b *testing.B) {
				buf, err := format.Append(nil, doc.g, f)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(buf)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := format.Parse(buf, f, "", rdf.Limits{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestEventHas33Triples(t *testing.T) {
	t.Parallel()
	if n := event().Len(); n != 33 {
		t.Errorf("the event of the benchmarks has %d triples", n)
	}
}
