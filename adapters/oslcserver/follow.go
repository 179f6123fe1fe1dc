package oslcserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// producedResult is the link from a request to its result (OSLC Automation 2.1).
const producedResult = vocab.Auto + "producedAutomationResult"

const (
	// maxPoll bounds how long a server can put a look off.
	maxPoll = 5 * time.Minute
	// maxMisses is how often in a row a look may fail or find a request that is complete
	// and no result.
	maxMisses = 5
)

// follow looks at a request and its result until it is final. What it finds out is never
// a reason to ask for the action again, so it has no error.
func (c *call) follow(ctx context.Context, said, request string, d *document) oslc.Result {
	c.polling = true
	out := oslc.Result{Created: request, Message: said}
	result, looked, misses := "", "", 0
	for {
		if request != "" && c.runs.made(c.r.ID, request) {
			if err := c.stop(ctx, request); err != nil && ctx.Err() == nil {
				c.log.WarnContext(ctx, "request of another server cannot be stopped", "request", request, "err", err)
			}
		}
		var wait time.Duration
		if d != nil {
			wait = d.wait
			if request == "" {
				request = only(d.graph, vocab.AutoAutomationRequest)
				out.Created = request
			}
			node, found := resultOf(d.graph, request)
			if found {
				if end, final := ended(d.graph, node); final {
					return c.final(out, d.graph, node, end)
				}
				if node.Kind == rdf.IRI {
					result = node.Value
				}
			}
			if state := oslc.State(d.graph.Value(rdf.NewIRI(request), vocab.AutoState)); state.Final() && result == "" && !found {
				if state == oslc.Canceled {
					return c.final(out, d.graph, rdf.NewIRI(request), canceled)
				}
				misses++
				result = c.find(ctx, d, request)
			} else {
				misses = 0
			}
		}
		next := firstOf(result, request)
		switch {
		case next == "":
			out.Verdict, out.Message = oslc.Warning, said+"; the answer names neither a request nor a result"
			return out
		case misses > maxMisses:
			out.Verdict, out.Message = oslc.Warning, said+"; its result cannot be found"
			return out
		}
		if next == looked && adapters.Sleep(ctx, max(c.cfg.Poll, min(wait, maxPoll))) != nil {
			return c.unfinished(out, said, nil)
		}
		looked = next
		var err error
		d, err = c.get(ctx, next)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return c.unfinished(out, said, nil)
		case errors.Is(err, oslc.Denied), errors.Is(err, oslc.Invalid):
			return c.unfinished(out, said, err) // it stays so
		default:
			if misses++; misses > maxMisses {
				return c.unfinished(out, said, err)
			}
		}
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// unfinished says that nobody knows how it ended.
func (c *call) unfinished(out oslc.Result, said string, err error) oslc.Result {
	out.Verdict = oslc.Errored
	out.Message = fmt.Sprintf("%s; it was not final within %v", said, c.cfg.Within)
	if err != nil {
		out.Message = c.words(said + "; how it ends cannot be read: " + err.Error())
	}
	out.Outputs = map[string]any{oslc.OutputError: oslc.Unavailable.String()}
	return out
}

// only returns the one IRI of a class, "" for none or several.
func only(g *rdf.Graph, class string) string {
	nodes := slices.DeleteFunc(g.OfType(class), func(t rdf.Term) bool { return t.Kind != rdf.IRI })
	if len(nodes) != 1 {
		return ""
	}
	return nodes[0].Value
}

// resultOf finds the result of a request in a document: by the links between them, or
// since there is but one.
func resultOf(g *rdf.Graph, request string) (rdf.Term, bool) {
	if request != "" {
		for _, n := range g.Subjects(vocab.AutoProducedByAutomationRequest, rdf.NewIRI(request)) {
			return n, true
		}
		if n := g.Object(rdf.NewIRI(request), producedResult); !n.IsZero() {
			return n, true
		}
	}
	all := g.OfType(vocab.AutoAutomationResult)
	if len(all) == 1 && len(g.Objects(all[0], vocab.AutoProducedByAutomationRequest)) == 0 {
		return all[0], true
	}
	return rdf.Term{}, false
}

// canceled stands for the verdict of what was canceled, which OSLC Automation tells as a
// state.
const canceled oslc.Verdict = vocab.AutoCanceled

// ended returns how a result ended; final is false while it has not.
func ended(g *rdf.Graph, result rdf.Term) (verdict oslc.Verdict, final bool) {
	verdict = oslc.Verdict(g.Value(result, vocab.AutoVerdict))
	state := oslc.State(g.Value(result, vocab.AutoState))
	if state == oslc.Canceled {
		return canceled, true
	}
	if state == "" {
		return verdict, verdict != "" && verdict != oslc.NoVerdict
	}
	return verdict, state.Final()
}

// final is the outcome that a result tells.
func (c *call) final(out oslc.Result, g *rdf.Graph, node rdf.Term, verdict oslc.Verdict) oslc.Result {
	if node.Kind == rdf.IRI {
		out.Created = node.Value
	}
	if told := firstOf(g.Value(node, vocab.DCTermsDescription), g.Value(node, vocab.DCTermsTitle)); told != "" {
		out.Message += ": " + told
	}
	failed := func(v oslc.Verdict, kind oslc.Kind) {
		out.Verdict, out.Outputs = v, map[string]any{oslc.OutputError: kind.String()}
	}
	switch verdict {
	case oslc.Passed, oslc.Warning:
		out.Verdict = verdict
	case oslc.Failed:
		failed(oslc.Failed, oslc.Invalid)
	case oslc.Errored:
		failed(oslc.Errored, oslc.Unavailable)
	case canceled:
		out.State, out.Verdict = oslc.Canceled, oslc.NoVerdict
		out.Message += "; it was canceled"
	case oslc.NoVerdict, "":
		out.Verdict = oslc.Warning
		out.Message += "; it is complete without a verdict"
	default:
		out.Verdict = oslc.Warning
		out.Message += "; its verdict is <" + string(verdict) + ">"
	}
	out.Message = c.words(out.Message)
	return out
}

// find asks the provider of a request for the result of it (OSLC Query), and returns the
// URI of that, "" for none.
func (c *call) find(ctx context.Context, d *document, request string) string {
	provider := d.graph.Value(rdf.NewIRI(request), vocab.OSLCServiceProvider)
	if provider == "" {
		return ""
	}
	desc, err := c.get(ctx, provider)
	if err != nil {
		return ""
	}
	for _, q := range desc.graph.OfType(vocab.OSLCQueryCapabilityClass) {
		base := desc.graph.Value(q, vocab.OSLCQueryBase)
		if base == "" || !slices.Contains(desc.graph.Objects(q, vocab.OSLCResourceType), rdf.NewIRI(vocab.AutoAutomationResult)) {
			continue
		}
		u, err := url.Parse(base)
		if err != nil {
			continue
		}
		v := u.Query()
		v.Set("oslc.prefix", "oslc_auto=<"+vocab.Auto+">")
		v.Set("oslc.where", "oslc_auto:producedByAutomationRequest=<"+request+">")
		v.Set("oslc.select", "oslc_auto:producedByAutomationRequest")
		u.RawQuery = v.Encode()
		page, err := c.get(ctx, u.String())
		if err != nil {
			continue
		}
		if n, found := resultOf(page.graph, request); found && n.Kind == rdf.IRI {
			return n.Value
		}
	}
	return ""
}
