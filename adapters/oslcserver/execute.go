package oslcserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/format"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Executor has actions carried out by OSLC servers.
type Executor struct {
	cfg     Config
	servers map[string]string // by origin: what to send as Authorization
	secrets []string          // that no words may show
	client  *http.Client
	parser  format.Parser
	log     *slog.Logger
	metrics adapters.Metrics
	now     func() time.Time
	once    adapters.Once
	runs    runs
}

// A call is one request in work.
type call struct {
	*Executor
	r       *oslc.Request
	reads   int
	polling bool
}

// Execute implements adapters.Executor.
func (x *Executor) Execute(ctx context.Context, r oslc.Request) (oslc.Result, error) {
	if err := ctx.Err(); err != nil {
		return oslc.Result{}, err
	}
	if r.Action != Perform {
		return oslc.Result{}, oslc.Errorf("oslcserver.execute", oslc.Unsupported, "there is no action <%s>", r.Action)
	}
	return x.once.Do(ctx, r, func(ctx context.Context, r oslc.Request) (oslc.Result, error) {
		within, cancel := context.WithTimeout(ctx, x.cfg.Within)
		defer cancel()
		x.runs.begin(r.ID)
		defer x.runs.end(r.ID)
		res, err := (&call{Executor: x, r: &r}).perform(within)
		if ctx.Err() != nil {
			return oslc.Result{}, ctx.Err()
		}
		res.Request = r.URI
		return res, oslc.E("oslcserver.execute", err)
	})
}

// perform looks up what has to be sent, sends it, and waits for the outcome.
func (c *call) perform(ctx context.Context) (oslc.Result, error) {
	const op = "oslcserver.perform"
	resource, _ := c.r.Parameters["resource"].(string)
	if resource == "" {
		resource = c.r.Target
	}
	class, _ := c.r.Parameters["action"].(string)
	parameters, isMap := c.r.Parameters["parameters"].(map[string]any)
	switch {
	case resource == "":
		return oslc.Result{}, oslc.Errorf(op, oslc.Invalid, "the parameter resource is missing, and no resource is meant")
	case c.r.Parameters["parameters"] != nil && !isMap:
		return oslc.Result{}, oslc.Errorf(op, oslc.Invalid, "the parameter parameters is no object")
	}
	class, err := mapping.Expand(class)
	if err != nil {
		return oslc.Result{}, oslc.Errorf(op, oslc.Invalid, "the parameter action: %v", err)
	}
	d, err := c.get(ctx, resource)
	if err != nil {
		return oslc.Result{}, err
	}
	node := rdf.NewIRI(resource)
	found, nodes, err := c.actions(ctx, d, node)
	if err != nil {
		return oslc.Result{}, err
	}
	var fit []rdf.Term
	var offered []string
	for _, n := range nodes {
		if isAction(found[n].graph, n, class) {
			fit = append(fit, n)
		}
		for _, t := range found[n].graph.Objects(n, rdf.Type) {
			if t.Value != vocab.OSLCActionClass && t.Value != draftClass {
				offered = append(offered, name(t.Value))
			}
		}
	}
	switch {
	case len(fit) == 0 && !c.r.MaybeDoneAt.IsZero():
		return oslc.Result{Verdict: oslc.Warning, Created: resource, Message: fmt.Sprintf(
			"<%s> offers %s no more: an earlier attempt may have done it", resource, name(class))}, nil
	case len(fit) == 0:
		return oslc.Result{}, oslc.Errorf(op, oslc.Conflict, "<%s> does not offer %s now; it offers: %s", resource, name(class), list(offered))
	case len(fit) > 1:
		return oslc.Result{}, oslc.Errorf(op, oslc.Invalid, "<%s> offers %d actions of the class %s: name one by its URI", resource, len(fit), name(class))
	case c.cfg.Once && !c.r.MaybeDoneAt.IsZero():
		return oslc.Result{}, oslc.Errorf(op, oslc.Conflict, "%s may have been asked for at %s already and must not be asked for twice: see what became of it, then ask again",
			name(class), c.r.MaybeDoneAt.UTC().Format(time.RFC3339))
	}
	usable, reasons := c.bindings(ctx, found[fit[0]], fit[0])
	if ctx.Err() != nil {
		return oslc.Result{}, c.away(ctx, op, ctx.Err())
	}
	if len(usable) == 0 {
		return oslc.Result{}, oslc.Errorf(op, oslc.Unsupported, "%s of <%s> has no binding that can be followed: %s", name(class), resource, list(reasons))
	}
	b, err := choose(usable, parameters)
	if err != nil {
		return oslc.Result{}, err
	}
	return c.send(ctx, resource, class, b, parameters)
}

