package oslc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// State is how far a request got (oslc_auto:state).
type State string

// The states of OSLC Automation 2.1 section on states.
const (
	New        State = vocab.AutoNew
	Queued     State = vocab.AutoQueued
	InProgress State = vocab.AutoInProgress
	Canceling  State = vocab.AutoCanceling
	Canceled   State = vocab.AutoCanceled
	Complete   State = vocab.AutoComplete
)

// Verdict is how a request ended (oslc_auto:verdict).
type Verdict string

// The verdicts of OSLC Automation 2.1.
const (
	NoVerdict Verdict = vocab.AutoUnavailable // none yet
	Passed    Verdict = vocab.AutoPassed
	Warning   Verdict = vocab.AutoWarning // done, with something to look at
	Failed    Verdict = vocab.AutoFailed  // the tool said no
	Errored   Verdict = vocab.AutoError   // it did not run properly
)

// A Request asks a tool to perform one of its actions, because of an event or
// because somebody asked (oslc_auto:AutomationRequest).
type Request struct {
	// ID is a UUID; the same event and rule always give the same one. Executors
	// recognise a repeat by it.
	ID string
	// URI is the request's own address on the bus.
	URI   string
	Title string
	// Tool is the name of the connection that has the Executor.
	Tool string
	// Action is the IRI of the action's class.
	Action string
	// Target is the URI of the resource that it is about, or empty.
	Target string
	// Event is the URI of the event that caused it, or empty.
	Event string
	// Rule is the name of the rule that asked, or empty.
	Rule string
	// By is the name of who asked, empty for a rule.
	By string
	// Hops counts the requests that led to this one, itself included.
	Hops int
	// Via are the names of the connections whose changes led to this request. An
	// executor hands them on, with URI and Hops, to what it changes, if the tool has
	// a place for that: the tool's source then knows whose change it sees.
	Via     []string
	Created time.Time
	State   State
	// Trace is the chain of causes that the request belongs to.
	Trace Trace
	// Desired is the state that somebody wants the request to reach: Canceled, or
	// empty. CanceledBy is the name of who wants that.
	Desired    State
	CanceledBy string
	// MaybeDoneAt is when somebody else, or an earlier attempt whose answer was
	// lost, may last have carried this out; zero when nobody can have. It is not
	// part of the graph.
	MaybeDoneAt time.Time
	// Parameters are the values for the action: nil, string, bool, int64,
	// float64, []any and map[string]any, as JSON has them.
	Parameters map[string]any
}

// A Result says how a request ended (oslc_auto:AutomationResult).
type Result struct {
	// Request is the URI of the request.
	Request string
	// State is Complete, which empty stands for, or Canceled.
	State   State
	Verdict Verdict
	// Message says for people what happened; for a failure, in the tool's words.
	Message string
	// Created is the address of what the action made or changed, or empty.
	Created string
	// Key is the tool's own name for that, such as "DEMO-1", or empty.
	Key string
	// Attempts is how often the tool was called.
	Attempts int
	Finished time.Time
	// Outputs are further values for later steps. OutputError among them is the
	// name of the Kind that made a request fail.
	Outputs map[string]any
}

// OutputError is the output that tells why a request failed.
const OutputError = "error"

// Failure returns the error that made the request fail, nil for a success. One that
// was canceled has kind Conflict.
func (r *Result) Failure() error {
	if r.State == Canceled {
		return &Error{Kind: Conflict, Err: errors.New(r.Message)}
	}
	if r.Verdict != Failed && r.Verdict != Errored {
		return nil
	}
	kind := Invalid
	for k := range kinds {
		if kinds[k].name == r.Outputs[OutputError] {
			kind = Kind(k)
		}
	}
	return &Error{Kind: kind, Err: errors.New(r.Message)}
}

// jsonType marks a parameter value that only JSON can hold (JSON-LD 1.1, 10.2).
const jsonType = rdf.NS + "JSON"

