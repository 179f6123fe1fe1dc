// Package stackstorm connects StackStorm. Its rules are watched in StackStorm's
// MongoDB, since neither its API nor its stream tells when a rule changes.
//
// What becomes an event: a rule is created, changed, enabled, disabled, renamed or
// deleted, in collection rule_d_b. A rule is an oslc_cm:ChangeRequest and an
// oslc_auto:AutomationPlan, under one URI that its _id gives, so that a rename
// keeps it. The trigger that a rule refers to is resolved; triggers, actions,
// runners and trigger types are watched for that, and make no events of their own.
// Saving a rule as it is, the counters of triggers, and fields that only lose
// empty values are silent.
//
// What is hidden: MongoDB holds the parameters of a rule's action in clear. A value
// is shown only if the action or its runner declares the parameter and does not
// call it secret, and if neither its name nor its text looks like a secret.
// Everything else is "********"; that such a value changed is still an event.
//
// StackStorm must be able to reach the bus's MongoDB account only for reading. The
// server must be a replica set; one member is enough.
package stackstorm
