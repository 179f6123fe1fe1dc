package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// An ExecutorConfig is an executor under test, on a tool of its own.
type ExecutorConfig struct {
	// Tool returns a new tool and how to open executors on it.
	Tool func(ctx context.Context) (ExecutorTool, error)
	// Request is one that succeeds.
	Request oslc.Request
	// Failing is one that the tool refuses, with an error of FailingKind; with an
	// empty ID the check is left out.
	Failing     oslc.Request
	FailingKind oslc.Kind
	// Secrets must not appear in results, errors or logs.
	Secrets []string
}

// An ExecutorTool is a tool that an executor acts on in a test.
type ExecutorTool struct {
	// Open returns the executor as a program that starts would make it.
	Open func(log *slog.Logger) (adapters.Executor, error)
	// Effects returns how often the tool did something so far.
	Effects func() int
}

// Executor checks that an executor keeps the contract of adapters.Executor.
func Executor(t *testing.T, cfg ExecutorConfig) {
	t.Helper()
	for _, c := range executorChecks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		})
	}
}

type executorCheck struct {
	name string
	run  func(context.Context, ExecutorConfig) error
}

var executorChecks = []executorCheck{
	{"DoesItOnce", checkOnce},
	{"DoesItOnceAfterARestart", checkOnceAfterRestart},
	{"DoesItOnceAtTheSameTime", checkOnceAtTheSameTime},
	{"OtherRequestsAreOthers", checkOthers},
	{"UnknownActionIsUnsupported", checkUnsupported},
	{"FailureHasItsKind", checkFailure},
	{"EndedContext", checkEndedContext},
	{"TellsNoSecrets", checkExecutorSecrets},
}

func (cfg ExecutorConfig) open(ctx context.Context, log *slog.Logger) (ExecutorTool, adapters.Executor, error) {
	tool, err := cfg.Tool(ctx)
	if err != nil {
		return tool, nil, err
	}
	x, err := tool.Open(log)
	return tool, x, err
}

// sameOutcome compares what two calls report. How often the tool was called, when
// it ended and the words for people may differ.
func sameOutcome(a, b oslc.Result) bool {
	return a.Request == b.Request && a.Verdict == b.Verdict && a.Created == b.Created && a.Key == b.Key &&
		reflect.DeepEqual(a.Outputs, b.Outputs)
}

func wantEffects(tool ExecutorTool, want int) error {
	if n := tool.Effects(); n != want {
		return fmt.Errorf("the tool did something %d times, want %d", n, want)
	}
	return nil
}

func twice(ctx context.Context, cfg ExecutorConfig, again func(ExecutorTool, adapters.Executor) (adapters.Executor, error)) error {
	tool, x, err := cfg.open(ctx, nil)
	if err != nil {
		return err
	}
	first, err := x.Execute(ctx, cfg.Request)
	if err != nil {
		return fmt.Errorf("the request fails: %w", err)
	}
	if first.Verdict != oslc.Passed && first.Verdict != oslc.Warning {
		return fmt.Errorf("the verdict is %q, want passed", first.Verdict)
	}
	if x, err = again(tool, x); err != nil {
		return err
	}
	second, err := x.Execute(ctx, cfg.Request)
	if err != nil {
		return fmt.Errorf("the request fails when it comes again: %w", err)
	}
	if !sameOutcome(first, second) {
		return fmt.Errorf("the second outcome is %+v, want the first: %+v", second, first)
	}
	return wantEffects(tool, 1)
}

func checkOnce(ctx context.Context, cfg ExecutorConfig) error {
	return twice(ctx, cfg, func(_ ExecutorTool, x adapters.Executor) (adapters.Executor, error) { return x, nil })
}

func checkOnceAfterRestart(ctx context.Context, cfg ExecutorConfig) error {
	return twice(ctx, cfg, func(t ExecutorTool, _ adapters.Executor) (adapters.Executor, error) { return t.Open(nil) })
}

func checkOnceAtTheSameTime(ctx context.Context, cfg ExecutorConfig) error {
	tool, x, err := cfg.open(ctx, nil)
	if err != nil {
		return err
	}
	const callers = 8
	var wg sync.WaitGroup
	results, errs := make([]oslc.Result, callers), make([]error, callers)
	for i := range callers {
		wg.Go(func() { results[i], errs[i] = x.Execute(ctx, cfg.Request) })
	}
	wg.Wait()
	for i := range callers {
		if errs[i] != nil {
			return fmt.Errorf("one of %d calls at once fails: %w", callers, errs[i])
		}
		if !sameOutcome(results[0], results[i]) {
			return fmt.Errorf("calls at once differ: %+v and %+v", results[0], results[i])
		}
	}
	return wantEffects(tool, 1)
}

func checkOthers(ctx context.Context, cfg ExecutorConfig) error {
	tool, x, err := cfg.open(ctx, nil)
	if err != nil {
		return err
	}
	for _, id := range []string{cfg.Request.ID, oslc.NewID("adaptertest", cfg.Request.ID)} {
		r := cfg.Request
		r.ID = id
		if _, err := x.Execute(ctx, r); err != nil {
			return fmt.Errorf("request %s fails: %w", id, err)
		}
	}
	return wantEffects(tool, 2)
}

func checkUnsupported(ctx context.Context, cfg ExecutorConfig) error {
	tool, x, err := cfg.open(ctx, nil)
	if err != nil {
		return err
	}
	r := cfg.Request
	r.Action = "https://example.org/ns#NoSuchAction"
	if _, err := x.Execute(ctx, r); !errors.Is(err, oslc.Unsupported) {
		return fmt.Errorf("an action that is not known gives %w, want kind unsupported", err)
	}
	return wantEffects(tool, 0)
}

func checkFailure(ctx context.Context, cfg ExecutorConfig) error {
	if cfg.Failing.ID == "" {
		return nil
	}
	tool, x, err := cfg.open(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := x.Execute(ctx, cfg.Failing); err == nil || oslc.KindOf(err) != cfg.FailingKind {
		return fmt.Errorf("the refused request gives %w, want kind %s", err, cfg.FailingKind.String())
	}
	return wantEffects(tool, 0)
}

func checkEndedContext(ctx context.Context, cfg ExecutorConfig) error {
	tool, x, err := cfg.open(ctx, nil)
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := x.Execute(ended, cfg.Request); err == nil {
		return errors.New("a context that ended does not stop the request")
	}
	return wantEffects(tool, 0)
}

func checkExecutorSecrets(ctx context.Context, cfg ExecutorConfig) error {
	var log lockedBuffer
	_, x, err := cfg.open(ctx, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		return err
	}
	var said strings.Builder
	requests := []oslc.Request{cfg.Request}
	if cfg.Failing.ID != "" {
		requests = append(requests, cfg.Failing)
	}
	for _, r := range requests {
		result, err := x.Execute(ctx, r)
		fmt.Fprintf(&said, "%+v %v\n", result, err)
	}
	said.WriteString(log.String())
	for _, secret := range cfg.Secrets {
		if strings.Contains(said.String(), secret) {
			return fmt.Errorf("a secret of %d characters appears in what the executor says", len(secret))
		}
	}
	return nil
}
