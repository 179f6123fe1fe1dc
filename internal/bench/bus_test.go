package bench

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime/debug"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// TestMain collects garbage as often as the program does, unless GOGC says
// otherwise.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
	os.Exit(m.Run())
}

// startBus runs a bus with a new data folder until stop is called. The
// configuration's text says nothing of where the bus listens.
func startBus(b *testing.B, text string, registry adapters.Registry, observe func(string, *oslc.Event)) (stop func()) {
	b.Helper()
	cfg, err := oslcbus.ParseConfig("bench.yml", []byte(text), oslcbus.ConfigOptions{})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	cfg.Data = b.TempDir()
	cfg.Listen, cfg.BaseURL = ln.Addr().String(), "http://"+ln.Addr().String()
	reg := prometheus.NewRegistry()
	e, err := oslcbus.New(cfg, oslcbus.Options{
		Adapters: registry, Listener: ln, Registerer: reg, Gatherer: reg, Observe: observe,
	})
	if err != nil {
		_ = ln.Close()
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	return func() {
		b.Helper()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			b.Errorf("the bus ended with %v", err)
		}
	}
}
