package vocab_test

import (
	"testing"

	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

func TestTermsAreWhatTheirNamesSay(t *testing.T) {
	t.Parallel()
	for iri, want := range map[string]string{
		vocab.OSLCServiceProvider:      "oslc:serviceProvider",
		vocab.OSLCServiceProviderClass: "oslc:ServiceProvider",
		vocab.OSLCResourceShape:        "oslc:resourceShape",
		vocab.CMChangeRequest:          "oslc_cm:ChangeRequest",
		vocab.CMStatus:                 "oslc_cm:status",
		vocab.CMState:                  "oslc_cm:state",
		vocab.CMStateClass:             "oslc_cm:State",
		vocab.AutoAutomationPlan:       "oslc_auto:AutomationPlan",
		vocab.AutoState:                "oslc_auto:state",
		vocab.AutoComplete:             "oslc_auto:complete",
		vocab.TRSCreation:              "trs:Creation",
		vocab.TRSChanged:               "trs:changed",
		vocab.TRSPatchRdfPatch:         "trspatch:rdfPatch",
		vocab.ActionsAction:            "oslc_actions:action",
		vocab.ConfigChangeSet:          "oslc_config:ChangeSet",
		vocab.EventsEvent:              "oslc_events:Event",
		vocab.BusHops:                  "oslcbus:hops",
		vocab.St2RuleID:                "st2:ruleId",
		vocab.HTTPHttpVersion:          "http:httpVersion",
		vocab.LDPMember:                "ldp:member",
	} {
		if got, _ := rdf.Compact(iri); got != want {
			t.Errorf("%s is %q, want %q", iri, got, want)
		}
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	for iri, want := range map[string]bool{
		vocab.CMStatus: true, vocab.CM + "stauts": false, vocab.St2RuleStatus: true, vocab.St2 + "ruleStauts": false,
		vocab.OSLCAction: true, vocab.Bus + "nothing": false, vocab.DCTerms + "abstract": true, "http://other.example/ns#x": true,
		vocab.OSLC: false, "urn:x": true, "": true,
	} {
		if got := vocab.Known(iri); got != want {
			t.Errorf("Known(%q) is %t", iri, got)
		}
	}
	for _, ns := range []string{vocab.OSLC, vocab.CM, vocab.Auto, vocab.TRS, vocab.Events, vocab.Bus, vocab.St2} {
		if len(vocab.Names(ns)) == 0 {
			t.Errorf("no names of <%s>", ns)
		}
	}
}
