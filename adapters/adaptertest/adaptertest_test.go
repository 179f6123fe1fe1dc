package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// A listSource tells a list of events, four at first and four later. Its faults are
// those that the suite must find.
type listSource struct {
	fault string
	state adapters.State
	log   *slog.Logger
	more  chan struct{}
}

const (
	listFirst, listAll = 4, 8
	listSecret         = "not-a-real-secret"
)

var errList = errors.New("list")

func (s *listSource) event(i int) *oslc.Event {
	e := &oslc.Event{
		ID: oslc.NewID("list", strconv.Itoa(i)), Change: oslc.Creation, Time: time.Unix(int64(1000+i), 0),
		Subject: "https://bus.example/list/" + strconv.Itoa(i), Listener: "https://bus.example/list#watcher",
	}
	if s.fault == "random ids" {
		e.ID = oslc.NewID("list", strconv.Itoa(i), fmt.Sprintf("%p", s), time.Now().String())
	}
	e.Resource = rdf.NewGraph()
	e.Resource.Node(e.Subject).String(vocab.DCTermsTitle, "t"+strconv.Itoa(i))
	switch s.fault {
	case "no time":
		e.Time = time.Time{}
	case "no resource":
		e.Resource = nil
	case "secret in a resource":
		e.Resource.Node(e.Subject).String(vocab.DCTermsDescription, "token "+listSecret)
	}
	return e
}

