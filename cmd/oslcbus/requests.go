package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

func requestsCommands() []command {
	return []command{
		{
			"requests create", "ask a tool for one of its actions, and say what became of it",
			"[-url URL] [-token-file FILE] [-tool NAME] [-on URI] [-key KEY] [-wait TIME] [-o text|json] ACTION [name=text|name:=json ...]", requestsCreate,
		},
		{
			"requests list", "list what was asked for, newest first, and how it ended",
			"[-url URL] [-token-file FILE] [-where CONDITION] [-limit N] [-o text|json]", requestsList,
		},
		{
			"requests cancel", "have a request not carried out, or stopped where its tool can",
			"[-url URL] [-token-file FILE] [-wait TIME] [-o text|json] URI|ID", requestsCancel,
		},
		{"requests show", "show a request and its result in Turtle", "[-url URL] [-token-file FILE] URI|ID", requestsShow},
	}
}

func requests(ctx context.Context, p *program, args []string) error {
	return subcommands(ctx, p, "requests", requestsCommands(), args)
}

// parameter reads name=text or name:=json.
func parameter(arg string) (name string, value rdf.Term, err error) {
	name, text, ok := strings.Cut(arg, "=")
	if !ok || name == "" || name == ":" {
		return "", value, oslc.Errorf("requests", oslc.Invalid, "%q is no parameter: write name=text, or name:=json", arg)
	}
	name, isJSON := strings.CutSuffix(name, ":")
	if !isJSON {
		return name, rdf.String(text), nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "", value, oslc.Errorf("requests", oslc.Invalid, "%s: %q is no JSON: %v", name, text, err)
	}
	switch v := v.(type) {
	case string:
		return name, rdf.String(v), nil
	case bool:
		return name, rdf.Bool(v), nil
	case float64:
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return name, rdf.Int(i), nil
		}
	}
	return name, rdf.Typed(text, rdf.NS+"JSON"), nil
}

func requestsCreate(ctx context.Context, p *program, args []string) error {
	f := flags(p, "requests create")
	newClient := clientFlags(f)
	tool := f.String("tool", "", "`name` of the connection; needed where several have the action")
	on := f.String("on", "", "`URI` of the resource that it is about")
	key := f.String("key", "", "`key` of the request: the same key is the same request")
	wait := f.Duration("wait", 30*time.Second, "how long to wait for the result")
	o := outputFlag(f)
	if err := parseFlags(f, args); err != nil {
		return err
	}
	if f.NArg() == 0 {
		fmt.Fprintf(f.Output(), "oslcbus requests create: want an ACTION, such as st2:DisableRuleAction\n")
		f.Usage()
		return errUsage
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	action := f.Arg(0)
	if full, ok := rdf.Expand(action); ok {
		action = full
	}
	g := rdf.NewGraph()
	n := g.NodeOf(rdf.NewBlank("r")).A(vocab.AutoAutomationRequest).Link(vocab.AutoExecutesAutomationPlan, action).
		String(vocab.BusTool, *tool).Link(vocab.BusTarget, *on)
	for i, arg := range f.Args()[1:] {
		name, value, err := parameter(arg)
		if err != nil {
			return err
		}
		b := rdf.NewBlank("p" + strconv.Itoa(i))
		n.Add(vocab.AutoInputParameter, b)
		g.NodeOf(b).A(vocab.AutoParameterInstance).String(vocab.OSLCName, name).Add(rdf.NS+"value", value)
	}
	body, err := format.Append(nil, g, format.Turtle)
	if err != nil {
		return oslc.E("requests", err, oslc.Invalid)
	}
	header := []string{"Prefer", "wait=" + strconv.Itoa(int(wait.Seconds()))}
	if *key != "" {
		header = append(header, "Idempotency-Key", *key)
	}
	a, err := c.do(ctx, http.MethodPost, "/actions", format.Turtle.MediaType(), format.NTriples.MediaType(), body, header...)
	if err != nil {
		if a != nil && a.header.Get("Location") != "" {
			fmt.Fprintln(p.err, "request:", a.header.Get("Location"))
		}
		return err
	}
	g, err = a.graph()
	if err != nil {
		return oslc.E("requests", err, oslc.Unavailable)
	}
	row := rowOf(g, rdf.NewIRI(a.header.Get("Location")))
	for _, s := range g.OfType(vocab.AutoAutomationResult) {
		row.result(g, s)
	}
	return show(p, *o, []asked{row})
}

// States in which a request has its result.
const (
	stateComplete = "complete"
	stateCanceled = "canceled"
)

// An asked is a request as lists show it.
type asked struct {
	URI     string `json:"uri"`
	Action  string `json:"action"`
	Tool    string `json:"tool"`
	Target  string `json:"target,omitempty"`
	By      string `json:"by,omitempty"`
	Created string `json:"created"`
	State   string `json:"state"`
	Verdict string `json:"verdict,omitempty"`
	Message string `json:"message,omitempty"`
	Made    string `json:"made,omitempty"`
}

func rowOf(g *rdf.Graph, s rdf.Term) asked {
	by := g.Value(s, vocab.BusRequester)
	if rule := g.Value(s, vocab.BusRule); rule != "" {
		by = "rule " + rule
	}
	return asked{
		URI: s.Value, Action: shorten(g.Value(s, vocab.AutoExecutesAutomationPlan)), Tool: g.Value(s, vocab.BusTool),
		Target: g.Value(s, vocab.BusTarget), By: by, Created: g.Value(s, vocab.DCTermsCreated),
		State: strings.TrimPrefix(g.Value(s, vocab.AutoState), vocab.Auto),
	}
}

func (r *asked) result(g *rdf.Graph, s rdf.Term) {
	r.Verdict = strings.TrimPrefix(g.Value(s, vocab.AutoVerdict), vocab.Auto)
	r.Message, r.Made = g.Value(s, vocab.DCTermsDescription), g.Value(s, vocab.DCTermsReferences)
}

// ended reads the result of a request that has one.
func (r *asked) ended(ctx context.Context, c *client) error {
	if r.State != stateComplete && r.State != stateCanceled {
		return nil
	}
	result := strings.Replace(r.URI, "/requests/", "/results/", 1)
	g, err := c.graph(ctx, result)
	if err != nil {
		return err
	}
	r.result(g, rdf.NewIRI(result))
	return nil
}

func shorten(iri string) string {
	if name, ok := rdf.Compact(iri); ok {
		return name
	}
	return iri
}

func show(p *program, o output, rows []asked) error {
	if o == "json" {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"requests": rows})
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		end := r.Verdict
		if end == "" || r.State == stateCanceled { // its verdict says unavailable
			end = r.State
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", clock(r.Created), end, r.Tool, r.Action, r.Message, r.URI)
	}
	return w.Flush()
}

