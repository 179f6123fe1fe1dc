package oslcbus

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

type noExecutor struct{ adapters.Executor }

// TestExecutor_passes: what is for another tool is not read at all, but by the first
// executor, which sets aside what is damaged.
func TestExecutor_passes(t *testing.T) { // not parallel: it counts allocations
	e := &Engine{logger: slog.New(slog.DiscardHandler), metrics: newMetrics(prometheus.NewRegistry())}
	for _, name := range []string{"a", "b", "bus"} {
		e.providers = append(e.providers, &provider{name: name, adapter: adapters.Adapter{Executor: noExecutor{}}})
	}
	record := func(tool string) bus.Delivery {
		m := bus.Message{Key: "k", Value: []byte("no event")}
		if tool != "" {
			rec := bus.Record{Message: m}
			inOrder(&rec, &oslc.Request{Tool: tool, Target: "http://bus.example/services/x/y/1"})
			m = rec.Message
		}
		return bus.Delivery{Message: m}
	}
	for _, c := range []struct {
		who, target string
		letters     int
	}{
		{"a", "", 1},
		{"a", "a", 1},
		{"a", "b", 1},
		{"b", "", 0},
		{"b", "a", 0},
		{"b", "b", 0},
	} {
		x := &executor{Engine: e, p: e.connection(c.who)}
		out, err := x.handle(t.Context(), "bus_event", record(c.target))
		if err != nil || len(out) != c.letters {
			t.Errorf("%s makes of a damaged record for %q: %d letters, %v; want %d", c.who, c.target, len(out), err, c.letters)
		}
	}
	x, d := &executor{Engine: e, p: e.connection("b")}, record("a")
	if n := testing.AllocsPerRun(100, func() { _, _ = x.handle(t.Context(), "bus_event", d) }); n != 0 {
		t.Errorf("passing over a record for another allocates %v times", n)
	}
}
