package oslcbus

import (
	"net/http"

	"github.com/oslcbus/oslcbus/adapters"
)

// skipped answers with what sources go on without, on the replica that runs them.
func (e *Engine) skipped(w http.ResponseWriter, _ *http.Request) error {
	type entry struct {
		Connection string `json:"connection"`
		adapters.Skipped
	}
	out := []entry{}
	for _, p := range e.connections() {
		if s, ok := p.adapter.Source.(adapters.Skipper); ok {
			for _, one := range s.Skipped() {
				out = append(out, entry{p.name, one})
			}
		}
	}
	return writeJSON(w, map[string]any{"skipped": out})
}
