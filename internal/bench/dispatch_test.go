package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

const (
	dispatchTakes    = 50 * time.Millisecond // of each call of the tool
	dispatchRequests = 2000
)

// A slowTool has changes when it is told to, and answers each call after its time.
type slowTool struct {
	more chan int // how many changes to make

	mu   sync.Mutex
	left int
	all  chan struct{}
}

func (s *slowTool) Run(ctx context.Context, _ adapters.Cursor, emit adapters.Emit) error {
	if err := emit(ctx); err != nil {
		return err
	}
	at := 0
	for {
		select {
		case n := <-s.more:
			batch := make([]adapters.Emission, n)
			for i := range batch {
				at++
				uri := oslc.ResourceURI("http://bus.example", "slow", "things", fmt.Sprint(at))
				g := rdf.NewGraph()
				g.Node(uri).A(vocab.CMChangeRequest).String(vocab.DCTermsTitle, fmt.Sprint("thing ", at))
				batch[i] = adapters.Emission{At: fmt.Append(nil, at), Event: &oslc.Event{
					ID: oslc.NewID("slow", fmt.Sprint(at)), Change: oslc.Creation, Subject: uri, Listener: "http://bus.example/services/slow#watcher",
					Time: time.Now(), Resource: g,
				}}
			}
			if err := emit(ctx, batch...); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *slowTool) Execute(ctx context.Context, _ oslc.Request) (oslc.Result, error) {
	select {
	case <-time.After(dispatchTakes):
	case <-ctx.Done():
		return oslc.Result{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left == 0 {
		close(s.all)
	}
	return oslc.Result{}, nil
}

// BenchmarkDispatch measures how many requests a second a bus on the embedded log gets
// done that each keep a tool busy for 50 ms, from the changes that rules answer to the
// last call's end. "of-ideal" is the part of what so many calls at once could do at most.
func BenchmarkDispatch(b *testing.B) {
	for _, parallel := range []int{4, 16, 64} {
		b.Run(fmt.Sprint(parallel, " at once"), func(b *testing.B) {
			tool := &slowTool{more: make(chan int)}
			stop := startBus(b, fmt.Sprintf(`
connections:
  slow: {type: slow, parallel: %d}
rules:
  - {name: note, on: {provider: slow}, do: {tool: slow, action: note}}
`, parallel), adapters.Registry{"slow": func(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
				return adapters.Adapter{
					Provider: oslc.ServiceProvider{Name: opts.Name}, Source: tool, Executor: tool,
					Actions: []oslc.Action{{Name: "note", IRI: "http://bus.example/ns#Note", Title: "Note"}},
				}, decode(&struct{}{})
			}}, nil)
			defer stop()
			n := min(dispatchRequests, parallel*50)
			var s spent
			b.ResetTimer()
			for range b.N {
				tool.mu.Lock()
				tool.left, tool.all = n, make(chan struct{})
				tool.mu.Unlock()
				begun := now()
				tool.more <- n
				wait(b, tool.all, "the calls")
				s.add(begun, now(), n)
			}
			s.report(b, "request")
			b.ReportMetric(s.rate()*dispatchTakes.Seconds()/float64(parallel), "of-ideal")
		})
	}
}