// Graph returns the request as an AutomationRequest.
func (r *Request) Graph() *rdf.Graph {
	g := rdf.NewGraph()
	state := r.State
	if state == "" {
		state = New
	}
	title := r.Title
	if title == "" {
		title = r.Tool + " " + r.Action
	}
	n := g.Node(r.URI).
		A(vocab.AutoAutomationRequest).
		String(vocab.DCTermsIdentifier, r.ID).
		String(vocab.DCTermsTitle, title).
		Time(vocab.DCTermsCreated, r.Created).
		Link(vocab.AutoState, string(state)).
		Link(vocab.AutoDesiredState, string(r.Desired)).
		String(vocab.BusCanceledBy, r.CanceledBy).
		Link(vocab.AutoExecutesAutomationPlan, r.Action).
		String(vocab.BusTool, r.Tool).
		Link(vocab.BusTarget, r.Target).
		Link(vocab.BusEvent, r.Event).
		String(vocab.BusRule, r.Rule).
		String(vocab.BusRequester, r.By).
		Int(vocab.BusHops, int64(r.Hops)).
		String(vocab.BusVia, r.Via...).
		String(vocab.BusTraceparent, r.Trace.Parent).
		String(vocab.BusTracestate, r.Trace.State)
	addParameters(g, n, vocab.AutoInputParameter, "p", r.Parameters)
	return g
}

// ParseRequest reads the AutomationRequest that uri names. It fails with kind
// Invalid when it lacks what an Executor needs.
func ParseRequest(g *rdf.Graph, uri string) (Request, error) {
	const op = "oslc.parse_request"
	s := rdf.NewIRI(uri)
	if !g.IsA(s, vocab.AutoAutomationRequest) {
		return Request{}, Errorf(op, Invalid, "<%s> is no oslc_auto:AutomationRequest", uri)
	}
	r := Request{
		ID:     g.Value(s, vocab.DCTermsIdentifier),
		URI:    uri,
		Title:  g.Value(s, vocab.DCTermsTitle),
		Tool:   g.Value(s, vocab.BusTool),
		Action: g.Value(s, vocab.AutoExecutesAutomationPlan),
		Target: g.Value(s, vocab.BusTarget),
		Event:  g.Value(s, vocab.BusEvent),
		Rule:   g.Value(s, vocab.BusRule),
		By:     g.Value(s, vocab.BusRequester),
		State:  State(g.Value(s, vocab.AutoState)),

		Desired:    State(g.Value(s, vocab.AutoDesiredState)),
		CanceledBy: g.Value(s, vocab.BusCanceledBy),
		Trace:      ParseTrace(g.Value(s, vocab.BusTraceparent), g.Value(s, vocab.BusTracestate)),
	}
	r.Created, _ = g.Object(s, vocab.DCTermsCreated).Time()
	hops, _ := g.Object(s, vocab.BusHops).Int()
	r.Hops = int(hops)
	for _, v := range g.Objects(s, vocab.BusVia) {
		r.Via = append(r.Via, v.Value)
	}
	if r.ID == "" || r.Tool == "" || r.Action == "" {
		return Request{}, Errorf(op, Invalid, "<%s> lacks identifier, tool or action", uri)
	}
	var err error
	if r.Parameters, err = parseParameters(g, s, vocab.AutoInputParameter); err != nil {
		return Request{}, E(op, fmt.Errorf("<%s>: %w", uri, err), Invalid)
	}
	return r, nil
}

// Graph returns the result as an AutomationResult with the given URI, of a
// request that asked for action.
func (r *Result) Graph(uri, id, title, action string) *rdf.Graph {
	g := rdf.NewGraph()
	state := r.State
	if state == "" {
		state = Complete
	}
	n := g.Node(uri).
		A(vocab.AutoAutomationResult).
		String(vocab.DCTermsIdentifier, id).
		String(vocab.DCTermsTitle, title).
		String(vocab.DCTermsDescription, r.Message).
		Time(vocab.DCTermsCreated, r.Finished).
		Link(vocab.AutoReportsOnAutomationPlan, action).
		Link(vocab.AutoProducedByAutomationRequest, r.Request).
		Link(vocab.AutoState, string(state)).
		Link(vocab.AutoVerdict, string(r.Verdict)).
		Link(vocab.DCTermsReferences, r.Created).
		String(vocab.BusExternalKey, r.Key).
		Int(vocab.BusAttempt, int64(r.Attempts))
	addParameters(g, n, vocab.AutoOutputParameter, "o", r.Outputs)
	return g
}