func list(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, "; ")
}

// send makes the one call that changes something, and writes down that it did.
func (c *call) send(ctx context.Context, resource, class string, b binding, parameters map[string]any) (oslc.Result, error) {
	const op = "oslcserver.send"
	if class == resource || strings.HasPrefix(class, resource+"/") || strings.HasPrefix(class, resource+"#") {
		class = "" // it is the action's own URI
	}
	body, mediaType, err := b.make(class, parameters)
	if err != nil {
		return oslc.Result{}, err
	}
	req, err := http.NewRequestWithContext(ctx, b.method, b.uri, bytes.NewReader(body))
	if err != nil {
		return oslc.Result{}, oslc.E(op, err, oslc.Invalid)
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("OSLC-Core-Version", "3.0")
	req.Header.Set("User-Agent", "oslcbus")
	oslc.SetTrace(req)
	req.Header.Set("Idempotency-Key", c.r.ID)
	if !c.runs.calls(c.r.ID, b.pattern) {
		return oslc.Result{State: oslc.Canceled, Verdict: oslc.NoVerdict, Message: "canceled before it was asked for"}, nil
	}
	started := c.now()
	resp, err := c.client.Do(req)
	if err != nil {
		c.audit(ctx, resource, &b, 0, started, err)
		return oslc.Result{}, c.away(ctx, op, err)
	}
	defer resp.Body.Close()
	c.audit(ctx, resource, &b, resp.StatusCode, started, nil)
	answer, err := readAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		return oslc.Result{}, c.refused(resp, answer)
	}
	// It is done, or has begun: what goes wrong from here on is no reason to call again.
	var d *document
	if err == nil && len(bytes.TrimSpace(answer)) > 0 {
		d, err = c.parse(resp, answer)
	}
	location := ""
	if u, wrong := resp.Location(); wrong == nil && u.User == nil {
		location = u.String()
	}
	said := fmt.Sprintf("%s <%s>: %s", b.method, b.uri, resp.Status)
	if b.pattern != automation && resp.StatusCode != http.StatusAccepted {
		res := oslc.Result{Verdict: oslc.Passed, Message: said, Created: resource}
		if resp.StatusCode == http.StatusCreated && location != "" {
			res.Created = location
		}
		return res, nil
	}
	if location == "" && d == nil {
		if b.pattern != automation {
			return oslc.Result{Verdict: oslc.Warning, Message: said + "; nothing tells how it ends", Created: resource}, nil
		}
		return oslc.Result{Verdict: oslc.Warning, Message: fmt.Sprintf("%s; it does not say where the request is: %v", said, errors.Join(err))}, nil
	}
	return c.follow(ctx, said, location, d), nil
}

// audit writes down each call that changes something, whatever became of it.
func (c *call) audit(ctx context.Context, resource string, b *binding, status int, started time.Time, err error) {
	what := "performed_action"
	if err != nil || status/100 != 2 {
		what = "refused_action"
	}
	if c.metrics != nil {
		c.metrics.Count(what, 1)
	}
	attrs := []slog.Attr{
		slog.String("request", c.r.URI), slog.String("by", c.r.By), slog.String("rule", c.r.Rule), slog.String("resource", resource),
		slog.String("pattern", string(b.pattern)), slog.String("method", b.method), slog.String("uri", b.uri),
		slog.Int("status", status), slog.Duration("took", c.now().Sub(started)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("err", c.words(err.Error())))
	}
	c.log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "called an action of another server", attrs...)
}
