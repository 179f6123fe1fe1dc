package bench

import (
	"slices"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/internal/testkit"
)

// usage is the time and the processor time of this process at some moment.
type usage struct {
	at  time.Time
	cpu time.Duration
}

func now() usage {
	cpu, _ := testkit.Usage()
	return usage{time.Now(), cpu}
}

// spent is what a number of things took.
type spent struct {
	took, cpu time.Duration
	n         int
}

func (s *spent) add(begun, ended usage, n int) {
	s.took += ended.at.Sub(begun.at)
	s.cpu += ended.cpu - begun.cpu
	s.n += n
}

// rate is how many things were done in a second.
func (s *spent) rate() float64 { return float64(s.n) / s.took.Seconds() }

// report shows the rate and the processor time of this process for each thing.
func (s *spent) report(b *testing.B, thing string) {
	b.Helper()
	b.ReportMetric(s.rate(), thing+"s/s")
	b.ReportMetric(float64(s.cpu.Nanoseconds())/1000/float64(s.n), "cpu-µs/"+thing)
	b.ReportMetric(0, "ns/op")
}

// quantile returns the value below which the part q of the durations lies, in
// milliseconds. It sorts them.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[min(len(d)-1, int(q*float64(len(d))))].Microseconds()) / 1000
}
