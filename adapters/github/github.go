// Package github makes the issues of GitHub repositories change requests: what a
// webhook of GitHub tells of the event "issues" becomes events.
//
// # The mapping
//
// An issue has the URI of its id, which it keeps when its repository is renamed or it
// is transferred; its number is dcterms:identifier, and dcterms:isPartOf the
// repository. opened is a creation and deleted a deletion; every other action
// (edited, closed, reopened, labeled, assigned, ...) is a modification, where it
// changes anything of what is mapped. transferred is the deletion of an issue in the
// repository that it leaves. In the terms of Change Management 3.0 an open issue is
// in progress; a closed one is closed, and fixed unless it is closed as not planned
// or as a duplicate.
//
// GitHub sends a delivery once. Those that the bus could not take are sent again from
// the settings of the webhook, or by the REST API.
package github

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/adapters/webhook"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// Config is the block of the adapter "github".
type Config struct {
	// Secret, or what is in SecretFile, is the secret of the webhook. Without one every
	// delivery counts, which only a loopback address allows.
	Secret     adapters.Secret `yaml:"secret"`
	SecretFile string          `yaml:"secret_file"`
	// Former is a secret that counts as well, while GitHub is told the new one.
	Former     adapters.Secret `yaml:"former_secret"`
	FormerFile string          `yaml:"former_secret_file"`
	// Repositories are those whose issues count, as owner/name; empty: all that send.
	Repositories []string `yaml:"repositories"`
	// Title and Description of the provider, for people.
	Title       string `yaml:"title"`
	Description string `yaml:"description"`
}

// Kind is the collection that issues are in.
const Kind = "changeRequests"

// Build is the adapters.Builder of "github".
func Build(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
	const op = "github.build"
	var cfg Config
	if err := decode(&cfg); err != nil {
		return adapters.Adapter{}, oslc.E(op, err, oslc.Invalid)
	}
	for _, r := range cfg.Repositories {
		if strings.Count(r, "/") != 1 {
			return adapters.Adapter{}, oslc.Errorf(op, oslc.Invalid, "repositories: %q is not owner/name", r)
		}
	}
	m := NewMapper(cfg.Repositories)
	hook, src, err := webhook.New(webhook.Config{SignatureConfig: webhook.SignatureConfig{
		Style: webhook.StyleGitHub, Secret: cfg.Secret, SecretFile: cfg.SecretFile, Former: cfg.Former, FormerFile: cfg.FormerFile,
	}}, m, opts)
	if err != nil {
		return adapters.Adapter{}, oslc.E(op, err)
	}
	details := ""
	if len(cfg.Repositories) == 1 {
		details = "https://github.com/" + cfg.Repositories[0]
	}
	return adapters.Adapter{Hook: hook, Source: src, Provider: oslc.ServiceProvider{
		Name: opts.Name, Title: cmp.Or(cfg.Title, "GitHub issues"), Description: cfg.Description, Details: details, Services: m.Services(),
	}}, nil
}

// Mapper maps deliveries of GitHub.
type Mapper struct{ repositories []string }

// NewMapper returns the mapper of the issues of repositories, of all where there are
// none.
func NewMapper(repositories []string) *Mapper { return &Mapper{repositories} }

// Services implements webhook.Mapper.
func (m *Mapper) Services() []oslc.Service {
	return []oslc.Service{{Domain: vocab.CM, Collections: []oslc.Collection{
		{Kind: Kind, Title: "Issues", ResourceTypes: []string{vocab.CMChangeRequest}},
	}}}
}

// The header fields of a delivery.
const headerEvent = "X-GitHub-Event"

// Headers implements webhook.Mapper.
func (m *Mapper) Headers() []string { return []string{headerEvent} }

// Version implements webhook.Mapper.
func (m *Mapper) Version() string { return fmt.Sprintf("issues 1 %q", m.repositories) }

// actions are what GitHub says happened to an issue.
var actions = map[string]oslc.Change{
	"opened":       oslc.Creation,
	"edited":       oslc.Modification,
	"closed":       oslc.Modification,
	"reopened":     oslc.Modification,
	"assigned":     oslc.Modification,
	"unassigned":   oslc.Modification,
	"labeled":      oslc.Modification,
	"unlabeled":    oslc.Modification,
	"milestoned":   oslc.Modification,
	"demilestoned": oslc.Modification,
	"locked":       oslc.Modification,
	"unlocked":     oslc.Modification,
	"pinned":       oslc.Modification,
	"unpinned":     oslc.Modification,
	"typed":        oslc.Modification,
	"untyped":      oslc.Modification,
	"deleted":      oslc.Deletion,
	"transferred":  oslc.Deletion,
}

// Map implements webhook.Mapper.
func (m *Mapper) Map(msg webhook.Message) ([]webhook.Change, string, error) {
	const op = "github.map"
	event := msg.Header(headerEvent)
	if event != "issues" {
		return nil, fmt.Sprintf("the event %q is none of issues", event), nil
	}
	action := msg.At("action").Text()
	kind, known := actions[action]
	if !known {
		return nil, fmt.Sprintf("the action %q of an issue is not known", action), nil
	}
	if repo := msg.At("repository.full_name").Text(); len(m.repositories) > 0 &&
		!slices.ContainsFunc(m.repositories, func(r string) bool { return strings.EqualFold(r, repo) }) {
		return nil, fmt.Sprintf("the repository %q is none of the configuration", repo), nil
	}
	issue := msg.At("issue")
	id, okID := issue.At("id").Int()
	number, okNumber := issue.At("number").Int()
	title := issue.At("title").Text()
	if !okID || !okNumber || title == "" {
		return nil, "", oslc.Errorf(op, oslc.Invalid, "the issue lacks id, number or title")
	}
	return []webhook.Change{{
		Kind: kind, Collection: Kind, Key: fmt.Sprint(id), Modified: issue.At("updated_at").Time(),
		Describe: func(n rdf.Node) bool { return describe(n, issue, msg.At("repository"), number) },
	}}, "", nil
}

func describe(n rdf.Node, issue, repository mapping.JSON, number int64) bool {
	n.A(vocab.CMChangeRequest).
		String(vocab.DCTermsIdentifier, fmt.Sprint(number)).
		String(vocab.DCTermsTitle, issue.At("title").Text()).
		String(vocab.DCTermsDescription, issue.At("body").Text()).
		Time(vocab.DCTermsCreated, issue.At("created_at").Time())
	state, reason := issue.At("state").Text(), issue.At("state_reason").Text()
	closed := state == "closed"
	status := vocab.CMInprogress
	if closed {
		status = vocab.CMClosedClass
		n.Time(vocab.CMCloseDate, issue.At("closed_at").Time())
	}
	n.String(vocab.CMStatus, state).
		Link(vocab.CMState, status).
		Bool(vocab.CMClosed, closed).
		Bool(vocab.CMInProgress, !closed).
		Bool(vocab.CMFixed, closed && reason != "not_planned" && reason != "duplicate")
	fits := true
	link := func(predicate string, v mapping.JSON) {
		fits = mapping.Add(n, mapping.Property{Predicate: predicate, Datatype: mapping.DatatypeIRI}, v) && fits
	}
	link(vocab.RDFSSeeAlso, issue.At("html_url"))
	link(vocab.DCTermsIsPartOf, repository.At("html_url"))
	link(vocab.DCTermsCreator, issue.At("user.html_url"))
	for a := range issue.At("assignees").Items() {
		link(vocab.DCTermsContributor, a.At("html_url"))
	}
	for l := range issue.At("labels").Items() {
		n.String(vocab.DCTermsSubject, l.At("name").Text())
	}
	return fits
}
