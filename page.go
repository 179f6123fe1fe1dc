package oslcbus

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/server"
	"github.com/oslcbus/oslcbus/oslc/vocab"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/web"
)

// shownRows is how many changes and results the start page has: one screen.
const shownRows = 20

// start answers people with the start page and programs with the catalog.
func (e *Engine) start() server.HandlerFunc {
	page := web.Index(e.page)
	return func(w http.ResponseWriter, r *http.Request) error {
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			return page(w, r)
		}
		http.Redirect(w, r, server.CatalogURI(e.cfg.BaseURL), http.StatusSeeOther)
		return nil
	}
}

func (e *Engine) page(ctx context.Context) (web.Page, error) {
	p := web.Page{Title: e.cfg.Title, Version: e.opts.Version}
	for _, c := range e.status.checks() {
		p.Checks = append(p.Checks, web.Check{Name: c.Name, Ready: c.Ready, Reason: c.Reason})
	}
	for _, prov := range e.providers {
		p.Providers = append(p.Providers, linked(prov))
		if prov.name == automation.BusProvider {
			continue
		}
		for _, set := range prov.sets {
			changes, err := e.newest(ctx, prov, set)
			if err != nil {
				return p, err
			}
			p.Changes = append(p.Changes, changes...)
		}
	}
	slices.SortStableFunc(p.Changes, func(a, b web.Change) int { return b.Time.Compare(a.Time) })
	p.Changes = p.Changes[:min(len(p.Changes), shownRows)]
	var err error
	p.Results, err = e.results(ctx)
	return p, err
}

func linked(p *provider) web.Provider {
	out := web.Provider{Title: p.adapter.Provider.Title, URI: p.uri, Details: p.adapter.Provider.Details}
	for _, s := range p.adapter.Provider.Services {
		for _, c := range s.Collections {
			out.Collections = append(out.Collections, web.Link{Text: c.Title, URI: p.uri + "/" + c.Kind})
		}
	}
	for i, uri := range p.adapter.Provider.Sets {
		out.Sets = append(out.Sets, web.Link{Text: p.sets[i], URI: uri})
	}
	return out
}

// newest returns the latest changes of a set.
func (e *Engine) newest(ctx context.Context, p *provider, set string) ([]web.Change, error) {
	b, err := e.views.Bounds(ctx, set, trs.Newest)
	if err != nil {
		return nil, err
	}
	// Orders skip numbers now and then, so a few more are asked for.
	changes, err := e.views.Changes(ctx, set, max(0, b.Newest-2*shownRows), b.Newest)
	if err != nil {
		return nil, err
	}
	var out []web.Change
	for _, c := range changes[:min(len(changes), shownRows)] {
		row := web.Change{Time: c.Time, Kind: c.Kind.String(), URI: c.Changed, Title: c.Changed, Provider: p.adapter.Provider.Title}
		if r, err := e.views.Resource(ctx, c.Changed); err == nil {
			if title := r.Graph.Value(rdf.NewIRI(c.Changed), vocab.DCTermsTitle); title != "" {
				row.Title = title
			}
		}
		out = append(out, row)
	}
	return out, nil
}

func (e *Engine) results(ctx context.Context) ([]web.Result, error) {
	self := e.self()
	var out []web.Result
	for _, set := range self.sets {
		b, err := e.views.Bounds(ctx, set, trs.Newest)
		if err != nil {
			return nil, err
		}
		changes, err := e.views.Changes(ctx, set, max(0, b.Newest-4*shownRows), b.Newest)
		if err != nil {
			return nil, err
		}
		for _, c := range changes {
			if c.Kind != oslc.Creation || !strings.HasPrefix(c.Changed, self.uri+"/results/") || len(out) == shownRows {
				continue
			}
			r, err := e.views.Resource(ctx, c.Changed)
			if err != nil {
				return nil, err
			}
			res, err := oslc.ParseResult(r.Graph, c.Changed)
			if err != nil {
				return nil, err
			}
			out = append(out, web.Result{
				Time: res.Finished, Title: r.Graph.Value(rdf.NewIRI(c.Changed), vocab.DCTermsTitle), Target: c.Changed,
				Verdict: strings.TrimPrefix(string(res.Verdict), vocab.Auto), Message: res.Message, Created: res.Created,
			})
		}
	}
	return out, nil
}
