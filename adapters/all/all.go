// Package all lists the adapters that ship with the program.
package all

import (
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/github"
	"github.com/oslcbus/oslcbus/adapters/jira"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/oslcserver"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/adapters/trsfeed"
	"github.com/oslcbus/oslcbus/adapters/webhook"
)

// Adapters returns a fresh registry; the caller may add to it.
func Adapters() adapters.Registry {
	return adapters.Registry{
		"github":     github.Build,
		"jira":       jira.Build,
		"mongodb":    mongodb.Build,
		"oslc":       oslcserver.Build,
		"stackstorm": stackstorm.Build,
		"trsfeed":    trsfeed.Build,
		"webhook":    webhook.Build,
	}
}