// ParseResult reads the AutomationResult that uri names.
func ParseResult(g *rdf.Graph, uri string) (Result, error) {
	const op = "oslc.parse_result"
	s := rdf.NewIRI(uri)
	if !g.IsA(s, vocab.AutoAutomationResult) {
		return Result{}, Errorf(op, Invalid, "<%s> is no oslc_auto:AutomationResult", uri)
	}
	r := Result{
		Request: g.Value(s, vocab.AutoProducedByAutomationRequest),
		State:   State(g.Value(s, vocab.AutoState)),
		Verdict: Verdict(g.Value(s, vocab.AutoVerdict)),
		Message: g.Value(s, vocab.DCTermsDescription),
		Created: g.Value(s, vocab.DCTermsReferences),
		Key:     g.Value(s, vocab.BusExternalKey),
	}
	r.Finished, _ = g.Object(s, vocab.DCTermsCreated).Time()
	attempts, _ := g.Object(s, vocab.BusAttempt).Int()
	r.Attempts = int(attempts)
	var err error
	if r.Outputs, err = parseParameters(g, s, vocab.AutoOutputParameter); err != nil {
		return Result{}, E(op, fmt.Errorf("<%s>: %w", uri, err), Invalid)
	}
	return r, nil
}

// addParameters adds one ParameterInstance a value, by name, so that the same
// values give the same graph.
func addParameters(g *rdf.Graph, n rdf.Node, predicate, label string, values map[string]any) {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		b := rdf.NewBlank(label + strconv.Itoa(i))
		n.Add(predicate, b)
		g.NodeOf(b).A(vocab.AutoParameterInstance).
			String(vocab.OSLCName, name).
			Add(rdf.NS+"value", parameterTerm(values[name]))
	}
}

func parameterTerm(v any) rdf.Term {
	switch v := v.(type) {
	case string:
		return rdf.String(v)
	case bool:
		return rdf.Bool(v)
	case int:
		return rdf.Int(int64(v))
	case int64:
		return rdf.Int(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		// Only values that JSON knows are allowed in Parameters.
		b = []byte("null")
	}
	return rdf.Typed(string(b), jsonType)
}

func parseParameters(g *rdf.Graph, s rdf.Term, predicate string) (map[string]any, error) {
	nodes := g.Objects(s, predicate)
	if len(nodes) == 0 {
		return nil, nil
	}
	out := make(map[string]any, len(nodes))
	for _, p := range nodes {
		name := g.Value(p, vocab.OSLCName)
		if name == "" {
			return nil, fmt.Errorf("a parameter has no oslc:name")
		}
		v, err := ParameterValue(g.Object(p, rdf.NS+"value"))
		if err != nil {
			return nil, fmt.Errorf("parameter %q: %w", name, err)
		}
		out[name] = v
	}
	return out, nil
}

// ParameterValue returns the value of a parameter that a term stands for.
func ParameterValue(t rdf.Term) (any, error) {
	switch t.Datatype {
	case jsonType:
		var v any
		err := json.Unmarshal([]byte(t.Value), &v)
		return v, err
	case rdf.XSDBoolean:
		if b, ok := t.Bool(); ok {
			return b, nil
		}
		return nil, fmt.Errorf("%q is no boolean", t.Value)
	case rdf.XSDInteger:
		if i, ok := t.Int(); ok {
			return i, nil
		}
		return nil, fmt.Errorf("%q is no integer", t.Value)
	}
	return t.Value, nil
}

// Final reports whether nothing more can happen to a request in this state.
func (s State) Final() bool { return slices.Contains([]State{Complete, Canceled}, s) }
