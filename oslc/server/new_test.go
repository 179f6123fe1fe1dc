package server_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/rdf/shape"
	"github.com/oslcbus/oslcbus/oslc/server"
)

// newServer is server.New for what is known to be right.
func newServer(cfg server.Config) *server.Server {
	s, err := server.New(cfg)
	if err != nil {
		panic(err)
	}
	return s
}

// What a program says of its tools and cannot be read is an error with the place.
func TestNew_refused(t *testing.T) {
	t.Parallel()
	bad := &shape.Shape{Title: "x", Properties: []shape.Property{{Name: "p", Definition: "http://ex.example/p", Occurs: "often"}}}
	for want, cfg := range map[string]server.Config{
		"the condition of the action a of tool": {Actions: map[string][]oslc.Action{"tool": {{Name: "a", Class: "http://ex.example/C", Where: "x:y="}}}},
		"the shape of http://bus.example/services/tool/things": {BaseURL: "http://bus.example", Providers: []oslc.ServiceProvider{{
			Name: "tool", Services: []oslc.Service{{Collections: []oslc.Collection{{Kind: "things", ResourceTypes: []string{rdf.NS + "x"}, Shape: bad}}}},
		}}},
	} {
		if _, err := server.New(cfg); !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
