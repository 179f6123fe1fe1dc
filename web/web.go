// Package web shows people what the bus knows. Pages are rendered on the server
// and work without script.
package web

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"time"
)

//go:embed index.html style.css
var files embed.FS

var index = template.Must(template.ParseFS(files, "index.html"))

// A Page is what the start page shows.
type Page struct {
	Title   string
	Version string
	Checks  []Check
	// Providers are the connected tools, the bus itself last.
	Providers []Provider
	// Changes are the newest of all providers, newest first; Results likewise.
	Changes []Change
	Results []Result
}

// Check is a part of the bus and whether it works.
type Check struct {
	Name, Reason string
	Ready        bool
}

// Provider is a tool with the addresses of what there is of it.
type Provider struct {
	Title, URI, Details string
	Collections         []Link
	Sets                []Link
}

// Link is an address with its text.
type Link struct{ Text, URI string }

// Change is an entry of a change log.
type Change struct {
	Time                       time.Time
	Kind, Title, URI, Provider string
}

// Result is how a request ended.
type Result struct {
	Time                            time.Time
	Title, Verdict, Message, Target string
	Created                         string
}

// Index returns the handler of the start page; load finds what it shows.
func Index(load func(ctx context.Context) (Page, error)) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		page, err := load(r.Context())
		if err != nil {
			return err
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("Cache-Control", "no-store")
		return index.Execute(w, page)
	}
}

// Style answers with the style sheet.
func Style(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "max-age=3600")
	http.ServeFileFS(w, r, files, "style.css")
	return nil
}
