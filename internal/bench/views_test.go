package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/sqlite"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	foldAtOnce = 500 // records a batch, as in the engine
	foldRounds = 20  // batches in one measurement
)

// resource is one with 8 properties beside its type.
func resource(uri string, version int) *rdf.Graph {
	g := rdf.NewGraph()
	g.Node(uri).A(vocab.CMChangeRequest).
		String(vocab.DCTermsIdentifier, uri).
		String(vocab.DCTermsTitle, "A rule that is in the benchmark").
		String(vocab.DCTermsDescription, "It says what the rule is for, at some length, as people write it.").
		String(vocab.CMStatus, fmt.Sprint("status ", version)).
		Bool(vocab.CMClosed, false).
		Int(vocab.BusSequence, 4).
		Link(vocab.OSLCServiceProvider, "http://bus.example/services/st2").
		Time(vocab.DCTermsModified, time.Unix(1_790_000_000, 0))
	return g
}

// steps are changes of the resources first to first+foldAtOnce-1.
func steps(offset int64, first, version int, c oslc.Change) []sqlite.Step {
	out := make([]sqlite.Step, foldAtOnce)
	for i := range out {
		uri := fmt.Sprintf("http://bus.example/services/st2/changeRequests/%024x", first+i)
		out[i] = sqlite.Step{Offset: offset + int64(i), Event: &oslc.Event{
			ID: oslc.NewID("bench", uri, fmt.Sprint(version)), Change: c, Subject: uri,
			Time: time.Unix(1_790_000_000+int64(version), 0), Resource: resource(uri, version),
		}}
	}
	return out
}

var benchPlace = sqlite.Place{Topic: "st2_event", Set: "st2"}

// fill adds so many resources to the views and returns the next offset.
func fill(b *testing.B, v *sqlite.Views, resources int) (offset int64) {
	b.Helper()
	for first := 0; first < resources; first += foldAtOnce {
		if err := v.Apply(b.Context(), benchPlace, steps(offset, first, 0, oslc.Creation)); err != nil {
			b.Fatal(err)
		}
		offset += foldAtOnce
	}
	return offset
}

func openViews(b *testing.B) *sqlite.Views {
	b.Helper()
	db, err := sqlite.Open(b.Context(), b.TempDir()+"/oslcbus.db")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db.Views()
}

// BenchmarkFold measures what the views take for events that are decoded already,
// each of another resource.
func BenchmarkFold(b *testing.B) {
	for _, c := range []oslc.Change{oslc.Creation, oslc.Modification} {
		b.Run(c.String(), func(b *testing.B) {
			var s spent
			for range b.N {
				b.StopTimer()
				v := openViews(b)
				offset := fill(b, v, foldAtOnce*foldRounds)
				for round := range foldRounds {
					first := round * foldAtOnce
					if c == oslc.Creation {
						first += foldAtOnce * foldRounds
					}
					batch := steps(offset, first, 1, c)
					offset += foldAtOnce
					b.StartTimer()
					begun := now()
					if err := v.Apply(b.Context(), benchPlace, batch); err != nil {
						b.Fatal(err)
					}
					s.add(begun, now(), foldAtOnce)
					b.StopTimer()
				}
			}
			s.report(b, "event")
			// Processor time says what one core can do while others use it too.
			b.ReportMetric(float64(s.n)/s.cpu.Seconds(), "events/cpu-s")
		})
	}
}
