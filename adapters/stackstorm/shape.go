package stackstorm

import (
	"slices"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Services describes what there is of a StackStorm: its rules, in the domain of
// Change Management and in that of Automation, and its executions where that collection
// is watched. writable says that there is a Writer.
func Services(writable bool, collections ...string) []oslc.Service {
	var out []oslc.Service
	automation := oslc.Service{Domain: vocab.Auto}
	if len(collections) == 0 || slices.Contains(collections, rulesCollection) {
		sh := ruleShape()
		out = append(out, oslc.Service{Domain: vocab.CM, Collections: []oslc.Collection{{
			Kind: rulesKind, Title: "Rules", Shape: sh, Writable: writable,
			ResourceTypes: []string{vocab.CMChangeRequest, vocab.AutoAutomationPlan, vocab.St2Rule},
		}}})
		automation.Collections = []oslc.Collection{{
			Kind: rulesKind, Title: "Rules as automation plans", Shape: sh,
			ResourceTypes: []string{vocab.AutoAutomationPlan, vocab.St2Rule},
		}}
	}
	if slices.Contains(collections, executionsCollection) {
		automation.Collections = append(automation.Collections, oslc.Collection{
			Kind: executionsKind, Title: "Executions", Shape: executionShape(),
			ResourceTypes: []string{vocab.AutoAutomationRequest, vocab.AutoAutomationResult, vocab.St2Execution},
		})
	}
	return append(out, automation)
}

// ruleShape describes a rule: a ChangeRequest by OSLC CM 3.0 and an AutomationPlan by
// OSLC Automation 2.1, with the terms of StackStorm.
func ruleShape() *shape.Shape {
	literal := func(name, iri, occurs, kind, text string) shape.Property {
		p := shape.Property{Name: name, Definition: iri, Occurs: occurs, Description: text, Queryable: true}
		if kind != "" {
			p.ValueTypes = []string{kind}
		}
		return p
	}
	reference := func(name, iri, occurs, text string, ranges ...string) shape.Property {
		return shape.Property{
			Name: name, Definition: iri, Occurs: occurs, Description: text, Queryable: true, ReadOnly: true,
			ValueTypes: []string{shape.Resource}, Representation: shape.Reference, Range: ranges,
		}
	}
	readOnly := func(p shape.Property) shape.Property { p.ReadOnly = true; return p }
	either := func(p shape.Property) shape.Property {
		p.ValueTypes = []string{rdf.XMLLiteral, rdf.XSDString}
		return p
	}
	pack := literal("rulePack", vocab.St2RulePack, shape.ZeroOrOne, rdf.XSDString, "The pack that the rule is in; default when left out")
	pack.Default = rdf.String("default")
	enabled := literal("ruleStatus", vocab.St2RuleStatus, shape.ZeroOrOne, rdf.XSDBoolean, "Whether the rule is enabled")
	enabled.Default = rdf.Bool(true)
	status := readOnly(literal("status", vocab.CMStatus, shape.ZeroOrOne, rdf.XSDString, "enabled or disabled, as ruleStatus says"))
	status.Allowed = []rdf.Term{rdf.String(statusEnabled), rdf.String(statusDisabled)}
	return &shape.Shape{
		Title:     "A StackStorm rule",
		Describes: []string{vocab.CMChangeRequest, vocab.AutoAutomationPlan, vocab.St2Rule},
		Properties: []shape.Property{
			either(literal("title", vocab.DCTermsTitle, shape.ExactlyOne, "", "The name of the rule, unique in its pack")),
			either(literal("description", vocab.DCTermsDescription, shape.ZeroOrOne, "", "What the rule is for, as plain text")),
			enabled,
			pack,
			literal("triggerType", vocab.St2TriggerType, shape.ExactlyOne, rdf.XSDString, "What the rule listens to, such as core.st2.webhook"),
			literal("triggerParameters", vocab.St2TriggerParameters, shape.ZeroOrOne, "", "A JSON object with the parameters of the trigger"),
			literal("ruleCriteria", vocab.St2RuleCriteria, shape.ZeroOrOne, "", "A JSON object with the conditions; empty lets every trigger through"),
			literal("actionRef", vocab.St2ActionRef, shape.ExactlyOne, rdf.XSDString, "What the rule runs, such as core.local"),
			literal("actionParameters", vocab.St2ActionParameters, shape.ZeroOrOne, "",
				"A JSON object with the parameters of the action; ******** stands for a value that is not shown, and keeps it"),
			literal("subject", vocab.DCTermsSubject, shape.ZeroOrMany, rdf.XSDString, "A tag as name:value"),

			readOnly(literal("identifier", vocab.DCTermsIdentifier, shape.ExactlyOne, rdf.XSDString, "The id in StackStorm")),
			readOnly(literal("created", vocab.DCTermsCreated, shape.ZeroOrOne, rdf.XSDDateTime, "")),
			readOnly(literal("modified", vocab.DCTermsModified, shape.ZeroOrOne, rdf.XSDDateTime, "")),
			status,
			readOnly(literal("closed", vocab.CMClosed, shape.ZeroOrOne, rdf.XSDBoolean, "A rule is closed while it is disabled")),
			readOnly(literal("inProgress", vocab.CMInProgress, shape.ZeroOrOne, rdf.XSDBoolean, "A rule is in progress while it is enabled")),
			reference("state", vocab.CMState, shape.ZeroOrOne, "Inprogress or Closed, as ruleStatus says", vocab.CMStateClass),
			readOnly(literal("ruleId", vocab.St2RuleID, shape.ZeroOrOne, rdf.XSDString, "The id in StackStorm")),
			readOnly(literal("ruleRef", vocab.St2RuleRef, shape.ZeroOrOne, rdf.XSDString, "Pack and name, as StackStorm's users write them")),
			readOnly(literal("ruleName", vocab.St2RuleName, shape.ZeroOrOne, rdf.XSDString, "The title")),
			readOnly(literal("triggerRef", vocab.St2TriggerRef, shape.ZeroOrOne, rdf.XSDString, "The trigger that StackStorm made for type and parameters")),
			readOnly(literal("ruleUser", vocab.St2RuleUser, shape.ZeroOrOne, rdf.XSDString, "Who wrote the rule last, in StackStorm")),
			reference("seeAlso", vocab.RDFSSeeAlso, shape.ZeroOrMany, "The rule in StackStorm's API"),
			reference("type", rdf.Type, shape.ZeroOrMany, ""),
			reference("serviceProvider", vocab.OSLCServiceProvider, shape.ZeroOrMany, "", vocab.OSLCServiceProviderClass),
			reference("instanceShape", vocab.OSLCInstanceShape, shape.ZeroOrOne, "", vocab.OSLCResourceShapeClass),
		},
	}
}
