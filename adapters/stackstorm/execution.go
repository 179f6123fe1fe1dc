package stackstorm

import (
	"hash/maphash"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// executions maps the documents of action_execution_d_b: an execution that runs is an
// AutomationRequest; when it has ended it is an AutomationResult as well (OSLC
// Automation 2.1 lets one resource be both). What it put out is not mapped: it may
// hold secrets that nobody declares, and has no bound. The steps of a workflow are its
// own affair and no resources.
type executions struct {
	collection mongodb.Collection
	provider   string
	rules      string // prefix of the URIs of rules
	requests   string // prefix of the URIs of our requests
	seed       maphash.Seed
}

const (
	executionsCollection = "action_execution_d_b"
	executionsKind       = "executions"
)

func newExecutions(database string, opts adapters.Options) *executions {
	return &executions{
		collection: mongodb.Collection{Database: database, Name: executionsCollection, Kind: executionsKind},
		provider:   oslc.ProviderURI(opts.BaseURL, opts.Name),
		rules:      opts.ResourceURI(rulesKind, ""),
		requests:   oslc.ResourceURI(opts.BaseURL, "bus", "requests", ""),
		seed:       maphash.MakeSeed(),
	}
}

// Collection says what is mapped.
func (x *executions) Collection() mongodb.Collection { return x.collection }

// Independent says that an execution has all in it that it is mapped from.
func (x *executions) Independent() {}

const warnStatus = "execution_status_unknown"

// progress is how far an execution with a status is. The first two statuses last for
// milliseconds: an execution is told of when it runs, or waits for long.
var progress = map[string]struct {
	none    bool
	state   oslc.State
	verdict oslc.Verdict // of one that has ended
}{
	"requested": {none: true},
	"scheduled": {none: true},
	"delayed":   {state: oslc.Queued},
	"running":   {state: oslc.InProgress},
	"pending":   {state: oslc.InProgress},
	"pausing":   {state: oslc.InProgress},
	"paused":    {state: oslc.InProgress},
	"resuming":  {state: oslc.InProgress},
	"canceling": {state: oslc.Canceling},
	"succeeded": {state: oslc.Complete, verdict: oslc.Passed},
	"failed":    {state: oslc.Complete, verdict: oslc.Failed},
	"timeout":   {state: oslc.Complete, verdict: oslc.Errored},
	"abandoned": {state: oslc.Complete, verdict: oslc.Errored},
	"canceled":  {state: oslc.Canceled, verdict: oslc.NoVerdict},
}

// Map maps an execution.
func (x *executions) Map(d mongodb.Doc, uri string, _ mongodb.References) (mongodb.Resource, error) {
	var res mongodb.Resource
	status := d.Str("status")
	at, known := progress[status]
	if at.none || d.Str("parent") != "" {
		return res, mongodb.ErrNone
	}
	if !known {
		at.state, res.Warnings = oslc.InProgress, []string{warnStatus}
	}
	id, ref := d.Lookup("_id"), d.Str("action.ref")
	title, page := ref, d.Str("web_url")
	if title == "" {
		title = id.Text()
	}
	if u, err := url.Parse(page); err != nil || u.Host == "" || strings.ContainsAny(page, " <>\"{}|\\^`") {
		page = ""
	}
	plan := vocab.St2RunAction
	if rule := d.Str("context.rule.id"); rule != "" {
		plan = x.rules + rule
	}
	res.Graph = new(rdf.Graph)
	n := res.Graph.Node(uri).
		A(vocab.AutoAutomationRequest, vocab.St2Execution).
		String(vocab.DCTermsIdentifier, id.Text()).
		String(vocab.DCTermsTitle, title).
		Link(vocab.OSLCServiceProvider, x.provider).
		Link(vocab.AutoExecutesAutomationPlan, plan).
		Link(vocab.AutoState, string(at.state)).
		String(vocab.St2ExecutionStatus, status).
		String(vocab.St2ActionRef, ref).
		String(vocab.BusRequester, d.Str("context.user")).
		Link(vocab.RDFSSeeAlso, page)
	if begun, ok := d.Int("start_timestamp"); ok {
		n.Time(vocab.DCTermsCreated, time.UnixMicro(begun))
	}
	if p := d.Lookup("parameters").Doc(); !p.IsEmpty() {
		own, inherited := d.Lookup("action.parameters").Doc(), d.Lookup("runner.runner_parameters").Doc()
		text := newMasker(x.seed).parameters(p, func(name string) declaration { return declared(name, own, inherited) })
		n.Add(vocab.St2ActionParameters, rdf.Typed(text, mongodb.JSONType))
	}
	if at.verdict != "" {
		n.A(vocab.AutoAutomationResult).
			Link(vocab.AutoReportsOnAutomationPlan, plan).
			Link(vocab.AutoProducedByAutomationRequest, uri).
			Link(vocab.AutoVerdict, string(at.verdict))
		if size, ok := d.Int("result_size"); ok {
			n.Int(vocab.St2ResultSize, size)
		}
	}
	return res, nil
}

// Types adds nothing: state and verdict tell an end from a beginning.
func (x *executions) Types(_, _ *rdf.Graph) []string { return nil }

// Cause returns the request of ours that began an execution, for every event of it.
func (x *executions) Cause(_, after mongodb.Doc) mongodb.Cause {
	c, id := untag(after.Str("context.trace_context.trace_tag"))
	if id == "" {
		return mongodb.Cause{}
	}
	c.Request = x.requests + id
	return c
}

// tag is the trace tag of the execution that a request begins. It says which request
// it was, how many led to it and by which way, and the trace.
func tag(r oslc.Request) string {
	return strings.Join([]string{r.ID, strconv.Itoa(r.Hops), strings.Join(r.Via, ","), r.Trace.Parent}, "/")
}

// tagged reports whether a trace tag is that of a request.
func tagged(tag any, request string) bool {
	text, _ := tag.(string)
	id, _, _ := strings.Cut(text, "/")
	return id == request
}

// untag reads a trace tag; those of others have no id.
func untag(text string) (c mongodb.Cause, id string) {
	parts := strings.Split(text, "/")
	if len(parts) != 4 || len(parts[0]) != 36 {
		return c, ""
	}
	hops, err := strconv.Atoi(parts[1])
	if err != nil {
		return c, ""
	}
	c.Hops, c.Trace = hops, oslc.ParseTrace(parts[3], "")
	c.Via = slices.DeleteFunc(strings.Split(parts[2], ","), func(s string) bool { return s == "" })
	return c, parts[0]
}

// executionShape describes an execution.
func executionShape() *shape.Shape {
	text := func(name, iri, occurs, help string) shape.Property {
		return shape.Property{Name: name, Definition: iri, Occurs: occurs, Description: help, ValueTypes: []string{rdf.XSDString}, Queryable: true, ReadOnly: true}
	}
	typed := func(p shape.Property, types ...string) shape.Property { p.ValueTypes = types; return p }
	link := func(name, iri, occurs, help string, classes ...string) shape.Property {
		p := text(name, iri, occurs, help)
		p.ValueTypes, p.Representation, p.Range = []string{shape.Resource}, shape.Reference, classes
		return p
	}
	return &shape.Shape{
		Title: "An execution in StackStorm", Describes: []string{vocab.AutoAutomationRequest, vocab.AutoAutomationResult, vocab.St2Execution},
		Properties: []shape.Property{
			typed(text("title", vocab.DCTermsTitle, shape.ExactlyOne, "The ref of the action"), rdf.XMLLiteral, rdf.XSDString),
			text("identifier", vocab.DCTermsIdentifier, shape.ExactlyOne, "The id in StackStorm"),
			typed(text("created", vocab.DCTermsCreated, shape.ZeroOrOne, "When it was asked for"), rdf.XSDDateTime),
			typed(text("modified", vocab.DCTermsModified, shape.ZeroOrOne, ""), rdf.XSDDateTime),
			link("state", vocab.AutoState, shape.OneOrMany, "How far it is", vocab.AutoStateClass),
			link("verdict", vocab.AutoVerdict, shape.ZeroOrMany, "How it ended", vocab.AutoVerdictClass),
			link("executesAutomationPlan", vocab.AutoExecutesAutomationPlan, shape.ExactlyOne, "The rule that began it, else that an action was run", vocab.AutoAutomationPlan),
			link("reportsOnAutomationPlan", vocab.AutoReportsOnAutomationPlan, shape.ZeroOrOne, "The same, once it has ended", vocab.AutoAutomationPlan),
			link("producedByAutomationRequest", vocab.AutoProducedByAutomationRequest, shape.ZeroOrOne, "The execution itself, once it has ended", vocab.AutoAutomationRequest),
			text("executionStatus", vocab.St2ExecutionStatus, shape.ExactlyOne, "StackStorm's own word"),
			text("actionRef", vocab.St2ActionRef, shape.ZeroOrOne, "What is run, such as core.local"),
			typed(text("actionParameters", vocab.St2ActionParameters, shape.ZeroOrOne, "A JSON object; ******** stands for a value that is not shown")),
			typed(text("resultSize", vocab.St2ResultSize, shape.ZeroOrOne, "How many bytes it put out, which stay in StackStorm"), rdf.XSDInteger),
			text("requester", vocab.BusRequester, shape.ZeroOrOne, "Whose execution it is, in StackStorm"),
			link("seeAlso", vocab.RDFSSeeAlso, shape.ZeroOrMany, "The execution in StackStorm's pages"),
			link("type", rdf.Type, shape.ZeroOrMany, ""),
			link("serviceProvider", vocab.OSLCServiceProvider, shape.ZeroOrMany, "", vocab.OSLCServiceProviderClass),
			link("instanceShape", vocab.OSLCInstanceShape, shape.ZeroOrOne, "", vocab.OSLCResourceShapeClass),
		},
	}
}
