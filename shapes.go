package oslcbus

import (
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// The shapes of requests and results, by OSLC Automation 2.1. All that clients can write
// is the state that a request is to reach.

func told(name, iri, occurs, kind string) shape.Property {
	p := shape.Property{Name: name, Definition: iri, Occurs: occurs, ReadOnly: true, Queryable: true}
	switch kind {
	case shape.Resource:
		p.ValueTypes, p.Representation = []string{kind}, shape.Reference
	case shape.AnyResource:
		p.ValueTypes, p.Representation = []string{kind}, shape.Either
	case "": // of several types
	default:
		p.ValueTypes = []string{kind}
	}
	return p
}

func ranged(p shape.Property, text string, classes ...string) shape.Property {
	p.Range, p.Description = classes, text
	return p
}

func textual(p shape.Property) shape.Property {
	p.ValueTypes = []string{rdf.XMLLiteral, rdf.XSDString}
	return p
}

// common are the properties that requests and results share.
func common() []shape.Property {
	return []shape.Property{
		textual(told("title", vocab.DCTermsTitle, shape.ExactlyOne, "")),
		told("identifier", vocab.DCTermsIdentifier, shape.ExactlyOne, rdf.XSDString),
		textual(told("description", vocab.DCTermsDescription, shape.ZeroOrOne, "")),
		told("created", vocab.DCTermsCreated, shape.ZeroOrOne, rdf.XSDDateTime),
		told("modified", vocab.DCTermsModified, shape.ZeroOrOne, rdf.XSDDateTime),
		told("type", rdf.Type, shape.ZeroOrMany, shape.Resource),
		told("serviceProvider", vocab.OSLCServiceProvider, shape.ZeroOrMany, shape.Resource),
		told("instanceShape", vocab.OSLCInstanceShape, shape.ZeroOrOne, shape.Resource),
		ranged(told("state", vocab.AutoState, shape.OneOrMany, shape.AnyResource), "How far it got", vocab.AutoStateClass),
	}
}

func desiredState() shape.Property {
	p := ranged(told("desiredState", vocab.AutoDesiredState, shape.ZeroOrOne, shape.Resource), "canceled, to have it not carried out, or stopped", vocab.AutoStateClass)
	p.ReadOnly, p.Allowed = false, []rdf.Term{rdf.NewIRI(vocab.AutoCanceled)}
	return p
}

func requestShape() *shape.Shape {
	return &shape.Shape{
		Title: "A request to a tool", Describes: []string{vocab.AutoAutomationRequest},
		Properties: append(common(),
			ranged(told("executesAutomationPlan", vocab.AutoExecutesAutomationPlan, shape.ExactlyOne, shape.Resource), "The class of the action that is asked for", vocab.AutoAutomationPlan),
			ranged(told("inputParameter", vocab.AutoInputParameter, shape.ZeroOrMany, shape.AnyResource), "A value for the action", vocab.AutoParameterInstance),
			desiredState(),
			ranged(told("canceledBy", vocab.BusCanceledBy, shape.ZeroOrOne, rdf.XSDString), "Who wanted it canceled"),
			ranged(told("tool", vocab.BusTool, shape.ZeroOrOne, rdf.XSDString), "The connection that is to do it"),
			ranged(told("target", vocab.BusTarget, shape.ZeroOrOne, shape.Resource), "The resource that it is about"),
			ranged(told("event", vocab.BusEvent, shape.ZeroOrOne, shape.Resource), "The event that caused it"),
			ranged(told("rule", vocab.BusRule, shape.ZeroOrOne, rdf.XSDString), "The rule that asked"),
			ranged(told("hops", vocab.BusHops, shape.ZeroOrOne, rdf.XSDInteger), "How many requests led here, one after the other"),
		),
	}
}

func resultShape() *shape.Shape {
	return &shape.Shape{
		Title: "The result of a request", Describes: []string{vocab.AutoAutomationResult},
		Properties: append(common(),
			ranged(told("reportsOnAutomationPlan", vocab.AutoReportsOnAutomationPlan, shape.ExactlyOne, shape.Resource), "The class of the action", vocab.AutoAutomationPlan),
			ranged(told("producedByAutomationRequest", vocab.AutoProducedByAutomationRequest, shape.ZeroOrOne, shape.Resource), "The request", vocab.AutoAutomationRequest),
			ranged(told("verdict", vocab.AutoVerdict, shape.OneOrMany, shape.AnyResource), "How it ended", vocab.AutoVerdictClass),
			ranged(told("outputParameter", vocab.AutoOutputParameter, shape.ZeroOrMany, shape.AnyResource), "A value that came of it", vocab.AutoParameterInstance),
			ranged(told("references", vocab.DCTermsReferences, shape.ZeroOrMany, shape.Resource), "What was made or changed in the tool"),
			ranged(told("externalKey", vocab.BusExternalKey, shape.ZeroOrOne, rdf.XSDString), "The tool's own name for that"),
			ranged(told("attempt", vocab.BusAttempt, shape.ZeroOrOne, rdf.XSDInteger), "How often the tool was called"),
		),
	}
}
