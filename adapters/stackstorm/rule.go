package stackstorm

import (
	"bytes"
	"errors"
	"hash/maphash"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// rules maps the documents of rule_d_b.
type rules struct {
	collection mongodb.Collection
	provider   string
	api        string
	seed       maphash.Seed
}

func newRules(database, api string, opts adapters.Options) *rules {
	return &rules{
		collection: mongodb.Collection{Database: database, Name: rulesCollection, Kind: rulesKind},
		provider:   oslc.ProviderURI(opts.BaseURL, opts.Name),
		api:        api,
		seed:       maphash.MakeSeed(),
	}
}

// Collection says what is mapped.
func (r *rules) Collection() mongodb.Collection { return r.collection }

// What is odd about a rule.
const warnEnabled = "rule_enabled_not_boolean"

// Status of a rule (oslc_cm:status).
const (
	statusEnabled  = "enabled"
	statusDisabled = "disabled"
)

var (
	errNoRef  = errors.New("the rule has no ref")
	errNoName = errors.New("the rule has no name")
)

// ruleTriples is how many triples a rule has, unless it has many tags: the watcher
// keeps the graph, so room that is not used would cost memory.
const ruleTriples = 29

// Map maps a rule.
func (r *rules) Map(d mongodb.Doc, uri string, refs mongodb.References) (mongodb.Resource, error) {
	var (
		res                              mongodb.Resource
		id, enabled, tags, crit          mongodb.Value
		name, ref, pack, text, trig      string
		actionRef, user                  string
		actionParameters, triggerDoc     mongodb.Doc
		triggerType, criteria, actParams string
	)
	for key, v := range d.All() {
		switch key {
		case "_id":
			id = v
		case "name":
			name = v.Str()
		case "ref":
			ref = v.Str()
		case "pack":
			pack = v.Str()
		case "description":
			text = v.Str()
		case "trigger":
			trig = v.Str()
		case "enabled":
			enabled = v
		case "tags":
			tags = v
		case "criteria":
			crit = v
		case "context":
			user = v.Doc().Str("user")
		case "action":
			actionRef = v.Doc().Str("ref")
			actionParameters = v.Doc().Lookup("parameters").Doc()
		}
	}
	switch {
	case ref == "":
		return res, errNoRef
	case name == "":
		return res, errNoName
	}
	hidden := func(predicate string, m *masker) {
		if m.masked {
			res.Hidden = append(res.Hidden, mongodb.Hidden{Predicate: predicate, Sum: m.sum.Sum64()})
		}
	}
	if !crit.IsEmpty() {
		m := newMasker(r.seed)
		criteria = m.criteria(crit.Doc())
		hidden(vocab.St2RuleCriteria, m)
	}
	if !actionParameters.IsEmpty() || actionRef != "" {
		m := newMasker(r.seed)
		declared := declaredBy(refs, actionRef)
		if !actionParameters.IsEmpty() {
			actParams = m.parameters(actionParameters, declared)
			hidden(vocab.St2ActionParameters, m)
		}
	}
	res.Graph = new(rdf.Graph)
	res.Graph.Grow(ruleTriples)
	n := res.Graph.Node(uri).
		A(vocab.CMChangeRequest, vocab.AutoAutomationPlan, vocab.St2Rule).
		String(vocab.DCTermsIdentifier, id.Text()).
		String(vocab.DCTermsTitle, name).
		String(vocab.DCTermsDescription, text).
		Time(vocab.DCTermsCreated, id.Time()).
		Link(vocab.OSLCServiceProvider, r.provider)
	for tag := range tags.Items() {
		n.String(vocab.DCTermsSubject, tagText(tag))
	}
	if !switched(n, enabled) {
		res.Warnings = append(res.Warnings, warnEnabled)
	}
	n.String(vocab.St2RuleID, id.Text()).
		String(vocab.St2RuleRef, ref).
		String(vocab.St2RuleName, name).
		String(vocab.St2RulePack, pack).
		String(vocab.St2TriggerRef, trig)
	if trig != "" {
		if triggerDoc, _ = refs.Find(triggers, trig); triggerDoc != nil {
			triggerType = triggerDoc.Str("type")
			n.String(vocab.St2TriggerType, triggerType)
			if p := triggerDoc.Lookup("parameters").Doc(); !p.IsEmpty() {
				m := newMasker(r.seed)
				n.Add(vocab.St2TriggerParameters, rdf.Typed(m.parameters(p, declaredByTrigger(refs, triggerType)), mongodb.JSONType))
				hidden(vocab.St2TriggerParameters, m)
			}
		}
	}
	if criteria != "" {
		n.Add(vocab.St2RuleCriteria, rdf.Typed(criteria, mongodb.JSONType))
	}
	n.String(vocab.St2ActionRef, actionRef)
	if actParams != "" {
		n.Add(vocab.St2ActionParameters, rdf.Typed(actParams, mongodb.JSONType))
	}
	n.String(vocab.St2RuleUser, user)
	if r.api != "" {
		n.Link(vocab.RDFSSeeAlso, r.api+"/v1/rules/"+id.Text())
	}
	return res, nil
}

// switched adds whether a rule is on. It reports false for a value that says
// neither.
func switched(n rdf.Node, enabled mongodb.Value) bool {
	on, ok := enabled.Bool()
	if !ok && !enabled.IsZero() {
		return false
	}
	// StackStorm takes a rule without the field as switched off.
	// In the terms of Change Management, for those who do not know StackStorm's: a
	// rule that is on is in progress, one that is off is closed.
	status, state := statusDisabled, vocab.CMClosedClass
	if on {
		status, state = statusEnabled, vocab.CMInprogress
	}
	n.String(vocab.CMStatus, status).
		Link(vocab.CMState, state).
		Bool(vocab.CMInProgress, on).
		Bool(vocab.CMClosed, !on).
		Bool(vocab.St2RuleStatus, on)
	return true
}

// Remap maps a rule that was only switched on or off.
func (r *rules) Remap(last *rdf.Graph, d mongodb.Doc, uri string, changed []string) (*rdf.Graph, bool) {
	for _, name := range changed {
		if name != "enabled" {
			return nil, false
		}
	}
	g := last.WithoutPredicates(vocab.CMStatus, vocab.CMState, vocab.CMInProgress, vocab.CMClosed, vocab.St2RuleStatus, vocab.DCTermsModified)
	return g, switched(g.Node(uri), d.Lookup("enabled"))
}

// traceKey is where the executor notes in a rule's context which request changed it.
// StackStorm keeps what it finds there, and puts the user beside it.
const traceKey = "oslcbus"

// traceElement is how a document of that name begins in BSON.
var traceElement = append([]byte{mongodb.TypeDocument}, traceKey+"\x00"...)

// Cause returns the request whose note is new in the rule's context.
func (r *rules) Cause(before, after mongodb.Doc) mongodb.Cause {
	if !bytes.Contains(after, traceElement) {
		return mongodb.Cause{} // as a rule; found out without a walk through the document
	}
	note := after.Lookup("context." + traceKey).Doc()
	request := note.Str("request")
	if request == "" || before.Lookup("context."+traceKey+".request").Str() == request {
		return mongodb.Cause{}
	}
	hops, _ := note.Int("hops")
	c := mongodb.Cause{Request: request, Hops: int(hops), Trace: oslc.ParseTrace(note.Str("traceparent"), note.Str("tracestate"))}
	for v := range note.Lookup("via").Items() {
		c.Via = append(c.Via, v.Str())
	}
	return c
}

// tagText returns a tag as one string: "name:value", or what there is of it.
func tagText(tag mongodb.Value) string {
	if tag.Type == mongodb.TypeString {
		return tag.Str()
	}
	name, value := tag.Doc().Str("name"), tag.Doc().Lookup("value").Text()
	switch {
	case name == "":
		return value
	case value == "":
		return name
	}
	return name + ":" + value
}

// Types tells a rule that was switched on or off from other edits.
func (r *rules) Types(before, after *rdf.Graph) []string {
	was, is := status(before), status(after)
	on, ok := is.Bool()
	switch {
	case !ok || was == is:
		return nil
	case on:
		return []string{vocab.St2RuleEnabled}
	}
	return []string{vocab.St2RuleDisabled}
}

func status(g *rdf.Graph) rdf.Term {
	ts := g.Triples()
	for i := range ts {
		if ts[i].P.Value == vocab.St2RuleStatus {
			return ts[i].O
		}
	}
	return rdf.Term{}
}