func (s *listSource) Run(ctx context.Context, from adapters.Cursor, emit adapters.Emit) error {
	if s.fault == "secret in a log" && s.log != nil {
		s.log.Debug("connect", "password", listSecret)
	}
	i := 0
	if from != nil {
		var err error
		if i, err = strconv.Atoi(string(from)); err != nil {
			if s.fault == "bad cursor is taken" {
				i = 0
			} else {
				return oslc.E("list.run", errList, oslc.Gone)
			}
		}
	}
	for {
		end := listFirst
		select {
		case <-s.more:
			end = listAll
		default:
		}
		var batch []adapters.Emission
		for ; i < end; i++ {
			at := i + 1
			if s.fault == "cursor one too far" {
				at++
			}
			e := s.event(i)
			if s.fault != "no comparison" && from == nil {
				if _, there, _ := s.state.Resource(ctx, e.Subject); there {
					e = nil
				}
			}
			batch = append(batch, adapters.Emission{Event: e, At: adapters.Cursor(strconv.Itoa(at))})
		}
		if s.fault == "batch cursor" && len(batch) > 0 {
			for j := range batch {
				batch[j].At = batch[len(batch)-1].At
			}
		}
		if len(batch) > 0 {
			err := emit(ctx, batch...)
			switch {
			case err == nil:
			case s.fault == "goes on after emit failed":
				<-ctx.Done()
				return ctx.Err()
			case s.fault == "wraps emit's error":
				return fmt.Errorf("list: %w", err)
			default:
				return err
			}
		}
		if end == listAll {
			if s.fault == "ignores its context" {
				<-make(chan struct{})
			}
			<-ctx.Done()
			return ctx.Err()
		}
		select {
		case <-s.more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func listConfig(fault string) SourceConfig {
	return SourceConfig{
		Events: listAll, Secrets: []string{listSecret}, Within: 500 * time.Millisecond,
		Tool: func(context.Context) (Tool, error) {
			more := make(chan struct{})
			return Tool{
				Open: func(state adapters.State, _ adapters.Cache, log *slog.Logger) (adapters.Source, error) {
					return &listSource{fault, state, log, more}, nil
				},
				Change: func(context.Context) error { close(more); return nil },
			}, nil
		},
	}
}

func TestSource_passesAGoodSource(t *testing.T) {
	t.Parallel()
	Source(t, listConfig(""))
}

// Each fault must be found by the check that is there for it.
func TestSource_findsFaults(t *testing.T) {
	t.Parallel()
	for fault, check := range map[string]string{
		"cursor one too far":        "ResumeAtEveryCut",
		"batch cursor":              "CrashAtEveryCut",
		"random ids":                "SameIDsInTwoRuns",
		"bad cursor is taken":       "BadCursorIsGone",
		"no comparison":             "AfterGoneOnlyDifferences",
		"goes on after emit failed": "EmitErrorStops",
		"wraps emit's error":        "EmitErrorStops",
		"ignores its context":       "StopsWithContext",
		"no time":                   "EmitsWhatThereIs",
		"no resource":               "EmitsWhatThereIs",
		"secret in a resource":      "TellsNoSecrets",
		"secret in a log":           "TellsNoSecrets",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			for _, c := range sourceChecks {
				if c.name != check {
					continue
				}
				err := c.run(t.Context(), listConfig(fault))
				if err == nil {
					t.Errorf("%s does not find it", check)
				}
				t.Log(err)
			}
		})
	}
}

// A counter is an executor on a tool that counts. Its faults are those that the
// suite must find.
type counter struct {
	fault string
	tool  *counted
	log   *slog.Logger
}

type counted struct {
	mu   sync.Mutex
	done map[string]int
	n    int
}

const countAction = "https://example.org/ns#Count"

func (c *counter) Execute(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	const op = "count.execute"
	if c.log != nil && c.fault == "secret in a log" {
		c.log.Info("call", "token", listSecret)
	}
	if r.Action != countAction && c.fault != "takes every action" {
		return oslc.Result{}, oslc.Errorf(op, oslc.Unsupported, "no action %s", r.Action)
	}
	if c.fault != "ignores its context" && ctx.Err() != nil {
		return oslc.Result{}, ctx.Err()
	}
	if r.Parameters["fail"] == true {
		kind := oslc.Denied
		if c.fault == "every failure is internal" {
			kind = oslc.Internal
		}
		text := "refused"
		if c.fault == "secret in an error" {
			text = "refused for " + listSecret
		}
		return oslc.Result{}, oslc.Errorf(op, kind, "%s", text)
	}
	key := r.ID
	switch c.fault {
	case "every call is a new one":
		key = time.Now().String()
	case "all requests are one":
		key = "one"
	case "remembers in memory only":
		key += fmt.Sprintf("%p", c)
	}
	c.tool.mu.Lock()
	n, again := c.tool.done[key]
	if again && c.fault != "looks before it locks" {
		c.tool.mu.Unlock()
		return c.result(r, n), nil
	}
	if c.fault == "looks before it locks" {
		c.tool.mu.Unlock()
		// The others look as well, before one of them has written.
		<-time.After(10 * time.Millisecond)
		c.tool.mu.Lock()
	}
	c.tool.n++
	c.tool.done[key] = c.tool.n
	n = c.tool.n
	c.tool.mu.Unlock()
	return c.result(r, n), nil
}

func (c *counter) result(r oslc.Request, n int) oslc.Result {
	return oslc.Result{Request: r.URI, Verdict: oslc.Passed, Key: strconv.Itoa(n)}
}

func countConfig(fault string) ExecutorConfig {
	return ExecutorConfig{
		Request:     oslc.Request{ID: oslc.NewID("a"), URI: "urn:x:a", Action: countAction},
		Failing:     oslc.Request{ID: oslc.NewID("b"), URI: "urn:x:b", Action: countAction, Parameters: map[string]any{"fail": true}},
		FailingKind: oslc.Denied,
		Secrets:     []string{listSecret},
		Tool: func(context.Context) (ExecutorTool, error) {
			tool := &counted{done: map[string]int{}}
			return ExecutorTool{
				Open: func(log *slog.Logger) (adapters.Executor, error) {
					return &counter{fault: fault, tool: tool, log: log}, nil
				},
				Effects: func() int {
					tool.mu.Lock()
					defer tool.mu.Unlock()
					return tool.n
				},
			}, nil
		},
	}
}

func TestExecutor_passesAGoodExecutor(t *testing.T) {
	t.Parallel()
	Executor(t, countConfig(""))
}

func TestExecutor_findsFaults(t *testing.T) {
	t.Parallel()
	for fault, check := range map[string]string{
		"every call is a new one":   "DoesItOnce",
		"remembers in memory only":  "DoesItOnceAfterARestart",
		"looks before it locks":     "DoesItOnceAtTheSameTime",
		"all requests are one":      "OtherRequestsAreOthers",
		"takes every action":        "UnknownActionIsUnsupported",
		"every failure is internal": "FailureHasItsKind",
		"ignores its context":       "EndedContext",
		"secret in an error":        "TellsNoSecrets",
		"secret in a log":           "TellsNoSecrets",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			for _, c := range executorChecks {
				if c.name != check {
					continue
				}
				err := c.run(t.Context(), countConfig(fault))
				if err == nil {
					t.Errorf("%s does not find it", check)
				}
				t.Log(err)
			}
		})
	}
}