func requestsList(ctx context.Context, p *program, args []string) error {
	f := flags(p, "requests list")
	newClient := clientFlags(f)
	where := f.String("where", "", "`condition` in the syntax of oslc.where, such as oslcbus:tool=\"jira\"")
	limit := f.Int("limit", 20, "`most` that are listed")
	o := outputFlag(f)
	if err := parse(f, args); err != nil {
		return err
	}
	if *limit < 1 || *limit > 1000 {
		return oslc.Errorf("requests", oslc.Invalid, "-limit: %d is not between 1 and 1000", *limit)
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	q := url.Values{"oslc.orderBy": {"-dcterms:created"}, "oslc.pageSize": {strconv.Itoa(*limit)}, "oslc.select": {"*"}}
	if *where != "" {
		q.Set("oslc.where", *where)
	}
	g, err := c.graph(ctx, "/services/bus/requests?"+q.Encode())
	if err != nil {
		return err
	}
	rows := []asked{}
	for _, s := range g.OfType(vocab.AutoAutomationRequest) {
		rows = append(rows, rowOf(g, s))
	}
	slices.SortStableFunc(rows, func(a, b asked) int { return strings.Compare(b.Created, a.Created) })
	for i := range rows {
		if err := rows[i].ended(ctx, c); err != nil {
			return err
		}
	}
	return show(p, *o, rows)
}

// requestPath is where a request is that is named by its URI or its id.
func requestPath(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return "/services/bus/requests/" + url.PathEscape(name)
}

func requestsCancel(ctx context.Context, p *program, args []string) error {
	f := flags(p, "requests cancel")
	newClient := clientFlags(f)
	wait := f.Duration("wait", 30*time.Second, "how long to wait for the tool to stop")
	o := outputFlag(f)
	if err := parse(f, args, "URI"); err != nil {
		return err
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	body := []byte("<> <" + vocab.AutoDesiredState + "> <" + vocab.AutoCanceled + "> .\n")
	a, err := c.do(ctx, http.MethodPut, requestPath(f.Arg(0)), format.Turtle.MediaType(), format.NTriples.MediaType(), body,
		"Prefer", "wait="+strconv.Itoa(int(wait.Seconds())))
	if err != nil {
		return err
	}
	g, err := a.graph()
	if err != nil {
		return oslc.E("requests", err, oslc.Unavailable)
	}
	row := rowOf(g, rdf.NewIRI(a.header.Get("Location")))
	if err := row.ended(ctx, c); err != nil {
		return err
	}
	return show(p, *o, []asked{row})
}

func requestsShow(ctx context.Context, p *program, args []string) error {
	f := flags(p, "requests show")
	newClient := clientFlags(f)
	if err := parse(f, args, "URI"); err != nil {
		return err
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	path := requestPath(f.Arg(0))
	a, err := c.do(ctx, http.MethodGet, path, "", format.Turtle.MediaType(), nil)
	if err != nil {
		return err
	}
	if _, err := p.out.Write(a.body); err != nil {
		return err
	}
	a, err = c.do(ctx, http.MethodGet, strings.Replace(path, "/requests/", "/results/", 1), "", format.Turtle.MediaType(), nil)
	if oslc.KindOf(err) == oslc.NotFound {
		return nil // there is none yet
	}
	if err == nil {
		_, err = fmt.Fprintf(p.out, "\n%s", a.body)
	}
	return err
}
