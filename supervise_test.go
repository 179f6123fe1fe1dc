package oslcbus

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/oslcbus/oslcbus/bus"
)

// first is a log on which it is always the turn of who asks.
type first struct{ bus.Log }

func (first) Hold(ctx context.Context, _ string, fn func(context.Context) error) error {
	return fn(ctx)
}

// TestSupervise_keepsTheReason: while a component tries again, which may take a driver
// half a minute, its state still says why it had to.
func TestSupervise_keepsTheReason(t *testing.T) {
	t.Parallel()
	const name = "source st2"
	e := &Engine{log: first{}, status: newStatus(), logger: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	away := errors.New("no server answers")
	var seen []error
	e.supervise(ctx, name, func(ctx context.Context) error {
		err := e.hold(ctx, name, func(context.Context) error {
			seen = append(seen, e.status.of(name))
			return away
		})
		if len(seen) == 2 {
			stop()
		}
		return err
	})
	if len(seen) != 2 || !errors.Is(seen[0], errStarting) || errors.Is(seen[0], away) || !errors.Is(seen[1], errStarting) || !errors.Is(seen[1], away) {
		t.Errorf("the states were %q, want starting, and starting with the reason", seen)
	}
}
