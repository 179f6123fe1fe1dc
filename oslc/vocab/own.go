package vocab

// Dublin Core terms.
const (
	DCTerms            = "http://purl.org/dc/terms/"
	DCTermsTitle       = DCTerms + "title"
	DCTermsIdentifier  = DCTerms + "identifier"
	DCTermsDescription = DCTerms + "description"
	DCTermsCreated     = DCTerms + "created"
	DCTermsSource      = DCTerms + "source"
	DCTermsModified    = DCTerms + "modified"
	DCTermsCreator     = DCTerms + "creator"
	DCTermsContributor = DCTerms + "contributor"
	DCTermsSubject     = DCTerms + "subject"
	DCTermsType        = DCTerms + "type"
	DCTermsReferences  = DCTerms + "references"
	DCTermsPublisher   = DCTerms + "publisher"
	DCTermsRelation    = DCTerms + "relation"
	DCTermsIsPartOf    = DCTerms + "isPartOf"
)

// RDF Schema.
const (
	RDFS        = "http://www.w3.org/2000/01/rdf-schema#"
	RDFSLabel   = RDFS + "label"
	RDFSComment = RDFS + "comment"
	RDFSMember  = RDFS + "member"
	RDFSSeeAlso = RDFS + "seeAlso"
)

// Friend of a Friend.
const (
	FOAF       = "http://xmlns.com/foaf/0.1/"
	FOAFPerson = FOAF + "Person"
	FOAFName   = FOAF + "name"
	FOAFMbox   = FOAF + "mbox"
)

// Linked Data Platform.
const (
	LDP                   = "http://www.w3.org/ns/ldp#"
	LDPMember             = LDP + "member"
	LDPContainer          = LDP + "Container"
	LDPBasicContainer     = LDP + "BasicContainer"
	LDPDirectContainer    = LDP + "DirectContainer"
	LDPPage               = LDP + "Page"
	LDPHasMemberRelation  = LDP + "hasMemberRelation"
	LDPMembershipResource = LDP + "membershipResource"
	LDPNextPage           = LDP + "nextPage"
	LDPPageOf             = LDP + "pageOf"
	LDPContains           = LDP + "contains"
)

// HTTP in RDF, with which OSLC Actions describe requests.
const (
	HTTP            = "http://www.w3.org/2011/http#"
	HTTPRequest     = HTTP + "Request"
	HTTPMthd        = HTTP + "mthd"
	HTTPRequestURI  = HTTP + "requestURI"
	HTTPHttpVersion = HTTP + "httpVersion"
	HTTPBody        = HTTP + "body"
	HTTPStatusCode  = HTTP + "StatusCode"
	HTTPPost        = "http://www.w3.org/2011/http-methods#POST"
)

// OSLC Actions, in the namespace that the text of its specification uses; the draft
// of its vocabulary has some of the terms in Actions.
const (
	OSLCAction              = OSLC + "action"
	OSLCActionClass         = OSLC + "Action"
	OSLCBinding             = OSLC + "binding"
	OSLCFinalStatusLocation = OSLC + "finalStatusLocation"
)

// OSLC events, the vocabulary of the notification drafts.
const (
	Events              = "http://open-services.net/ns/events#"
	EventsEvent         = Events + "Event"
	EventsEventListener = Events + "EventListener"
	EventsGeneratedBy   = Events + "generatedBy"
)

// Access contexts, as live servers use them beside a Tracked Resource Set.
const (
	ACC              = "http://open-services.net/ns/core/acc#"
	ACCAccessContext = ACC + "accessContext"
	// ACCAccessContextClass and ACCAccessContextList are the classes.
	ACCAccessContextClass = ACC + "AccessContext"
	ACCAccessContextList  = ACC + "AccessContextList"
)

