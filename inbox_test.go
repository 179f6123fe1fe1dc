package oslcbus_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

// boxed is a bus with a connection that does nothing but have an inbox.
type boxed struct {
	adapters.Inbox
	*rig
}

func (b *boxed) register() {
	b.registry = adapters.Registry{"boxed": func(_ func(any) error, opts adapters.Options) (adapters.Adapter, error) {
		b.Inbox = opts.Inbox
		return adapters.Adapter{Executor: idle{}}, nil
	}}
}

type idle struct{}

func (idle) Execute(context.Context, oslc.Request) (oslc.Result, error) { return oslc.Result{}, nil }

// TestInbox runs the suite of inboxes on a bus that is started again in between.
func TestInbox(t *testing.T) {
	t.Parallel()
	for name, yaml := range map[string]func(t *testing.T) func() string{
		"SQLite": func(*testing.T) func() string { return func() string { return "" } },
		"Kafka": func(t *testing.T) func() string {
			broker, n := testkit.Kafka(t), 0
			return func() string {
				n++
				own := fmt.Sprint(broker.Name, n, "_")
				return fmt.Sprintf("kafka: {brokers: [%q], prefix: %q, session_timeout: 6s, partitions: 2}\nrequests: {topic: %q}\n", broker.Addr, own, own+"bus_event")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := yaml(t)
			n := 0
			adaptertest.InboxSuite(t, adaptertest.InboxConfig{
				New: func(context.Context) (adapters.Inbox, error) {
					n++
					b := &boxed{rig: newRig(t, text()+fmt.Sprintf("connections: {box: {type: boxed, topic: \"%s_%d_box\"}}\n", testName(t), n))}
					b.register()
					b.launch()
					return b, nil
				},
				Reopen: func(_ context.Context, old adapters.Inbox) (adapters.Inbox, error) {
					b := old.(*boxed)
					b.halt()
					b.launch()
					return b, nil
				},
			})
		})
	}
}

// testName is the test's name as part of a topic, another one each time it runs.
func testName(t *testing.T) string {
	return fmt.Sprintf("t%x", oslc.NewID(t.Name(), t.TempDir())[:8])
}
