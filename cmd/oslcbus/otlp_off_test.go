//go:build !otlp

package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestOTLP_off: a build that exports no spans says so once, where a collector is named.
func TestOTLP_off(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        int
	}{
		{"OTEL_SERVICE_NAME", "bus", 0},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", 1},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:4318/v1/traces", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			var out, log bytes.Buffer
			code := run(t.Context(), &program{strings.NewReader(""), &out, &log}, []string{"demo", "-script", "-listen", "127.0.0.1:0", "-log", "warn"})
			if n := strings.Count(log.String(), "-tags otlp"); code != exitOK || n != c.want {
				t.Errorf("exit code %d, told %d times, want %d: %s", code, n, c.want, log.String())
			}
		})
	}
}
