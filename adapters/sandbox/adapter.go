package sandbox

import (
	"context"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mongodb"
	"github.com/oslcbus/oslcbus/adapters/stackstorm"
	"github.com/oslcbus/oslcbus/oslc"
)

// Adapter connects a stand-in of StackStorm: the mapping and the watcher are those
// of the real adapter, only the server that they watch is s. url is the address of
// the stand-in.
func Adapter(s *StackStorm, url string, opts adapters.Options) (adapters.Adapter, error) {
	w := stackstorm.Watch(Database, url+"/api", opts)
	w.Dial = func(context.Context) (mongodb.Server, func(), error) { return s.Server(), func() {}, nil }
	source, err := mongodb.New(w)
	if err != nil {
		return adapters.Adapter{}, oslc.E("sandbox.adapter", err)
	}
	writer, err := stackstorm.NewWriter(url+"/api", stackstorm.REST{APIKey: Token}, opts)
	if err != nil {
		return adapters.Adapter{}, oslc.E("sandbox.adapter", err)
	}
	executor, err := stackstorm.NewExecutor(url+"/api", stackstorm.REST{APIKey: Token}, opts)
	if err != nil {
		return adapters.Adapter{}, oslc.E("sandbox.adapter", err)
	}
	return adapters.Adapter{
		Provider: oslc.ServiceProvider{
			Name: opts.Name, Title: "StackStorm", Description: "A stand-in of StackStorm", Details: url,
			Services: stackstorm.Services(true),
		},
		Source:   source,
		Writer:   writer,
		Executor: executor,
		Actions:  stackstorm.Actions(),
	}, nil
}
