package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
)

// renamedLog reads one topic under the name of another, as if that had been
// deleted and made anew.
type renamedLog struct {
	bus.Log
	from, to string
}

func (l renamedLog) Open(ctx context.Context, topic string, from bus.From) (bus.Reader, error) {
	if topic == l.from {
		topic = l.to
	}
	return l.Log.Open(ctx, topic, from)
}

// TestStageLost: a stage knows a topic that was made anew by the record before
// its place, whether the new one is shorter, as long, or longer. It does not go on
// by itself, and begins at the oldest record where it is told to.
func TestStageLost(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"shorter": 3, "as long": 10, "longer": 25} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openLog(t)
			fill(t, l, 10, 1)
			stage := &bus.Stage{
				Log: l, Name: "s", Inputs: []string{"in"}, Outputs: []string{"out"},
				Handle: func(_ context.Context, _ string, d bus.Delivery) ([]bus.Record, error) {
					m := bus.Message{Key: d.Key, Value: []byte(d.ID())}
					m.Header.Set("ce_id", "out-"+d.ID())
					return []bus.Record{{Topic: "out", Message: m}}, nil
				},
			}
			run := func(want int64) error {
				t.Helper()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- stage.Run(ctx) }()
				if err := waitFor(done, func() bool { end, _ := l.End(t.Context(), "out"); return end[0] >= want }); err != nil {
					return err
				}
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					return err
				}
				return nil
			}
			if err := run(10); err != nil {
				t.Fatal(err)
			}
			p, err := l.Own(t.Context(), "filler2", "new")
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			for i := range n {
				m, err := bus.Encode(event(100+i, 0), "http://bus.example/services/tool", format.Turtle)
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Append(t.Context(), bus.Record{Topic: "new", Message: m}); err != nil {
					t.Fatal(err)
				}
			}
			stage.Log = renamedLog{l, "in", "new"}
			if err := run(11); !errors.Is(err, oslc.Gone) {
				t.Fatalf("on another topic: got %v, want kind gone", err)
			}
			if end, _ := l.End(t.Context(), "out"); end[0] != 10 {
				t.Fatalf("%d records were written before anybody said so", end[0]-10)
			}
			lost := ""
			stage.Lost = func(_ context.Context, topic string, _ error) error { lost = topic; return nil }
			if err := run(int64(10 + n)); err != nil {
				t.Fatal(err)
			}
			if lost != "in" {
				t.Errorf("the topic that was lost is %q", lost)
			}
			for i, d := range readAll(t, l, "out") {
				want := oslc.NewID("bus", fmt.Sprint(i))
				if i >= 10 {
					want = oslc.NewID("bus", fmt.Sprint(90+i))
				}
				if string(d.Value) != want {
					t.Errorf("output %d is of %s, want %s", i, d.Value, want)
				}
			}
			// And it goes on from there.
			stage.Lost = nil
			m, err := bus.Encode(event(999, 0), "http://bus.example/services/tool", format.Turtle)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Append(t.Context(), bus.Record{Topic: "new", Message: m}); err != nil {
				t.Fatal(err)
			}
			if err := run(int64(11 + n)); err != nil {
				t.Fatal(err)
			}
		})
	}
}