// The terms of this bus.
const (
	Bus = "https://oslcbus.github.io/ns#"
	// BusChangedProperty names a property that an event says has changed.
	BusChangedProperty = Bus + "changedProperty"
	// BusCausedBy links an event or a request to the event it follows from.
	BusCausedBy = Bus + "causedBy"
	// BusHops counts the rules between an event and the first one of its chain.
	BusHops = Bus + "hops"
	// BusSequence is the place of an event in the order of its source.
	BusSequence = Bus + "sequence"
	// BusRule is the rule that made a request.
	BusRule = Bus + "rule"
	// BusTarget is the resource that a request is about.
	BusTarget = Bus + "target"
	// BusTool is the adapter that a request is for, or an event comes from.
	BusTool = Bus + "tool"
	// BusAttempt counts how often a request has been tried.
	BusAttempt = Bus + "attempt"
	// BusMarker is what an executor leaves in a tool to know its work again.
	BusMarker = Bus + "marker"
	// BusConnectionClass is the class of connections, and BusPaused whether requests to
	// one wait until it is resumed.
	BusConnectionClass = Bus + "Connection"
	BusPaused          = Bus + "paused"
	// BusConnection is the configured connection to a tool.
	BusConnection = Bus + "connection"
	// BusExternalKey is the key that a tool itself has for a resource.
	BusExternalKey = Bus + "externalKey"
	// BusEvent is the event that made a rule send a request.
	BusEvent = Bus + "event"
	// BusAction is the action that a request asks for.
	BusAction = Bus + "action"
	// BusQueryParameter names a parameter that a query base understands.
	BusQueryParameter = Bus + "queryParameter"
	// BusQueryOperator is a comparison that oslc.where may use.
	BusQueryOperator = Bus + "queryOperator"
	// BusPageSize and BusMaxPageSize are how many members a page of a query has
	// when the client says nothing, and at most.
	BusPageSize    = Bus + "pageSize"
	BusMaxPageSize = Bus + "maxPageSize"
	// BusVia is the name of a connection whose change led here.
	BusVia = Bus + "via"
	// BusRequester is the name of who asked for something.
	BusRequester = Bus + "requester"
	// BusCanceledBy is the name of who wanted a request canceled.
	BusCanceledBy = Bus + "canceledBy"
	// BusEpoch names the beginning of a change log: one that was made anew has
	// another.
	BusEpoch = Bus + "epoch"
	// BusBaseAge is how old the newest base of a tracked resource set may be,
	// BusKeepsFor and BusKeepsChanges how long and how many changes are kept at
	// least, and BusLatency how soon a change is to be in the change log.
	BusBaseAge      = Bus + "baseAge"
	BusKeepsFor     = Bus + "keepsFor"
	BusKeepsChanges = Bus + "keepsChanges"
	BusLatency      = Bus + "latency"
	// BusTraceparent and BusTracestate are the place of a request in a trace, in the
	// form of the header fields of W3C Trace Context.
	BusTraceparent = Bus + "traceparent"
	BusTracestate  = Bus + "tracestate"
	// BusReason says in words why something was or was not done.
	BusReason = Bus + "reason"
)

// The terms for StackStorm rules and what they do.
const (
	St2     = "https://oslcbus.github.io/ns/st2#"
	St2Rule = St2 + "Rule"
	// St2Execution is the class of executions, St2ExecutionStatus StackStorm's word for
	// how far one is, and St2ResultSize how many bytes it put out.
	St2Execution         = St2 + "Execution"
	St2ExecutionStatus   = St2 + "executionStatus"
	St2ResultSize        = St2 + "resultSize"
	St2RuleEnabled       = St2 + "RuleEnabled"
	St2RuleDisabled      = St2 + "RuleDisabled"
	St2RuleID            = St2 + "ruleId"
	St2RuleRef           = St2 + "ruleRef"
	St2RuleName          = St2 + "ruleName"
	St2RulePack          = St2 + "rulePack"
	St2RuleTitle         = St2 + "ruleTitle"
	St2RuleStatus        = St2 + "ruleStatus"
	St2RuleTags          = St2 + "ruleTags"
	St2RuleCriteria      = St2 + "ruleCriteria"
	St2RuleUser          = St2 + "ruleUser"
	St2TriggerType       = St2 + "triggerType"
	St2TriggerRef        = St2 + "triggerRef"
	St2TriggerParameters = St2 + "triggerParameters"
	St2ActionRef         = St2 + "actionRef"
	St2ActionParameters  = St2 + "actionParameters"
	St2CreateRuleAction  = St2 + "CreateRuleAction"
	St2UpdateRuleAction  = St2 + "UpdateRuleAction"
	St2EnableRuleAction  = St2 + "EnableRuleAction"
	St2DisableRuleAction = St2 + "DisableRuleAction"
	St2DeleteRuleAction  = St2 + "DeleteRuleAction"
	St2RunAction         = St2 + "RunAction"
)
