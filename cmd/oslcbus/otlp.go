//go:build otlp

package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/oslc"
)

// lastSpans is how long the end of the program waits for a collector to take what is left.
const lastSpans = 3 * time.Second

// spans returns what sends spans to a collector, by OTLP over HTTP, as the variables
// OTEL_* of the OpenTelemetry specification say; nil when they name no collector. done
// sends what is left. It fails with kind Invalid where they ask for what there is not.
func spans(ctx context.Context, l *slog.Logger) (p trace.TracerProvider, done func(), err error) {
	const op = "otlp"
	if !collector() {
		return nil, func() {}, nil
	}
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"))
	if protocol != "" && !strings.HasPrefix(protocol, "http/") {
		return nil, nil, oslc.Errorf(op, oslc.Invalid, "OTEL_EXPORTER_OTLP_PROTOCOL is %q: spans go out by http/protobuf or http/json", protocol)
	}
	if e := cmp.Or(os.Getenv("OTEL_TRACES_EXPORTER"), "otlp"); e != "otlp" {
		return nil, nil, oslc.Errorf(op, oslc.Invalid, "OTEL_TRACES_EXPORTER is %q: there are otlp and none", e)
	}
	otel.SetErrorHandler(&exportErrors{log: l})
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, oslc.E(op, err, oslc.Invalid)
	}
	// What the environment says of the service counts more than what is known here.
	of, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "oslcbus"), attribute.String("service.version", buildVersion())),
		resource.WithFromEnv())
	if err != nil {
		return nil, nil, oslc.E(op, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err), oslc.Invalid)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(of), sdktrace.WithIDGenerator(oslcbus.SpanIDs{}))
	return provider, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpans)
		defer cancel()
		if err := provider.Shutdown(last); err != nil {
			l.WarnContext(ctx, "the last spans are not exported", "err", err)
		}
	}, nil
}

// exportErrors logs each new reason once; spans that cannot be sent are dropped.
type exportErrors struct {
	log  *slog.Logger
	mu   sync.Mutex
	last string
}

// Handle implements otel.ErrorHandler.
func (h *exportErrors) Handle(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if text := err.Error(); text != h.last {
		h.last = text
		h.log.WarnContext(context.Background(), "spans are not exported", "err", err)
	}
}
